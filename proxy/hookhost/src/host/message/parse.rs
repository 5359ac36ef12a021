//! Cookies and query parameters as hooks ask for them: first match wins, nothing is guessed. Public, so that whoever keeps
//! what a hook said reads the same.

use http::{HeaderMap, header};

/// The value of the first cookie of this name (RFC 6265 4.2.1: `name=value` pairs split by `;`). Names are compared byte
/// by byte. Quotes stay; bytes that are not UTF-8 become U+FFFD, so that such a value never equals a real one.
#[must_use]
pub fn cookie_value(headers: &HeaderMap, name: &str) -> Option<String> {
    for line in headers.get_all(header::COOKIE) {
        for pair in line.as_bytes().split(|b| *b == b';') {
            let Some(eq) = pair.iter().position(|b| *b == b'=') else { continue };
            let (key, value) = (&pair[..eq], &pair[eq + 1..]);
            if key.trim_ascii() == name.as_bytes() {
                return Some(String::from_utf8_lossy(value.trim_ascii()).into_owned());
            }
        }
    }
    None
}

/// The percent-decoded value of the first parameter of this name. Names are decoded before they are compared, as origins
/// do; `+` stays what it is. A parameter without `=` has an empty value.
#[must_use]
pub fn query_value(query: &str, name: &str) -> Option<String> {
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key) == name.as_bytes() {
            return Some(String::from_utf8_lossy(&decode(value)).into_owned());
        }
    }
    None
}

/// RFC 3986 2.1; a `%` without two hex digits stays.
fn decode(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(first);
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_cookie_wins_across_lines() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; bb=2;c=\"x=y\"; a=3; flag"));
        headers.append(header::COOKIE, HeaderValue::from_static("d=4"));
        headers.append(header::COOKIE, HeaderValue::from_bytes(b"e=\xff").expect("opaque bytes"));
        assert_eq!(cookie_value(&headers, "a").as_deref(), Some("1"));
        assert_eq!(cookie_value(&headers, "b"), None);
        assert_eq!(cookie_value(&headers, "c").as_deref(), Some("\"x=y\""));
        assert_eq!(cookie_value(&headers, "d").as_deref(), Some("4"));
        assert_eq!(cookie_value(&headers, "e").as_deref(), Some("\u{fffd}"));
        assert_eq!(cookie_value(&headers, "flag"), None);
        assert_eq!(cookie_value(&headers, "A"), None);
    }

    #[test]
    fn query_names_are_decoded_before_comparing() {
        let query = "to%6ben=a%20b+c&token=second&flag&bad=%zz%4";
        assert_eq!(query_value(query, "token").as_deref(), Some("a b+c"));
        assert_eq!(query_value(query, "flag").as_deref(), Some(""));
        assert_eq!(query_value(query, "bad").as_deref(), Some("%zz%4"));
        assert_eq!(query_value(query, "none"), None);
    }

    proptest! {
        #[test]
        fn decode_undoes_encoding(bytes: Vec<u8>) {
            let encoded: String = bytes.iter().map(|b| format!("%{b:02x}")).collect();
            prop_assert_eq!(decode(&encoded), bytes);
        }

        #[test]
        fn any_text_is_taken(query: String, name: String) {
            drop(query_value(&query, &name));
        }
    }
}
