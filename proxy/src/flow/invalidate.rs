//! What is stored for a URL goes when the origin has done something to it (RFC 9111, 4.4).

use edgeweir_cache::MokaStorage;
use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderName, Method, StatusCode, Uri};
use pingora::http::{RequestHeader, ResponseHeader};

use super::authority::Authority;
use super::context::RequestCtx;
use super::{cache, path};

/// After an unsafe method that did not fail: forgets what is stored for the target, and for the URLs of `Location` and
/// `Content-Location` if they are of the same origin, in all variants.
pub(super) fn after(storage: &MokaStorage, req: &RequestHeader, head: &ResponseHeader, ctx: &mut RequestCtx) {
    if is_safe(&req.method) || !(head.status.is_success() || head.status.is_redirection()) {
        return;
    }
    // Another behavior may store answers for the same URL, to other methods for one.
    let alone = ctx.distribution().is_none_or(|distribution| !distribution.conditional);
    let stores = ctx.behavior().is_some_and(|behavior| !behavior.cache.disabled);
    if head.status == StatusCode::NOT_MODIFIED {
        return;
    }
    if stores && let Some(key) = cache::url_key((req.uri.path(), req.uri.query()), ctx) {
        let purges = storage.purges();
        purges.touch(purges.place(key.as_bytes()));
    }
    if !alone {
        forget(storage, (req.uri.path(), req.uri.query()), ctx);
    }
    for name in [LOCATION, CONTENT_LOCATION] {
        if let Some(target) = same_origin(req, head, ctx, &name) {
            let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
            forget(storage, (path, query), ctx);
        }
    }
}

/// RFC 9110, 9.2.1. Nobody knows of other methods that they are safe.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

fn forget(storage: &MokaStorage, target: (&str, Option<&str>), ctx: &mut RequestCtx) {
    // Another path may be another behavior's, with another policy.
    let Some(route @ (distribution, _)) = ctx.route else { return };
    for behavior in ctx.snapshot.candidates(distribution, target.0) {
        ctx.route = Some((distribution, behavior));
        if ctx.behavior().is_some_and(|behavior| behavior.cache.disabled) {
            continue;
        }
        if let Some(key) = cache::url_key(target, ctx) {
            let purges = storage.purges();
            purges.touch(purges.place(key.as_bytes()));
        }
    }
    ctx.route = Some(route);
}

/// The path and query that a field names, if they are of the request's own origin (RFC 9111, 4.4: others MUST NOT be
/// invalidated).
fn same_origin(req: &RequestHeader, head: &ResponseHeader, ctx: &RequestCtx, name: &HeaderName) -> Option<String> {
    let reference = head.headers.get(name)?.to_str().ok()?;
    let reference = reference.split('#').next().unwrap_or_default();
    let scheme = if ctx.https { "https" } else { "http" };
    let absolute = if reference.starts_with("//") { format!("{scheme}:{reference}") } else { reference.to_owned() };
    let target = match absolute.split_once("://") {
        Some((named, _)) if is_scheme(named) => {
            let uri: Uri = absolute.parse().ok()?;
            let authority = Authority::parse(uri.authority()?.as_str().as_bytes())?;
            let same = named.eq_ignore_ascii_case(scheme)
                && authority.without_default_port(ctx.https) == ctx.authority.without_default_port(ctx.https);
            if !same {
                return None;
            }
            uri.path_and_query().map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned())
        }
        _ => relative(req, reference),
    };
    let (before, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
    let normal = path::normalise(before).path;
    Some(query.map_or_else(|| normal.to_string(), |query| format!("{normal}?{query}")))
}

fn is_scheme(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Resolves a reference without scheme and authority against the target (RFC 3986, 5.2). Dot segments are still in it.
fn relative(req: &RequestHeader, reference: &str) -> String {
    let base = req.uri.path();
    if reference.starts_with('/') {
        return reference.to_owned();
    }
    if reference.is_empty() {
        return req.uri.path_and_query().map_or_else(|| base.to_owned(), |target| target.as_str().to_owned());
    }
    if reference.starts_with('?') {
        return format!("{base}{reference}");
    }
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{reference}")
}

#[cfg(test)]
mod tests {
    use super::super::gate;
    use super::*;

    #[test]
    fn rfc3986_5_2_references_resolve_against_the_target() {
        let mut req = RequestHeader::build("POST", b"/a/b?c=d", None).expect("a head");
        for (reference, wanted) in [
            ("x", "/a/x"),
            ("./x?y", "/a/./x?y"),
            ("/x", "/x"),
            ("", "/a/b?c=d"),
            ("?e", "/a/b?e"),
            ("../x", "/a/../x"),
        ] {
            assert_eq!(relative(&req, reference), wanted, "{reference}");
        }
        gate::set_target(&mut req, "/", Some(None)).expect("a target");
        assert_eq!(relative(&req, "x"), "/x");
    }

    #[test]
    fn rfc9110_9_2_1_only_four_methods_are_safe() {
        for (method, safe) in [("GET", true), ("TRACE", true), ("POST", false), ("M-SEARCH", false), ("QUERY", false)] {
            assert_eq!(is_safe(&Method::from_bytes(method.as_bytes()).expect("a method")), safe, "{method}");
        }
    }
}
