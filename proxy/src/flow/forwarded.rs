//! Who asks, as trusted proxies say in `Forwarded` (RFC 7239), read from the right: each element by itself, so that what a
//! viewer wrote further left, an open quote for one, cannot hide what a proxy appended.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::context::RequestCtx;
use super::identity::{MAX_HOPS, hop_address};
use crate::snapshot::Snapshot;

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// What a proxy says of whoever asked it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Element<'h> {
    /// `for`, without quotes.
    node: &'h str,
    /// `proto`, without quotes.
    proto: &'h str,
}

/// Walks from the right to the first address that is not trusted itself. The scheme is what the proxy says that names it.
pub(super) fn meet(snapshot: &Snapshot, peer: SocketAddr, headers: &HeaderMap, ctx: &mut RequestCtx) {
    let mut chain = vec![peer.ip()];
    let lines = headers.get_all(FORWARDED).into_iter().rev();
    let elements = lines.flat_map(|line| Elements(Some(std::str::from_utf8(line.as_bytes()).unwrap_or_default())));
    for text in elements.take(MAX_HOPS) {
        // Names of the edge's own choice and `unknown` (RFC 7239, 6) tell nothing, and who is further left is then unknown.
        let Some(element) = Element::parse(text) else { break };
        let Some(address) = hop_address(element.node) else { break };
        ctx.client = (address, None);
        ctx.believed_hops += 1;
        chain.push(address);
        match element.proto {
            "" => {}
            proto => ctx.https = proto.eq_ignore_ascii_case("https"),
        }
        if !snapshot.trusts(address) {
            break;
        }
    }
    if ctx.believed_hops > 0 {
        let chain: Vec<String> = chain.iter().rev().map(ToString::to_string).collect();
        ctx.forwarded_for = HeaderValue::from_str(&chain.join(", ")).ok();
    }
}

/// The elements of a line, the last one first.
struct Elements<'h>(Option<&'h str>);

impl<'h> Iterator for Elements<'h> {
    type Item = &'h str;

    fn next(&mut self) -> Option<&'h str> {
        let rest = self.0.take()?;
        let mut quoted = false;
        let comma = rest.bytes().enumerate().rev().find_map(|(at, byte)| {
            quoted ^= byte == b'"';
            (byte == b',' && !quoted).then_some(at)
        });
        let Some((before, element)) = comma.and_then(|at| Some((rest.get(..at)?, rest.get(at + 1..)?))) else {
            return Some(rest.trim());
        };
        self.0 = Some(before);
        Some(element.trim())
    }
}

impl<'h> Element<'h> {
    /// None if it is no element, or says a thing twice (RFC 7239, 4).
    fn parse(text: &'h str) -> Option<Self> {
        let mut element = Self::default();
        for pair in text.split(';') {
            let (name, value) = pair.trim().split_once('=')?;
            let value = match value.strip_prefix('"') {
                Some(rest) => rest.strip_suffix('"')?,
                None => value,
            };
            if value.contains(['"', '\\']) {
                return None;
            }
            let slot = match name {
                _ if name.eq_ignore_ascii_case("for") => &mut element.node,
                _ if name.eq_ignore_ascii_case("proto") => &mut element.proto,
                _ => continue,
            };
            if !slot.is_empty() || value.is_empty() {
                return None;
            }
            *slot = value;
        }
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7239_4_elements() {
        for (text, wanted) in [
            ("for=192.0.2.1", Some(("192.0.2.1", ""))),
            ("For=\"[2001:db8::1]:47\";Proto=https;by=_x", Some(("[2001:db8::1]:47", "https"))),
            ("for=a; proto=http", Some(("a", "http"))),
            ("proto=https", Some(("", "https"))),
            ("for=a;for=b", None),
            ("for=\"a", None),
            ("for=\"a\\\"b\"", None),
            ("nothing", None),
            ("", None),
        ] {
            let found = Element::parse(text);
            assert_eq!(found.as_ref().map(|found| (found.node, found.proto)), wanted, "{text}");
        }
    }

    #[test]
    fn an_open_quote_hides_nothing() {
        let elements: Vec<&str> = Elements(Some("for=\"evil, for=1.2.3.4;proto=https , for=\"[::1]\"")).collect();
        assert_eq!(elements, ["for=\"[::1]\"", "for=1.2.3.4;proto=https", "for=\"evil"]);
        let elements: Vec<&str> = Elements(Some("for=\"a,b\",for=c")).collect();
        assert_eq!(elements, ["for=c", "for=\"a,b\""]);
    }
}
