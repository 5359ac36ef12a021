//! Ranges (RFC 9110, section 14) from whole objects in the cache.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply, pattern_bytes};

async fn object() -> Origin {
    let body = pattern_bytes(1000);
    Origin::start(move |_| Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"v1\"")], &body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_14_ranges_are_cut_from_the_stored_object() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let body = pattern_bytes(1000);
    for (range, from, to) in
        [("bytes=0-9", 0, 10), ("bytes=990-", 990, 1000), ("bytes=-5", 995, 1000), ("bytes=5-99999", 5, 1000)]
    {
        let response = edge.get_with("/t", &[("Range", range)]).await;
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.body.bytes, body[from..to], "{range}");
        let expected = format!("bytes {from}-{}/1000", to - 1);
        assert_eq!(response.header("content-range"), Some(expected.as_str()), "{range}");
    }
    let response = edge.get_with("/t", &[("Range", "bytes=2000-")]).await;
    assert_eq!((response.status, response.header("content-range")), (416, Some("bytes */1000")));
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_14_2_ranges_that_make_no_sense_get_the_whole_or_are_refused() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    for range in ["bytes=9-5", "lines=1-2", "bytes", "bytes=a-b"] {
        let response = edge.get_with("/t", &[("Range", range)]).await;
        assert!(
            matches!((response.status, response.body.length), (200, 1000) | (416, _)),
            "{range}: {}",
            response.status
        );
    }
    assert_eq!(edge.get_with("/t", &[("Range", "lines=1-2")]).await.status, 200, "an unknown unit is ignored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_on_a_miss_fetches_and_stores_the_whole_object() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get_with("/t", &[("Range", "bytes=0-9")]).await;
    assert_eq!(response.status, 206);
    assert_eq!(response.body.bytes, pattern_bytes(10));
    assert_eq!(origin.only_request().header("range"), None);
    assert_eq!(edge.get("/t").await.body.length, 1000);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_13_1_5_if_range_that_does_not_match_gets_the_whole() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    for (tag, status) in [("\"v1\"", 206), ("\"v0\"", 200), ("W/\"v1\"", 200)] {
        let response = edge.get_with("/t", &[("Range", "bytes=0-9"), ("If-Range", tag)]).await;
        assert_eq!(response.status, status, "If-Range: {tag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_pass_to_the_origin_where_nothing_is_cached() {
    let reply = || Reply::new(206, &[("content-range", "bytes 0-3/9"), ("cache-control", "no-store")], "part");
    let origin = Origin::start(move |_| reply()).await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "*"
        cache_policy = "CachingDisabled"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    let response = edge.get_with("/t", &[("Range", "bytes=0-3")]).await;
    assert_eq!((response.status, response.text().as_str()), (206, "part"));
    assert_eq!(origin.only_request().header("range"), Some("bytes=0-3"));
}
