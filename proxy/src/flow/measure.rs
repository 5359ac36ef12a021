//! Bodies whose length no head tells. A key whose body turns out larger than what the store takes is remembered, as one is whose
//! `Content-Length` says so; and no longer, once a body of it is small enough. Others are not measured.

use bytes::Bytes;
use pingora::cache::predictor::CacheablePredictor as _;
use pingora::cache::{CacheKey, NoCacheReason};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use super::context::RequestCtx;
use crate::edge::CacheParts;

/// Whether a head leaves open how large its body is.
pub(super) fn is_open(head: &ResponseHeader) -> bool {
    !head.headers.contains_key(http::header::CONTENT_LENGTH)
}

/// Whether a request was not looked up because the last body under its key was too large.
pub(super) fn was_too_large(session: &Session) -> bool {
    session.cache.predicted_uncacheable_reason() == Some(NoCacheReason::ResponseTooLarge)
}

/// A part of a body passes, or its end.
pub(super) fn passes(cache: &CacheParts, session: &Session, body: Option<&Bytes>, end: bool, ctx: &mut RequestCtx) {
    let Some(bytes) = &mut ctx.measured else { return };
    *bytes = bytes.saturating_add(body.map_or(0, |body| body.len() as u64));
    let too_large = *bytes > cache.storage.max_object();
    if !(too_large || end) {
        return;
    }
    ctx.measured = None;
    // Of one that turns out too large other variants may be stored: they stay in service.
    let plain = |key: &&CacheKey| key.get_variance_key().is_none();
    let Some(key) = session.cache.maybe_cache_key().filter(plain) else { return };
    if too_large {
        cache.predictor.mark_uncacheable(key, NoCacheReason::ResponseTooLarge);
    } else if ctx.bypassed {
        cache.predictor.mark_cacheable(key);
    }
}
