//! Limits of request bodies.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::Origin;

use crate::support::{assert_still_serving, refused};

const CONFIG: &str = r#"
    [gate]
    max_body = "10KiB"
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_length_over_the_limit_is_413_before_the_origin_is_asked() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    for length in ["10241", "99999999", "18446744073709551615"] {
        let case = format!("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\nabc");
        // The largest does not fit where lengths are kept, which is as good a reason.
        refused(&edge, &origin, &[413, 400], case.as_bytes()).await;
    }
    let case = "POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10241\r\n\r\n";
    refused(&edge, &origin, &[413], case.as_bytes()).await;
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_over_the_limit_never_become_a_whole_request() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    for _ in 0..4 {
        raw.send(&chunk).await;
    }
    raw.send("0\r\n\r\n").await;
    assert_eq!(raw.response().await.status, 413);
    raw.assert_closed().await;
    assert_eq!(origin.count(), 0, "whole requests at the origin");
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_at_the_limit_passes() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let response = edge.request("POST", "/t", &[("Connection", "close")], &[b'x'; 10 * 1024]).await;
    assert_eq!(response.status, 200);
    assert_eq!(origin.only_request().body.length, 10 * 1024);
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    raw.send(format!("2800\r\n{}\r\n0\r\n\r\n", "x".repeat(10 * 1024))).await;
    assert_eq!(raw.response().await.status, 200);
    assert_eq!(origin.requests().pop().map(|received| received.body.length), Some(10 * 1024));
}
