//! Write hooks for Edgeweir in Rust.
//!
//! A hook is a function with the attribute of its stage. It reads the request through [`Request`], and returns what it
//! wants changed: nothing takes effect before it returns.
//!
//! ```
//! use edgeweir_sdk::{Request, Result, http, viewer_request};
//!
//! #[viewer_request]
//! fn handle(request: &Request) -> Result<viewer_request::Verdict> {
//!     if request.path() == "/old" {
//!         let response = http::Response::builder().status(308).header("location", "/new").body("")?;
//!         return Ok(viewer_request::Verdict::respond(response));
//!     }
//!     let country = request.viewer().country().unwrap_or_else(|| "unknown".to_owned());
//!     let edits = viewer_request::Edits::new().set_header("x-country", country)?;
//!     Ok(edits.into())
//! }
//! # fn main() {}
//! ```
//!
//! One crate may have one function for each of the four stages:
//!
//! | attribute | signature | runs |
//! |---|---|---|
//! | [`macro@viewer_request`] | `fn(&Request) -> Result<viewer_request::Verdict>` | on every request, before the cache |
//! | [`macro@origin_request`] | `fn(&Request) -> Result<origin_request::Verdict>` | before the origin is asked |
//! | [`macro@origin_response`] | `fn(&Request, &Response) -> Result<origin_response::Edits>` | after the origin answered, before the response is stored |
//! | [`macro@viewer_response`] | `fn(&Request, &Response) -> Result<viewer_response::Edits>` | before the response goes to the viewer |
//!
//! [`macro@authorizer`] on `fn(&Request) -> Result<authorizer::Verdict>` makes the crate an authorizer: it says who may use
//! a behavior, and the edge keeps the answer (see [`mod@authorizer`]).
//!
//! Besides, [`macro@validate`] on `fn(&Settings) -> Result<(), validate::Problem>` has the edge check the settings of each
//! binding before it takes a config.
//!
//! The crate is a `cdylib`, built for `wasm32-unknown-unknown`, or for `wasm32-wasip2`, where std has clocks and output. Reading
//! the request only works inside the edge; keep what a hook decides in functions of plain values and test those with
//! `cargo test`.

extern crate self as edgeweir_sdk;

#[cfg(all(target_arch = "wasm32", target_os = "unknown", feature = "allocator"))]
mod allocator;
// Its arithmetic is tested on the machine that builds.
#[cfg(test)]
#[path = "allocator/arena.rs"]
mod arena;
pub mod authorizer;
#[doc(hidden)]
pub mod bindings;
pub mod body;
pub mod clock;
mod context;
pub mod crypto;
pub mod data;
mod edits;
mod error;
pub mod fetch;
pub mod jwks;
pub mod kv;
pub mod log;
pub mod metrics;
pub mod random;
mod request;
mod response;
pub mod secrets;
pub mod stage;
pub mod validate;
mod verdict;
mod viewer;

pub use context::{Context, settings};
pub use edgeweir_sdk_macros::{authorizer, origin_request, origin_response, validate, viewer_request, viewer_response};
pub use edits::{DynamicOrigin, Edits};
pub use error::{Error, Result};
pub use request::Request;
pub use response::Response;
pub use verdict::{IntoEdits, IntoVerdict, Verdict};
pub use viewer::{Device, Viewer};
pub use {http, serde, serde_json};

/// Types of the stage viewer-request: every request, before the cache.
pub mod viewer_request {
    /// What a viewer-request hook may change.
    pub type Edits = crate::Edits<crate::stage::ViewerRequest>;
    /// What a viewer-request hook decided.
    pub type Verdict = crate::Verdict<crate::stage::ViewerRequest>;
}

/// Types of the stage origin-request: before the origin is asked.
pub mod origin_request {
    /// What an origin-request hook may change.
    pub type Edits = crate::Edits<crate::stage::OriginRequest>;
    /// What an origin-request hook decided.
    pub type Verdict = crate::Verdict<crate::stage::OriginRequest>;
}

/// Types of the stage origin-response: after the origin answered, before the response is stored.
pub mod origin_response {
    /// What an origin-response hook may change.
    pub type Edits = crate::Edits<crate::stage::OriginResponse>;
}

/// Types of the stage viewer-response: before the response goes to the viewer, hit or miss.
pub mod viewer_response {
    /// What a viewer-response hook may change.
    pub type Edits = crate::Edits<crate::stage::ViewerResponse>;
}

/// For the attribute macros only.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::validate::{Reply, entry as validate, reply};
    pub use crate::verdict::entry;
}
