//! The response as a hook of a response stage sees it.

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::bindings::imports::edgeweir::hook::response as host;
use crate::request::{map, values};

/// The response, as it is when the stage runs. The body is not there to read.
///
/// An answer that a hook makes itself is an [`http::Response`]; see [`Verdict::respond`](crate::Verdict::respond).
#[derive(Debug)]
pub struct Response(());

impl Response {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// The status.
    ///
    /// # Panics
    /// If the edge hands over what is no status, which would break the contract.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(host::status()).expect("the edge hands over a status")
    }

    /// The first value of a header. The name's case does not matter.
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

    /// How the cache answered: `hit`, `miss`, `stale`, `revalidated`, `bypass` or `collapsed`; `None` where it is not
    /// known yet.
    #[must_use]
    pub fn cache_outcome(&self) -> Option<String> {
        host::cache_outcome()
    }
}
