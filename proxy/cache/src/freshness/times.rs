//! Age and lifetime of a response (RFC 9111 §4.2). It must not know the policy.

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName};

use crate::cache_control::{ResponseDirectives, delta_seconds};
use crate::targeted::Source;

/// When a response was made, as it tells itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// `Date`; `None` when it is missing or no HTTP-date.
    pub date: Option<SystemTime>,
    /// `Age` in seconds; `None` when it is missing or not a number. Of several the first counts (RFC 9111 §5.1).
    pub age: Option<u32>,
}

impl Times {
    /// Reads `Date` and `Age`.
    pub fn of(headers: &HeaderMap) -> Self {
        let age = headers.get(AGE).and_then(|value| {
            let first = value.as_bytes().split(|byte| *byte == b',').next()?;
            delta_seconds(first.trim_ascii())
        });
        Self { date: headers.get(DATE).and_then(|value| http_date(value.as_bytes())), age }
    }

    /// `corrected_initial_age` (RFC 9111 §4.2.3): the greater of what `Date` and what `Age` tell.
    pub(super) fn age(&self, now: SystemTime, response_delay: Duration) -> Duration {
        let apparent = self.date.and_then(|date| now.duration_since(date).ok()).unwrap_or_default();
        let corrected = Duration::from_secs(self.age.unwrap_or(0).into()) + response_delay;
        // HTTP counts in seconds: a `Date` of this second is no age.
        let whole = Duration::from_secs(apparent.as_secs());
        whole.max(corrected)
    }
}

/// The lifetime the origin gave: `s-maxage`, else `max-age`, else `Expires` minus `Date` (RFC 9111 §4.2.1).
/// An `Expires` that is no date, or that comes twice with different values, means already expired. Beside a targeted
/// field it does not count (RFC 9213 §2.2).
pub(super) fn explicit_lifetime(
    headers: &HeaderMap,
    (directives, source): &(ResponseDirectives, Source),
    times: &Times,
    now: SystemTime,
) -> Option<Duration> {
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return Some(Duration::from_secs(seconds.into()));
    }
    if *source != Source::CacheControl {
        return None;
    }
    let expires = only_value(headers, &EXPIRES)?;
    let lifetime = expires.and_then(http_date).and_then(|at| at.duration_since(times.date.unwrap_or(now)).ok());
    Some(lifetime.unwrap_or_default())
}

/// How long the edge may use a response that it asked for itself, as a private cache would (RFC 9111 §4.2): `max-age`, else
/// `Expires`, less its age; zero with `no-store` or `no-cache`. `None` if the origin does not say.
pub fn own_lifetime(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let told = ResponseDirectives::of(headers);
    if told.no_store || told.no_cache {
        return Some(Duration::ZERO);
    }
    let times = Times::of(headers);
    // `s-maxage` is for shared caches (RFC 9111 §5.2.2.10).
    let told = ResponseDirectives { s_maxage: None, ..told };
    let lifetime = explicit_lifetime(headers, &(told, Source::CacheControl), &times, now)?;
    Some(lifetime.saturating_sub(times.age(now, Duration::ZERO)))
}

/// A longer guess is no guess (RFC 9111 §4.2.2 names 24 hours where it asked for a warning).
const LONGEST_GUESS: Duration = Duration::from_secs(86_400);

/// A tenth of the time since the last change, a day at most (RFC 9111 §4.2.2); `None` without a `Last-Modified` that is
/// before `Date`.
pub(super) fn heuristic_lifetime(headers: &HeaderMap, times: &Times, now: SystemTime) -> Option<Duration> {
    let modified = http_date(headers.get(LAST_MODIFIED)?.as_bytes())?;
    let unchanged = times.date.unwrap_or(now).duration_since(modified).ok()?;
    Some(Duration::from_secs(unchanged.as_secs() / 10).min(LONGEST_GUESS))
}

/// `at` moved back by `by`, not before the Unix epoch.
pub(super) fn earlier(at: SystemTime, by: Duration) -> SystemTime {
    at.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH).max(SystemTime::UNIX_EPOCH)
}

/// The value all lines of a field agree on: `Some(None)` when they do not.
fn only_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a [u8]>> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    Some(lines.all(|line| line == first).then(|| first.as_bytes()))
}

fn http_date(text: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(text).ok()?.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn rfc9111_4_2_what_the_edge_asked_for_itself() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let date = httpdate::fmt_http_date(now - Duration::from_secs(30));
        let soon = httpdate::fmt_http_date(now + Duration::from_secs(70));
        for (fields, expected) in [
            (&[][..], None),
            (&[("cache-control", "public")], None),
            (&[("cache-control", "max-age=86400, private")], Some(86_400)),
            (&[("cache-control", "max-age=60, s-maxage=5")], Some(60)),
            (&[("cache-control", "max-age=60"), ("age", "45")], Some(15)),
            (&[("cache-control", "max-age=60"), ("age", "90")], Some(0)),
            (&[("cache-control", "max-age=60"), ("date", date.as_str())], Some(30)),
            (&[("cache-control", "max-age=60, no-cache")], Some(0)),
            (&[("cache-control", "no-store")], Some(0)),
            (&[("cache-control", "max-age=x")], Some(0)),
            (&[("expires", soon.as_str())], Some(70)),
            (&[("expires", "0")], Some(0)),
        ] {
            let headers: HeaderMap = fields
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
                .collect();
            assert_eq!(own_lifetime(&headers, now), expected.map(Duration::from_secs), "{fields:?}");
        }
    }
}
