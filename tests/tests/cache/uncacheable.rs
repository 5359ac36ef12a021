//! Keys that are remembered because their last answer could not be stored: they are not looked up, and nobody waits for
//! another's fetch of them.

use std::sync::atomic::{AtomicBool, Ordering};

use edgeweir_tests::origin::{Origin, Reply};
use serde_json::json;

use crate::support::{cache_status, is_hit, tells, with_policy};

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
