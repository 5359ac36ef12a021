//! What a viewer may ask of the cache: `no-store` and `only-if-cached`, nothing else.
//!
//! `no-cache`, `max-age`, `min-fresh`, `max-stale` and `Pragma` from a viewer are ignored. RFC 9111 §5.2.1 makes all
//! request directives advisory, and CloudFront ignores them too: whoever may send `no-cache` could otherwise pass the
//! cache at will and make the edge hammer the origin.

use http::HeaderMap;

use crate::cache_control::directives;

/// The directives of a viewer's `Cache-Control` that the edge obeys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// Nothing of this exchange may be stored (RFC 9111 §5.2.1.5). A stored object may still answer.
    pub no_store: bool,
    /// Answer from the cache or with 504 (RFC 9111 §5.2.1.7).
    pub only_if_cached: bool,
}

impl RequestDirectives {
    /// Reads the directives from all `Cache-Control` lines of a request.
    pub fn of(request: &HeaderMap) -> Self {
        let mut found = Self::default();
        for directive in directives(request) {
            found.no_store |= directive.is("no-store");
            found.only_if_cached |= directive.is("only-if-cached");
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CACHE_CONTROL, PRAGMA};

    use super::*;

    fn of(lines: &[&'static str]) -> RequestDirectives {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, http::HeaderValue::from_static(line));
        }
        headers.insert(PRAGMA, http::HeaderValue::from_static("no-cache"));
        RequestDirectives::of(&headers)
    }

    #[test]
    fn rfc9111_5_2_1_no_store_and_only_if_cached_count() {
        assert_eq!(of(&["max-age=0, No-Store"]), RequestDirectives { no_store: true, only_if_cached: false });
        assert_eq!(of(&["max-age=0", "only-if-cached"]), RequestDirectives { no_store: false, only_if_cached: true });
    }

    #[test]
    fn what_cloudfront_ignores_is_ignored() {
        assert_eq!(of(&["no-cache, max-age=0, min-fresh=5, max-stale"]), RequestDirectives::default());
        assert_eq!(of(&[]), RequestDirectives::default());
    }
}
