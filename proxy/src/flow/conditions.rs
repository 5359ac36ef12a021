//! Conditions of viewers on what the cache has, in the order of RFC 9110, 13.2.2: `If-Match`, else `If-Unmodified-Since`, then
//! `If-None-Match`, else `If-Modified-Since`. Where nothing is cached they go to the origin as they are.

use std::time::{Duration, SystemTime};

use edgeweir_cache::validation::not_modified;
use http::header::{DATE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

/// What conditions make of a 2xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent.
    Send,
    /// 304: the viewer has it.
    NotModified,
    /// 412: it is not what the viewer wanted to ask for.
    Failed,
}

/// Evaluates the conditions of a GET or HEAD.
#[must_use]
pub(super) fn evaluate(req: &RequestHeader, resp: &ResponseHeader) -> Verdict {
    // "MUST ignore all received preconditions if its response […] would have been other than a 2xx" (13.2.1).
    if !resp.status.is_success() {
        return Verdict::Send;
    }
    let failed = if req.headers.contains_key(IF_MATCH) {
        !matches(&req.headers, &resp.headers)
    } else {
        req.headers.contains_key(IF_UNMODIFIED_SINCE)
            && matches!(
                (date(&req.headers, &IF_UNMODIFIED_SINCE), date(&resp.headers, &LAST_MODIFIED)),
                (Some(wanted), Some(modified)) if modified > wanted
            )
    };
    if failed {
        return Verdict::Failed;
    }
    // "would have resulted in a 200" (15.4.5).
    if resp.status != StatusCode::OK {
        return Verdict::Send;
    }
    let any = || req.headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes().trim_ascii() == b"*");
    if not_modified(req, resp) || any() { Verdict::NotModified } else { Verdict::Send }
}

/// `If-Match`: one of its tags is the response's, strongly compared (13.1.1).
fn matches(req: &HeaderMap, resp: &HeaderMap) -> bool {
    let tag = resp.get(ETAG).map(|tag| tag.as_bytes().trim_ascii());
    req.get_all(IF_MATCH).iter().any(|line| {
        let line = line.as_bytes().trim_ascii();
        line == b"*" || tag.is_some_and(|tag| tag.starts_with(b"\"") && strong_tags(line).any(|wanted| wanted == tag))
    })
}

/// The strong tags of a list, with their quotes. A quoted text may hold commas, but no quotes (8.8.3).
fn strong_tags(mut line: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let start = line.iter().position(|byte| *byte == b'"')?;
            let length = line.get(start + 1..)?.iter().position(|byte| *byte == b'"')? + 2;
            let (weak, tag) = (line[..start].ends_with(b"W/"), &line[start..start + length]);
            line = &line[start + length..];
            if !weak {
                return Some(tag);
            }
        }
    })
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
            (&[][..], Verdict::Send),
            (&[("if-match", "\"x\", \"a,b\"")], Verdict::Send),
            (&[("if-match", "*")], Verdict::Send),
            (&[("if-match", "\"x\"")], Verdict::Failed),
            (&[("if-match", "W/\"a,b\"")], Verdict::Failed),
            (&[("if-match", "\"a\", \"b\"")], Verdict::Failed),
            (&[("if-match", "\"a,b\""), ("if-unmodified-since", OLD)], Verdict::Send),
            (&[("if-unmodified-since", OLD)], Verdict::Failed),
            (&[("if-unmodified-since", MODIFIED)], Verdict::Send),
            (&[("if-unmodified-since", NEW)], Verdict::Send),
            (&[("if-unmodified-since", "yesterday")], Verdict::Send),
            (&[("if-match", "\"x\""), ("if-none-match", "\"a,b\"")], Verdict::Failed),
            (&[("if-match", "\"a,b\""), ("if-none-match", "\"a,b\"")], Verdict::NotModified),
            (&[("if-none-match", "W/\"a,b\"")], Verdict::NotModified),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-none-match", "\"x\""), ("if-modified-since", NEW)], Verdict::Send),
            (&[("if-modified-since", MODIFIED)], Verdict::NotModified),
            (&[("if-modified-since", OLD)], Verdict::Send),
        ] {
            assert_eq!(evaluate(&request(fields), &tagged), expected, "{fields:?}");
        }
        assert_eq!(evaluate(&request(&[("if-none-match", "*")]), &response(200, &[])), Verdict::NotModified);
        assert_eq!(evaluate(&request(&[("if-match", "\"x\"")]), &response(200, &[])), Verdict::Failed);
        assert_eq!(evaluate(&request(&[("if-match", "\"x\"")]), &response(404, &[])), Verdict::Send);
        let changed = response(203, &[("etag", "\"a\"")]);
        assert_eq!(evaluate(&request(&[("if-match", "\"x\"")]), &changed), Verdict::Failed);
        assert_eq!(evaluate(&request(&[("if-none-match", "\"a\"")]), &changed), Verdict::Send);
        let weak = response(200, &[("etag", "W/\"a\"")]);
        assert_eq!(evaluate(&request(&[("if-match", "W/\"a\"")]), &weak), Verdict::Failed);
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
