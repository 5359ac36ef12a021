//! Compression on the way of a request: which coding its viewer wants, and what depends on that.

use edgeweir_cache::Coding;
use edgeweir_cache::compress::{accepted, describe_unsized, eligible, normalised, of_other_bytes};
use edgeweir_cache::storage::MokaHit;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, RANGE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::edits;
use crate::snapshot::CachePolicy;

/// The coding that a request wants its answer in. None for ranges, which are cut from the plain form, and for HTTP/1.0
/// (CloudFront: "Serve compressed files").
#[must_use]
pub(super) fn wanted(req: &RequestHeader, ctx: &RequestCtx) -> Option<Coding> {
    let offered = &ctx.behavior()?.cache.compress;
    if offered.is_empty() || ctx.version == Version::HTTP_10 {
        return None;
    }
    if req.headers.contains_key(RANGE) {
        return None;
    }
    accepted(&req.headers, offered)
}

/// The codings that the origin may answer in, by the policy and what the viewer accepts: it gets them as `Accept-Encoding`, and
/// they are in the key.
#[must_use]
pub(super) fn asked_of_origin(viewer: &HeaderMap, policy: &CachePolicy) -> Option<&'static str> {
    if policy.accept_encoding.is_empty() {
        return None;
    }
    normalised(viewer, &policy.accept_encoding)
}

/// Makes the head that of the coded form, if the viewer whose request fills the cache reads that: pingora sends the stored
/// one.
pub(super) fn describe_filling(session: &mut Session, head: &mut ResponseHeader, ctx: &mut RequestCtx) {
    let reader = session.cache.miss_body_reader().and_then(|reader| reader.as_any().downcast_ref::<MokaHit>());
    let Some(coding) = reader.and_then(MokaHit::coding) else { return };
    ctx.coded = true;
    describe_unsized(head, coding);
    if !head.headers.contains_key(CONTENT_LENGTH) && head.headers.contains_key(CONTENT_ENCODING) {
        edits::set(head, TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// A 304 brought the validator of the plain form, and a coded one may go out under it.
pub(super) fn settle_revalidated(head: &mut ResponseHeader, ctx: &RequestCtx) {
    let compresses = ctx.behavior().is_some_and(|behavior| !behavior.cache.compress.is_empty());
    if compresses && head.headers.contains_key(CONTENT_ENCODING) {
        of_other_bytes(head);
    }
}

/// Whether the answer's form depends on what its viewer accepts.
#[must_use]
pub(super) fn negotiated(session: &Session, head: &ResponseHeader, ctx: &RequestCtx) -> bool {
    if ctx.behavior().is_none_or(|behavior| behavior.cache.compress.is_empty()) {
        return false;
    }
    // A 304 and a 206 have not all fields of what they are about.
    let meta = session.cache.enabled().then(|| session.cache.maybe_cache_meta()).flatten();
    ctx.coded || eligible(meta.map_or(head, |meta| meta.response_header()))
}
