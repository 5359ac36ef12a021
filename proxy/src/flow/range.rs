//! Whether a `Range` field says anything at all (RFC 9110, 14.1.1 and 14.2). An invalid one is as good as none; pingora would
//! answer it with 416.

use http::header::RANGE;
use http::{HeaderMap, Method};
use pingora::http::RequestHeader;

/// Ranges of one request that are served; with more it gets the whole.
pub(super) const MAX_RANGES: usize = 200;

/// Whether a request asks for ranges. "A server MUST ignore a Range header field received with a request method […] for
/// which range handling is not defined", which it is for GET only (RFC 9110, 14.2).
#[must_use]
pub(super) fn is_asked(req: &RequestHeader) -> bool {
    req.headers.contains_key(RANGE) && req.method == Method::GET && is_valid(&req.headers)
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
