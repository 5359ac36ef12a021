//! Handlers of Lambda@Edge: what they see, how they are called, and what is made of their results. The samples are in `samples`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use edgeweir_hookhost::{
    Call, Fetch, FetchFuture, GeneratedResponse, Grant, Grants, HeaderEdit, Hook, HookFault, OriginChange, OriginFacts,
    Outgoing, RequestBody, RequestEdit, RequestVerdict, ResponseEdit, Stage, build_script,
};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::support::{Request, Response, SCRIPT_LIMITS, call, engine, headers, script};

const FUNCTIONS: &str = include_str!("lambda/functions.js");

static SHARED: LazyLock<Arc<Hook>> = LazyLock::new(|| script("index.js", FUNCTIONS).0);

fn asking(path: &str) -> Call {
    let fields = [
        ("host", "site.test"),
        ("accept", "*/*"),
        ("x-many", "one"),
        ("x-many", "two"),
        ("x-gone", "1"),
        ("cookie", "a=1"),
    ];
    let request = Request { path: path.into(), query: Some("x=%20&y".into()), headers: headers(&fields) };
    Call { request: Box::new(request), ..call(r#"{"NAME": "main", "NUMBER": 7}"#) }
}

fn at_origin(path: &str) -> Call {
    let facts = OriginFacts { path_prefix: "/v1".into(), port: 8443, ..OriginFacts::named("main") };
    let grants = Grants { dynamic_origins: vec!["*.example.com".into()], ..Grants::default() };
    Call { origin: Some(Arc::new(facts)), grants: Some(Arc::new(grants)), ..asking(path) }
}

async fn body(call: Call) -> Value {
    match SHARED.viewer_request(call).await.verdict {
        Ok(RequestVerdict::Respond(response)) => serde_json::from_slice(&response.body).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn edits(call: Call) -> Vec<RequestEdit> {
    match SHARED.origin_request(call).await.verdict {
        Ok(RequestVerdict::Next(edits)) => edits,
        other => panic!("{other:?}"),
    }
}

fn answered(path: &str) -> Call {
    let fields = [
        ("content-length", "5"),
        ("content-type", "text/html"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("via", "1.1 o"),
        ("x-amz-meta-last-modified", "yesterday"),
    ];
    Call { response: Some(Box::new(Response(200, headers(&fields)))), ..at_origin(path) }
}

fn lines(edits: &[ResponseEdit]) -> Vec<String> {
    let line = |edit: &ResponseEdit| match edit {
        ResponseEdit::Header(HeaderEdit::Set(name, value)) => format!("set {name}: {}", value.to_str().unwrap()),
        ResponseEdit::Header(HeaderEdit::Remove(name)) => format!("remove {name}"),
        other => format!("{other:?}"),
    };
    edits.iter().map(line).collect()
}

#[test]
fn a_handler_runs_at_all_stages_and_needs_the_grants_that_it_speaks_of() {
    assert_eq!(
        SHARED.stages(),
        [Stage::ViewerRequest, Stage::OriginRequest, Stage::OriginResponse, Stage::ViewerResponse]
    );
    assert_eq!(SHARED.needs(), [Grant::Fetch], "the body it may have, and need not");
    let plain = build_script("index.js", b"exports.handler = async (event) => event.Records[0].cf.request;").unwrap();
    let plain = engine(4).0.load("plain", &plain.wasm, SCRIPT_LIMITS).unwrap();
    assert!(plain.needs().is_empty());
}

#[test]
fn what_cannot_work_is_told_when_it_is_built() {
    for (source, expected) in [
        ("const AWS = require('aws-sdk');", "'aws-sdk' cannot be imported: there is no AWS in here"),
        (
            "import { S3Client } from '@aws-sdk/client-s3';",
            "index.js:1:26: Error: '@aws-sdk/client-s3' cannot be imported",
        ),
        ("const fs = require('fs');\nexports.handler = () => {};", "'fs' cannot be imported: there is no file system"),
        ("const https = require('https');", "there are no sockets"),
        ("const _ = require('lodash');", "a package has to be bundled into the file"),
        (
            "const url = process.env.TARGET; exports.handler = async () => url;",
            "`process.env.TARGET` is of the settings of a binding: read it in the function",
        ),
        ("exports.main = async () => {};", "it has no function `handler`"),
        ("module.exports = { handler: 'index' };", "it has no function `handler`"),
    ] {
        let words = build_script("index.js", source.as_bytes()).expect_err(source).to_string();
        assert!(words.contains(expected), "{source}\n{words}");
    }
    for source in [
        "export async function handler(event) { return event; }",
        "export const handler = async (event) => event;",
        "module.exports.handler = async (event) => event;",
        "module.exports = { handler: async (event) => event };",
        "const handler = (event, context, callback) => callback(null, event);\nexports.handler = handler;",
        "const handler = async () => {};\nexport { handler };",
    ] {
        build_script("index.js", source.as_bytes()).unwrap_or_else(|error| panic!("{source}\n{error}"));
    }
}

#[tokio::test]
async fn the_event_is_that_of_lambda_at_edge() {
    let mut event = body(asking("/event")).await;
    let config = json!({
        "distributionDomainName": "www.example:8443", "distributionId": "site", "eventType": "viewer-request", "requestId": "id-1",
    });
    let record = |key: &str, value: &str| json!([{ "key": key, "value": value }]);
    let cf = event.pointer_mut("/Records/0/cf").unwrap().take();
    let request = json!({
        "clientIp": "192.0.2.1",
        "method": "GET",
        "uri": "/event",
        "querystring": "x=%20&y",
        "headers": {
            "host": record("Host", "site.test"),
            "accept": record("Accept", "*/*"),
            "x-many": [{ "key": "X-Many", "value": "one" }, { "key": "X-Many", "value": "two" }],
            "x-gone": record("X-Gone", "1"),
            "cookie": record("Cookie", "a=1"),
            // The source names it.
            "cloudfront-viewer-country": record("Cloudfront-Viewer-Country", "CH"),
        },
    });
    assert_eq!(cf, json!({ "config": config, "request": request }));
    assert_eq!(body(asking("/no-body")).await, json!([true]));
    assert_eq!(body(asking("/env")).await, json!(["main", "7", true]));
    let held = RequestBody { bytes: Bytes::from_static(b"hello"), more: true, limit: 2 };
    assert_eq!(body(Call { body: Some(held), ..asking("/truncated") }).await, json!([true, "aGU="]));
}

#[tokio::test]
async fn the_library_does_what_it_should() {
    let done = SHARED.viewer_request(asking("/library")).await;
    let Ok(RequestVerdict::Respond(response)) = done.verdict else { panic!("{:?}", done.verdict) };
    assert_eq!(String::from_utf8_lossy(&response.body), "ok");
}

#[tokio::test]
async fn changes_of_a_request_are_edits() {
    for path in ["/same", "/touched", "/succeed"] {
        let verdict = SHARED.viewer_request(asking(path)).await.verdict.unwrap();
        assert_eq!(verdict, RequestVerdict::Next(Vec::new()), "{path}");
    }
    let set = |name, value| {
        RequestEdit::Header(HeaderEdit::Set(HeaderName::from_static(name), HeaderValue::from_static(value)))
    };
    let append =
        RequestEdit::Header(HeaderEdit::Append(HeaderName::from_static("x-new"), HeaderValue::from_static("2")));
    let mut made = edits(at_origin("/headers")).await;
    made.sort_by_key(|edit| format!("{edit:?}"));
    let mut wanted = vec![
        set("x-new", "1"),
        append,
        set("x-many", "one"),
        set("accept", "text/html"),
        RequestEdit::Header(HeaderEdit::Remove(HeaderName::from_static("x-gone"))),
    ];
    wanted.sort_by_key(|edit| format!("{edit:?}"));
    assert_eq!(made, wanted);
    let held = RequestBody { bytes: Bytes::from_static(b"hello"), more: false, limit: 100 };
    let made = edits(Call { body: Some(held), ..at_origin("/remove-body") }).await;
    assert_eq!(made, [RequestEdit::Body(Bytes::new())]);
}

#[tokio::test]
async fn the_origin_is_seen_and_changed() {
    let done = SHARED.origin_request(at_origin("/origin")).await;
    let Ok(RequestVerdict::Respond(response)) = done.verdict else { panic!("{:?}", done.verdict) };
    let custom = json!({
        "customHeaders": {}, "domainName": "main", "keepaliveTimeout": 5, "path": "/v1", "port": 8443, "protocol": "https",
        "readTimeout": 30, "sslProtocols": ["TLSv1.2"],
    });
    assert_eq!(serde_json::from_slice::<Value>(&response.body).unwrap(), json!({ "custom": custom }));
    let change = OriginChange {
        path_prefix: Some("/v2".into()),
        read_timeout: Some(Duration::from_secs(3)),
        ..OriginChange::default()
    };
    assert_eq!(edits(at_origin("/origin-path")).await, [RequestEdit::ChangeOrigin(change)]);
    let change = OriginChange {
        headers: Some(vec![(HeaderName::from_static("x-cust"), HeaderValue::from_static("c"))]),
        keeps_headers: true,
        ..OriginChange::default()
    };
    assert_eq!(edits(at_origin("/custom")).await, [RequestEdit::ChangeOrigin(change)]);
    for (path, words) in [
        ("/custom-via", "read-only"),
        ("/no-status", "nor a response, with `status`"),
        ("/origin-evil", "add it to `dynamic_origins` of the binding"),
        ("/origin-oai", "declare it as an origin"),
    ] {
        let fault = SHARED.origin_request(at_origin(path)).await.verdict.unwrap_err();
        assert!(fault.status() == 502 && fault.to_string().contains(words), "{path}: {fault}");
    }
}

#[tokio::test]
async fn responses_are_changed_where_aws_lets_them_be() {
    let done = SHARED.origin_response(answered("/status")).await.verdict.unwrap();
    assert_eq!(done, [ResponseEdit::Status(StatusCode::NOT_FOUND)]);
    // AWS's sample "overriding a response header": the record has the key of another header.
    let done = SHARED.origin_response(answered("/renamed")).await.verdict.unwrap();
    assert_eq!(lines(&done), ["set last-modified: yesterday"]);
    let done = SHARED.origin_response(answered("/body")).await.verdict.unwrap();
    assert_eq!(done, [ResponseEdit::Body(Bytes::from_static(b"new"))]);
    for (path, words) in [("/status", "`status` is read-only at viewer-response"), ("/body", "a body cannot be set")] {
        let fault = SHARED.viewer_response(answered(path)).await.verdict.unwrap_err();
        assert!(fault.status() == 502 && fault.to_string().contains(words), "{path}: {fault}");
    }
    // Content-Length, Via: what may not be changed stays.
    let done = SHARED.viewer_response(answered("/fresh")).await.verdict.unwrap();
    assert_eq!(
        lines(&done),
        ["set server: edge", "remove content-type", "remove set-cookie", "remove x-amz-meta-last-modified"]
    );
    let done = lines(&SHARED.viewer_response(answered("/event")).await.verdict.unwrap());
    let shown: Value = serde_json::from_str(done[0].strip_prefix("set x-event: ").unwrap()).unwrap();
    assert_eq!((&shown["status"], &shown["statusDescription"]), (&json!("200"), &json!("OK")));
    assert_eq!(shown["headers"]["set-cookie"].as_array().unwrap().len(), 2);
}

/// CloudFront Developer Guide, "Test and debug Lambda@Edge functions": 502 for a result that is none, 503 for a failure.
#[tokio::test]
async fn failures_are_told_apart() {
    for (path, status, words) in [
        ("/throws", 503, "TypeError: cannot read property 'value' of undefined, at "),
        ("/throws", 503, "index.js:"),
        ("/rejects", 503, "RangeError: not today"),
        ("/calls-back", 503, "TypeError: back, at "),
        ("/text", 503, "thrown: no error object"),
        ("/never", 503, "waits for a promise that nothing settles"),
        ("/null", 502, "the function gave null as its result"),
        ("/the-event", 502, "the function returned the event"),
        ("/status", 502, "three digits"),
        ("/encoding", 502, "'text' or 'base64'"),
        ("/base64", 502, "`body` is not base64"),
        ("/upper", 502, "header `X-A`: names have to be lower case"),
        ("/no-array", 502, "header `x-a`: has to be an array"),
        ("/forbidden", 502, "hooks may not set this header"),
        ("/read-only", 502, "read-only"),
        ("/method", 502, "`method` is read-only"),
        ("/edge-fact", 502, "only the edge sets cloudfront-"),
        ("/remove-body", 502, "`request_body`"),
    ] {
        let fault = SHARED.viewer_request(asking(path)).await.verdict.err().unwrap_or_else(|| panic!("{path} passed"));
        assert_eq!(fault.status(), status, "{path}: {fault}");
        assert!(fault.to_string().contains(words), "{path}: {fault}");
    }
    let returned = build_script("index.js", b"exports.handler = (event) => event.Records[0].cf.request;").unwrap();
    let returned = engine(4).0.load("returned", &returned.wasm, SCRIPT_LIMITS).unwrap();
    let fault = returned.viewer_request(asking("/")).await.verdict.unwrap_err();
    assert!(matches!(&fault, HookFault::Validation(what) if what.to_string().contains("neither async")), "{fault}");
}

#[tokio::test]
async fn requests_go_to_origins_that_the_binding_grants() {
    struct Api;

    impl Fetch for Api {
        fn send(&self, request: Outgoing) -> FetchFuture<'_> {
            Box::pin(async move {
                if request.origin != "https://api.example.com" {
                    return Err(format!("the binding does not let the hook ask the origin {:?}", request.origin));
                }
                let said = json!([
                    request.method.as_str(),
                    request.target,
                    request.headers["x-a"].to_str().unwrap(),
                    &request.body[..]
                ]);
                Ok(GeneratedResponse {
                    status: StatusCode::CREATED,
                    headers: vec![(HeaderName::from_static("x-b"), HeaderValue::from_static("2"))],
                    body: said.to_string().into(),
                })
            })
        }
    }

    let asked = |path| {
        let grants = Grants { fetch: Some(Arc::new(Api)), ..Grants::default() };
        Call { grants: Some(Arc::new(grants)), ..asking(path) }
    };
    let sent = json!(["POST", "/v1?a=1", "1", [104, 105]]);
    assert_eq!(body(asked("/fetch")).await, json!([201, true, "2", sent]));
    let failed = async |call: Call| match SHARED.viewer_request(call).await.verdict {
        Ok(RequestVerdict::Respond(response)) => String::from_utf8(response.body.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    };
    let words = failed(asked("/fetch-failed")).await;
    assert!(words.starts_with("TypeError: fetch failed: the binding does not let the hook ask the origin"), "{words}");
    let words = failed(asking("/fetch-failed")).await;
    assert!(words.contains("add `fetch = [\"NAME\"]` to the binding"), "{words}");
}
