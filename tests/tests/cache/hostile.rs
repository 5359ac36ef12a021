//! An origin that dies, lies or trickles: nothing of it is ever served as whole, and nobody waits for it for long.

use std::time::Duration;

use edgeweir_tests::edge::HOST;
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw::get;
use edgeweir_tests::wait::until;

use crate::support::{is_hit, let_expire, with_policy};

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_while_a_stale_object_is_replaced_does_not_replace_it() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=1"), ("etag", "\"v1\"")], "old")).await;
    let edge = with_policy(&origin, "").await;
    edge.get("/t").await;
    origin.answer(|_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncache-control: max-age=60\r\netag: \"v2\"\r\n\r\nhalf";
        Reply::raw(head).then_close()
    });
    let_expire().await;
    let mut raw = edge.connect().await;
    raw.send(format!("GET /t HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let cut = edgeweir_tests::wait::deadline("an answer or its end", raw.try_response_to("GET")).await;
    assert!(cut.is_err() || cut.is_ok_and(|response| response.status == 502), "half is no whole");
    origin.answer(|request| {
        assert_eq!(request.header("if-none-match"), Some("\"v1\""), "the old one is still there");
        Reply::new(304, &[("cache-control", "max-age=60")], "")
    });
    assert_eq!(edge.get("/t").await.text(), "old");
    assert_eq!(edge.get("/t").await.text(), "old");
    assert_eq!(origin.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_the_length_says_reach_nobody() {
    let origin = Origin::start(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncache-control: max-age=60\r\n\r\nfour and more")
            .then_close()
    })
    .await;
    let edge = with_policy(&origin, "").await;
    for _ in 0..2 {
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (200, "four"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_after_another_was_stored_updates_only_what_it_is_about() {
    // The first check takes long; meanwhile the object is replaced by a request with a body in the way of collapsing.
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=1"), ("etag", "\"v1\"")], "old")).await;
    let edge = with_policy(&origin, "collapse = \"0s\"").await;
    edge.get("/t").await;
    let_expire().await;
    let slow = std::sync::atomic::AtomicBool::new(true);
    origin.answer(move |_| {
        if slow.swap(false, std::sync::atomic::Ordering::SeqCst) {
            Reply::new(304, &[("cache-control", "max-age=60"), ("etag", "\"v1\""), ("x-a", "late")], "").after(&hold)
        } else {
            Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"v2\"")], "new")
        }
    });
    let address = edge.address();
    let first = tokio::spawn(async move { get(address, HOST, "/t", &[]).await });
    until("the slow check", || origin.count() == 2).await;
    assert_eq!(edge.get("/t").await.text(), "new");
    gate.open();
    assert_eq!(first.await.expect("no panic").text(), "old", "its own answer");
    let hit = edge.get("/t").await;
    assert_eq!((hit.text().as_str(), hit.header("etag"), hit.header("x-a")), ("new", Some("\"v2\""), None));
    assert!(is_hit(&hit));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_first_fetch_does_not_hold_everyone() {
    let gate = Gate::new();
    let hold = gate.clone();
    let first = std::sync::atomic::AtomicBool::new(true);
    let origin = Origin::start(move |_| {
        let reply = Reply::new(200, &[("cache-control", "max-age=60")], "body");
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) { reply.after(&hold) } else { reply }
    })
    .await;
    let edge = with_policy(&origin, "collapse = \"300ms\"").await;
    let address = edge.address();
    let slow = tokio::spawn(async move { get(address, HOST, "/t", &[]).await });
    until("the slow fetch", || origin.count() == 1).await;
    let started = std::time::Instant::now();
    assert_eq!(edge.get("/t").await.text(), "body");
    assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
    gate.open();
    assert_eq!(slow.await.expect("no panic").text(), "body");
    assert_eq!(edge.log_lines(1).await[0]["cache_why"], "lock-timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn uncacheable_keys_are_remembered_and_wait_for_nobody() {
    let gate = Gate::new();
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "private")], "mine")).await;
    let edge = with_policy(&origin, "collapse = \"1m\"").await;
    edge.get("/t").await;
    let hold = gate.clone();
    origin.answer(move |_| Reply::new(200, &[("cache-control", "private")], "mine").after(&hold));
    let address = edge.address();
    let mut viewers = tokio::task::JoinSet::new();
    for _ in 0..5 {
        viewers.spawn(async move { get(address, HOST, "/t", &[]).await });
    }
    until("a fetch for each viewer", || origin.count() == 6).await;
    gate.open();
    while let Some(response) = viewers.join_next().await {
        assert_eq!(response.expect("no panic").text(), "mine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_stored_when_it_is_whole() {
    let gate = Gate::new();
    let hold = gate.clone();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\ncache-control: max-age=60\r\n\r\nhalf";
    let origin = Origin::start(move |_| {
        Reply::script([Step::Send(head.into()), Step::Hold(hold.clone()), Step::Send("rest".into())])
    })
    .await;
    let edge = with_policy(&origin, "").await;
    let address = edge.address();
    let first = tokio::spawn(async move { get(address, HOST, "/t", &[]).await });
    until("the fetch", || origin.count() == 1).await;
    let second = tokio::spawn(async move { get(address, HOST, "/t", &[]).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    for viewer in [first, second] {
        assert_eq!(viewer.await.expect("no panic").text(), "halfrest");
    }
    assert!(is_hit(&edge.get("/t").await));
    assert_eq!(origin.count(), 1);
}
