use std::time::Duration;

use edgeweir_hookhost::{CallReport, GeneratedResponse, OriginFacts};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::*;

fn lambda() -> Value {
    json!({"Records": [{"cf": {
        "config": {"distributionId": "E1", "eventType": "viewer-request", "requestId": "abc=="},
        "request": {
            "clientIp": "203.0.113.7", "method": "GET", "uri": "/a", "querystring": "x=1",
            "headers": {
                "host": [{"key": "Host", "value": "www.example.com"}],
                "x-iD": [{"key": "X-ID", "value": "1"}, {"key": "X-ID", "value": "2"}],
                "cloudfront-viewer-country": [{"key": "CloudFront-Viewer-Country", "value": "CH"}],
            },
        },
    }}]})
}

fn functions() -> Value {
    json!({
        "version": "1.0",
        "context": {"distributionId": "E1", "eventType": "viewer-request", "requestId": "abc=="},
        "viewer": {"ip": "203.0.113.7"},
        "request": {
            "method": "GET", "uri": "/a",
            "querystring": {"id": {"value": "1"}, "t": {"value": "x", "multiValue": [{"value": "x"}, {"value": "y"}]}},
            "headers": {"host": {"value": "www.example.com"}},
            "cookies": {"s": {"value": "1"}, "t": {"value": "2"}},
        },
    })
}

fn outcome(input: Input, decision: Decision) -> Outcome {
    Outcome {
        body: None,
        decision,
        request: input.request,
        response: input.response.map(|(head, _)| head),
        origin: None,
        note: None,
        cache_key: Vec::new(),
        ttl: None,
        cost: None,
        api_key: None,
        cache_tags: Vec::new(),
        shows: false,
        report: CallReport::default(),
        log: Vec::new(),
    }
}

#[test]
fn an_event_that_nothing_edits_comes_back() {
    let event = Event::read(&functions().to_string()).unwrap();
    let input = event.input().unwrap();
    assert_eq!(input.request.uri, "/a?id=1&t=x&t=y");
    assert_eq!(input.request.headers["cookie"], "s=1; t=2");
    let result = event.result(&outcome(input, Decision::Next)).unwrap();
    assert_eq!(result, json!({ "request": functions()["request"] }));

    let event = Event::read(&lambda().to_string()).unwrap();
    let input = event.input().unwrap();
    assert_eq!((input.facts.viewer.address.to_string().as_str(), &*input.facts.request_id), ("203.0.113.7", "abc=="));
    assert_eq!(input.facts.viewer.geo.as_ref().and_then(|geo| geo.country()), Some("CH"));
    assert_eq!(input.request.headers.get_all("x-id").iter().count(), 2);
    let mut outcome = outcome(input, Decision::Next);
    outcome.request.append_header("x-new-one", "1").unwrap();
    let result = event.result(&outcome).unwrap();
    assert_eq!((&result["uri"], &result["querystring"]), (&json!("/a"), &json!("x=1")));
    assert_eq!(result["headers"]["host"], json!([{"key": "Host", "value": "www.example.com"}]));
    assert_eq!(result["headers"]["x-new-one"], json!([{"key": "X-New-One", "value": "1"}]));
}

/// Also the body, which a hook sees and may replace.
#[test]
fn a_body_of_lambda_at_edge_goes_in_and_out() {
    let mut text = lambda();
    let body = json!({"inputTruncated": false, "action": "read-only", "encoding": "base64", "data": "aGk="});
    text["Records"][0]["cf"]["request"]["body"] = body.clone();
    let event = Event::read(&text.to_string()).unwrap();
    let input = event.input().unwrap();
    assert_eq!(input.body.as_ref().map(|body| body.shown()), Some((&b"hi"[..], false)));
    let mut kept = outcome(input, Decision::Next);
    assert_eq!(event.result(&kept).unwrap()["body"], body);
    kept.body = Some("new".into());
    let replaced = json!({"inputTruncated": false, "action": "replace", "encoding": "text", "data": "new"});
    assert_eq!(event.result(&kept).unwrap()["body"], replaced);
    text["Records"][0]["cf"]["request"]["body"]["data"] = json!("*");
    assert!(Event::read(&text.to_string()).unwrap().input().is_err());
}

#[test]
fn answers_have_the_shape_of_the_event() {
    let answer = || {
        Decision::Respond(GeneratedResponse {
            status: StatusCode::FOUND,
            headers: vec![
                (http::header::LOCATION, HeaderValue::from_static("/b")),
                (http::header::SET_COOKIE, HeaderValue::from_static("id=a; Path=/")),
            ],
            body: "gone".into(),
        })
    };
    let event = Event::read(&lambda().to_string()).unwrap();
    let result = event.result(&outcome(event.input().unwrap(), answer())).unwrap();
    assert_eq!((&result["status"], &result["body"]), (&json!("302"), &json!("gone")));
    assert_eq!(result["headers"]["location"], json!([{"key": "Location", "value": "/b"}]));
    let event = Event::read(&functions().to_string()).unwrap();
    let result = event.result(&outcome(event.input().unwrap(), answer())).unwrap();
    let response = &result["response"];
    assert_eq!((&response["statusCode"], &response["statusDescription"]), (&json!(302), &json!("Found")));
    assert_eq!(response["cookies"], json!({"id": {"value": "a", "attributes": "Path=/"}}));
    assert_eq!(response["body"], json!({"encoding": "text", "data": "gone"}));
}

#[test]
fn responses_of_both_shapes() {
    let mut text = lambda();
    text["Records"][0]["cf"]["config"]["eventType"] = json!("origin-response");
    text["Records"][0]["cf"]["response"] = json!({
        "status": "200", "statusDescription": "Fine", "headers": {"server": [{"key": "Server", "value": "x"}]},
    });
    let event = Event::read(&text.to_string()).unwrap();
    let mut outcome_of_lambda = outcome(event.input().unwrap(), Decision::Next);
    assert_eq!(event.result(&outcome_of_lambda).unwrap(), text["Records"][0]["cf"]["response"]);
    if let Some(head) = &mut outcome_of_lambda.response {
        head.set_status(404).unwrap();
    }
    let result = event.result(&outcome_of_lambda).unwrap();
    assert_eq!((&result["status"], &result["statusDescription"]), (&json!("404"), &json!("Not Found")));

    let mut text = functions();
    text["context"]["eventType"] = json!("viewer-response");
    text["response"] = json!({
        "statusCode": 200, "statusDescription": "OK", "headers": {"server": {"value": "x"}},
        "cookies": {"id": {"value": "a", "attributes": "Path=/; Secure"}},
    });
    let event = Event::read(&text.to_string()).unwrap();
    let result = event.result(&outcome(event.input().unwrap(), Decision::Next)).unwrap();
    assert_eq!(result, json!({ "response": text["response"] }));
}

#[test]
fn what_is_no_event_is_refused() {
    for (text, word) in [
        ("{", "no JSON"),
        ("{}", "no event of AWS"),
        (r#"{"version": "1.0", "context": {}}"#, "context.eventType"),
        (r#"{"version": "1.0", "context": {"eventType": "connect"}}"#, "no stage"),
        (r#"{"version": "1.0", "context": {"eventType": "viewer-request"}}"#, "request.uri"),
    ] {
        let message = format!("{:#}", Event::read(text).and_then(|event| event.input().map(drop)).unwrap_err());
        assert!(message.contains(word), "{text}: {message}");
    }
}

#[test]
fn origins_are_as_the_event_has_them() {
    let mut text = lambda();
    text["Records"][0]["cf"]["config"]["eventType"] = json!("origin-request");
    let mut facts = |origin: Value| {
        text["Records"][0]["cf"]["request"]["origin"] = origin;
        let input = Event::read(&text.to_string()).unwrap().input().unwrap();
        input.origin.map(Arc::unwrap_or_clone)
    };
    let custom = json!({ "domainName": "a.example", "port": 8080, "protocol": "http", "path": "/api", "readTimeout": 31, "keepaliveTimeout": 7 });
    let expected = OriginFacts {
        tls: false,
        port: 8080,
        path_prefix: "/api".into(),
        read_timeout: Duration::from_secs(31),
        keepalive: Duration::from_secs(7),
        ..OriginFacts::named("a.example")
    };
    assert_eq!(facts(json!({ "custom": custom })), Some(expected));
    let bucket = json!({ "domainName": "b.s3.amazonaws.com", "region": "eu-west-1", "path": "", "authMethod": "none" });
    let expected = OriginFacts { region: Some("eu-west-1".into()), ..OriginFacts::named("b.s3.amazonaws.com") };
    assert_eq!(facts(json!({ "s3": bucket })), Some(expected));
    assert_eq!(facts(json!({ "custom": { "domainName": "a.example" } })), Some(OriginFacts::named("a.example")));
    assert_eq!((facts(json!(null)), facts(json!({}))), (None, None));
}
