//! Which origin and address a request goes to, and where it goes next when that fails.
//!
//! Nothing was sent: any request may go to another address of the same origin, and GET, HEAD and OPTIONS to the next member
//! of a group (CloudFront: "Origin failover"). Something was sent: only these go on, without a body, and only while nothing
//! of an answer was used. What may have had an effect is never sent twice. The exception is a kept connection that turns out
//! to be closed: any idempotent request is sent once more, over a new one (RFC 9110, 9.2.2).

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use pingora::http::ResponseHeader;
use pingora::protocols::Digest;
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};

use super::context::RequestCtx;
use super::{blame, request_body, silence, stop};
use crate::edge::{Core, MAX_ATTEMPTS};
use crate::fault::{Fault, chain};
use crate::origin::kept::{Line, Rest};
use crate::origin::room::Place;
use crate::origin::{Asking, LookupError, Origin, Probe, Seat, is_new_enough};

/// What was tried for a request.
#[derive(Debug, Default)]
pub struct Attempts {
    /// The member of the group whose turn it is.
    pub member: usize,
    /// Addresses that were asked, in all.
    pub count: usize,
    /// Those of this member that failed.
    failures: usize,
    /// The kept connection to this member turned out to be closed.
    closed: bool,
    /// Addresses of this member that failed.
    tried: Vec<SocketAddr>,
    /// All members are left out: they are asked in order all the same.
    forced: bool,
    /// The address that is asked now was left out, and this request tries it.
    probe: bool,
    /// The answer that is there is not taken: the next member is asked.
    passed_on: bool,
    /// The place at the address.
    seat: Option<Seat>,
    /// The place among the requests at work at the origin.
    place: Option<Place>,
    /// The connection, where only so many are kept. It is pingora's: a request that holds it would keep it open.
    line: Weak<Line>,
    /// The answer has no body: it was asked for with HEAD. pingora asks with GET for what it stores.
    pub asks_head: bool,
    /// pingora's connection is one that was closed because enough were kept.
    not_kept: bool,
}

impl Attempts {
    /// The address that was asked last failed.
    fn failed(&mut self, origin: &Origin) {
        self.failures += 1;
        if let Some(seat) = self.seat.take() {
            origin.endpoint_failed(seat.endpoint());
            self.tried.push(seat.endpoint().address);
        }
    }

    /// Whether there is an address of this member that did not fail yet, and a try left.
    fn has_other(&self, origin: &Origin) -> bool {
        self.failures < origin.address_count().min(MAX_ATTEMPTS)
    }

    /// Whether the origin counts this request among those at work.
    pub(super) fn are_at_work(&self) -> bool {
        self.place.is_some() || self.seat.as_ref().is_some_and(Seat::is_counted)
    }

    /// The answer is over: the origin counts this request no longer.
    pub(super) fn leave(&mut self) {
        self.place = None;
        if let Some(seat) = &mut self.seat {
            seat.leave();
        }
    }

    /// It answered.
    pub(super) fn answered(&self, origin: &Origin, status: StatusCode) {
        if let Some(seat) = &self.seat {
            origin.endpoint_answered(seat.endpoint(), status.as_u16());
        }
    }
}

/// Whether no connection came about lately to what would be asked.
pub(super) fn are_down(ctx: &RequestCtx) -> bool {
    match ctx.origin_group() {
        Some(group) => group.is_down(),
        None => ctx.origin().is_some_and(|origin| origin.is_down()),
    }
}

/// Whether another origin may get a request that none got: CloudFront's methods.
fn only_reads(session: &Session) -> bool {
    matches!(session.req_header().method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a request may be sent again after it was sent: without a body, and not on the way to another protocol.
fn is_safe(session: &mut Session, ctx: &RequestCtx) -> bool {
    only_reads(session) && !session.is_upgrade_req() && !request_body::is_sent(session, ctx)
}

/// Whether there is another member after the one whose turn it is.
fn has_next(ctx: &RequestCtx) -> bool {
    ctx.origin_group().is_some_and(|group| ctx.attempts.member + 1 < group.members.len())
}

/// The next member is asked.
fn go_on(ctx: &mut RequestCtx, why: &'static str) {
    anew(ctx);
    let from = ctx.origin().map(Arc::clone);
    let attempts = &mut ctx.attempts;
    attempts.member += 1;
    (attempts.failures, attempts.closed) = (0, false);
    (attempts.seat, attempts.place) = (None, None);
    attempts.tried.clear();
    (ctx.fault, ctx.origin_status) = (None, None);
    if let (Some(from), Some(group)) = (from, ctx.origin_group()) {
        group.metrics.failed_over();
        tracing::debug!(request_id = ctx.id(), group = &*group.name, from = from.config.name, why, "failover");
    }
}

/// What was awaited of the origin is not awaited any more: making the next connection has a time of its own.
fn anew(ctx: &RequestCtx) {
    if let Some(conn) = ctx.own_conn() {
        conn.origin_is_done();
    }
}

/// No kept connection is used for this peer, and its own is not kept.
fn over_a_new_connection(peer: &mut HttpPeer) {
    peer.group_key = fastrand::u64(..);
    peer.options.idle_timeout = Some(Duration::ZERO);
}

/// The address that is asked next.
pub(super) async fn peer(core: &Core, session: &mut Session, ctx: &mut RequestCtx) -> Result<Box<HttpPeer>> {
    if ctx.origin_times.0.is_none() {
        // Nothing was waited for before, if there is neither hook nor cache: then one look at the clock will do.
        let at_once = ctx.hooks.is_empty() && !session.cache.enabled();
        ctx.origin_times.0 = Some(if at_once { ctx.started } else { core.clock.stopwatch() });
    }
    let (reads, safe) = (only_reads(session), is_safe(session, ctx));
    loop {
        let Some(origin) = ctx.origin().cloned() else { return Err(stop(ctx, Fault::Internal)) };
        let fault = match choose(&origin, reads, safe, ctx).await {
            Ok(Some(mut peer)) => {
                // An attempt after whose silence another may follow is not for the sweep, which speaks to the viewer's side.
                let goes_on = safe && (ctx.attempts.probe || has_next(ctx));
                silence::arrange(session, ctx, &mut peer, goes_on);
                if ctx.attempts.closed {
                    over_a_new_connection(&mut peer);
                }
                ctx.origin_address = peer._address.as_inet().copied().filter(|address| !address.ip().is_unspecified());
                return Ok(peer);
            }
            Ok(None) if has_next(ctx) => {
                go_on(ctx, "left out");
                continue;
            }
            Ok(None) if !ctx.attempts.forced => {
                // All are left out. In order again, and this time whatever is known of them.
                if ctx.attempts.count == 0 {
                    ctx.attempts.member = 0;
                }
                ctx.attempts.forced = true;
                continue;
            }
            Ok(None) => Fault::OriginDns,
            Err(fault) => fault,
        };
        if !(reads && has_next(ctx)) {
            return Err(stop(ctx, fault));
        }
        go_on(ctx, fault.as_str());
    }
}

/// An address of an origin; none if all are left out and others may do better.
async fn choose(
    origin: &Origin,
    reads: bool,
    safe: bool,
    ctx: &mut RequestCtx,
) -> Result<Option<Box<HttpPeer>>, Fault> {
    if ctx.attempts.place.is_none()
        && let Some(room) = origin.room()
    {
        let place = room.enter(origin.config.pool.queue).await;
        ctx.attempts.place = Some(place.ok_or(Fault::OriginBusy)?);
    }
    let alone = ctx.origin_group().is_none();
    let attempts = &mut ctx.attempts;
    let asking = Asking {
        tried: &attempts.tried,
        probe: if safe { Probe::Due } else { Probe::Overdue },
        any: alone || attempts.forced || !reads,
    };
    match origin.choose(asking).await {
        Ok(Some(chosen)) => {
            attempts.count += 1;
            (attempts.seat, attempts.probe) = (chosen.seat, chosen.probe);
            Ok(Some(chosen.peer))
        }
        Ok(None) => {
            attempts.place = None;
            Ok(None)
        }
        Err(error) => {
            tracing::warn!(
                request_id = ctx.id(),
                origin = origin.config.name,
                error = %chain(&error),
                "no address"
            );
            origin.failed();
            let refused = matches!(error, LookupError::NotPublic(_));
            Err(if refused { Fault::HookInvalid } else { Fault::OriginDns })
        }
    }
}

/// A connection came about. Whether it will do: nothing was sent over it yet.
pub(super) fn connected(digest: Option<&Digest>, ctx: &mut RequestCtx) -> Result<()> {
    let line = digest.and_then(|digest| digest.proxy_digest.as_ref()).and_then(|digest| Line::of(digest));
    ctx.attempts.line = line.map(Arc::downgrade).unwrap_or_default();
    if line.is_some_and(|line| !line.works()) {
        ctx.attempts.not_kept = true;
        let mut error = Error::explain(ErrorType::ConnectionClosed, "the connection is not kept");
        error.as_up();
        return Err(error);
    }
    let Some(origin) = ctx.origin() else { return Ok(()) };
    if is_new_enough(&origin.config.trust, digest) {
        return Ok(());
    }
    let mut error = Error::explain(ErrorType::TLSHandshakeFailure, "the origin speaks an old TLS version");
    error.as_up();
    Err(error)
}

/// The answer is over: its connection is kept for the next request, or closed where enough of them are idle.
pub(super) fn rests(session: &mut Session, ctx: &mut RequestCtx) {
    let Some(line) = std::mem::take(&mut ctx.attempts.line).upgrade() else { return };
    // pingora goes on sending, and does not use the connection again.
    if !session.as_mut().is_body_done() {
        return;
    }
    if let Some(origin) = ctx.origin()
        && let Some(most) = origin.config.pool.max_idle_connections
        && line.rests(most) == Rest::Closed
    {
        origin.not_kept();
    }
}

/// The head of an answer is there: if that is all of it, its connection rests.
pub(super) fn head_came(session: &mut Session, head: &ResponseHeader, ctx: &mut RequestCtx) {
    if ctx.attempts.line.strong_count() > 0 && ends_with_head(head, ctx) {
        rests(session, ctx);
    }
}

/// Whether an answer of an HTTP/1 origin ends with its head (RFC 9112, 6.3).
fn ends_with_head(head: &ResponseHeader, ctx: &RequestCtx) -> bool {
    ctx.attempts.asks_head
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || head.headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0")
}

/// No connection came about. Says whether another address is asked.
pub(super) fn not_connected(session: &Session, ctx: &mut RequestCtx, mut error: Box<Error>) -> Box<Error> {
    let Some(origin) = ctx.origin().cloned() else { return error };
    ctx.attempts.failed(&origin);
    // Nothing was sent, so another address may be tried, whatever the method.
    let mut again = ctx.attempts.has_other(&origin);
    if !again {
        origin.failed();
        if has_next(ctx) && only_reads(session) {
            go_on(ctx, "no connection");
            again = true;
        }
    }
    error.set_retry(again);
    error
}

/// Whether an answer with this status is not taken, because another member of the group may have a better one.
pub(super) fn is_passed_on(session: &mut Session, status: StatusCode, ctx: &mut RequestCtx) -> bool {
    let Some(group) = ctx.origin_group() else { return false };
    let listed = group.statuses.contains(&status.as_u16());
    ctx.attempts.passed_on = listed && has_next(ctx) && is_safe(session, ctx) && !is_answered(session);
    ctx.attempts.passed_on
}

/// The error that makes pingora ask the next member.
pub(super) fn pass_on(head: &ResponseHeader) -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(head.status.as_u16()), "another origin of the group is asked")
}

/// Whether the viewer has a head already. Interim ones (1xx) do not count.
fn is_answered(session: &Session) -> bool {
    session.response_written().is_some_and(|head| !head.status.is_informational())
}

/// Whether nothing of an answer came: pingora says how much did where a head was cut off, and writes end before any.
fn is_unanswered(error: &Error) -> bool {
    let context = error.context.as_ref().map_or("", |context| context.as_str());
    !context.contains("already read: ") || context.ends_with("already read: 0")
}

/// An attempt failed after its connection came about. Says whether there is another.
pub(super) fn broke_off(
    session: &mut Session,
    ctx: &mut RequestCtx,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    if std::mem::take(&mut ctx.attempts.not_kept) {
        // Nothing was sent over it, whatever the method. Its successor is a new one.
        ctx.attempts.closed = true;
        ctx.attempts.seat = None;
        error.set_retry(true);
        return error;
    }
    if std::mem::take(&mut ctx.attempts.passed_on) {
        go_on(ctx, "status");
        error.set_retry(true);
        return error;
    }
    // An idle connection that the origin has closed in the meantime, before it said a word of an answer: whatever can be sent
    // again is, once (RFC 9110, 9.2.2).
    let again = session.req_header().method.is_idempotent()
        && !ctx.attempts.closed
        && (only_reads(session) || is_unanswered(&error))
        && !session.as_ref().retry_buffer_truncated()
        && ctx.held.as_ref().is_none_or(|held| held.can_be_sent_again());
    if again {
        error.retry.decide_reuse(reused);
    } else {
        error.set_retry(false);
    }
    if error.retry() {
        ctx.attempts.closed = true;
        ctx.attempts.seat = None;
        return error;
    }
    let late = blame::is_late(ctx);
    let silent = late || matches!(error.etype(), ErrorType::ReadTimedout);
    if ctx.fault.is_none() && !late && *error.esource() != ErrorSource::Upstream {
        return error;
    }
    let fault = blame::of(ctx, &error);
    // After its head an answer is taken, however it ends. An origin that gives up a request that the viewer has not sent to its
    // end has its own reasons: viewers could take it out by that.
    if !fault.is_origins() || ctx.origin_status.is_some() || ctx.incomplete {
        return error;
    }
    let Some(origin) = ctx.origin().cloned() else { return error };
    ctx.attempts.failed(&origin);
    if late || is_answered(session) || !is_safe(session, ctx) {
        return error;
    }
    // Who waited for one address does not wait for the others too, unless it was the one to find out.
    let again = ctx.attempts.has_other(&origin) && (!silent || ctx.attempts.probe);
    if again {
        anew(ctx);
        ctx.fault = None;
    } else if has_next(ctx) {
        go_on(ctx, fault.as_str());
    } else {
        return error;
    }
    error.set_retry(true);
    error
}
