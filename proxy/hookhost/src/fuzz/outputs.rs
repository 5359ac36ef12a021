//! What a hook returns, before the rules: edits and answers of all stages with names, values, targets and sizes around every
//! rule. What passes is checked by a second statement of what the embedder relies on.

use fastrand::Rng;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::mutate::{bytes, text};
use super::{Request, seed, step};
use crate::bindings::imports::types::{GeneratedResponse, Header, HeaderEdit as RawEdit};
use crate::bindings::stages as raw;
use crate::{GeneratedResponse as Generated, HeaderEdit, RequestEdit, RequestVerdict, ResponseEdit, rules};

const NAMES: [&str; 24] = [
    "x-a",
    "accept",
    "content-type",
    "set-cookie",
    "location",
    "host",
    "Host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "via",
    "x-cache",
    "x-amz-cf-id",
    "cloudfront-viewer-country",
    "if-none-match",
    "warning",
    "",
    "content-encoding",
    "x-accel-redirect",
    "keep-alive",
    "proxy-authorization",
    "trailer",
    "cdn-loop",
];
const VALUES: [&str; 8] =
    ["1", "", "www.example", "a, b", " padded ", "text/html; charset=utf-8", "example.com:8443", "a=b; Path=/"];
const PATHS: [&str; 9] = ["/", "/a/b", "/a%20b", "/../x", "//x", "/a?b", "", "a", "/%zz"];
const QUERIES: [&str; 8] = ["", "a=b", "a=b&c", "q=%20", "?", "a b", "100%", "\"`\\"];
const NOTES: [&str; 3] = ["", "note", "origin-two"];
const STATUSES: [u16; 14] = [0, 99, 100, 101, 199, 200, 204, 206, 301, 304, 418, 599, 600, 65_535];

fn header(rng: &mut Rng) -> Header {
    Header { name: text(rng, &NAMES), value: bytes(rng, &VALUES) }
}

fn edit(rng: &mut Rng) -> RawEdit {
    match rng.u8(..4) {
        0 => RawEdit::Append(header(rng)),
        1 => RawEdit::Remove(text(rng, &NAMES)),
        _ => RawEdit::Set(header(rng)),
    }
}

fn dynamic(rng: &mut Rng) -> raw::origin_request::DynamicOrigin {
    raw::origin_request::DynamicOrigin {
        scheme: text(rng, &["https", "http"]),
        host: text(rng, &["a.example.com", "10.0.0.1", "[::1]", "example.org"]),
        port: rng.bool().then(|| rng.u16(..)),
        path_prefix: text(rng, &PATHS),
        host_header: rng.bool().then(|| text(rng, &["www.example", "a:80"])),
    }
}

fn body(rng: &mut Rng) -> Vec<u8> {
    // Around the two limits, else small.
    match rng.u16(..200) {
        0 => vec![b'x'; (40 << 10) + rng.usize(..4) - 2],
        1 => vec![b'x'; (1 << 20) + rng.usize(..4) - 2],
        _ => vec![b'x'; rng.usize(..64)],
    }
}

fn status(rng: &mut Rng) -> u16 {
    if rng.bool() { 200 } else { rng.choice(STATUSES).unwrap_or(200) }
}

fn answer(rng: &mut Rng) -> GeneratedResponse {
    let headers = (0..count(rng)).map(|_| header(rng)).collect();
    GeneratedResponse { status: status(rng), headers, body: body(rng) }
}

/// Mostly few; now and then around the limit of 512.
fn count(rng: &mut Rng) -> usize {
    if rng.u16(..500) == 0 { rng.usize(510..515) } else { rng.usize(..6) }
}

/// One output of one stage through the rules; whether it passed.
fn one(rng: &mut Rng, request: &Request) -> bool {
    let hosts = ["*.example.com", "10.0.0.1", "[::1]"].map(Box::from);
    let allowed = rules::Allowed { body: Some(100), dynamic_origins: &hosts };
    match rng.u8(..4) {
        0 => {
            use raw::viewer_request::{Edit, Verdict};
            let verdict = if rng.u8(..4) == 0 {
                Verdict::Respond(answer(rng))
            } else {
                Verdict::Next(
                    (0..count(rng))
                        .map(|_| match rng.u8(..10) {
                            0 => Edit::Path(text(rng, &PATHS)),
                            1 => Edit::Query(rng.bool().then(|| text(rng, &QUERIES))),
                            2 => Edit::Note(text(rng, &NOTES)),
                            3 => Edit::CacheKey(text(rng, &NOTES)),
                            4 => Edit::Origin(text(rng, &NOTES)),
                            5 if rng.u8(..8) == 0 => Edit::Body(body(rng)),
                            5 => Edit::ApiKey(text(rng, &NOTES)),
                            6 if rng.bool() => Edit::Cost(rng.u32(..2000)),
                            _ => Edit::Header(edit(rng)),
                        })
                        .collect(),
                )
            };
            let passed = rules::viewer_request(verdict, request, allowed);
            passed.map(|verdict| check_request(&verdict, 40 << 10)).is_ok()
        }
        1 => {
            use raw::origin_request::{Edit, Verdict};
            let verdict = if rng.u8(..4) == 0 {
                Verdict::Respond(answer(rng))
            } else {
                Verdict::Next(
                    (0..count(rng))
                        .map(|_| match rng.u8(..10) {
                            0 => Edit::Path(text(rng, &PATHS)),
                            1 => Edit::Query(rng.bool().then(|| text(rng, &QUERIES))),
                            2 => Edit::Note(text(rng, &NOTES)),
                            3 => Edit::Origin(text(rng, &NOTES)),
                            4 if rng.u8(..8) == 0 => Edit::Body(body(rng)),
                            5 => Edit::DynamicOrigin(dynamic(rng)),
                            _ => Edit::Header(edit(rng)),
                        })
                        .collect(),
                )
            };
            let passed = rules::origin_request(verdict, request, allowed);
            passed.map(|verdict| check_request(&verdict, 1 << 20)).is_ok()
        }
        2 => {
            use raw::origin_response::Edit;
            let edits = (0..count(rng)).map(|_| match rng.u8(..10) {
                0 => Edit::Status(status(rng)),
                1 => Edit::Ttl(rng.u32(..)),
                2 => Edit::Note(text(rng, &NOTES)),
                3 => Edit::Body(body(rng)),
                4 => Edit::CacheTag(text(rng, &NOTES)),
                _ => Edit::Header(edit(rng)),
            });
            rules::origin_response(edits.collect()).map(|edits| check_response(&edits, 1 << 20)).is_ok()
        }
        _ => {
            use raw::viewer_response::Edit;
            let edits = (0..count(rng)).map(|_| match rng.u8(..10) {
                0 => Edit::Status(status(rng)),
                1 => Edit::Body(body(rng)),
                _ => Edit::Header(edit(rng)),
            });
            rules::viewer_response(edits.collect()).map(|edits| check_response(&edits, 40 << 10)).is_ok()
        }
    }
}

/// What may never be among edits, at any stage; the fields that frame a message among them.
fn check_field(name: &HeaderName, value: Option<&HeaderValue>) {
    let never = ["connection", "upgrade", "keep-alive", "trailer", "transfer-encoding", "x-cache", "x-accel-redirect"];
    assert!(!never.contains(&name.as_str()) && !name.as_str().starts_with("x-amz-cf-"), "{name}");
    let bytes = value.map_or(&b""[..], HeaderValue::as_bytes);
    assert!(!bytes.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n' | 0x7f)), "{name}: {bytes:?}");
    assert!(!bytes.starts_with(b" ") && !bytes.ends_with(b" "), "{name}: {bytes:?}");
}

fn check_edit(edit: &HeaderEdit) {
    match edit {
        HeaderEdit::Set(name, value) | HeaderEdit::Append(name, value) => check_field(name, Some(value)),
        HeaderEdit::Remove(name) => check_field(name, None),
    }
    let (HeaderEdit::Set(name, _) | HeaderEdit::Append(name, _) | HeaderEdit::Remove(name)) = edit;
    assert_ne!(name.as_str(), "content-length", "an edit of the length");
}

fn check_target(text: &str) {
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\'), "{text:?}");
}

fn check_request(verdict: &RequestVerdict, most: usize) {
    match verdict {
        RequestVerdict::Respond(Generated { status, headers, body }) => {
            assert!((200..600).contains(&status.as_u16()), "{status}");
            let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
            assert!(size + body.len() <= most);
            assert!(body.is_empty() || !matches!(status.as_u16(), 204 | 304), "{status} with a body");
            headers.iter().for_each(|(name, value)| check_field(name, Some(value)));
        }
        RequestVerdict::Next(edits) => {
            assert!(edits.len() <= 512);
            // Of several the last counts.
            let (mut path_length, mut query_length) = (0, 0);
            for edit in edits {
                match edit {
                    RequestEdit::Header(edit) => check_edit(edit),
                    RequestEdit::Path(path) => {
                        assert!(path.starts_with('/') && !path.contains('?'), "{path:?}");
                        check_target(path);
                        path_length = path.len();
                    }
                    RequestEdit::Query(query) => {
                        let query = query.as_deref().unwrap_or("");
                        assert!(query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{query:?}");
                        query_length = query.len();
                    }
                    RequestEdit::Note(note) => assert!(note.len() <= 4096),
                    RequestEdit::CacheKey(part) | RequestEdit::Origin(part) => assert!(part.len() <= 256),
                    RequestEdit::Body(body) => assert!(body.len() <= most),
                    RequestEdit::Cost(cost) => assert!((1..=1000).contains(cost)),
                    RequestEdit::ApiKey(key) => assert!((1..=128).contains(&key.0.len())),
                    RequestEdit::DynamicOrigin(origin) => {
                        let listed = ["10.0.0.1", "::1"].contains(&&*origin.host);
                        assert!(listed == origin.listed && (listed || origin.host.ends_with(".example.com")));
                        assert!(origin.port != 0 && !origin.path_prefix.ends_with('/'));
                        assert!(origin.path_prefix.is_empty() || origin.path_prefix.starts_with('/'));
                        check_target(&origin.path_prefix);
                    }
                    // Chosen by a function, not by what is returned.
                    RequestEdit::ChangeOrigin(_) | RequestEdit::Group { .. } => panic!("{edit:?}"),
                }
            }
            assert!(path_length + query_length < 8192, "{path_length} and {query_length}");
        }
    }
}

fn check_response(edits: &[ResponseEdit], most: usize) {
    assert!(edits.len() <= 512);
    for edit in edits {
        match edit {
            ResponseEdit::Header(edit) => check_edit(edit),
            ResponseEdit::Status(status) => assert!((200..600).contains(&status.as_u16()), "{status}"),
            ResponseEdit::Body(body) => assert!(body.len() <= most),
            ResponseEdit::Note(note) => assert!(note.len() <= 4096),
            ResponseEdit::CacheTag(tag) => {
                assert!((1..=256).contains(&tag.len()));
                assert!(tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','), "{tag:?}");
            }
            ResponseEdit::Ttl(_) => {}
        }
    }
}

fn run(count: u64) {
    let request = Request(HeaderMap::new());
    let (mut passed, mut slowest) = (0_u64, std::time::Duration::ZERO);
    for nth in 0..count {
        let seed = seed().wrapping_add(nth);
        let mut rng = Rng::with_seed(seed);
        passed += u64::from(step(&mut slowest, seed, || one(&mut rng, &request)));
    }
    println!(
        "{count} outputs: {passed} passed the rules, {} were refused; the slowest took {slowest:?}",
        count - passed
    );
    // A generator that is always refused, or never, tests nothing.
    assert!((count / 10..count - count / 10).contains(&passed), "{passed} of {count} passed");
}

#[test]
fn mutated_outputs_are_checked() {
    run(20_000);
}

#[test]
#[ignore = "a minute; `make soak` runs it"]
fn a_million_mutated_outputs_are_checked() {
    run(1_000_000);
}
