//! Answers that hooks of later stages than viewer-request made: taken as the origin's, stored by the usual rules, then sent.

use edgeweir_config::Stage;
use edgeweir_hookhost::GeneratedResponse;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, VIA};
use pingora::cache::RespCacheable;
use pingora::proxy::Session;
use pingora::{OrErr, Result};

use super::context::RequestCtx;
use super::{cache, edits, hooks, pages, respond};
use crate::edge::Core;

/// Stores the answer that was made at `stage` if it may be stored, runs viewer-response and writes it. After origin-request,
/// origin-response does not run (CloudFront: "Lambda@Edge: generating HTTP responses").
///
/// # Errors
/// If the viewer cannot be written to, or pingora refuses the head.
pub(super) async fn serve(
    core: &Core,
    session: &mut Session,
    ctx: &mut RequestCtx,
    response: GeneratedResponse,
    stage: Stage,
) -> Result<()> {
    let (mut head, body) = respond::head_of(response)?;
    let status = head.status.as_u16();
    if status != 204 && status != 304 {
        edits::set(&mut head, CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    if session.cache.enabled() {
        cache::take_tags(&mut head, ctx);
    }
    if stage != Stage::ViewerResponse
        && session.cache.enabled()
        && let RespCacheable::Cacheable(meta) = cache::storable(session, &head, ctx, core, std::time::SystemTime::now())
    {
        // As pingora does with what an origin answers: each variant has its place.
        let variance = cache::variance(meta.headers(), &session.req_header().headers, ctx);
        session.cache.set_cache_meta(meta);
        session.cache.update_variance(variance);
        session.cache.set_miss_handler().await?;
        if let Some(writer) = session.cache.miss_handler() {
            writer.write_body(body.clone(), true).await?;
        }
        session.cache.finish_miss_handler().await?;
    }
    let outcome = cache::outcome(session, ctx);
    ctx.outcome = Some(outcome);
    // From here on it is as a hit on it will be. What viewer-response made has been through this.
    let viewers = stage != Stage::ViewerResponse && !ctx.background;
    let mut body = body;
    if viewers
        && status >= 400
        && pages::any(ctx)
        && let Some(page) = Box::pin(pages::instead(session.req_header(), &mut head, ctx, pages::By::Edge)).await
    {
        ctx.paged = true;
        body = page;
    }
    if viewers && ctx.has_hooks_at(Stage::ViewerResponse) {
        // By the status that is stored.
        let failed = match stage {
            Stage::OriginRequest => status >= 400,
            _ => ctx.origin_status.is_some_and(|status| status >= 400),
        };
        let ran = hooks::response_stage(session.req_header_mut(), &mut head, ctx, Stage::ViewerResponse, failed).await;
        if let Err(fault) = ran {
            return respond::fault(session, ctx, fault).await;
        }
        if let Some(made) = ctx.new_body.take() {
            body = made;
        }
    }
    if stage != Stage::OriginRequest {
        // The origin was asked (RFC 9110, 7.6.3).
        head.append_header(VIA, HeaderValue::from_static("1.1 edgeweir"))
            .or_err(pingora::ErrorType::InternalError, "setting Via")?;
    }
    let told = cache::status(session, ctx, outcome);
    head.append_header("Cache-Status", told).or_err(pingora::ErrorType::InternalError, "setting Cache-Status")?;
    respond::write(session, ctx, head, body).await
}
