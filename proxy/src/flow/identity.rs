//! Who asks: the viewer's address by the trust policy, the request's id, the API key.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use edgeweir_config::AddressHeader;
use edgeweir_limits::Found;

use super::context::{Keyed, RequestCtx};
use super::forwarded;
use crate::fault::Fault;
use crate::snapshot::{KeySource, Snapshot};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over.
const MAX_ID: usize = 128;
/// Addresses of `X-Forwarded-For` that are walked; what is further left is not believed.
pub(super) const MAX_HOPS: usize = 32;
/// Throttles of methods whose buckets are fetched ahead: more than plans have, few enough to cost nothing.
const AHEAD: usize = 4;

/// Settles who asks, and whether by TLS: by the connection, or, if a trusted proxy made it, by what that says in the field
/// that the configuration names. Such a proxy may name the request too; nobody else's id is taken.
pub(super) fn meet(snapshot: &Snapshot, peer: SocketAddr, tls: bool, headers: &HeaderMap, ctx: &mut RequestCtx) {
    ctx.client = (peer.ip(), Some(peer.port()));
    ctx.https = tls;
    if snapshot.config.trusted_proxies.is_empty() || !snapshot.trusts(peer.ip()) {
        return;
    }
    if let Some(id) = given_id(headers) {
        ctx.id = id.clone();
    }
    match snapshot.config.viewer.address_header {
        AddressHeader::XForwardedFor => {
            (ctx.client, ctx.believed_hops) = client(snapshot, peer, headers);
            ctx.https = https(tls, headers);
        }
        AddressHeader::Forwarded => forwarded::meet(snapshot, peer, headers, ctx),
    }
}

/// The viewer's address: the socket's, or what trusted proxies say, walked from the right to the first address that is not
/// trusted itself. Also how many hops of `X-Forwarded-For` were believed: what is left of them anybody may have written.
fn client(snapshot: &Snapshot, peer: SocketAddr, headers: &HeaderMap) -> ((IpAddr, Option<u16>), usize) {
    let (mut client, mut believed) = ((peer.ip(), Some(peer.port())), 0);
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
pub(super) fn hop_address(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = hop.parse::<SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    let inner: IpAddr = hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    Some(inner.to_canonical())
}

/// Whether the viewer spoke TLS: a trusted proxy's answer, or the socket's. Of several the last one is the proxy's own: what is
/// further left anybody may have written.
fn https(tls: bool, headers: &HeaderMap) -> bool {
    let last = headers.get_all(X_FORWARDED_PROTO).into_iter().next_back();
    let proto = last.and_then(|line| line.as_bytes().rsplit(|&byte| byte == b',').next());
    proto.map_or(tls, |proto| proto.trim_ascii().eq_ignore_ascii_case(b"https"))
}

/// The id that a request came with, if it is harmless in logs and headers.
fn given_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    let id = headers.get(X_REQUEST_ID)?;
    ((1..=MAX_ID).contains(&id.len()) && id.as_bytes().iter().all(harmless)).then_some(id)
}

/// A new id for a request: 32 hex digits at random.
#[must_use]
pub(crate) fn new_id() -> HeaderValue {
    let random = fastrand::u128(..).to_be_bytes();
    let mut digits = [0; 32];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(random) {
        // Without a table, so that all are made at once.
        *pair = [byte >> 4, byte & 15].map(|digit| if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
    }
    // Owned by count from the start: it is cloned for the origin and for the viewer.
    HeaderValue::from_maybe_shared(Bytes::from_owner(digits)).unwrap_or_else(|_invalid| HeaderValue::from_static("-"))
}

/// Whether this is a CORS preflight (Fetch, "CORS-preflight request"). Browsers send no key with it, so where the edge
/// answers it, it needs none; one that goes to the origin is a request as any other.
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
pub(super) fn api_key(ctx: &mut RequestCtx, headers: &HeaderMap, query: Option<&str>) -> Result<(), Fault> {
    if !ctx.behavior().is_some_and(|behavior| behavior.api_key_required) {
        return Ok(());
    }
    let by_authorizer = ctx.behavior().is_some_and(|behavior| behavior.authorizer.is_some());
    let caller = match ctx.distribution().map(|found| &found.key_source) {
        Some(KeySource::Header(name)) => {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => caller(ctx, value.as_bytes()),
                // Its authorizer may say it.
                (None, None) if by_authorizer => return Ok(()),
                _ => return Err(Fault::Forbidden),
            }
        }
        Some(KeySource::Query(name)) => match parameter(query.unwrap_or_default(), name) {
            Some(value) => caller(ctx, &value),
            None if by_authorizer => return Ok(()),
            None => return Err(Fault::Forbidden),
        },
        None => None,
    };
    ctx.key = Some(caller.ok_or(Fault::Forbidden)?);
    Ok(())
}

/// Takes the key that the authorizer says the caller has, in place of one in a header.
///
/// # Errors
/// `Forbidden`, as for a key in the header.
pub(super) fn key_of_authorizer(ctx: &mut RequestCtx, key: &[u8]) -> Result<(), Fault> {
    ctx.key = Some(caller(ctx, key).ok_or(Fault::Forbidden)?);
    Ok(())
}

/// The value of a parameter that the query has once, percent-decoded. With two of them it would be unclear whose request
/// it is.
fn parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, [u8]>> {
    let mut found = None;
    for pair in query.split('&') {
        let (left, value) = pair.split_once('=').unwrap_or((pair, ""));
        let left = left.replace('+', " ");
        if *percent_decode(left.as_bytes()) == *name.as_bytes() && found.replace(value).is_some() {
            return None;
        }
    }
    found.map(|value| percent_decode(value.as_bytes()))
}

pub(super) fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut decoded, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    Cow::Owned(decoded)
}

/// The usable key with a value, and the plan of it that opens the behavior.
fn caller(ctx: &RequestCtx, value: &[u8]) -> Option<Keyed> {
    let snapshot = &ctx.snapshot;
    let hash = edgeweir_limits::presented(value)?;
    let taken = &ctx.behavior()?.plans;
    // The key's bucket of the method is elsewhere: fetched while the key is looked for.
    for limits in taken.iter().filter_map(|at| snapshot.plan_limits.get(*at)) {
        limits.methods.iter().take(AHEAD).for_each(|method| method.buckets.fetch(hash.client()));
    }
    let keyed = |found: Found<'_>| {
        if !found.is_usable(snapshot.state.unix()) {
            return None;
        }
        let at = snapshot.plans.plan_for(found.plans(), taken)?;
        let slot = snapshot.state.slot(&found, snapshot.plans.get(at)?, snapshot.number);
        Some(Keyed { plan: at, slot })
    };
    // Both are asked, so that a guess takes as long wherever a key is.
    let of_config = snapshot.keys.find(&hash);
    snapshot.state.live.see(&hash, |stored| of_config.or(stored).and_then(keyed))
}

/// Takes the key that a hook says the caller has. Its plan is charged after the hooks.
///
/// # Errors
/// `Forbidden`, as for a key in the header.
pub(super) fn key_of_hook(ctx: &mut RequestCtx, key: &[u8]) -> Result<(), Fault> {
    ctx.hook_key = Some(caller(ctx, key).ok_or(Fault::Forbidden)?);
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
    fn the_last_word_on_the_scheme_counts() {
        for (lines, wanted) in [
            (&["https"][..], true),
            (&["HTTPS"], true),
            (&["http"], false),
            (&[], true),
            (&["http", "https"], true),
            (&["https", "http"], false),
            (&["http, https"], true),
            (&["https ,http"], false),
            (&["https", ""], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(X_FORWARDED_PROTO, line.parse().expect("a value"));
            }
            assert_eq!(https(true, &headers), wanted, "{lines:?}");
        }
    }

    #[test]
    fn keys_in_the_query() {
        for (query, value) in [
            ("key=abc", Some("abc")),
            ("a=1&key=abc&b", Some("abc")),
            ("%6Bey=a%62c", Some("abc")),
            ("key=a%2", Some("a%2")),
            ("key", Some("")),
            ("Key=abc", None),
            ("key=a&key=a", None),
            ("", None),
        ] {
            let found = parameter(query, "key").map(|value| String::from_utf8_lossy(&value).into_owned());
            assert_eq!(found.as_deref(), value, "{query}");
        }
    }

    #[test]
    fn only_harmless_ids_are_taken_over() {
        let with = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, id.parse().expect("a value"));
            given_id(&headers).cloned()
        };
        assert_eq!(with("abc-123").expect("it is harmless"), "abc-123");
        for id in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert_eq!(with(id), None, "{id}");
        }
        let made = new_id();
        assert!(made.len() == 32 && made.as_bytes().iter().all(u8::is_ascii_hexdigit), "{made:?}");
        assert_ne!(made, new_id());
    }
}
