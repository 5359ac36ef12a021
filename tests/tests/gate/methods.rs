//! Methods, and `Expect`.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::h2_raw::{Outcome, RawH2};
use edgeweir_tests::http2::Client;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{assert_still_serving, mirrored, passed, refused};

#[tokio::test(flavor = "multi_thread")]
async fn trace_and_unknown_methods_are_405_with_allow() {
    let (edge, origin) = mirrored().await;
    for method in ["TRACE", "get", "Get", "PROPFIND", "FOO", "PRI", "LINK", "M-SEARCH", "GETS"] {
        let case = format!("{method} /t HTTP/1.1\r\nHost: site.test\r\nCookie: secret=1\r\n\r\n");
        let response = refused(&edge, &origin, &[405], case.as_bytes()).await;
        let allow = response.header("allow").unwrap_or_default().to_owned();
        let allowed: Vec<&str> = allow.split(',').map(str::trim).collect();
        assert!(allowed.contains(&"GET") && allowed.contains(&"HEAD"), "Allow: {allow:?} for {method}");
        assert!(!allowed.contains(&method), "Allow: {allow:?} for {method}");
        assert!(!response.text().contains("secret"), "TRACE may not mirror: {}", response.text());
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_is_refused() {
    let (edge, origin) = mirrored().await;
    for target in ["site.test:443", "/t"] {
        let case = format!("CONNECT {target} HTTP/1.1\r\nHost: site.test\r\n\r\n");
        let response = refused(&edge, &origin, &[405], case.as_bytes()).await;
        assert!(response.header("allow").is_some_and(|allow| allow.contains("GET")), "{target}");
        assert!(response.header("x-request-id").is_some(), "{target}");
    }
    let mut raw = RawH2::connect(edge.address()).await;
    raw.headers(1, &[(":method", "CONNECT"), (":authority", "site.test:443")], false).await;
    assert_eq!(raw.outcome(1).await, Outcome::Status(405));
    let mut client = Client::connect(edge.address()).await;
    let connect = http::Request::connect("site.test:443").body(()).expect("a valid request");
    let response = client.request(connect, b"").await;
    assert_eq!((response.status, response.header("allow").is_some()), (405, true));
    for line in edge.log_lines(4).await {
        assert_eq!((&line["status"], &line["method"]), (&405.into(), &"CONNECT".into()), "{line}");
    }
    assert_eq!(origin.heads(), 0);
    // What a tunnel would carry is no request.
    let mut raw = edge.connect().await;
    raw.send("CONNECT site.test:443 HTTP/1.1\r\nHost: site.test\r\n\r\nGET /t HTTP/1.1\r\nHost: site.test\r\n\r\n")
        .await;
    assert_eq!(raw.response().await.status, 405);
    raw.assert_closed().await;
    // The parser below the edge refuses what names two hosts.
    for (target, host) in
        [("127.0.0.1:22", "site.test"), ("site.test:443", "other.test"), ("site.test:443", "user@site.test")]
    {
        let case = format!("CONNECT {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        refused(&edge, &origin, &[400, 405], case.as_bytes()).await;
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_9_1_methods_that_are_no_tokens_are_refused() {
    let (edge, origin) = mirrored().await;
    for method in ["G@T", "G(T", "\"GET\"", "GE,T", "GET:", "G\u{e4}T", "{}"] {
        let case = format!("{method} /t HTTP/1.1\r\nHost: site.test\r\n\r\n");
        refused(&edge, &origin, &[400], case.as_bytes()).await;
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_behavior_allows_only_its_methods() {
    let origin = Origin::mirror().await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "/read/*"
        methods = ["GET", "HEAD"]
        [[distributions.site.behaviors]]
        path = "/dav/*"
        methods = ["GET", "PROPFIND"]
        [[distributions.site.behaviors]]
        path = "*"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    for (method, path, status) in [
        ("GET", "/read/x", 200),
        ("POST", "/read/x", 405),
        ("DELETE", "/read/x", 405),
        ("PROPFIND", "/dav/x", 200),
        ("PROPFIND", "/x", 405),
        ("DELETE", "/x", 200),
    ] {
        let response = edge.request(method, path, &[("Connection", "close")], b"").await;
        assert_eq!(response.status, status, "{method} {path}");
        if status == 405 {
            assert!(response.header("allow").is_some_and(|allow| allow.contains("GET")), "{method} {path}");
        }
    }
    assert_eq!(origin.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_10_1_1_expectations_but_100_continue_are_417() {
    let (edge, origin) = mirrored().await;
    for expect in ["foo", "200-ok", "100-continue, foo", "100-continue=1"] {
        let case = format!("POST /t HTTP/1.1\r\nHost: site.test\r\nExpect: {expect}\r\nContent-Length: 3\r\n\r\nabc");
        refused(&edge, &origin, &[417], case.as_bytes()).await;
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_10_1_1_a_viewer_that_expects_100_continue_gets_it() {
    let (edge, origin) = mirrored().await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    let first = raw.peek_at_least(12).await;
    assert!(first.starts_with(b"HTTP/1.1 100"), "{:?}", String::from_utf8_lossy(&first));
    raw.send("abc").await;
    let response = raw.response().await;
    assert_eq!((response.status, response.interim.len()), (200, 1));
    assert_eq!(origin.only_request().body.bytes, b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_gets_its_answer_instead_of_100_continue() {
    let origin = Origin::start(|_| Reply::ok("")).await;
    let config = r#"
        [gate]
        max_body = "1KiB"
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: 4096\r\n\r\n").await;
    let response = raw.response().await;
    assert_eq!((response.status, response.interim.len()), (413, 0));
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_methods_pass() {
    let (edge, origin) = mirrored().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let case =
            format!("{method} /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
        let (_, received) = passed(&edge, &origin, case).await;
        assert_eq!((received.method(), received.body.bytes.as_slice()), (method, b"hi".as_slice()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_2_max_forwards_of_options_is_counted_down() {
    let (edge, origin) = mirrored().await;
    for (hops, arrives) in [("3", Some("2")), ("1", Some("0")), ("0", None), ("x", Some("x"))] {
        let before = origin.heads();
        let response = edge.request("OPTIONS", "/t", &[("max-forwards", hops)], b"").await;
        match arrives {
            Some(rest) => {
                let requests = origin.requests();
                assert_eq!(requests.last().expect("one").header("max-forwards"), Some(rest), "{hops}");
            }
            None => {
                assert_eq!((response.status, origin.heads()), (204, before));
                assert!(response.header("allow").is_some());
            }
        }
    }
    edge.request("GET", "/t", &[("max-forwards", "0")], b"").await;
    assert_eq!(origin.requests().last().expect("one").header("max-forwards"), Some("0"), "GET knows it not");
}
