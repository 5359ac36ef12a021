//! The request's body where hooks read or replace it: held before they are called, then played to the origin.
//!
//! What is held is bounded three ways: by what the bindings let their hooks read (and one part off the wire more), by
//! `gate.body_memory` for all requests together, and by `gate.max_body`. A body that is longer streams on after what was
//! held. pingora is made to play what is held by a stand-in for the viewer's session ([`stand_in`]).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use edgeweir_config::Stage;
use edgeweir_hookhost::RequestBody;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderValue, Method};
use pingora::http::RequestHeader;
use pingora::protocols::http::server::Session as HttpSession;
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::gate;
use crate::edge::Core;
use crate::fault::Fault;
use crate::runtime::clock::Clock;
use crate::runtime::room::Room;
use crate::runtime::stand_in;

/// All that is held has to come within so many times `server.read_timeout`: a viewer that trickles holds memory.
const TOTAL: u32 = 2;

/// A body that hooks asked for or made.
pub struct Held {
    /// What there is of it.
    bytes: Bytes,
    /// The viewer has sent, or will send, more than this.
    more: bool,
    /// A hook made it.
    made: bool,
    /// Something of the rest was sent on: it cannot be sent again.
    streamed: bool,
    /// The viewer's session, while a stand-in takes its place.
    away: Option<Box<HttpSession>>,
    room: Room,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("length", &self.bytes.len()).field("more", &self.more).finish_non_exhaustive()
    }
}

impl Held {
    /// Whether there is nothing of a body.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.more
    }

    /// Whether what is held can be sent to another connection.
    #[must_use]
    pub fn can_be_sent_again(&self) -> bool {
        !self.streamed
    }

    /// As a hook sees it.
    #[must_use]
    pub fn shown(&self, limit: usize) -> RequestBody {
        RequestBody { bytes: self.bytes.clone(), more: self.more, limit }
    }

    /// A hook made a new body. The rest of the viewer's is dropped by [`settle`].
    pub fn make(&mut self, head: &mut RequestHeader, bytes: Bytes) {
        self.bytes = bytes;
        self.made = true;
        self.describe(head);
    }

    /// Makes a request's head tell of the body, if a hook made it.
    fn describe(&self, head: &mut RequestHeader) {
        if self.made {
            describe(head, self.bytes.len());
        }
    }
}

/// Makes a request's head tell of a body that a hook made (RFC 9110, 8.6: also of none, where a method wants one).
pub(crate) fn describe(head: &mut RequestHeader, length: usize) {
    drop(head.remove_header(&TRANSFER_ENCODING));
    if length == 0 && !matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        drop(head.remove_header(&CONTENT_LENGTH));
    } else {
        gate::set(head, CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// The most bytes that a hook of this stage may read; 0 if none reads any.
fn wanted(ctx: &RequestCtx, stage: Stage) -> usize {
    let hooks = ctx.behavior().map_or(&[][..], |behavior| behavior.hooks_at(stage));
    hooks.iter().map(|bound| bound.body).max().unwrap_or(0)
}

/// Holds as much of the body as the hooks of a stage want to see.
///
/// # Errors
/// If the viewer stops sending or sends what is no body, if the body is over `gate.max_body`, or if there is no room.
pub(super) async fn hold(core: &Core, session: &mut Session, ctx: &mut RequestCtx, stage: Stage) -> Result<(), Fault> {
    let limit = wanted(ctx, stage);
    if limit == 0 {
        return Ok(());
    }
    let mut held = match ctx.held.take() {
        Some(held) => held,
        None => {
            // What an upgraded connection carries is no body.
            let more = !session.is_upgrade_req() && !session.as_mut().is_body_done();
            let room = Room::new(&core.body_memory);
            Box::new(Held { bytes: Bytes::new(), more, made: false, streamed: false, away: None, room })
        }
    };
    if held.more && !held.made && held.bytes.len() <= limit {
        let_it_come(session, ctx).await?;
        let patience = ctx.snapshot.config.server.read_timeout * TOTAL;
        // pingora's own timeout is for one read, and only over HTTP/1.
        let read = tokio::time::timeout(patience, read(session, ctx, &mut held, limit, &*core.clock)).await;
        read.map_err(|_elapsed| Fault::ViewerTimeout)??;
        // What comes now, hooks and the way to the origin, is not the viewer's time.
        ctx.body_since = None;
    }
    ctx.held = Some(held);
    Ok(())
}

/// Tells a viewer that waits for it to send the body (RFC 9110, 10.1.1).
///
/// # Errors
/// If the viewer cannot be written to.
pub(super) async fn let_it_come(session: &mut Session, ctx: &mut RequestCtx) -> Result<(), Fault> {
    if ctx.expects {
        session.write_continue_response().await.map_err(|_error| Fault::ViewerGone)?;
        session.req_header_mut().remove_header(&EXPECT);
        ctx.expects = false;
    }
    Ok(())
}

/// Counts a part of the viewer's body that came.
///
/// # Errors
/// `BodyTooLarge`, and `ViewerTimeout` where the body comes too slowly: a viewer that trickles keeps a connection, and one of the
/// origin's, for as little as a byte in each `read_timeout`.
pub(super) fn comes(session: &Session, ctx: &mut RequestCtx, length: usize, clock: &dyn Clock) -> Result<(), Fault> {
    ctx.body_in += u64::try_from(length).unwrap_or(u64::MAX);
    if ctx.body_in > ctx.snapshot.config.gate.max_body {
        return Err(Fault::BodyTooLarge);
    }
    match ctx.snapshot.config.server.min_rate {
        // What an upgraded connection carries is no body.
        Some(rate) if !session.was_upgraded() => keeps_up(ctx, rate, clock.monotonic()),
        _ => Ok(()),
    }
}

fn keeps_up(ctx: &mut RequestCtx, rate: u64, now: u64) -> Result<(), Fault> {
    let since = *ctx.body_since.get_or_insert(now);
    let counted =
        Duration::from_nanos(now.saturating_sub(since)).saturating_sub(ctx.snapshot.config.server.min_rate_grace);
    let wanted = u128::from(rate) * counted.as_nanos() / 1_000_000_000;
    if u128::from(ctx.body_in) < wanted { Err(Fault::ViewerTimeout) } else { Ok(()) }
}

/// Reads until there is more than `limit`, or the end.
async fn read(
    session: &mut Session,
    ctx: &mut RequestCtx,
    held: &mut Held,
    limit: usize,
    clock: &dyn Clock,
) -> Result<(), Fault> {
    let memory = ctx.snapshot.config.gate.body_memory;
    let mut bytes = BytesMut::from(std::mem::take(&mut held.bytes));
    while bytes.len() <= limit {
        let Some(part) = part(session, ctx, clock).await? else {
            held.more = false;
            break;
        };
        if !held.room.resize(bytes.len() + part.len(), memory) {
            tracing::warn!(
                request_id = ctx.id(),
                memory,
                "no room for a request body that a hook wants: gate.body_memory"
            );
            return Err(Fault::BodyMemory);
        }
        bytes.extend_from_slice(&part);
        held.more = !session.as_mut().is_body_done();
        if !held.more {
            break;
        }
    }
    held.bytes = bytes.freeze();
    Ok(())
}

/// The next part of the viewer's body; none at its end.
async fn part(session: &mut Session, ctx: &mut RequestCtx, clock: &dyn Clock) -> Result<Option<Bytes>, Fault> {
    let patience = ctx.snapshot.config.server.read_timeout;
    let read = tokio::time::timeout(patience, session.as_mut().read_request_body());
    let part = read.await.map_err(|_elapsed| Fault::ViewerTimeout)?.map_err(|mut error| {
        error.as_down();
        Fault::of(&error)
    })?;
    comes(session, ctx, part.as_ref().map_or(0, Bytes::len), clock)?;
    Ok(part)
}

/// Drops what is left of the viewer's body, if a hook made another. Called when the hooks of a stage are through.
///
/// # Errors
/// As [`hold`].
pub(super) async fn settle(session: &mut Session, ctx: &mut RequestCtx, clock: &dyn Clock) -> Result<(), Fault> {
    let Some(mut held) = ctx.held.take() else { return Ok(()) };
    if held.made && session.is_upgrade_req() {
        let rule = "a request that asks for another protocol has no body";
        tracing::warn!(request_id = ctx.id(), rule, "hook answer refused");
        return Err(Fault::HookInvalid);
    }
    if held.made && held.more {
        let_it_come(session, ctx).await?;
        while held.more {
            held.more = part(session, ctx, clock).await?.is_some() && !session.as_mut().is_body_done();
        }
    }
    if held.made {
        // What a hook makes has a limit of its own: it is counted and never refused.
        let _always = held.room.resize(held.bytes.len(), usize::MAX);
    }
    ctx.held = Some(held);
    Ok(())
}

/// Whether there is a body to send to the origin, be it the viewer's or a hook's.
pub(super) fn is_sent(session: &mut Session, ctx: &RequestCtx) -> bool {
    !session.is_body_empty() || ctx.held.as_ref().is_some_and(|held| !held.is_empty())
}

/// Puts a stand-in in the session's place, if there is a body to be played.
pub(super) fn play(session: &mut Session, ctx: &mut RequestCtx, head: &mut RequestHeader) {
    let Some(held) = &mut ctx.held else { return };
    held.describe(head);
    if held.away.is_none() && (held.made || !held.bytes.is_empty()) {
        held.away = Some(stand_in::exchange(&mut session.downstream_session, held.bytes.clone(), held.more));
    }
}

/// Puts the session back, if a stand-in is in its place. Returns what was held, for the origin.
pub(super) fn put_back(session: &mut Session, ctx: &mut RequestCtx) -> Option<Bytes> {
    let held = ctx.held.as_mut()?;
    session.downstream_session = held.away.take()?;
    Some(held.bytes.clone())
}

/// Something of the viewer's body goes to the origin as it comes.
pub(super) fn streams(ctx: &mut RequestCtx) {
    if let Some(held) = &mut ctx.held {
        held.streamed = true;
    }
}

/// The origin has answered: nothing is sent again.
pub(super) fn release(ctx: &mut RequestCtx) {
    if let Some(held) = &mut ctx.held {
        held.bytes = Bytes::new();
        let _always = held.room.resize(0, usize::MAX);
        held.streamed = true;
    }
}
