//! The request as a hook sees it. Nothing is copied to the hook in advance: each method asks the edge.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::bindings::imports::edgeweir::hook::request as host;
use crate::bindings::imports::edgeweir::hook::types::Header;
use crate::context::Context;
use crate::viewer::Viewer;

/// The request, as it is when the stage runs: earlier hooks' edits are visible, this hook's own are not.
///
/// Every read is a call to the edge, so read once and keep what you need. The edge sees what a hook reads.
#[derive(Debug)]
pub struct Request(());

impl Request {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// The method.
    ///
    /// # Panics
    /// If the edge hands over what is no method, which would break the contract.
    #[must_use]
    pub fn method(&self) -> Method {
        Method::from_bytes(host::method().as_bytes()).expect("the edge hands over a method")
    }

    /// `http` or `https`, as the viewer spoke it.
    #[must_use]
    pub fn scheme(&self) -> String {
        host::scheme()
    }

    /// Host and optional port, lower case, as the viewer asked for it.
    #[must_use]
    pub fn authority(&self) -> String {
        host::authority()
    }

    /// The host without the port, lower case. An IPv6 address keeps its brackets.
    #[must_use]
    pub fn host(&self) -> String {
        let mut authority = host::authority();
        authority.truncate(host_length(&authority));
        authority
    }

    /// The path, starting with `/`, percent-encoded.
    #[must_use]
    pub fn path(&self) -> String {
        host::path()
    }

    /// The query string without `?`; `None` if there was no `?`.
    #[must_use]
    pub fn query(&self) -> Option<String> {
        host::query()
    }

    /// The first value of a header. The name's case does not matter. Where a second line would matter, as with
    /// credentials, use [`Request::header_values`].
    #[must_use]
    pub fn header(&self, name: impl AsRef<str>) -> Option<HeaderValue> {
        self.header_values(name).into_iter().next()
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn header_values(&self, name: impl AsRef<str>) -> Vec<HeaderValue> {
        values(host::header_values(name.as_ref()))
    }

    /// All headers. Costs a copy of each: ask for the one you need if you know its name.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        map(host::headers())
    }

    /// The names of the headers that are there, each once.
    #[must_use]
    pub fn header_names(&self) -> Vec<HeaderName> {
        host::header_names().into_iter().filter_map(|name| HeaderName::try_from(name).ok()).collect()
    }

    /// The value of the first cookie of this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        host::cookie(name)
    }

    /// The percent-decoded value of the first query parameter of this name.
    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<String> {
        host::query_param(name)
    }

    /// Who asks.
    #[must_use]
    pub const fn viewer(&self) -> Viewer {
        Viewer::new()
    }

    /// Where the hook runs, with which settings.
    #[must_use]
    pub const fn context(&self) -> Context {
        Context::new()
    }
}

/// What the edge hands over are valid header values; anything else is left out.
pub(crate) fn values(raw: Vec<Vec<u8>>) -> Vec<HeaderValue> {
    raw.into_iter().filter_map(|value| HeaderValue::try_from(value).ok()).collect()
}

pub(crate) fn map(raw: Vec<Header>) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(raw.len());
    for Header { name, value } in raw {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.append(name, value);
        }
    }
    map
}

fn host_length(authority: &str) -> usize {
    match (authority.rfind(':'), authority.rfind(']')) {
        (Some(colon), Some(bracket)) if colon < bracket => authority.len(),
        (Some(colon), _) => colon,
        (None, _) => authority.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_no_port() {
        for (authority, length) in [("example.ch", 10), ("example.ch:8080", 10), ("[::1]", 5), ("[::1]:80", 5), ("", 0)]
        {
            assert_eq!(host_length(authority), length, "{authority}");
        }
    }

    #[test]
    fn a_header_map_keeps_repeated_lines() {
        let line = |name: &str, value: &str| Header { name: name.to_owned(), value: value.as_bytes().to_vec() };
        let map = map(vec![line("x-a", "1"), line("x-b", "2"), line("x-a", "3")]);
        let seen: Vec<_> = map.get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(seen, [b"1", b"3"]);
    }
}
