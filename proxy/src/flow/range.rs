//! Whether a `Range` field says anything at all (RFC 9110, 14.1.1 and 14.2). An invalid one is as good as none; pingora would
//! answer it with 416.

use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{RangeType, range_header_filter};

use super::conditions;
use super::edits::set;

/// Ranges of one request that are served; with more it gets the whole.
pub(super) const MAX_RANGES: usize = 200;

/// Whether a request asks for ranges. "A server MUST ignore a Range header field received with a request method […] for
/// which range handling is not defined", which it is for GET only (RFC 9110, 14.2).
#[must_use]
pub(super) fn is_asked(req: &RequestHeader) -> bool {
    req.headers.contains_key(RANGE) && req.method == Method::GET && is_valid(&req.headers)
}

/// Which parts of a body go out; a head whose answer has none becomes that of a 416. Of a `coded` one there are none: they are cut
/// from the plain form.
pub(super) fn cut(req: &RequestHeader, head: &mut ResponseHeader, coded: bool) -> RangeType {
    if coded {
        return RangeType::None;
    }
    if !is_asked(req) || !conditions::is_strong_range(&req.headers, &head.headers) {
        return RangeType::None;
    }
    match asked(&req.headers) {
        Asked::Parts | Asked::Nothing if is_empty(head) => {
            refuse(head);
            RangeType::Invalid
        }
        Asked::Parts => range_header_filter(req, head, Some(MAX_RANGES)),
        Asked::Nothing if head.status == StatusCode::OK && head.headers.contains_key(CONTENT_LENGTH) => {
            refuse(head);
            RangeType::Invalid
        }
        Asked::Nothing | Asked::Mixed => RangeType::None,
    }
}

/// What becomes of a well formed `Range` before pingora looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It is pingora's to cut.
    Parts,
    /// The last no bytes: nothing satisfies that (RFC 9110, 14.1.2). pingora would send them all.
    Nothing,
    /// The same among others: the whole is sent.
    Mixed,
}

/// Looks for suffixes of no bytes.
#[must_use]
pub(super) fn asked(headers: &HeaderMap) -> Asked {
    let set = headers.get(RANGE).and_then(|value| value.to_str().ok()?.split_once('=')).map_or("", |(_, set)| set);
    let empty = |spec: &str| spec.trim().strip_prefix('-').is_some_and(|last| last.bytes().all(|digit| digit == b'0'));
    match (set.split(',').any(empty), set.contains(',')) {
        (false, _) => Asked::Parts,
        (true, false) => Asked::Nothing,
        (true, true) => Asked::Mixed,
    }
}

/// Whether this is a 200 without content: no range of it can be satisfied (RFC 9110, 14.1.1), and pingora's count of its last
/// bytes would be off.
#[must_use]
pub(super) fn is_empty(head: &ResponseHeader) -> bool {
    head.status == StatusCode::OK && head.headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0")
}

/// Makes a head that of a 416 (RFC 9110, 15.5.17), as pingora does.
pub(super) fn refuse(head: &mut ResponseHeader) {
    let Some(length) = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()) else { return };
    let whole = HeaderValue::from_str(&format!("bytes */{length}"));
    drop(head.remove_header(&CONTENT_TYPE));
    drop(head.remove_header(&CONTENT_ENCODING));
    drop(head.remove_header(&ACCEPT_RANGES));
    set(head, CONTENT_LENGTH, HeaderValue::from_static("0"));
    if let Ok(whole) = whole {
        set(head, CONTENT_RANGE, whole);
    }
    if let Err(error) = head.set_status(StatusCode::RANGE_NOT_SATISFIABLE) {
        tracing::error!(%error, "a status could not be set");
    }
}

/// Whether the request has one `Range` of bytes that is well formed.
#[must_use]
fn is_valid(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    value.to_str().is_ok_and(|value| {
        value.split_once('=').is_some_and(|(unit, set)| {
            unit.trim().eq_ignore_ascii_case("bytes") && set.split(',').all(|spec| is_range(spec.trim()))
        })
    })
}

fn is_range(spec: &str) -> bool {
    let Some((first, last)) = spec.split_once('-') else { return false };
    let number = |text: &str| {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // More bytes than fit are more than there are.
        Some(text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (first, last) {
        ("", last) => number(last).is_some(),
        (first, "") => number(first).is_some(),
        (first, last) => matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_14_1_2_the_last_no_bytes_are_nothing() {
        for (value, expected) in [
            ("bytes=-0", Asked::Nothing),
            ("bytes= -00", Asked::Nothing),
            ("bytes=-5", Asked::Parts),
            ("bytes=0-0", Asked::Parts),
            ("bytes=0-0,-0", Asked::Mixed),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, value.parse().expect("a value"));
            assert_eq!(asked(&headers), expected, "{value}");
        }
    }

    #[test]
    fn rfc9110_14_1_1_only_well_formed_ranges_count() {
        for (value, valid) in [
            ("bytes=0-0", true),
            ("bytes=5-", true),
            ("bytes=-5", true),
            ("bytes=0-1, 4-9", true),
            ("Bytes=0-1", true),
            ("bytes=9-5", false),
            ("bytes=0-1,9-5", false),
            ("bytes=", false),
            ("bytes=-", false),
            ("bytes=a-b", false),
            ("lines=0-1", false),
            ("0-1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, value.parse().expect("a value"));
            assert_eq!(is_valid(&headers), valid, "{value}");
        }
    }
}
