//! Origins that hooks choose by host: what is one, and whether the binding allows its host.

use std::net::IpAddr;

use http::HeaderValue;

use super::{Rule, Violation, headers, target};
use crate::DynamicOrigin;
use crate::bindings::stages::origin_request as raw;

/// Longest path prefix, in bytes.
const MAX_PREFIX: usize = 255;
/// Longest host name (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

/// Checks an origin; `allowed` is the binding's list.
pub(super) fn origin(raw: &raw::DynamicOrigin, allowed: &[Box<str>]) -> Result<DynamicOrigin, Violation> {
    let tls = match raw.scheme.as_str() {
        "https" => true,
        "http" => false,
        _ => return Err(Violation::new(Rule::DynamicOrigin, format!("scheme {}", raw.scheme))),
    };
    let (host, listed) = allowed_host(&raw.host, allowed)?;
    let port = raw.port.unwrap_or(if tls { 443 } else { 80 });
    if port == 0 {
        return Err(Violation::new(Rule::DynamicOrigin, "port 0"));
    }
    let path_prefix = path_prefix(&raw.path_prefix)?;
    let host_header = raw.host_header.as_deref().map(host_header).transpose()?;
    Ok(DynamicOrigin { tls, host, port, path_prefix, host_header, listed })
}

/// A host in its normal form, and whether the binding lists it in full.
pub(super) fn allowed_host(text: &str, allowed: &[Box<str>]) -> Result<(Box<str>, bool), Violation> {
    let host = host(text).ok_or_else(|| Violation::new(Rule::DynamicOrigin, format!("host {text}")))?;
    match permission(&host, allowed) {
        Some(listed) => Ok((host, listed)),
        None => Err(Violation::new(Rule::DynamicOriginNotGranted, host)),
    }
}

/// What is put before a path, without its last slash.
pub(super) fn path_prefix(text: &str) -> Result<Box<str>, Violation> {
    let prefix = text.trim_end_matches('/');
    // Dot segments would climb out of a prefix that the hook's author has put there.
    let dotted = target::has_dot_segments(prefix);
    if prefix.len() > MAX_PREFIX || dotted || (!prefix.is_empty() && target::path(prefix).is_err()) {
        return Err(Violation::new(Rule::DynamicOrigin, format!("path prefix {text}")));
    }
    Ok(prefix.into())
}

pub(super) fn host_header(text: &str) -> Result<HeaderValue, Violation> {
    let value = headers::is_host(text.as_bytes()).then(|| HeaderValue::from_str(text).ok()).flatten();
    value.ok_or_else(|| Violation::new(Rule::DynamicOrigin, "host header"))
}

/// A host name or an address in its normal form.
fn host(text: &str) -> Option<Box<str>> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_string().into());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // Resolvers read `127.1` and `0x7f000001` as addresses: the last label of a name is no number (WHATWG URL, 3.5).
    let number = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_digit()) || label.starts_with("0x") || label.starts_with("0X")
    };
    let good = name.len() <= MAX_HOST && name.split('.').all(label) && !name.rsplit('.').next().is_some_and(number);
    good.then(|| name.to_ascii_lowercase().into())
}

/// Whether the host is listed in full, or as one of the names below a domain; none if it is not.
fn permission(host: &str, allowed: &[Box<str>]) -> Option<bool> {
    let literal = host.parse::<IpAddr>();
    let in_full = |pattern: &str| match &literal {
        Ok(address) => {
            let bare = pattern.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(pattern);
            bare.parse::<IpAddr>().as_ref() == Ok(address)
        }
        Err(_) => pattern == host,
    };
    if allowed.iter().any(|pattern| in_full(pattern)) {
        return Some(true);
    }
    let below = |pattern: &str| {
        let Some(suffix) = pattern.strip_prefix('*') else { return false };
        host.len() > suffix.len() && host.ends_with(suffix)
    };
    (literal.is_err() && allowed.iter().any(|pattern| below(pattern))).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scheme: &str, host: &str, prefix: &str, header: Option<&str>) -> Result<DynamicOrigin, Rule> {
        let raw = raw::DynamicOrigin {
            scheme: scheme.into(),
            host: host.into(),
            port: None,
            path_prefix: prefix.into(),
            host_header: header.map(Into::into),
        };
        let allowed = ["*.example.com", "api.test", "10.0.0.1", "[::1]"].map(Box::from);
        origin(&raw, &allowed).map_err(|violation| violation.rule)
    }

    #[test]
    fn hosts_are_allowed_in_full_or_below_a_domain() {
        for (host, listed) in [
            ("a.example.com", false),
            ("A.B.Example.COM.", false),
            ("api.test", true),
            ("10.0.0.1", true),
            ("::1", true),
            ("[::1]", true),
        ] {
            assert_eq!(check("https", host, "", None).map(|origin| origin.listed), Ok(listed), "{host}");
        }
        for host in ["example.com", "aexample.com", "example.com.evil.test", "x.api.test", "10.0.0.2", "::2"] {
            assert_eq!(check("https", host, "", None).map(drop), Err(Rule::DynamicOriginNotGranted), "{host}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for host in
            ["", ".", "a..example.com", "a.example.com/x", "u@a.example.com", "a.example.com:80", "127.1", "a.0x7f"]
        {
            assert_eq!(check("http", host, "", None).map(drop), Err(Rule::DynamicOrigin), "{host}");
        }
        assert_eq!(check("ftp", "api.test", "", None).map(drop), Err(Rule::DynamicOrigin));
        for prefix in ["x", "/a b", "/../x", "/a/./b"] {
            assert_eq!(check("http", "api.test", prefix, None).map(drop), Err(Rule::DynamicOrigin), "{prefix}");
        }
        for header in [
            "",
            "a b",
            "u@a.test",
            "a/b",
            "x,y",
            "a[b]",
            "a.test:99999",
            "a.test:+80",
            "a.test:1@a.test:80",
            "a.test,b@a.test:80",
        ] {
            assert_eq!(check("http", "api.test", "", Some(header)).map(drop), Err(Rule::DynamicOrigin), "{header}");
        }
        assert_eq!(check("http", "api.test", "//", None).map(|origin| origin.path_prefix), Ok("".into()));
        let good = check("http", "api.test", "/v1/", Some("www.api.test:81")).unwrap();
        assert_eq!(
            (good.port, &*good.path_prefix, good.host_header.unwrap().as_bytes()),
            (80, "/v1", &b"www.api.test:81"[..])
        );
    }
}
