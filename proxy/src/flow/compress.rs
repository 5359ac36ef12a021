//! Compression on the way of a request: which coding its viewer wants, and what depends on that.

use edgeweir_cache::Coding;
use edgeweir_cache::compress::{accepted, eligible};
use http::Version;
use http::header::{IF_MATCH, RANGE};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use super::context::RequestCtx;

/// The coding that a request wants its answer in. None for ranges, which are cut from the plain form, for `If-Match`, which
/// wants a strong tag, and for HTTP/1.0 (CloudFront: "Serve compressed files").
#[must_use]
pub(super) fn wanted(req: &RequestHeader, ctx: &RequestCtx) -> Option<Coding> {
    let offered = &ctx.behavior()?.cache.compress;
    if offered.is_empty() || ctx.version == Version::HTTP_10 {
        return None;
    }
    if req.headers.contains_key(RANGE) || req.headers.contains_key(IF_MATCH) {
        return None;
    }
    accepted(&req.headers, offered)
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
