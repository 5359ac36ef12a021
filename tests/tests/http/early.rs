//! What comes before its turn: requests before the answer to the one before them, answers before the end of the request.

use std::time::Duration;

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw::Raw;
use edgeweir_tests::wait::{deadline, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Sends a request and, while its answer is in work, these bytes; the answer comes whole, and then the connection ends.
async fn is_answered(edge: &TestEdge, origin: &Origin, gate: &Gate, request: &str, more: &str, body: &str) {
    let before = origin.heads();
    let mut raw = edge.connect().await;
    raw.send(request).await;
    until("the origin is asked", || origin.heads() > before).await;
    raw.send(more).await;
    // Long enough for the edge to see them.
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    let response = raw.response_to("GET").await;
    assert_eq!((response.status, response.text().as_str()), (200, body), "{more:?} after {request:?}");
    raw.assert_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_its_turn_does_not_end_the_answer_in_work() {
    let post = "POST /1 HTTP/1.1\r\nHost: site.test\r\nContent-Length: 2\r\n\r\nhi";
    let get = "GET /1 HTTP/1.1\r\nHost: site.test\r\n\r\n";
    for (request, more) in [
        (get, "GET /2 HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (get, "GET /2 HTTP/1.1\r\nHost: site.test\r\n\r\nGET /3 HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (post, "\r\n"),
        (post, "POST /2 HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\n\r\nyou"),
    ] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::start(move |request| Reply::ok(request.target()).after(&held)).await;
        let edge = TestEdge::plain(&origin.address()).await;
        is_answered(&edge, &origin, &gate, request, more, "/1").await;
        assert_eq!(origin.heads(), 1, "{more:?} after {request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_its_turn_never_gets_past_the_look_at_heads() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::plain(&origin.address()).await;
    // Alone each is refused; behind another it may not be taken for a request that was looked at.
    for bad in ["GET /two\u{a0} HTTP/1.1\r\nHost: site.test\r\n\r\n", "GET /t wo HTTP/1.1\nHost: site.test\n\n"] {
        for pause in [0, 30] {
            let mut raw = edge.connect().await;
            let first: &[u8] = b"GET /one HTTP/1.1\r\nHost: site.test\r\n\r\n";
            if pause == 0 {
                raw.send([first, bad.as_bytes()].concat()).await;
            } else {
                raw.send_fragments(&[first, bad.as_bytes()], Duration::from_millis(pause)).await;
            }
            raw.rest().await;
        }
    }
    assert!(origin.requests().iter().all(|request| request.target() == "/one"), "{:?}", origin.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_its_turn_does_not_end_an_answer_of_the_cache() {
    let length: u64 = 4 << 20;
    let origin = Origin::start(move |_| Reply::large(&[("cache-control", "max-age=60")], length)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    assert_eq!(edge.get("/t").await.body.length, length);
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    raw.peek_at_least(1).await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    let response = raw.response().await;
    assert_eq!((response.status, response.body.length), (200, length));
    assert_eq!(origin.heads(), 1);
}

/// Sends a head and then parts without end, and returns all that the edge says meanwhile.
async fn said_to_a_busy_viewer(edge: &TestEdge, head: &'static str, parts: [&'static str; 2]) -> String {
    let stream = TcpStream::connect(edge.address()).await.expect("the edge accepts");
    let (mut read, mut write) = stream.into_split();
    let sends = tokio::spawn(async move {
        let mut sent = write.write_all(head.as_bytes()).await;
        for part in parts {
            tokio::time::sleep(Duration::from_millis(50)).await;
            sent = sent.and(write.write_all(part.as_bytes()).await);
        }
        while sent.is_ok() {
            sent = write.write_all(&[b'a'; 16384]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    // As a viewer on a slow way: what a reset destroys is what was not read yet.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut answer = Vec::new();
    let _end = deadline("an answer", read.read_to_end(&mut answer)).await;
    sends.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_reaches_a_viewer_that_goes_on_sending() {
    // Reads the head, answers, says that it closes, and reads on for a while, as servers do that refuse an upload.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let address = listener.local_addr().expect("the listener is bound").to_string();
    let origin = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut origin = Raw::over(stream);
                drop(origin.peek_at_least(100).await);
                origin.send("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").await;
                let (mut stream, _) = origin.into_parts();
                let mut sink = vec![0; 65536];
                let drain = async { while matches!(stream.read(&mut sink).await, Ok(1..)) {} };
                drop(tokio::time::timeout(Duration::from_millis(100), drain).await);
            });
        }
    });
    let edge = TestEdge::plain(&address).await;
    let head = "POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 900000000\r\n\r\n";
    let answer = said_to_a_busy_viewer(&edge, head, ["", ""]).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("\r\n\r\nno"), "{answer:?}");
    origin.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_viewer_that_goes_on_sending() {
    let origin = Origin::start(|_| Reply::script([Step::Pause(Duration::from_secs(3600))])).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let head = "POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    // The edge itself sees what is wrong with a line, pingora what follows a chunk's bytes.
    for (parts, words) in [
        (["4\r\ngood\r\n", "xyz\r\nevil\r\n"], "{\"message\":\"Bad Request: ambiguous message length\"}"),
        (["4\r\ngood\r\n", "4\r\ngoodX\r\n"], "{\"message\":\"Bad Request\"}"),
    ] {
        let answer = said_to_a_busy_viewer(&edge, head, parts).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
        assert!(answer.ends_with(words), "{answer:?}");
    }
    // The gate's own refusal, before anything is read of the body.
    let head = "POST /t#frag HTTP/1.1\r\nHost: site.test\r\nContent-Length: 900000000\r\n\r\n";
    let answer = said_to_a_busy_viewer(&edge, head, ["", ""]).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with('}'), "{answer:?}");
    assert_eq!(origin.count(), 0, "whole requests at the origin");
}
