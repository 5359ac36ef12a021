//! Authorizers: hooks that say who may use a behavior.

use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};

use super::{Binding, CallerName};

/// The authorizer of a behavior.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorizer {
    /// The hook, its settings and what it may use.
    pub binding: Binding,
    /// What has to be there, and under what its answer is kept.
    pub identity: Vec<IdentitySource>,
    /// A regular expression for the first of them that is a header, parameter or cookie; another value is refused without a
    /// call. It has been compiled once.
    pub identity_validation: Option<String>,
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

/// Most memory of a compiled expression, in bytes.
const MAX_REGEX: usize = 1 << 20;

/// The expression of [`Authorizer::identity_validation`]. It matches anywhere in the token, unless it says `^` and `$`.
///
/// # Errors
/// What is wrong with it, or that it is too large.
pub fn identity_regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(MAX_REGEX).build()
}
