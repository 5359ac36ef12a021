use http::HeaderMap;
use http::uri::PathAndQuery;
use proptest::prelude::*;

use super::headers::HeaderRules;
use super::respond::respond;
use super::*;
use crate::bindings::imports::types::{GeneratedResponse as RawResponse, Header, HeaderEdit as Raw};
use crate::bindings::stages::viewer_request as viewer;
use crate::{HeaderEdit, RequestEdit, RequestVerdict, RequestView, ResponseEdit, Stage};

struct Request(HeaderMap);

impl RequestView for Request {
    fn method(&self) -> &str {
        "GET"
    }
    fn scheme(&self) -> &str {
        "https"
    }
    fn authority(&self) -> &str {
        "www.example"
    }
    fn path(&self) -> &str {
        "/a"
    }
    fn query(&self) -> Option<&str> {
        Some("b=c")
    }
    fn headers(&self) -> &HeaderMap {
        &self.0
    }
}

fn header(name: &str, value: &[u8]) -> Header {
    Header { name: name.into(), value: value.into() }
}

fn set(stage: Stage, name: &str, value: &[u8]) -> Result<HeaderEdit, Rule> {
    HeaderRules::new(stage).edit(Raw::Set(header(name, value))).map_err(|v| v.rule)
}

fn viewer(edits: Vec<viewer::Edit>) -> Result<RequestVerdict, Rule> {
    viewer_request(viewer::Verdict::Next(edits), &Request(HeaderMap::new()), Allowed::default()).map_err(|v| v.rule)
}

#[test]
fn disallowed_headers_cannot_be_touched_at_any_stage() {
    let names = "Connection Expect Keep-Alive Proxy-Authenticate Proxy-Authorization Proxy-Connection Trailer Upgrade \
        X-Accel-Buffering X-Accel-Charset X-Accel-Limit-Rate X-Accel-Redirect X-Amz-Cf-Id X-Amz-Cf-Anything X-Amzn-Auth \
        X-Amzn-Cf-Billing X-Amzn-Cf-Id X-Amzn-Cf-Xff X-Amzn-Errortype X-Amzn-Fle-Profile X-Amzn-Header-Count \
        X-Amzn-Header-Order X-Amzn-Lambda-Integration-Tag X-Amzn-RequestId X-Cache X-Forwarded-Proto X-Real-IP";
    for name in names.split_ascii_whitespace() {
        assert!(is_disallowed(&name.to_ascii_lowercase()), "{name}");
        for stage in Stage::ALL {
            assert_eq!(set(stage, name, b"x"), Err(Rule::DisallowedHeader), "{name} at {stage}");
            let remove = HeaderRules::new(stage).edit(Raw::Remove(name.into()));
            assert_eq!(remove.map_err(|v| v.rule), Err(Rule::DisallowedHeader), "{name} at {stage}");
        }
    }
    for name in ["x-edge-id", "x-cached", "te", "x-forwarded-for", "connections", "x-amz-date", ""] {
        assert!(!is_disallowed(name), "{name}");
    }
}

#[test]
fn read_only_headers_by_stage() {
    let all = [
        ("accept-encoding", [false, true, false, false]),
        ("cdn-loop", [true, true, false, false]),
        ("content-encoding", [false, false, false, true]),
        ("content-length", [true, true, false, true]),
        ("host", [true, false, false, false]),
        ("if-modified-since", [false, true, false, false]),
        ("if-none-match", [false, true, false, false]),
        ("if-range", [false, true, false, false]),
        ("if-unmodified-since", [false, true, false, false]),
        ("transfer-encoding", [true, true, true, true]),
        ("via", [true, true, true, true]),
        ("warning", [false, false, false, true]),
        ("x-own", [false, false, false, false]),
    ];
    for (name, expected) in all {
        for (stage, read_only) in Stage::ALL.into_iter().zip(expected) {
            let result = set(stage, name, b"value");
            assert_eq!(result == Err(Rule::ReadOnlyHeader), read_only, "{name} at {stage}: {result:?}");
        }
    }
}

#[test]
fn a_length_at_origin_response_is_the_edges_own_whatever_a_hook_says() {
    let edits = [
        Raw::Set(header("Content-Length", b"1")),
        Raw::Append(header("content-length", b"2")),
        Raw::Set(header("x-a", b"1")),
        Raw::Remove("content-length".into()),
    ];
    let edits = edits.into_iter().map(crate::bindings::stages::origin_response::Edit::Header).collect();
    let left = origin_response(edits).map_err(|violation| violation.rule).unwrap();
    assert!(matches!(&left[..], [ResponseEdit::Header(HeaderEdit::Set(name, _))] if name == "x-a"), "{left:?}");
    assert_eq!(set(Stage::OriginResponse, "content-length", b"1\n2"), Err(Rule::HeaderValue));
}

#[test]
fn only_the_edge_sets_cloudfront_headers() {
    assert_eq!(set(Stage::ViewerRequest, "CloudFront-Viewer-Country", b"CH"), Err(Rule::EdgeHeader));
    assert!(set(Stage::OriginRequest, "CloudFront-Viewer-Country", b"CH").is_ok());
    let remove = HeaderRules::new(Stage::ViewerRequest).edit(Raw::Remove("cloudfront-viewer-country".into()));
    assert!(remove.is_ok());
}

#[test]
fn host_is_set_whole_or_not_at_all() {
    let at = Stage::OriginRequest;
    for good in ["www.example", "www.example:8443", "[2001:db8::1]:80", "  www.example "] {
        assert!(set(at, "host", good.as_bytes()).is_ok(), "{good}");
    }
    for bad in ["", "a b", "user@www.example", "www.example/path", "a,b", ":80"] {
        assert_eq!(set(at, "host", bad.as_bytes()), Err(Rule::Host), "{bad}");
    }
    let append = HeaderRules::new(at).edit(Raw::Append(header("Host", b"second.example")));
    assert_eq!(append.map_err(|v| v.rule), Err(Rule::Host));
    let remove = HeaderRules::new(at).edit(Raw::Remove("Host".into()));
    assert_eq!(remove.map_err(|v| v.rule), Err(Rule::Host));
}

#[test]
fn names_and_values() {
    let at = Stage::ViewerRequest;
    for name in ["", "a b", "a:", "naïve", "a\r\nb", "a\0"] {
        assert_eq!(set(at, name, b"x"), Err(Rule::HeaderName), "{name:?}");
    }
    for value in [b"a\r\nx-evil: 1".as_slice(), b"a\nb", b"a\r\n", b"\na", b"a\0b", b"\x7f"] {
        assert_eq!(set(at, "x-a", value), Err(Rule::HeaderValue), "{value:?}");
    }
    let Ok(HeaderEdit::Set(name, value)) = set(at, "X-Mixed", b" \tG\xc3\xbcte \t") else { panic!("valid") };
    assert_eq!((name.as_str(), value.as_bytes()), ("x-mixed", b"G\xc3\xbcte".as_slice()));
}

#[test]
fn header_edits_are_bounded_together() {
    let edit = |value: usize| viewer::Edit::Header(Raw::Append(header("x-a", &vec![b'x'; value])));
    assert!(viewer(vec![edit(16 * 1024 - 3), edit(16 * 1024 - 3)]).is_ok());
    assert_eq!(viewer(vec![edit(16 * 1024 - 3), edit(16 * 1024 - 2)]), Err(Rule::HeadersTooLarge));
    let many = |count| (0..count).map(|_| viewer::Edit::Query(None)).collect();
    assert!(viewer(many(512)).is_ok());
    assert_eq!(viewer(many(513)), Err(Rule::TooManyEdits));
}

#[test]
fn paths_and_queries() {
    for path in ["/", "/a/b%2Fc", "/~x;v=1/@a:b!$&'()*+,=", "/{a}|[b]^\"", "//", "/.."] {
        assert!(viewer(vec![viewer::Edit::Path(path.into())]).is_ok(), "{path}");
    }
    for path in [
        "",
        "a",
        "*",
        "http://x/",
        "/a b",
        "/a?b",
        "/a#b",
        "/%",
        "/%2",
        "/%zz",
        "/\u{e9}",
        "/a\\b",
        "/<",
        "/a\n",
        "/\0",
    ] {
        assert_eq!(viewer(vec![viewer::Edit::Path(path.into())]), Err(Rule::Path), "{path:?}");
    }
    for query in ["", "a=b&c", "a=/?", "%20", "%1", "100%", "%zz", "`x`", "\\", "{[|]}^"] {
        assert!(viewer(vec![viewer::Edit::Query(Some(query.into()))]).is_ok(), "{query}");
    }
    for query in ["a b", "#", "<", "\"", "a\r\n", "\u{e9}", "\t", "\0", "\u{7f}"] {
        assert_eq!(viewer(vec![viewer::Edit::Query(Some(query.into()))]), Err(Rule::Query), "{query:?}");
    }
}

#[test]
fn the_target_as_it_will_be_is_measured() {
    // The request has `/a?b=c`: six characters.
    let path = |len: usize| viewer::Edit::Path(format!("/{}", "x".repeat(len - 1)));
    let query = |len: usize| viewer::Edit::Query(Some("x".repeat(len)));
    assert!(viewer(vec![path(8187)]).is_ok());
    assert_eq!(viewer(vec![path(8188)]), Err(Rule::TargetTooLong));
    assert!(viewer(vec![path(8191), viewer::Edit::Query(None)]).is_ok());
    assert_eq!(viewer(vec![path(8192), viewer::Edit::Query(None)]), Err(Rule::TargetTooLong));
    assert!(viewer(vec![query(8188)]).is_ok());
    assert_eq!(viewer(vec![query(8189)]), Err(Rule::TargetTooLong));
    // Only the last of several counts.
    assert!(viewer(vec![path(9000), path(10)]).is_ok());
}

#[test]
fn small_parts_have_limits() {
    let rules = [
        (viewer::Edit::Note("x".repeat(4097)), Rule::NoteTooLong),
        (viewer::Edit::CacheKey(String::new()), Rule::CacheKey),
        (viewer::Edit::CacheKey("x".repeat(257)), Rule::CacheKey),
        (viewer::Edit::Origin(String::new()), Rule::OriginName),
        (viewer::Edit::Origin("x".repeat(257)), Rule::OriginName),
    ];
    for (edit, rule) in rules {
        assert_eq!(viewer(vec![edit]), Err(rule));
    }
    let most = vec![viewer::Edit::Note("x".repeat(4096)), viewer::Edit::CacheKey("x".repeat(256))];
    let Ok(RequestVerdict::Next(edits)) = viewer(most) else { panic!("valid") };
    assert!(matches!(&edits[..], [RequestEdit::Note(note), RequestEdit::CacheKey(_)] if note.len() == 4096));
}

#[test]
fn generated_responses() {
    let raw = |status, headers: &[(&str, &[u8])], body: usize| RawResponse {
        status,
        headers: headers.iter().map(|(name, value)| header(name, value)).collect(),
        body: vec![b'x'; body],
    };
    let check = |stage, raw| respond(stage, raw).map_err(|v| v.rule);
    for status in [0, 100, 199, 600, 999, u16::MAX] {
        assert_eq!(check(Stage::ViewerRequest, raw(status, &[], 0)), Err(Rule::Status), "{status}");
    }
    for status in [200, 204, 304, 599] {
        assert!(check(Stage::ViewerRequest, raw(status, &[], 0)).is_ok(), "{status}");
    }
    for status in [204, 304] {
        assert_eq!(check(Stage::OriginRequest, raw(status, &[], 1)), Err(Rule::BodyNotAllowed), "{status}");
    }
    // The limits hold for headers and body together.
    for (stage, limit) in [(Stage::ViewerRequest, 40 << 10), (Stage::OriginRequest, 1 << 20)] {
        assert!(check(stage, raw(200, &[("a", b"b")], limit - 2)).is_ok());
        assert_eq!(check(stage, raw(200, &[("a", b"b")], limit - 1)), Err(Rule::ResponseTooLarge));
    }
    let response =
        check(Stage::ViewerRequest, raw(200, &[("Content-Length", b"7"), ("A", b"1"), ("a", b"2")], 3)).unwrap();
    let names: Vec<_> = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(names, [("a", b"1".as_slice()), ("a", b"2")]);
    for name in ["transfer-encoding", "connection", "keep-alive"] {
        let result = check(Stage::ViewerRequest, raw(200, &[(name, b"x")], 0));
        assert!(matches!(result, Err(Rule::DisallowedHeader | Rule::ReadOnlyHeader)), "{name}: {result:?}");
    }
}

#[test]
fn violations_never_repeat_much() {
    let violation = Violation::new(Rule::Path, "é".repeat(1000));
    assert!(violation.what.len() <= MAX_WHAT);
}

proptest! {
    /// Whatever the rules let through can be put on the wire.
    #[test]
    fn accepted_targets_are_targets(path in "/[ -~\\PC]{0,40}", query in "[ -~\\PC]{0,40}") {
        let edits = vec![viewer::Edit::Path(path.clone()), viewer::Edit::Query(Some(query.clone()))];
        if viewer(edits).is_ok() {
            let target = format!("{path}?{query}");
            let parsed = PathAndQuery::try_from(target.as_str());
            prop_assert!(parsed.is_ok(), "{}", target);
            let parsed = parsed.unwrap();
            prop_assert_eq!(parsed.path(), path);
            prop_assert_eq!(parsed.query(), Some(query.as_str()));
        }
    }

    /// No edit brings a line break or a forbidden name through.
    #[test]
    fn accepted_headers_are_headers(name: String, value: Vec<u8>) {
        for stage in Stage::ALL {
            if let Ok(HeaderEdit::Set(name, value)) = set(stage, &name, &value) {
                prop_assert!(!is_disallowed(name.as_str()));
                prop_assert!(!value.as_bytes().iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
            }
        }
    }

    #[test]
    fn any_output_is_judged(path: String, query: Option<String>, note: String, status: u16, body: Vec<u8>) {
        let edits = vec![viewer::Edit::Path(path), viewer::Edit::Query(query), viewer::Edit::Note(note)];
        drop(viewer(edits));
        drop(respond(Stage::OriginRequest, RawResponse { status, headers: vec![], body }));
    }
}
