//! Custom error responses (CloudFront: "Generate custom error responses"): a page of the distribution in the place of an
//! error, of an origin or of the edge itself. Not for gRPC, whose clients read trailers.

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, AGE, ALT_SVC, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, EXPIRES, LAST_MODIFIED, SERVER,
    SET_COOKIE, TRANSFER_ENCODING, VARY, VIA,
};
use http::{HeaderMap, HeaderName, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::parts;
use crate::fault::{Fault, chain};
use crate::pages::refusals::Key;
use crate::pages::{Errand, Page, PageError};
use crate::snapshot::Distribution;
use crate::snapshot::errors::PageTarget;

/// What a page does not say: how it is sent and stored is the error's own business.
const NOT_THE_PAGES: [HeaderName; 15] = [
    ACCEPT_RANGES,
    AGE,
    ALT_SVC,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    SERVER,
    SET_COOKIE,
    TRANSFER_ENCODING,
    VARY,
    VIA,
];
/// What told of the error's own body.
const OF_THE_BODY: [HeaderName; 9] = [
    ACCEPT_RANGES,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
];

/// Whether any error of the request's distribution has a page.
pub(super) fn any(ctx: &RequestCtx) -> bool {
    of_host(ctx).is_some_and(|(_, distribution)| !distribution.errors.is_empty())
}

/// The distribution of the host, also where none of its behaviors has the path.
fn of_host(ctx: &RequestCtx) -> Option<(usize, &Distribution)> {
    let at = match ctx.route {
        Some((at, _)) => at,
        // Of what was refused before the host was known no page is asked for, nor one of a host that the connection is not for.
        None if ctx.authority.as_str().is_empty() || ctx.fault == Some(Fault::Misdirected) => return None,
        None => ctx.snapshot.hosts.find(ctx.authority.host())?,
    };
    Some((at, ctx.snapshot.distributions.get(at)?))
}

/// Who made the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The origin, which was asked for it.
    Origin,
    /// The edge, a hook in its name, or the cache: it has cost the origin nothing.
    Edge,
}

/// Turns the head of an error into that of its page, and gives its body. None if it has no page, or there is none to be had.
pub(super) async fn instead(
    request: &RequestHeader,
    head: &mut ResponseHeader,
    ctx: &RequestCtx,
    by: By,
) -> Option<Bytes> {
    let (at, distribution) = of_host(ctx)?;
    let (page, status) = distribution.errors.find(head.status.as_u16())?.page.as_ref()?;
    let grpc = |value: &http::HeaderValue| value.as_bytes().starts_with(b"application/grpc");
    // A page that fails has no page, and it would wait for itself.
    let itself = request.uri.path_and_query().is_some_and(|target| target.as_str() == &*page.target);
    if itself || request.headers.get(CONTENT_TYPE).is_some_and(grpc) {
        return None;
    }
    let found = match by {
        By::Origin => get(page, at, ctx).await,
        By::Edge => {
            let key = Key {
                snapshot: ctx.snapshot.number,
                distribution: at,
                https: ctx.https,
                host: ctx.authority.as_str().into(),
                target: page.target.clone(),
            };
            // Boxed: it holds a context, and most who are refused only wait.
            ctx.snapshot.pages.refusals.get(key, ctx.started, Box::pin(get(page, at, ctx))).await
        }
    };
    match found {
        Ok(found) => Some(put(head, *status, found)),
        // Told once.
        Err(PageError::Again | PageError::Busy) => None,
        Err(error) => {
            let (request_id, error) = (ctx.id(), chain(&error));
            tracing::warn!(request_id, page = &*page.target, error, "an error is sent without its page");
            None
        }
    }
}

async fn get(page: &PageTarget, distribution: usize, ctx: &RequestCtx) -> Result<Page, PageError> {
    let mut errand = RequestCtx::new(std::sync::Arc::clone(&ctx.snapshot), ctx.started);
    // No viewer waits for it: no limits, no viewer hooks, no line in the log, and no page in the place of its errors.
    errand.background = true;
    errand.version = Version::HTTP_11;
    errand.id = ctx.id.clone();
    errand.client = ctx.client;
    errand.https = ctx.https;
    errand.authority = ctx.authority.clone();
    errand.route = Some((distribution, page.behavior));
    ctx.snapshot.pages.get(ctx.authority.as_str(), &page.target, Box::new(errand)).await
}

/// Takes up the errand of a request for a page. Whether it is one.
pub(super) fn begin(session: &Session, ctx: &mut RequestCtx) -> bool {
    let errand = session
        .digest()
        .and_then(|digest| digest.proxy_digest.as_ref())
        .and_then(|digest| digest.user_data.as_ref())
        .and_then(|data| data.downcast_ref::<Errand>())
        .and_then(Errand::take)
        .and_then(|errand| errand.downcast::<RequestCtx>().ok());
    let Some(errand) = errand else { return false };
    *ctx = *errand;
    true
}

fn put(head: &mut ResponseHeader, status: StatusCode, page: Page) -> Bytes {
    let Page { headers, body } = page;
    parts::of_response(head, |parts| {
        for name in &OF_THE_BODY {
            parts.headers.remove(name);
        }
        describe(&mut parts.headers, headers);
        parts.status = status;
    });
    body
}

fn describe(headers: &mut HeaderMap, page: HeaderMap) {
    let mut name = None;
    for (next, value) in page {
        let first = next.is_some();
        name = next.or(name);
        let Some(name) = name.as_ref().filter(|name| !NOT_THE_PAGES.contains(name)) else { continue };
        if first {
            headers.insert(name.clone(), value);
        } else {
            headers.append(name.clone(), value);
        }
    }
}
