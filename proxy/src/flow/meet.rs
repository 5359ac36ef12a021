//! What a request is known by before anything of it is judged: its connection, its id, its time limits.

use std::sync::Arc;
use std::time::Duration;

use http::Version;
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::identity;
use crate::runtime::conn::ConnHandle;

/// Takes what is known before the head is checked: the connection, the id.
pub(super) fn begins(session: &mut Session, ctx: &mut RequestCtx) {
    let conn = session
        .digest()
        .and_then(|digest| digest.proxy_digest.as_ref())
        .and_then(|digest| digest.user_data.as_ref())
        .and_then(|data| data.downcast_ref::<ConnHandle>())
        .map(|handle| Arc::clone(&handle.0));
    if let Some(conn) = &conn {
        conn.head_ends();
        ctx.conn_reused = conn.meets();
    }
    ctx.conn = conn;
    ctx.version = session.req_header().version;
    ctx.id = identity::new_id();
    // RFC 9110, 15.2: HTTP/1.0 knows no interim responses.
    session.set_ignore_info_resp(ctx.version == Version::HTTP_10);
    // What comes before its turn does not end the answer that is in work.
    session.set_pipelining_enabled(true);
    let server = &ctx.snapshot.config.server;
    session.set_read_timeout(Some(server.read_timeout));
    if ctx.own_conn().is_none() {
        session.set_write_timeout(Some(server.write_timeout));
    }
    session.set_total_drain_timeout(Some(server.read_timeout.min(Duration::from_secs(5))));
}
