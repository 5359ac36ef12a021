//! What a viewer may ask of the cache (RFC 9111 §5.2.1).
//!
//! `no-store` and `only-if-cached` are always obeyed: they cost the origin nothing. The others make the edge ask the origin
//! where it need not, or answer with what is stale; RFC 9111 §5.2.1 makes all of them advisory, so that is up to a policy.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};
use pingora::cache::CacheMeta;

use crate::cache_control::directives;
use crate::targeted;

/// The directives of a viewer's `Cache-Control`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// Nothing of this exchange may be stored (RFC 9111 §5.2.1.5). A stored object may still answer.
    pub no_store: bool,
    /// Answer from the cache or with 504 (RFC 9111 §5.2.1.7).
    pub only_if_cached: bool,
    /// Ask the origin first (RFC 9111 §5.2.1.4); also `Pragma: no-cache` without `Cache-Control` (§5.4).
    pub no_cache: bool,
    /// Nothing older, in seconds (RFC 9111 §5.2.1.1).
    pub max_age: Option<u32>,
    /// Fresh for so many seconds more (RFC 9111 §5.2.1.3).
    pub min_fresh: Option<u32>,
    /// Stale for so many seconds at most (RFC 9111 §5.2.1.2); without a number, for any time.
    pub max_stale: Option<u32>,
}

/// What a viewer's directives make of a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: its freshness decides.
    None,
    /// The origin is asked first.
    Check,
    /// It is good enough although it is stale.
    Stale,
}

impl RequestDirectives {
    /// Reads the directives from all `Cache-Control` lines of a request, and `Pragma` if there are none. Malformed numbers
    /// count as none.
    pub fn of(request: &HeaderMap) -> Self {
        let mut found = Self::default();
        if !request.contains_key(CACHE_CONTROL) {
            let pragma = request.get_all(PRAGMA).iter();
            found.no_cache = pragma
                .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
                .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-cache"));
            return found;
        }
        for directive in directives(request) {
            found.no_store |= directive.is("no-store");
            found.only_if_cached |= directive.is("only-if-cached");
            found.no_cache |= directive.is("no-cache");
            if directive.is("max-age") {
                found.max_age = directive.valid_seconds().or(found.max_age);
            } else if directive.is("min-fresh") {
                found.min_fresh = directive.valid_seconds().or(found.min_fresh);
            } else if directive.is("max-stale") {
                found.max_stale = if directive.value.is_none() { Some(u32::MAX) } else { directive.valid_seconds() };
            }
        }
        found
    }

    /// What the directives make of a stored response at `now`.
    pub fn wish(&self, stored: &CacheMeta, now: SystemTime) -> Wish {
        let seconds = |count: u32| Duration::from_secs(count.into());
        if self.no_cache || self.max_age.is_some_and(|most| stored.age() > seconds(most) || most == 0) {
            return Wish::Check;
        }
        match stored.fresh_until().duration_since(now) {
            Ok(left) if self.min_fresh.is_some_and(|least| left < seconds(least)) => Wish::Check,
            Ok(_) => Wish::None,
            Err(late) => {
                let allowed = self.max_stale.is_some_and(|most| late.duration() <= seconds(most));
                let forbidden = || targeted::directives_of(stored.headers()).0.forbids_unasked_stale();
                if allowed && !forbidden() { Wish::Stale } else { Wish::None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pingora::http::ResponseHeader;

    use super::*;

    fn of(lines: &[&'static str]) -> RequestDirectives {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, http::HeaderValue::from_static(line));
        }
        headers.insert(PRAGMA, http::HeaderValue::from_static("no-cache"));
        RequestDirectives::of(&headers)
    }

    fn stored(fresh_for: i64, cache_control: &str) -> CacheMeta {
        let now = SystemTime::now();
        let by = Duration::from_secs(fresh_for.unsigned_abs());
        let until = if fresh_for < 0 { now - by } else { now + by };
        let mut header = ResponseHeader::build(200, None).unwrap();
        header.append_header(CACHE_CONTROL, cache_control).unwrap();
        let mut meta = CacheMeta::new(until, now, 0, 0, header);
        meta.set_epoch_override(now - Duration::from_secs(100));
        meta
    }

    #[test]
    fn rfc9111_5_2_1_all_directives_are_read() {
        let found = of(&["max-age=5, No-Store", "only-if-cached, no-cache, min-fresh=6, max-stale"]);
        let wanted = RequestDirectives {
            no_store: true,
            only_if_cached: true,
            no_cache: true,
            max_age: Some(5),
            min_fresh: Some(6),
            max_stale: Some(u32::MAX),
        };
        assert_eq!(found, wanted);
        assert_eq!(of(&["max-age=x, min-fresh, max-stale=-1"]), RequestDirectives::default());
    }

    #[test]
    fn rfc9111_5_4_pragma_counts_without_cache_control_only() {
        assert!(of(&[]).no_cache);
        assert!(!of(&["max-age=5"]).no_cache);
    }

    #[test]
    fn rfc9111_5_2_1_wishes() {
        let now = SystemTime::now();
        for (directive, fresh_for, response, wish) in [
            ("no-cache", 50, "", Wish::Check),
            ("max-age=0", 50, "", Wish::Check),
            ("max-age=99", 50, "", Wish::Check),
            ("max-age=200", 50, "", Wish::None),
            ("min-fresh=99", 50, "", Wish::Check),
            ("min-fresh=9", 50, "", Wish::None),
            ("max-stale", -50, "", Wish::Stale),
            ("max-stale=60", -50, "", Wish::Stale),
            ("max-stale=40", -50, "", Wish::None),
            ("max-stale", -50, "must-revalidate", Wish::None),
            ("max-stale", -50, "s-maxage=1", Wish::None),
            ("no-store", 50, "", Wish::None),
        ] {
            assert_eq!(of(&[directive]).wish(&stored(fresh_for, response), now), wish, "{directive} {fresh_for}");
        }
    }
}
