//! May a response be stored, and until when is it fresh? RFC 9111 for a shared cache, read conservatively.
//!
//! The policy's TTLs have CloudFront's meaning (see [`Ttl`]), with one difference: CloudFront stores what says
//! `no-store`, `no-cache` or `private` for the minimum TTL; here such a response is never stored. A minimum only
//! lengthens the life of what may be stored anyway.
//!
//! This module must not know the cache's storage or key, and reads no clock.

mod reason;
mod times;

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_RANGE, SET_COOKIE, TRAILER};
use http::{HeaderMap, Method, StatusCode};
use pingora::cache::CacheMeta;
use pingora::http::ResponseHeader;

use crate::cache_control::{MAX_DELTA_SECONDS, ResponseDirectives};
use crate::vary;

pub use reason::Reason;
pub use times::Times;

/// The longest life of an error (status 400 and above) whose origin named none: CloudFront's `ErrorCachingMinTTL`.
pub const ERROR_TTL: Duration = Duration::from_secs(10);

/// A cache policy's times to live.
///
/// An origin's explicit lifetime becomes `max(min, min(lifetime, max))`; a response without one lives for
/// `max(min, default)`, an error without one at most for [`ERROR_TTL`] in place of `default`. `max = 0` switches
/// storing off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl {
    /// The least time a stored response is fresh, whatever the origin says.
    pub min: Duration,
    /// How long a response is fresh whose origin does not say.
    pub default: Duration,
    /// The longest time a response is fresh when the origin says, and the longest it may be served stale.
    pub max: Duration,
}

/// What the decision needs to know of the request that was sent to the origin.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// The viewer's method.
    pub method: &'a Method,
    /// The request went to the origin with `Authorization` (RFC 9111 §3.5).
    pub has_authorization: bool,
    /// The origin saw cookies that are not in the cache key. Without explicit freshness such a response is not
    /// stored: nobody said that it is the same for all.
    pub unkeyed_cookies: bool,
    /// The viewer said `no-store`.
    pub no_store: bool,
    /// From sending the request to receiving the response header; zero when unknown (RFC 9111 §4.2.3).
    pub response_delay: Duration,
    /// `Date` and `Age` of the 304 when the response is a stored header merged with a 304: the merged header still has
    /// the old ones. `None` takes them from the response.
    pub revalidated: Option<Times>,
}

impl<'a> RequestFacts<'a> {
    /// Facts of a plain request: no credentials, no delay.
    pub fn new(method: &'a Method) -> Self {
        Self {
            method,
            has_authorization: false,
            unkeyed_cookies: false,
            no_store: false,
            response_delay: Duration::ZERO,
            revalidated: None,
        }
    }
}

/// What [`decide`] decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The response may be stored.
    Store(Freshness),
    /// The response must not be stored, and why.
    Refuse(Reason),
}

/// How long a stored response may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When it goes stale.
    pub fresh_until: SystemTime,
    /// When it was received.
    pub created: SystemTime,
    /// When its age was zero: before `created` if it was in other caches on its way.
    pub epoch: SystemTime,
    /// Seconds after `fresh_until` in which it may be served while it is fetched again (RFC 5861 §3).
    pub stale_while_revalidate: u32,
    /// Seconds after `fresh_until` in which it may be served when the origin fails (RFC 5861 §4).
    pub stale_if_error: u32,
}

impl Freshness {
    /// Pingora's form of a stored response's metadata.
    pub fn into_meta(self, header: ResponseHeader) -> CacheMeta {
        let mut meta =
            CacheMeta::new(self.fresh_until, self.created, self.stale_while_revalidate, self.stale_if_error, header);
        if self.epoch != self.created {
            meta.set_epoch_override(self.epoch);
        }
        meta
    }
}

/// Decides about one response received at `now`.
pub fn decide(request: &RequestFacts<'_>, response: &ResponseHeader, policy: &Ttl, now: SystemTime) -> Decision {
    let directives = ResponseDirectives::of(&response.headers);
    if let Some(reason) = forbidden(request, response, &directives) {
        return Decision::Refuse(reason);
    }
    let times = request.revalidated.unwrap_or_else(|| Times::of(&response.headers));
    let explicit = times::explicit_lifetime(&response.headers, &directives, &times, now);
    let Some(lifetime) = admitted_lifetime(request, response.status, &directives, explicit, policy) else {
        return Decision::Refuse(if request.unkeyed_cookies { Reason::UnkeyedCookies } else { Reason::NotExplicit });
    };
    if policy.max.is_zero() {
        return Decision::Refuse(Reason::TtlZero);
    }

    let age = times.age(now, request.response_delay);
    let mut remaining = lifetime.saturating_sub(age);
    if explicit.is_some() {
        remaining = remaining.min(policy.max);
    }
    remaining = remaining.max(policy.min).min(LONGEST);

    let stale = |asked: Option<u32>| -> u32 {
        if directives.forbids_stale() {
            return 0;
        }
        let longest = u32::try_from(policy.max.as_secs()).unwrap_or(MAX_DELTA_SECONDS);
        asked.unwrap_or(0).min(longest)
    };
    let stale_while_revalidate = stale(directives.stale_while_revalidate);
    let stale_if_error = stale(directives.stale_if_error);
    if remaining.is_zero() && stale_while_revalidate == 0 && stale_if_error == 0 {
        return Decision::Refuse(if lifetime.is_zero() { Reason::TtlZero } else { Reason::AlreadyStale });
    }
    // A response that came stale has been so since its lifetime ended: its stale windows run from then.
    let overdue = if remaining.is_zero() { age.saturating_sub(lifetime) } else { Duration::ZERO };
    Decision::Store(Freshness {
        fresh_until: times::earlier(now + remaining, overdue),
        created: now,
        epoch: times::earlier(now, age),
        stale_while_revalidate,
        stale_if_error,
    })
}

/// No time above this is kept, whatever policy and origin say (RFC 9111 §1.2.2).
const LONGEST: Duration = Duration::from_secs(MAX_DELTA_SECONDS as u64);

/// What forbids storing whatever the lifetime is (RFC 9111 §3).
fn forbidden(request: &RequestFacts<'_>, response: &ResponseHeader, directives: &ResponseDirectives) -> Option<Reason> {
    let headers: &HeaderMap = &response.headers;
    let reason = if request.method != Method::GET && request.method != Method::HEAD {
        Reason::Method
    } else if request.no_store {
        Reason::RequestNoStore
    } else if response.status == StatusCode::PARTIAL_CONTENT {
        Reason::Partial
    } else if storable(response.status) == Storable::Never {
        Reason::StatusNotCacheable
    } else if headers.contains_key(CONTENT_RANGE) {
        Reason::ContentRange
    } else if directives.no_store {
        Reason::NoStore
    } else if directives.private {
        Reason::Private
    } else if directives.no_cache {
        // It might be stored and checked on every use; not storing is as correct, and what CloudFront does.
        Reason::NoCache
    } else if headers.contains_key(SET_COOKIE) {
        Reason::SetCookie
    } else if request.has_authorization
        && !(directives.public || directives.must_revalidate || directives.s_maxage.is_some())
    {
        Reason::Authorization
    } else if vary::has_star(headers) {
        Reason::VaryStar
    } else if headers.contains_key(TRAILER) {
        // The store keeps no trailers, and a viewer that was promised them should get them.
        Reason::Trailers
    } else {
        return None;
    };
    Some(reason)
}

/// What may be stored of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storable {
    /// Heuristically cacheable (RFC 9110 §15.1): also without explicit freshness.
    Heuristically,
    /// Only with `max-age`, `s-maxage` or `Expires`.
    Explicitly,
    /// Only with `s-maxage`. For failures of the origin: frameworks put `max-age` on every response, but who writes
    /// `s-maxage` means shared caches.
    ForSharedCaches,
    /// Never: not final, not understood, or not a whole response.
    Never,
}

fn storable(status: StatusCode) -> Storable {
    match status.as_u16() {
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501 => Storable::Heuristically,
        302 | 303 | 307 | 400 | 403 | 451 => Storable::Explicitly,
        500 | 502 | 503 | 504 => Storable::ForSharedCaches,
        _ => Storable::Never,
    }
}

/// The lifetime before age and clamping, `None` when nothing allows to store the response.
fn admitted_lifetime(
    request: &RequestFacts<'_>,
    status: StatusCode,
    directives: &ResponseDirectives,
    explicit: Option<Duration>,
    policy: &Ttl,
) -> Option<Duration> {
    match (storable(status), explicit) {
        (Storable::ForSharedCaches, _) if directives.s_maxage.is_none() => None,
        (Storable::Never, _) => None,
        (_, Some(lifetime)) => Some(lifetime),
        // `public` makes a status heuristically cacheable (RFC 9111 §4.2.2).
        (Storable::Heuristically, None) | (Storable::Explicitly, None)
            if !request.unkeyed_cookies && (storable(status) == Storable::Heuristically || directives.public) =>
        {
            let error = status.is_client_error() || status.is_server_error();
            Some(if error { policy.default.min(ERROR_TTL) } else { policy.default })
        }
        (_, None) => None,
    }
}

#[cfg(test)]
mod tests;
