//! Keys that are remembered because their last answer could not be stored: they are not looked up, and nobody waits for
//! another's fetch of them.

use std::sync::atomic::{AtomicBool, Ordering};

use edgeweir_tests::origin::{Origin, Reply};
use serde_json::json;

use crate::support::{cache_status, is_hit, let_expire, tells, with_policy};

static CACHEABLE: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

/// An origin that shows the query and the cookies that it got. Its answers can be stored once the switch is on.
async fn showing(switch: usize) -> Origin {
    Origin::start(move |request| {
        let told = if CACHEABLE[switch].load(Ordering::SeqCst) { "max-age=600" } else { "private" };
        let body = format!("{} {}", request.target(), request.header("cookie").unwrap_or("no cookie"));
        Reply::new(200, &[("cache-control", told), ("cache-tag", "red")], body)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_never_sees_what_is_not_in_the_key() {
    let origin = showing(0).await;
    let edge = with_policy(&origin, "query = [\"page\"]").await;
    let alice = [("Cookie", "user=alice")];
    for _ in 0..3 {
        assert_eq!(edge.get_with("/t?page=1&x=2", &alice).await.text(), "/t?page=1 no cookie");
    }
    CACHEABLE[0].store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(edge.get_with("/t?page=1&x=2", &alice).await.text(), "/t?page=1 no cookie");
    }
    assert!(is_hit(&edge.get("/t?page=1").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_cacheable_is_stored_the_next_time_with_all_that_belongs_to_it() {
    let origin = showing(1).await;
    let edge = with_policy(&origin, "").await;
    for _ in 0..2 {
        assert!(!tells(&edge.get("/t").await, "stored"));
    }
    CACHEABLE[1].store(true, Ordering::SeqCst);
    assert!(tells(&edge.get("/t").await, "fwd=bypass"), "this one was not looked up");
    let stored = edge.get("/t").await;
    assert!(tells(&stored, "stored") && tells(&stored, "fwd=uri-miss"), "{:?}", cache_status(&stored));
    let hit = edge.get("/t").await;
    assert!(is_hit(&hit));
    for name in ["via", "x-request-id"] {
        assert_eq!(hit.header_all(name).len(), 1, "{name}");
    }
    assert_eq!(hit.header("cache-tag"), None);
    edge.purge(&json!({ "tags": ["red"], "distribution": "site" })).await;
    assert!(!is_hit(&edge.get("/t").await), "its tags were stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_1_7_only_if_cached_asks_no_origin() {
    let origin = showing(2).await;
    let edge = with_policy(&origin, "").await;
    edge.get("/t").await;
    assert_eq!(edge.get_with("/t", &[("Cache-Control", "only-if-cached")]).await.status, 504);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_variant_that_may_not_be_stored_leaves_the_others_in_service() {
    for (status, told) in [(503, "max-age=600"), (200, "private"), (429, "max-age=600")] {
        let origin = Origin::start(move |request| match request.header("accept-language") {
            Some("fr") => Reply::new(status, &[("cache-control", if status == 503 { "no-store" } else { told })], "no"),
            _ => Reply::new(200, &[("cache-control", "max-age=600"), ("vary", "accept-language")], "good"),
        })
        .await;
        let edge = with_policy(&origin, "").await;
        let (german, french) = ([("Accept-Language", "de")], [("Accept-Language", "fr")]);
        edge.get_with("/t", &german).await;
        for _ in 0..2 {
            let refused = edge.get_with("/t", &french).await;
            assert_eq!((refused.status, refused.text().as_str()), (status, "no"));
            assert!(cache_status(&refused).iter().any(|word| word.starts_with("detail=")), "the reason is told");
            assert!(is_hit(&edge.get_with("/t", &german).await), "{status} {told}");
        }
        assert_eq!(origin.count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_went_stale_and_may_not_be_stored_any_more_leaves_the_others_in_service() {
    // The first variant has the key of all, without a variance of its own.
    let origin = Origin::start(|request| {
        let told = if request.header("accept-language") == Some("fr") { "max-age=600" } else { "max-age=1" };
        Reply::new(200, &[("cache-control", told), ("vary", "accept-language")], "good")
    })
    .await;
    let edge = with_policy(&origin, "").await;
    let (german, french) = ([("Accept-Language", "de")], [("Accept-Language", "fr")]);
    edge.get_with("/t", &german).await;
    edge.get_with("/t", &french).await;
    let_expire().await;
    origin.answer(|_| Reply::new(200, &[("cache-control", "private"), ("vary", "accept-language")], "mine"));
    assert_eq!(edge.get_with("/t", &german).await.text(), "mine");
    assert!(is_hit(&edge.get_with("/t", &french).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_origin_does_not_end_the_time_in_which_a_stale_object_answers() {
    for status in [503, 429] {
        let told = [("cache-control", "s-maxage=1, stale-while-revalidate=600")];
        let origin = Origin::start(move |_| Reply::new(200, &told, "good")).await;
        let edge = with_policy(&origin, "").await;
        edge.get("/t").await;
        let_expire().await;
        origin.answer(move |_| Reply::new(status, &[], "bad"));
        for _ in 0..200 {
            let stale = edge.get("/t").await;
            assert_eq!((stale.status, stale.text().as_str()), (200, "good"), "{status}");
            assert!(tells(&stale, "detail=stale-while-revalidate"), "{:?}", cache_status(&stale));
            if origin.count() > 3 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(origin.count() > 3, "it was fetched again behind them, and again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_asks_for_a_check_does_not_take_a_fresh_object_out_of_service() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=600")], "good")).await;
    let edge = with_policy(&origin, "viewer_directives = \"honour\"").await;
    edge.get("/t").await;
    origin.answer(|_| Reply::new(404, &[("cache-control", "no-store")], "bad"));
    let checked = edge.get_with("/t", &[("Cache-Control", "no-cache")]).await;
    assert_eq!((checked.status, tells(&checked, "detail=no-store")), (404, true), "{:?}", cache_status(&checked));
    assert!(is_hit(&edge.get("/t").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_at_the_origin_does_not_answer_stale_any_more() {
    for vary in ["accept-language", "x-other"] {
        let origin = Origin::start(move |request| {
            let french = request.header("accept-language") == Some("fr");
            let told = if french { "max-age=600" } else { "max-age=1, stale-while-revalidate=600, stale-if-error=600" };
            Reply::new(200, &[("cache-control", told), ("vary", vary)], "old")
        })
        .await;
        let edge = with_policy(&origin, "").await;
        let (german, french) = ([("Accept-Language", "de")], [("Accept-Language", "fr")]);
        edge.get_with("/t", &german).await;
        edge.get_with("/t", &french).await;
        let_expire().await;
        origin.answer(|_| Reply::new(404, &[("cache-control", "max-age=0")], "gone"));
        let mut status = 200;
        for _ in 0..200 {
            status = edge.get_with("/t", &german).await.status;
            if status == 404 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(status, 404, "{vary}");
        origin.answer(|_| Reply::new(503, &[], "down"));
        assert_eq!(edge.get_with("/t", &german).await.status, 503, "{vary}: the old answer covers no failure either");
        if vary == "accept-language" {
            assert!(is_hit(&edge.get_with("/t", &french).await), "another variant is another matter");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_outdated_by_an_answer_that_is_not_stored_does_not_come_back() {
    let told = [("cache-control", "max-age=1, stale-while-revalidate=600")];
    let origin = Origin::start(move |_| Reply::new(200, &told, "first")).await;
    let edge = with_policy(&origin, "").await;
    edge.get("/t").await;
    let_expire().await;
    origin.answer(|_| Reply::new(200, &[("cache-control", "private")], "second"));
    for _ in 0..200 {
        if edge.get("/t").await.text() == "second" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=600")], "third"));
    for _ in 0..3 {
        assert_eq!(edge.get("/t").await.text(), "third");
    }
}
