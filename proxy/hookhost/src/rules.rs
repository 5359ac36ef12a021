//! What a hook may return: the one place where output of hooks becomes typed edits. Follows the CloudFront Developer
//! Guide ("Restrictions on all edge functions", "Generating HTTP responses in request triggers"), without `X-Edge-*`.
//! Does not know wasmtime's errors or the embedder's policies.

mod authorizer;
mod choice;
mod dynamic;
mod headers;
mod outgoing;
mod request;
mod respond;
mod response;
mod target;

use std::fmt;
use std::sync::Arc;

pub(crate) use authorizer::authorizer;
pub(crate) use choice::choice;
pub(crate) use headers::is_disallowed;
pub(crate) use outgoing::outgoing;
pub(crate) use request::{Allowed, origin_request, viewer_request};
pub(crate) use response::{origin_response, viewer_response};

use crate::fault::cut;

/// Most edits of one call.
const MAX_EDITS: usize = 512;
/// Longest note, in bytes.
const MAX_NOTE: usize = 4096;
/// Longest origin name and longest cache key part, in bytes.
const MAX_NAME: usize = 256;
/// Longest name or message that a violation repeats, in bytes.
const MAX_WHAT: usize = 256;

/// A rule that a hook's output broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A header field that hooks may not set.
    DisallowedHeader,
    /// A header field that is read-only at this stage.
    ReadOnlyHeader,
    /// `cloudfront-*` request header fields come from the edge.
    EdgeHeader,
    /// Not a header field name.
    HeaderName,
    /// Not a header field value.
    HeaderValue,
    /// `host` can only be set, to one host with an optional port.
    Host,
    /// All header edits together are over 32 KiB.
    HeadersTooLarge,
    /// More than 512 edits.
    TooManyEdits,
    /// The path does not start with `/` or holds something that must be encoded.
    Path,
    /// The query string holds something that must be encoded.
    Query,
    /// Path and query string together have 8,192 characters or more.
    TargetTooLong,
    /// The status is not between 200 and 599.
    Status,
    /// A 204 or 304 with a body.
    BodyNotAllowed,
    /// A generated response over 40 KiB at viewer-request or 1 MiB at origin-request; a new body over 1 MiB at
    /// origin-response or 40 KiB at viewer-response.
    ResponseTooLarge,
    /// A note over 4 KiB.
    NoteTooLong,
    /// A cache key part that is empty or over 256 bytes.
    CacheKey,
    /// An origin name that is empty or over 256 bytes.
    OriginName,
    /// A new request body without `request_body` in the binding.
    BodyNotGranted,
    /// A new request body that is larger than the binding lets the hook read, and than the stage's default.
    BodyTooLarge,
    /// An origin by host without `dynamic_origins` in the binding, or with a host that is not among them.
    DynamicOriginNotGranted,
    /// An origin by host whose scheme, host, port, path prefix or host header is none.
    DynamicOrigin,
    /// A cost that is not between 1 and 1,000.
    Cost,
    /// An API key that is empty or over 128 bytes.
    ApiKey,
    /// A cache tag that is not 1 to 256 visible ASCII characters without comma.
    CacheTag,
    /// More than 50 cache tags.
    TooManyCacheTags,
    /// A method that cannot be sent.
    Method,
    /// A principal that is empty, over 256 bytes, or that no header can carry; a context with such a value, with a name that
    /// is none or twice, with over 50 values or 8 KiB.
    Caller,
    /// What the function of a JavaScript hook returned is neither a request nor a response, or has a wrong part.
    Result,
}

impl Rule {
    /// Name for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DisallowedHeader => "disallowed-header",
            Self::ReadOnlyHeader => "read-only-header",
            Self::EdgeHeader => "edge-header",
            Self::HeaderName => "header-name",
            Self::HeaderValue => "header-value",
            Self::Host => "host",
            Self::HeadersTooLarge => "headers-too-large",
            Self::TooManyEdits => "too-many-edits",
            Self::Path => "path",
            Self::Query => "query",
            Self::TargetTooLong => "target-too-long",
            Self::Status => "status",
            Self::BodyNotAllowed => "body-not-allowed",
            Self::ResponseTooLarge => "response-too-large",
            Self::NoteTooLong => "note-too-long",
            Self::CacheKey => "cache-key",
            Self::OriginName => "origin-name",
            Self::BodyNotGranted => "body-not-granted",
            Self::BodyTooLarge => "body-too-large",
            Self::DynamicOriginNotGranted => "dynamic-origin-not-granted",
            Self::DynamicOrigin => "dynamic-origin",
            Self::Cost => "cost",
            Self::ApiKey => "api-key",
            Self::CacheTag => "cache-tag",
            Self::TooManyCacheTags => "too-many-cache-tags",
            Self::Method => "method",
            Self::Caller => "caller",
            Self::Result => "result",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::DisallowedHeader => "hooks may not set this header",
            Self::ReadOnlyHeader => "this header is read-only at this stage",
            Self::EdgeHeader => "only the edge sets cloudfront-* request headers",
            Self::HeaderName => "not a header name",
            Self::HeaderValue => "not a header value",
            Self::Host => "host can only be set to one host with an optional port",
            Self::HeadersTooLarge => "header edits over 32 KiB",
            Self::TooManyEdits => "more than 512 edits or fields",
            Self::Path => "a path must start with `/` and be percent-encoded",
            Self::Query => "a query string has visible ASCII characters only, without `#`",
            Self::TargetTooLong => "path and query string must be shorter than 8192 characters together",
            Self::Status => "a status must be between 200 and 599",
            Self::BodyNotAllowed => "a response with this status has no body",
            Self::ResponseTooLarge => "a response larger than the stage allows",
            Self::NoteTooLong => "a note over 4096 bytes",
            Self::CacheKey => "a cache key part must have 1 to 256 bytes",
            Self::OriginName => "an origin name must have 1 to 256 bytes",
            Self::BodyNotGranted => "the binding does not say `request_body`, so the body cannot be replaced",
            Self::BodyTooLarge => "a request body over its limit",
            Self::DynamicOriginNotGranted => "the host is not among `dynamic_origins` of the binding",
            Self::DynamicOrigin => "not an origin: scheme, host, port, path prefix or host header",
            Self::Cost => "a cost must be between 1 and 1000",
            Self::ApiKey => "an API key must have 1 to 128 bytes",
            Self::CacheTag => "a cache tag must have 1 to 256 visible ASCII characters and no comma",
            Self::TooManyCacheTags => "more than 50 cache tags",
            Self::Method => "not a method that can be sent",
            Self::Caller => "a caller's values must be short, with plain names, and such that a header can carry them",
            Self::Result => "not a result",
        }
    }
}

/// A broken rule, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The header name, edit or number; never a header value. At most 256 bytes.
    pub what: Box<str>,
}

impl Violation {
    pub(crate) fn new(rule: Rule, what: impl Into<String>) -> Self {
        Self { rule, what: cut(what.into(), MAX_WHAT) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is against the rules: {}: {:?}", self.rule.text(), self.what)
    }
}

impl std::error::Error for Violation {}

fn count(edits: usize) -> Result<(), Violation> {
    if edits > MAX_EDITS { Err(Violation::new(Rule::TooManyEdits, edits.to_string())) } else { Ok(()) }
}

fn note(text: String) -> Result<Arc<str>, Violation> {
    if text.len() > MAX_NOTE {
        return Err(Violation::new(Rule::NoteTooLong, text.len().to_string()));
    }
    Ok(text.into())
}

/// A short name or key part.
fn name(rule: Rule, text: String) -> Result<Box<str>, Violation> {
    if (1..=MAX_NAME).contains(&text.len()) {
        Ok(text.into_boxed_str())
    } else {
        Err(Violation::new(rule, format!("{} bytes", text.len())))
    }
}

#[cfg(test)]
mod tests;
