//! Edits through the whole way: guest, wasmtime, rules. The rules themselves have unit tests.

use std::sync::Arc;
use std::time::Duration;

use edgeweir_hookhost::{
    Call, Grants, HeaderEdit, Hidden, HookFault, RequestBody, RequestEdit, RequestVerdict, ResponseEdit, Rule,
};

use crate::support::{call, load, response_call};

fn broken<V: std::fmt::Debug>(verdict: Result<V, HookFault>) -> Rule {
    let fault = verdict.unwrap_err();
    assert_eq!((fault.status(), fault.label()), (502, "validation"), "{fault}");
    match fault {
        HookFault::Validation(violation) => violation.rule,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn guests_that_break_the_rules() {
    for (guest, rule, message) in [
        (
            "bad-header",
            Rule::DisallowedHeader,
            "hook returned what is against the rules: hooks may not set this header: \"connection\"",
        ),
        (
            "read-only-header",
            Rule::ReadOnlyHeader,
            "hook returned what is against the rules: this header is read-only at this stage: \"host\"",
        ),
        (
            "big-response",
            Rule::ResponseTooLarge,
            "hook returned what is against the rules: a response larger than the stage allows: \
             \"headers and body of 40961 bytes, at most 40960\"",
        ),
    ] {
        let verdict = load(guest).viewer_request(call("")).await.verdict;
        assert_eq!(verdict.as_ref().unwrap_err().to_string(), message);
        assert_eq!(broken(verdict), rule, "{guest}");
    }
}

#[tokio::test]
async fn request_edits_in_order() {
    let script =
        "set x-a 1\nappend x-a 2\nremove x-b\npath /new\nquery a=b\nno-query\nnote hello\ncache-key de\norigin eu";
    let verdict = load("script").viewer_request(call(script)).await.verdict.unwrap();
    let name = |name: &str| name.parse().unwrap();
    let value = |value: &str| value.parse().unwrap();
    let expected = vec![
        RequestEdit::Header(HeaderEdit::Set(name("x-a"), value("1"))),
        RequestEdit::Header(HeaderEdit::Append(name("x-a"), value("2"))),
        RequestEdit::Header(HeaderEdit::Remove(name("x-b"))),
        RequestEdit::Path("/new".into()),
        RequestEdit::Query(Some("a=b".into())),
        RequestEdit::Query(None),
        RequestEdit::Note("hello".into()),
        RequestEdit::CacheKey("de".into()),
        RequestEdit::Origin("eu".into()),
    ];
    assert_eq!(verdict, RequestVerdict::Next(expected));
}

#[tokio::test]
async fn request_stages_refuse_by_their_own_lists() {
    let hook = load("script");
    for (script, viewer, origin) in [
        ("set host b.example", Some(Rule::ReadOnlyHeader), None),
        ("set accept-encoding br", None, Some(Rule::ReadOnlyHeader)),
        ("set cloudfront-viewer-country CH", Some(Rule::EdgeHeader), None),
        ("set x-forwarded-proto https", Some(Rule::DisallowedHeader), Some(Rule::DisallowedHeader)),
        ("body x", Some(Rule::BodyNotGranted), Some(Rule::BodyNotGranted)),
        ("note *4097", Some(Rule::NoteTooLong), Some(Rule::NoteTooLong)),
        ("path //..\\", Some(Rule::Path), Some(Rule::Path)),
        ("respond 200 *50000", Some(Rule::ResponseTooLarge), None),
        ("respond 204 x", Some(Rule::BodyNotAllowed), Some(Rule::BodyNotAllowed)),
        ("respond 101 ", Some(Rule::Status), Some(Rule::Status)),
        ("respond 200 x\nupgrade h2c", Some(Rule::DisallowedHeader), Some(Rule::DisallowedHeader)),
    ] {
        for (rule, verdict) in [
            (viewer, hook.viewer_request(call(script)).await.verdict),
            (origin, hook.origin_request(call(script)).await.verdict),
        ] {
            match rule {
                Some(rule) => assert_eq!(broken(verdict), rule, "{script}"),
                None => assert!(verdict.is_ok(), "{script}: {verdict:?}"),
            }
        }
    }
}

fn with_body(script: &str, limit: usize) -> Call {
    Call { body: Some(RequestBody { bytes: "seen".into(), more: false, limit }), ..call(script) }
}

#[tokio::test]
async fn bodies_of_requests() {
    let hook = load("script");
    let next = |edit| RequestVerdict::Next(vec![edit]);
    assert_eq!(
        hook.viewer_request(with_body("body new", 1)).await.verdict.unwrap(),
        next(RequestEdit::Body("new".into()))
    );
    for (limit, bytes, fits) in
        [(1, 40 << 10, true), (1, (40 << 10) + 1, false), (50_000, 50_000, true), (50_000, 50_001, false)]
    {
        let verdict = hook.viewer_request(with_body(&format!("body *{bytes}"), limit)).await.verdict;
        match fits {
            true => assert!(verdict.is_ok(), "{limit}, {bytes}"),
            false => assert_eq!(broken(verdict), Rule::BodyTooLarge, "{limit}, {bytes}"),
        }
    }
    let verdict = hook.origin_request(with_body(&format!("body *{}", 1 << 20), 1)).await.verdict;
    assert!(verdict.is_ok());
    let verdict = hook.origin_request(with_body(&format!("body *{}", (1 << 20) + 1), 1)).await.verdict;
    assert_eq!(broken(verdict), Rule::BodyTooLarge);
    let largest = hook.origin_request(with_body(&format!("body *{}", 3 << 19), 3 << 19)).await.verdict;
    assert!(largest.is_ok());
}

#[tokio::test]
async fn costs_keys_and_tags() {
    let hook = load("script");
    let edits = hook.viewer_request(call("cost 1000\napi-key not-to-be-shown")).await.verdict.unwrap();
    let expected = vec![RequestEdit::Cost(1000), RequestEdit::ApiKey(Hidden("not-to-be-shown".into()))];
    assert_eq!(edits, RequestVerdict::Next(expected));
    assert!(!format!("{edits:?}").contains("not-to-be-shown"));
    for (script, rule) in
        [("cost 0", Rule::Cost), ("cost 1001", Rule::Cost), ("api-key ", Rule::ApiKey), ("api-key *129", Rule::ApiKey)]
    {
        assert_eq!(broken(hook.viewer_request(call(script)).await.verdict), rule, "{script}");
    }
    let edits = hook.origin_response(response_call("cache-tag a:1\ncache-tag *256")).await.verdict.unwrap();
    assert_eq!(edits, [ResponseEdit::CacheTag("a:1".into()), ResponseEdit::CacheTag("x".repeat(256).into())]);
    for script in ["cache-tag ", "cache-tag *257", "cache-tag a,b", "cache-tag a b", "cache-tag ü"] {
        assert_eq!(broken(hook.origin_response(response_call(script)).await.verdict), Rule::CacheTag, "{script}");
    }
    let many = |count: usize| (0..count).map(|number| format!("cache-tag t{number}\n")).collect::<String>();
    assert!(hook.origin_response(response_call(&many(50))).await.verdict.is_ok());
    assert_eq!(broken(hook.origin_response(response_call(&many(51))).await.verdict), Rule::TooManyCacheTags);
}

#[tokio::test]
async fn origins_by_host() {
    let hook = load("script");
    let asked = |script: &str| {
        let grants = Grants { dynamic_origins: vec!["*.example.com".into()], ..Grants::default() };
        Call { grants: Some(Arc::new(grants)), ..call(script) }
    };
    let RequestVerdict::Next(edits) =
        hook.origin_request(asked("dynamic-origin https://a.example.com:8443/v1 www.example")).await.verdict.unwrap()
    else {
        panic!("no response")
    };
    let [RequestEdit::DynamicOrigin(origin)] = edits.as_slice() else { panic!("{edits:?}") };
    assert_eq!((origin.tls, &*origin.host, origin.port, &*origin.path_prefix), (true, "a.example.com", 8443, "/v1"));
    assert!(!origin.listed);
    for (call, rule) in [
        (asked("dynamic-origin https://example.org"), Rule::DynamicOriginNotGranted),
        (call("dynamic-origin https://a.example.com"), Rule::DynamicOriginNotGranted),
        (asked("dynamic-origin gopher://a.example.com"), Rule::DynamicOrigin),
    ] {
        assert_eq!(broken(hook.origin_request(call).await.verdict), rule);
    }
}

#[tokio::test]
async fn bodies_of_responses() {
    let hook = load("script");
    let expected = [ResponseEdit::Status(http::StatusCode::GONE), ResponseEdit::Body("a".into())];
    assert_eq!(hook.origin_response(response_call("status 410\nbody a")).await.verdict.unwrap(), expected);
    assert_eq!(hook.viewer_response(response_call("status 410\nbody a")).await.verdict.unwrap(), expected);
    let at_viewer = |bytes: usize| hook.viewer_response(response_call(&format!("body *{bytes}")));
    assert!(at_viewer(40 << 10).await.verdict.is_ok());
    assert_eq!(broken(at_viewer((40 << 10) + 1).await.verdict), Rule::ResponseTooLarge);
    let at_origin = hook.origin_response(response_call(&format!("body *{}", (1 << 20) + 1))).await;
    assert_eq!(broken(at_origin.verdict), Rule::ResponseTooLarge);
}

#[tokio::test]
async fn response_edits() {
    let hook = load("script");
    let edits = hook.origin_response(response_call("status 404\nttl 60\nnote n\nset x-a 1")).await.verdict.unwrap();
    let expected = [
        ResponseEdit::Status(http::StatusCode::NOT_FOUND),
        ResponseEdit::Ttl(Duration::from_secs(60)),
        ResponseEdit::Note("n".into()),
        ResponseEdit::Header(HeaderEdit::Set("x-a".parse().unwrap(), "1".parse().unwrap())),
    ];
    assert_eq!(edits, expected);
    for (script, rule) in [
        ("status 99", Rule::Status),
        ("set transfer-encoding chunked", Rule::ReadOnlyHeader),
        ("note *5000", Rule::NoteTooLong),
    ] {
        assert_eq!(broken(hook.origin_response(response_call(script)).await.verdict), rule, "{script}");
    }
    assert!(hook.origin_response(response_call("remove content-encoding")).await.verdict.is_ok());
    // The edge's own in any case.
    let lengths = response_call("set content-length 1\nremove content-length");
    assert_eq!(hook.origin_response(lengths).await.verdict.unwrap(), []);
    assert_eq!(
        broken(hook.viewer_response(response_call("remove content-length")).await.verdict),
        Rule::ReadOnlyHeader
    );
    assert_eq!(
        broken(hook.viewer_response(response_call("remove content-encoding")).await.verdict),
        Rule::ReadOnlyHeader
    );
}

#[tokio::test]
async fn a_generated_response_comes_through_whole() {
    let verdict = load("respond").viewer_request(call("")).await.verdict.unwrap();
    let RequestVerdict::Respond(response) = verdict else { panic!("no response") };
    assert_eq!((response.status.as_u16(), &*response.body), (418, b"a teapot".as_slice()));
    assert_eq!(response.headers, [("content-type".parse().unwrap(), "text/plain".parse().unwrap())]);
}
