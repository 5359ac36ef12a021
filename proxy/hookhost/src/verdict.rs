//! What hooks decide, after it was checked: the embedder applies it without checking again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

/// A change to the header fields. Changes are applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Replace all lines of this name by one.
    Set(HeaderName, HeaderValue),
    /// Add a line, keeping the others.
    Append(HeaderName, HeaderValue),
    /// Remove all lines of this name.
    Remove(HeaderName),
}

/// A change to the request. Changes are applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestEdit {
    /// A change to the header fields.
    Header(HeaderEdit),
    /// A new path: starts with `/`, only characters that a request target may hold, percent-encoding valid. Not
    /// normalised: dot segments are for the embedder to treat as it treats a viewer's.
    Path(Box<str>),
    /// A new query string without `?`; none to drop it.
    Query(Option<Box<str>>),
    /// A note for the later stages, at most 4 KiB.
    Note(Arc<str>),
    /// viewer-request only: a part to add to the cache key.
    CacheKey(Box<str>),
    /// Another origin of the config, by name. The embedder checks that it exists.
    Origin(Box<str>),
}

/// A change to the response. Changes are applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseEdit {
    /// A change to the header fields.
    Header(HeaderEdit),
    /// A new status, 200 to 599. The embedder drops the body where the new status has none.
    Status(StatusCode),
    /// A new body, in place of the old one, whose length and coding no longer hold.
    Body(Bytes),
    /// origin-response only: how long the response stays fresh; the embedder clamps it to the policy's limits.
    Ttl(Duration),
    /// origin-response only: a note for viewer-response, at most 4 KiB.
    Note(Arc<str>),
}

/// A response that a hook made. `content-length` is not among the headers: the embedder sets it from the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// Header fields, in order.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty for 204 and 304.
    pub body: Bytes,
}

/// What a hook decided at a request stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestVerdict {
    /// Go on, with these changes.
    Next(Vec<RequestEdit>),
    /// Answer with this.
    Respond(GeneratedResponse),
}
