//! The URL of an origin: scheme, host, port and a path prefix (RFC 3986), nothing else.

use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::host::HostPattern;
use crate::model::HostHeader;
use crate::suggest;

/// Why a text is not the URL of an origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// No scheme.
    #[error("`{0}` has no scheme")]
    NoScheme(String),
    /// A scheme other than the two.
    #[error("an origin cannot be reached by `{0}`")]
    Scheme(String),
    /// `user:password@`.
    #[error("the URL of an origin cannot have a user name or password")]
    UserInfo,
    /// `?` or `#`.
    #[error("the URL of an origin cannot have a query or a fragment")]
    Query,
    /// Not a name or address.
    #[error("`{0}` is not a host name or IP address")]
    Host(String),
    /// Not 1 to 65,535.
    #[error("`{0}` is not a port")]
    Port(String),
    /// Characters that paths do not have, or dot segments.
    #[error("`{0}` is not a path prefix")]
    Path(String),
}

impl UrlError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoScheme(text) => Some(format!("write `http://{text}` or `https://{text}`")),
            Self::Scheme(scheme) if matches!(scheme.as_str(), "ws" | "wss" | "grpc") => {
                Some("WebSocket and gRPC use `http` or `https` too".to_owned())
            }
            Self::Scheme(_) => Some("schemes are `http` and `https`".to_owned()),
            Self::UserInfo => Some("send credentials with `headers = { authorization = … }`".to_owned()),
            Self::Path(_) => Some("percent-encode other characters; `.` and `..` segments are not allowed".to_owned()),
            _ => None,
        }
    }
}

/// Where an origin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginUrl {
    /// `https` or not.
    pub tls: bool,
    /// Name in lower case, or address without brackets.
    pub host: String,
    /// From the URL, else 80 or 443.
    pub port: u16,
    /// Empty, or `/…` without trailing slash.
    pub path_prefix: String,
}

impl OriginUrl {
    /// Reads a URL such as `https://[::1]:8443/base`.
    ///
    /// # Errors
    /// If it has another scheme, user information, a query or a fragment, or is no URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        // First of all, so that no message shows a password.
        if text.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(UrlError::NoScheme(text.to_owned()));
        };
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(UrlError::Scheme(scheme.to_owned())),
        };
        if rest.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = split_authority(authority)?;
        Ok(Self { tls, host, port: port.unwrap_or(if tls { 443 } else { 80 }), path_prefix: prefix(path)? })
    }
}

/// Reads a name or IP address with an optional port, such as `10.0.0.1:8080`, `app.internal` or `[::1]:80`.
///
/// # Errors
/// If it is none; a URL is refused too.
pub fn parse_endpoint(text: &str) -> Result<(String, Option<u16>), UrlError> {
    // Not shown: a password could be in front of it.
    if text.contains('@') {
        return Err(UrlError::UserInfo);
    }
    if text.contains('/') {
        return Err(UrlError::Host(text.to_owned()));
    }
    split_authority(text)
}

fn split_authority(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    let bad_host = || UrlError::Host(authority.to_owned());
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or_else(bad_host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| bad_host())?;
        let port = match port.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if port.is_empty() => None,
            None => return Err(bad_host()),
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (authority, None),
    };
    Ok((parse_name(host).ok_or_else(|| UrlError::Host(host.to_owned()))?, port))
}

/// A name or an IPv4 address. All digits and dots must be an address: `1.2.3` is a mistake, not a name.
fn parse_name(host: &str) -> Option<String> {
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric {
        return host.parse::<Ipv4Addr>().ok().map(|a| a.to_string());
    }
    let name = HostPattern::parse(host).ok().filter(|h| !h.is_wildcard())?;
    Some(name.as_str().to_owned())
}

fn parse_port(text: &str) -> Result<u16, UrlError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port > 0);
    port.ok_or_else(|| UrlError::Port(text.to_owned()))
}

fn prefix(path: &str) -> Result<String, UrlError> {
    let trimmed = path.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&b);
    let dots = trimmed.split('/').any(|segment| matches!(segment, "." | ".."));
    let percent = trimmed.split('%').skip(1).all(|part| part.bytes().take_while(u8::is_ascii_hexdigit).count() >= 2);
    if trimmed.bytes().all(plain) && !dots && percent && !trimmed.contains("//") {
        Ok(trimmed.to_owned())
    } else {
        Err(UrlError::Path(path.to_owned()))
    }
}

/// Reads what an origin gets as `Host`: `origin`, `viewer`, or a host with optional port.
///
/// # Errors
/// If it is none of these; a word that looks like a misspelt keyword is refused too. The text is the help, if any.
pub fn parse_host_header(text: &str) -> Result<HostHeader, Option<String>> {
    match text {
        "origin" => return Ok(HostHeader::Origin),
        "viewer" => return Ok(HostHeader::Viewer),
        _ => {}
    }
    if !text.contains(['.', ':'])
        && let Some(near) = suggest::nearest(text, ["origin", "viewer"])
    {
        return Err(Some(format!("did you mean `{near}`?")));
    }
    match split_authority(text) {
        Ok(_) => Ok(HostHeader::Fixed(text.to_ascii_lowercase())),
        Err(_) => Err(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(tls: bool, host: &str, port: u16, path_prefix: &str) -> OriginUrl {
        OriginUrl { tls, host: host.to_owned(), port, path_prefix: path_prefix.to_owned() }
    }

    #[test]
    fn parts() {
        assert_eq!(OriginUrl::parse("http://127.0.0.1:3000"), Ok(url(false, "127.0.0.1", 3000, "")));
        assert_eq!(OriginUrl::parse("https://[::1]:8443/base/"), Ok(url(true, "::1", 8443, "/base")));
        assert_eq!(OriginUrl::parse("HTTPS://Example.COM/"), Ok(url(true, "example.com", 443, "")));
        assert_eq!(OriginUrl::parse("http://my_service"), Ok(url(false, "my_service", 80, "")));
    }

    #[test]
    fn refused() {
        assert!(matches!(OriginUrl::parse("localhost:3000"), Err(UrlError::NoScheme(_))));
        assert!(matches!(OriginUrl::parse("ftp://a"), Err(UrlError::Scheme(_))));
        assert_eq!(OriginUrl::parse("http://u:p@a"), Err(UrlError::UserInfo));
        assert_eq!(OriginUrl::parse("http://a/?x"), Err(UrlError::Query));
        for bad in ["http://", "http://a b", "http://*.a", "http://[::1", "http://[::1]x", "http://1.2.3", "http://::1"]
        {
            assert!(matches!(OriginUrl::parse(bad), Err(UrlError::Host(_) | UrlError::Port(_))), "{bad}");
        }
        for bad in ["http://a:0", "http://a:", "http://a:+80", "http://a:65536"] {
            assert!(matches!(OriginUrl::parse(bad), Err(UrlError::Port(_))), "{bad}");
        }
        for bad in ["http://a/../b", "http://a/b c", "http://a/%2", "http://a//b"] {
            assert!(matches!(OriginUrl::parse(bad), Err(UrlError::Path(_))), "{bad}");
        }
    }

    #[test]
    fn endpoints() {
        assert_eq!(parse_endpoint("10.0.0.1:80"), Ok(("10.0.0.1".to_owned(), Some(80))));
        assert_eq!(parse_endpoint("App.internal"), Ok(("app.internal".to_owned(), None)));
        assert_eq!(parse_endpoint("[::1]"), Ok(("::1".to_owned(), None)));
        for bad in ["http://a", "a/b", "a:0", "::1", "", "u@a"] {
            assert!(parse_endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_headers() {
        assert_eq!(parse_host_header("viewer"), Ok(HostHeader::Viewer));
        assert_eq!(parse_host_header("Literal.example:81"), Ok(HostHeader::Fixed("literal.example:81".to_owned())));
        assert_eq!(parse_host_header("orgin"), Err(Some("did you mean `origin`?".to_owned())));
        assert_eq!(parse_host_header("a b"), Err(None));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(https?://)?.{0,40}") {
            drop(OriginUrl::parse(&text).map_err(|e| e.help()));
            drop(parse_endpoint(&text));
            drop(parse_host_header(&text));
        }
    }
}
