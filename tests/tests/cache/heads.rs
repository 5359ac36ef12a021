//! HEAD: answered from what a GET stored, asked with GET where the answer may be stored, and what one that went out as HEAD
//! says of what is stored (RFC 9111, section 4.3.5).

use std::time::Duration;

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::get;
use edgeweir_tests::wait::until;

use crate::support::{is_hit, let_expire, with_policy};

/// Stores an object for a second, lets a refresh of it hang at the origin, and has a HEAD give up waiting for that and go out
/// by itself: the origin answers it with these fields. Then the refresh fails. Gives the edge and its origin.
async fn after_a_head(answer: &'static [(&'static str, &'static str)]) -> (TestEdge, Origin) {
    let stored = [("cache-control", "max-age=1"), ("etag", "\"v1\""), ("x-a", "old")];
    let origin = Origin::start(move |_| Reply::new(200, &stored, "body")).await;
    let edge = with_policy(&origin, "collapse = \"100ms\"\nstale_if_error = \"1h\"").await;
    edge.get("/t").await;
    let_expire().await;
    let gate = Gate::new();
    let hold = gate.clone();
    origin.answer(move |request| match request.method() {
        "HEAD" => {
            let fields: String = answer.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            Reply::raw(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"))
        }
        _ => Reply::new(500, &[], "").after(&hold),
    });
    let address = edge.address();
    let refresh = tokio::spawn(async move { get(address, HOST, "/t", &[]).await });
    until("the refresh", || origin.count() == 2).await;
    let head = edge.request("HEAD", "/t", &[], b"").await;
    assert_eq!(head.status, 200);
    assert_eq!(origin.requests().last().map(|request| request.method().to_owned()).as_deref(), Some("HEAD"));
    gate.open();
    refresh.await.expect("no panic");
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "new"));
    (edge, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_5_a_head_about_the_stored_answer_freshens_it() {
    let (edge, origin) =
        after_a_head(&[("cache-control", "max-age=60"), ("etag", "\"v1\""), ("content-length", "4"), ("x-a", "new")])
            .await;
    let count = origin.count();
    let hit = edge.get("/t").await;
    assert!(is_hit(&hit));
    assert_eq!((hit.text().as_str(), hit.header("x-a")), ("body", Some("new")));
    for name in ["via", "cache-status", "x-request-id", "content-length"] {
        assert_eq!(hit.header_all(name).len(), 1, "{name}");
    }
    assert_eq!(origin.count(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_5_a_head_about_another_answer_leaves_it_stale() {
    for answer in [
        &[("cache-control", "max-age=60"), ("etag", "\"v2\""), ("content-length", "4")][..],
        &[("cache-control", "max-age=60"), ("etag", "\"v1\""), ("content-length", "5")],
        &[("cache-control", "max-age=60"), ("content-length", "5")],
        &[("cache-control", "no-store"), ("etag", "\"v1\"")],
    ] {
        let (edge, origin) = after_a_head(answer).await;
        let count = origin.count();
        assert_eq!(edge.get("/t").await.text(), "new", "{answer:?}");
        assert_eq!(origin.count(), count + 1, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_5_a_fresh_answer_of_which_a_head_says_otherwise_is_stale() {
    // Two fetches at once, as nobody waits: what the one brings is stored, and then what the other brings cannot be. So the key
    // is remembered, and the HEAD that follows is not looked up.
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| Reply::new(200, &[("cache-control", "private")], "mine").after(&hold)).await;
    let edge = with_policy(&origin, "collapse = \"0s\"").await;
    let address = edge.address();
    let first = tokio::spawn(async move { get(address, HOST, "/t", &[]).await });
    until("the first fetch", || origin.count() == 1).await;
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=600"), ("etag", "\"v1\"")], "body"));
    edge.get("/t").await;
    assert!(is_hit(&edge.get("/t").await));
    gate.open();
    assert_eq!(first.await.expect("no panic").text(), "mine");
    origin.answer(|request| match request.method() {
        "HEAD" => {
            Reply::raw("HTTP/1.1 200 OK\r\ncache-control: max-age=600\r\netag: \"v2\"\r\ncontent-length: 3\r\n\r\n")
        }
        _ => Reply::new(200, &[("cache-control", "max-age=600"), ("etag", "\"v2\"")], "new"),
    });
    assert_eq!(edge.request("HEAD", "/t", &[], b"").await.header("etag"), Some("\"v2\""));
    assert_eq!(edge.get("/t").await.text(), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_9_3_2_a_head_that_may_be_stored_is_asked_with_get() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "body")).await;
    let edge = with_policy(&origin, "").await;
    let head = edge.request("HEAD", "/t", &[], b"").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("4")));
    assert_eq!(origin.only_request().method(), "GET");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(edge.get("/t").await.text(), "body");
    assert_eq!(origin.count(), 1);
}
