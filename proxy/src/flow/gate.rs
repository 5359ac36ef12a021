//! The gate: refuses what cannot be read in one way only, and drops what a viewer may not say.
//!
//! It runs first, on every request, before anything is routed. What it cannot see any more (spaces in the target, bare line
//! feeds) was refused by `runtime::head`. After it: one host, one path spelling, one content length, no hop-by-hop and no
//! spoofed forwarding fields. It decides nothing by configuration but limits and trust.

use edgeweir_config::{Config, Gate, VIEWER_PREFIX};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE, TRANSFER_ENCODING,
    UPGRADE, USER_AGENT,
};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, HeaderValue, Method, Version};
use pingora::http::{IntoCaseHeaderName, RequestHeader};

use super::authority::Authority;
use super::{parts, path};
use crate::fault::Fault;

/// What the gate found out.
#[derive(Debug)]
pub struct Passed {
    /// The host that was asked for.
    pub authority: Authority,
    /// A spelling of the path that two readers could take for two paths; only behaviors that allow it take it.
    pub ambiguous_path: bool,
    /// `OPTIONS *`: about the server, not about a resource.
    pub asterisk: bool,
    /// The length that the head declares; none for a chunked or absent body.
    pub content_length: Option<u64>,
    /// The viewer waits for a `100 Continue` before it sends its body.
    pub expects: bool,
    /// The viewer's connection ends with this request (HTTP/1 only).
    pub closes: bool,
    /// The path in its one spelling, where the header keeps the viewer's own for behaviors with `raw_path`.
    pub normal_path: Option<Box<str>>,
}

/// Fields that would tell an origin who asked or what was asked, if it believed them; beside all that begin with
/// `x-forwarded-`. Nobody's are passed on: a trusted proxy is believed about address and scheme, which the edge then says
/// itself, and it may well pass on what viewers wrote in all the others.
const SPOOFABLE: [&str; 37] = [
    "appengine-user-ip",
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "true-client-ip",
    "x-accel-redirect",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-middleware-subrequest",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-ip",
    "x-remote-user",
    "x-rewrite-url",
    "x-url-scheme",
];

/// What is known of a head as it came over the wire. HTTP/1 only.
#[derive(Debug, Clone, Copy)]
pub struct Wire<'a> {
    /// Its size in bytes.
    pub size: Option<usize>,
    /// The head itself, where it has a transfer coding: pingora's header map has already lost what came twice.
    pub raw: &'a [u8],
}

/// Checks one request and brings its head into the form that the rest relies on.
///
/// # Errors
/// Why the request is refused.
pub fn check(req: &mut RequestHeader, wire: Wire<'_>, config: &Config, keeps_hops: bool) -> Result<Passed, Fault> {
    let limits = &config.gate;
    let own = Own { prefix: &config.viewer.header_prefix, keeps_hops };
    let http2 = req.version == Version::HTTP_2;
    sizes(req, wire.size, limits)?;
    let seen = Seen::of(req, own);
    if seen.transfer_encoding && !http2 {
        framing(req, wire.raw)?;
    }
    let content_length = if seen.content_length { content_length(req)? } else { None };
    if content_length.is_some_and(|length| length > limits.max_body) {
        return Err(Fault::BodyTooLarge);
    }
    if req.method == Method::TRACE || req.method == Method::CONNECT {
        return Err(Fault::MethodNotAllowed);
    }
    if seen.expect
        && !req.headers.get_all(EXPECT).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Fault::ExpectationFailed);
    }
    let authority = authority(req, http2)?;
    let (ambiguous_path, asterisk, normal_path) = target(req)?;
    if http2 {
        if req.headers.values().any(|value| has_blank_ends(value.as_bytes())) {
            return Err(Fault::BadRequest);
        }
        if seen.cookie {
            join_cookies(req);
        }
    }
    let closes = !http2 && seen.connection && connection(req);
    if seen.unwanted {
        hygiene(req, own);
    }
    forget_case(req);
    Ok(Passed { authority, ambiguous_path, asterisk, content_length, expects: seen.expect, closes, normal_path })
}

/// "A field value MUST NOT start or end with an ASCII whitespace character" (RFC 9113, 8.2.1): sent on, it would be an error of
/// the connection to an origin that is strict, and of all other requests on it.
const fn has_blank_ends(value: &[u8]) -> bool {
    matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t'])
}

/// Forgets how the viewer spelled field names. They go out in lower case, as in HTTP/2 (names are case-insensitive: RFC 9110,
/// 5.1): a second map of the spellings would be copied and kept in step with each change.
fn forget_case(req: &mut RequestHeader) {
    if req.has_case() && req.raw_path_is_utf8() {
        parts::of_request(req, |_parts| ());
    }
}

/// What of a head needs a closer look: one pass over the names instead of a look-up for each rule.
#[derive(Default)]
struct Seen {
    transfer_encoding: bool,
    content_length: bool,
    expect: bool,
    cookie: bool,
    connection: bool,
    unwanted: bool,
}

impl Seen {
    fn of(req: &RequestHeader, own: Own<'_>) -> Self {
        let mut seen = Self::default();
        for name in req.headers.keys() {
            match *name {
                HOST | USER_AGENT | ACCEPT | ACCEPT_ENCODING | ACCEPT_LANGUAGE => {}
                TRANSFER_ENCODING => seen.transfer_encoding = true,
                CONTENT_LENGTH => seen.content_length = true,
                EXPECT => seen.expect = true,
                COOKIE => seen.cookie = true,
                CONNECTION | UPGRADE => seen.connection = true,
                TE => seen.unwanted = true,
                _ => seen.unwanted |= is_unwanted(name, own),
            }
        }
        seen
    }
}

fn sizes(req: &RequestHeader, size: Option<usize>, limits: &Gate) -> Result<(), Fault> {
    let target = match req.uri.path_and_query() {
        Some(target) if size.is_none() => target.as_str().len(),
        _ => req.raw_path().len(),
    };
    if target > limits.max_url {
        return Err(Fault::UrlTooLong);
    }
    let head = size.unwrap_or_else(|| {
        // As HTTP/2 counts them (RFC 9113, 6.5.2), without its constant of 32.
        req.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
    });
    if head > limits.max_headers || req.headers.len() > limits.max_header_count {
        return Err(Fault::HeadersTooLarge);
    }
    Ok(())
}

/// Looks for what pingora has already tidied away: `Content-Length` beside `Transfer-Encoding`, and codings other than one
/// `chunked` (RFC 9112, 6.1 and 6.3; both are how requests are smuggled).
fn framing(req: &RequestHeader, raw: &[u8]) -> Result<(), Fault> {
    let mut codings = req.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if req.version != Version::HTTP_11 || has_field(raw, b"content-length") {
        return Err(Fault::BadFraming);
    }
    if codings.next().is_some() {
        return Err(Fault::BadFraming);
    }
    if coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let chunked = coding
        .as_bytes()
        .split(|&byte| byte == b',')
        .filter(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"));
    // Something known and something not: the request may be right, but not for this server.
    if chunked.count() == 1 { Err(Fault::UnknownTransferCoding) } else { Err(Fault::BadFraming) }
}

/// Whether a line of the raw head starts with this field name.
fn has_field(raw: &[u8], name: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', raw).any(|at| {
        let line = raw.get(at + 1..).unwrap_or_default();
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && line.get(name.len()).is_some_and(|&byte| byte == b':')
    })
}

/// One canonical value or none (RFC 9110, 8.6).
fn content_length(req: &mut RequestHeader) -> Result<Option<u64>, Fault> {
    let mut values = req.headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::BadFraming);
    }
    let bytes = value.as_bytes();
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return Err(Fault::BadFraming);
    }
    let length: u64 = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(Fault::BadFraming)?;
    if bytes.len() > 1 && bytes.starts_with(b"0") {
        set(req, CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(Some(length))
}

fn authority(req: &mut RequestHeader, http2: bool) -> Result<Authority, Fault> {
    let mut hosts = req.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Fault::BadHost);
    }
    // `:authority`, or the host of an absolute-form target. pingora has refused one that differs from `Host` in HTTP/1.
    let absolute = absolute_form(req.raw_path());
    let named = match &absolute {
        Some((_scheme, authority, _rest)) => Some(*authority),
        None => req.uri.authority().map(|authority| authority.as_str().as_bytes()),
    };
    let authority = match (named, host) {
        // RFC 9112, 3.2: also where the target says it.
        (Some(_), None) if req.version == Version::HTTP_11 => return Err(Fault::BadHost),
        (Some(named), host) => {
            let authority = Authority::parse(named).ok_or(Fault::BadHost)?;
            // RFC 9113, 8.3.1: one that disagrees makes the request malformed.
            if host.is_some_and(|host| Authority::parse(host.as_bytes()).as_ref() != Some(&authority)) {
                return Err(Fault::BadHost);
            }
            authority
        }
        (None, Some(host)) => Authority::parse(host.as_bytes()).ok_or(Fault::BadHost)?,
        // RFC 9112, 3.2: HTTP/1.1 needs one; HTTP/1.0 knows none.
        (None, None) if req.version == Version::HTTP_10 && !http2 => Authority::none(),
        (None, None) => return Err(Fault::BadHost),
    };
    let wanted = req.version != Version::HTTP_10 || host.is_some();
    if wanted && host.is_none_or(|host| host.as_bytes() != authority.as_str().as_bytes()) {
        let value = HeaderValue::from_str(authority.as_str()).map_err(|_invalid| Fault::BadHost)?;
        set(req, HOST, value);
    }
    Ok(authority)
}

/// Scheme, authority and the rest of an absolute-form target (RFC 9112, 3.2.2).
fn absolute_form(raw: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    if raw.starts_with(b"/") {
        return None;
    }
    let at = memchr::memmem::find(raw, b"://")?;
    let (scheme, rest) = (raw.get(..at)?, raw.get(at + 3..)?);
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    Some((scheme, rest.get(..end)?, rest.get(end..)?))
}

fn is_http(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")
}

/// Whether there is nothing but what URIs are written in (RFC 3986, 2), and some that browsers do not encode. `runtime::head`
/// sees to it for HTTP/1.
fn is_ascii_text(target: &str) -> bool {
    target.bytes().all(|byte| matches!(byte, 0x21..=0x7e))
}

/// Brings the target into origin form with one spelling of the path.
fn target(req: &mut RequestHeader) -> Result<(bool, bool, Option<Box<str>>), Fault> {
    if !req.raw_path_is_utf8() {
        return Err(Fault::BadTarget);
    }
    let raw = req.raw_path();
    if raw == b"*" {
        return if req.method == Method::OPTIONS { Ok((false, true, None)) } else { Err(Fault::BadTarget) };
    }
    let http2 = req.uri.authority().is_some();
    if req.version == Version::HTTP_2 && !req.uri.path_and_query().is_some_and(|target| is_ascii_text(target.as_str()))
    {
        return Err(Fault::BadTarget);
    }
    // An edge is no gateway to anything else (RFC 9113, 8.3.1). h2 drops one that comes without `:authority`.
    if req.version == Version::HTTP_2 && req.uri.scheme_str().is_some_and(|scheme| !is_http(scheme.as_bytes())) {
        return Err(Fault::BadTarget);
    }
    let absolute = match absolute_form(raw) {
        Some((scheme, _authority, rest)) if !http2 => {
            if !is_http(scheme) {
                return Err(Fault::BadTarget);
            }
            if rest.is_empty() && req.method == Method::OPTIONS {
                // RFC 9112, 3.2.4: it is about the server.
                req.set_uri(Uri::from_static("*"));
                return Ok((false, true, None));
            }
            Some(std::str::from_utf8(rest).map_err(|_invalid| Fault::BadTarget)?.to_owned())
        }
        _ => None,
    };
    if let Some(rest) = absolute {
        // An absolute form without a path asks for the root (RFC 9112, 3.2.1).
        let rest = if rest.starts_with('/') { rest } else { format!("/{rest}") };
        req.set_uri(Uri::from(PathAndQuery::try_from(rest).map_err(|_invalid| Fault::BadTarget)?));
    } else if http2 {
        let target = req.uri.path_and_query().cloned().ok_or(Fault::BadTarget)?;
        req.set_uri(Uri::from(target));
    }
    if !req.raw_path().starts_with(b"/") {
        return Err(Fault::BadTarget);
    }
    let path = req.uri.path();
    let normal = path::normalise(path);
    let normal_path: Option<Box<str>> = (*normal.path != *path).then(|| normal.path.as_ref().into());
    Ok((normal.ambiguous, false, normal_path))
}

/// Sends the request on with the path that was matched.
///
/// # Errors
/// If the path is none after all.
pub fn use_normal_path(req: &mut RequestHeader, path: &str) -> Result<(), Fault> {
    set_target(req, path, None)
}

/// Sets path and query; `query` none keeps what is there, `Some(None)` drops it.
///
/// # Errors
/// If they do not make a target.
pub fn set_target(req: &mut RequestHeader, path: &str, query: Option<Option<&str>>) -> Result<(), Fault> {
    let uri = target_of(path, query.unwrap_or_else(|| req.uri.query()))?;
    req.set_uri(uri);
    Ok(())
}

/// The URI of path and query.
///
/// # Errors
/// If they do not make a target.
pub(super) fn target_of(path: &str, query: Option<&str>) -> Result<Uri, Fault> {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Ok(Uri::from(PathAndQuery::try_from(text).map_err(|_invalid| Fault::BadTarget)?))
}

/// Acts on `Connection` and takes it away, so that no later step strips what it names (RFC 9110, 7.6.1). Only a WebSocket
/// upgrade keeps one. Whether the viewer's connection ends with this request: pingora looks at the first line only.
fn connection(req: &mut RequestHeader) -> bool {
    let mut upgrades = req.headers.get_all(UPGRADE).iter();
    // More than one: the origin could choose another than the edge speaks.
    let upgrade = upgrades.next().map(|value| upgrades.next().is_none() && is_websocket(value));
    if !req.headers.contains_key(CONNECTION) {
        if upgrade.is_some() {
            req.remove_header(&UPGRADE);
        }
        return false;
    }
    let mut named: Vec<HeaderName> = Vec::new();
    let (mut asks_upgrade, mut closes) = (false, false);
    for value in req.headers.get_all(CONNECTION) {
        for option in value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"upgrade") {
                asks_upgrade = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                closes = true;
            } else if !option.eq_ignore_ascii_case(b"keep-alive")
                && let Ok(name) = HeaderName::from_bytes(option)
                && !is_end_to_end(&name)
            {
                named.push(name);
            }
        }
    }
    for name in &named {
        req.remove_header(name);
    }
    req.remove_header(&CONNECTION);
    // With a body it is none (RFC 6455, 4.1: a GET): the origin would wait for what the switch of protocols waits for.
    let bodyless = !req.headers.contains_key(TRANSFER_ENCODING)
        && req.headers.get(CONTENT_LENGTH).is_none_or(|length| length.as_bytes().iter().all(|&byte| byte == b'0'));
    if upgrade == Some(true) && asks_upgrade && req.method == Method::GET && bodyless {
        set(req, CONNECTION, HeaderValue::from_static("upgrade"));
    } else if upgrade.is_some() {
        req.remove_header(&UPGRADE);
    }
    closes
}

/// The one protocol that connections are handed over to.
pub(super) fn is_websocket(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// Fields that are meant for the origin whatever `Connection` says: a sender must not name them (RFC 9110, 7.6.1), and one
/// that does wants the edge to lose them.
fn is_end_to_end(name: &HeaderName) -> bool {
    const NAMES: [&str; 26] = [
        "authorization",
        "cookie",
        "host",
        "cache-control",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "date",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "range",
        "origin",
        "referer",
        "via",
        "accept",
        "accept-encoding",
        "user-agent",
        "traceparent",
        "x-api-key",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    ];
    let name = name.as_str();
    NAMES.contains(&name) || name.starts_with("sec-")
}

/// One `Cookie` line again, of those that HTTP/2 splits for its compression (RFC 9113, 8.2.3).
fn join_cookies(req: &mut RequestHeader) {
    let lines: Vec<&[u8]> = req.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        set(req, COOKIE, joined);
    }
}

/// What only the edge itself may say.
#[derive(Debug, Clone, Copy)]
struct Own<'a> {
    /// The beginning of the names of fields with facts about viewers.
    prefix: &'a str,
    /// A trusted proxy names hops in `X-Forwarded-For`.
    keeps_hops: bool,
}

/// Whether a viewer may not say this at all.
fn is_unwanted(name: &HeaderName, own: Own<'_>) -> bool {
    let text = name.as_str();
    // `X_Forwarded_For` is `X-Forwarded-For` to many an application (CGI variables).
    text.contains('_')
        || text.starts_with(VIEWER_PREFIX)
        || text.starts_with(own.prefix)
        || text.starts_with("x-amz-cf-")
        || (text.starts_with("x-forwarded-") && !(own.keeps_hops && text == "x-forwarded-for"))
        || SPOOFABLE.binary_search(&text).is_ok()
}

/// Drops what a viewer may not say.
fn hygiene(req: &mut RequestHeader, own: Own<'_>) {
    let drop_names: Vec<HeaderName> = req.headers.keys().filter(|name| is_unwanted(name, own)).cloned().collect();
    for name in &drop_names {
        req.remove_header(name);
    }
    if let Some(te) = req.headers.get(TE)
        && !te.as_bytes().eq_ignore_ascii_case(b"trailers")
    {
        let trailers = te
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
        if trailers {
            set(req, TE, HeaderValue::from_static("trailers"));
        } else {
            req.remove_header(&TE);
        }
    }
}

/// Replaces a field. pingora's call fails only for a name that is none, and these are names. A name given as text goes out
/// as it is spelled and costs no copy.
pub(super) fn set(req: &mut RequestHeader, name: impl IntoCaseHeaderName, value: HeaderValue) {
    if let Err(error) = req.insert_header(name, value) {
        tracing::error!(%error, "a request field could not be set");
    }
}

#[cfg(test)]
mod tests {
    use super::SPOOFABLE;

    #[test]
    fn the_list_can_be_searched() {
        assert!(SPOOFABLE.is_sorted());
    }
}
