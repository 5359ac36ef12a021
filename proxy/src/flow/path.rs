//! Paths in one spelling: what is matched is what is forwarded.
//!
//! A path is brought into the form of RFC 3986, 6.2.2 (unreserved characters decoded, hex digits upper case, dot segments
//! gone), and runs of slashes become one, as CloudFront does for matching ("Path pattern"). Spellings that some origin
//! could read as another path although they normalise to this one are told apart as ambiguous. No I/O, no configuration.

use std::borrow::Cow;

/// What became of a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Normal<'a> {
    /// The path in its one spelling.
    pub path: Cow<'a, str>,
    /// Whether another reader could take it for another path.
    pub ambiguous: bool,
}

/// Normalises a path that starts with `/` and holds no `?`.
#[must_use]
pub fn normalise(path: &str) -> Normal<'_> {
    if is_plain(path) {
        return Normal { path: Cow::Borrowed(path), ambiguous: false };
    }
    let (decoded, ambiguous) = decode(path.as_bytes());
    let ambiguous = ambiguous || hides_an_escape(&decoded);
    let resolved = resolve(&decoded);
    let path = if resolved == path { Cow::Borrowed(path) } else { Cow::Owned(resolved) };
    Normal { path, ambiguous }
}

/// A text with its percent-escapes in the spelling of [`normalise`]; segments stay as they are.
pub(crate) fn respelled(text: &str) -> String {
    decode(text.as_bytes()).0
}

/// The common case: no escapes, no empty or dot segments, nothing odd.
fn is_plain(path: &str) -> bool {
    let mut previous = 0;
    for byte in path.bytes() {
        match byte {
            b'%' | b';' | b'\\' => return false,
            b'/' | b'.' if previous == b'/' => return false,
            0x21..=0x7e => {}
            _ => return false,
        }
        previous = byte;
    }
    true
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    match byte? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Decodes what may be decoded without changing the meaning, and finds what is ambiguous.
fn decode(path: &[u8]) -> (String, bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(path.len());
    // All bytes that the escapes stand for, to see whether an origin could read them as text.
    let mut plain = Vec::with_capacity(path.len());
    let mut ambiguous = false;
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        if byte != b'%' {
            // A parameter to some servers, part of the name to others; a separator to some.
            ambiguous |= matches!(byte, b';' | b'\\') || !byte.is_ascii() || byte.is_ascii_control();
            out.push(char::from(byte));
            plain.push(byte);
            at += 1;
            continue;
        }
        let (Some(high), Some(low)) = (hex(path.get(at + 1)), hex(path.get(at + 2))) else {
            // Not an escape; what a reader makes of it is anybody's guess (`%u002f`, for one).
            ambiguous = true;
            out.push('%');
            plain.push(b'%');
            at += 1;
            continue;
        };
        let value = high << 4 | low;
        plain.push(value);
        at += 3;
        if is_unreserved(value) {
            out.push(char::from(value));
            continue;
        }
        ambiguous |= match value {
            b'/' | b'\\' | b';' => true,
            _ if value.is_ascii_control() => true,
            // Double encoding: decoded twice, it is another escape. (`%25` before anything else is a percent sign.)
            b'%' => {
                let next = |offset: usize| path.get(at + offset).is_some_and(|byte| byte.is_ascii_hexdigit());
                let escaped =
                    path.get(at) == Some(&b'%') || path.get(at).is_some_and(|byte| matches!(byte, b'u' | b'U'));
                escaped || (next(0) && next(1))
            }
            _ => false,
        };
        out.push('%');
        out.push(char::from(*DIGITS.get(usize::from(high)).unwrap_or(&b'0')));
        out.push(char::from(*DIGITS.get(usize::from(low)).unwrap_or(&b'0')));
    }
    // Overlong and broken UTF-8 is how `/` was smuggled past filters before.
    (out, ambiguous || std::str::from_utf8(&plain).is_err())
}

/// Whether a second decoding would find an escape: `%25` and two digits, also where decoding made the digits plain.
fn hides_an_escape(path: &str) -> bool {
    path.as_bytes().windows(5).any(|window| {
        window.starts_with(b"%25") && window.get(3..).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Removes dot segments (RFC 3986, 5.2.4) and empty segments.
fn resolve(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut folder = true;
    for segment in path.split('/') {
        folder = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if folder || segments.is_empty() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spelling() {
        let table = [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("//a///b/", "/a/b/"),
            ("/%70rivate/x", "/private/x"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/%e4%bd%a0", "/%E4%BD%A0"),
            ("/a%20b", "/a%20b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/.", "/a/"),
            ("/100%25", "/100%25"),
        ];
        for (from, to) in table {
            assert_eq!(normalise(from), Normal { path: to.into(), ambiguous: false }, "{from}");
        }
    }

    #[test]
    fn ambiguous_spellings() {
        for path in [
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0ab",
            "/%252e%252e/b",
            "/a%252fb",
            "/a;b",
            "/a;/..;/b",
            "/a%3bb",
            "/%257%30rivate/x",
            "/private%252%66x",
            "/open/%252%65%252%65/private/x",
            "/%252%3570rivate",
            "/%u002f",
            "/a%",
            "/a%g0",
            "/%c0%af",
            "/%e0%80%af",
            "/a%7f",
            "/%25%32%66",
            "/%25u002f",
        ] {
            assert!(normalise(path).ambiguous, "{path}");
        }
    }

    proptest! {
        #[test]
        fn normal_is_stable_and_has_no_way_up(path in "/[a-cA-F0-9%./;\\\\~-]{0,40}") {
            let once = normalise(&path);
            prop_assert!(once.path.starts_with('/'));
            prop_assert!(!once.path.contains("//") && !once.path.contains("/./") && !once.path.contains("/../"));
            prop_assert!(!once.path.ends_with("/..") && !once.path.ends_with("/."));
            if !once.ambiguous {
                let twice = normalise(&once.path);
                prop_assert_eq!(&twice.path, &once.path);
                prop_assert!(!twice.ambiguous);
            }
        }

        #[test]
        fn a_decoding_origin_reads_the_same_path(path in "/[a-c%2eEfF0-9./]{0,30}") {
            let normal = normalise(&path);
            if !normal.ambiguous {
                // What an origin that decodes once and then resolves dots would open.
                let (decoded, _) = full_decode(&path);
                let (ours, _) = full_decode(&normal.path);
                prop_assert_eq!(resolve(&decoded), resolve(&ours));
            }
        }
    }

    fn full_decode(path: &str) -> (String, bool) {
        let bytes = path.as_bytes();
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
                (b'%', Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    at += 3;
                }
                (byte, ..) => {
                    out.push(byte);
                    at += 1;
                }
            }
        }
        (String::from_utf8_lossy(&out).into_owned(), false)
    }
}
