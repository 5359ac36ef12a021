//! Host patterns: which host names a distribution or a certificate answers for.
//!
//! Exact names, `*.example.com` (one label or more in front), and `*`. Names are ASCII; international names are written
//! in their `xn--` form (RFC 5890).

use std::fmt;
use std::net::Ipv6Addr;

use thiserror::Error;

/// Longest host name (RFC 1035 §2.3.4, in its text form).
const MAX_NAME: usize = 253;
/// Longest label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// Why a text is not a host pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostError {
    /// Nothing there, or an empty label.
    #[error("`{0}` has an empty label")]
    EmptyLabel(String),
    /// Longer than a name or a label may be.
    #[error("a host name has at most 253 characters and 63 in each label")]
    TooLong,
    /// A port, a scheme or a path.
    #[error("`{0}` is more than a host name")]
    NotAName(String),
    /// A character that host names do not have.
    #[error("a host name cannot have the character `{0}`")]
    Character(char),
    /// `*` anywhere but as the whole leftmost label.
    #[error("`*` can only be the whole first label")]
    Wildcard,
    /// Not ASCII.
    #[error("`{0}` is not ASCII")]
    NotAscii(String),
}

impl HostError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotAName(_) => Some("write the name alone, without scheme, port or path".to_owned()),
            Self::Wildcard => Some("write `*.example.com` for all names below a domain, or `*` for all".to_owned()),
            Self::NotAscii(_) => Some("write the name in its `xn--` form".to_owned()),
            _ => None,
        }
    }
}

/// Which host names match. Compares and prints as its normal form: lower case, without trailing dot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPattern(Box<str>);

impl HostPattern {
    /// Reads a pattern. Upper case becomes lower case; an IPv6 address stands in brackets, as in a `Host` header.
    ///
    /// # Errors
    /// If the text is neither a host name, `*.` and a host name, `*`, nor an IPv6 address in brackets.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(Self("*".into()));
        }
        if let Some(inside) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            let address: Ipv6Addr = inside.parse().map_err(|_| HostError::NotAName(text.to_owned()))?;
            return Ok(Self(format!("[{address}]").into()));
        }
        if !text.is_ascii() {
            return Err(HostError::NotAscii(text.to_owned()));
        }
        if text.contains([':', '/', '@', '?', '#']) {
            return Err(HostError::NotAName(text.to_owned()));
        }
        if text.len() > MAX_NAME {
            return Err(HostError::TooLong);
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        for label in name.split('.') {
            check_label(text, label)?;
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// Whether `host` matches: without port; upper or lower case; one trailing dot does not count.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
        match self.0.as_bytes() {
            b"*" => true,
            // `suffix` starts with the dot, and at least one character must be in front of it.
            [b'*', suffix @ ..] => {
                let in_front = host.len().saturating_sub(suffix.len());
                in_front > 0
                    && host.first() != Some(&b'.')
                    && host.get(in_front..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }
            exact => exact.eq_ignore_ascii_case(host),
        }
    }

    /// The pattern in its normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it starts with `*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }
}

fn check_label(whole: &str, label: &str) -> Result<(), HostError> {
    if label.is_empty() {
        return Err(HostError::EmptyLabel(whole.to_owned()));
    }
    if label.len() > MAX_LABEL {
        return Err(HostError::TooLong);
    }
    if label.contains('*') {
        return Err(HostError::Wildcard);
    }
    // `_` is no letter of host names (RFC 952), but names of containers have it and viewers send it.
    if let Some(bad) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
        return Err(HostError::Character(bad));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(HostError::Character('-'));
    }
    Ok(())
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostPattern({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    #[test]
    fn exact_wildcard_and_any() {
        assert!(pattern("Example.COM").matches("example.com"));
        assert!(pattern("example.com").matches("EXAMPLE.com."));
        assert!(!pattern("example.com").matches("www.example.com"));
        assert!(pattern("*.example.com").matches("www.example.com"));
        assert!(pattern("*.example.com").matches("a.b.Example.com"));
        assert!(!pattern("*.example.com").matches("example.com"));
        assert!(!pattern("*.example.com").matches(".example.com"));
        assert!(!pattern("*.example.com").matches("badexample.com"));
        assert!(pattern("*").matches("anything"));
        assert!(pattern("[::0001]").matches("[::1]"));
        assert_eq!(pattern("*.Example.com").as_str(), "*.example.com");
    }

    #[test]
    fn refused() {
        for (text, error) in [
            ("", HostError::EmptyLabel(String::new())),
            ("a..b", HostError::EmptyLabel("a..b".to_owned())),
            ("example.com.", HostError::EmptyLabel("example.com.".to_owned())),
            ("example.com:80", HostError::NotAName("example.com:80".to_owned())),
            ("http://example.com", HostError::NotAName("http://example.com".to_owned())),
            ("www.*.com", HostError::Wildcard),
            ("*a.com", HostError::Wildcard),
            ("*.*.com", HostError::Wildcard),
            ("a b", HostError::Character(' ')),
            ("-a.com", HostError::Character('-')),
            ("münchen.de", HostError::NotAscii("münchen.de".to_owned())),
            ("[1.2.3.4]", HostError::NotAName("[1.2.3.4]".to_owned())),
        ] {
            assert_eq!(HostPattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(HostPattern::parse(&"a".repeat(64)), Err(HostError::TooLong));
    }

    /// Label by label, as one would explain it.
    fn oracle(pattern: &str, host: &str) -> bool {
        if pattern == "*" {
            return true;
        }
        let host: Vec<String> = host.split('.').map(str::to_ascii_lowercase).collect();
        match pattern.strip_prefix("*.") {
            None => pattern.split('.').eq(host.iter().map(String::as_str)),
            Some(rest) => {
                let rest: Vec<&str> = rest.split('.').collect();
                host.len() > rest.len() && host.iter().rev().zip(rest.iter().rev()).all(|(h, p)| h == p)
            }
        }
    }

    proptest! {
        #[test]
        fn matches_as_the_oracle(
            pattern in r"(\*|(\*\.)?[ab]{1,2}(\.[ab]{1,2}){0,2})",
            host in r"[abAB]{1,2}(\.[abAB]{1,2}){0,3}",
        ) {
            prop_assert_eq!(HostPattern::parse(&pattern).unwrap().matches(&host), oracle(&pattern, &host));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", host in ".{0,40}") {
            if let Ok(pattern) = HostPattern::parse(&text) {
                prop_assert_eq!(pattern.matches(&host), pattern.matches(&host.to_ascii_uppercase()));
                prop_assert_eq!(HostPattern::parse(pattern.as_str()), Ok(pattern));
            }
        }
    }
}
