//! The variance of a stored response: which request headers its `Vary` names, and a hash of their values.
//!
//! Requests with the same variance get the same object (RFC 9111 §4.1), so values are normalised only where that
//! cannot change what an origin may answer: blanks around the commas of a list, lines of a list, the case of languages, the
//! spellings of one set of codings. It must not know the cache key: variants live under one key.

mod encoding;

use std::borrow::Cow;

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, USER_AGENT, VARY};
use http::{HeaderMap, HeaderName};
use pingora::cache::VarianceBuilder;
use pingora::cache::key::HashBinary;

/// Stands for a field that the request lacks. No field value can contain this byte, so absent differs from empty.
const ABSENT: &[u8] = b"\x01";

/// Fields that the edge writes anew for each request: an answer that varies by one is good for no other request.
const OF_ONE_REQUEST: [&str; 3] = ["x-forwarded-for", "x-request-id", "via"];

/// Whether no request would ever match: `Vary` contains `*` (RFC 9111 §4.1), or a field that the edge writes anew for each
/// request and that viewers' requests do not have.
pub fn has_star(response: &HeaderMap) -> bool {
    names(response)
        .any(|name| name == b"*" || OF_ONE_REQUEST.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes())))
}

/// The variance of `request` under the `Vary` of a stored `response`; `None` when it does not vary.
///
/// This is what pingora's `cache_vary_filter` returns. Names are compared without case and their order does not
/// count; a name that is no field name is left out, since no request can have such a field. `*` is left out too:
/// [`decide`](crate::freshness::decide) refuses such a response before it is stored.
pub fn variance(response: &HeaderMap, request: &HeaderMap) -> Option<HashBinary> {
    variance_beside(response, request, None)
}

/// As [`variance`], where the field `keyed` is in the cache key in the form that the origin saw: under one key it is the same.
pub fn variance_beside(response: &HeaderMap, request: &HeaderMap, keyed: Option<&HeaderName>) -> Option<HashBinary> {
    let mut builder = VarianceBuilder::new();
    for name in names(response).filter_map(|name| HeaderName::from_bytes(name).ok()) {
        if keyed == Some(&name) {
            continue;
        }
        let value = match name {
            ACCEPT_ENCODING => encoding::normalised(request),
            // Tags and ranges of languages are case-insensitive (RFC 9110 §12.5.4).
            ACCEPT_LANGUAGE => combined(request, &name).map(|value| Cow::Owned(value.to_ascii_lowercase())),
            _ => combined(request, &name),
        };
        let value = value.map_or_else(|| ABSENT.to_vec(), Cow::into_owned);
        builder.add_owned_name_value(name.as_str().to_owned(), value);
    }
    builder.finalize()
}

/// The names in `Vary`, as written.
pub fn names(response: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    response
        .get_all(VARY)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
}

/// All lines of a field as one value. Outside quotes blanks shrink to one, and those around commas to none: lines may be
/// joined with `,` only because blanks around it mean nothing (RFC 9110 §5.3). Fields that are no lists keep theirs.
fn combined<'a>(request: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut lines = request.get_all(name).iter();
    let first = lines.next()?.as_bytes().trim_ascii();
    let mut lines = lines.peekable();
    let is_list = !matches!(*name, COOKIE | AUTHORIZATION | USER_AGENT);
    let blanks = |pair: &[u8]| pair == b"  " || (is_list && (pair == b", " || pair == b" ,"));
    if lines.peek().is_none() && !first.contains(&b'\t') && !first.windows(2).any(blanks) {
        return Some(Cow::Borrowed(first));
    }
    let mut value = Vec::with_capacity(first.len());
    shrink_blanks(first, is_list, &mut value);
    for line in lines {
        value.push(b',');
        shrink_blanks(line.as_bytes().trim_ascii(), is_list, &mut value);
    }
    Some(Cow::Owned(value))
}

fn shrink_blanks(line: &[u8], is_list: bool, value: &mut Vec<u8>) {
    let (mut quoted, mut escaped, mut blank, mut comma) = (false, false, false, false);
    for byte in line {
        if !quoted && matches!(byte, b' ' | b'\t') {
            blank = true;
            continue;
        }
        let separates = is_list && !quoted && *byte == b',';
        if blank && !comma && !separates {
            value.push(b' ');
        }
        (blank, comma) = (false, separates);
        value.push(*byte);
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn under(vary: &str, request: &[(&'static str, &str)]) -> Option<HashBinary> {
        variance(&headers(&[("vary", vary)]), &headers(request))
    }

    #[test]
    fn rfc9111_4_1_no_vary_no_variance() {
        assert_eq!(variance(&headers(&[]), &headers(&[("accept", "a")])), None);
        assert_eq!(under(" , ", &[("accept", "a")]), None);
    }

    #[test]
    fn rfc9111_4_1_selected_fields_count_and_others_do_not() {
        let plain = under("Accept-Language, X-A", &[("accept-language", "de"), ("x-b", "1")]);
        assert_eq!(plain, under("x-a,ACCEPT-language", &[("accept-language", "de"), ("x-b", "2")]));
        assert_ne!(plain, under("Accept-Language, X-A", &[("accept-language", "fr")]));
        assert_ne!(plain, under("Accept-Language, X-A", &[("accept-language", "de"), ("x-a", "")]));
    }

    #[test]
    fn rfc9111_4_1_lines_combine_and_blanks_shrink() {
        let plain = under("x-a", &[("x-a", "a b, c")]);
        assert_eq!(plain, under("x-a", &[("x-a", "a b"), ("x-a", "c")]));
        assert_eq!(plain, under("x-a", &[("x-a", "  a \t b,  c ")]));
        assert_eq!(plain, under("x-a", &[("x-a", "a b , c")]));
        assert_eq!(plain, under("x-a", &[("x-a", "a b,c")]));
        assert_ne!(plain, under("x-a", &[("x-a", "ab,c")]));
        assert_ne!(under("x-a", &[("x-a", "\"a  b\"")]), under("x-a", &[("x-a", "\"a b\"")]));
    }

    #[test]
    fn rfc9111_4_1_star_is_seen_in_any_line() {
        assert!(has_star(&headers(&[("vary", "accept"), ("vary", "x-a , *")])));
        assert!(!has_star(&headers(&[("vary", "x-*")])));
        assert!(has_star(&headers(&[("vary", "X-Forwarded-For")])));
    }

    #[test]
    fn rfc9111_4_1_blanks_count_in_what_is_no_list() {
        for name in ["cookie", "authorization", "user-agent"] {
            assert_ne!(under(name, &[(name, "a, b")]), under(name, &[(name, "a,b")]), "{name}");
        }
    }

    #[test]
    fn rfc9110_12_5_4_the_case_of_languages_does_not_count() {
        let of = |value| under("accept-language", &[("accept-language", value)]);
        assert_eq!(of("de-AT, EN;q=0.5"), of("DE-at,en;q=0.5"));
        assert_ne!(of("de, en"), of("en, de"));
    }

    #[test]
    fn accept_encoding_is_a_set() {
        let of = |value| under("accept-encoding", &[("accept-encoding", value)]);
        assert_eq!(of("gzip, deflate;q=0, br"), of("br;q=0.5,GZIP"));
        assert_ne!(of("gzip"), of("br"));
        assert_ne!(of("gzip"), under("accept-encoding", &[]));
    }

    proptest! {
        #[test]
        fn a_different_value_is_a_different_variance(a in "[a-c ,\"\\\\]{0,6}", b in "[a-c ,\"\\\\]{0,6}") {
            let shrunk = |text: &str| { let mut v = Vec::new(); shrink_blanks(text.trim().as_bytes(), true, &mut v); v };
            let same = shrunk(&a) == shrunk(&b);
            prop_assert_eq!(same, under("x-a", &[("x-a", &a)]) == under("x-a", &[("x-a", &b)]));
        }
    }
}
