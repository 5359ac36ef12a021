//! What a hook wants changed. Names and values are checked here as HTTP sees them; whether a stage may touch a header is
//! the edge's to say, and so is every limit.

use std::fmt;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::bindings::imports::edgeweir::hook::types::{Header, HeaderEdit};
use crate::bindings::{origin_request, origin_response, viewer_request};
use crate::error::{Error, Result};
use crate::stage::{OriginRequest, OriginResponse, RequestStage, ResponseStage, Stage, ViewerRequest};

/// The changes that a hook makes at stage `S`, applied in order after it returns.
///
/// Use it through the alias of the stage, for example [`viewer_request::Edits`](crate::viewer_request::Edits).
///
/// ```
/// use edgeweir_sdk::{Result, viewer_request};
///
/// fn edits() -> Result<viewer_request::Edits> {
///     viewer_request::Edits::new().set_header("x-tier", "gold")?.remove_header("x-debug").map(|e| e.path("/shop"))
/// }
/// assert_eq!(edits()?.len(), 3);
/// # Ok::<(), edgeweir_sdk::Error>(())
/// ```
pub struct Edits<S: Stage> {
    list: Vec<S::Edit>,
}

impl<S: Stage> Edits<S> {
    /// No change.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// How many changes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Replaces all lines of a header by one.
    ///
    /// # Errors
    /// If the name or the value is not allowed in a header.
    pub fn set_header<N, V>(self, name: N, value: V) -> Result<Self>
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let header = line(name, value)?;
        Ok(self.with(S::header(HeaderEdit::Set(header))))
    }

    /// Adds a header line, keeping the others of this name.
    ///
    /// # Errors
    /// If the name or the value is not allowed in a header.
    pub fn append_header<N, V>(self, name: N, value: V) -> Result<Self>
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let header = line(name, value)?;
        Ok(self.with(S::header(HeaderEdit::Append(header))))
    }

    /// Removes all lines of a header. No harm if there is none.
    ///
    /// # Errors
    /// If the name is not allowed in a header.
    pub fn remove_header<N>(self, name: N) -> Result<Self>
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
    {
        let name = header_name(name)?;
        Ok(self.with(S::header(HeaderEdit::Remove(name.as_str().to_owned()))))
    }

    pub(crate) fn into_list(self) -> Vec<S::Edit> {
        self.list
    }

    fn with(mut self, edit: S::Edit) -> Self {
        self.list.push(edit);
        self
    }
}

impl<S: RequestStage> Edits<S> {
    /// A new path: starts with `/`, percent-encoded. At viewer-request it is part of the cache key, and the behavior is
    /// not matched again; at origin-request only the origin sees it.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        self.with(S::path(path.into()))
    }

    /// A new query string, without `?`.
    #[must_use]
    pub fn query(self, query: impl Into<String>) -> Self {
        self.with(S::query(Some(query.into())))
    }

    /// Drops the query string and its `?`.
    #[must_use]
    pub fn remove_query(self) -> Self {
        self.with(S::query(None))
    }

    /// Fetch from another origin of the config, by its name.
    #[must_use]
    pub fn origin(self, name: impl Into<String>) -> Self {
        self.with(S::origin(name.into()))
    }

    /// A note for the hooks of the later stages of this request ([`Context::note`](crate::Context::note)), at most
    /// 4 KiB. It replaces an earlier note.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        self.with(S::note(note.into()))
    }

    /// A new request body, where the binding says `request_body`: at most what that lets the hook read, or 40 KiB at
    /// viewer-request and 1 MiB at origin-request if that is more. Empty removes the body. The edge corrects
    /// `content-length`; `content-type` is yours.
    #[must_use]
    pub fn request_body(self, body: impl Into<Vec<u8>>) -> Self {
        self.with(S::request_body(body.into()))
    }
}

impl Edits<ViewerRequest> {
    /// What this request costs in throttles, 1 to 1,000, instead of 1. If a throttle does not have that, the answer is 429.
    #[must_use]
    pub fn cost(self, cost: u32) -> Self {
        self.with(viewer_request::exports::edgeweir::hook::viewer_request::Edit::Cost(cost))
    }

    /// The caller's API key, in place of the `x-api-key` header: its usage plan counts. A key that is not good for the
    /// distribution is 403.
    #[must_use]
    pub fn api_key(self, key: impl Into<String>) -> Self {
        self.with(viewer_request::exports::edgeweir::hook::viewer_request::Edit::ApiKey(key.into()))
    }

    /// A part to add to the cache key: requests that differ in it never share a cached response.
    #[must_use]
    pub fn cache_key(self, part: impl Into<String>) -> Self {
        self.with(viewer_request::exports::edgeweir::hook::viewer_request::Edit::CacheKey(part.into()))
    }
}

impl<S: ResponseStage> Edits<S> {
    /// A new status, 200 to 599.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        self.with(S::status(status.as_u16()))
    }

    /// A new body: at most 1 MiB at origin-response, 40 KiB at viewer-response. Empty removes the body. The old
    /// `content-encoding` goes with the old body; an `etag` is yours to correct.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.with(S::body(body.into()))
    }
}

impl Edits<OriginRequest> {
    /// Fetch from an origin that the config does not have; its host must be among the binding's `dynamic_origins`.
    ///
    /// ```
    /// use edgeweir_sdk::{DynamicOrigin, origin_request};
    ///
    /// let edits = origin_request::Edits::new().dynamic_origin(DynamicOrigin::https("eu.shops.example.com"));
    /// # assert_eq!(edits.len(), 1);
    /// ```
    #[must_use]
    pub fn dynamic_origin(self, origin: DynamicOrigin) -> Self {
        self.with(origin_request::exports::edgeweir::hook::origin_request::Edit::DynamicOrigin(origin.0))
    }
}

/// An origin that the config does not have. The edge checks its certificate.
#[derive(Debug, Clone)]
pub struct DynamicOrigin(origin_request::exports::edgeweir::hook::origin_request::DynamicOrigin);

impl DynamicOrigin {
    /// At this host, with TLS on port 443.
    pub fn https(host: impl Into<String>) -> Self {
        Self::new("https", host.into())
    }

    /// At this host, in plain text on port 80.
    pub fn http(host: impl Into<String>) -> Self {
        Self::new("http", host.into())
    }

    fn new(scheme: &str, host: String) -> Self {
        Self(origin_request::exports::edgeweir::hook::origin_request::DynamicOrigin {
            scheme: scheme.to_owned(),
            host,
            port: None,
            path_prefix: String::new(),
            host_header: None,
        })
    }

    /// At another port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.0.port = Some(port);
        self
    }

    /// With this in front of each path: starts with `/`.
    #[must_use]
    pub fn path_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.0.path_prefix = prefix.into();
        self
    }

    /// With this `Host`, instead of its own name.
    #[must_use]
    pub fn host_header(mut self, host: impl Into<String>) -> Self {
        self.0.host_header = Some(host.into());
        self
    }
}

impl Edits<OriginResponse> {
    /// A tag that the stored response can be invalidated by: 1 to 256 visible ASCII characters without comma; at most 50.
    #[must_use]
    pub fn cache_tag(self, tag: impl Into<String>) -> Self {
        self.with(origin_response::exports::edgeweir::hook::origin_response::Edit::CacheTag(tag.into()))
    }

    /// How long the response stays fresh, in seconds, within the limits of the cache policy.
    #[must_use]
    pub fn ttl(self, seconds: u32) -> Self {
        self.with(origin_response::exports::edgeweir::hook::origin_response::Edit::Ttl(seconds))
    }

    /// A note for the viewer-response hooks of this request, at most 4 KiB. It replaces an earlier note.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        self.with(origin_response::exports::edgeweir::hook::origin_response::Edit::Note(note.into()))
    }
}

impl<S: Stage> Default for Edits<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Stage<Edit: fmt::Debug>> fmt::Debug for Edits<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

fn header_name<N: TryInto<HeaderName, Error: Into<http::Error>>>(name: N) -> Result<HeaderName> {
    name.try_into().map_err(|error| Error::from(error.into()))
}

fn line<N, V>(name: N, value: V) -> Result<Header>
where
    N: TryInto<HeaderName, Error: Into<http::Error>>,
    V: TryInto<HeaderValue, Error: Into<http::Error>>,
{
    let name = header_name(name)?;
    let value: HeaderValue =
        value.try_into().map_err(|error| Error::from(error.into()).context(format_args!("header {name}")))?;
    Ok(Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::viewer_request::exports::edgeweir::hook::viewer_request::Edit;

    #[test]
    fn keeps_the_order_and_lower_cases_names() {
        let edits = Edits::<ViewerRequest>::new()
            .remove_header("X-User")
            .and_then(|edits| edits.set_header("X-User", "kim"))
            .map(|edits| edits.path("/a").remove_query().cache_key("k"))
            .expect("all valid");
        let list = edits.into_list();
        assert!(matches!(&list[0], Edit::Header(HeaderEdit::Remove(name)) if name == "x-user"));
        assert!(
            matches!(&list[1], Edit::Header(HeaderEdit::Set(header)) if header.name == "x-user" && header.value == b"kim")
        );
        assert!(matches!(&list[2], Edit::Path(path) if path == "/a"));
        assert!(matches!(&list[3], Edit::Query(None)));
        assert!(matches!(&list[4], Edit::CacheKey(part) if part == "k"));
    }

    #[test]
    fn refuses_what_is_no_header() {
        let error = Edits::<OriginResponse>::new().set_header("x-a", "1\r\nx-b: 2").expect_err("line break");
        assert_eq!(error.message(), "header x-a: failed to parse header value");
        assert!(Edits::<OriginResponse>::new().remove_header("x a").is_err());
    }
}
