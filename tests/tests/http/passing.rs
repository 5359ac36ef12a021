//! What goes through unchanged.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply, pattern_bytes};
use edgeweir_tests::raw::Raw;
use edgeweir_tests::wire::Framing;

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_bodies_pass_both_ways() {
    let origin = Origin::start(|request| Reply::new(201, &[("x-method", request.method())], &request.body.bytes)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let response = edge.request(method, "/t?q=1", &[("Content-Type", "text/x")], b"some body").await;
        assert_eq!((response.status, response.text().as_str()), (201, "some body"), "{method}");
        assert_eq!(response.header("x-method"), Some(method));
        let received = origin.requests().pop().expect("the origin got it");
        assert_eq!((received.target(), received.header("content-type")), ("/t?q=1", Some("text/x")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_value_passes_both_ways() {
    let origin = Origin::start(|request| Reply::ok(&request.body.bytes)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let response = edge.request("POST", "/t", &[], &body).await;
    assert!(response.body.bytes == body, "the body came back changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_requests_and_responses_pass() {
    let origin = Origin::start(|request| {
        let text = String::from_utf8_lossy(&request.body.bytes).into_owned();
        Reply::chunked(200, &[], &["got: ", &text])
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    raw.send("3\r\none\r\n").await;
    raw.send("3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(raw.response().await.text(), "got: onetwo");
    // The connection goes on after it.
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(raw.response().await.text(), "got: hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_responses_have_no_body() {
    let origin = Origin::start(|request| match request.target() {
        "/204" => Reply::new(204, &[], ""),
        "/304" => Reply::new(304, &[("etag", "\"1\"")], ""),
        _ => Reply::ok(""),
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    for (target, status) in [("/204", 204), ("/0", 200), ("/304", 304), ("/0", 200)] {
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nIf-None-Match: \"1\"\r\n\r\n")).await;
        let response = raw.response().await;
        assert_eq!((response.status, response.body.length), (status, 0), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_9_3_2_head_gets_the_fields_and_no_body() {
    let origin = Origin::start(|request| {
        if request.method() == "HEAD" {
            Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: 1\r\ncache-control: no-store\r\n\r\n")
        } else {
            Reply::new(200, &[("x-a", "1"), ("cache-control", "no-store")], "hello")
        }
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("HEAD /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    let head = raw.response_to("HEAD").await;
    assert_eq!((head.status, head.header("x-a"), head.header("content-length")), (200, Some("1"), Some("5")));
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    assert_eq!(raw.response().await.text(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc8297_early_hints_pass_to_http_1_1_viewers() {
    let reply = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let origin = Origin::start(move |_| Reply::raw(reply)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    let hints: Vec<Option<&str>> = response.interim.iter().map(|head| head.header("link")).collect();
    assert_eq!(hints, [Some("</a.css>; rel=preload")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn response_fields_pass_with_their_duplicates() {
    let origin = Origin::start(|_| {
        Reply::new(200, &[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("link", "<x>"), ("x-a", "1, 2")], "")
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get("/t").await;
    assert_eq!(response.header_all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!((response.header("link"), response.header("x-a")), (Some("<x>"), Some("1, 2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_viewers_get_an_answer_that_ends_with_the_connection() {
    let origin = Origin::start(|_| Reply::chunked(200, &[], &["one", "two"])).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.0\r\nHost: site.test\r\n\r\n").await;
    let (status, head, _) = raw.try_head().await.expect("a head");
    assert_eq!(status, 200);
    // RFC 9112, 6.1: no transfer coding for HTTP/1.0.
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!(raw.rest().await, b"onetwo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_to_close_gets_closed() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n").await;
    assert_eq!(raw.response().await.text(), "hello");
    raw.assert_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_dropped_with_the_connection() {
    let origin = Origin::start(|request| Reply::ok(request.target())).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send(
        "GET /1 HTTP/1.1\r\nHost: site.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(raw.response().await.text(), "/1");
    raw.assert_closed().await;
    assert_eq!(origin.heads(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_origins_work() {
    let origin = hostile::always(hostile::http10()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.text().as_str()), (200, "old but good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_unchanged() {
    let origin = Origin::start(|request| {
        if request.method() == "GET" { Reply::large(&[], 5_000_000) } else { Reply::ok(request.body.sum.to_string()) }
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let body = pattern_bytes(5_000_000);
    let mut sum = edgeweir_tests::wire::Sum::default();
    sum.add(&body);
    let down = edge.get("/t").await;
    assert_eq!((down.body.length, down.body.sum), (5_000_000, sum.0));
    let up = edge.request("POST", "/t", &[], &body).await;
    assert_eq!(up.text(), sum.0.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_to_an_upload_reaches_the_viewer() {
    // The origin answers by the head alone and closes, as servers do that refuse an upload.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let address = listener.local_addr().expect("the listener is bound");
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut origin = Raw::over(stream);
            drop(origin.peek_at_least(20).await);
            origin.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").await;
            // Keeps reading for a while, so that the answer is not lost in a reset.
            drop(tokio::time::timeout(std::time::Duration::from_secs(1), origin.body(Framing::Close)).await);
        }
    });
    let edge = TestEdge::plain(&address.to_string()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1000000\r\n\r\nabc").await;
    let response = raw.response().await;
    assert_eq!((response.status, response.text().as_str()), (401, "no"));
    task.abort();
}
