//! Name and password of an `Authorization` line (RFC 7617, 2).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use edgeweir_sdk::http::HeaderValue;

/// Longest credentials that are decoded, in bytes of Base64.
const MAX: usize = 1024;

/// Padding is what some clients leave out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a viewer says of itself. No `Debug`: it holds a password.
#[derive(PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Never has a colon.
    pub(crate) name: String,
    /// Any bytes.
    pub(crate) password: Vec<u8>,
}

impl Credentials {
    /// The credentials of a request; none if there are none, or if they cannot be read in one way.
    pub(crate) fn of(lines: &[HeaderValue]) -> Option<Self> {
        // Of two lines, origins differ in which they read.
        let [line] = lines else { return None };
        let (scheme, rest) = line.to_str().ok()?.split_once(' ')?;
        let token = rest.trim_matches(' ');
        if !scheme.eq_ignore_ascii_case("basic") || token.len() > MAX {
            return None;
        }
        let decoded = BASE64.decode(token).ok()?;
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        let (name, password) = decoded.split_at_checked(colon)?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        Some(Self { name, password: password.get(1..)?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&'static str]) -> Option<(String, String)> {
        let lines: Vec<_> = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
        let Credentials { name, password } = Credentials::of(&lines)?;
        Some((name, String::from_utf8(password).expect("text")))
    }

    fn pair(name: &str, password: &str) -> Option<(String, String)> {
        Some((name.to_owned(), password.to_owned()))
    }

    #[test]
    fn rfc_7617_examples() {
        assert_eq!(of(&["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]), pair("Aladdin", "open sesame"));
        assert_eq!(of(&["Basic dGVzdDoxMjPCow=="]), pair("test", "123£"));
    }

    #[test]
    fn spellings_of_one_line() {
        for line in ["basic YTpi", "BASIC   YTpi ", "Basic YTpi"] {
            assert_eq!(of(&[line]), pair("a", "b"), "{line}");
        }
        assert_eq!(of(&["Basic dGVzdDoxMjPCow"]), pair("test", "123£"), "no padding");
        assert_eq!(of(&["Basic YTpiOmM="]), pair("a", "b:c"), "a password may have colons");
        assert_eq!(of(&["Basic Og=="]), pair("", ""));
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        for line in ["", "Basic", "Basic ", "Bearer YTpi", "Basic YTpi YTpi", "Basic !!!!", "Basic YWI=", "Basic /zo="]
        {
            assert_eq!(of(&[line]), None, "{line}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["Basic YTpi", "Basic YTpi"]), None, "two lines");
        let long = HeaderValue::from_str(&format!("Basic {}", "YTph".repeat(300))).expect("a value");
        assert!(Credentials::of(&[long]).is_none(), "too long");
    }
}
