//! The request's body, where the binding says `request_body = true`: at viewer-request and origin-request.
//!
//! ```no_run
//! use edgeweir_sdk::{Request, Result, body, http, viewer_request};
//!
//! #[viewer_request]
//! fn handle(_: &Request) -> Result<viewer_request::Verdict> {
//!     let body = body::read()?;
//!     if body.text().is_some_and(|text| text.contains("<script")) {
//!         return Ok(viewer_request::Verdict::respond(http::Response::builder().status(400).body("no scripts")?));
//!     }
//!     Ok(viewer_request::Edits::new().into())
//! }
//! # fn main() {}
//! ```
//!
//! The edge reads the body before it calls the hook, up to the binding's limit: 40 KiB at viewer-request and 1 MiB at
//! origin-request, if it says no other. A longer one is cut for the hook and still goes to the origin as a whole, unless the
//! hook replaces it ([`Edits::body`](crate::Edits::body)). Outside of the edge, as in unit tests, reading aborts;
//! [`Body::new`] makes one for a test.

use crate::bindings::optional::edgeweir::hook::body as host;
use crate::error::{Error, Result};

/// The body of a request, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    bytes: Vec<u8>,
    truncated: bool,
}

/// Reads the body. It is empty if the request has none.
///
/// # Errors
/// If the binding does not grant it, or at a response stage.
pub fn read() -> Result<Body> {
    let (bytes, truncated) = host::read().map_err(Error::new)?;
    Ok(Body { bytes, truncated })
}

impl Body {
    /// For tests: a body that comes from nowhere.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), truncated: false }
    }

    /// Whether there is more of it than the hook may read.
    #[must_use]
    pub const fn truncated(&self) -> bool {
        self.truncated
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its text; `None` if it is not UTF-8. A body that was cut can end inside of a character.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// Its bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
