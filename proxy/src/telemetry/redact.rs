//! Keeps credentials out of logs: the values of query parameters that carry signatures, tokens, keys or passwords.
//!
//! Names are kept, values become `***`. A name counts as sensitive by itself or by a part of it, after percent-decoding
//! and without regard to case, `-`, `_` or brackets, because that is how origins read them.

use super::json::{MAX_TEXT, fragment};

/// Sensitive when the whole name is one of these (written without separators).
const NAMES: &[&str] = &[
    "assertion",
    "auth",
    "authorization",
    "awsaccesskeyid",
    "code",
    "credential",
    "googleaccessid",
    "hmac",
    "jwt",
    "key",
    "keypairid",
    "pass",
    "passphrase",
    "pin",
    "policy",
    "pwd",
    "samlrequest",
    "samlresponse",
    "session",
    "sessionid",
    "sid",
    "sig",
    "sign",
    "ticket",
    "xapikey",
];
/// Sensitive when the name contains one of these.
const PARTS: &[&str] =
    &["accesskey", "apikey", "bearer", "credential", "passw", "privatekey", "secret", "signature", "token"];
/// Longest name that is looked at, in bytes; the value of a longer one is always dropped.
const MAX_NAME: usize = 96;

/// Appends a query (without `?`) as the inside of a JSON string. `own` are other sensitive names: the parameters with API
/// keys.
pub(crate) fn query(buffer: &mut Vec<u8>, query: &[u8], own: &[Box<str>]) {
    // Cut here and not in `fragment`, so that the whole query is bounded and not only each value.
    let (kept, cut) = match query.get(..MAX_TEXT) {
        Some(kept) if query.len() > MAX_TEXT => (kept, true),
        _ => (query, false),
    };
    for (index, pair) in kept.split(|&byte| byte == b'&').enumerate() {
        if index > 0 {
            buffer.push(b'&');
        }
        match secret_at(pair, own) {
            Some(start) => {
                fragment(buffer, pair.get(..start).unwrap_or_default());
                buffer.extend_from_slice(b"***");
            }
            None => fragment(buffer, pair),
        }
    }
    if cut {
        buffer.extend_from_slice("…".as_bytes());
    }
}

/// Appends a URL (of a `Referer`) as the inside of a JSON string: user information and fragment are dropped, the query
/// is redacted.
pub(super) fn url(buffer: &mut Vec<u8>, url: &[u8], own: &[Box<str>]) {
    let (rest, tail) = split_at(url, b'#');
    let (before, search) = split_at(rest, b'?');
    match before.windows(3).position(|window| window == b"://") {
        Some(at) => {
            let (scheme, rest) = before.split_at(at + 3);
            let (authority, path) = split_at(rest, b'/');
            fragment(buffer, scheme);
            match authority.iter().rposition(|&byte| byte == b'@') {
                Some(user_end) => {
                    buffer.extend_from_slice(b"***");
                    fragment(buffer, authority.get(user_end..).unwrap_or_default());
                }
                None => fragment(buffer, authority),
            }
            fragment(buffer, path);
        }
        None => fragment(buffer, before),
    }
    if let Some((_, inner)) = search.split_first() {
        buffer.push(b'?');
        query(buffer, inner, own);
    }
    if !tail.is_empty() {
        buffer.extend_from_slice(b"#***");
    }
}

/// Where the value of a sensitive parameter begins in what stands between two `&`. It is dropped up to the next `&`: any
/// other separator may as well be a part of it.
fn secret_at(pair: &[u8], own: &[Box<str>]) -> Option<usize> {
    let (mut name, mut at) = (0, 0);
    while let Some(rest) = pair.get(at..).filter(|rest| !rest.is_empty()) {
        let equals = match rest {
            [b'=', ..] => 1,
            [b'%', b'3', b'd' | b'D', ..] => 3,
            _ => 0,
        };
        if equals > 0 && rest.len() > equals && is_secret(pair.get(name..at).unwrap_or_default(), own) {
            return Some(at + equals);
        }
        // Some origins take `;` for a separator; the others are those of a URL within a value.
        let separator = match rest {
            [b';' | b'?' | b'#', ..] => 1,
            [b'%', b'2', b'6' | b'3', ..] | [b'%', b'3', b'b' | b'B' | b'f' | b'F', ..] => 3,
            _ => 0,
        };
        at += equals.max(separator).max(1);
        if equals > 0 || separator > 0 {
            name = at;
        }
    }
    None
}

/// Splits before the first `separator`, which stays with the second part.
fn split_at(value: &[u8], separator: u8) -> (&[u8], &[u8]) {
    value.split_at(value.iter().position(|&byte| byte == separator).unwrap_or(value.len()))
}

/// Whether the value of a parameter of this name is dropped.
pub(crate) fn is_sensitive(name: &[u8]) -> bool {
    is_secret(name, &[])
}

fn is_secret(name: &[u8], own: &[Box<str>]) -> bool {
    let mut folded = [0_u8; MAX_NAME];
    let mut len = 0;
    let mut bytes = name.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' { decoded(&mut bytes) } else { byte };
        if !byte.is_ascii_alphanumeric() {
            continue;
        }
        let Some(slot) = folded.get_mut(len) else { return true };
        *slot = byte.to_ascii_lowercase();
        len += 1;
    }
    let Ok(folded) = std::str::from_utf8(folded.get(..len).unwrap_or_default()) else { return false };
    // Letters and digits only, as in `folded`; a name without any is every name.
    let alike =
        |own: &str| own.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase()).eq(folded.bytes());
    if own.iter().any(|own| alike(own)) {
        return true;
    }
    NAMES.binary_search(&folded).is_ok() || PARTS.iter().any(|part| folded.contains(part))
}

/// The byte after a `%`; a malformed escape counts as a separator.
fn decoded(bytes: &mut impl Iterator<Item = u8>) -> u8 {
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let (high, low) = (digit(bytes.next()), digit(bytes.next()));
    high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok()).unwrap_or(b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(text: &str) -> String {
        let mut buffer = Vec::new();
        query(&mut buffer, text.as_bytes(), &["other".into(), "My-Own".into()]);
        String::from_utf8(buffer).unwrap()
    }

    fn redacted_url(text: &str) -> String {
        let mut buffer = Vec::new();
        url(&mut buffer, text.as_bytes(), &["other".into(), "My-Own".into()]);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn the_parameter_of_the_configuration_is_sensitive() {
        assert_eq!(redacted("a=1&my-own=2&m%79_OWN=3&own=4"), "a=1&my-own=***&m%79_OWN=***&own=4");
        assert_eq!(redacted_url("https://a.test/?my-own=2"), "https://a.test/?my-own=***");
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn values_of_sensitive_names_are_dropped() {
        for name in [
            "Signature",
            "Policy",
            "Key-Pair-Id",
            "token",
            "access_token",
            "id_token",
            "api_key",
            "apikey",
            "api-key",
            "key",
            "sig",
            "password",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "X-Goog-Signature",
            "client_secret",
            "code",
            "TOKEN",
            "%74oken",
            "to%6Ben",
            "user[password]",
            "AWSAccessKeyId",
            "x-api-key",
            "jwt",
            "hdnea_token",
        ] {
            assert_eq!(redacted(&format!("a=1&{name}=secret&b=2")), format!("a=1&{name}=***&b=2"));
        }
    }

    #[test]
    fn other_values_are_kept() {
        for query in
            ["", "a", "a=", "a=1&b=2", "token", "token=", "monkey=1&keyboard=2", "page=2;sort=up", "=x", "&&", "q=%zz"]
        {
            assert_eq!(redacted(query), query);
        }
    }

    #[test]
    fn other_separators_and_urls_in_values() {
        for (query, expected) in [
            ("a=1;token=x;b=2&c=3", "a=1;token=***&c=3"),
            ("password=a;b?c%26d&e=1", "password=***&e=1"),
            ("next=https://a.test/?token=x&b=1", "next=https://a.test/?token=***&b=1"),
            (
                "next=https%3A%2F%2Fa.test%3Fa%3D1%26token%3Dx&b=1",
                "next=https%3A%2F%2Fa.test%3Fa%3D1%26token%3D***&b=1",
            ),
            ("next=/%23access_token%3dx", "next=/%23access_token%3d***"),
            ("a=token=x", "a=token=***"),
        ] {
            assert_eq!(redacted(query), expected);
        }
    }

    #[test]
    fn names_of_any_length_are_safe() {
        let (long, short) = ("n".repeat(MAX_NAME + 1), "n".repeat(MAX_NAME));
        assert_eq!(redacted(&format!("{long}=x")), format!("{long}=***"));
        assert_eq!(redacted(&format!("{short}=x")), format!("{short}=x"));
    }

    #[test]
    fn long_queries_are_cut() {
        let cut = redacted(&"a=1&".repeat(MAX_TEXT));
        assert_eq!(cut.len(), MAX_TEXT + '…'.len_utf8());
    }

    #[test]
    fn urls() {
        for (url, expected) in [
            ("https://a.test/x?token=s&b=1", "https://a.test/x?token=***&b=1"),
            ("https://user:pass@a.test/x", "https://***@a.test/x"),
            ("https://a.test/x@y", "https://a.test/x@y"),
            ("https://a.test/#access_token=s", "https://a.test/#***"),
            ("https://a.test/?a=1#x", "https://a.test/?a=1#***"),
            ("/relative?sig=1", "/relative?sig=***"),
            ("https://u:p@a.test?key=1", "https://***@a.test?key=***"),
            ("?", "?"),
            ("", ""),
        ] {
            assert_eq!(redacted_url(url), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_valid_json(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = vec![b'"'];
            query(&mut buffer, &value, &[]);
            url(&mut buffer, &value, &[]);
            buffer.push(b'"');
            serde_json::from_slice::<String>(&buffer).unwrap();
        }

        #[test]
        fn a_token_never_gets_through(before in "[a-z0-9&;=%]{0,40}", after in "[a-z0-9&;=%]{0,40}") {
            let line = redacted(&format!("{before}&access_token=S3CRET&{after}"));
            prop_assert!(!line.contains("S3CRET"), "{}", line);
        }
    }
}
