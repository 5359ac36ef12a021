//! When a request leaves its places among those at work, of limits and at its origin: before the viewer can know that its answer
//! is over. Who waits for an answer before it asks again is never refused for the request that was answered.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, StatusCode};
use pingora::http::ResponseHeader;

use super::context::RequestCtx;

/// A head goes to the viewer, as it is now.
pub(super) fn head(method: &Method, head: &ResponseHeader, ctx: &mut RequestCtx) {
    if has_none(ctx) {
        return;
    }
    let bodyless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // Without a length it is the last part that says so.
    ctx.unsent = match bodyless || method == Method::HEAD {
        true => Some(0),
        false => head.headers.get(CONTENT_LENGTH).and_then(length),
    };
    // What is stored comes whole, whatever the viewer gets of it.
    ctx.origin_goes_on = ctx.fills && (head.status != StatusCode::OK || method == Method::HEAD);
    part(None, false, ctx);
}

/// A part of a body goes to the viewer, or its end.
pub(super) fn part(body: Option<&Bytes>, end: bool, ctx: &mut RequestCtx) {
    if has_none(ctx) {
        return;
    }
    let sent = body.map_or(0, |body| body.len() as u64);
    ctx.unsent = ctx.unsent.map(|unsent| unsent.saturating_sub(sent));
    if end || ctx.unsent == Some(0) {
        ctx.in_flight.clear();
        if end || !ctx.origin_goes_on {
            ctx.attempts.leave();
        }
    }
}

fn has_none(ctx: &RequestCtx) -> bool {
    ctx.in_flight.is_empty() && !ctx.attempts.are_at_work()
}

fn length(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}
