//! `PURGE` of a URL by a viewer who may: answered by the edge with the receipt, as JSON.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde_json::json;

use super::context::RequestCtx;
use super::respond;
use crate::edge::Core;
use crate::purge::Order;

/// Whether a request is a purge: its method is `PURGE`, and its viewer may. Asked only if the behavior does not list the
/// method.
#[must_use]
pub(super) fn allowed(method: &Method, ctx: &RequestCtx) -> bool {
    method.as_str() == "PURGE" && ctx.snapshot.config.cache_purge_from.iter().any(|net| net.contains(&ctx.client.0))
}

/// Purges the URL of a request. A path that ends with `*` is a prefix. `Soft-Purge: 1` (or `Fastly-Soft-Purge: 1`) makes
/// it soft.
///
/// # Errors
/// If the viewer cannot be written to.
pub(super) async fn serve(core: &Core, session: &mut Session, ctx: &mut RequestCtx) -> Result<()> {
    let req = session.req_header();
    let target = req.uri.path_and_query().map_or("/", |target| target.as_str());
    let order = Order {
        urls: vec![format!("{}{target}", ctx.authority.as_str())],
        soft: is_soft(&req.headers),
        ..Order::default()
    };
    let (status, answer) = match order.items(&ctx.snapshot) {
        Ok(items) => {
            let receipt = core.purge(&items, order.mode(), &ctx.client.0.to_string());
            (200, receipt.json())
        }
        Err(bad) => (400, json!({ "message": bad.to_string() })),
    };
    let mut head = ResponseHeader::build(status, Some(4))?;
    head.insert_header(CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
    head.insert_header(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    respond::write(session, ctx, head, Bytes::from(format!("{answer}\n"))).await
}

fn is_soft(headers: &HeaderMap) -> bool {
    ["soft-purge", "fastly-soft-purge"]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|value| value.as_bytes() == b"1"))
}
