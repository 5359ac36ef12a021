//! Requests that hooks send by themselves.

use std::time::Duration;

use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::h2_origin::H2Origin;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::wait::until;

use crate::support::bound;

/// A config with the guest, which may ask `api`, and not `main`.
fn asking(api: &str, binding: &str, hook: &str) -> String {
    format!(
        "[origins.main]\nurl = \"http://127.0.0.1:9\"\n[origins.api]\n{api}\n\
         [hooks.fetch]\nfile = \"{{guest:fetch}}\"\n{hook}\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n{}",
        bound("viewer-request", &format!("{{ hook = \"fetch\", {binding} }}"))
    )
}

const LISTED: &str = "fetch = [\"api\"]";
const PATIENT: &str = "timeout = \"5s\"";

async fn edge(origin: &Origin) -> TestEdge {
    TestEdge::start(&asking("url = \"http://{origin}\"", LISTED, PATIENT), &origin.address()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_asks_an_origin_and_gets_the_whole_answer() {
    let origin = Origin::start(|_| Reply::new(201, &[("x-a", "1"), ("connection", "keep-alive")], "made")).await;
    let api = "url = \"http://{origin}/v1\"\nheaders = { x-token = \"s3cret\" }";
    let edge = TestEdge::start(&asking(api, LISTED, PATIENT), &origin.address()).await;
    for turn in 0..5 {
        let answer = edge.get("/?origin=api&target=/members%3Fid=7&header=x-b:2").await.text();
        assert!(answer.starts_with("201 Created 4 ") && answer.ends_with(" made"), "{turn}: {answer}");
        assert!(answer.contains("x-a") && !answer.contains("connection"), "{answer}");
    }
    let received = origin.requests().remove(0);
    assert_eq!((received.method(), received.target()), ("GET", "/v1/members?id=7"));
    assert_eq!(received.header("host"), Some(origin.address().as_str()));
    assert_eq!((received.header("x-token"), received.header("x-b")), (Some("s3cret"), Some("2")));
    assert_eq!((received.header("content-length"), received.header("x-request-id")), (None, None));
    assert!(origin.connections() <= 2, "{} connections for 5 requests", origin.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_methods_are_sent_as_they_are() {
    let origin = Origin::start(|request| Reply::new(200, &[("x-method", request.method())], &request.body.bytes)).await;
    let edge = edge(&origin).await;
    for (method, bytes) in [("POST", 100_000), ("PUT", 1), ("POST", 0), ("DELETE", 0), ("HEAD", 0), ("PATCH", 1 << 20)]
    {
        let answer = edge.get(&format!("/?origin=api&method={method}&bytes={bytes}")).await.text();
        assert!(answer.starts_with(&format!("200 OK {bytes} ")), "{method} {bytes}: {answer}");
        let received = origin.requests().pop().expect("a request");
        assert_eq!((received.method(), received.body.length), (method, bytes));
        let length = received.header("content-length");
        assert_eq!(length.is_some(), matches!(method, "POST" | "PUT" | "PATCH"), "{method} {bytes}");
        assert_eq!(received.header("transfer-encoding"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_sent_is_named() {
    let origin = Origin::hello().await;
    let edge = edge(&origin).await;
    for (query, words) in [
        ("origin=main", "the binding does not let the hook ask the origin \"main\": add it to `fetch`"),
        ("origin=none", "the binding does not let the hook ask the origin \"none\""),
        ("origin=api&header=host:other.test", "this header is read-only at this stage: \"host\""),
        ("origin=api&header=content-length:3", "this header is read-only at this stage: \"content-length\""),
        ("origin=api&header=transfer-encoding:chunked", "\"transfer-encoding\""),
        ("origin=api&header=connection:close", "hooks may not set this header: \"connection\""),
        ("origin=api&header=te:trailers", "\"te\""),
        ("origin=api&header=upgrade:h2c", "\"upgrade\""),
        ("origin=api&method=CONNECT", "not a method that can be sent"),
        ("origin=api&bytes=1048577", "1048577 bytes"),
    ] {
        let answer = edge.get(&format!("/?{query}")).await.text();
        assert!(answer.starts_with("error: ") && answer.contains(words), "{query}: {answer}");
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_not_granted_is_refused() {
    for (binding, words) in [
        ("on_failure = \"open\"", "imports `fetch`, which its binding does not grant"),
        ("fetch = [\"apx\"]", "unknown origin `apx`"),
    ] {
        let text = asking("url = \"http://{origin}\"", binding, PATIENT);
        let shown = Setup::new(&text).set("origin", "127.0.0.1:9").try_start().await.err().expect("it does not start");
        assert!(shown.contains(words), "{shown}");
    }
    let text = asking("url = \"http://{origin}\"", "fetch = []", PATIENT);
    let edge = TestEdge::start(&text, "127.0.0.1:9").await;
    let answer = edge.get("/?origin=api").await.text();
    assert!(answer.contains("add `fetch = [\"NAME\"]` to the binding"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_origin_are_errors_for_the_hook() {
    for (reply, words) in [
        (hostile::closes_at_once(), "origin `api` broke off, or sent what is no answer"),
        (hostile::garbage(), "origin `api` broke off, or sent what is no answer"),
        (hostile::short_body(), "origin `api` broke off, or sent what is no answer"),
        (hostile::bad_chunk(), "origin `api` broke off, or sent what is no answer"),
        (hostile::endless_interim(), "origin `api` "),
        (hostile::huge_head(), "origin `api` "),
    ] {
        let origin = hostile::always(reply.clone()).await;
        let answer = edge(&origin).await.get("/?origin=api").await.text();
        assert!(answer.starts_with(&format!("error: {words}")), "{reply:?}: {answer}");
    }
    let refused = asking("url = \"http://{origin}\"", LISTED, PATIENT);
    let edge = TestEdge::start(&refused, &hostile::refused().await).await;
    assert_eq!(edge.get("/?origin=api").await.text(), "error: origin `api` takes no connection");
    let silent = hostile::always(hostile::silent()).await;
    let api = "url = \"http://{origin}\"\nread_timeout = \"100ms\"";
    let edge = TestEdge::start(&asking(api, LISTED, PATIENT), &silent.address()).await;
    assert_eq!(edge.get("/?origin=api").await.text(), "error: origin `api` did not answer in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed_and_answers_have_a_limit() {
    let origin = Origin::start(|request| match request.target() {
        "/redirect" => Reply::new(302, &[("location", "/other")], ""),
        "/exact" => Reply::new(200, &[], vec![b'x'; 1000]),
        "/over" => Reply::new(200, &[], vec![b'x'; 1001]),
        _ => Reply::raw(format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
            "x".repeat(1001)
        )),
    })
    .await;
    let text = asking("url = \"http://{origin}\"", "fetch = [\"api\"], fetch_max = \"1KB\"", PATIENT);
    let edge = TestEdge::start(&text, &origin.address()).await;
    assert!(edge.get("/?origin=api&target=/redirect").await.text().starts_with("302 Found 0 "));
    assert!(edge.get("/?origin=api&target=/exact").await.text().starts_with("200 OK 1000 "));
    for target in ["/over", "/chunks"] {
        let answer = edge.get(&format!("/?origin=api&target={target}")).await.text();
        assert_eq!(answer, "error: the answer of origin `api` is over `fetch_max`, 1000 bytes", "{target}");
    }
    assert_eq!(origin.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_unless_the_origin_says_otherwise() {
    let certified = Authority::new().issue(&["127.0.0.1"]);
    let origin = H2Origin::echo(Some(certified.acceptor(&["h2"]))).await;
    let strict = asking("url = \"https://{origin}\"\nhttp = \"h2\"", LISTED, PATIENT);
    let edge = TestEdge::start(&strict, &origin.address()).await;
    assert_eq!(edge.get("/?origin=api").await.text(), "error: origin `api` cannot be trusted: TLS failed");
    let lax = asking("url = \"https://{origin}\"\nhttp = \"h2\"\nverify_tls = false", LISTED, PATIENT);
    let edge = TestEdge::start(&lax, &origin.address()).await;
    for bytes in [0, 50_000] {
        let answer = edge.get(&format!("/?origin=api&method=POST&bytes={bytes}")).await.text();
        assert!(answer.starts_with(&format!("200 OK {bytes} ")), "{answer}");
    }
    let received = origin.requests().remove(0);
    assert_eq!((received.scheme.as_deref(), received.target.as_str()), (Some("https"), "/asked"));
    assert_eq!(received.authority.as_deref(), Some(origin.address().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_origin_ends_with_the_hooks_time_and_leaves_nothing() {
    // It says nothing, and hears when the connection ends.
    let origin = hostile::always(Reply::script([Step::Echo])).await;
    let text = asking("url = \"http://{origin}\"", LISTED, "timeout = \"150ms\"\nmax_concurrent = 2");
    let edge = TestEdge::start(&text, &origin.address()).await;
    let began = std::time::Instant::now();
    let asked = (0..6).map(|_| edge.get("/?origin=api"));
    let statuses: Vec<u16> = futures_util::future::join_all(asked).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [503; 6]);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Two at a time: of the others, those that waited too long were never called.
    assert!(origin.connections() <= 4, "{} connections", origin.connections());
    until("the connections are dropped", || origin.open_connections() == 0).await;
    let timeouts = edge.metric("edgeweir_hook_calls_total", &["verdict=\"timeout\""]).await;
    let crowded = edge.metric("edgeweir_hook_calls_total", &["verdict=\"overloaded\""]).await;
    assert_eq!(timeouts + crowded, 6.0);
    assert!(timeouts >= 2.0, "{timeouts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_has_computed_for_long_still_asks() {
    let origin = Origin::hello().await;
    let edge = edge(&origin).await;
    for work in ["0", "30000000", "0", "30000000"] {
        let answer = edge.get(&format!("/?origin=api&work={work}")).await.text();
        assert!(answer.starts_with("200 OK 5 "), "{work}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_origin_closed_in_the_meantime_is_no_error() {
    let origin = Origin::start(|_| Reply::ok("hello").then_close()).await;
    let edge = edge(&origin).await;
    for (turn, method) in ["GET", "GET", "POST", "GET", "POST", "POST"].into_iter().enumerate() {
        let answer = edge.get(&format!("/?origin=api&method={method}")).await.text();
        assert!(answer.starts_with("200 OK 5 "), "{turn}: {answer}");
    }
    assert_eq!(origin.count(), 6, "nothing was sent twice");
}
