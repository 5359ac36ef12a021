//! Edgeweir's cache: where objects live, how long they stay fresh, and what their key is.
//!
//! - [`storage`]: pingora's `Storage` over moka.
//! - [`freshness`]: may a response be stored, and until when is it fresh (RFC 9111, shared cache).
//! - [`targeted`]: which field of a response tells a shared cache what to do (RFC 9213).
//! - [`validation`]: what a 304 changes of a stored response, and when a viewer gets one.
//! - [`key`]: the cache key, and what of a query or a cookie header goes to the origin.
//! - [`vary`]: the variance of a response that varies.
//! - [`request_directives`]: what a viewer may ask of the cache.
//! - [`admission`]: whether something was asked for often enough to be stored.
//! - [`compress`]: gzip, brotli and zstd at the edge.
//! - [`purge`]: invalidation by URL, prefix, host and tag.
//! - [`outcome`]: what the cache did, for the log and for `Cache-Status` (RFC 9211).
//!
//! This crate must not know the configuration, hooks or limits, and reads no clock: the time is passed in.
//! The only timers are those that hold back an origin whose viewer is too slow (see [`storage`]).

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may panic"))]

pub mod admission;
mod cache_control;
pub mod compress;
pub mod freshness;
pub mod key;
pub mod outcome;
pub mod purge;
pub mod request_directives;
pub mod storage;
pub mod targeted;
pub mod validation;
pub mod vary;

pub use admission::Admit;
pub use compress::Coding;
pub use freshness::{Decision, Freshness, Reason, RequestFacts, Rules, SetCookie, Times, Ttl, decide, own_lifetime};
pub use key::{
    Forwarded, KeyBuilder, MethodClass, Names, Selection, filtered_cookies, filtered_query, forwarded_cookies,
};
pub use outcome::{CacheOutcome, CacheStatus, Forward};
pub use purge::{Label, Mark, Purges, Tags};
pub use request_directives::{RequestDirectives, Wish};
pub use storage::{Limits, MokaStorage, StorageStats};
pub use validation::Validation;
