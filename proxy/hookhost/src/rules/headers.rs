//! Header fields: which a hook may not see or touch at which stage, and the checks of a single edit.
//! Lists from the CloudFront Developer Guide, "Restrictions on all edge functions", HTTP headers.

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderName, HeaderValue};

use super::{Rule, Violation};
use crate::bindings::imports::types::{Header, HeaderEdit as RawEdit};
use crate::{HeaderEdit, Stage};

/// Most bytes of names and values in all edits of one call; as much as a request may have.
pub(super) const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Whether hooks may neither see nor set this field, at any stage. `name` is lower case.
pub(crate) fn is_disallowed(name: &str) -> bool {
    match name.as_bytes() {
        [b'c', ..] => name == "connection",
        [b'e', ..] => name == "expect",
        [b'k', ..] => name == "keep-alive",
        [b'p', ..] => matches!(name, "proxy-authenticate" | "proxy-authorization" | "proxy-connection"),
        [b't', ..] => name == "trailer",
        [b'u', ..] => name == "upgrade",
        [b'x', ..] => {
            name.starts_with("x-amz-cf-")
                || matches!(
                    name,
                    "x-accel-buffering"
                        | "x-accel-charset"
                        | "x-accel-limit-rate"
                        | "x-accel-redirect"
                        | "x-amzn-auth"
                        | "x-amzn-cf-billing"
                        | "x-amzn-cf-id"
                        | "x-amzn-cf-xff"
                        | "x-amzn-errortype"
                        | "x-amzn-fle-profile"
                        | "x-amzn-header-count"
                        | "x-amzn-header-order"
                        | "x-amzn-lambda-integration-tag"
                        | "x-amzn-requestid"
                        | "x-cache"
                        | "x-forwarded-proto"
                        | "x-real-ip"
                )
        }
        _ => false,
    }
}

/// Whether this field is visible but fixed at the stage. `content-length` at origin-response is not: it may be edited, and the
/// edge computes its own all the same (see [`is_computed`]).
fn is_read_only(stage: Stage, name: &str) -> bool {
    match stage {
        Stage::ViewerRequest => matches!(name, "cdn-loop" | "content-length" | "host" | "transfer-encoding" | "via"),
        Stage::OriginRequest => matches!(
            name,
            "accept-encoding"
                | "cdn-loop"
                | "content-length"
                | "if-modified-since"
                | "if-none-match"
                | "if-range"
                | "if-unmodified-since"
                | "transfer-encoding"
                | "via"
        ),
        Stage::OriginResponse => matches!(name, "transfer-encoding" | "via"),
        Stage::ViewerResponse => {
            matches!(name, "content-encoding" | "content-length" | "transfer-encoding" | "via" | "warning")
        }
        // It edits nothing.
        Stage::Authorizer => true,
    }
}

/// Whether an origin that a hook chooses may not have this field as one of its own: CloudFront Developer Guide, "Custom headers
/// that CloudFront can't add to origin requests", and what is read-only at origin-request.
pub(super) fn is_not_added(name: &str) -> bool {
    is_read_only(Stage::OriginRequest, name)
        || name.starts_with("x-amz-")
        || matches!(
            name,
            "cache-control"
                | "cookie"
                | "host"
                | "if-match"
                | "max-forwards"
                | "pragma"
                | "range"
                | "request-range"
                | "te"
        )
}

/// Whether an edit is of the length of a body, which only the edge can tell.
pub(super) fn is_computed(edit: &HeaderEdit) -> bool {
    let (HeaderEdit::Set(name, _) | HeaderEdit::Append(name, _) | HeaderEdit::Remove(name)) = edit;
    name == http::header::CONTENT_LENGTH
}

/// Checks the header edits of one call.
pub(super) struct HeaderRules {
    stage: Stage,
    bytes: usize,
}

impl HeaderRules {
    pub(super) fn new(stage: Stage) -> Self {
        Self { stage, bytes: 0 }
    }

    /// Checks one edit.
    pub(super) fn edit(&mut self, edit: RawEdit) -> Result<HeaderEdit, Violation> {
        match edit {
            RawEdit::Set(header) => {
                let (name, value) = self.header(header)?;
                if name == http::header::HOST {
                    host(&value)?;
                }
                Ok(HeaderEdit::Set(name, value))
            }
            RawEdit::Append(header) => {
                let (name, value) = self.header(header)?;
                if name == http::header::HOST {
                    return Err(Violation::new(Rule::Host, "append"));
                }
                Ok(HeaderEdit::Append(name, value))
            }
            RawEdit::Remove(name) => {
                let name = self.name(name)?;
                if name == http::header::HOST {
                    return Err(Violation::new(Rule::Host, "remove"));
                }
                Ok(HeaderEdit::Remove(name))
            }
        }
    }

    fn header(&mut self, header: Header) -> Result<(HeaderName, HeaderValue), Violation> {
        let name = self.name(header.name)?;
        if self.stage == Stage::ViewerRequest && name.as_str().starts_with("cloudfront-") {
            return Err(Violation::new(Rule::EdgeHeader, name.as_str()));
        }
        let value = value(&name, header.value)?;
        self.bytes += value.len();
        self.within(&name)?;
        Ok((name, value))
    }

    fn name(&mut self, raw: String) -> Result<HeaderName, Violation> {
        let name = field_name(raw)?;
        if is_read_only(self.stage, name.as_str()) {
            return Err(Violation::new(Rule::ReadOnlyHeader, name.as_str()));
        }
        self.bytes += name.as_str().len();
        self.within(&name)?;
        Ok(name)
    }

    fn within(&self, name: &HeaderName) -> Result<(), Violation> {
        if self.bytes > MAX_HEADER_BYTES {
            return Err(Violation::new(Rule::HeadersTooLarge, name.as_str()));
        }
        Ok(())
    }
}

/// A valid name that is not disallowed.
pub(super) fn field_name(raw: String) -> Result<HeaderName, Violation> {
    let name = match HeaderName::from_bytes(raw.as_bytes()) {
        Ok(name) => name,
        Err(_) => return Err(Violation::new(Rule::HeaderName, raw)),
    };
    if is_disallowed(name.as_str()) {
        return Err(Violation::new(Rule::DisallowedHeader, name.as_str()));
    }
    Ok(name)
}

/// A valid value, without the blanks and tabs around it (RFC 9110 5.5: they are not part of the value).
pub(super) fn value(name: &HeaderName, raw: Vec<u8>) -> Result<HeaderValue, Violation> {
    let raw = Bytes::from(raw);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = raw.iter().position(|byte| !blank(byte)).unwrap_or(raw.len());
    let end = raw.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    let trimmed = raw.slice(start..end);
    HeaderValue::from_maybe_shared(trimmed).map_err(|_| Violation::new(Rule::HeaderValue, name.as_str()))
}

fn host(value: &HeaderValue) -> Result<(), Violation> {
    if is_host(value.as_bytes()) { Ok(()) } else { Err(Violation::new(Rule::Host, "set")) }
}

/// RFC 9110 7.2: `host [":" port]`, no user information. Of the characters that RFC 3986 allows in a name only those that
/// names really have: a list with commas for example is no host. Brackets are only around an IPv6 address.
pub(super) fn is_host(text: &[u8]) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let Ok(authority) = Authority::try_from(text) else { return false };
    let name = authority.host();
    let good = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(usual),
    };
    // Nothing before the name, and after it a port or nothing.
    good && authority.as_str().strip_prefix(name).is_some_and(|rest| {
        let digits = rest.strip_prefix(':').unwrap_or(rest);
        rest.is_empty()
            || (rest.len() > digits.len()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.is_empty() || digits.parse::<u16>().is_ok()))
    })
}
