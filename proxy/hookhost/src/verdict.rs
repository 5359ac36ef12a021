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
    /// origin-request only: an origin that the config does not have; the binding allows its host.
    DynamicOrigin(DynamicOrigin),
    /// Another origin than the one that would be asked: that one with changes. After all other edits.
    ChangeOrigin(OriginChange),
    /// The group of the config that has these members, in this order, and these statuses if there are any. The embedder looks
    /// for it.
    Group {
        /// Names of origins.
        members: Vec<Box<str>>,
        /// Statuses of an answer for which the next member is asked; empty for any.
        statuses: Vec<u16>,
    },
    /// A new body; empty for none. The embedder sets its length and drops the rest of the old one.
    Body(Bytes),
    /// viewer-request only: what the request costs in throttles, 1 to 1,000.
    Cost(u32),
    /// viewer-request only: the caller's API key, 1 to 128 bytes. The embedder looks it up.
    ApiKey(Hidden),
}

/// An origin that the config does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicOrigin {
    /// Whether TLS is spoken; then the certificate has to be checked.
    pub tls: bool,
    /// Host name, lower case, without trailing dot; or an address, without brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
    /// Empty, or starts with `/` and does not end with it.
    pub path_prefix: Box<str>,
    /// What the origin gets as `Host`; its own name if none.
    pub host_header: Option<HeaderValue>,
    /// Whether the binding lists the host in full: only then may it have an address of this machine or a private network.
    pub listed: bool,
}

/// What is to be different about an origin; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginChange {
    /// Another host, and whether the binding lists it in full, as in [`DynamicOrigin`].
    pub host: Option<(Box<str>, bool)>,
    /// Whether TLS is spoken; only with a host.
    pub tls: Option<bool>,
    /// The port; only with a host.
    pub port: Option<u16>,
    /// Empty, or starts with `/` and does not end with it.
    pub path_prefix: Option<Box<str>>,
    /// What it gets as `Host`.
    pub host_header: Option<HeaderValue>,
    /// Headers that it gets, in place of those of the config, or besides them.
    pub headers: Option<Vec<(HeaderName, HeaderValue)>>,
    /// Whether headers of the config stay where `headers` has none of their name.
    pub keeps_headers: bool,
    /// For a connection, 1 ms to 120 s.
    pub connect_timeout: Option<Duration>,
    /// Between two reads, 1 ms to 120 s.
    pub read_timeout: Option<Duration>,
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub Box<str>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
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
    /// origin-response only: a tag of the stored object, 1 to 256 visible ASCII characters without comma.
    CacheTag(Box<str>),
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

/// What an authorizer decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorizerVerdict {
    /// The caller may pass.
    Allow(Caller),
    /// It may not: 403. Only the context is set, for the answer.
    Deny(Caller),
    /// Nobody knows who it is: 401, with what `WWW-Authenticate` says.
    Unauthorized(Option<HeaderValue>),
}

/// What an authorizer knows of a caller. Every text can stand in a header field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Who it is, 1 to 256 bytes.
    pub principal: Option<Box<str>>,
    /// Other values by name, each name once; at most 50, 8 KiB together.
    pub context: Vec<(Box<str>, Box<str>)>,
    /// The caller's API key, 1 to 128 bytes. The embedder looks it up.
    pub api_key: Option<Hidden>,
    /// How long this may be kept at most; the binding says so too.
    pub max_age: Option<Duration>,
}

impl Caller {
    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// A value of the context.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.context.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let context: usize = self.context.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
        self.principal().map_or(0, str::len) + context + 256
    }
}

/// Whether this can name a value of a context: 1 to 64 letters, digits, `_` and `-`.
#[must_use]
pub fn is_context_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}
