//! Who asks: the viewer's address by the trust policy, the request's id, the API key.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::context::RequestCtx;
use super::gate::text;
use crate::fault::Fault;
use crate::snapshot::Snapshot;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// API Gateway's name for it ("Choose an API key source").
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Longest request id that is taken over.
const MAX_ID: usize = 128;
/// Addresses of `X-Forwarded-For` that are walked; what is further left is not believed.
const MAX_HOPS: usize = 32;

/// The viewer's address: the socket's, or what trusted proxies say, walked from the right to the first address that is not
/// trusted itself. Also how many hops of `X-Forwarded-For` were believed: what is left of them anybody may have written.
#[must_use]
pub(super) fn client(
    snapshot: &Snapshot,
    peer: std::net::SocketAddr,
    headers: &HeaderMap,
) -> ((IpAddr, Option<u16>), usize) {
    let socket = (peer.ip(), Some(peer.port()));
    if snapshot.config.trusted_proxies.is_empty() || !snapshot.trusts(peer.ip()) {
        return (socket, 0);
    }
    let (mut client, mut believed) = (socket, 0);
    for hop in hops(headers).take(MAX_HOPS) {
        let Some(address) = hop_address(hop) else { break };
        client = (address, None);
        believed += 1;
        if !snapshot.trusts(address) {
            break;
        }
    }
    (client, believed)
}

/// The hops of `X-Forwarded-For`, the last one first. Each is read by itself: what a viewer wrote further left cannot hide
/// what a proxy appended.
pub(super) fn hops(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(X_FORWARDED_FOR).into_iter().rev();
    lines
        .flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','))
        .map(|hop| std::str::from_utf8(hop).unwrap_or_default().trim())
}

/// An address with or without port, IPv6 with or without brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = hop.parse::<std::net::SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Whether the viewer spoke TLS: the socket's answer, or a trusted proxy's.
#[must_use]
pub(super) fn https(tls: bool, trusted: bool, headers: &HeaderMap) -> bool {
    let said = if trusted { text(headers, &X_FORWARDED_PROTO) } else { None };
    said.map_or(tls, |proto| proto.eq_ignore_ascii_case("https"))
}

/// The request's id: the one it came with, if that is harmless in logs and headers, or a new one of 32 hex digits.
#[must_use]
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    if let Some(id) = headers.get(X_REQUEST_ID)
        && (1..=MAX_ID).contains(&id.len())
        && id.as_bytes().iter().all(harmless)
    {
        return id.clone();
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [b'0'; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(fastrand::u128(..).to_be_bytes()) {
        if let ([high, low], Some(&first), Some(&second)) =
            (pair, DIGITS.get(usize::from(byte >> 4)), DIGITS.get(usize::from(byte & 15)))
        {
            (*high, *low) = (first, second);
        }
    }
    // Owned by count from the start: it is cloned for the origin and for the viewer.
    HeaderValue::from_maybe_shared(Bytes::from_owner(digits)).unwrap_or_else(|_invalid| HeaderValue::from_static("-"))
}

/// Whether this is a CORS preflight (Fetch, "CORS-preflight request"): it carries no credentials, so it needs no key.
#[must_use]
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(http::header::ORIGIN)
        && headers.contains_key(http::header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Finds the key of a request to a behavior that needs one.
///
/// # Errors
/// `Forbidden` for a missing, unknown or disabled key and for one without a plan here: they look the same, as in API Gateway.
pub(super) fn api_key(ctx: &mut RequestCtx, method: &Method, headers: &HeaderMap) -> Result<(), Fault> {
    let Some((distribution, _)) = ctx.route else { return Ok(()) };
    if !ctx.behavior().is_some_and(|behavior| behavior.api_key_required) || is_preflight(method, headers) {
        return Ok(());
    }
    let mut values = headers.get_all(X_API_KEY).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        // Its authorizer may say it.
        (None, None) if ctx.behavior().is_some_and(|behavior| behavior.authorizer.is_some()) => return Ok(()),
        _ => return Err(Fault::Forbidden),
    };
    let key = ctx.snapshot.keys.lookup_index(value.as_bytes()).ok_or(Fault::Forbidden)?;
    let entry = ctx.snapshot.keys.get(key).ok_or(Fault::Forbidden)?;
    let plan = ctx.snapshot.plans.plan_for(entry, distribution).ok_or(Fault::Forbidden)?;
    ctx.key = Some(key);
    ctx.plan = Some(plan);
    Ok(())
}

/// Takes the key that the authorizer says the caller has, in place of one in a header.
///
/// # Errors
/// `Forbidden`, as for a key in the header.
pub(super) fn key_of_authorizer(ctx: &mut RequestCtx, key: &[u8]) -> Result<(), Fault> {
    key_of_hook(ctx, key)?;
    if let Some((key, plan)) = ctx.hook_key.take() {
        (ctx.key, ctx.plan) = (Some(key), Some(plan));
    }
    Ok(())
}

/// Takes the key that a hook says the caller has. Its plan is charged after the hooks.
///
/// # Errors
/// `Forbidden`, as for a key in the header.
pub(super) fn key_of_hook(ctx: &mut RequestCtx, key: &[u8]) -> Result<(), Fault> {
    let (distribution, _) = ctx.route.ok_or(Fault::Internal)?;
    let key = ctx.snapshot.keys.lookup_index(key).ok_or(Fault::Forbidden)?;
    let entry = ctx.snapshot.keys.get(key).ok_or(Fault::Forbidden)?;
    let plan = ctx.snapshot.plans.plan_for(entry, distribution).ok_or(Fault::Forbidden)?;
    ctx.hook_key = Some((key, plan));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_hops() {
        for (hop, address) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(hop_address(hop).map(|found| found.to_string()).as_deref(), address, "{hop}");
        }
    }

    #[test]
    fn only_harmless_ids_are_taken_over() {
        let with = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, id.parse().expect("a value"));
            request_id(&headers)
        };
        assert_eq!(with("abc-123"), "abc-123");
        for id in ["", "a b", "a\"b", &"x".repeat(129)] {
            let made = with(id);
            assert!(made.len() == 32 && made.as_bytes().iter().all(u8::is_ascii_hexdigit), "{id}: {made:?}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
