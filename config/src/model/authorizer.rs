//! Authorizers: hooks that say who may use a behavior.

use std::time::Duration;

use super::{Binding, CallerName};

/// The authorizer of a behavior.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorizer {
    /// The hook, its settings and what it may use.
    pub binding: Binding,
    /// What has to be there, and under what its answer is kept.
    pub identity: Vec<IdentitySource>,
    /// How long an answer is kept, 0 to 1 h. Default 300 s, as in API Gateway.
    pub ttl: Duration,
    /// Header fields that the origin gets, lower case; never the viewer's own.
    pub headers: Vec<(String, CallerName)>,
    /// Whether callers with different `headers` share cached responses. Default false.
    pub share_cache: bool,
    /// `WWW-Authenticate` of a 401. Default `Bearer`.
    pub challenge: String,
}

/// A part of a request that tells who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// A header field, lower case.
    Header(String),
    /// A query parameter.
    Query(String),
    /// A cookie.
    Cookie(String),
    /// The method.
    Method,
    /// The path.
    Path,
    /// The viewer's address.
    Address,
}
