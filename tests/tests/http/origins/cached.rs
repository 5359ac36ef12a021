//! Groups behind the cache: filling, waiting, checking again, stale objects.

use std::time::Duration;

use edgeweir_tests::gate::Gate;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::wait::until;

use super::{config, two, two_with};

/// Lifetimes have no unit below a second, and `Age` begins at one.
async fn let_expire() {
    tokio::time::sleep(Duration::from_millis(2100)).await;
}

fn unavailable() -> Reply {
    Reply::new(503, &[("cache-control", "max-age=60")], "a's words")
}

fn fresh(cache_control: &'static str, body: &'static str) -> Reply {
    Reply::new(200, &[("cache-control", cache_control), ("etag", "\"1\"")], body)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_member_answers_is_stored_and_the_failure_is_not() {
    for reply in [unavailable(), hostile::resets_at_once(), hostile::silent()] {
        let (a, b) = (hostile::always(reply).await, hostile::always(fresh("max-age=60", "b")).await);
        let edge = two(&a.address(), &b.address()).await;
        assert_eq!(edge.get("/t").await.text(), "b");
        let hit = edge.get("/t").await;
        assert_eq!(hit.text(), "b");
        assert!(hit.header("cache-status").is_some_and(|status| status.contains("hit")), "{hit:?}");
        assert_eq!(edge.request("HEAD", "/t", &[], b"").await.status, 200);
        assert_eq!((a.count(), b.count()), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_fetch_gets_what_the_other_member_answers() {
    let gate = Gate::new();
    let hold = gate.clone();
    let a = Origin::start(move |_| unavailable().after(&hold)).await;
    let b = hostile::always(fresh("max-age=60", "b")).await;
    let edge = two(&a.address(), &b.address()).await;
    let address = edge.address();
    let viewers: Vec<_> = (0..20)
        .map(|_| tokio::spawn(async move { edgeweir_tests::raw::get(address, "site.test", "/t", &[]).await }))
        .collect();
    until("the fetch is on its way", || a.count() == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    for viewer in viewers {
        assert_eq!(viewer.await.expect("no panic").text(), "b");
    }
    assert_eq!((a.count(), b.count()), (1, 1), "one fetch for all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_object_is_checked_with_the_next_member() {
    let (a, b) = (hostile::always(fresh("max-age=1", "one")).await, hostile::always(fresh("max-age=1", "two")).await);
    let edge = two(&a.address(), &b.address()).await;
    assert_eq!(edge.get("/t").await.text(), "one");
    let_expire().await;
    // A stale object could cover it, but there is another origin.
    a.answer(|_| unavailable());
    b.answer(|request| match request.header("if-none-match") {
        Some("\"1\"") => Reply::new(304, &[("etag", "\"1\""), ("cache-control", "max-age=60")], ""),
        _ => Reply::new(500, &[], "not conditional"),
    });
    let checked = edge.get("/t").await;
    assert_eq!((checked.status, checked.text().as_str()), (200, "one"));
    assert_eq!((a.count(), b.count()), (2, 1));
    assert_eq!(edge.get("/t").await.text(), "one");
    assert_eq!((a.count(), b.count()), (2, 1), "it is fresh again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_object_answers_only_if_all_members_fail() {
    for reply in [unavailable(), hostile::resets_at_once(), hostile::silent()] {
        let (a, b) = (hostile::always(fresh("max-age=1", "one")).await, hostile::always(fresh("max-age=1", "b")).await);
        let edge = two_with(&config("failure_memory = \"0s\"", "", ""), &a.address(), &b.address()).await;
        edge.get("/t").await;
        edge.get("/u").await;
        let_expire().await;
        let failing = reply.clone();
        a.answer(move |_| failing.clone());
        assert_eq!(edge.get("/t").await.text(), "b");
        b.answer(move |_| reply.clone());
        let covered = edge.get("/u").await;
        assert_eq!((covered.status, covered.text().as_str()), (200, "one"));
        assert!(covered.header("cache-status").is_some_and(|s| s.contains("stale-if-error")), "{covered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fetch_in_the_background_fails_over_too() {
    let (a, b) = (
        hostile::always(fresh("max-age=1, stale-while-revalidate=60", "one")).await,
        hostile::always(fresh("max-age=60", "two")).await,
    );
    let edge = two(&a.address(), &b.address()).await;
    edge.get("/t").await;
    let_expire().await;
    a.answer(|_| unavailable());
    assert_eq!(edge.get("/t").await.text(), "one", "at once");
    let mut body = String::new();
    for _ in 0..100 {
        body = edge.get("/t").await.text();
        if body == "two" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(body, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_down_when_all_its_members_are() {
    let a = hostile::always(fresh("max-age=1", "one")).await;
    let address = a.address();
    let text = config("failure_memory = \"5m\"", "", "");
    let edge = two_with(&text, &address, &hostile::refused().await).await;
    edge.get("/t").await;
    let_expire().await;
    drop(a);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(edge.get("/t").await.text(), "one");
    let line = edge.log_lines(2).await.remove(1);
    assert_eq!(line["origin_attempts"], 2, "{line}");
    let down = edge.get("/t").await;
    assert!(down.header("cache-status").is_some_and(|status| status.contains("origin-down")), "{down:?}");
}
