//! The cache on the way of a request: whether it is asked, under which key, what may be stored, and what the viewer is told.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use edgeweir_cache::compress::Wanted;
use edgeweir_cache::outcome::refusal;
use edgeweir_cache::storage::MokaHit;
use edgeweir_cache::{
    CacheOutcome, CacheStatus, Decision, KeyBuilder, Label, MethodClass, MokaStorage, Reason, RequestDirectives,
    RequestFacts, Selection, Tags, decide,
};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE};
use http::{HeaderValue, Method};
use pingora::cache::{CacheKey, NoCacheReason, RespCacheable};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::compress;
use super::context::RequestCtx;
use crate::snapshot::Behavior;

/// Whether the cache is asked for a request, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It is, and may be filled with the answer.
    Asked,
    /// The request has a body.
    Body,
    /// The policy stores nothing.
    Disabled,
    /// The method is neither GET nor HEAD.
    Method,
    /// It becomes another protocol.
    Upgrade,
}

/// Whether a request may be answered from the cache or fill it.
#[must_use]
pub(super) fn applies(session: &mut Session, behavior: &Behavior) -> bool {
    let bodyless = session.is_body_empty();
    lookup(session.req_header(), bodyless, session.is_upgrade_req(), behavior) == Lookup::Asked
}

/// Whether the cache is asked for a request with this head.
#[must_use]
pub(crate) fn lookup(req: &RequestHeader, bodyless: bool, upgrade: bool, behavior: &Behavior) -> Lookup {
    if !bodyless {
        // A body is not in the key: what it makes an origin answer is for its sender only.
        Lookup::Body
    } else if behavior.cache.disabled {
        Lookup::Disabled
    } else if req.method != Method::GET && req.method != Method::HEAD {
        Lookup::Method
    } else if upgrade {
        Lookup::Upgrade
    } else {
        Lookup::Asked
    }
}

/// The key of a request, after viewer-request hooks.
///
/// # Errors
/// Only if the request was never routed.
pub(super) fn key(session: &Session, ctx: &RequestCtx) -> Result<CacheKey> {
    let req = session.req_header();
    match key_of(req, ctx) {
        Some(key) => {
            let mut key = key.into_key();
            if let Some(coding) = compress::wanted(req, ctx) {
                key.extensions.insert(Wanted { coding, now: SystemTime::now() });
            }
            Ok(key)
        }
        None => Error::e_explain(ErrorType::InternalError, "a request without a route has no cache key"),
    }
}

/// The key of a request with this head; none if it was never routed, or its method has no key.
#[must_use]
pub(crate) fn key_of(req: &RequestHeader, ctx: &RequestCtx) -> Option<KeyBuilder> {
    let (distribution, behavior) = (ctx.distribution()?, ctx.behavior()?);
    let class = MethodClass::of(&req.method)?;
    let policy = &behavior.cache;
    let mut key = KeyBuilder::new(&distribution.name, class);
    key.scheme(if ctx.https { "https" } else { "http" })
        .path(req.uri.path().as_bytes())
        .query(req.uri.query(), &policy.query);
    let mut host_keyed = false;
    for name in &policy.headers {
        if *name == http::header::HOST {
            host_keyed = true;
            key.host(ctx.authority.without_default_port(ctx.https));
        } else {
            key.header(name, &req.headers);
        }
    }
    if !host_keyed && ctx.origin().is_some_and(|origin| origin.host_header.is_none()) {
        // The origin gets the viewer's host, so its answer may differ by it.
        key.host(ctx.authority.without_default_port(ctx.https));
    }
    if policy.cookies != Selection::None && req.headers.contains_key(COOKIE) {
        key.cookies(&req.headers, &policy.cookies);
    }
    for part in &ctx.key_parts {
        key.extra("hook", part.as_bytes());
    }
    if let Some(origin) = ctx.chosen_origin.and_then(|index| ctx.snapshot.origins.get(index)) {
        // A hook that sends one URL to two origins must not mix up what they answer.
        key.extra("origin", origin.config.name.as_bytes());
    }
    Some(key)
}

/// Whether the viewer wants a stored answer or none.
#[must_use]
pub(super) fn only_if_cached(session: &Session) -> bool {
    let headers = &session.req_header().headers;
    headers.contains_key(CACHE_CONTROL) && RequestDirectives::of(headers).only_if_cached
}

/// Notes what was found in the store. Its place is only taken by what is fetched from now on.
pub(super) fn found(hit: &MokaHit, fresh: bool, ctx: &mut RequestCtx) {
    ctx.object_generation = hit.generation();
    ctx.coded = hit.coding().is_some();
    if !fresh {
        // As of the look-up: a purge since then is about what the origin confirms, too.
        ctx.fetch_generation = Some(hit.seen());
    }
}

/// Notes under which generation of purges the origin is asked, before it is.
pub(super) fn fetch_begins(storage: &MokaStorage, ctx: &mut RequestCtx) {
    ctx.fetch_generation.get_or_insert_with(|| storage.purges().generation());
}

/// Takes the tags of a response, and, unless the policy sends them, the fields they came in.
pub(super) fn take_tags(head: &mut ResponseHeader, ctx: &mut RequestCtx) {
    let Some(policy) = ctx.behavior().map(|behavior| Arc::clone(&behavior.cache)) else { return };
    ctx.tags = Tags::of(&head.headers, &policy.tag_headers, []);
    if !ctx.tags.is_empty() && !policy.send_tags {
        policy.tag_headers.iter().for_each(|name| drop(head.remove_header(name)));
    }
}

/// The generation of purges that the answer's content is from.
#[must_use]
pub(super) fn generation(ctx: &RequestCtx, outcome: CacheOutcome) -> u64 {
    match outcome {
        _ if outcome.is_served_from_cache() => ctx.object_generation,
        CacheOutcome::Bypass => 0,
        _ => ctx.fetch_generation.unwrap_or_default(),
    }
}

/// Decides whether a response may be stored, by RFC 9111 and the policy.
#[must_use]
pub(super) fn storable(
    session: &Session,
    head: &ResponseHeader,
    ctx: &mut RequestCtx,
    storage: &MokaStorage,
    now: SystemTime,
) -> RespCacheable {
    let Some(behavior) = ctx.behavior() else { return RespCacheable::Uncacheable(NoCacheReason::NeverEnabled) };
    let req = session.req_header();
    let mut policy = behavior.cache.ttl;
    let hook_ttl = ctx.ttl.map(|ttl| ttl.clamp(policy.min, policy.max));
    if let Some(ttl) = hook_ttl {
        // What may be stored at all is, for as long as the hook says.
        (policy.min, policy.default) = (ttl, ttl);
    }
    let facts = RequestFacts {
        has_authorization: req.headers.contains_key(AUTHORIZATION),
        no_store: req.headers.contains_key(CACHE_CONTROL) && RequestDirectives::of(&req.headers).no_store,
        response_delay: delay(ctx),
        revalidated: ctx.revalidated,
        ..RequestFacts::new(&req.method)
    };
    if !storage.fits(head) {
        ctx.not_stored = Some(Reason::TooLarge);
        return RespCacheable::Uncacheable(Reason::TooLarge.into());
    }
    match decide(&facts, head, &policy, now) {
        Decision::Store(mut freshness) => {
            if let Some(ttl) = hook_ttl {
                freshness.fresh_until = freshness.created + ttl;
            }
            ctx.stored = true;
            let mut meta = freshness.into_meta(head.clone());
            let generation = ctx.fetch_generation.unwrap_or_default();
            meta.extensions_mut().insert(Label { generation, tags: ctx.tags.clone() });
            RespCacheable::Cacheable(meta)
        }
        Decision::Refuse(reason) => {
            ctx.not_stored = Some(reason);
            RespCacheable::Uncacheable(reason.into())
        }
    }
}

/// From asking the origin to its head (RFC 9111, 4.2.3).
fn delay(ctx: &RequestCtx) -> Duration {
    match ctx.origin_times {
        (Some(asked), Some(answered)) => Duration::from_nanos(answered.saturating_sub(asked)),
        _ => Duration::ZERO,
    }
}

/// What the cache did, once the answer's head is known.
#[must_use]
pub(super) fn outcome(session: &Session) -> CacheOutcome {
    let waited = session.cache.lock_duration().is_some_and(|waited| !waited.is_zero());
    CacheOutcome::of(session.cache.phase(), waited)
}

/// `Cache-Status` (RFC 9211) for the viewer.
#[must_use]
pub(super) fn status(session: &Session, ctx: &RequestCtx, outcome: CacheOutcome) -> HeaderValue {
    if outcome == CacheOutcome::Bypass && ctx.not_stored.is_none() {
        return HeaderValue::from_static("edgeweir; fwd=bypass");
    }
    let ttl = session.cache.enabled().then(|| session.cache.maybe_cache_meta()).flatten().map(|meta| {
        let now = SystemTime::now();
        match meta.fresh_until().duration_since(now) {
            Ok(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            Err(late) => i64::try_from(late.duration().as_secs()).map_or(i64::MIN, |late| -late),
        }
    });
    let status = CacheStatus {
        forward_status: ctx.origin_status,
        ttl,
        stored: ctx.stored,
        generation: generation(ctx, outcome),
        detail: why(session, ctx),
        ..CacheStatus::new(outcome)
    };
    HeaderValue::from_str(&status.to_string()).unwrap_or_else(|_invalid| HeaderValue::from_static("edgeweir"))
}

/// Why the cache did not store.
#[must_use]
pub(super) fn why(session: &Session, ctx: &RequestCtx) -> Option<&'static str> {
    ctx.not_stored.map(Reason::as_str).or_else(|| refusal(session.cache.phase()))
}
