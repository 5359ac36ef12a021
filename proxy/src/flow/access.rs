//! Who is let in before anything else is asked: by where the viewer is, then by the protocol that it speaks (CloudFront:
//! "Restrict the geographic distribution of your content", "Viewer protocol policy").

use edgeweir_config::ViewerProtocolPolicy;
use http::header::LOCATION;
use http::{HeaderValue, Method, Version};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::edits::set;
use super::respond;
use crate::fault::Fault;
use crate::snapshot::Behavior;

/// What comes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It goes on.
    Granted,
    /// It is sent to the same URL by HTTPS.
    Redirected,
}

/// Judges a request to a behavior.
///
/// # Errors
/// `GeoBlocked`, `HttpsRequired`.
pub(super) fn check(behavior: &Behavior, head: &RequestHeader, ctx: &mut RequestCtx) -> Result<Access, Fault> {
    if let Some(rules) = &behavior.geo_rules {
        let address = ctx.client.0;
        let facts = if rules.needs_facts() { ctx.geo().map(|facts| &**facts) } else { None };
        if !rules.permits(address, facts) {
            return Err(Fault::GeoBlocked);
        }
    }
    if ctx.https || behavior.viewer_protocol.policy == ViewerProtocolPolicy::AllowAll {
        return Ok(Access::Granted);
    }
    // A redirect that keeps the method is none for HTTP/1.0, and without a host there is nowhere to go.
    let known = is_read(&head.method) || ctx.version != Version::HTTP_10;
    match behavior.viewer_protocol.policy {
        ViewerProtocolPolicy::RedirectToHttps if known && !ctx.authority.host().is_empty() => Ok(Access::Redirected),
        _ => Err(Fault::HttpsRequired),
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Status and target of the redirect of a request to HTTPS: the host without its port, path and query as the viewer wrote
/// them. None without a behavior.
pub(crate) fn redirect(head: &RequestHeader, ctx: &RequestCtx) -> Option<(u16, String)> {
    let protocol = ctx.behavior()?.viewer_protocol;
    let status = match protocol.redirect_status {
        Some(status @ (307 | 308)) => status,
        _ if !is_read(&head.method) => 307,
        Some(status) => status,
        None => 301,
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let host = ctx.authority.host();
    Some(match protocol.https_port {
        443 => (status, format!("https://{host}{target}")),
        port => (status, format!("https://{host}:{port}{target}")),
    })
}

/// Sends a viewer to HTTPS.
///
/// # Errors
/// If the viewer cannot be written to.
pub(super) async fn send_to_https(session: &mut Session, ctx: &mut RequestCtx) -> Result<()> {
    let made = redirect(session.req_header(), ctx);
    let Some((status, target)) = made.and_then(|(status, target)| Some((status, HeaderValue::from_str(&target).ok()?)))
    else {
        return respond::fault(session, ctx, Fault::BadTarget).await;
    };
    ctx.redirected = true;
    let mut head = ResponseHeader::build(status, Some(8))?;
    set(&mut head, LOCATION, target);
    respond::write(session, ctx, head, bytes::Bytes::new()).await
}
