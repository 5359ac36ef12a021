//! Reads `Cache-Control` (RFC 9111 §5.2): a scanner over all lines, and the response directives a shared cache obeys.
//!
//! Reading errs to the safe side: a malformed number means stale, of duplicates the most restrictive wins, and `;` or
//! a blank separate directives as `,` does, so that `max-age=60; private` is not read as a long lifetime. Which field of
//! a response counts, if several targets are named, is told in [`targeted`](crate::targeted). It must not know what is
//! decided from the directives.

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, VARY};
use http::{HeaderMap, HeaderName};

/// The greatest delta-seconds, and what a greater one counts as (RFC 9111 §1.2.2).
pub(crate) const MAX_DELTA_SECONDS: u32 = 1 << 31;

/// One directive as sent. The value of a quoted string comes without its quotes, escapes untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Directive<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
    /// The value was a quoted string.
    pub(crate) quoted: bool,
    /// There were blanks around `=`, which the grammar does not allow (RFC 9111 §5.2).
    pub(crate) spaced: bool,
}

/// What says for whom a response is, how long, and what its body is.
const NEEDED: [HeaderName; 6] = [VARY, CONTENT_ENCODING, CONTENT_TYPE, CONTENT_LENGTH, CACHE_CONTROL, EXPIRES];

impl Directive<'_> {
    /// Directive names are case-insensitive (RFC 9111 §5.2).
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value as delta-seconds. Missing, signed or fractional values, and those with blanks around `=`, are 0: the
    /// response counts as stale (RFC 9111 §4.2.1).
    fn seconds(&self) -> u32 {
        self.valid_seconds().unwrap_or(0)
    }

    /// The value as delta-seconds, if it is well formed.
    pub(crate) fn valid_seconds(&self) -> Option<u32> {
        self.value.filter(|_| !self.spaced).and_then(delta_seconds)
    }

    /// The fields that a qualified `no-cache` or `private` is meant for (RFC 9111 §5.2.2.4, §5.2.2.7); none of an
    /// unqualified one. An argument that is no quoted list of field names counts as none: the whole response is meant. So does
    /// one that names a field without which the rest would be used wrongly.
    pub(crate) fn fields(&self) -> impl Iterator<Item = HeaderName> + Clone {
        let list = if self.quoted { self.value.unwrap_or_default() } else { &[] };
        let names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
        let valid = names.clone().all(|name| HeaderName::from_bytes(name).is_ok_and(|name| !NEEDED.contains(&name)));
        names.filter_map(|name| HeaderName::from_bytes(name).ok()).filter(move |_| valid)
    }

    fn is_qualified(&self) -> bool {
        self.fields().next().is_some()
    }
}

/// Parses delta-seconds (RFC 9111 §1.2.2): digits only; what does not fit is [`MAX_DELTA_SECONDS`].
pub(crate) fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    let mut seconds = 0u32;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        seconds = seconds.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
    }
    Some(seconds.min(MAX_DELTA_SECONDS))
}

/// All directives of all `Cache-Control` lines, in order.
pub(crate) fn directives(headers: &HeaderMap) -> impl Iterator<Item = Directive<'_>> {
    directives_in(headers, &CACHE_CONTROL)
}

/// All directives of all lines of a field that has the form of `Cache-Control`, in order.
pub(crate) fn directives_in<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Directive<'a>> + use<'a> {
    headers.get_all(name).iter().flat_map(|line| Scanner { rest: line.as_bytes() })
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn skip(&mut self, skipped: impl Fn(u8) -> bool) {
        let start = self.rest.iter().position(|byte| !skipped(*byte)).unwrap_or(self.rest.len());
        self.rest = &self.rest[start..];
    }

    /// Whether there were any.
    fn skip_blanks(&mut self) -> bool {
        let before = self.rest.len();
        self.skip(is_blank);
        self.rest.len() < before
    }

    fn take_until(&mut self, stop: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| stop(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// The value, and whether it was quoted.
    fn value(&mut self) -> (&'a [u8], bool) {
        let Some(quoted) = self.rest.strip_prefix(b"\"") else {
            return (self.take_until(is_separator), false);
        };
        let mut escaped = false;
        for (at, byte) in quoted.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.rest = &quoted[at + 1..];
                    return (&quoted[..at], true);
                }
                _ => {}
            }
        }
        // The quote is never closed, so it quotes nothing: it must not hide the directives that follow.
        (self.take_until(is_separator), false)
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Directive<'a>;

    fn next(&mut self) -> Option<Directive<'a>> {
        self.skip(is_separator);
        if self.rest.is_empty() {
            return None;
        }
        let name = self.take_until(|byte| byte == b'=' || is_separator(byte));
        let before = self.skip_blanks();
        let Some(rest) = self.rest.strip_prefix(b"=") else {
            return Some(Directive { name, value: None, quoted: false, spaced: false });
        };
        self.rest = rest;
        let after = self.skip_blanks();
        let (value, quoted) = self.value();
        Some(Directive { name, value: Some(value), quoted, spaced: before || after })
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b';') || is_blank(byte)
}

/// The response directives a shared cache obeys (RFC 9111 §5.2.2, RFC 5861). Times in seconds.
///
/// `private` and `no-cache` are set if the whole response is meant. With a list of fields only those are not stored
/// ([`fields_not_stored`](crate::freshness::fields_not_stored)), which `qualified` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ResponseDirectives {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) private: bool,
    /// `no-cache` or `private` for some fields only.
    pub(crate) qualified: bool,
    pub(crate) public: bool,
    pub(crate) must_understand: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) max_age: Option<u32>,
    pub(crate) s_maxage: Option<u32>,
    pub(crate) stale_while_revalidate: Option<u32>,
    pub(crate) stale_if_error: Option<u32>,
}

impl ResponseDirectives {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::from(directives(headers))
    }

    pub(crate) fn from<'a>(directives: impl Iterator<Item = Directive<'a>>) -> Self {
        let mut found = Self::default();
        for directive in directives {
            if directive.is("max-age") {
                tighten(&mut found.max_age, &directive);
            } else if directive.is("s-maxage") {
                tighten(&mut found.s_maxage, &directive);
            } else if directive.is("stale-while-revalidate") {
                tighten(&mut found.stale_while_revalidate, &directive);
            } else if directive.is("stale-if-error") {
                tighten(&mut found.stale_if_error, &directive);
            } else {
                found.no_store |= directive.is("no-store");
                let qualified = directive.quoted && directive.is_qualified();
                if directive.is("no-cache") {
                    found.no_cache |= !qualified;
                    found.qualified |= qualified;
                }
                if directive.is("private") {
                    found.private |= !qualified;
                    found.qualified |= qualified;
                }
                found.must_understand |= directive.is("must-understand");
                found.public |= directive.is("public");
                found.must_revalidate |= directive.is("must-revalidate");
                found.proxy_revalidate |= directive.is("proxy-revalidate");
            }
        }
        found
    }

    /// Whether serving stale is forbidden whatever else is said (RFC 9111 §4.2.4).
    pub(crate) fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.no_cache || self.no_store
    }

    /// Whether serving stale is forbidden unless the origin itself allows it by a directive: `s-maxage` carries the
    /// meaning of `proxy-revalidate` (RFC 9111 §5.2.2.10), but who writes `stale-while-revalidate` or `stale-if-error`
    /// beside it means shared caches, and RFC 5861 gives such windows to them too.
    pub(crate) fn forbids_unasked_stale(&self) -> bool {
        self.forbids_stale() || self.s_maxage.is_some()
    }
}

fn tighten(slot: &mut Option<u32>, directive: &Directive<'_>) {
    let seconds = directive.seconds();
    *slot = Some(slot.map_or(seconds, |known| known.min(seconds)));
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn lines(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (CACHE_CONTROL, HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    fn scan(line: &str) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        directives(&lines(&[line])).map(|found| (text(found.name), found.value.map(text))).collect()
    }

    #[test]
    fn rfc9111_5_2_lists_tokens_and_quoted_strings() {
        let found = scan(r#"no-cache="a, no-store" ,max-age="60", x="q\"uo", PRIVATE"#);
        let expected =
            [("no-cache", Some("a, no-store")), ("max-age", Some("60")), ("x", Some(r#"q\"uo"#)), ("PRIVATE", None)];
        assert_eq!(found.len(), expected.len());
        for (got, want) in found.iter().zip(expected) {
            assert_eq!((got.0.as_str(), got.1.as_deref()), want);
        }
    }

    #[test]
    fn a_semicolon_or_blank_does_not_hide_a_directive() {
        for line in ["max-age=60; private", "max-age=60 private", "public;private"] {
            assert!(ResponseDirectives::of(&lines(&[line])).private, "{line}");
        }
    }

    #[test]
    fn what_a_response_needs_cannot_be_left_out_of_it() {
        for (line, whole) in
            [("private=\"x-a, Vary\"", true), ("no-cache=\"content-encoding\"", true), ("private=\"x-a\"", false)]
        {
            let found = ResponseDirectives::of(&lines(&[line]));
            assert_eq!((found.private || found.no_cache, found.qualified), (whole, !whole), "{line}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_hides_no_directive() {
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(scan("x=\"open, private"), [("x".to_owned(), text("\"open")), ("private".to_owned(), None)]);
        for line in ["x=\"open,no-store", "x=\"a\\\", no-store", "max-age=\"60, no-store", "private=\"x-a, no-store"] {
            assert!(ResponseDirectives::of(&lines(&[line])).no_store, "{line}");
        }
        let found = ResponseDirectives::of(&lines(&["max-age=\"60, x", "private=\"x-a, y"]));
        assert_eq!((found.max_age, found.private, found.qualified), (Some(0), true, false));
    }

    #[test]
    fn rfc9111_4_2_1_bad_numbers_are_stale_and_duplicates_take_the_smallest() {
        for bad in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=6x", "max-age=\"\""] {
            assert_eq!(ResponseDirectives::of(&lines(&[bad])).max_age, Some(0), "{bad}");
        }
        assert_eq!(ResponseDirectives::of(&lines(&["max-age=60", "Max-Age=30, max-age=90"])).max_age, Some(30));
    }

    #[test]
    fn rfc9111_1_2_2_overflow_is_the_greatest_delta() {
        let found = ResponseDirectives::of(&lines(&["max-age=99999999999999999999, s-maxage=2147483649"]));
        assert_eq!((found.max_age, found.s_maxage), (Some(MAX_DELTA_SECONDS), Some(MAX_DELTA_SECONDS)));
    }

    proptest! {
        #[test]
        fn never_panics_and_always_sees_no_store(prefix in "[ -~]{0,20}", suffix in "[ -~]{0,20}") {
            // A quote that is closed later may swallow what follows, so none before it.
            let prefix = prefix.replace(['"', '='], "");
            let line = format!("{prefix},No-Store,{suffix}");
            prop_assert!(ResponseDirectives::of(&lines(&[&line])).no_store);
        }
    }
}
