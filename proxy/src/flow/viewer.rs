//! What the viewer gets: hop-by-hop fields gone, viewer-response hooks run, the edge's own fields added.

use edgeweir_cache::CacheOutcome;
use edgeweir_cache::targeted::{CDN_CACHE_CONTROL, SURROGATE_CONTROL};
use edgeweir_config::Stage;
use http::header::{
    AGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, LAST_MODIFIED, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SERVER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use pingora::cache::CachePhase;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::identity::X_REQUEST_ID;
use super::{body, cache, compress, cors, edits, gate, headers as policy_headers, hooks, pages, parts, throttle};
use crate::fault::Fault;
use crate::runtime::answer::{Fields, Said};
use crate::snapshot::Behavior;

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
pub(super) const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// Interim answers (1xx) to one request.
const MAX_INTERIM: u32 = 64;

/// Forgets how the origin spelled field names (see the gate), and drops what it says to its next hop only, before anything
/// is stored. Its reason phrase stays.
pub(super) fn clean(session: &Session, head: &mut ResponseHeader, ctx: &mut RequestCtx) {
    parts::of_response(head, |parts| {
        ctx.origin_version = parts.version;
        if parts.version == Version::HTTP_10 {
            // The edge's own, not the origin's (RFC 9112, 2.3).
            parts.version = Version::HTTP_11;
        }
        if parts.status != StatusCode::SWITCHING_PROTOCOLS {
            let trailers = parts.version == Version::HTTP_2 && session.is_http2();
            strip(&mut parts.headers, trailers);
        }
    });
}

/// An interim answer goes on to the viewer (RFC 9110, 15.2), unless there were too many: they have no end that a time could be
/// measured to.
///
/// # Errors
/// `OriginProtocol` for one too many.
pub(super) fn interim(session: &Session, head: &mut ResponseHeader, ctx: &mut RequestCtx) -> Result<(), Fault> {
    ctx.interim += 1;
    if ctx.interim > MAX_INTERIM {
        return Err(Fault::OriginProtocol);
    }
    clean(session, head, ctx);
    // RFC 9110, 8.6 and 9112, 6.1.
    head.remove_header(&TRANSFER_ENCODING);
    head.remove_header(&CONTENT_LENGTH);
    Ok(())
}

/// Adds the fields that the viewer gets with each answer of an origin or of the cache, and takes off what is for caches. An
/// HTTP/1 connection adds the edge's own by itself.
fn tell(head: &mut ResponseHeader, ctx: &RequestCtx, status: HeaderValue) {
    let behavior = ctx.behavior();
    let own = Fields { via: via(ctx.origin_version), cache_status: status, request_id: ctx.id.clone() };
    let mut own = Some(own);
    let conn = ctx.own_conn();
    let changes = behavior.is_some_and(|behavior| {
        let cache = &behavior.cache;
        cache.hides_targeted || cache.x_cache || behavior.headers.is_some() || behavior.cors.is_some()
    });
    // Looking through the few names of a head costs less than the hash of a long one.
    let has_id = || head.headers.keys().any(|name| *name == X_REQUEST_ID);
    if conn.is_none() || changes || has_id() {
        parts::of_response(head, |parts| {
            let headers = &mut parts.headers;
            if let Some(behavior) = behavior {
                apply_behavior(headers, parts.status, behavior, ctx);
            }
            // The origin may have one of its own.
            headers.remove(X_REQUEST_ID);
            if let Some(own) = own.take_if(|_own| conn.is_none()) {
                headers.append(VIA, own.via);
                headers.append(CACHE_STATUS, own.cache_status);
                headers.append(X_REQUEST_ID, own.request_id);
            }
        });
    }
    if let Some(conn) = conn {
        // RFC 9110, 6.6.1: it is when the origin made the answer.
        let date = head.headers.get(DATE).filter(|date| is_fixdate(date)).cloned();
        conn.say(Said { date, fields: own });
    }
}

/// What a behavior wants to be said, and not to be said.
fn apply_behavior(headers: &mut HeaderMap, http_status: StatusCode, behavior: &Behavior, ctx: &RequestCtx) {
    if behavior.cache.hides_targeted {
        headers.remove(CDN_CACHE_CONTROL);
        headers.remove(SURROGATE_CONTROL);
    }
    if behavior.cache.x_cache
        && let Some(said) = cache::x_cache(ctx, http_status.as_u16())
    {
        headers.insert(X_CACHE, said);
    }
    if let Some(policy) = behavior.headers.as_deref() {
        policy_headers::apply(headers, policy, ctx);
    }
    if behavior.cors.is_some() {
        cors::tell(headers, ctx);
    }
}

/// What an edge calls itself in `Via`, after the version.
pub(super) const NAME: &[u8] = b" edgeweir";

/// What the edge says in `Via` of a message: the version that it came in (RFC 9110, 7.6.3).
pub(super) fn via(received: Version) -> HeaderValue {
    match received {
        Version::HTTP_10 => const { HeaderValue::from_static("1.0 edgeweir") },
        Version::HTTP_2 => const { HeaderValue::from_static("2.0 edgeweir") },
        _ => const { HeaderValue::from_static("1.1 edgeweir") },
    }
}

/// A 101 is for who asked for it, and for what was asked (RFC 9110, 7.8 and 15.2.2): the gate lets through one protocol.
///
/// # Errors
/// `OriginProtocol` for any other.
pub(super) fn switches(session: &Session, head: &ResponseHeader) -> Result<(), Fault> {
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    let mut named = head.headers.get_all(UPGRADE).iter();
    let fits = named.next().is_some_and(gate::is_websocket) && named.next().is_none();
    if fits && session.is_upgrade_req() { Ok(()) } else { Err(Fault::OriginProtocol) }
}

/// One length and no coding but `chunked`, so that whoever comes after reads what was read here (RFC 9112, 6; RFC 9110, 8.6).
///
/// # Errors
/// `OriginProtocol` for a coding that would lose its name on the way.
pub(super) fn framing(head: &mut ResponseHeader) -> Result<(), Fault> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        // HTTP/1.0 knows none: "MUST treat the message as if the framing is faulty" (RFC 9112, 6.1).
        let chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        if !chunked || codings.next().is_some() || head.version == Version::HTTP_10 {
            return Err(Fault::OriginProtocol);
        }
        if head.status == StatusCode::NO_CONTENT {
            head.remove_header(&TRANSFER_ENCODING);
        }
    }
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(()) };
    let single = lengths.next().is_none();
    if head.status == StatusCode::NO_CONTENT || head.status.is_informational() {
        head.remove_header(&CONTENT_LENGTH);
        return Ok(());
    }
    let text = first.to_str().map_err(|_invalid| Fault::OriginProtocol)?;
    if single && !text.is_empty() && (text == "0" || !text.starts_with('0')) && text.bytes().all(|b| b.is_ascii_digit())
    {
        return Ok(());
    }
    // Repeated but equal: one value.
    let mut lengths = Vec::new();
    for line in head.headers.get_all(CONTENT_LENGTH) {
        let line = line.to_str().map_err(|_invalid| Fault::OriginProtocol)?;
        for value in line.split(',') {
            let digits = value.trim();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Fault::OriginProtocol);
            }
            lengths.push(digits.parse::<u64>().map_err(|_over| Fault::OriginProtocol)?);
        }
    }
    match lengths.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => {
            edits::set(head, CONTENT_LENGTH, HeaderValue::from(*first));
            Ok(())
        }
        _ => Err(Fault::OriginProtocol),
    }
}

/// Drops hop-by-hop fields (RFC 9110, 7.6.1), and the announcement of trailers that are not passed on (6.6.2). Framing is
/// pingora's.
fn strip(headers: &mut HeaderMap, trailers: bool) {
    let mut connection = false;
    let mut drop_names: Vec<HeaderName> = Vec::new();
    // Each line of a field by itself.
    for (name, value) in headers.iter() {
        match *name {
            CONTENT_TYPE | CONTENT_LENGTH | DATE | SERVER | ETAG | LAST_MODIFIED | CACHE_CONTROL => {}
            CONNECTION => {
                named(value.as_bytes(), &mut drop_names);
                connection = true;
            }
            TRAILER if !trailers => drop_names.push(name.clone()),
            TE | UPGRADE | PROXY_AUTHENTICATE | PROXY_AUTHORIZATION => drop_names.push(name.clone()),
            _ if matches!(name.as_str(), "keep-alive" | "proxy-connection" | "proxy-authentication-info") => {
                drop_names.push(name.clone());
            }
            _ => {}
        }
    }
    for name in &drop_names {
        headers.remove(name);
    }
    if connection {
        headers.remove(CONNECTION);
    }
}

/// Collects the fields that a `Connection` value names. Framing fields cannot be named away.
fn named(value: &[u8], names: &mut Vec<HeaderName>) {
    for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        if option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close") {
            continue;
        }
        if let Ok(name) = HeaderName::from_bytes(option)
            && name != CONTENT_LENGTH
            && name != TRANSFER_ENCODING
        {
            names.push(name);
        }
    }
}

/// The last step before an answer of the origin or the cache goes out.
///
/// # Errors
/// The fault that answers instead, if a viewer-response hook fails closed.
pub(super) async fn finish(
    session: &mut Session,
    head: &mut ResponseHeader,
    ctx: &mut RequestCtx,
) -> Result<(), Fault> {
    let outcome = cache::outcome(session, ctx);
    ctx.outcome = Some(outcome);
    let may_have_page = pages::any(ctx);
    if may_have_page || ctx.has_hooks_at(Stage::ViewerResponse) {
        // Before the head of a coded form loses it.
        ctx.origin_length = head.headers.get(CONTENT_LENGTH).cloned();
    }
    match session.cache.phase() {
        CachePhase::RevalidatedNoCache(_) => {
            if let Some(validation) = &ctx.validation {
                // pingora's idea of what a 304 changes is narrower.
                validation.0.settle(head);
            }
            compress::settle_revalidated(head, ctx);
        }
        CachePhase::Revalidated => {
            give_left_out(head, ctx)?;
            compress::settle_revalidated(head, ctx);
        }
        CachePhase::Miss | CachePhase::Expired => {
            give_left_out(head, ctx)?;
            compress::describe_filling(session, head, ctx);
        }
        _ => {}
    }
    // On origin errors only if asked for (CloudFront: "Lambda@Edge: viewer response"); on a hit, and where a 304 is about what
    // is stored, the stored status is the origin's.
    let status = ctx.origin_status.filter(|status| ctx.covered.is_none() && *status != 304);
    let failed = status.unwrap_or_else(|| head.status.as_u16()) >= 400;
    if ctx.background {
        return Ok(());
    }
    if may_have_page && head.status.as_u16() >= 400 {
        error_page(session, head, ctx).await;
        if ctx.generated.is_some() {
            return Ok(());
        }
    }
    if ctx.has_hooks_at(Stage::ViewerResponse) {
        let (before, empty) = (head.status, body::is_empty(head, ctx));
        Box::pin(hooks::response_stage(session.req_header_mut(), head, ctx, Stage::ViewerResponse, failed)).await?;
        body::at_viewer(session, head, ctx, before, empty);
        if ctx.generated.is_some() {
            return Ok(());
        }
    }
    if outcome == CacheOutcome::Revalidated
        && let Some(meta) = session.cache.maybe_cache_meta()
    {
        // pingora sends the age that the object had before.
        edits::set(head, AGE, HeaderValue::from(meta.age().as_secs()));
    }
    if compress::negotiated(session, head, ctx) {
        parts::of_response(head, |parts| edgeweir_cache::compress::vary(&mut parts.headers));
    }
    if ctx.version == Version::HTTP_10 && head.headers.contains_key(TRANSFER_ENCODING) {
        // RFC 9112, 6.1: such a viewer knows no chunks; the body ends with the connection.
        head.remove_header(&TRANSFER_ENCODING);
        session.set_keepalive(None);
    }
    tell(head, ctx, cache::status(session, ctx, outcome));
    if let Some(standing) = &ctx.standing {
        throttle::tell_standing(head, standing);
    }
    Ok(())
}

/// Adds the fields that were not stored: pingora sends the stored head.
fn give_left_out(head: &mut ResponseHeader, ctx: &mut RequestCtx) -> Result<(), Fault> {
    for (name, value) in std::mem::take(&mut ctx.left_out) {
        head.append_header(name, value).map_err(|_invalid| Fault::Internal)?;
    }
    Ok(())
}

/// Puts a page in the place of an error, if it has one. What the edge itself made of a stored object has none.
async fn error_page(session: &mut Session, head: &mut ResponseHeader, ctx: &mut RequestCtx) {
    let hit = session.cache.enabled() && session.cache.phase() == CachePhase::Hit;
    if hit && head.status == StatusCode::RANGE_NOT_SATISFIABLE {
        return;
    }
    let (before, empty) = (head.status, body::is_empty(head, ctx));
    // What comes from the cache cost the origin nothing either.
    let by = if ctx.origin_status.is_some() { pages::By::Origin } else { pages::By::Edge };
    if let Some(page) = Box::pin(pages::instead(session.req_header(), head, ctx, by)).await {
        ctx.paged = true;
        ctx.new_body = Some(page);
        body::at_viewer(session, head, ctx, before, empty);
    }
}

/// Whether it has the one form of a date that is written (RFC 9110, 5.6.7), as far as its length and end tell.
fn is_fixdate(date: &HeaderValue) -> bool {
    let text = date.as_bytes();
    text.len() == 29 && text.ends_with(b" GMT")
}
