//! Requests that hooks send by themselves.

use bytes::Bytes;
use http::{HeaderMap, Method, header};

use super::headers::{self, MAX_HEADER_BYTES};
use super::{Rule, Violation, count, target};
use crate::Outgoing;
use crate::bindings::imports::fetch;

/// Largest body that a hook may send, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Checks a request before it is sent.
pub(crate) fn outgoing(raw: fetch::Outgoing) -> Result<Outgoing, Violation> {
    let method = match Method::from_bytes(raw.method.as_bytes()) {
        Ok(method) if method != Method::CONNECT => method,
        _ => return Err(Violation::new(Rule::Method, raw.method)),
    };
    let (path, query) = match raw.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (raw.target.as_str(), None),
    };
    target::path(path)?;
    // They would climb out of the path that the config puts before it.
    if target::has_dot_segments(path) {
        return Err(Violation::new(Rule::Path, raw.target));
    }
    query.map_or(Ok(()), target::query)?;
    if raw.target.len() >= target::MAX_TARGET {
        return Err(Violation::new(Rule::TargetTooLong, raw.target.len().to_string()));
    }
    if raw.body.len() > MAX_BODY {
        return Err(Violation::new(Rule::BodyTooLarge, format!("{} bytes, at most {MAX_BODY}", raw.body.len())));
    }
    count(raw.headers.len())?;
    let mut fields = HeaderMap::with_capacity(raw.headers.len());
    let mut bytes = 0;
    for field in raw.headers {
        let name = headers::field_name(field.name)?;
        if matches!(name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::HOST | header::TE) {
            return Err(Violation::new(Rule::ReadOnlyHeader, name.as_str()));
        }
        let value = headers::value(&name, field.value)?;
        bytes += name.as_str().len() + value.len();
        if bytes > MAX_HEADER_BYTES {
            return Err(Violation::new(Rule::HeadersTooLarge, name.as_str()));
        }
        fields.append(name, value);
    }
    Ok(Outgoing { origin: raw.origin, method, target: raw.target, headers: fields, body: Bytes::from(raw.body) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::imports::types::Header;

    fn ask(method: &str, target: &str, field: Option<(&str, &str)>) -> Result<Outgoing, Rule> {
        let headers = field.map(|(name, value)| Header { name: name.into(), value: value.into() });
        let raw = fetch::Outgoing {
            origin: "api".into(),
            method: method.into(),
            target: target.into(),
            headers: headers.into_iter().collect(),
            body: Vec::new(),
        };
        outgoing(raw).map_err(|violation| violation.rule)
    }

    #[test]
    fn what_is_sent_is_a_request() {
        let good = ask("POST", "/a?b=c?d", Some(("X-A", "1"))).unwrap();
        assert_eq!((good.method.as_str(), good.target.as_str()), ("POST", "/a?b=c?d"));
        assert_eq!(good.headers["x-a"], "1");
        for target in ["/a..b/.c/...", "/a/%2e%2e%2e", "/a%2Fb", "/a;b", "/?a=/../b"] {
            assert!(ask("GET", target, None).is_ok(), "{target}");
        }
        for (method, target, rule) in [
            ("CONNECT", "/", Rule::Method),
            ("GET /", "/", Rule::Method),
            ("", "/", Rule::Method),
            ("GET", "", Rule::Path),
            ("GET", "http://other.test/", Rule::Path),
            ("GET", "/a b", Rule::Path),
            ("GET", "/a?b c", Rule::Query),
            ("GET", "/#a", Rule::Path),
            ("GET", "/../private", Rule::Path),
            ("GET", "/a/./b", Rule::Path),
            ("GET", "/a/%2e%2E/b?c", Rule::Path),
            ("GET", "/a/.%2e", Rule::Path),
            ("GET", "/a/..", Rule::Path),
            ("GET", "/x/..%2f..%2Fprivate", Rule::Path),
            ("GET", "/..%5cprivate", Rule::Path),
            ("GET", "/..;a=b/private", Rule::Path),
            ("GET", &format!("/{}", "a".repeat(8191)), Rule::TargetTooLong),
        ] {
            assert_eq!(ask(method, target, None).map(drop), Err(rule), "{method} {target}");
        }
    }

    #[test]
    fn rfc9110_7_6_1_framing_and_hop_by_hop_fields_are_the_edges() {
        for (name, rule) in [
            ("content-length", Rule::ReadOnlyHeader),
            ("Transfer-Encoding", Rule::ReadOnlyHeader),
            ("host", Rule::ReadOnlyHeader),
            ("te", Rule::ReadOnlyHeader),
            ("connection", Rule::DisallowedHeader),
            ("keep-alive", Rule::DisallowedHeader),
            ("proxy-connection", Rule::DisallowedHeader),
            ("trailer", Rule::DisallowedHeader),
            ("upgrade", Rule::DisallowedHeader),
            ("expect", Rule::DisallowedHeader),
            ("a b", Rule::HeaderName),
        ] {
            assert_eq!(ask("GET", "/", Some((name, "1"))).map(drop), Err(rule), "{name}");
        }
        assert_eq!(ask("GET", "/", Some(("x-a", "1\r\nx-b: 2"))).map(drop), Err(Rule::HeaderValue));
        let long = "a".repeat(33 * 1024);
        assert_eq!(ask("GET", "/", Some(("x-a", &long))).map(drop), Err(Rule::HeadersTooLarge));
    }
}
