//! Which parts of a whole answer a viewer gets (RFC 9110, 14). pingora cuts them; but a `Range` that is not valid is as good as
//! none, where pingora would answer with 416.

use edgeweir_cache::targeted::{CDN_CACHE_CONTROL, SURROGATE_CONTROL};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{RangeType, range_header_filter};

use super::conditions;
use super::edits::set;

/// Ranges of one request that are served; with more it gets the whole.
const MAX_RANGES: usize = 200;

/// What a whole answer says of itself. A 416 that the edge makes of it is none, and nobody is to keep it as such.
const OF_THE_WHOLE: [HeaderName; 6] =
    [CACHE_CONTROL, EXPIRES, CDN_CACHE_CONTROL, SURROGATE_CONTROL, ETAG, LAST_MODIFIED];

/// Digests of the content as it is sent (RFC 9530, 2; RFC 2616, 14.15), which are others for a part. Those of the whole
/// representation (`Repr-Digest`, `Digest`) stay.
const OF_THE_BYTES: [&str; 2] = ["content-digest", "content-md5"];

/// Makes the head of a whole answer that of the parts that the request asks for, if it is to have them.
pub(super) fn cut(req: &RequestHeader, head: &mut ResponseHeader) -> RangeType {
    if !is_asked(req) || !conditions::is_strong_range(&req.headers, &head.headers) {
        return RangeType::None;
    }
    let parts = match asked(&req.headers) {
        Asked::Parts | Asked::Nothing if is_empty(head) => {
            refuse(head);
            RangeType::Invalid
        }
        Asked::Parts => range_header_filter(req, head, Some(MAX_RANGES)),
        Asked::Nothing if head.status == StatusCode::OK && head.headers.contains_key(CONTENT_LENGTH) => {
            refuse(head);
            RangeType::Invalid
        }
        Asked::Nothing | Asked::Whole => RangeType::None,
    };
    if !matches!(parts, RangeType::None) {
        OF_THE_BYTES.iter().for_each(|name| drop(head.remove_header(*name)));
    }
    if matches!(parts, RangeType::Invalid) {
        OF_THE_WHOLE.iter().for_each(|name| drop(head.remove_header(name)));
    }
    parts
}

/// Whether a request asks for ranges. "A server MUST ignore a Range header field received with a request method […] for
/// which range handling is not defined", which it is for GET only (RFC 9110, 14.2).
#[must_use]
fn is_asked(req: &RequestHeader) -> bool {
    req.headers.contains_key(RANGE) && req.method == Method::GET && is_valid(&req.headers)
}

/// What becomes of a well formed `Range` before pingora looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It is pingora's to cut.
    Parts,
    /// The last no bytes: nothing satisfies that (RFC 9110, 14.1.2). pingora would send them all.
    Nothing,
    /// The same among others, or more last bytes than can be counted, which pingora takes for none: the whole is sent.
    Whole,
}

/// Looks for suffixes of no bytes, and of too many.
#[must_use]
fn asked(headers: &HeaderMap) -> Asked {
    let set = headers.get(RANGE).and_then(|value| value.to_str().ok()?.split_once('=')).map_or("", |(_, set)| set);
    let mut nothing = false;
    for last in set.split(',').filter_map(|spec| spec.trim().strip_prefix('-')) {
        match last.parse::<usize>() {
            Ok(0) => nothing = true,
            Ok(_) => {}
            // A number too long, as the field is well formed.
            Err(_over) => return Asked::Whole,
        }
    }
    match (nothing, set.contains(',')) {
        (false, _) => Asked::Parts,
        (true, false) => Asked::Nothing,
        (true, true) => Asked::Whole,
    }
}

/// Whether this is a 200 without content: no range of it can be satisfied (RFC 9110, 14.1.1), and pingora's count of its last
/// bytes would be off.
#[must_use]
fn is_empty(head: &ResponseHeader) -> bool {
    head.status == StatusCode::OK && head.headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0")
}

/// Makes a head that of a 416 (RFC 9110, 15.5.17), as pingora does.
fn refuse(head: &mut ResponseHeader) {
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
    fn rfc9110_14_1_2_the_last_no_bytes_are_nothing_and_too_many_are_all() {
        for (value, expected) in [
            ("bytes=-0", Asked::Nothing),
            ("bytes= -00", Asked::Nothing),
            ("bytes=-5", Asked::Parts),
            ("bytes=0-0", Asked::Parts),
            ("bytes=0-0,-0", Asked::Whole),
            ("bytes=-18446744073709551615", Asked::Parts),
            ("bytes=-18446744073709551616", Asked::Whole),
            ("bytes=-0000000000000000000000000000001", Asked::Parts),
            ("bytes=0-0,-99999999999999999999", Asked::Whole),
            ("bytes=99999999999999999999-", Asked::Parts),
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
