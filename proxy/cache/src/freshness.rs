//! May a response be stored, and until when is it fresh? RFC 9111 for a shared cache, read conservatively.
//!
//! The policy's TTLs have CloudFront's meaning (see [`Ttl`]), with one difference: CloudFront stores what says
//! `no-store`, `no-cache` or `private` for the minimum TTL; here such a response is never stored, or (`no-cache` with a
//! validator) checked with the origin on each use. A minimum only lengthens the life of what may be used anyway.
//!
//! This module must not know the cache's storage or key, and reads no clock.

mod lifetime;
mod reason;
mod status;
mod times;

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_RANGE, ETAG, LAST_MODIFIED, SET_COOKIE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::cache::CacheMeta;
use pingora::http::ResponseHeader;

use crate::cache_control::{MAX_DELTA_SECONDS, ResponseDirectives, directives};
use crate::targeted::{self, Source};
use crate::vary;

pub use reason::Reason;
use status::Storable;
pub use times::{Times, own_lifetime};

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

/// What is done with a response that sets cookies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SetCookie {
    /// It is not stored.
    #[default]
    Refuse,
    /// It is stored without them; only the viewer that it was fetched for gets them.
    Strip,
}

/// A cache policy's rules on storing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Times to live.
    pub ttl: Ttl,
    /// Guess a lifetime from `Last-Modified` where the origin gives none (RFC 9111 §4.2.2).
    pub heuristic: bool,
    /// Responses that set cookies.
    pub set_cookie: SetCookie,
    /// Seconds in which a stale response may be used while it is fetched again, if the origin does not say.
    pub stale_while_revalidate: u32,
    /// Seconds in which a stale response may be used when the origin fails, if the origin does not say.
    pub stale_if_error: u32,
    /// The least life of a status from 400 on, sorted by status: CloudFront's `ErrorCachingMinTTL`. Such a status is
    /// stored also if the origin gives no lifetime; with zero never.
    pub errors: Vec<(u16, Duration)>,
}

impl From<Ttl> for Rules {
    fn from(ttl: Ttl) -> Self {
        Self {
            ttl,
            heuristic: false,
            set_cookie: SetCookie::Refuse,
            stale_while_revalidate: 0,
            stale_if_error: 0,
            errors: Vec::new(),
        }
    }
}

impl Rules {
    /// How long an error with this status is kept, if the policy says so (CloudFront: "Error caching minimum TTL").
    #[must_use]
    pub fn error_ttl(&self, status: StatusCode) -> Option<Duration> {
        let at = self.errors.binary_search_by_key(&status.as_u16(), |(status, _)| *status).ok()?;
        self.errors.get(at).map(|(_, ttl)| *ttl)
    }
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
pub fn decide(request: &RequestFacts<'_>, response: &ResponseHeader, rules: &Rules, now: SystemTime) -> Decision {
    let told = targeted::directives_of(&response.headers);
    let directives = &told.0;
    if let Some(reason) = forbidden(request, response, directives, rules) {
        return Decision::Refuse(reason);
    }
    let policy = &rules.ttl;
    let times = request.revalidated.unwrap_or_else(|| Times::of(&response.headers));
    let Some(lifetime) = lifetime::of(request, response, &told, &times, rules, now) else {
        return Decision::Refuse(match rules.error_ttl(response.status) {
            Some(_zero) => Reason::ErrorTtlZero,
            None if request.unkeyed_cookies => Reason::UnkeyedCookies,
            None => Reason::NotExplicit,
        });
    };
    if policy.max.is_zero() {
        return Decision::Refuse(Reason::TtlZero);
    }

    let age = times.age(now, request.response_delay);
    let mut remaining = lifetime.seconds.saturating_sub(age);
    if lifetime.explicit {
        remaining = remaining.min(policy.max);
    }
    remaining = remaining.max(policy.min).min(LONGEST);
    if directives.no_cache {
        remaining = Duration::ZERO;
    }

    let windows = stale_windows(directives, rules, response.status, !remaining.is_zero());
    if remaining.is_zero() && windows == (0, 0) {
        // It may still spare the origin a body, where it can be checked (RFC 9111 §4.3.1).
        if !(response.status == StatusCode::OK
            && has_validator(&response.headers)
            && (lifetime.explicit || directives.no_cache))
        {
            return Decision::Refuse(match () {
                () if directives.no_cache => Reason::NoCache,
                () if lifetime.seconds.is_zero() => Reason::TtlZero,
                () => Reason::AlreadyStale,
            });
        }
    }
    // A response that came stale has been so since its lifetime ended: its stale windows run from then.
    let overdue = if remaining.is_zero() { age.saturating_sub(lifetime.seconds) } else { Duration::ZERO };
    let epoch = times::earlier(now, age);
    // What has to be checked on each use is stale from its first moment.
    let fresh_until = if directives.no_cache { epoch } else { times::earlier(now + remaining, overdue) };
    Decision::Store(Freshness {
        fresh_until,
        created: now,
        epoch,
        stale_while_revalidate: windows.0,
        stale_if_error: windows.1,
    })
}

/// No time above this is kept, whatever policy and origin say (RFC 9111 §1.2.2).
const LONGEST: Duration = Duration::from_secs(MAX_DELTA_SECONDS as u64);

/// The seconds in which the response may be used stale: while it is fetched again, and when the origin fails. What the
/// origin says wins over the policy; nothing wins over `must-revalidate`. The policy's windows are for responses that
/// were `fresh` once and are no failures themselves; no stored error covers another by the policy's word.
fn stale_windows(directives: &ResponseDirectives, rules: &Rules, status: StatusCode, fresh: bool) -> (u32, u32) {
    if directives.forbids_stale() {
        return (0, 0);
    }
    let longest = u32::try_from(rules.ttl.max.as_secs()).unwrap_or(MAX_DELTA_SECONDS);
    let unasked = fresh && !status.is_server_error() && !directives.forbids_unasked_stale();
    let window = |asked: Option<u32>, policy: u32| asked.unwrap_or(if unasked { policy } else { 0 }).min(longest);
    (
        window(directives.stale_while_revalidate, rules.stale_while_revalidate),
        window(directives.stale_if_error, if status.is_client_error() { 0 } else { rules.stale_if_error }),
    )
}

fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED)
}

/// What forbids storing whatever the lifetime is (RFC 9111 §3).
fn forbidden(
    request: &RequestFacts<'_>,
    response: &ResponseHeader,
    directives: &ResponseDirectives,
    rules: &Rules,
) -> Option<Reason> {
    let headers: &HeaderMap = &response.headers;
    let reason = if request.method != Method::GET && request.method != Method::HEAD {
        Reason::Method
    } else if request.no_store {
        Reason::RequestNoStore
    } else if response.status == StatusCode::PARTIAL_CONTENT {
        Reason::Partial
    } else if status::storable(response.status) == Storable::Never {
        Reason::StatusNotCacheable
    } else if headers.contains_key(CONTENT_RANGE) {
        Reason::ContentRange
    } else if directives.must_understand && !status::is_understood(response.status) {
        Reason::NotUnderstood
    } else if directives.no_store && !directives.must_understand {
        // `must-understand` is for caches that know it, `no-store` beside it for those that do not (§5.2.2.3).
        Reason::NoStore
    } else if directives.private {
        Reason::Private
    } else if sets_cookie(headers, directives, rules) {
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

/// Whether a cookie would be stored.
fn sets_cookie(headers: &HeaderMap, directives: &ResponseDirectives, rules: &Rules) -> bool {
    headers.contains_key(SET_COOKIE)
        && rules.set_cookie == SetCookie::Refuse
        && !(directives.qualified && fields_not_stored(headers).any(|name| name == SET_COOKIE))
}

/// The fields that `no-cache` or `private` with a list name: the rest of the response may be stored without them
/// (RFC 9111 §5.2.2.4, §5.2.2.7).
pub fn fields_not_stored(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    directives(headers)
        .filter(|directive| directive.quoted && (directive.is("no-cache") || directive.is("private")))
        .flat_map(|directive| directive.fields().collect::<Vec<_>>())
}

/// The header to store, and the fields that are left out of it: those that may not be stored, and cookies if the rules say so.
pub fn stored_header(response: &ResponseHeader, rules: &Rules) -> (ResponseHeader, Vec<(HeaderName, HeaderValue)>) {
    let mut header = response.clone();
    let mut left_out = Vec::new();
    let mut leave_out = |name: &HeaderName| {
        left_out.extend(header.headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        header.remove_header(name);
    };
    let (directives, source) = targeted::directives_of(&response.headers);
    if directives.qualified && source == Source::CacheControl {
        fields_not_stored(&response.headers).for_each(|name| leave_out(&name));
    }
    if rules.set_cookie == SetCookie::Strip {
        leave_out(&SET_COOKIE);
    }
    (header, left_out)
}

#[cfg(test)]
mod tests;
