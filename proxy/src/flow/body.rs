//! Bodies that response hooks make, in place of the origin's or of what the viewer would get.
//!
//! pingora lets a body be replaced part by part, but an answer that ends with its head has no part. For those the flow takes
//! a detour: the proxying is stopped, and the whole answer is written from `fail_to_proxy` ([`detour`]).

use edgeweir_config::{OriginHttp, Stage};
use edgeweir_hookhost::GeneratedResponse;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, TRANSFER_ENCODING};
use http::{HeaderValue, Method, StatusCode};
use pingora::cache::CachePhase;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::context::RequestCtx;
use super::edits::set;

/// Whether an answer may end with its head, so that no part of a body can be replaced. Asked before hooks change the head.
pub(super) fn is_empty(head: &ResponseHeader, ctx: &RequestCtx) -> bool {
    match head.headers.get(CONTENT_LENGTH) {
        Some(length) => length.as_bytes() == b"0",
        None => {
            // Over HTTP/2 the end may come with the head, and nothing in the head tells.
            let http2 = ctx.origin().is_some_and(|origin| origin.config.http != OriginHttp::H1);
            has_none(head.status) || (http2 && !head.headers.contains_key(TRANSFER_ENCODING))
        }
    }
}

/// RFC 9110, 6.4.1.
fn has_none(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// What a hook made for a body. A reset of content has none, whatever the origin sent with another status (RFC 9110, 15.3.6);
/// unlike with the statuses of [`has_none`] the viewer has to be told so, by a length of 0.
fn made(head: &ResponseHeader, ctx: &mut RequestCtx) -> Option<bytes::Bytes> {
    let made = ctx.new_body.take();
    if head.status == StatusCode::RESET_CONTENT { Some(bytes::Bytes::new()) } else { made }
}

/// Puts the body that origin-response hooks made in place of the origin's, before anything is stored.
pub(super) fn at_origin(session: &mut Session, head: &mut ResponseHeader, ctx: &mut RequestCtx, empty: bool) {
    let made = made(head, ctx);
    if has_none(head.status) {
        without(head);
        ctx.origin_body = Some(None);
        if !empty {
            ends_early(session);
        }
        return;
    }
    let Some(made) = made else { return };
    describe(head, made.len());
    // The cache asks the origin with GET also for HEAD.
    if session.req_header().method == Method::HEAD && !session.cache.enabled() {
        return;
    }
    if empty && !made.is_empty() {
        ctx.generated = Some((whole(head, made), Stage::OriginResponse));
    } else {
        ctx.origin_body = Some(Some(made).filter(|body| !body.is_empty()));
        ends_early(session);
    }
}

/// Puts the body that viewer-response hooks made in place of what the viewer would get. `before` is the status that they
/// found.
pub(super) fn at_viewer(
    session: &mut Session,
    head: &mut ResponseHeader,
    ctx: &mut RequestCtx,
    before: StatusCode,
    empty: bool,
) {
    let made = made(head, ctx);
    let hit = session.cache.enabled() && session.cache.phase() == CachePhase::Hit;
    if hit
        && (has_none(before) || matches!(before, StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PRECONDITION_FAILED))
    {
        // Of a hit that is answered without a body no part comes, and there is no detour: it stays what it is.
        if let Err(error) = head.set_status(before) {
            tracing::error!(%error, "a status could not be kept");
        }
        return;
    }
    if has_none(head.status) {
        without(head);
        if !empty {
            ctx.replacement = Some(None);
            ends_early(session);
        }
        return;
    }
    let Some(made) = made else { return };
    describe(head, made.len());
    if std::mem::take(&mut ctx.coded) {
        drop(head.remove_header(&CONTENT_ENCODING));
    }
    if session.req_header().method == Method::HEAD {
        return;
    }
    // While the cache is filled, the viewer reads from it, and of nothing it reads no part. Only a length tells before.
    let unsure = !hit && session.cache.enabled() && ctx.origin_length.is_none();
    if (empty || unsure) && !hit && !made.is_empty() {
        ctx.generated = Some((whole(head, made), Stage::ViewerResponse));
    } else {
        ctx.replacement = Some(Some(made).filter(|body| !body.is_empty()));
        ends_early(session);
    }
}

/// The viewer has its whole answer while the origin's body is still read for the cache: it may not take the connection for
/// free.
fn ends_early(session: &mut Session) {
    if session.cache.enabled() && session.cache.phase() != CachePhase::Hit {
        session.set_keepalive(None);
    }
}

/// Stops the proxying if the whole answer is written in another way.
///
/// # Errors
/// The error that leads to `fail_to_proxy`.
pub(super) fn detour(ctx: &RequestCtx) -> Result<()> {
    let Some((response, _)) = &ctx.generated else { return Ok(()) };
    let mut error = Error::new(ErrorType::HTTPStatus(response.status.as_u16()));
    error.set_retry(false);
    Err(error)
}

/// Makes the head tell of a body of this length, and of nothing that held for the old one only.
fn describe(head: &mut ResponseHeader, length: usize) {
    drop(head.remove_header(&TRANSFER_ENCODING));
    set(head, CONTENT_LENGTH, HeaderValue::from(length));
    drop(head.remove_header(&CONTENT_RANGE));
    if head.status == StatusCode::PARTIAL_CONTENT
        && let Err(error) = head.set_status(StatusCode::OK)
    {
        tracing::error!(%error, "a status could not be set");
    }
}

fn without(head: &mut ResponseHeader) {
    drop(head.remove_header(&CONTENT_RANGE));
    drop(head.remove_header(&CONTENT_LENGTH));
    drop(head.remove_header(&TRANSFER_ENCODING));
}

/// The answer as one piece. Its length is computed again when it is written.
fn whole(head: &mut ResponseHeader, body: bytes::Bytes) -> GeneratedResponse {
    drop(head.remove_header(&CONTENT_LENGTH));
    let headers = head.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    GeneratedResponse { status: head.status, headers, body }
}
