//! What the cache says of itself: the outcome in log and metrics, `Cache-Status` (RFC 9211), `X-Cache`.

use std::io::Write as _;
use std::time::SystemTime;

use edgeweir_cache::outcome::refusal;
use edgeweir_cache::{CacheOutcome, CacheStatus, Forward};
use http::HeaderValue;
use pingora::cache::CachePhase;
use pingora::proxy::Session;

use super::cache::{Lookup, generation};
use super::context::RequestCtx;
use crate::fault::Fault;

impl Lookup {
    /// Why the cache is not asked, as `detail` and the log say it. None where it is, and where `fwd` says it.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Asked | Self::Method => None,
            Self::Body => Some("request-body"),
            Self::Disabled => Some("disabled"),
            Self::Upgrade => Some("upgrade"),
            Self::Condition => Some("condition"),
        }
    }

    /// `Cache-Status` of a request that the cache is not asked for. Checked when this is compiled, not for each request.
    fn status(self) -> HeaderValue {
        match self {
            Self::Asked => const { HeaderValue::from_static("edgeweir; fwd=bypass") },
            Self::Method => const { HeaderValue::from_static("edgeweir; fwd=method") },
            Self::Body => const { HeaderValue::from_static("edgeweir; fwd=bypass; detail=request-body") },
            Self::Disabled => const { HeaderValue::from_static("edgeweir; fwd=bypass; detail=disabled") },
            Self::Upgrade => const { HeaderValue::from_static("edgeweir; fwd=bypass; detail=upgrade") },
            Self::Condition => const { HeaderValue::from_static("edgeweir; fwd=bypass; detail=condition") },
        }
    }
}

/// What the cache did, once the answer's head is known.
#[must_use]
pub(super) fn outcome(session: &Session, ctx: &RequestCtx) -> CacheOutcome {
    match session.cache.phase() {
        CachePhase::Hit if ctx.origin_down => CacheOutcome::Stale,
        // pingora forgets what was found when it gives the cache up.
        CachePhase::Disabled(_) if ctx.bypassed => CacheOutcome::Bypass,
        CachePhase::Disabled(_) if ctx.found_stale || ctx.checked => CacheOutcome::Expired,
        phase => {
            let waited = session.cache.lock_duration().is_some_and(|waited| !waited.is_zero());
            CacheOutcome::of(phase, waited)
        }
    }
}

/// Bytes of the longest `Cache-Status`: its parameters with the largest numbers, and a detail of 64 escaped characters.
const MAX_STATUS: usize = 320;

/// `Cache-Status` (RFC 9211) for the viewer.
#[must_use]
pub(super) fn status(session: &Session, ctx: &RequestCtx, outcome: CacheOutcome) -> HeaderValue {
    if let Some(lookup) = ctx.lookup.filter(|lookup| *lookup != Lookup::Asked) {
        return lookup.status();
    }
    let ttl = session.cache.enabled().then(|| session.cache.maybe_cache_meta()).flatten().map(|meta| {
        let now = SystemTime::now();
        match meta.fresh_until().duration_since(now) {
            Ok(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            Err(late) => i64::try_from(late.duration().as_secs()).map_or(i64::MIN, |late| -late),
        }
    });
    let status = CacheStatus {
        forward: forward(session, ctx, outcome),
        forward_status: ctx.origin_status,
        ttl,
        stored: ctx.stored,
        generation: generation(ctx, outcome),
        detail: why(session, ctx),
        ..CacheStatus::new(outcome)
    };
    written(&status)
}

/// `Cache-Status` of a fault's answer: whether the request went forward, with the fault in the place of what the cache did. None
/// for a request that the cache had no part in yet.
#[must_use]
pub(super) fn status_of_fault(session: &Session, ctx: &RequestCtx, fault: Fault) -> Option<HeaderValue> {
    let lookup = ctx.lookup?;
    let varied = || session.cache.maybe_cache_key().is_some_and(|key| key.get_variance_key().is_some());
    let forward = match lookup {
        _ if ctx.attempts.count == 0 => None,
        Lookup::Method => Some(Forward::Method),
        Lookup::Asked if ctx.bypassed => Some(Forward::Bypass),
        Lookup::Asked if ctx.checked => Some(Forward::Request),
        Lookup::Asked if ctx.found_stale => Some(Forward::Stale),
        Lookup::Asked if varied() => Some(Forward::VaryMiss),
        Lookup::Asked => Some(Forward::UriMiss),
        Lookup::Body | Lookup::Disabled | Lookup::Upgrade | Lookup::Condition => Some(Forward::Bypass),
    };
    Some(written(&CacheStatus {
        forward,
        forward_status: ctx.origin_status,
        detail: Some(fault.as_str()),
        ..CacheStatus::new(CacheOutcome::Miss)
    }))
}

fn written(status: &CacheStatus<'_>) -> HeaderValue {
    let mut text = [0; MAX_STATUS];
    let mut rest = &mut text[..];
    // What is too long for it is left as far as it goes, which nothing is.
    let _always = write!(rest, "{status}");
    let left = rest.len();
    HeaderValue::from_bytes(&text[..MAX_STATUS - left]).unwrap_or_else(|_invalid| HeaderValue::from_static("edgeweir"))
}

/// Why the request went on to the origin (RFC 9211, 2.2).
fn forward(session: &Session, ctx: &RequestCtx, outcome: CacheOutcome) -> Option<Forward> {
    match outcome {
        // It was asked, and failed.
        CacheOutcome::Stale if ctx.covered.is_some() => Some(Forward::Stale),
        CacheOutcome::Expired | CacheOutcome::Revalidated if ctx.checked => Some(Forward::Request),
        CacheOutcome::Miss if session.cache.maybe_cache_key().is_some_and(|key| key.get_variance_key().is_some()) => {
            Some(Forward::VaryMiss)
        }
        outcome => outcome.forward(),
    }
}

/// Why the cache did what it did: what kept the answer from being stored, or let a stale one answer.
#[must_use]
pub(super) fn why(session: &Session, ctx: &RequestCtx) -> Option<&'static str> {
    if let Some(reason) = ctx.not_stored {
        return Some(reason.as_str());
    }
    match session.cache.phase() {
        CachePhase::Stale if ctx.covered.is_some() => Some("stale-if-error"),
        CachePhase::StaleUpdating => Some("stale-while-revalidate"),
        CachePhase::Hit if ctx.origin_down => Some("origin-down"),
        phase => refusal(phase).or_else(|| ctx.lookup?.word()),
    }
}

/// `X-Cache` in CloudFront's words (as its answers have it; AWS lists them nowhere), of an answer with this status. None for
/// what neither cache, origin nor hook had a part in: preflights, purges.
#[must_use]
pub(super) fn x_cache(ctx: &RequestCtx, status: u16) -> Option<HeaderValue> {
    let made = ctx.origin_status.is_none() && ctx.outcome.is_some_and(|outcome| !outcome.is_served_from_cache());
    let said = match (ctx.fault, ctx.outcome) {
        _ if ctx.redirected => "Redirect from cloudfront",
        (Some(fault), _) => fault.x_cache(),
        _ if ctx.answered_by_hook || made => "LambdaGeneratedResponse from cloudfront",
        (None, None) if ctx.origin_status.is_none() => return None,
        // A page does not make it another answer, whatever status it comes with.
        _ if status >= 400 || ctx.paged => "Error from cloudfront",
        (None, Some(CacheOutcome::Hit | CacheOutcome::Stale | CacheOutcome::Collapsed)) => "Hit from cloudfront",
        (None, Some(CacheOutcome::Revalidated)) => "RefreshHit from cloudfront",
        _ => "Miss from cloudfront",
    };
    Some(HeaderValue::from_static(said))
}
