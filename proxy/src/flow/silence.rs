//! How long an origin may keep silent, and both sides of an upgraded connection.
//!
//! Where the viewer has a connection of its own, the sweep watches, without a timer for each request; elsewhere (HTTP/2, or
//! while the cache is filled) pingora's timer does, between two reads.

use std::time::Duration;

use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;

use super::context::RequestCtx;
use super::request_body;

/// How many times its read timeout a head may take that comes steadily.
const HEAD: u32 = 6;

/// Silence of an upgraded connection where the behavior says nothing: CloudFront's, "Use WebSockets with distributions".
const UPGRADED: Duration = Duration::from_secs(600);

/// Decides who watches, before the origin is connected; not the sweep where another attempt may follow (`goes_on`).
pub(super) fn arrange(session: &mut Session, ctx: &mut RequestCtx, peer: &mut HttpPeer, goes_on: bool) {
    ctx.swept = !goes_on && ctx.own_conn().is_some() && !session.cache.enabled();
    if !ctx.swept {
        if let Some(idle) = idle(ctx) {
            // One time for head and body: the longer one.
            peer.options.read_timeout = peer.options.read_timeout.map(|timeout| timeout.max(idle));
        }
        return;
    }
    let patience = peer.options.read_timeout;
    peer.options.read_timeout = None;
    if session.is_upgrade_req() {
        // The viewer's silence is no fault as long as the origin speaks.
        session.set_read_timeout(None);
    } else if !request_body::is_sent(session, ctx) {
        // The watch over the answer begins before the head is written.
        peer.options.write_timeout = None;
    } else {
        // An origin that takes nothing more stops the viewer, whom nobody listens to then: the sweep could only end the
        // connection. So pingora has a timer too, and one that ends after those of the viewer and of the sweep.
        let viewer = ctx.snapshot.config.server.read_timeout;
        peer.options.read_timeout = patience.map(|patience| idle(ctx).unwrap_or_default().max(patience + viewer));
    }
}

/// Watches over an upload from now on, until its end: in all that time somebody has to do something. The viewer has a deadline
/// of its own, which is shorter; who is late here is the origin.
pub(super) fn uploads(ctx: &RequestCtx) {
    if let (Some(conn), Some(origin)) = (ctx.own_conn(), ctx.origin()) {
        let origin = &origin.config;
        let limit = origin.write_timeout + origin.read_timeout + ctx.snapshot.config.server.read_timeout;
        conn.await_origin(limit, ctx.swept);
    }
}

/// Watches over the origin's silence from now on. Where pingora does it, between two reads, the sweep only sees to it that a
/// head has an end at all: what it ends by itself has no other answer, no stale one and none of another origin. HTTP/2 viewers
/// share a connection, so it is not done there.
pub(super) fn begins(ctx: &RequestCtx) {
    if let (Some(conn), Some(origin)) = (ctx.own_conn(), ctx.origin()) {
        let patience = origin.config.read_timeout;
        // It ends after twice the time where nobody can be told.
        let limit = if ctx.swept { patience } else { patience.saturating_mul(HEAD / 2) };
        conn.await_origin(limit, ctx.swept);
    }
}

/// The final head is there: what follows may keep silent for another time.
pub(super) fn answered(ctx: &RequestCtx, upgraded: bool) {
    if !ctx.swept {
        // pingora's read timeout watches over the body.
        ends(ctx);
        return;
    }
    let limit = idle(ctx).or_else(|| upgraded.then_some(UPGRADED));
    if let (Some(conn), Some(limit)) = (ctx.own_conn(), limit) {
        conn.await_origin(limit, true);
    }
}

/// The viewer has said something: of its body, or on an upgraded connection.
pub(super) fn viewer_speaks(ctx: &RequestCtx) {
    if let (true, Some(conn)) = (ctx.swept, &ctx.conn) {
        conn.origin_restarts();
    }
}

/// Watches no longer.
pub(super) fn ends(ctx: &RequestCtx) {
    if let Some(conn) = ctx.own_conn() {
        conn.origin_is_done();
    }
}

fn idle(ctx: &RequestCtx) -> Option<Duration> {
    ctx.behavior()?.idle_timeout
}
