//! The request of the command line: its parts, checked as they are read, and the head that it would come as.

use std::fmt::Write as _;

use anyhow::Context as _;
use http::{HeaderName, HeaderValue, Method, Version};
use pingora::http::RequestHeader;

use super::Args;
use crate::geo::Code;

/// A URL, apart. Its path is kept as it was written, for the gate to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) https: bool,
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// One sentence on what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("begin it with `http://` or `https://`")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return Err(format!("`{other}` is not served: begin it with `http://` or `https://`")),
        };
        if rest.contains('#') {
            return Err("leave out the fragment (`#…`): it is never sent".to_owned());
        }
        if let Some(odd) = rest.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("percent-encode {odd:?}: it cannot be in a request line"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err("it has no host".to_owned());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { https, authority: authority.to_owned(), path })
    }

    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", if self.https { "https" } else { "http" }, self.authority, self.path)
    }
}

/// Reads a method.
///
/// # Errors
/// One sentence.
pub(super) fn method(text: &str) -> Result<Method, String> {
    text.parse().map_err(|_invalid| format!("`{text}` is no method"))
}

/// Reads a header line.
///
/// # Errors
/// One sentence.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write `name: value`")?;
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| format!("`{name}` is no header name"))?;
    let value = HeaderValue::from_str(value.trim())
        .map_err(|_invalid| format!("the value of `{name}` has a character that no header can carry"))?;
    Ok((name, value))
}

/// Reads a country.
///
/// # Errors
/// One sentence.
pub(super) fn country(text: &str) -> Result<Code, String> {
    let code = Code::new(text).filter(|_| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()));
    code.ok_or_else(|| "give two letters (ISO 3166-1), for example `CH`".to_owned())
}

/// A request's head as the wire has it, and as pingora reads it.
pub(super) struct Head {
    pub(super) wire: Vec<u8>,
    pub(super) parsed: RequestHeader,
}

impl Head {
    /// The head of an HTTP/1.1 request. A `Host` of the command line replaces the URL's.
    ///
    /// # Errors
    /// If pingora cannot read it.
    pub(super) fn of(args: &Args) -> anyhow::Result<Self> {
        let Args { url, method, headers, .. } = args;
        let mut parsed = RequestHeader::build(method.as_str(), url.path.as_bytes(), Some(headers.len() + 1))
            .context("the request cannot be read")?;
        parsed.set_version(Version::HTTP_11);
        let mut wire = format!("{method} {} HTTP/1.1\r\n", url.path).into_bytes();
        let mut lines: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(headers.len() + 1);
        if !headers.iter().any(|(name, _)| name == http::header::HOST) {
            let host = HeaderValue::from_str(&url.authority).context("the host of the URL cannot be in a header")?;
            lines.push((http::header::HOST, host));
        }
        lines.extend(headers.iter().cloned());
        for (name, value) in lines {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                wire.extend_from_slice(part);
            }
            parsed.append_header(name, value).context("a header cannot be added")?;
        }
        wire.extend_from_slice(b"\r\n");
        Ok(Self { wire, parsed })
    }
}

/// Items in backticks, with commas.
pub(super) fn quoted<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for item in items {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _always = write!(text, "{comma}`{item}`");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let target = |text: &str| Target::parse(text).map(|target| (target.https, target.authority, target.path));
        let of = |https, authority: &str, path: &str| Ok((https, authority.to_owned(), path.to_owned()));
        assert_eq!(target("http://a.test"), of(false, "a.test", "/"));
        assert_eq!(target("HTTPS://a.test:8443/x%2fy?q#".trim_end_matches('#')), of(true, "a.test:8443", "/x%2fy?q"));
        assert_eq!(target("http://a.test?q=/"), of(false, "a.test", "/?q=/"));
        for (text, problem) in [
            ("a.test/x", "begin it with"),
            ("ftp://a.test", "`ftp` is not served"),
            ("http:///x", "it has no host"),
            ("http://a.test/#x", "leave out the fragment"),
            ("http://a.test/a b", "percent-encode ' '"),
        ] {
            let error = target(text).unwrap_err();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
    }

    #[test]
    fn header_lines_and_countries() {
        assert_eq!(header("X-A:  b ").unwrap(), (HeaderName::from_static("x-a"), HeaderValue::from_static("b")));
        for text in ["x-a", "x a: b", "x: \u{7}", ": b"] {
            assert!(header(text).is_err(), "{text}");
        }
        assert_eq!(country("ch").unwrap().as_str(), "CH");
        assert!(country("CHE").is_err() && country("1").is_err());
    }
}
