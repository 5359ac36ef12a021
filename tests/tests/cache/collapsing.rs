//! Concurrent misses become one fetch.

use std::time::Duration;

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw::{Raw, Response, get};
use edgeweir_tests::wait::until;
use tokio::task::JoinSet;

use crate::support::{cache_status, is_hit};

const VIEWERS: usize = 50;

fn crowd(edge: &TestEdge, target: &'static str) -> JoinSet<Response> {
    let address = edge.address();
    let mut tasks = JoinSet::new();
    for _ in 0..VIEWERS {
        tasks.spawn(async move { get(address, HOST, target, &[]).await });
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn many_viewers_of_one_object_make_one_fetch() {
    let gate = Gate::new();
    let reply = Reply::new(200, &[("cache-control", "max-age=60")], "body").after(&gate);
    let origin = Origin::start(move |_| reply.clone()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut tasks = crowd(&edge, "/t");
    until("the first fetch", || origin.count() > 0).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(origin.count(), 1, "while the first one waits, no other fetches");
    gate.open();
    while let Some(response) = tasks.join_next().await {
        let response = response.expect("no panic");
        assert_eq!((response.status, response.text().as_str()), (200, "body"));
    }
    assert_eq!(origin.count(), 1);
}

/// RFC 9111, 3.5: what credentials bring is mostly not stored, and whoever sends some may not keep others from the store.
#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_5_credentials_hold_nobody_up() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let reply = Reply::new(200, &[("cache-control", "max-age=60")], "body");
        if request.header("authorization").is_some() { reply.after(&held) } else { reply }
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut personal = edge.connect().await;
    personal.send("GET /t HTTP/1.1\r\nHost: site.test\r\nAuthorization: x\r\n\r\n").await;
    until("the fetch with credentials", || origin.heads() == 1).await;
    let first = edge.get("/t").await;
    assert!(cache_status(&first).contains(&"stored".to_owned()), "{:?}", cache_status(&first));
    assert!(is_hit(&edge.get("/t").await));
    gate.open();
    let answer = personal.response().await;
    assert_eq!((answer.status, cache_status(&answer).contains(&"stored".to_owned())), (200, false));
    assert_eq!(origin.heads(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_viewers_stream_along_with_the_first() {
    let gate = Gate::new();
    let hold = gate.clone();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\ncache-control: max-age=60\r\n\r\nhalf";
    let origin = Origin::start(move |_| {
        Reply::script([Step::Send(head.into()), Step::Hold(hold.clone()), Step::Send("rest".into())])
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut first = edge.connect().await;
    first.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    until("the fetch", || origin.count() == 1).await;
    let mut second = edge.connect().await;
    second.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    // Both see the first half while the origin holds the second.
    for raw in [&mut first, &mut second] {
        let (status, _, _) = edgeweir_tests::wait::deadline("a head", raw.try_head()).await.expect("a head");
        assert_eq!(status, 200);
        assert_eq!(raw.peek_at_least(4).await, b"half");
    }
    gate.open();
    for mut raw in [first, second] {
        let (body, result) = raw.body(edgeweir_tests::wire::Framing::Length(8)).await;
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(body.bytes, b"halfrest");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_of_what_cannot_be_stored_all_get_their_own() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "private")], "mine")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut tasks = crowd(&edge, "/t");
    while let Some(response) = tasks.join_next().await {
        let response = response.expect("no panic");
        assert_eq!((response.status, response.text().as_str()), (200, "mine"));
    }
    assert_eq!(origin.count(), VIEWERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_fetch_fails_nobody_for_good() {
    let origin = hostile::always(hostile::closes_at_once()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut tasks = crowd(&edge, "/t");
    while let Some(response) = tasks.join_next().await {
        assert_eq!(response.expect("no panic").status, 502);
    }
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "fine"));
    assert_eq!(edge.get("/t").await.text(), "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crowd_does_not_wait_for_a_viewer_that_left() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| Reply::new(200, &[("cache-control", "max-age=60")], "body").after(&hold)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut first = Raw::connect(edge.address()).await;
    first.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    until("the first fetch", || origin.count() == 1).await;
    let mut tasks = crowd(&edge, "/t");
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(first);
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    while let Some(response) = tasks.join_next().await {
        assert_eq!(response.expect("no panic").text(), "body");
    }
    assert!(origin.count() <= 3, "{} fetches", origin.count());
}
