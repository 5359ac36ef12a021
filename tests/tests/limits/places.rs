//! Who has its whole answer has left its place: the next request, over whatever connection, is never refused for that one.

use edgeweir_tests::edge::{HOST, Setup};
use edgeweir_tests::http2::Client;
use edgeweir_tests::origin::{Origin, Reply};
use http::Request;

const CONFIG: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/stored/*"
    concurrency = 1
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
    concurrency = 1
"#;

type Fields = &'static [(&'static str, &'static str)];

/// Two rounds of the edge's threads would find a place that is left too late within a few of these.
const ROUNDS: usize = 40;

async fn origin() -> Origin {
    Origin::start(|request| match request.target() {
        "/chunked" => Reply::chunked(200, &[], &["a", "bc"]),
        "/nothing" => Reply::new(204, &[], ""),
        "/empty" => Reply::ok(""),
        "/large" => Reply::large(&[], 300_000),
        target if target.starts_with("/stored/") => {
            Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"one\"")], "0123456789")
        }
        _ => Reply::ok("hello"),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_over_holds_no_place() {
    let origin = origin().await;
    let edge = Setup::new(CONFIG).set("origin", &origin.address()).start().await;
    let cases: [(&str, &str, Fields, u16); 10] = [
        ("GET", "/plain", &[], 200),
        ("POST", "/plain", &[], 200),
        ("HEAD", "/plain", &[], 200),
        ("GET", "/chunked", &[], 200),
        ("GET", "/nothing", &[], 204),
        ("GET", "/empty", &[], 200),
        ("GET", "/large", &[], 200),
        ("GET", "/stored/a", &[], 200),
        ("GET", "/stored/a", &[("range", "bytes=2-4")], 206),
        ("GET", "/stored/a", &[("if-none-match", "\"one\"")], 304),
    ];
    for _ in 0..ROUNDS {
        for (method, target, headers, status) in cases {
            // Each over a connection of its own.
            let answer = edge.request(method, target, headers, b"").await;
            assert_eq!(answer.status, status, "{method} {target} {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_over_http2() {
    let origin = origin().await;
    let edge = Setup::new(CONFIG).set("origin", &origin.address()).start().await;
    let mut clients = [Client::connect(edge.address()).await, Client::connect(edge.address()).await];
    for round in 0..ROUNDS {
        for target in ["/plain", "/chunked", "/nothing", "/empty", "/large", "/stored/a"] {
            let uri = format!("http://{HOST}{target}");
            let request = Request::get(uri).body(()).expect("a request");
            let answer = clients[round % 2].try_request(request, b"").await.expect("an answer");
            assert!(answer.status == 200 || answer.status == 204, "{target}: {}", answer.status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_a_refusal_or_an_answer_of_the_edge() {
    // Nobody listens there.
    let edge = Setup::new(CONFIG).set("origin", "127.0.0.1:1").start().await;
    for _ in 0..ROUNDS {
        assert_eq!(edge.get("/plain").await.status, 502);
    }
}
