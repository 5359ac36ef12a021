//! Slow viewers and too many of them. Real time, because time is the subject.

use std::time::{Duration, Instant};

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::h2_raw::{Outcome, RawH2};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Raw;
use edgeweir_tests::wait::{deadline, until};
use edgeweir_tests::websocket::{WebSocket, WebSocketOrigin};
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

const RATE: &str = "min_rate = \"1KiB\"\n    min_rate_grace = \"300ms\"";

/// With a rate for bodies, and each byte well within `read_timeout`.
async fn hurried(origin: &str) -> TestEdge {
    TestEdge::start(
        &CONFIG.replace("read_timeout = \"500ms\"", &format!("read_timeout = \"500ms\"\n    {RATE}")),
        origin,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_408_where_a_rate_is_asked_for() {
    let origin = Origin::mirror().await;
    let edge = hurried(&origin.address()).await;
    for head in ["Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
        let mut raw = edge.connect().await;
        raw.send(format!("POST /t HTTP/1.1\r\nHost: site.test\r\n{head}")).await;
        let part: &[u8] = if head.contains("chunked") { b"1\r\na\r\n" } else { b"a" };
        trickle(&mut raw, part).await.expect("the edge hangs up");
        assert_eq!(raw.response().await.status, 408, "{head}");
    }
    assert_eq!(origin.count(), 0, "whole requests at the origin");
    let mut raw = RawH2::connect(edge.address()).await;
    let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "site.test"), (":path", "/t")];
    raw.headers(1, &fields, false).await;
    for _ in 0..30 {
        raw.data(1, b"a", false).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(raw.outcome(1).await, Outcome::Status(408));
    assert_eq!(origin.count(), 0, "whole requests at the origin");
    // One that keeps up may take its time.
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 4096\r\n\r\n").await;
    for _ in 0..16 {
        raw.send([b'a'; 256]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(raw.response().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_body_has_no_rate_and_without_one_a_body_may_trickle() {
    let origin = WebSocketOrigin::start().await;
    let edge = hurried(&origin.address()).await;
    let (mut socket, _) = WebSocket::connect(edge.address(), "site.test", "/chat").await.expect("a handshake");
    for _ in 0..10 {
        assert_eq!(socket.echo("a").await.expect("an echo"), "a");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    socket.close().await;
    let origin = Origin::mirror().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 20\r\n\r\n").await;
    for _ in 0..20 {
        raw.send(b"a").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(raw.response().await.status, 200);
}
