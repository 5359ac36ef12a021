//! Where a viewer is sent. The host comes from the settings only: what a viewer wrote can follow a path, never begin one, so
//! there is no open redirect (CWE-601) to build with this hook.

use std::borrow::Cow;

use edgeweir_sdk::{Error, Result};

/// A target of the settings: a path of this host, or a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a>(&'a str);

/// A redirect that was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) target: Target<'a>,
    /// What follows the target: empty, or starting with `/`. None for a line of the table.
    pub(crate) rest: Option<&'a str>,
    /// 301, 302, 307 or 308.
    pub(crate) status: u16,
}

impl<'a> Target<'a> {
    /// Reads a target.
    ///
    /// # Errors
    /// If browsers could take it for another host than it seems to name, or it is no target at all.
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        let plain = |byte: u8| (0x21..0x7f).contains(&byte) && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
        if !text.bytes().all(plain) {
            return Err(Error::new(format!("target `{text}` has a character that must be percent-encoded")));
        }
        if text.starts_with('/') {
            // To a browser, `//` begins a host, and so does `/\`.
            return match text.starts_with("//") {
                true => Err(Error::new(format!("target `{text}` begins with `//`: write `https://` and the host"))),
                false => Ok(Self(text)),
            };
        }
        let after = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let Some(after) = after else {
            return Err(Error::new(format!(
                "target `{text}` starts neither with `/` nor with `https://` or `http://`"
            )));
        };
        let host = after.split(['/', '?', '#']).next().unwrap_or_default();
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
        match !host.is_empty() && !host.starts_with(':') && host.bytes().all(valid) {
            true => Ok(Self(text)),
            false => Err(Error::new(format!("target `{text}` has no valid host"))),
        }
    }

    /// Whether it is on the same host.
    pub(crate) fn is_path(self) -> bool {
        self.0.starts_with('/')
    }

    pub(crate) fn text(self) -> &'a str {
        self.0
    }
}

impl Found<'_> {
    /// The value of `Location`; `query` is the request's, if it goes along.
    pub(crate) fn location(&self, query: Option<&str>) -> String {
        let text = self.target.text();
        let (text, fragment) = text.split_once('#').map_or((text, None), |(text, after)| (text, Some(after)));
        let mut location = String::with_capacity(text.len() + 64);
        match self.rest {
            Some(rest) => {
                location.push_str(text.trim_end_matches('/'));
                // One slash only, as `//` would begin a host where the target is `/`.
                let rest = &*without_dots(rest);
                let rest = rest.trim_start_matches(['/', '\\']);
                if !rest.is_empty()
                    || location.is_empty()
                    || text.ends_with('/')
                    || self.rest.is_some_and(|r| !r.is_empty())
                {
                    location.push('/');
                }
                encode(rest, &mut location);
            }
            None => location.push_str(text),
        }
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            location.push(if text.contains('?') { '&' } else { '?' });
            encode(query, &mut location);
        }
        if let Some(fragment) = fragment {
            location.push('#');
            location.push_str(fragment);
        }
        location
    }
}

/// A path without `.` and `..` (RFC 3986, 5.2.4): with `raw_path` a viewer's come here, and a browser would climb out of
/// the target by them. Browsers take `%2e` for a dot and `\` for a slash (URL Standard, 4.4).
fn without_dots(rest: &str) -> Cow<'_, str> {
    let is_slash = |c| matches!(c, '/' | '\\');
    let dots = |segment: &str| segment.replace("%2e", ".").replace("%2E", ".");
    if !rest.split(is_slash).any(|segment| matches!(&*dots(segment), "." | "..")) {
        return Cow::Borrowed(rest);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = rest.split(is_slash).peekable();
    while let Some(segment) = segments.next() {
        match &*dots(segment) {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        // What ends with dots is a folder.
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    Cow::Owned(kept.join("/"))
}

/// What a viewer wrote, with everything encoded that has no place in a URL (RFC 3986, 2). Browsers read `\` as `/`.
fn encode(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if (0x21..0x7f).contains(&byte) && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'#') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15].map(|half| DIGITS.get(usize::from(half)).map_or('0', |&d| char::from(d))),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(to: &str, rest: Option<&str>, query: Option<&str>) -> String {
        Found { target: Target::parse(to).expect("a target"), rest, status: 301 }.location(query)
    }

    #[test]
    fn targets_that_browsers_misread_are_refused() {
        for text in [
            "",
            "new",
            "//evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "/a\\b",
            "https:/x",
            "https://",
            "https:///x",
            "https://a@evil.test/",
            "https://a\\@evil.test",
            "https://:80",
            "HTTPS://x",
            "javascript:alert(1)",
            "ftp://x",
            "/a b",
            "/\u{e4}",
            "/\r\nx: y",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        for text in ["/", "/a?b#c", "https://x.test", "http://[::1]:80/a", "https://x.test?q"] {
            assert!(Target::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_query_comes_before_the_fragment() {
        assert_eq!(location("/new", None, None), "/new");
        assert_eq!(location("/new", None, Some("")), "/new");
        assert_eq!(location("/new", None, Some("a=1&b")), "/new?a=1&b");
        assert_eq!(location("/new?x=1#part", None, Some("a=1")), "/new?x=1&a=1#part");
        assert_eq!(location("/new", None, Some("a=\"\u{e4}#")), "/new?a=%22%C3%A4%23");
    }

    #[test]
    fn the_rest_of_a_path_never_climbs_out_of_the_target() {
        for (rest, expected) in [
            ("/a/../b", "/new/b"),
            ("/../../b", "/new/b"),
            ("/..", "/new/"),
            ("/a/..", "/new/"),
            ("/./a/.", "/new/a/"),
            ("/%2e%2E/b", "/new/b"),
            ("/a/.%2e/b", "/new/b"),
            ("/a/..\\b", "/new/b"),
            ("/..//evil.test", "/new/evil.test"),
            ("/.a/..b/...", "/new/.a/..b/..."),
        ] {
            assert_eq!(location("/new", Some(rest), None), expected, "{rest}");
        }
        assert_eq!(location("/", Some("/x/..//evil.test"), None), "/evil.test");
    }

    #[test]
    fn the_rest_of_a_path_never_begins_a_host() {
        assert_eq!(location("/new", Some("/a/b"), Some("q")), "/new/a/b?q");
        assert_eq!(location("/new/", Some("/a"), None), "/new/a");
        assert_eq!(location("/new", Some(""), None), "/new");
        assert_eq!(location("/new/", Some(""), None), "/new/");
        assert_eq!(location("/new", Some("/"), None), "/new/");
        assert_eq!(location("/", Some(""), None), "/");
        assert_eq!(location("/", Some("//evil.test/x"), None), "/evil.test/x");
        assert_eq!(location("/", Some("/\\evil.test"), None), "/evil.test");
        assert_eq!(location("/", Some("/a\\b"), None), "/a%5Cb");
        assert_eq!(location("https://x.test", Some("/.evil.test"), None), "https://x.test/.evil.test");
        assert_eq!(location("https://x.test", Some("//a"), None), "https://x.test/a");
    }
}
