//! Names and values of header fields, and methods: the grammar of RFC 9110 (§5.1, §5.5, §5.6.2, §9.1).

use thiserror::Error;

/// Longest header name and value (CloudFront: "Quotas on headers", custom origin headers).
const MAX_NAME: usize = 256;
const MAX_VALUE: usize = 1_783;
/// Longest method.
const MAX_METHOD: usize = 32;

/// Why a text is not a header name, a header value or a method.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Not a token.
    #[error("`{0}` is not a header name")]
    Name(String),
    /// Control characters or not ASCII.
    #[error("a header value has visible ASCII characters, spaces and tabs only")]
    Value,
    /// Over 1,783 characters.
    #[error("a header value has at most 1,783 characters")]
    LongValue,
    /// Not a token in upper case.
    #[error("`{0}` is not a method")]
    Method(String),
    /// Methods that are never let through.
    #[error("the method `{0}` cannot be let through")]
    Refused(String),
}

impl HeaderError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Name(name) if name.ends_with(':') => Some("write it without the colon".to_owned()),
            Self::Method(method) if is_token(method) => Some(format!("write `{}`", method.to_ascii_uppercase())),
            Self::Refused(method) if method == "TRACE" => {
                Some("TRACE sends back credentials of the request (RFC 9110 §9.3.8); remove it".to_owned())
            }
            Self::Refused(_) => Some("CONNECT would make an open tunnel of the edge; remove it".to_owned()),
            _ => None,
        }
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Reads a header name; upper case becomes lower case.
///
/// # Errors
/// If it is not a token of at most 256 characters.
pub fn parse_header_name(text: &str) -> Result<String, HeaderError> {
    if is_token(text) && text.len() <= MAX_NAME {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(HeaderError::Name(text.to_owned()))
    }
}

/// Checks a header value.
///
/// # Errors
/// If it has control characters, is not ASCII, or is longer than 1,783 characters.
pub fn check_header_value(text: &str) -> Result<(), HeaderError> {
    if text.len() > MAX_VALUE {
        Err(HeaderError::LongValue)
    } else if text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')) && text.trim() == text {
        Ok(())
    } else {
        Err(HeaderError::Value)
    }
}

/// Reads a method that may be let through.
///
/// # Errors
/// If it is not a token in upper case, or is TRACE or CONNECT.
pub fn parse_method(text: &str) -> Result<String, HeaderError> {
    if matches!(text, "TRACE" | "CONNECT") {
        return Err(HeaderError::Refused(text.to_owned()));
    }
    if is_token(text) && text.len() <= MAX_METHOD && !text.bytes().any(|b| b.is_ascii_lowercase()) {
        Ok(text.to_owned())
    } else {
        Err(HeaderError::Method(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_values_and_methods() {
        assert_eq!(parse_header_name("X-Origin-Secret").as_deref(), Ok("x-origin-secret"));
        assert!(parse_header_name("x y").is_err());
        assert!(parse_header_name("").is_err());
        assert_eq!(parse_header_name("host:").unwrap_err().help().as_deref(), Some("write it without the colon"));
        assert_eq!(check_header_value("a b\tc"), Ok(()));
        assert_eq!(check_header_value("a\r\nb: c"), Err(HeaderError::Value));
        assert_eq!(check_header_value("é"), Err(HeaderError::Value));
        assert_eq!(parse_method("PURGE").as_deref(), Ok("PURGE"));
        assert_eq!(parse_method("get").unwrap_err().help().as_deref(), Some("write `GET`"));
        assert!(matches!(parse_method("TRACE"), Err(HeaderError::Refused(_))));
        assert!(matches!(parse_method("CONNECT"), Err(HeaderError::Refused(_))));
    }
}
