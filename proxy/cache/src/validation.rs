//! Validation (RFC 9111 §4.3): what a 304 of the origin changes of a stored response, and when a viewer gets a 304.
//! It must not know where responses are stored.

use std::collections::BTreeSet;

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    TRANSFER_ENCODING, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::conditional_filter::not_modified_filter;

use crate::freshness::{Reason, Times};
use crate::vary;

/// A 304 of the origin about a stored response.
#[derive(Debug, Clone)]
pub struct Validation {
    header: HeaderMap,
    times: Times,
    refused: Option<Reason>,
    /// The stored fields, where the 304 is refused.
    stored: HeaderMap,
}

/// What pingora takes over from any 304 (`HttpCache::revalidate_merge_header`).
const TAKEN_OVER: [&str; 5] = ["cache-control", "expires", "cache-tag", "cdn-cache-control", "etag"];

impl Validation {
    /// Takes what a 304 says, and looks whether it can be about the response that is stored.
    pub fn new(not_modified: &HeaderMap, stored: &HeaderMap) -> Self {
        Self::of_form(not_modified, stored, stored)
    }

    /// The same where a coded form of the edge's making is used: the origin knows the `plain` one, whose validator may be
    /// strong.
    pub fn of_form(not_modified: &HeaderMap, stored: &HeaderMap, plain: &HeaderMap) -> Self {
        let refused = if !same_validator(not_modified, plain) {
            Some(Reason::OtherValidator)
        } else if changes_vary(not_modified, plain) {
            Some(Reason::VaryChanged)
        } else {
            None
        };
        let stored = if refused.is_some() { stored.clone() } else { HeaderMap::new() };
        Self { header: not_modified.clone(), times: Times::of(not_modified), refused, stored }
    }

    /// When the 304 was made.
    pub fn times(&self) -> Times {
        self.times
    }

    /// Whether the 304 has this field.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.header.contains_key(name)
    }

    /// Why the stored response must not be updated; it may be used this once, as the origin said so.
    pub fn refused(&self) -> Option<Reason> {
        self.refused
    }

    /// Makes a header that pingora has merged with the 304 what the viewer should get: updated as a whole, or not at all.
    pub fn settle(&self, merged: &mut ResponseHeader) {
        if self.refused.is_none() {
            return self.update(merged);
        }
        for name in TAKEN_OVER {
            merged.remove_header(name);
            for value in self.stored.get_all(name) {
                // A value that was read can be written again.
                let _always = merged.append_header(name, value.clone());
            }
        }
    }

    /// Updates the fields of a stored response by those of the 304 (RFC 9111 §3.2): all of them, except what describes the
    /// body as it was stored. `Age` is counted anew. Nothing is changed by a 304 that is refused.
    pub fn update(&self, stored: &mut ResponseHeader) {
        if self.refused.is_some() {
            return;
        }
        stored.remove_header(&AGE);
        for name in self.header.keys().filter(|name| is_updated(name)) {
            stored.remove_header(name);
            for value in self.header.get_all(name) {
                // A value that was read can be written again.
                let _always = stored.append_header(name.clone(), value.clone());
            }
        }
    }
}

fn is_updated(name: &HeaderName) -> bool {
    !matches!(*name, CONTENT_LENGTH | CONTENT_ENCODING | CONTENT_RANGE | TRANSFER_ENCODING)
}

/// RFC 9111 §4.3.4: the validators that both have must agree, and a strong tag of the 304 must be that of the stored response.
/// Where the 304 has none it is about what was asked for, which is nothing if there was no validator to ask with.
fn same_validator(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
    match (not_modified.get(ETAG), stored.get(ETAG)) {
        (Some(told), Some(known)) => {
            return opaque(told.as_bytes()) == opaque(known.as_bytes()) && (is_weak(told) || !is_weak(known));
        }
        (Some(told), None) if !is_weak(told) => return false,
        _ => {}
    }
    match (not_modified.get(LAST_MODIFIED), stored.get(LAST_MODIFIED)) {
        (Some(told), Some(known)) => told == known,
        (_, known) => known.is_some() || stored.contains_key(ETAG),
    }
}

fn is_weak(etag: &HeaderValue) -> bool {
    etag.as_bytes().starts_with(b"W/")
}

/// Without the mark of weakness: what is compared weakly (RFC 9110 §8.8.3.2).
fn opaque(etag: &[u8]) -> &[u8] {
    etag.strip_prefix(b"W/").unwrap_or(etag)
}

/// Neither case nor order counts.
fn changes_vary(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
    if !not_modified.contains_key(VARY) || not_modified.get_all(VARY).iter().eq(stored.get_all(VARY).iter()) {
        return false;
    }
    let names = |headers| vary::names(headers).map(<[u8]>::to_ascii_lowercase).collect::<BTreeSet<_>>();
    names(not_modified) != names(stored)
}

/// Whether a viewer that has this request gets a 304 in place of a stored or a new response (RFC 9111 §4.3.2).
pub fn not_modified(request: &RequestHeader, response: &ResponseHeader) -> bool {
    let headers = &request.headers;
    if headers.contains_key(IF_NONE_MATCH) {
        return not_modified_filter(request, response);
    }
    if !headers.contains_key(IF_MODIFIED_SINCE) || response.status != StatusCode::OK {
        return false;
    }
    if response.headers.contains_key(LAST_MODIFIED) {
        return not_modified_filter(request, response);
    }
    // A response without `Last-Modified` is as old as its `Date`.
    let date = |headers: &HeaderMap, name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    match (date(headers, &IF_MODIFIED_SINCE), date(&response.headers, &DATE)) {
        (Some(since), Some(made)) => made <= since,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};

    use super::*;

    fn headers(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(name.clone(), HeaderValue::from_static(value));
        }
        map
    }

    fn updated(stored: &[(HeaderName, &'static str)], told: &[(HeaderName, &'static str)]) -> ResponseHeader {
        let mut header = ResponseHeader::build(200, None).unwrap();
        for (name, value) in stored {
            header.append_header(name.clone(), *value).unwrap();
        }
        Validation::new(&headers(told), &headers(stored)).update(&mut header);
        header
    }

    #[test]
    fn rfc9111_3_2_all_fields_are_updated_but_those_of_the_stored_body() {
        let x = HeaderName::from_static("x-a");
        let stored = [
            (x.clone(), "1"),
            (x.clone(), "2"),
            (CONTENT_TYPE, "a/b"),
            (CONTENT_LENGTH, "4"),
            (CONTENT_ENCODING, "gzip"),
            (ETAG, "\"v\""),
            (AGE, "9"),
            (SET_COOKIE, "a=1"),
        ];
        let told = [
            (x.clone(), "3"),
            (CONTENT_TYPE, "c/d"),
            (CONTENT_LENGTH, "9"),
            (CONTENT_ENCODING, "br"),
            (CACHE_CONTROL, "max-age=5"),
        ];
        let found = updated(&stored, &told);
        let all = |name: &HeaderName| -> Vec<_> { found.headers.get_all(name).iter().cloned().collect() };
        assert_eq!(all(&x), ["3"]);
        assert_eq!(
            (all(&CONTENT_TYPE), all(&CONTENT_LENGTH)),
            (vec!["c/d".parse().unwrap()], vec!["4".parse().unwrap()])
        );
        assert_eq!(
            (all(&CONTENT_ENCODING), all(&CACHE_CONTROL)),
            (vec!["gzip".parse().unwrap()], vec!["max-age=5".parse().unwrap()])
        );
        assert_eq!((all(&SET_COOKIE), all(&AGE)), (vec!["a=1".parse().unwrap()], vec![]));
    }

    #[test]
    fn rfc9111_4_3_4_another_validator_is_about_another_response() {
        let refused = |stored: &[_], told: &[_]| Validation::new(&headers(told), &headers(stored)).refused();
        for (stored, told, reason) in [
            ((ETAG, "\"a\""), (ETAG, "\"b\""), Some(Reason::OtherValidator)),
            ((ETAG, "\"a\""), (ETAG, "W/\"a\""), None),
            ((ETAG, "W/\"a\""), (ETAG, "\"a\""), Some(Reason::OtherValidator)),
            ((ETAG, "W/\"a\""), (ETAG, "W/\"a\""), None),
            ((ETAG, "\"a\""), (LAST_MODIFIED, "x"), None),
            ((ETAG, "\"a\""), (CACHE_CONTROL, "x"), None),
            ((LAST_MODIFIED, "x"), (LAST_MODIFIED, "x"), None),
            ((LAST_MODIFIED, "x"), (LAST_MODIFIED, "y"), Some(Reason::OtherValidator)),
            ((LAST_MODIFIED, "x"), (ETAG, "\"a\""), Some(Reason::OtherValidator)),
            ((LAST_MODIFIED, "x"), (ETAG, "W/\"a\""), None),
            ((LAST_MODIFIED, "x"), (CACHE_CONTROL, "x"), None),
            ((LAST_MODIFIED, "x"), (VARY, "x-b"), Some(Reason::VaryChanged)),
            ((ETAG, "\"a\""), (VARY, "x-b"), Some(Reason::VaryChanged)),
            ((ETAG, "\"a\""), (VARY, "*"), Some(Reason::VaryChanged)),
            ((VARY, "x-a"), (ETAG, "\"a\""), Some(Reason::OtherValidator)),
            ((VARY, "x-a"), (ETAG, "W/\"a\""), Some(Reason::OtherValidator)),
            ((VARY, "x-a"), (CACHE_CONTROL, "x"), Some(Reason::OtherValidator)),
        ] {
            assert_eq!(
                refused(std::slice::from_ref(&stored), std::slice::from_ref(&told)),
                reason,
                "{stored:?} {told:?}"
            );
        }
        let varying = |vary| headers(&[(ETAG, "\"a\""), (VARY, vary)]);
        assert_eq!(Validation::new(&varying("B,a , A"), &varying("a, b")).refused(), None);
        let form = |told: &'static str| {
            let [told, form, plain] = [told, "W/\"a\"", "\"a\""].map(|tag| headers(&[(ETAG, tag)]));
            Validation::of_form(&told, &form, &plain).refused()
        };
        assert_eq!((form("\"a\""), form("\"b\"")), (None, Some(Reason::OtherValidator)));
        let stored = updated(&[(ETAG, "\"a\"")], &[(ETAG, "\"b\""), (CACHE_CONTROL, "max-age=5")]);
        assert_eq!((stored.headers[ETAG].as_bytes(), stored.headers.get(CACHE_CONTROL)), (&b"\"a\""[..], None));
    }

    #[test]
    fn rfc9111_4_3_2_dates_stand_in_for_last_modified() {
        let early = "Thu, 01 Jan 2015 00:00:00 GMT";
        let late = "Fri, 02 Jan 2015 00:00:00 GMT";
        let gets_304 = |since: &'static str, fields: &[(HeaderName, &'static str)]| {
            let mut request = RequestHeader::build("GET", b"/", None).unwrap();
            request.insert_header(IF_MODIFIED_SINCE, since).unwrap();
            let mut response = ResponseHeader::build(200, None).unwrap();
            for (name, value) in fields {
                response.append_header(name.clone(), *value).unwrap();
            }
            not_modified(&request, &response)
        };
        assert!(gets_304(early, &[(DATE, early)]));
        assert!(gets_304("Thursday, 01-Jan-15 00:00:00 GMT", &[(DATE, early)]));
        assert!(!gets_304(early, &[(DATE, late)]));
        assert!(gets_304(late, &[(DATE, late), (LAST_MODIFIED, early)]));
        assert!(!gets_304("soon", &[(DATE, early)]));
        assert!(!gets_304(early, &[]));
    }
}
