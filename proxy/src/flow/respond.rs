//! Answers that the edge makes itself: faults by their table, and what hooks generate.

use bytes::Bytes;
use edgeweir_config::Stage;
use edgeweir_hookhost::GeneratedResponse;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::edits::set;
use super::hooks;
use super::identity::X_REQUEST_ID;
use super::route::Subject;
use super::viewer::{CACHE_STATUS, X_CACHE};
use super::{access, answers, cache, cors, headers, pages, parts, throttle};
use crate::fault::Fault;
use crate::runtime::answer::Said;

/// Answers by the fault table. Nothing is written if an answer is already on its way.
///
/// # Errors
/// If the viewer cannot be written to.
pub(super) async fn fault(session: &mut Session, ctx: &mut RequestCtx, fault: Fault) -> Result<()> {
    ctx.fault = Some(fault);
    if ctx.background {
        return Ok(());
    }
    // After a 101 the connection is the other protocol's (RFC 9110, 15.2.2).
    let is_final =
        |head: &ResponseHeader| !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS;
    if fault == Fault::ViewerGone || session.response_written().is_some_and(is_final) {
        session.set_keepalive(None);
        if let Some(conn) = ctx.own_conn() {
            // What was sent is cut off, and must not look like a whole answer.
            conn.ending.reset();
        }
        return Ok(());
    }
    let (mut head, mut body) = answers::made(fault, session.req_header(), ctx)?;
    if pages::any(ctx)
        && let Some(page) = Box::pin(pages::instead(session.req_header(), &mut head, ctx, pages::By::Edge)).await
    {
        body = page;
    }
    if fault.closes() {
        session.set_keepalive(None);
    }
    let failed_itself = ctx.hooks.last().is_some_and(|run| run.stage == Stage::ViewerResponse.as_str());
    if ctx.sees_errors() && !failed_itself {
        // A hook that fails here changes nothing: this is the answer to a failure already.
        let before = head.clone();
        if Box::pin(hooks::response_stage(session.req_header_mut(), &mut head, ctx, Stage::ViewerResponse, true))
            .await
            .is_err()
        {
            head = before;
        } else if let Some(made) = ctx.new_body.take() {
            body = made;
        }
        ctx.new_body = None;
    }
    if let Some(status) = cache::status_of_fault(session, ctx, fault) {
        set(&mut head, CACHE_STATUS, status);
    }
    write(session, ctx, head, body).await
}

/// Puts a fault's answer in the place of one that is on its way: the head now, the body when its first part comes.
///
/// # Errors
/// If pingora refuses the head.
pub(super) fn replace(session: &Session, head: &mut ResponseHeader, ctx: &mut RequestCtx, fault: Fault) -> Result<()> {
    ctx.fault = Some(fault);
    let (mut answer, body) = answers::made(fault, session.req_header(), ctx)?;
    if let Some(status) = cache::status_of_fault(session, ctx, fault) {
        set(&mut answer, CACHE_STATUS, status);
    }
    set(&mut answer, CONTENT_LENGTH, HeaderValue::from(body.len()));
    common(&mut answer, ctx);
    *head = answer;
    ctx.replacement = Some(Some(body));
    Ok(())
}

/// Answers with what a hook generated at viewer-request.
///
/// # Errors
/// If the viewer cannot be written to.
pub(super) async fn generated(session: &mut Session, ctx: &mut RequestCtx, response: GeneratedResponse) -> Result<()> {
    let (head, body) = head_of(response)?;
    write(session, ctx, head, body).await
}

/// The head of a generated response, without its length.
///
/// # Errors
/// If pingora refuses a field, which the hook host has checked.
pub(super) fn head_of(response: GeneratedResponse) -> Result<(ResponseHeader, Bytes)> {
    let mut head = ResponseHeader::build(response.status, Some(response.headers.len() + 4))?;
    for (name, value) in response.headers {
        head.append_header(name, value)?;
    }
    Ok((head, response.body))
}

/// Answers what neither hooks nor the origin have a say in.
///
/// # Errors
/// If the viewer cannot be written to.
pub(super) async fn by_itself(session: &mut Session, ctx: &mut RequestCtx, subject: Subject) -> Result<()> {
    match subject {
        Subject::Server => asterisk(session, ctx).await,
        Subject::Preflight => preflight(session, ctx).await,
        Subject::Redirect => access::send_to_https(session, ctx).await,
        // Others are not the edge's own.
        Subject::Behavior | Subject::Cache => fault(session, ctx, Fault::Internal).await,
    }
}

/// The edge's own answer to a CORS preflight (Fetch, "CORS-preflight fetch").
///
/// # Errors
/// If the viewer cannot be written to.
async fn preflight(session: &mut Session, ctx: &mut RequestCtx) -> Result<()> {
    ctx.preflight = true;
    write(session, ctx, ResponseHeader::build(204, Some(8))?, Bytes::new()).await
}

/// The edge's own answer to an authority that wants to see that a name leads here (RFC 8555, section 8.3), before everything
/// else: the gate has not seen the request, so its connection ends.
///
/// # Errors
/// If the viewer cannot be written to.
pub(super) async fn challenge(session: &mut Session, ctx: &mut RequestCtx, answer: String) -> Result<()> {
    session.set_keepalive(None);
    let mut head = ResponseHeader::build(200, Some(4))?;
    set(&mut head, CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    write(session, ctx, head, answer.into()).await
}

/// The edge's own answer to `OPTIONS *` (RFC 9110, 9.3.7).
///
/// # Errors
/// If the viewer cannot be written to.
async fn asterisk(session: &mut Session, ctx: &mut RequestCtx) -> Result<()> {
    let mut head = ResponseHeader::build(204, Some(4))?;
    set(&mut head, ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE"));
    write(session, ctx, head, Bytes::new()).await
}

/// Writes a whole answer with the fields that every answer has.
///
/// # Errors
/// If the viewer cannot be written to.
pub(super) async fn write(
    session: &mut Session,
    ctx: &mut RequestCtx,
    mut head: ResponseHeader,
    body: Bytes,
) -> Result<()> {
    common(&mut head, ctx);
    if let Some(conn) = ctx.own_conn() {
        // What was on its way before is not sent.
        conn.say(Said::default());
    }
    let status = head.status.as_u16();
    // RFC 9110, 8.6: no length on 1xx and 204; a 304 has no body and this one's length would be wrong.
    let bodyless = status == 204 || status == 304;
    if bodyless {
        drop(head.remove_header(&CONTENT_LENGTH));
    } else {
        set(&mut head, CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let rest = !session.as_mut().is_body_done();
    if rest {
        // The rest of the body is not wanted: the connection closes.
        session.set_keepalive(None);
    } else if let Some(conn) = ctx.own_conn().filter(|_conn| session.get_keepalive().is_some()) {
        conn.ending.last();
    }
    if let Some(conn) = ctx.conn.as_ref().filter(|_conn| rest || ctx.fault.is_some_and(Fault::closes)) {
        // But not before the answer is read. What was wrong may have ended the body for pingora, and not for the viewer.
        conn.ending.linger();
    }
    let no_body = bodyless || body.is_empty() || session.req_header().method == Method::HEAD;
    // With this the answer is out, as far as it is the edge's to send.
    ctx.in_flight.clear();
    ctx.attempts.leave();
    session.write_response_header(Box::new(head), no_body).await?;
    if no_body && session.is_http2() {
        // pingora leaves the stream open, and resets it where the request failed.
        session.as_mut().finish_body().await?;
    }
    if !no_body {
        session.write_response_body(Some(body), true).await?;
    }
    if let Some(conn) = ctx.own_conn() {
        conn.ending.whole();
    }
    Ok(())
}

/// Puts on an answer what all of them carry.
pub(super) fn common(head: &mut ResponseHeader, ctx: &RequestCtx) {
    if ctx.behavior().is_some_and(|behavior| behavior.cache.x_cache)
        && let Some(said) = cache::x_cache(ctx, head.status.as_u16())
    {
        set(head, X_CACHE, said);
    }
    set(head, X_REQUEST_ID, ctx.id.clone());
    // A refusal has told how the limit stands that refused.
    if let (Some(standing), None, None) = (&ctx.standing, &ctx.refused, &ctx.exceeded) {
        throttle::tell_standing(head, standing);
    }
    if let Some(policy) = ctx.behavior().and_then(|behavior| behavior.headers.as_deref()) {
        parts::of_response(head, |parts| headers::apply(&mut parts.headers, policy, ctx));
    }
    if ctx.behavior().is_some_and(|behavior| behavior.cors.is_some()) {
        parts::of_response(head, |parts| cors::tell(&mut parts.headers, ctx));
    }
}
