//! What the origin gets: the viewer's request, cleaned by the gate, with what the edge knows added and hooks' edits on top.

use edgeweir_cache::{Forwarded, Selection, filtered_query, forwarded_cookies};
use edgeweir_config::Stage;
use http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, TRANSFER_ENCODING,
    VIA,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::RequestHeader;

use super::context::RequestCtx;
use super::facts::viewer_headers;
use super::identity::{X_FORWARDED_FOR, X_FORWARDED_PROTO, X_REQUEST_ID};
use super::viewer::{NAME, via};
use super::{compress, edits, gate, identity, parts};
use crate::fault::Fault;
use crate::sigv4::Signer;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Edges that a request may come through, this one not counted: more than anybody has in a row, and few enough that a loop is
/// cheap.
const MAX_EDGES: usize = 8;

/// Makes a viewer's request the origin's. `cacheable`: the answer may be stored, so only what is in the key goes along.
///
/// # Errors
/// If a target cannot be made, and for a request that goes round in a circle.
pub(crate) fn prepare(req: &mut RequestHeader, ctx: &mut RequestCtx, cacheable: bool) -> Result<(), Fault> {
    parts::of_request(req, |parts| {
        // The five of `forwarded` and the id: one growth at most.
        parts.headers.reserve(5);
        if cacheable {
            accept_encoding(&mut parts.headers, ctx);
            only_the_sent(&mut parts.headers, ctx);
        }
        if edges(&parts.headers) > MAX_EDGES {
            return Err(Fault::Loop);
        }
        forwarded(&mut parts.headers, ctx, cacheable);
        parts.headers.insert(X_REQUEST_ID, ctx.id.clone());
        viewer_headers(&mut parts.headers, ctx);
        if cacheable {
            only_the_key(parts, ctx)?;
        }
        let Some(origin) = ctx.origin() else { return Err(Fault::Internal) };
        if let Some(host) = &origin.host_header {
            parts.headers.insert(HOST, host.clone());
        } else if !parts.headers.contains_key(HOST) {
            // HTTP/1.0 knows none, and what the origin gets is HTTP/1.1 or HTTP/2 (RFC 9112, 3.2).
            parts.headers.insert(HOST, origin.own_host.clone());
        }
        if let Some(signer) = &origin.signer {
            clean_for_bucket(parts, signer)?;
        }
        Ok(())
    })
}

/// Applies the edits of origin-request hooks, the origin's path prefix and its headers, which no hook sees: they may be secrets.
/// What there is between is kept for origin-response hooks (CloudFront: "Lambda@Edge event structure", the request of a
/// response event).
///
/// # Errors
/// If a target cannot be made.
pub(crate) fn finish(req: &mut RequestHeader, ctx: &mut RequestCtx) -> Result<(), Fault> {
    for edit in &ctx.origin_edits {
        edits::apply_to_request(req, edit)?;
    }
    if ctx.has_hooks_at(Stage::OriginResponse) {
        ctx.sent = Some(Box::new(req.clone()));
    }
    if let Some(origin) = ctx.origin()
        && !origin.config.path_prefix.is_empty()
    {
        let path = format!("{}{}", origin.config.path_prefix, req.uri.path());
        gate::set_target(req, &path, None)?;
    }
    if let Some(origin) = ctx.origin().filter(|origin| !origin.headers.is_empty()) {
        parts::of_request(req, |parts| {
            for (name, value) in &origin.headers {
                parts.headers.insert(name.clone(), value.clone());
            }
        });
    }
    if let Some(origin) = ctx.origin().filter(|origin| origin.signer.is_some()) {
        return parts::of_request(req, |parts| origin.sign(parts)).map_err(|_refused| Fault::BucketRefused);
    }
    Ok(())
}

/// Of a viewer's request nothing is left that would be signed as the edge's own.
fn clean_for_bucket(parts: &mut Parts, signer: &Signer) -> Result<(), Fault> {
    signer.clean(&parts.method, &mut parts.headers).map_err(|_refused| Fault::BucketRefused)?;
    if let Some(query) = parts.uri.query() {
        let kept = signer.kept_query(query);
        if kept.as_deref() != Some(query) {
            parts.uri = gate::target_of(parts.uri.path(), kept.as_deref())?;
        }
    }
    Ok(())
}

/// Edges that a request came through, by what each says in `Via` (RFC 9110, 7.6.3: it is there to find loops).
fn edges(headers: &HeaderMap) -> usize {
    let received = headers.get_all(VIA).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    received.filter(|received| received.trim_ascii().ends_with(NAME)).count()
}

fn forwarded(headers: &mut HeaderMap, ctx: &RequestCtx, cacheable: bool) {
    headers.append(VIA, via(ctx.version));
    let Some(conn) = &ctx.conn else { return };
    // The gate dropped what an untrusted viewer sent. Of what a trusted proxy passed on, the chain starts with the viewer.
    if let Some(chain) = &ctx.forwarded_for {
        headers.insert(X_FORWARDED_FOR, chain.clone());
    } else if ctx.believed_hops > 0 {
        let mut chain: Vec<&str> = identity::hops(headers).take(ctx.believed_hops).collect();
        chain.reverse();
        let value = format!("{}, {}", chain.join(", "), conn.peer.ip());
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(X_FORWARDED_FOR, value);
        }
    } else {
        headers.insert(X_FORWARDED_FOR, conn.peer_value.clone());
    }
    let proto = match ctx.https {
        true => const { HeaderValue::from_static("https") },
        false => const { HeaderValue::from_static("http") },
    };
    headers.insert(X_FORWARDED_PROTO, proto);
    // Where the answer may be stored without the host in its key, the origin must not see the host.
    let unkeyed = cacheable && ctx.behavior().is_some_and(|behavior| !behavior.cache.host_in_key);
    let own_host = ctx.origin().is_some_and(|origin| origin.host_header.is_some());
    if !(unkeyed && own_host)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

/// Keeps of query and cookies what is in the key or forwarded by the policy: what the origin does not see cannot make its answer differ, so nobody
/// gets another's (CloudFront: "Understand cache policies").
fn only_the_key(req: &mut Parts, ctx: &RequestCtx) -> Result<(), Fault> {
    let Some(behavior) = ctx.behavior() else { return Ok(()) };
    let policy = &behavior.cache;
    if let Some(query) = req.uri.query() {
        let kept = filtered_query(Some(query), &policy.sent_query);
        if kept.as_deref() != Some(query) {
            req.uri = gate::target_of(req.uri.path(), kept.as_deref())?;
        }
    }
    if req.headers.contains_key(COOKIE) {
        // Also where all are sent: their order and what is between them is not in the key.
        match forwarded_cookies(&req.headers, &policy.sent_cookies) {
            Forwarded::AsSent => {}
            Forwarded::As(kept) => drop(req.headers.insert(COOKIE, kept)),
            Forwarded::Nothing => drop(req.headers.remove(COOKIE)),
        }
    }
    Ok(())
}

/// Puts what the viewer accepts into the spelling that is in the key, where the policy wants one.
fn accept_encoding(headers: &mut HeaderMap, ctx: &RequestCtx) {
    let Some(policy) = ctx.behavior().map(|behavior| &behavior.cache) else { return };
    if policy.accept_encoding.is_empty() {
        return;
    }
    match compress::asked_of_origin(headers, policy) {
        Some(codings) => drop(headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(codings))),
        None => drop(headers.remove(ACCEPT_ENCODING)),
    }
}

/// Keeps of the viewer's fields what the policy sends, and what a request cannot do without.
fn only_the_sent(headers: &mut HeaderMap, ctx: &RequestCtx) {
    let Some(behavior) = ctx.behavior() else { return };
    let sent = &behavior.cache.sent_headers;
    if *sent == Selection::All {
        return;
    }
    // It is in the key.
    let normalised = !behavior.cache.accept_encoding.is_empty();
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !ALWAYS_SENT.contains(name) && !sent.keeps(name.as_str().as_bytes()))
        .filter(|name| !(normalised && *name == ACCEPT_ENCODING))
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
}

/// Framing, what the edge asks with when it checks a stored object, and what has a selection of its own.
const ALWAYS_SENT: [HeaderName; 9] = [
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    HOST,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    TRANSFER_ENCODING,
    VIA,
    X_FORWARDED_FOR,
];
