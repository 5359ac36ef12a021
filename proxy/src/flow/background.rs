//! Fetches a stale object again while viewers get it as it is (RFC 5861, 3).
//!
//! pingora starts such a request itself, from the viewer's head as it came, and sends it the whole way. What the viewer's
//! request had become by then (its route, its edits by hooks, its parts of the key) is left with the connection and taken up
//! here: gate, identity, throttles and viewer hooks are behind it. Nobody reads the answer, and it has no line in the access
//! log.

use http::Version;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::context::RequestCtx;
use crate::edge::Core;
use crate::runtime::conn::ConnHandle;

/// What a viewer's request leaves.
struct Errand {
    head: RequestHeader,
    ctx: RequestCtx,
}

/// Leaves what the request in the background needs. Whether one may be started.
pub(super) fn prepare(core: &Core, session: &mut Session, ctx: &RequestCtx) -> bool {
    let Some(conn) = ctx.conn.as_ref().filter(|_conn| !ctx.background) else { return false };
    if session.req_header().version == Version::HTTP_2 {
        // pingora writes the head as text and reads it again, which knows no `HTTP/2`. Here the context knows the version.
        session.req_header_mut().set_version(Version::HTTP_11);
    }
    let errand = Errand { head: session.req_header().clone(), ctx: ctx.for_background(core.clock.stopwatch()) };
    conn.leave_errand(session.to_h1_raw(), Box::new(errand))
}

/// Takes up what was left. Whether there was anything.
pub(super) fn begin(core: &Core, session: &mut Session, ctx: &mut RequestCtx) -> bool {
    let errand = session
        .digest()
        .and_then(|digest| digest.proxy_digest.as_ref())
        .and_then(|digest| digest.user_data.as_ref())
        .and_then(|data| data.downcast_ref::<ConnHandle>())
        .and_then(|handle| handle.0.take_errand(&session.to_h1_raw()))
        .and_then(|errand| errand.downcast::<Errand>().ok());
    let Some(errand) = errand else { return false };
    *session.req_header_mut() = errand.head;
    *ctx = errand.ctx;
    core.metrics.refreshed();
    true
}
