//! A viewer whose request fills the cache while others read along: neither its slowness nor its leaving is theirs.
//!
//! As long as the answer may be stored, the viewer reads it from the store as all others do, and a write to it that waits is set
//! aside while more comes from the origin (`runtime/patient` on HTTP/2, pingora's own on HTTP/1). Of what turns out not to be
//! stored the origin is asked for no more than the viewer takes.

use std::sync::atomic::Ordering;

use edgeweir_cache::storage::MokaHit;
use http::Version;
use pingora::Result;
use pingora::proxy::{ProxyWarnLogContext, Session};

use super::context::RequestCtx;
use super::stop;
use crate::fault::Fault;
use crate::runtime::patient::make_patient;

/// The viewer's own reader of what it fills the cache with.
fn own_reader(session: &mut Session) -> Option<&mut MokaHit> {
    if !session.cache.enabled() {
        return None;
    }
    session.cache.miss_body_reader()?.as_any_mut().downcast_mut()
}

/// The head is about to be written, in one go: whether the viewer has it must be known should the fetch fail now. What is there as
/// a whole by now is written as ever.
pub(super) fn begins(session: &mut Session, ctx: &mut RequestCtx) {
    if ctx.background || own_reader(session).is_none_or(|own| !own.is_awaited()) {
        return;
    }
    ctx.fills = true;
    if ctx.version == Version::HTTP_2 {
        make_patient(&mut session.downstream_session);
    }
}

/// A part of the body is about to be written; nothing is set aside at this moment.
pub(super) fn goes_on(session: &mut Session) {
    let own = own_reader(session).filter(|own| own.is_refused());
    if let Some(own) = &own {
        own.takes_turns_with_writer();
    }
    let refused = own.is_some();
    session.set_proxy_tasks_enabled(!refused);
}

/// Notes that the viewer has left while the cache goes on to be filled.
pub(super) fn told(ctx: &RequestCtx, context: ProxyWarnLogContext) {
    if matches!(context, ProxyWarnLogContext::DownstreamCache) {
        ctx.viewer_left.store(true, Ordering::Relaxed);
    }
}

/// More came from the origin for a viewer that has left: nothing is kept for it.
///
/// # Errors
/// If nobody wants it.
pub(super) fn without_viewer(session: &mut Session, ctx: &mut RequestCtx) -> Result<()> {
    if !session.cache.enabled() {
        return Err(stop(ctx, Fault::ViewerGone));
    }
    if let Some(own) = own_reader(session) {
        own.leave();
    }
    Ok(())
}
