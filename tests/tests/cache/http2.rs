//! What is different for HTTP/2 viewers: nothing but the edge itself keeps a body from answers that have none.

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::http2::{Client, request};
use edgeweir_tests::origin::{Origin, Reply};

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_4_1_head_and_304_have_no_body_also_where_the_origins_whole_answer_may_not_be_stored() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "private"), ("etag", "\"v1\"")], "body")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut client = Client::connect(edge.address()).await;
    let head = client.request(request("HEAD", HOST, "/a", &[]), b"").await;
    assert_eq!((head.status, head.header("content-length"), head.text().as_str()), (200, Some("4"), ""));
    let known = client.get(HOST, "/b", &[("if-none-match", "\"v1\"")]).await;
    assert_eq!((known.status, known.text().as_str()), (304, ""));
    assert_eq!(client.get(HOST, "/c", &[("if-none-match", "\"v0\"")]).await.text(), "body");
    let asked: Vec<_> = origin.requests().iter().map(|request| request.method().to_owned()).collect();
    assert_eq!(asked, ["GET"; 3], "asked for what might have been stored");
    // Now the keys are remembered, and requests go out as they are.
    let head = client.request(request("HEAD", HOST, "/c", &[]), b"").await;
    assert_eq!((head.status, head.text().as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_4_1_head_and_304_from_what_is_stored_have_no_body() {
    let origin =
        Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"v1\"")], "body")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut client = Client::connect(edge.address()).await;
    for _ in 0..2 {
        let head = client.request(request("HEAD", HOST, "/a", &[]), b"").await;
        assert_eq!((head.status, head.text().as_str()), (200, ""));
        let known = client.get(HOST, "/b", &[("if-none-match", "\"v1\"")]).await;
        assert_eq!((known.status, known.text().as_str()), (304, ""));
    }
    for target in ["/a", "/b"] {
        assert_eq!(client.get(HOST, target, &[]).await.text(), "body");
    }
    assert_eq!(origin.count(), 2);
}
