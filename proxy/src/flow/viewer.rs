//! What the viewer gets: hop-by-hop fields gone, viewer-response hooks run, the edge's own fields added.

use edgeweir_cache::CacheOutcome;
use edgeweir_config::Stage;
use http::header::{AGE, CONNECTION, TRANSFER_ENCODING, VIA};
use http::{HeaderName, HeaderValue, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use super::cache::CACHE_STATUS;
use super::context::RequestCtx;
use super::{cache, hooks, respond};
use crate::fault::Fault;

/// Drops what the origin says to its next hop only (RFC 9110, 7.6.1), before anything is stored. Framing is pingora's.
pub(super) fn strip_hop_by_hop(head: &mut ResponseHeader) {
    const NAMES: [HeaderName; 6] = [
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-authenticate"),
        HeaderName::from_static("proxy-authentication-info"),
        HeaderName::from_static("proxy-connection"),
        HeaderName::from_static("te"),
        HeaderName::from_static("upgrade"),
    ];
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    if head.headers.contains_key(CONNECTION) {
        let mut named = Vec::new();
        for value in head.headers.get_all(CONNECTION) {
            for option in value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                // Framing fields cannot be named away.
                if let Ok(name) = HeaderName::from_bytes(option)
                    && name != http::header::CONTENT_LENGTH
                    && name != TRANSFER_ENCODING
                {
                    named.push(name);
                }
            }
        }
        for name in &named {
            head.remove_header(name);
        }
        head.remove_header(&CONNECTION);
    }
    for name in &NAMES {
        if head.headers.contains_key(name) {
            head.remove_header(name);
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
    let outcome = cache::outcome(session);
    ctx.outcome = Some(outcome);
    // Not on origin errors (CloudFront: "Lambda@Edge: viewer response"); on a hit the stored status is the origin's.
    let failed = ctx.origin_status.unwrap_or_else(|| head.status.as_u16()) >= 400;
    if !failed && ctx.behavior().is_some_and(|behavior| !behavior.hooks_at(Stage::ViewerResponse).is_empty()) {
        hooks::response_stage(session.req_header_mut(), head, ctx, Stage::ViewerResponse).await?;
    }
    if outcome == CacheOutcome::Revalidated
        && let Some(meta) = session.cache.maybe_cache_meta()
    {
        // pingora sends the age that the object had before.
        hooks::set(head, AGE, HeaderValue::from(meta.age().as_secs()));
    }
    if ctx.version == Version::HTTP_10 && head.headers.contains_key(TRANSFER_ENCODING) {
        // RFC 9112, 6.1: such a viewer knows no chunks; the body ends with the connection.
        head.remove_header(&TRANSFER_ENCODING);
        session.set_keepalive(None);
    }
    if let Err(error) = head.append_header(VIA, HeaderValue::from_static("1.1 edgeweir")) {
        tracing::error!(%error, "Via could not be set");
    }
    let status = cache::status(session, ctx, outcome);
    if let Err(error) = head.append_header(CACHE_STATUS, status) {
        tracing::error!(%error, "Cache-Status could not be set");
    }
    respond::common(head, ctx);
    Ok(())
}
