//! How long a response would be fresh, before its age and the policy's limits count (RFC 9111 §4.2).

use std::time::{Duration, SystemTime};

use pingora::http::ResponseHeader;

use super::status::{Storable, storable};
use super::times::{self, Times};
use super::{ERROR_TTL, RequestFacts, Rules};
use crate::cache_control::ResponseDirectives;
use crate::targeted::Source;

/// A lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) seconds: Duration,
    /// The origin gave it.
    pub(super) explicit: bool,
}

/// The lifetime, `None` when nothing allows to store the response.
pub(super) fn of(
    request: &RequestFacts<'_>,
    response: &ResponseHeader,
    told: &(ResponseDirectives, Source),
    times: &Times,
    rules: &Rules,
    now: SystemTime,
) -> Option<Lifetime> {
    let status = response.status;
    let is_error = status.is_client_error() || status.is_server_error();
    let explicit = times::explicit_lifetime(&response.headers, told, times, now);
    if let (true, Some(least)) = (is_error, rules.error_ttl(status)) {
        // CloudFront: the greater of what the policy and what the origin says.
        let seconds = explicit.unwrap_or_default().max(least);
        return (!least.is_zero()).then_some(Lifetime { seconds, explicit: true });
    }
    if let Some(seconds) = explicit {
        return Some(Lifetime { seconds, explicit: true });
    }
    let directives = &told.0;
    // `public` makes a status heuristically cacheable (RFC 9111 §4.2.2).
    let guessable = storable(status) == Storable::Heuristically || directives.public;
    if request.unkeyed_cookies || !(guessable || directives.no_cache) {
        return None;
    }
    Some(Lifetime { seconds: unsaid(response, is_error, times, rules, now), explicit: false })
}

/// The lifetime of a response whose origin gave none.
fn unsaid(response: &ResponseHeader, is_error: bool, times: &Times, rules: &Rules, now: SystemTime) -> Duration {
    let headers = &response.headers;
    let guess = if rules.heuristic { times::heuristic_lifetime(headers, times, now) } else { None };
    let seconds = guess.unwrap_or(rules.ttl.default);
    if is_error { seconds.min(ERROR_TTL) } else { seconds }
}
