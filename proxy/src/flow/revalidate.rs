//! Stale objects: a 304 of the origin about one, and failures of the origin that one covers.

use std::time::SystemTime;

use edgeweir_cache::freshness::Times;
use edgeweir_cache::storage::MokaHit;
use edgeweir_cache::{Decision, Label, MokaStorage, Reason, RequestFacts, Rules, Validation, decide};
use http::header::{DATE, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use pingora::cache::{CacheMeta, CachePhase, NoCacheReason, RespCacheable};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use super::context::RequestCtx;
use super::{blame, edits};
use crate::fault::Fault;
use crate::runtime::clock::Clock;

/// What pingora calls a 304 that nothing is stored for.
const WITHOUT_OBJECT: &str = "304 on miss";

/// Takes what a 304 says of the stored object that it is about.
///
/// # Errors
/// If there is none, and the viewer has nothing either that the origin could mean.
pub(super) fn take(
    storage: &MokaStorage,
    session: &mut Session,
    head: &ResponseHeader,
    ctx: &mut RequestCtx,
) -> Result<(), Fault> {
    if head.status != StatusCode::NOT_MODIFIED {
        return Ok(());
    }
    if !session.cache.enabled() {
        let asked = &session.req_header().headers;
        // The origin was asked for the whole; but if the viewer has something, it is told what the origin says of it.
        // An origin-request hook may have made it conditional.
        let conditional =
            asked.contains_key(IF_NONE_MATCH) || asked.contains_key(IF_MODIFIED_SINCE) || !ctx.origin_edits.is_empty();
        return if conditional { Ok(()) } else { Err(Fault::OriginProtocol) };
    }
    if session.cache.phase() == CachePhase::Stale {
        let object = session.cache.hit_handler().as_any().downcast_ref::<MokaHit>().map(MokaHit::object_id);
        // The weak tag of a coded form is the edge's making: the origin speaks of the plain one.
        let plain = if ctx.coded { storage.stored(session.cache.cache_key()) } else { None };
        let plain = plain.filter(|plain| Some(plain.id()) == object);
        if let Some(stored) = session.cache.maybe_cache_meta().map(CacheMeta::headers) {
            let plain = plain.as_ref().map_or(stored, |plain| &plain.header().headers);
            let validation = Validation::of_form(&head.headers, stored, plain);
            ctx.validation = Some(Box::new((validation, object)));
        }
    }
    Ok(())
}

/// Decides about a stored object that a 304 came for. `facts` are those of the request.
pub(super) fn updated(
    session: &Session,
    ctx: &mut RequestCtx,
    facts: &RequestFacts<'_>,
    rules: &Rules,
    storage: &MokaStorage,
    now: SystemTime,
) -> Option<RespCacheable> {
    let validation = ctx.validation.take()?;
    let (told, object) = &*validation;
    let mut header = session.cache.maybe_cache_meta()?.response_header_copy();
    let decision = match told.refused() {
        Some(reason) => Decision::Refuse(reason),
        None => {
            told.update(&mut header);
            let facts = RequestFacts { revalidated: Some(told.times()), ..*facts };
            decide(&facts, &header, rules, now)
        }
    };
    let decided = match decision {
        Decision::Store(freshness) => {
            let (mut header, left_out) = edgeweir_cache::freshness::stored_header(&header, rules);
            // What the 304 itself brought is for this viewer. The rest was stored, and may not be used any more.
            ctx.left_out = left_out;
            ctx.left_out.retain(|(name, _)| told.has(name));
            date(&mut header, told.times(), now);
            let mut meta = freshness.into_meta(header);
            // What the origin confirmed is as new as a fetch that began when it was asked.
            let mark = ctx.fetch_mark.unwrap_or_default();
            meta.extensions_mut().insert(Label { mark, tags: ctx.object_tags.clone() });
            if let Some(object) = object {
                meta.extensions_mut().insert(*object);
            }
            RespCacheable::Cacheable(meta)
        }
        Decision::Refuse(reason) => {
            if let Some(key) = session.cache.maybe_cache_key().filter(|_key| reason.unsettles_stored()) {
                storage.forget(key);
            }
            refuse(storage, session, StatusCode::NOT_MODIFIED, ctx, reason, now)
        }
    };
    ctx.validation = Some(validation);
    Some(decided)
}

/// Gives a response, or a stored one that was confirmed by a 304, the time of its arrival if it came without a `Date`
/// ("MUST record the time it was received", RFC 9110, 6.6.1): or each hit would have another one. `told` is what it said.
pub(super) fn date(header: &mut ResponseHeader, told: Times, now: SystemTime) {
    if told.date.is_none()
        && let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(now))
    {
        edits::set(header, DATE, now);
    }
}

/// What pingora is told of a response that is not stored, where it says nothing of the next one.
const OF_ONE_REQUEST: &str = "of-one-request";

/// Does not store a response. The key is remembered then, so that the next requests wait for nobody; but not if something is
/// stored under it that they may still get: another variant, an object that is fresh yet, or one that a failure of the
/// origin with this status does not outdate. An object that the response does outdate answers no more while it is stale.
pub(super) fn refuse(
    storage: &MokaStorage,
    session: &Session,
    status: StatusCode,
    ctx: &mut RequestCtx,
    reason: Reason,
    now: SystemTime,
) -> RespCacheable {
    ctx.not_stored = Some(reason);
    let key = session.cache.maybe_cache_key();
    let stale = (session.cache.phase() == CachePhase::Stale).then(|| session.cache.maybe_cache_meta()).flatten();
    let failed = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let good = stale.is_some_and(|stored| failed || stored.is_fresh(now));
    let varies = key.is_some_and(|key| key.get_variance_key().is_some())
        || stale.is_some_and(|stored| stored.variance().is_some());
    if let (Some(key), Some(_)) = (key, stale)
        && !(good || status == StatusCode::NOT_MODIFIED || is_of_one_request(reason.as_str()))
    {
        storage.retire(key, now);
    }
    RespCacheable::Uncacheable(if varies || good { NoCacheReason::Custom(OF_ONE_REQUEST) } else { reason.into() })
}

/// The status of an origin's answer that pingora asks about; none for other failures.
pub(super) fn status_of(error: &Error) -> Option<StatusCode> {
    match (error.etype(), error.esource()) {
        (ErrorType::HTTPStatus(status), ErrorSource::Upstream) => StatusCode::from_u16(*status).ok(),
        _ => None,
    }
}

/// Whether a stale object covers a failure of the origin; pingora has looked whether its time allows that. If it does, it
/// covers the next requests too without that the origin is asked, for as long as the policy keeps such an error, or else
/// for the origin's `failure_memory` (CloudFront: "How CloudFront processes HTTP 4xx and 5xx status codes from your origin").
pub(super) fn covers(ctx: &mut RequestCtx, error: &Error, clock: &dyn Clock) -> bool {
    let fault = match (error.etype(), error.esource()) {
        (ErrorType::HTTPStatus(status), ErrorSource::Upstream) => {
            ctx.origin_status = Some(*status);
            Fault::OriginProtocol
        }
        _ => blame::of(ctx, error),
    };
    if !fault.is_origins() {
        return false;
    }
    ctx.fault = None;
    ctx.covered = Some(fault);
    if let Some(object) = ctx.cover.take() {
        let status = match error.etype() {
            ErrorType::HTTPStatus(status) => *status,
            _ => fault.status(),
        };
        let status = StatusCode::from_u16(status).ok();
        let kept = status.and_then(|status| ctx.behavior()?.cache.rules.error_ttl(status));
        let rest = kept.or_else(|| Some(ctx.origin()?.config.failure_memory)).unwrap_or_default();
        let rest = u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX);
        object.answer_until(clock.monotonic().saturating_add(rest));
    }
    true
}

/// Whether a refusal says nothing of the next response under the same key: then the key is not remembered as uncacheable.
pub(crate) fn is_of_one_request(reason: &'static str) -> bool {
    reason == Reason::RequestNoStore.as_str()
        || reason == Reason::Authorization.as_str()
        || reason == Reason::OtherValidator.as_str()
        || reason == Reason::VaryChanged.as_str()
        || reason == WITHOUT_OBJECT
        || reason == OF_ONE_REQUEST
}
