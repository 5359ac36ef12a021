//! Conditions of viewers on what the cache has: `If-None-Match`, else `If-Modified-Since` (RFC 9110, 13.2.2), and `If-Range`.
//! Where nothing is cached they go to the origin as they are.
//!
//! `If-Match` and `If-Unmodified-Since` are for origins: "A cache MUST NOT evaluate conditional header fields that only apply
//! to an origin server" (RFC 9111, 4.3.2). Requests with them are not looked up.

use std::time::{Duration, SystemTime};

use edgeweir_cache::validation::not_modified;
use http::header::{DATE, IF_MATCH, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

/// Whether a request has a condition that only the origin may evaluate.
#[must_use]
pub(super) fn are_the_origins(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_MATCH) || headers.contains_key(IF_UNMODIFIED_SINCE)
}

/// Whether the viewer who sent this GET or HEAD has the answer already, and gets a 304.
#[must_use]
pub(super) fn viewer_has(req: &RequestHeader, resp: &ResponseHeader) -> bool {
    // "would have resulted in a 200" (15.4.5).
    if resp.status != StatusCode::OK {
        return false;
    }
    let any = || req.headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes().trim_ascii() == b"*");
    not_modified(req, resp) || any()
}

/// Whether `If-Range`, if there is one, is a strong validator (13.1.5). Whether it is that of the response is pingora's to
/// say.
#[must_use]
pub(super) fn is_strong_range(req: &HeaderMap, resp: &HeaderMap) -> bool {
    let Some(value) = req.get(IF_RANGE) else { return true };
    match value.as_bytes().first() {
        Some(b'"') => true,
        Some(b'W') if value.as_bytes().starts_with(b"W/") => false,
        // A date is one if the response was made a second later at least: it could not change unseen (8.8.2.2).
        _ => matches!(
            (date(resp, &LAST_MODIFIED), date(resp, &DATE)),
            (Some(modified), Some(made)) if made >= modified + Duration::from_secs(1)
        ),
    }
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "Wed, 31 Dec 2014 00:00:00 GMT";
    const MODIFIED: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
    const NEW: &str = "Fri, 02 Jan 2015 00:00:00 GMT";

    fn request(fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    fn response(status: u16, fields: &[(&'static str, &str)]) -> ResponseHeader {
        let mut head = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    #[test]
    fn rfc9110_13_2_2_in_their_order() {
        let tagged = response(200, &[("etag", "\"a,b\""), ("last-modified", MODIFIED)]);
        for (fields, expected) in [
            (&[][..], false),
            (&[("if-none-match", "W/\"a,b\"")], true),
            (&[("if-none-match", "*")], true),
            (&[("if-none-match", "\"x\""), ("if-modified-since", NEW)], false),
            (&[("if-modified-since", MODIFIED)], true),
            (&[("if-modified-since", OLD)], false),
        ] {
            assert_eq!(viewer_has(&request(fields), &tagged), expected, "{fields:?}");
        }
        assert!(viewer_has(&request(&[("if-none-match", "*")]), &response(200, &[])));
        assert!(!viewer_has(&request(&[("if-none-match", "\"a\"")]), &response(203, &[("etag", "\"a\"")])));
        assert!(!viewer_has(&request(&[("if-none-match", "\"a\"")]), &response(404, &[("etag", "\"a\"")])));
    }

    #[test]
    fn rfc9111_4_3_2_two_conditions_are_for_origins() {
        for (fields, expected) in [
            (&[("if-match", "*")][..], true),
            (&[("if-unmodified-since", "yesterday")], true),
            (&[("if-none-match", "*"), ("if-modified-since", NEW), ("if-range", "\"a\"")], false),
        ] {
            assert_eq!(are_the_origins(&request(fields).headers), expected, "{fields:?}");
        }
    }

    #[test]
    fn rfc9110_13_1_5_only_strong_validators() {
        let made = |date: &'static str| response(200, &[("last-modified", MODIFIED), ("date", date)]);
        for (value, date, strong) in [
            ("\"a\"", MODIFIED, true),
            ("W/\"a\"", NEW, false),
            (MODIFIED, NEW, true),
            (MODIFIED, MODIFIED, false),
            (MODIFIED, "", false),
        ] {
            let head = request(&[("if-range", value)]);
            assert_eq!(is_strong_range(&head.headers, &made(date).headers), strong, "{value} {date}");
        }
        assert!(is_strong_range(&request(&[]).headers, &made("").headers));
    }
}
