//! What the edge learns of a function in JavaScript: what it looked at, and nothing that is only set, compared or carried along.

use std::sync::{Arc, LazyLock};

use edgeweir_hookhost::{Call, Fact, HeaderEdit, Hook, ReadSet, RequestEdit, RequestVerdict, Stage};

use crate::support::{Request, Response, call, headers, script};

static FUNCTIONS: LazyLock<Arc<Hook>> = LazyLock::new(|| script("reads.js", include_str!("scripts/reads.js")).0);
static HANDLERS: LazyLock<Arc<Hook>> = LazyLock::new(|| script("index.js", include_str!("scripts/reads-lambda.js")).0);

fn asking(path: &str) -> Call {
    let fields = [
        ("host", "site.test"),
        ("accept", "*/*"),
        ("x-many", "one"),
        ("x-many", "two"),
        ("x-gone", "1"),
        ("cloudfront-viewer-country", "XX"),
        ("cookie", "a=1; b=2; a=3"),
    ];
    let request = Request { path: path.into(), query: Some("x=1&y=2".into()), headers: headers(&fields) };
    Call { request: Box::new(request), record_reads: true, ..call("{}") }
}

/// In short words; the path is what the functions are chosen by.
fn words(reads: &ReadSet) -> String {
    let mut words: Vec<String> = reads.headers.iter().map(|name| format!("header {name}")).collect();
    words.extend(reads.cookies.iter().map(|name| format!("cookie {name}")));
    words.extend(reads.query_params.iter().map(|name| format!("parameter {name}")));
    for (fact, word) in [
        (Fact::AllHeaders, "all headers"),
        (Fact::Query, "query"),
        (Fact::Address, "address"),
        (Fact::Country, "country"),
        (Fact::City, "city"),
        (Fact::Device, "device"),
        (Fact::Authority, "host"),
        (Fact::RequestId, "request id"),
    ] {
        if reads.has(fact) {
            words.push(word.to_owned());
        }
    }
    words.join(", ")
}

async fn reads(hook: &Arc<Hook>, path: &str) -> String {
    let done = hook.viewer_request(asking(path)).await;
    if let Err(fault) = done.verdict {
        panic!("{path}: {fault}");
    }
    words(&done.report.reads.unwrap())
}

#[tokio::test]
async fn a_function_has_read_what_it_looked_at() {
    for (path, expected) in [
        ("/sets", ""),
        ("/sets-the-same", ""),
        ("/replaces", ""),
        ("/reads", "header accept, header x-many, header x-none"),
        ("/asks", "header accept, header x-none"),
        ("/reads-what-it-set", ""),
        ("/odd-names", ""),
        ("/facts", "address, country"),
        ("/cookie", "cookie a, cookie b"),
        ("/cookies", "header cookie"),
        ("/parameter", "parameter x"),
        ("/parameters", "query"),
        ("/raw", "query"),
        ("/keys", "all headers, address, country"),
        ("/each", "all headers, address, country"),
        ("/spread", "all headers, address, country"),
        ("/json", "all headers, address, country"),
        ("/freezes", "all headers, address, country"),
        ("/context", ""),
        ("/context-id", "request id"),
        ("/context-host", "host"),
        ("/address", "address"),
    ] {
        assert_eq!(reads(&FUNCTIONS, path).await, expected, "{path}");
    }
}

async fn edits(path: &str) -> Vec<String> {
    let RequestVerdict::Next(edits) = FUNCTIONS.viewer_request(asking(path)).await.verdict.unwrap() else {
        panic!("{path} made a response")
    };
    let line = |edit: &RequestEdit| match edit {
        RequestEdit::Header(HeaderEdit::Set(name, value)) => format!("set {name}: {}", value.to_str().unwrap()),
        RequestEdit::Header(HeaderEdit::Remove(name)) => format!("remove {name}"),
        other => format!("{other:?}"),
    };
    edits.iter().map(line).collect()
}

#[tokio::test]
async fn what_was_changed_without_a_look_is_changed_all_the_same() {
    assert_eq!(
        edits("/sets").await,
        [r#"Query(Some("x=1&y=2&q=1"))"#, "set x-a: 1", "remove x-gone", "set cookie: a=1; a=3; b=2; c=1"]
    );
    assert_eq!(edits("/sets-the-same").await, [""; 0]);
    assert_eq!(
        edits("/replaces").await,
        [
            r#"Query(Some("q=2"))"#,
            "set x-a: 1",
            "remove accept",
            "remove x-many",
            "remove x-gone",
            // What the viewer says of itself.
            "remove cloudfront-viewer-country",
            "remove cookie"
        ]
    );
    assert_eq!(edits("/each").await, ["remove x-many", "remove x-gone"]);
    assert_eq!(edits("/spread").await, ["set x-a: 1"]);
}

#[tokio::test]
async fn fields_that_are_listed_late_are_in_the_order_of_the_request() {
    let RequestVerdict::Respond(response) = FUNCTIONS.viewer_request(asking("/order")).await.verdict.unwrap() else {
        panic!("no response")
    };
    assert_eq!(
        response.body,
        "host=site.test accept=changed x-many=one,two cloudfront-viewer-address=192.0.2.1:4711 cloudfront-viewer-country=CH x-last=l"
    );
}

#[tokio::test]
async fn a_handler_has_read_what_it_looked_at() {
    for (path, expected) in [
        ("/sets", ""),
        ("/reads", "header accept, header cookie"),
        ("/facts", "device"),
        ("/query", "query"),
        ("/keys", "all headers, device"),
        ("/config", ""),
        ("/config-id", "request id"),
    ] {
        assert_eq!(reads(&HANDLERS, path).await, expected, "{path}");
    }
    let RequestVerdict::Next(edits) = HANDLERS.viewer_request(asking("/sets")).await.verdict.unwrap() else {
        panic!("a response")
    };
    let set = RequestEdit::Header(HeaderEdit::Set("x-a".parse().unwrap(), "1".parse().unwrap()));
    assert_eq!(edits[..], [RequestEdit::Query(Some("q=1".into())), set]);
}

#[tokio::test]
async fn at_response_stages_looks_at_the_request_are_told_too() {
    let answered = Call { response: Some(Box::new(Response(200, headers(&[])))), ..asking("/reads") };
    let done = HANDLERS.origin_response(answered).await;
    assert_eq!(HANDLERS.stages()[2], Stage::OriginResponse);
    assert_eq!(done.verdict.unwrap()[..], []);
    assert_eq!(words(&done.report.reads.unwrap()), "header accept, header cookie");
}
