//! Takes a key apart again, for whoever wants to see what is in it. Never on the way of a request.

use super::{LENGTH, Part};

/// A part of a key, as text; bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPart {
    /// What it is: `distribution`, `method`, `scheme`, `host`, `path`, `query`, `header NAME`, `cookies`, or the name that
    /// an extra part was given.
    pub name: String,
    /// Its value; the lines of a header are joined with `, `. None for a header that is absent.
    pub value: Option<String>,
}

/// The parts of a key's bytes. Stops where they are no key.
pub(super) fn of(mut bytes: &[u8]) -> Vec<KeyPart> {
    let mut parts = Vec::new();
    while let Some((&tag, rest)) = bytes.split_first()
        && let Some((inside, rest)) = framed(rest)
    {
        parts.push(part(tag, inside));
        bytes = rest;
    }
    parts
}

fn part(tag: u8, inside: &[u8]) -> KeyPart {
    let is = |part: Part| tag == part as u8;
    let (name, value) = if is(Part::Header) {
        let (name, mut rest) = framed(inside).unwrap_or((inside, &[]));
        let mut lines = Vec::new();
        while let Some((line, after)) = framed(rest) {
            lines.push(text(line));
            rest = after;
        }
        (format!("header {}", text(name)), (!lines.is_empty()).then(|| lines.join(", ")))
    } else if is(Part::Extra) {
        let (name, value) = framed(inside).unwrap_or((inside, &[]));
        (text(name), Some(text(value)))
    } else if is(Part::Method) {
        (
            "method".to_owned(),
            Some(if inside == [super::MethodClass::Read as u8] { "GET or HEAD" } else { "OPTIONS" }.to_owned()),
        )
    } else {
        let names = [
            (Part::Distribution, "distribution"),
            (Part::Scheme, "scheme"),
            (Part::Host, "host"),
            (Part::Path, "path"),
            (Part::Query, "query"),
            (Part::Cookies, "cookies"),
        ];
        let name = names.into_iter().find(|(part, _)| is(*part)).map_or("unknown", |(_, name)| name);
        (name.to_owned(), Some(text(inside)))
    };
    KeyPart { name, value }
}

/// A part that a purge can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RawPart {
    Distribution,
    Scheme,
    Host,
    Path,
    Query,
    Other,
}

/// The parts of a key's bytes as they are. Stops where they are no key.
pub(crate) fn raw(mut bytes: &[u8]) -> impl Iterator<Item = (RawPart, &[u8])> {
    std::iter::from_fn(move || {
        let (&tag, rest) = bytes.split_first()?;
        let (inside, rest) = framed(rest)?;
        bytes = rest;
        let is = |part: Part| tag == part as u8;
        let part = if is(Part::Distribution) {
            RawPart::Distribution
        } else if is(Part::Scheme) {
            RawPart::Scheme
        } else if is(Part::Host) {
            RawPart::Host
        } else if is(Part::Path) {
            RawPart::Path
        } else if is(Part::Query) {
            RawPart::Query
        } else {
            RawPart::Other
        };
        Some((part, inside))
    })
}

/// What the length at the start frames, and what follows.
fn framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::super::{KeyBuilder, MethodClass, Selection};

    #[test]
    fn every_part_comes_out_as_it_went_in() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", HeaderValue::from_static("b=2; a=1"));
        headers.append("accept", HeaderValue::from_static("x"));
        headers.append("accept", HeaderValue::from_static("y"));
        let mut key = KeyBuilder::new("shop", MethodClass::Read);
        key.scheme("https")
            .host("Shop.test")
            .path(b"/a")
            .query(Some("q=1"), &Selection::All)
            .header(&HeaderName::from_static("accept"), &headers)
            .header(&HeaderName::from_static("x-none"), &headers)
            .cookies(&headers, &Selection::All)
            .extra("hook", b"variant=b");
        let parts: Vec<_> = key.parts().into_iter().map(|part| (part.name, part.value)).collect();
        let wanted = [
            ("distribution", Some("shop")),
            ("method", Some("GET or HEAD")),
            ("scheme", Some("https")),
            ("host", Some("shop.test")),
            ("path", Some("/a")),
            ("query", Some("q=1")),
            ("header accept", Some("x, y")),
            ("header x-none", None),
            ("cookies", Some("a=1; b=2")),
            ("hook", Some("variant=b")),
        ];
        assert_eq!(parts, wanted.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
    }
}
