//! The cache on the way of a request: whether it is asked, under which key, what may be stored, and what the viewer is told.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use edgeweir_cache::admission::Asking;
use edgeweir_cache::compress::Wanted;
use edgeweir_cache::freshness::{Times, stored_header};
use edgeweir_cache::storage::{MokaHit, Stored};
use edgeweir_cache::{
    CacheOutcome, Decision, KeyBuilder, Label, MethodClass, MokaStorage, Reason, RequestDirectives, RequestFacts,
    Selection, Tags, Wish, decide, filtered_cookies, vary,
};
use edgeweir_config::{Stage, ViewerDirectives};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, COOKIE, HOST, PRAGMA, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::cache::key::{CacheHashKey as _, HashBinary};
use pingora::cache::predictor::CacheablePredictor as _;
use pingora::cache::{CacheKey, CacheMeta, CacheOptionOverrides, ForcedFreshness, NoCacheReason, RespCacheable};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::context::RequestCtx;
use super::facts::viewer_fact;
pub(super) use super::told::{outcome, status, status_of_fault, why, x_cache};
use super::{attempts, compress, conditions, leaks, measure, request_body, revalidate};
use crate::edge::{CacheParts, Core};
use crate::runtime::clock::Clock;
use crate::snapshot::{Behavior, CachePolicy, ViewerFact};

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
    /// It has a condition that only the origin may evaluate (RFC 9111, 4.3.2).
    Condition,
}

/// Lets a request be answered from the cache or fill it, if it may.
pub(super) fn enable(session: &mut Session, cache: &CacheParts, ctx: &mut RequestCtx) {
    let Some(behavior) = ctx.behavior() else { return };
    let bodyless = !request_body::is_sent(session, ctx);
    let decided = lookup(session.req_header(), bodyless, session.is_upgrade_req(), behavior);
    let policy = &*behavior.cache;
    let (collapse, admits) = (policy.collapse, policy.admit.is_some());
    let personal = decided == Lookup::Asked && is_personal(&session.req_header().headers, policy);
    ctx.lookup = Some(decided);
    ctx.keyed = matches!(decided, Lookup::Asked | Lookup::Condition);
    if decided != Lookup::Asked {
        return;
    }
    // What is not stored is of no use to those who wait for it. An answer to credentials that are not in the key mostly is not
    // (RFC 9111, 3.5): nobody's wait may hang on who sends some.
    let alone = collapse.is_zero() || personal || directives(&session.req_header().headers).no_store;
    let lock = if alone { None } else { Some(cache.lock) };
    let mut wait = CacheOptionOverrides::default();
    wait.wait_timeout = Some(collapse);
    session.cache.enable(cache.storage, None, Some(cache.predictor), lock, Some(wait));
    if admits && !ctx.background {
        session.cache.set_admission_policy(cache.admission);
    }
}

/// The viewer's directives. Most requests have none.
pub(super) fn directives(headers: &HeaderMap) -> RequestDirectives {
    if headers.contains_key(CACHE_CONTROL) || headers.contains_key(PRAGMA) {
        RequestDirectives::of(headers)
    } else {
        RequestDirectives::default()
    }
}

/// Whether the viewer may ask more of the cache than a fresh object.
#[must_use]
pub(crate) fn heeds_viewer(policy: &CachePolicy, ctx: &RequestCtx) -> bool {
    match policy.viewer_directives {
        ViewerDirectives::Ignore => false,
        ViewerDirectives::Honour => true,
        ViewerDirectives::Trusted => ctx.conn.as_ref().is_some_and(|conn| ctx.snapshot.trusts(conn.peer.ip())),
    }
}

/// What else than its freshness decides about a stored object that was found.
pub(super) fn forced(
    session: &mut Session,
    meta: &CacheMeta,
    hit: &MokaHit,
    fresh: bool,
    ctx: &mut RequestCtx,
    clock: &dyn Clock,
) -> Option<ForcedFreshness> {
    if !fresh && hit.is_never_fresh() {
        // Each request has it checked; none gains by waiting for another's check.
        session.cache.set_cache_lock(None, None);
    }
    if ctx.background {
        if !fresh && meta.serve_stale_if_error(SystemTime::now()) {
            // It goes on to answer for a while, should this fail too.
            ctx.cover = hit.object();
        }
        return None;
    }
    let wish = match heeds_viewer(&ctx.behavior()?.cache, ctx) {
        true => directives(&session.req_header().headers).wish(meta, SystemTime::now()),
        false => Wish::None,
    };
    match wish {
        Wish::None if !fresh && meta.serve_stale_if_error(SystemTime::now()) => {
            let object = hit.object();
            let held = object.as_ref().map_or(0, Stored::answers_until);
            if attempts::are_down(ctx) || (held != 0 && clock.monotonic() < held) {
                // It would fail again, perhaps after a while, and this would answer all the same.
                ctx.origin_down = true;
                return Some(ForcedFreshness::ForceFresh);
            }
            ctx.cover = object;
            None
        }
        Wish::None => None,
        Wish::Stale => Some(ForcedFreshness::ForceFresh),
        Wish::Check => {
            if fresh {
                session.cache.set_cache_lock(None, None);
            }
            ctx.checked = true;
            Some(ForcedFreshness::ForceExpired)
        }
    }
}

/// Whether the cache is asked for a request with this head.
#[must_use]
pub(crate) fn lookup(req: &RequestHeader, bodyless: bool, upgrade: bool, behavior: &Behavior) -> Lookup {
    if behavior.cache.disabled {
        Lookup::Disabled
    } else if req.method != Method::GET && req.method != Method::HEAD {
        Lookup::Method
    } else if !bodyless {
        // A body is not in the key: what it makes an origin answer is for its sender only.
        Lookup::Body
    } else if upgrade {
        Lookup::Upgrade
    } else if conditions::are_the_origins(&req.headers) {
        Lookup::Condition
    } else {
        Lookup::Asked
    }
}

/// The key of a request, after viewer-request hooks.
///
/// # Errors
/// Only if the request was never routed.
pub(super) fn key(session: &Session, ctx: &mut RequestCtx) -> Result<CacheKey> {
    let req = session.req_header();
    match key_of(req, ctx) {
        Some(key) => {
            let mut key = key.into_key();
            // Hashed once: pingora asks for it at each step.
            key.set_primary_bin_override(key.primary_bin());
            if let Some(coding) = compress::wanted(req, ctx) {
                key.extensions.insert(Wanted { coding, now: SystemTime::now() });
            }
            if let Some(admit) = ctx.behavior().and_then(|behavior| behavior.cache.admit) {
                key.extensions.insert(Asking { admit, now: SystemTime::now() });
            }
            Ok(key)
        }
        None => Error::e_explain(ErrorType::InternalError, "a request without a route has no cache key"),
    }
}

/// The key of a request with this head; none if it was never routed, or its method has no key.
#[must_use]
pub(crate) fn key_of(req: &RequestHeader, ctx: &mut RequestCtx) -> Option<KeyBuilder> {
    MethodClass::of(&req.method)?;
    let facts = told_facts(ctx);
    let mut key = url_key((req.uri.path(), req.uri.query()), ctx)?;
    let policy = &ctx.behavior()?.cache;
    for name in policy.headers.iter().filter(|name| **name != HOST) {
        key.header(name, facts.as_ref().filter(|facts| facts.have(name)).map_or(&req.headers, |f| &f.values));
    }
    if let Some(codings) = compress::asked_of_origin(&req.headers, policy) {
        key.extra("accept-encoding", codings.as_bytes());
    }
    if policy.cookies != Selection::None && req.headers.contains_key(COOKIE) {
        key.cookies(&req.headers, &policy.cookies);
    }
    if let Some(conditions) = ctx.behavior().and_then(|behavior| behavior.conditions.as_deref()) {
        // Without it this URL may be another behavior's, with another origin.
        key.extra("match", conditions.label.as_bytes());
    }
    for part in &ctx.key_parts {
        key.extra("hook", part.as_bytes());
    }
    if let Some(chosen) = ctx.chosen_origin {
        // A hook that sends one URL to two origins must not mix up what they answer. No origin and group have one name.
        let group = ctx.origin_group().map(|group| &*group.name);
        let name = group.or_else(|| Some(ctx.member_of(chosen)?.config.name.as_str()));
        key.extra("origin", name?.as_bytes());
    }
    Some(key)
}

/// The part of keys that is the same for all variants of a URL, by its path and query.
#[must_use]
pub(super) fn url_key(target: (&str, Option<&str>), ctx: &RequestCtx) -> Option<KeyBuilder> {
    let (distribution, policy) = (ctx.distribution()?, &ctx.behavior()?.cache);
    let mut key = KeyBuilder::new(&distribution.name, MethodClass::Read);
    key.scheme(if ctx.https { "https" } else { "http" }).path(target.0.as_bytes()).query(target.1, &policy.query);
    // Where the origin gets the viewer's host, its answer may differ by it.
    if policy.host_in_key || ctx.sends_viewer_host() {
        key.host(ctx.authority.without_default_port(ctx.https));
    }
    Some(key)
}

/// Facts about the viewer that are in the key, as the origin is told them: the viewer's own head does not have them.
struct ToldFacts {
    policy: Arc<CachePolicy>,
    values: HeaderMap,
}

impl ToldFacts {
    fn have(&self, name: &HeaderName) -> bool {
        self.policy.facts.iter().any(|field| field.name == name)
    }
}

fn told_facts(ctx: &mut RequestCtx) -> Option<ToldFacts> {
    let policy = &ctx.behavior()?.cache;
    if policy.facts.is_empty() {
        return None;
    }
    let policy = Arc::clone(policy);
    let values = policy.facts.iter().filter_map(|field| Some((field.name.clone(), viewer_fact(field.fact, ctx)?)));
    let values = values.collect();
    Some(ToldFacts { policy, values })
}

/// The variance of a stored response for a request: by the viewer's fields and by the facts that the origin is told of it.
pub(super) fn variance(stored: &HeaderMap, req: &HeaderMap, ctx: &mut RequestCtx) -> Option<HashBinary> {
    if !stored.contains_key(VARY) {
        return None;
    }
    let prefix = &ctx.snapshot.config.viewer.header_prefix;
    let told = ctx.behavior().map_or(&[][..], |behavior| behavior.viewer_headers.as_slice());
    let fact = |name: &HeaderName| {
        let told = told.iter().find(|field| field.name == *name).map(|field| field.fact);
        told.or_else(|| ViewerFact::of(name.as_str(), prefix))
    };
    let facts: Vec<(HeaderName, ViewerFact)> = vary::names(stored)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter_map(|name| fact(&name).map(|fact| (name, fact)))
        .collect();
    let normalised = ctx.behavior().is_some_and(|behavior| !behavior.cache.accept_encoding.is_empty());
    let keyed = normalised.then_some(&ACCEPT_ENCODING);
    let cookies = sent_cookies(stored, req, ctx);
    if facts.is_empty() && cookies.is_none() {
        return vary::variance_beside(stored, req, keyed);
    }
    let mut seen = req.clone();
    match cookies {
        Some(Some(sent)) => drop(seen.insert(COOKIE, sent)),
        Some(None) => drop(seen.remove(COOKIE)),
        None => {}
    }
    for (name, fact) in facts {
        match viewer_fact(fact, ctx) {
            Some(value) => drop(seen.insert(name, value)),
            None => drop(seen.remove(name)),
        }
    }
    vary::variance_beside(stored, &seen, keyed)
}

/// The cookies that the origin got, where an answer varies by cookies and it gets other ones than the viewer sent. None where
/// somebody on the way may have read the others and made something of them: then all count.
#[expect(clippy::option_option, reason = "they may be other ones, and these may be none")]
fn sent_cookies(stored: &HeaderMap, req: &HeaderMap, ctx: &RequestCtx) -> Option<Option<HeaderValue>> {
    let behavior = ctx.behavior()?;
    let read = ctx.has_hooks_at(Stage::ViewerRequest)
        || ctx.has_hooks_at(Stage::OriginRequest)
        || behavior.authorizer.is_some();
    let policy = &behavior.cache;
    let varies = policy.sent_cookies != Selection::All
        && !read
        && req.contains_key(COOKIE)
        && vary::names(stored).any(|name| name.eq_ignore_ascii_case(COOKIE.as_str().as_bytes()));
    varies.then(|| filtered_cookies(req, &policy.sent_cookies))
}

/// Whether the viewer wants a stored answer or none.
#[must_use]
pub(super) fn only_if_cached(session: &Session) -> bool {
    directives(&session.req_header().headers).only_if_cached
}

/// Notes what was found in the store. Its place is only taken by what is fetched from now on.
pub(super) fn found(hit: &MokaHit, fresh: bool, ctx: &mut RequestCtx) {
    ctx.object_generation = hit.generation();
    ctx.found_stale = !fresh;
    ctx.coded = hit.coding().is_some();
    if !fresh {
        // As of the look-up: a purge since then is about what the origin confirms, too.
        ctx.fetch_mark = Some(hit.seen());
    }
}

/// Notes up to which purges and invalidations the origin is asked, before it is; or that the key was not looked up.
pub(super) fn fetch_begins(storage: &MokaStorage, session: &Session, ctx: &mut RequestCtx) {
    if session.cache.enabled() {
        ctx.fetch_mark.get_or_insert_with(|| storage.purges().mark());
    } else {
        ctx.bypassed = session.cache.bypassing();
    }
}

/// Takes the tags of a response and of its hooks, and, unless the policy sends them, the fields they came in.
pub(super) fn take_tags(head: &mut ResponseHeader, ctx: &mut RequestCtx) {
    let Some(policy) = ctx.behavior().map(|behavior| Arc::clone(&behavior.cache)) else { return };
    ctx.object_tags = Tags::of(&head.headers, &policy.tag_headers, ctx.tags.iter().map(|tag| &**tag));
    if !ctx.object_tags.is_empty() && !policy.send_tags {
        policy.tag_headers.iter().for_each(|name| drop(head.remove_header(name)));
    }
}

/// Takes the fields with tags off an answer that the cache has nothing to do with.
pub(super) fn hide_tags(head: &mut ResponseHeader, ctx: &RequestCtx) {
    let Some(policy) = ctx.behavior().map(|behavior| &behavior.cache).filter(|policy| !policy.send_tags) else {
        return;
    };
    // Most answers have none: looking through their few names costs less than the hashes of these.
    if head.headers.keys().any(|name| policy.tag_headers.contains(name)) {
        policy.tag_headers.iter().for_each(|name| drop(head.remove_header(name)));
    }
}

/// The generation of purges that the answer's content is from.
#[must_use]
pub(super) fn generation(ctx: &RequestCtx, outcome: CacheOutcome) -> u64 {
    match outcome {
        _ if outcome.is_served_from_cache() => ctx.object_generation,
        CacheOutcome::Bypass => 0,
        _ => ctx.fetch_mark.unwrap_or_default().generation,
    }
}

/// Whether a request carries credentials that are not in the key: who has them in the key gets what was made for the same.
fn has_authorization(headers: &HeaderMap, policy: &CachePolicy) -> bool {
    headers.contains_key(AUTHORIZATION) && !policy.headers.contains(&AUTHORIZATION)
}

/// Whether the origin gets something of the viewer's that is not in the key and keeps most answers out of the store.
fn is_personal(headers: &HeaderMap, policy: &CachePolicy) -> bool {
    has_authorization(headers, policy) || sends_unkeyed_cookies(headers, policy)
}

/// Whether the origin gets cookies of the viewer that are not in the key.
#[must_use]
pub(super) fn sends_unkeyed_cookies(headers: &HeaderMap, policy: &CachePolicy) -> bool {
    policy.sent_cookies != policy.cookies
        && filtered_cookies(headers, &policy.sent_cookies) != filtered_cookies(headers, &policy.cookies)
}

/// Decides whether a response may be stored, by RFC 9111 and the policy.
#[must_use]
pub(super) fn storable(
    session: &Session,
    head: &ResponseHeader,
    ctx: &mut RequestCtx,
    core: &Core,
    now: SystemTime,
) -> RespCacheable {
    let storage = core.cache.storage;
    let Some(behavior) = ctx.behavior() else { return RespCacheable::Uncacheable(NoCacheReason::NeverEnabled) };
    let req = session.req_header();
    let policy = Arc::clone(&behavior.cache);
    let mut rules = Cow::Borrowed(&policy.rules);
    let hook_ttl = ctx.ttl.map(|ttl| ttl.clamp(rules.ttl.min, rules.ttl.max));
    if let Some(ttl) = hook_ttl {
        // What may be stored at all is, for as long as the hook says.
        let rules = rules.to_mut();
        (rules.ttl.min, rules.ttl.default) = (ttl, ttl);
    }
    if head.status.as_u16() >= 400
        && let Some(ttl) = ctx.distribution().and_then(|found| found.errors.find(head.status.as_u16())?.ttl)
    {
        let errors = &mut rules.to_mut().errors;
        errors.retain(|(status, _)| *status != head.status.as_u16());
        errors.push((head.status.as_u16(), ttl));
        errors.sort_unstable();
    }
    let facts = RequestFacts {
        has_authorization: has_authorization(&req.headers, &policy),
        no_store: directives(&req.headers).no_store,
        response_delay: delay(ctx),
        unkeyed_cookies: sends_unkeyed_cookies(&req.headers, &policy),
        ..RequestFacts::new(&req.method)
    };
    if let Some(decided) = revalidate::updated(session, ctx, &facts, &rules, storage, now) {
        return decided;
    }
    if !storage.fits(head) {
        return revalidate::refuse(storage, session, head.status, ctx, Reason::TooLarge, now);
    }
    match decide(&facts, head, &rules, now) {
        Decision::Store(_)
            if session.cache.bypassing() && measure::was_too_large(session) && measure::is_open(head) =>
        {
            // Its end will tell.
            ctx.measured = (req.method == Method::GET).then_some(0);
            ctx.not_stored = Some(Reason::TooLarge);
            RespCacheable::Uncacheable(NoCacheReason::ResponseTooLarge)
        }
        Decision::Store(_) if session.cache.bypassing() => {
            // The key was not looked up, as its last answer could not be stored; so nothing was done for this one that is
            // done for what is stored (tags, generation, the whole in place of a range). The next one will be.
            if let Some(key) = session.cache.maybe_cache_key() {
                core.cache.predictor.mark_cacheable(key);
            }
            RespCacheable::Uncacheable(NoCacheReason::Deferred)
        }
        Decision::Store(_) if leaks::forbid(core, &policy, head, ctx) => {
            revalidate::refuse(storage, session, head.status, ctx, Reason::KeyLeak, now)
        }
        Decision::Store(mut freshness) => {
            if let Some(ttl) = hook_ttl.filter(|_ttl| freshness.fresh_until > freshness.epoch) {
                freshness.fresh_until = freshness.created + ttl;
            }
            ctx.measured = measure::is_open(head).then_some(0);
            let (mut header, left_out) = stored_header(head, &rules);
            ctx.left_out = left_out;
            revalidate::date(&mut header, Times::of(&head.headers), now);
            let mut meta = freshness.into_meta(header);
            let mark = ctx.fetch_mark.unwrap_or_default();
            let label = Label { mark, tags: ctx.object_tags.clone() };
            // Who has asked before may follow it all the same.
            match session.cache.maybe_cache_key().is_some_and(|key| storage.is_overtaken(key, &label)) {
                true => ctx.not_stored = Some(Reason::Purged),
                false => ctx.stored = true,
            }
            meta.extensions_mut().insert(label);
            RespCacheable::Cacheable(meta)
        }
        Decision::Refuse(reason) => revalidate::refuse(storage, session, head.status, ctx, reason, now),
    }
}

/// From asking the origin to its head (RFC 9111, 4.2.3).
fn delay(ctx: &RequestCtx) -> Duration {
    match ctx.origin_times {
        (Some(asked), Some(answered)) => Duration::from_nanos(answered.saturating_sub(asked)),
        _ => Duration::ZERO,
    }
}
