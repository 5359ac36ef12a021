//! Conditional requests of viewers, and revalidation with the origin (RFC 9111, section 4.3).

use std::time::Duration;

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{age, cache_status, is_hit, tells};

const MODIFIED: &str = "Thu, 01 Jan 2015 00:00:00 GMT";

async fn tagged(cache_control: &'static str) -> Origin {
    Origin::start(move |request| {
        let headers = [("cache-control", cache_control), ("etag", "\"v1\""), ("last-modified", MODIFIED)];
        if request.header("if-none-match") == Some("\"v1\"") {
            Reply::new(304, &headers, "")
        } else {
            Reply::new(200, &headers, "body")
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_13_viewers_get_304_from_the_cache() {
    let origin = tagged("max-age=60").await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    for (name, value, status) in [
        ("If-None-Match", "\"v1\"", 304),
        ("If-None-Match", "W/\"v1\"", 304),
        ("If-None-Match", "\"v0\", \"v1\"", 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", "\"v2\"", 200),
        ("If-Modified-Since", MODIFIED, 304),
        ("If-Modified-Since", "Fri, 02 Jan 2015 00:00:00 GMT", 304),
        ("If-Modified-Since", "Wed, 31 Dec 2014 00:00:00 GMT", 200),
    ] {
        let response = edge.get_with("/t", &[(name, value)]).await;
        assert_eq!(response.status, status, "{name}: {value}");
        assert_eq!(response.text(), if status == 200 { "body" } else { "" }, "{name}: {value}");
        assert_eq!(response.header("etag"), Some("\"v1\""), "{name}: {value}");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_2_if_match_and_if_unmodified_since_are_for_the_origin() {
    let origin = Origin::start(|request| {
        let headers = [("cache-control", "max-age=60"), ("etag", "\"v1\""), ("last-modified", MODIFIED)];
        match (request.header("if-match"), request.header("if-unmodified-since")) {
            (Some("\"v1\""), _) | (None, None) => match request.header("range") {
                Some(_) => Reply::new(206, &[("etag", "\"v1\""), ("content-range", "bytes 0-1/4")], "bo"),
                None => Reply::new(200, &headers, "body"),
            },
            _ => Reply::new(412, &headers, "other"),
        }
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    let mut count = 0;
    for target in ["/miss", "/hit"] {
        if target == "/hit" {
            edge.get(target).await;
            count += 1;
        }
        for (name, value, more, status, body) in [
            ("If-Match", "\"v1\"", "", 200, "body"),
            ("If-Match", "\"v2\"", "", 412, "other"),
            ("If-Unmodified-Since", MODIFIED, "", 412, "other"),
            ("If-Match", "\"v1\"", "Range: bytes=0-1\r\n", 206, "bo"),
            ("If-Unmodified-Since", MODIFIED, "Range: bytes=0-1\r\n", 412, "other"),
        ] {
            raw.send(format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n{name}: {value}\r\n{more}\r\n")).await;
            let response = raw.response_to("GET").await;
            count += 1;
            assert_eq!((response.status, response.text().as_str()), (status, body), "{target} {name}: {value} {more}");
            assert!(tells(&response, "fwd=bypass"), "{:?}", cache_status(&response));
            assert_eq!(origin.count(), count, "{target} {name}: {value} {more}");
            let asked = origin.requests().pop().expect("a request");
            assert_eq!(asked.header(name), Some(value), "as the viewer said it");
        }
    }
    assert!(is_hit(&edge.get("/hit").await), "and the stored object is still there");
    assert!(!is_hit(&edge.get("/miss").await), "none of these answers was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_miss_fetches_the_whole_object() {
    let origin = tagged("max-age=60").await;
    let edge = TestEdge::plain(&origin.address()).await;
    assert_eq!(edge.get_with("/t", &[("If-None-Match", "\"v1\"")]).await.status, 304);
    assert_eq!(edge.get("/t").await.text(), "body", "the cache has more than the 304");
    assert_eq!(origin.count(), 1);
    assert_eq!(origin.only_request().header("if-none-match"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_stale_objects_are_revalidated() {
    let origin = tagged("max-age=1").await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.text().as_str()), (200, "body"));
    let second = origin.requests().pop().expect("two requests");
    assert_eq!(origin.count(), 2);
    assert_eq!(second.header("if-none-match"), Some("\"v1\""));
    let told = cache_status(&response);
    assert!(told.contains(&"fwd=stale".to_owned()) && told.contains(&"fwd-status=304".to_owned()), "{told:?}");
    assert!(age(&edge.get("/t").await).is_some_and(|age| age <= 1), "the life starts anew");
    assert_eq!(origin.count(), 2, "and it is fresh again");
    assert_eq!(edge.log_lines(2).await[1]["cache"], "revalidated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_object_replaces_the_stale_one() {
    let origin = tagged("max-age=1").await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"v2\"")], "new"));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    for _ in 0..2 {
        let response = edge.get("/t").await;
        assert_eq!((response.text().as_str(), response.header("etag")), ("new", Some("\"v2\"")));
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_9_3_2_head_is_answered_from_get() {
    let origin = tagged("max-age=60").await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let head = edge.request("HEAD", "/t", &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.length), (200, Some("4"), 0));
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_after_head_has_a_body() {
    let origin = tagged("max-age=60").await;
    let edge = TestEdge::plain(&origin.address()).await;
    assert_eq!(edge.request("HEAD", "/t", &[], b"").await.body.length, 0);
    assert_eq!(edge.get("/t").await.text(), "body");
}
