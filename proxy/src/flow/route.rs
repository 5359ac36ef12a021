//! Steps 2 to 4 on a request's head: gate, route, identity. Knows no session, so that `edgeweir explain` takes the same way.

use std::sync::Arc;

use pingora::http::RequestHeader;

use super::context::RequestCtx;
use super::{cors, gate, headers, identity, purge, signed};
use crate::fault::Fault;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The server itself: `OPTIONS *`.
    Server,
    /// A behavior, which is in the context.
    Behavior,
    /// What pages of other origins may do with a behavior: a preflight that the edge answers.
    Preflight,
    /// What the cache holds: a purge.
    Cache,
}

/// Takes a request to its behavior. What was found out is in the context, also if the request is refused.
///
/// # Errors
/// Why the request is refused.
pub(crate) fn enter(head: &mut RequestHeader, wire: gate::Wire<'_>, ctx: &mut RequestCtx) -> Result<Subject, Fault> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let peer = ctx.conn.as_ref().map(|conn| conn.peer);
    let trusted = peer.is_some_and(|peer| snapshot.trusts(peer.ip()));
    if let Some(peer) = peer {
        (ctx.client, ctx.believed_hops) = identity::client(&snapshot, peer, &head.headers);
    }
    let tls = ctx.conn.as_ref().is_some_and(|conn| conn.tls.is_some());
    ctx.https = identity::https(tls, trusted, &head.headers);
    let passed = gate::check(head, wire, &snapshot.config.gate, trusted)?;
    ctx.authority = passed.authority;
    ctx.expects = passed.expects;
    if passed.asterisk {
        return Ok(Subject::Server);
    }
    let distribution = snapshot.hosts.find(ctx.authority.host()).ok_or(Fault::UnknownHost)?;
    let path = passed.normal_path.as_deref().unwrap_or_else(|| head.uri.path());
    let behavior = snapshot.route(distribution, path).ok_or(Fault::NoBehavior)?;
    ctx.route = Some((distribution, behavior));
    cors::meet(&head.headers, ctx);
    headers::meet(&head.headers, ctx);
    let behavior = ctx.behavior().ok_or(Fault::NoBehavior)?;
    if passed.ambiguous_path && !behavior.allow_ambiguous_paths {
        return Err(Fault::AmbiguousPath);
    }
    if behavior.cors.is_some() && identity::is_preflight(&head.method, &head.headers) {
        return Ok(Subject::Preflight);
    }
    if !behavior.methods.contains(&head.method) {
        if purge::allowed(&head.method, ctx) {
            return Ok(Subject::Cache);
        }
        return Err(Fault::MethodNotAllowed);
    }
    if let Some(keys) = &behavior.trusted {
        signed::admit(head, passed.normal_path.as_deref(), keys, ctx)?;
    }
    match passed.normal_path {
        Some(path) if !behavior.raw_path => gate::use_normal_path(head, &path)?,
        normal => ctx.normal_path = normal,
    }
    identity::api_key(ctx, &head.method, &head.headers, head.uri.query())?;
    Ok(Subject::Behavior)
}
