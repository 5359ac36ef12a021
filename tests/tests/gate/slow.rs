//! Slow viewers and too many of them. Real time, because time is the subject.

use std::time::{Duration, Instant};

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Raw;
use edgeweir_tests::wait::{deadline, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CONFIG: &str = r#"
    [server]
    header_timeout = "500ms"
    keepalive_timeout = "1s"
    read_timeout = "500ms"
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

/// Sends bytes one at a time, faster than any timeout between two reads, and says when the edge hung up. The edge may
/// listen on for two seconds after its answer, so that the answer is not lost in a reset.
async fn trickle(raw: &mut Raw, byte: &[u8]) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        if raw.try_send(byte).await.is_err() {
            return Some(start.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_deadline_for_the_whole_of_it() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\nX-Slow: ").await;
    trickle(&mut raw, b"a").await.expect("the edge hangs up");
    assert_eq!(origin.heads(), 0);
    assert_eq!(edge.get("/t").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut fresh = edge.connect().await;
    let mut half = edge.connect().await;
    half.send("GET /t HTTP/1.1\r\nHo").await;
    // An answer (408) is allowed before the end.
    fresh.rest().await;
    half.rest().await;
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_head_of_a_connection_has_a_deadline_too() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    assert_eq!(raw.response().await.status, 200);
    raw.send("GET /u HTTP/1.1\r\nHost: site.test\r\nX-Slow: ").await;
    trickle(&mut raw, b"a").await.expect("the edge hangs up");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_kept_for_its_time_and_no_longer() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    for _ in 0..2 {
        raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
        assert_eq!(raw.response().await.status, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let start = Instant::now();
    raw.assert_closed().await;
    let after = start.elapsed();
    assert!(after > Duration::from_millis(400) && after < Duration::from_secs(4), "closed after {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_is_given_up() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nabc").await;
    raw.rest().await;
    assert_eq!(origin.count(), 0, "whole requests at the origin");
    until("the origin's connection is given up too", || origin.open_connections() == 0).await;
    assert_eq!(edge.get("/t").await.status, 200);
}

/// Whether the edge serves a connection: a refused one is closed without an answer, or with 503.
async fn served(raw: &mut Raw) -> bool {
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    matches!(deadline("an answer or the end", raw.try_response_to("GET")).await, Ok(response) if response.status == 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_address_are_capped() {
    let origin = Origin::hello().await;
    let config = CONFIG.replace("keepalive_timeout = \"1s\"", "max_connections_per_address = 3");
    let edge = TestEdge::start(&config, &origin.address()).await;
    let mut kept = Vec::new();
    for number in 0..3 {
        let mut raw = edge.connect().await;
        assert!(served(&mut raw).await, "connection {number} is served");
        kept.push(raw);
    }
    assert!(!served(&mut edge.connect().await).await, "a fourth one is not served");
    assert!(served(&mut kept[0]).await, "the others go on");
    kept.pop();
    for _ in 0..100 {
        if served(&mut edge.connect().await).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a closed connection is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_in_all_are_capped() {
    let origin = Origin::hello().await;
    let config = CONFIG.replace("keepalive_timeout = \"1s\"", "max_connections = 2");
    let edge = TestEdge::start(&config, &origin.address()).await;
    let mut kept = Vec::new();
    for number in 0..2 {
        let mut raw = edge.connect().await;
        assert!(served(&mut raw).await, "connection {number} is served");
        kept.push(raw);
    }
    assert!(!served(&mut edge.connect().await).await, "a third one is not served");
    assert!(served(&mut kept[1]).await, "the others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_takes_nothing_more_is_reset_and_the_log_says_so() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], vec![b'x'; 20_000_000])).await;
    let config = CONFIG.replace("keepalive_timeout = \"1s\"", "write_timeout = \"500ms\"");
    let edge = TestEdge::start(&format!("[cache]\nmax_object = \"32MiB\"\n{config}"), &origin.address()).await;
    // Once from the origin, then from the cache.
    for (number, outcome) in ["miss", "hit"].into_iter().enumerate() {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let mut stream = socket.connect(edge.address()).await.expect("a connection");
        stream.write_all(b"GET /big HTTP/1.1\r\nHost: site.test\r\n\r\n").await.expect("the edge reads");
        let line = edge.log_lines(number + 1).await.pop().expect("a line");
        assert_eq!((&line["cache"], &line["aborted"]), (&outcome.into(), &true.into()), "{line}");
        assert_eq!(line["fault"], "viewer-gone", "{line}");
        let error = stream.read_to_end(&mut Vec::new()).await.expect_err("a reset, not an end");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{outcome}");
    }
}
