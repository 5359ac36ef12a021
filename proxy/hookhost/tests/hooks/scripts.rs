//! Hooks in JavaScript: what a source becomes, what its function sees, and what is made of what it returns.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgeweir_hookhost::{
    Call, EngineLimits, Grant, Grants, HeaderEdit, Hook, HookEngine, HookFault, HookLimits, MAX_WASM, OriginChange,
    RequestEdit, RequestVerdict, ResponseEdit, Stage, TrapKind, build_script, inspect,
};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::support::{Request, Response, SCRIPT_LIMITS, Services, call, engine, headers, script, store};

const FUNCTIONS: &str = include_str!("scripts/functions.js");
/// The smallest function.
const EMPTY: &str = "function handler(event) { return event.request; }";

/// The hook of all functions, compiled once.
static SHARED: LazyLock<(Arc<Hook>, Arc<Services>)> = LazyLock::new(|| script("functions.js", FUNCTIONS));

fn hook() -> Arc<Hook> {
    Arc::clone(&SHARED.0)
}

fn request_headers() -> HeaderMap {
    headers(&[
        ("host", "site.test"),
        ("accept", "*/*"),
        ("x-many", "one"),
        ("x-many", "two"),
        ("x-gone", "1"),
        // What a viewer says of itself is not believed.
        ("cloudfront-viewer-country", "XX"),
        ("cookie", "a=1; loose; b=2; a=3"),
    ])
}

fn asking(path: &str, query: Option<&str>) -> Call {
    let request = Request { path: path.into(), query: query.map(Into::into), headers: request_headers() };
    Call { request: Box::new(request), ..call("{}") }
}

/// What the function at this path decides, in short words.
async fn decided(path: &str, query: Option<&str>) -> Vec<String> {
    decision(hook().viewer_request(asking(path, query)).await.verdict.unwrap_or_else(|fault| panic!("{path}: {fault}")))
}

fn decision(verdict: RequestVerdict) -> Vec<String> {
    match verdict {
        RequestVerdict::Next(edits) => edits.iter().map(edit).collect(),
        RequestVerdict::Respond(response) => {
            let mut lines = vec![response.status.as_u16().to_string()];
            lines.extend(response.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
            lines.push(String::from_utf8_lossy(&response.body).into_owned());
            lines
        }
    }
}

fn edit(edit: &RequestEdit) -> String {
    match edit {
        RequestEdit::Header(edit) => header(edit),
        RequestEdit::Path(path) => format!("path {path}"),
        RequestEdit::Query(query) => format!("query {query:?}"),
        other => format!("{other:?}"),
    }
}

fn header(edit: &HeaderEdit) -> String {
    match edit {
        HeaderEdit::Set(name, value) => format!("set {name}: {}", value.to_str().unwrap()),
        HeaderEdit::Append(name, value) => format!("append {name}: {}", value.to_str().unwrap()),
        HeaderEdit::Remove(name) => format!("remove {name}"),
    }
}

async fn fault(path: &str) -> HookFault {
    hook().viewer_request(asking(path, None)).await.verdict.err().unwrap_or_else(|| panic!("{path} did not fail"))
}

#[test]
fn a_source_becomes_a_small_hook_and_always_the_same() {
    let one = build_script("fn.js", EMPTY.as_bytes()).unwrap();
    let two = build_script("fn.js", EMPTY.as_bytes()).unwrap();
    assert!(one == two, "equal sources give equal bytes");
    assert!(one.wasm.len() < MAX_WASM / 3, "{}", one.wasm.len());
    let found = inspect(&one.wasm);
    assert_eq!(found.stages, [Stage::ViewerRequest, Stage::ViewerResponse], "and no others");
    assert!(!found.imports.iter().any(|import| import.contains("key-value")), "{:?}", found.imports);
    let other = build_script("fn.js", format!("{EMPTY}\n").as_bytes()).unwrap();
    assert!(one != other);
}

#[test]
fn only_a_function_that_speaks_of_stores_needs_the_grant() {
    assert_eq!(hook().needs(), [Grant::KeyValue]);
    assert_eq!(hook().stages(), [Stage::ViewerRequest, Stage::ViewerResponse]);
}

#[test]
fn what_does_not_build_is_told_with_its_place() {
    for (source, expected) in [
        ("function handler(event) {\n  return even t;\n}\n", "fn.js:2:15: SyntaxError"),
        ("const a = 1;\nnull.x;\nfunction handler() {}", "fn.js:2:1: TypeError"),
        ("function handler() {}\nthrow new Error('no');", "fn.js:2:"),
        (
            "\nimport fs from 'fs';\nfunction handler() {}",
            "fn.js:2:16: Error: 'fs' cannot be imported: there is no file",
        ),
        ("import { S3 } from '@aws-sdk/client-s3';", "fn.js:1:20: Error: '@aws-sdk/client-s3' cannot be imported"),
        ("const fs = require('net');", "'net' cannot be imported: there are no sockets"),
        (
            "import url from 'url';\nfunction handler() {}",
            "fn.js:1:17: Error: 'url' cannot be imported: CloudFront Functions do not have it",
        ),
        ("const path = require('node:path');\nfunction handler() {}", "CloudFront Functions do not have it"),
        ("import './other.js';", "bundle it first"),
        ("const x = 1;", "it has no function `handler`"),
        ("exports.other = async (event) => event;", "`exports.handler = …`"),
        ("const start = Date.now(); function handler() {}", "its top-level code reads the clock"),
        ("const dice = Math.random(); function handler() {}", "its top-level code asks for random numbers"),
        ("const h = require('crypto').createHash('sha256').update('').digest('hex');", "computes a hash"),
        ("await new Promise(() => {}); function handler() {}", "waits for something that never comes"),
    ] {
        let words = build_script("fn.js", source.as_bytes()).expect_err(source).to_string();
        assert!(words.contains(expected), "{source}\n{words}");
    }
    let words = build_script("fn.js", b"function handler(event) {\n  return even t;\n}\n").unwrap_err().to_string();
    assert!(words.ends_with("\n 2 |   return even t;\n   |               ^"), "{words}");
}

/// What a bundler says of the places: the first line is its own, the others are two columns to the right.
fn with_map(source: &str) -> String {
    let map = r#"{"version":3,"sources":["src/fn.ts"],"names":[],"mappings":";EAAA;EACA;EACA"}"#;
    format!("{source}//# sourceMappingURL=data:application/json;base64,{}\n", STANDARD.encode(map))
}

#[tokio::test]
async fn errors_name_the_places_that_a_source_map_has() {
    let source = with_map("// bundled\n  function handler(event) {\n  no.such();\n}\n");
    let made = build_script("fn.js", source.as_bytes()).unwrap();
    let hook = engine(4).0.load("mapped", &made.wasm, SCRIPT_LIMITS).unwrap();
    let fault = hook.viewer_request(asking("/", None)).await.verdict.unwrap_err().to_string();
    assert!(fault.contains("'no' is not defined") || fault.contains("no is not defined"), "{fault}");
    assert!(fault.contains("(src/fn.ts:2:") && !fault.contains("fn.js"), "{fault}");

    let source = with_map("// bundled\n  null.x;\n  function handler() {}\n");
    let words = build_script("fn.js", source.as_bytes()).unwrap_err().to_string();
    assert!(words.starts_with("src/fn.ts:1:1: TypeError"), "{words}");
    let words =
        build_script("fn.js", b"//# sourceMappingURL=data:application/json;base64,e30\n").unwrap_err().to_string();
    assert!(words.contains("`fn.js` ends with a source map that cannot be read"), "{words}");
}

#[test]
fn top_level_code_may_log_and_is_bounded() {
    let made = build_script("fn.js", format!("console.log('hello', 1);\n{EMPTY}").as_bytes()).unwrap();
    assert_eq!(made.log, ["hello 1"]);
    for (source, expected) in [
        ("const all = []; for (;;) all.push('x'.repeat(1e6) + all.length);", "memory"),
        ("const dive = () => dive() + 1; dive();", "RangeError"),
    ] {
        let words = build_script("fn.js", source.as_bytes()).expect_err(source).to_string();
        assert!(words.contains(expected), "{source}\n{words}");
    }
}

#[test]
fn what_was_built_is_kept_with_the_compiled_hooks() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("console.log('built');\n{EMPTY}");
    let built = |source: &str| {
        let limits = EngineLimits { slots: 2, ..EngineLimits::default() };
        let engine = HookEngine::new(limits, Some(folder.path()), Arc::new(Services::default())).unwrap();
        engine.script("fn.js", source.as_bytes()).unwrap()
    };
    let (first, second) = (built(&source), built(&source));
    assert_eq!(first.log, ["built"]);
    assert!(second.log.is_empty(), "nothing ran");
    assert!(first.wasm == second.wasm);
    assert_eq!(built(&format!("{source}\n")).log, ["built"], "another source is built");
}

#[tokio::test]
async fn the_event_is_that_of_cloudfront_functions() {
    let lines = decided("/event", Some("id=42&t=x&t=y%20z&flag")).await;
    let event: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let expected = json!({
        "version": "1.0",
        "context": {
            "distributionDomainName": "www.example:8443", "distributionId": "site", "eventType": "viewer-request",
            "requestId": "id-1",
        },
        "viewer": { "ip": "192.0.2.1" },
        "request": {
            "method": "GET",
            "uri": "/event",
            "querystring": {
                "id": { "value": "42" },
                "t": { "value": "x", "multiValue": [{ "value": "x" }, { "value": "y%20z" }] },
                "flag": { "value": "" },
            },
            "headers": {
                "host": { "value": "site.test" },
                "accept": { "value": "*/*" },
                "x-many": { "value": "one", "multiValue": [{ "value": "one" }, { "value": "two" }] },
                "x-gone": { "value": "1" },
                // The source names it.
                "cloudfront-viewer-country": { "value": "CH" },
            },
            "cookies": {
                "a": { "value": "1", "multiValue": [{ "value": "1" }, { "value": "3" }] },
                "b": { "value": "2" },
            },
        },
    });
    assert_eq!(event, expected);
}

#[tokio::test]
async fn the_library_does_what_it_should() {
    assert_eq!(decided("/library", None).await, ["200", "ok"]);
    assert_eq!(decided("/country", None).await, ["200", "CH"]);
}

#[tokio::test]
async fn what_is_not_changed_is_not_edited() {
    let nothing: [&str; 0] = [];
    for path in ["/same", "/touched", "/copy"] {
        assert_eq!(decided(path, Some("flag&a=&&b=1")).await, nothing, "{path}");
    }
}

#[tokio::test]
async fn changes_of_a_request_are_edits() {
    assert_eq!(decided("/uri", None).await, ["path /index.html"]);
    let edits = decided("/headers", None).await;
    let mut sorted = edits.clone();
    sorted.sort();
    let expected = [
        "append x-lines: 2",
        "append x-many: two",
        "remove x-gone",
        "set accept: text/html",
        "set x-lines: 1",
        "set x-many: first",
        "set x-new: n",
    ];
    assert_eq!(sorted, expected, "{edits:?}");
    assert_eq!(decided("/query", Some("a=1&a=2&gone=1&b=x%20y")).await, ["query Some(\"a=z&a=2&b=x%20y&n=7\")"]);
    assert_eq!(decided("/query-text", Some("a=1")).await, ["query Some(\"b=2&a=1&b=1\")"]);
    assert_eq!(decided("/query-none", Some("a=1")).await, ["query None"]);
    assert_eq!(decided("/cookies", None).await, ["set cookie: loose; a=9; a=3; b=2; c=n"]);
    assert_eq!(decided("/cookies-none", None).await, ["remove cookie"]);
    assert_eq!(decided("/async", None).await, ["path /later"]);
    assert_eq!(decided("/origin", None).await, ["Origin(\"backup\")"]);
    assert_eq!(decided("/raw", Some("")).await.last().unwrap(), "[false,\"\"]");
    assert_eq!(decided("/raw", None).await.last().unwrap(), "[true,null]");
}

/// RFC 9110, 5.5: what is not ASCII is opaque, and stays what it was where the function did not write it.
#[tokio::test]
async fn bytes_that_a_function_did_not_touch_stay() {
    let mut headers = request_headers();
    headers.insert("cookie", HeaderValue::from_bytes(b"a=1; b=caf\xe9").unwrap());
    let request = Request { path: "/cookies".into(), query: None, headers };
    let asked = Call { request: Box::new(request), ..call("{}") };
    let RequestVerdict::Next(edits) = hook().viewer_request(asked).await.verdict.unwrap() else { panic!("an answer") };
    let [RequestEdit::Header(HeaderEdit::Set(name, value))] = &edits[..] else { panic!("{edits:?}") };
    assert_eq!((name.as_str(), value.as_bytes()), ("cookie", &b"a=9; b=caf\xe9; c=n"[..]));
}

#[tokio::test]
async fn a_function_can_answer() {
    let expected = ["302", "location: https://example.com/", "set-cookie: s=1; Secure; Path=/", "set-cookie: t=2", ""];
    assert_eq!(decided("/redirect", None).await, expected);
    let RequestVerdict::Respond(response) = hook().viewer_request(asking("/body64", None)).await.verdict.unwrap()
    else {
        panic!("no answer")
    };
    assert_eq!(response.body.as_ref(), [0, 255]);
}

fn answered(path: &str) -> Call {
    let response = Response(
        200,
        headers(&[
            ("content-type", "text/html"),
            ("x-powered-by", "php"),
            ("set-cookie", "id=old; Path=/; HttpOnly"),
            ("set-cookie", "keep=1"),
        ]),
    );
    Call { response: Some(Box::new(response)), ..asking(path, None) }
}

#[tokio::test]
async fn responses_are_seen_and_changed() {
    let edits = hook().viewer_response(answered("/")).await.verdict.unwrap();
    let lines: Vec<_> = edits
        .iter()
        .map(|edit| match edit {
            ResponseEdit::Header(edit) => header(edit),
            ResponseEdit::Status(status) => format!("status {}", status.as_u16()),
            ResponseEdit::Body(body) => format!("body {}", String::from_utf8_lossy(body)),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "status 404",
        "set x-frame-options: DENY",
        "remove x-powered-by",
        "set set-cookie: id=new; Secure",
        "append set-cookie: keep=1",
        "body gone",
    ];
    assert_eq!(lines, expected);

    let edits = hook().viewer_response(answered("/event")).await.verdict.unwrap();
    let event = edits.iter().find_map(|edit| match edit {
        ResponseEdit::Header(HeaderEdit::Set(name, value)) if name == "x-event" => Some(value.to_str().unwrap()),
        _ => None,
    });
    let event: Value = serde_json::from_str(event.unwrap()).unwrap();
    assert_eq!(event["context"]["eventType"], "viewer-response");
    assert_eq!(event["request"]["headers"]["host"]["value"], "site.test");
    let id = json!({ "value": "old", "attributes": "Path=/; HttpOnly" });
    let expected = json!({
        "statusCode": 200,
        "statusDescription": "OK",
        "headers": { "content-type": { "value": "text/html" }, "x-powered-by": { "value": "php" } },
        "cookies": { "id": id, "keep": { "value": "1" } },
    });
    assert_eq!(event["response"], expected);

    let fault = hook().viewer_response(answered("/request")).await.verdict.unwrap_err();
    assert!(matches!(fault, HookFault::Validation(_)), "{fault}");
}

/// CloudFront Developer Guide, "Helper methods for origin modification".
#[tokio::test]
async fn origins_are_changed_as_far_as_the_binding_allows() {
    let verdict = async |path: &str| {
        let grants = Grants { dynamic_origins: vec!["*.example.com".into()], ..Grants::default() };
        let call = Call { grants: Some(Arc::new(grants)), ..asking(path, None) };
        hook().viewer_request(call).await.verdict
    };
    let edits = async |path: &str| match verdict(path).await {
        Ok(RequestVerdict::Next(edits)) => edits,
        other => panic!("{path}: {other:?}"),
    };
    let change = OriginChange {
        host: Some(("eu.example.com".into(), false)),
        tls: Some(true),
        port: Some(8443),
        path_prefix: Some("/eu".into()),
        host_header: Some(HeaderValue::from_static("www.example.com")),
        headers: Some(vec![(http::HeaderName::from_static("x-region"), HeaderValue::from_static("eu"))]),
        read_timeout: Some(Duration::from_secs(10)),
        ..OriginChange::default()
    };
    let chosen = [RequestEdit::Origin("gone".into()), RequestEdit::ChangeOrigin(change)];
    assert_eq!(edits("/update").await, chosen);
    let change = OriginChange { path_prefix: Some("/eu".into()), ..OriginChange::default() };
    assert_eq!(edits("/update-path").await, [RequestEdit::ChangeOrigin(change)]);
    let change =
        OriginChange { host_header: Some(HeaderValue::from_static("b.example.com")), ..OriginChange::default() };
    assert_eq!(
        edits("/update-caught").await,
        [RequestEdit::Origin("backup".into()), RequestEdit::ChangeOrigin(change)]
    );
    let group = RequestEdit::Group { members: vec!["a".into(), "b".into()], statuses: vec![500, 503] };
    assert_eq!(edits("/group").await, [group]);
    assert_eq!(decision(verdict("/update-answer").await.unwrap()), ["200", "no origin"]);
    for (path, words) in [
        (
            "/update-other",
            "the binding does not allow the origin \"evil.test\": add it to `dynamic_origins` of the binding, at ",
        ),
        ("/update-other", "functions.js:"),
        ("/update-bucket", "no `originAccessControlConfig` here: declare the bucket"),
        ("/group-of-one", "2 to 16 members"),
    ] {
        let fault = verdict(path).await.unwrap_err();
        assert!(fault.status() == 503 && fault.to_string().contains(words), "{path}: {fault}");
    }
}

/// A new object that does not name what cannot be changed leaves it; to take it out of the old one is an error.
#[tokio::test]
async fn what_a_new_object_leaves_out_and_is_read_only_stays() {
    assert_eq!(
        decided("/fresh", None).await,
        ["set accept: text/html", "remove x-many", "remove x-gone", "remove cloudfront-viewer-country"]
    );
    let refused = fault("/fresh-deleted").await;
    assert!(refused.status() == 502 && refused.to_string().contains("read-only"), "{refused}");

    let sized = |path| {
        let fields = [("content-length", "12"), ("content-type", "text/plain"), ("via", "1.1 origin"), ("server", "a")];
        Call { response: Some(Box::new(Response(200, headers(&fields)))), ..asking(path, None) }
    };
    let edits = hook().viewer_response(sized("/fresh")).await.verdict.unwrap();
    let lines: Vec<_> = edits
        .iter()
        .map(|edit| match edit {
            ResponseEdit::Header(edit) => header(edit),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(lines, ["set content-type: text/html", "remove server"]);
    let refused = hook().viewer_response(sized("/length")).await.verdict.unwrap_err();
    assert!(refused.status() == 502 && refused.to_string().contains("content-length"), "{refused}");
}

/// As with CloudFront: 503 for what a function does, 502 for what it returns.
#[tokio::test]
async fn failures_are_told_apart() {
    for (path, status, words) in [
        ("/throws", 503, "TypeError: cannot read property 'value' of undefined, at "),
        ("/throws", 503, "functions.js:"),
        ("/rejects", 503, "RangeError: not today"),
        ("/hangs", 503, "waits for a promise that nothing settles"),
        ("/nothing", 502, "the function returned undefined"),
        ("/the-event", 502, "the function returned the event"),
        ("/method", 502, "`method` is read-only"),
        ("/number", 502, "header `x-number`: `value` has to be a string"),
        ("/status-text", 502, "`statusCode` has to be a number"),
        ("/read-only", 502, "read-only"),
        ("/upper", 502, "header `X-Upper`: names have to be lower case"),
    ] {
        let fault = fault(path).await;
        assert_eq!(fault.status(), status, "{path}: {fault}");
        assert!(fault.to_string().contains(words), "{path}: {fault}");
    }
}

#[tokio::test]
async fn stores_are_read_by_name_and_without() {
    let store = store([("text", "on"), ("json", "{\"a\":1}")]);
    let grants = Arc::new(Grants { stores: vec![("flags".into(), store)], ..Grants::default() });
    let call = Call { grants: Some(grants), ..asking("/kvs", None) };
    let lines = decision(hook().viewer_request(call).await.verdict.unwrap());
    let read: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let changed = "2026-01-01T00:00:00.000Z";
    let meta = json!({ "creationDateTime": changed, "lastUpdatedDateTime": changed, "keyCount": 2 });
    assert_eq!(read, json!(["on", { "a": 1 }, true, false, "Error: KeyValueStore: key not found: none", meta]));
    let fault = fault("/kvs").await;
    assert!(fault.to_string().contains("does not grant"), "{fault}");
}

/// Nothing stays: neither variables of the file nor the state of random numbers, and the clock is that of the call.
#[tokio::test]
async fn every_call_starts_from_the_build() {
    let mut clocks = Vec::new();
    for _ in 0..3 {
        let lines = decided("/random", None).await;
        let Value::Array(parts) = serde_json::from_str(lines.last().unwrap()).unwrap() else { panic!("{lines:?}") };
        assert_eq!((&parts[0], &parts[1]), (&json!(true), &json!(1)));
        clocks.push(parts[2].as_u64().unwrap());
    }
    clocks.dedup();
    assert_eq!(clocks.len(), 3, "{clocks:?}");
}

#[tokio::test]
async fn the_console_is_the_hooks_log() {
    assert!(hook().viewer_request(asking("/log", None)).await.verdict.is_ok());
    // No other test logs.
    let lines = SHARED.1.lines.lock().unwrap();
    let lines: Vec<_> = lines.iter().map(|(.., level, line)| format!("{level:?} {line}")).collect();
    assert_eq!(lines, ["Info hello {\"a\":1} 2", "Error oh"]);
}

/// Time, memory and depth have limits, whatever the function does.
#[tokio::test]
async fn limits_hold() {
    let short = hook().with_limits(HookLimits { timeout: Duration::from_millis(100), ..SCRIPT_LIMITS }).unwrap();
    for path in ["/loop", "/regexp"] {
        let fault = short.viewer_request(asking(path, None)).await.verdict.unwrap_err();
        assert!(matches!(fault, HookFault::Timeout { .. }), "{path}: {fault}");
    }
    for path in ["/string", "/objects"] {
        let fault = fault(path).await;
        assert_eq!(fault.status(), 503, "{path}: {fault}");
        assert!(matches!(fault, HookFault::OutOfMemory { .. } | HookFault::Failed(_)), "{path}: {fault}");
    }
    let fault = fault("/deep").await;
    assert!(matches!(&fault, HookFault::Failed(words) if words.contains("stack")), "{fault}");
    assert_eq!(decided("/deep-caught", None).await, ["200", "RangeError"]);
    // Inside the engine the sandbox's stack may end first.
    match hook().viewer_request(asking("/deep-json", None)).await.verdict {
        Ok(verdict) => assert_eq!(decision(verdict), ["200", "RangeError"]),
        Err(fault) => assert!(matches!(fault, HookFault::Trap { kind: TrapKind::StackOverflow, .. }), "{fault}"),
    }
    // Far more garbage than memory.
    assert_eq!(decided("/garbage", None).await, ["200", "600000"]);
}
