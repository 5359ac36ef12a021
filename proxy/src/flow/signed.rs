//! Signed URLs and cookies on the way of a request: checked after the method and before keys, limits and hooks, then taken out
//! of it, so that neither the cache key nor the origin sees them.

use http::HeaderValue;
use http::header::COOKIE;
use pingora::http::RequestHeader;

use super::context::RequestCtx;
use super::gate;
use crate::fault::Fault;
use crate::signed::{self, Keyring, Refusal, Signed, Url};

/// Lets a request through that one of the keys has signed. `normal_path` is its path in one spelling, if it has another.
///
/// # Errors
/// Why it is not let through.
pub(super) fn admit(
    head: &mut RequestHeader,
    normal_path: Option<&str>,
    keys: &Keyring,
    ctx: &RequestCtx,
) -> Result<(), Fault> {
    let query = head.uri.query();
    let by_query = query.map(Signed::of_query).transpose().map_err(fault)?.flatten();
    // The URL goes before cookies (CloudFront: "Choose between signed URLs and signed cookies").
    let by_url = by_query.is_some();
    let cookies = head.headers.get_all(COOKIE).iter().filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
    let cookies = cookies.flat_map(|line| line.split(';'));
    let signed = by_query.or_else(|| Signed::of_cookies(cookies)).ok_or(Fault::SignatureMissing)?;
    let left = if by_url { query.map(signed::without_parameters) } else { None };
    let url = Url {
        https: ctx.https,
        host: ctx.authority.without_default_port(ctx.https),
        path: head.uri.path(),
        normal_path,
        query: left.as_ref().map_or(query, |left| left.as_deref()),
    };
    signed.check(&url, ctx.client.0, ctx.snapshot.state.unix(), keys).map_err(fault)?;
    if let Some(left) = left {
        let path = head.uri.path().to_owned();
        gate::set_target(head, &path, Some(left.as_deref()))?;
    }
    take_cookies(head)
}

/// Cookies of a signer are nobody else's business, also where the URL is signed.
fn take_cookies(head: &mut RequestHeader) -> Result<(), Fault> {
    let lines = || head.headers.get_all(COOKIE).iter().filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
    if !lines().any(|line| line.contains(signed::COOKIE_PREFIX)) {
        return Ok(());
    }
    let kept: Vec<String> = lines().filter_map(signed::without_cookies).collect();
    if kept.is_empty() {
        drop(head.remove_header(&COOKIE));
    } else {
        let value = HeaderValue::try_from(kept.join("; ")).map_err(|_invalid| Fault::BadRequest)?;
        gate::set(head, COOKIE, value);
    }
    Ok(())
}

fn fault(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Missing => Fault::SignatureMissing,
        Refusal::Invalid => Fault::SignatureInvalid,
        Refusal::Expired => Fault::SignatureExpired,
        Refusal::Denied => Fault::SignatureDenied,
    }
}
