//! Answers that an origin-request hook made: taken as the origin's, stored by the usual rules, then sent.

use edgeweir_config::Stage;
use edgeweir_hookhost::GeneratedResponse;
use http::HeaderValue;
use http::header::CONTENT_LENGTH;
use pingora::cache::RespCacheable;
use pingora::proxy::Session;
use pingora::{OrErr, Result};

use super::context::RequestCtx;
use super::{cache, hooks, respond};
use crate::edge::Core;

/// Stores the answer if it may be stored, runs viewer-response and writes it. origin-response does not run (CloudFront:
/// "Lambda@Edge: generating HTTP responses").
///
/// # Errors
/// If the viewer cannot be written to, or pingora refuses the head.
pub(super) async fn serve(
    core: &Core,
    session: &mut Session,
    ctx: &mut RequestCtx,
    response: GeneratedResponse,
) -> Result<()> {
    let (mut head, body) = respond::head_of(response)?;
    let status = head.status.as_u16();
    if status != 204 && status != 304 {
        hooks::set(&mut head, CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    ctx.origin_times = (None, None);
    if session.cache.enabled()
        && let RespCacheable::Cacheable(meta) =
            cache::storable(session, &head, ctx, core.cache.storage, std::time::SystemTime::now())
    {
        session.cache.set_cache_meta(meta);
        session.cache.set_miss_handler().await?;
        if let Some(writer) = session.cache.miss_handler() {
            writer.write_body(body.clone(), true).await?;
        }
        session.cache.finish_miss_handler().await?;
    }
    let outcome = cache::outcome(session);
    ctx.outcome = Some(outcome);
    if ctx.behavior().is_some_and(|behavior| !behavior.hooks_at(Stage::ViewerResponse).is_empty())
        && let Err(fault) = hooks::response_stage(session.req_header_mut(), &mut head, ctx, Stage::ViewerResponse).await
    {
        return respond::fault(session, ctx, fault).await;
    }
    let told = cache::status(session, ctx, outcome);
    head.append_header("Cache-Status", told).or_err(pingora::ErrorType::InternalError, "setting Cache-Status")?;
    respond::write(session, ctx, head, body).await
}
