//! Steps 2 to 4 on a request's head: gate, route, identity. Knows no session, so that `edgeweir explain` takes the same way.

use std::sync::Arc;

use http::header::{HOST, MAX_FORWARDS};
use http::{HeaderValue, Method};
use pingora::http::RequestHeader;

use super::access::{self, Access};
use super::context::RequestCtx;
use super::{cors, facts, gate, headers, identity, matching, purge, signed};
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
    /// A behavior that is only served by HTTPS: the viewer is sent there.
    Redirect,
    /// What the cache holds: a purge.
    Cache,
}

/// Takes a request to its behavior. What was found out is in the context, also if the request is refused.
///
/// # Errors
/// Why the request is refused.
pub(crate) fn enter(head: &mut RequestHeader, wire: gate::Wire<'_>, ctx: &mut RequestCtx) -> Result<Subject, Fault> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let met = ctx.conn.as_ref().map(|conn| (conn.peer, conn.tls.is_some()));
    if let Some((peer, tls)) = met {
        identity::meet(&snapshot, peer, tls, &head.headers, ctx);
    }
    if snapshot.tells_heads {
        facts::note_head(head, ctx);
    }
    // Of what proxies say only the hops in `X-Forwarded-For` are passed on, and only those that are believed.
    let keeps_hops = ctx.believed_hops > 0 && ctx.forwarded_for.is_none();
    let passed = gate::check(head, wire, &snapshot.config, keeps_hops)?;
    ctx.authority = passed.authority;
    if let Some(plain) = ctx.authority.plain(ctx.https) {
        // One spelling, in the key and to the origin, which may make links of it.
        if head.headers.contains_key(HOST) {
            let host = HeaderValue::from_str(plain.as_str()).map_err(|_invalid| Fault::BadHost)?;
            gate::set(head, HOST, host);
        }
        ctx.authority = plain;
    }
    if met.is_some_and(|(_peer, tls)| tls) {
        on_its_connection(ctx)?;
    }
    ctx.expects = passed.expects;
    ctx.closes = passed.closes;
    if passed.asterisk || is_for_the_edge(head) {
        return Ok(Subject::Server);
    }
    let distribution = snapshot.hosts.find(ctx.authority.host()).ok_or(Fault::UnknownHost)?;
    let found = snapshot.distributions.get(distribution).ok_or(Fault::UnknownHost)?;
    let asked = passed.normal_path.as_deref().unwrap_or_else(|| head.uri.path());
    // Before behaviors are looked for, which may be another one for it (CloudFront: "Specify a default root object").
    let root_object = found.root_object.as_deref().filter(|_object| asked == "/");
    let behavior = snapshot
        .route(distribution, root_object.unwrap_or(asked), |conditions| matching::holds(conditions, head, ctx))
        .ok_or(Fault::NoBehavior)?;
    ctx.route = Some((distribution, behavior));
    cors::meet(&head.headers, ctx);
    headers::meet(&head.headers, ctx);
    let behavior = found.behaviors.get(behavior).ok_or(Fault::NoBehavior)?;
    if passed.ambiguous_path && !behavior.allow_ambiguous_paths {
        return Err(Fault::AmbiguousPath);
    }
    let listed = behavior.methods.contains(&head.method);
    if !listed && purge::allowed(&head.method, ctx) {
        return Ok(Subject::Cache);
    }
    if access::check(behavior, head, ctx)? == Access::Redirected {
        return Ok(Subject::Redirect);
    }
    if behavior.cors.is_some() && identity::is_preflight(&head.method, &head.headers) {
        return Ok(Subject::Preflight);
    }
    if !listed {
        return Err(Fault::MethodNotAllowed);
    }
    if let Some(keys) = &behavior.trusted {
        signed::admit(head, passed.normal_path.as_deref(), keys, ctx)?;
    }
    facts::note(behavior, head, ctx);
    match passed.normal_path {
        _ if root_object.is_some() => gate::use_normal_path(head, root_object.unwrap_or_default())?,
        Some(path) if !behavior.raw_path => gate::use_normal_path(head, &path)?,
        normal => ctx.normal_path = normal,
    }
    identity::api_key(ctx, &head.headers, head.uri.query())?;
    Ok(Subject::Behavior)
}

/// "A request for an "https" resource MUST be rejected unless it has been received over a connection that has been secured via a
/// certificate valid for that target URI's origin", or a gateway that is trusted has sent it (RFC 9110, 7.4).
fn on_its_connection(ctx: &RequestCtx) -> Result<(), Fault> {
    let Some(conn) = &ctx.conn else { return Ok(()) };
    match &conn.tls {
        Some(tls) if tls.misdirects(ctx.authority.host()) && !ctx.snapshot.trusts(conn.peer.ip()) => {
            Err(Fault::Misdirected)
        }
        _ => Ok(()),
    }
}

/// Whether the edge is the last that an `OPTIONS` may come to; counts down otherwise (RFC 9110, 7.6.2).
fn is_for_the_edge(head: &mut RequestHeader) -> bool {
    if head.method != Method::OPTIONS {
        return false;
    }
    let hops = head.headers.get(MAX_FORWARDS).and_then(|hops| hops.to_str().ok()?.trim().parse::<u64>().ok());
    match hops {
        Some(0) => true,
        Some(hops) => {
            gate::set(head, MAX_FORWARDS, HeaderValue::from(hops - 1));
            false
        }
        None => false,
    }
}
