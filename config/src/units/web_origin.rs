//! Patterns of web origins (RFC 6454; Fetch, "`Origin` header"), with CloudFront's wildcards ("Understand response headers
//! policies"): `*`, `https://*`, `https://*.example.com`, `*.example.com`, `http://example.com:*`.

use thiserror::Error;

/// A pattern of the origins of web pages.
///
/// Without a scheme both `http` and `https` fit. A `*` in the place of the first label stands for one or more labels. Without
/// a port only the scheme's default fits, which browsers leave out; a `*` in the port stands for any digits, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    text: String,
    scheme: Option<String>,
    host: HostPart,
    port: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPart {
    Any,
    /// `.example.com`
    Below(String),
    Exact(String),
}

/// Why a text is no pattern of origins.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OriginPatternError {
    /// There is a path, a query or a user.
    #[error("an origin is a scheme, a host and perhaps a port, without path")]
    Path,
    /// The host is none.
    #[error("`{0}` is no host of an origin")]
    Host(String),
    /// A `*` elsewhere.
    #[error("`*` stands for all of a host or for its first labels, as in `*.example.com`")]
    Wildcard,
    /// The port is none.
    #[error("`{0}` is no port")]
    Port(String),
    /// The scheme is none.
    #[error("`{0}` is no scheme")]
    Scheme(String),
    /// `null`
    #[error("`null` is the origin of sandboxed pages of anybody")]
    Null,
}

impl OriginPatternError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Path | Self::Host(_) | Self::Scheme(_) => Some("write it as in `https://app.example.com`".to_owned()),
            _ => None,
        }
    }
}

impl OriginPattern {
    /// Reads a pattern; letters become lower case.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, OriginPatternError> {
        let lower = text.to_ascii_lowercase();
        if lower == "null" {
            return Err(OriginPatternError::Null);
        }
        let (scheme, rest) = match lower.split_once("://") {
            Some((scheme, rest)) => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
                if !scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) || !scheme.bytes().all(plain) {
                    return Err(OriginPatternError::Scheme(scheme.to_owned()));
                }
                (Some(scheme.to_owned()), rest)
            }
            None => (None, lower.as_str()),
        };
        if rest.contains(['/', '?', '#', '@']) {
            return Err(OriginPatternError::Path);
        }
        let end = if rest.starts_with('[') { rest.find(']').map_or(rest.len(), |at| at + 1) } else { 0 };
        let (host, port) = match rest.get(end..).and_then(|tail| tail.find(':')) {
            Some(colon) => (rest.get(..end + colon).unwrap_or(rest), rest.get(end + colon + 1..)),
            None => (rest, None),
        };
        if let Some(port) = port
            && (port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*'))
        {
            return Err(OriginPatternError::Port(port.to_owned()));
        }
        let part = match host.strip_prefix('*') {
            Some("") => HostPart::Any,
            Some(below) if below.starts_with('.') && is_host(below.trim_start_matches('.')) => {
                HostPart::Below(below.to_owned())
            }
            Some(_) => return Err(OriginPatternError::Wildcard),
            None if host.contains('*') => return Err(OriginPatternError::Wildcard),
            None if is_host(host) || is_address(host) => HostPart::Exact(host.to_owned()),
            None => return Err(OriginPatternError::Host(host.to_owned())),
        };
        Ok(Self { text: lower.clone(), scheme, host: part, port: port.map(str::to_owned) })
    }

    /// Whether it is `*` alone.
    #[must_use]
    pub fn matches_all(&self) -> bool {
        self.text == "*"
    }

    /// The text, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the value of an `Origin` field fits. Browsers write it in lower case.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        if self.matches_all() {
            return true;
        }
        let Some((scheme, rest)) = origin.split_once("://") else { return false };
        match &self.scheme {
            Some(wanted) if wanted != scheme => return false,
            None if !matches!(scheme, "http" | "https") => return false,
            _ => {}
        }
        let end = if rest.starts_with('[') { rest.find(']').map_or(rest.len(), |at| at + 1) } else { 0 };
        let (host, port) = match rest.get(end..).and_then(|tail| tail.find(':')) {
            Some(colon) => (rest.get(..end + colon).unwrap_or(rest), rest.get(end + colon + 1..).unwrap_or("")),
            None => (rest, ""),
        };
        let host_fits = match &self.host {
            // With a host that is none the origin would be no origin.
            HostPart::Any => is_host(host) || is_address(host),
            HostPart::Below(below) => host.strip_suffix(below.as_str()).is_some_and(is_host),
            HostPart::Exact(exact) => host == exact,
        };
        host_fits
            && match &self.port {
                None => port.is_empty(),
                Some(pattern) => glob(pattern.as_bytes(), port.as_bytes()),
            }
    }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    host.len() <= 253 && host.split('.').all(label)
}

fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

/// `*` stands for any characters, also none. Ports are short.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| text.get(at..).is_some_and(|tail| glob(rest, tail))),
        Some((first, rest)) => text.split_first().is_some_and(|(next, tail)| next == first && glob(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, origin: &str) -> bool {
        OriginPattern::parse(pattern).expect(pattern).matches(origin)
    }

    #[test]
    fn patterns_are_cloudfronts() {
        for (pattern, yes, no) in [
            ("*", &["https://a.test", "null", "http://b:1"][..], &[][..]),
            (
                "https://app.test",
                &["https://app.test"],
                &["http://app.test", "https://app.test:8443", "https://x.app.test"],
            ),
            (
                "http://*.example.org",
                &["http://a.example.org", "http://a.b.example.org"],
                &[
                    "https://a.example.org",
                    "http://example.org",
                    "http://aexample.org",
                    "http://a.example.org:80",
                    "http://evil.test/.example.org",
                ],
            ),
            (
                "*.example.org",
                &["http://a.example.org", "https://a.b.example.org"],
                &["https://example.org", "ftp://a.example.org"],
            ),
            ("http://example.org:*", &["http://example.org:8080", "http://example.org:1"], &["http://example.com:1"]),
            (
                "http://example.org:1*3",
                &["http://example.org:123", "http://example.org:13"],
                &["http://example.org:124"],
            ),
            ("https://*", &["https://a.test"], &["http://a.test", "https://", "https://a/b"]),
            ("http://[::1]:3000", &["http://[::1]:3000"], &["http://[::1]", "http://[::2]:3000"]),
            ("HTTPS://App.Test", &["https://app.test"], &["https://app.test."]),
            ("chrome-extension://abc", &["chrome-extension://abc"], &["https://abc"]),
        ] {
            for origin in yes {
                assert!(fits(pattern, origin), "{pattern} {origin}");
            }
            for origin in no {
                assert!(!fits(pattern, origin), "{pattern} {origin}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for text in [
            "",
            "null",
            "https://",
            "https://a.test/",
            "https://a.test/x",
            "a*.test",
            "https://a.*.test",
            "*test",
            "http://a:x",
            "http://a:",
            "http://u@a",
            "1x://a",
            "http://a b",
        ] {
            assert!(OriginPattern::parse(text).is_err(), "{text}");
        }
    }
}
