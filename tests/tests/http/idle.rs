//! Limits of silence: WebSockets, server-sent events and gRPC streams behind behaviors that say how long. Real time, because
//! time is the subject.

use std::time::{Duration, Instant};

use bytes::Bytes;
use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::h2_origin::H2Origin;
use edgeweir_tests::http2::Client;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::reply::Step;
use edgeweir_tests::wait::deadline_of;
use edgeweir_tests::websocket::{WebSocket, WebSocketOrigin};

/// The origin may be silent for one second, `/long/*` for three.
const CONFIG: &str = r#"
    [server]
    read_timeout = "700ms"
    [origins.main]
    url = "http://{origin}"
    read_timeout = "1s"
    {http}
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/long/*"
    cache_policy = "CachingDisabled"
    idle_timeout = "3s"
    [[distributions.site.behaviors]]
    path = "/short/*"
    idle_timeout = "600ms"
    [[distributions.site.behaviors]]
    cache_policy = "CachingDisabled"
"#;

async fn edge(origin: &str, http: &str) -> TestEdge {
    TestEdge::start(&CONFIG.replace("{http}", http), origin).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_may_be_silent_for_longer_than_a_body() {
    let origin = WebSocketOrigin::start().await;
    let edge = edge(&origin.address(), "").await;
    for path in ["/long/chat", "/chat"] {
        let (mut socket, _) = WebSocket::connect(edge.address(), HOST, path).await.expect("a handshake");
        assert_eq!(socket.echo("one").await.expect("an echo"), "one");
        tokio::time::sleep(Duration::from_millis(2200)).await;
        assert_eq!(socket.echo("two").await.expect("an echo"), "two", "{path}");
        socket.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_that_is_silent_for_too_long_is_ended_and_one_that_speaks_is_not() {
    let origin = WebSocketOrigin::start().await;
    let edge = edge(&origin.address(), "").await;
    let (mut socket, _) = WebSocket::connect(edge.address(), HOST, "/short/chat").await.expect("a handshake");
    for _ in 0..10 {
        assert_eq!(socket.echo("tick").await.expect("an echo"), "tick");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let silent = Instant::now();
    socket.closed().await;
    let after = silent.elapsed();
    assert!(after > Duration::from_millis(300) && after < Duration::from_secs(3), "ended after {after:?}");
    let line = edge.log_lines(1).await.remove(0);
    assert_eq!(line["status"], 101, "{line}");
}

/// Events with pauses of 1.8 seconds.
fn events() -> Reply {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let event = || Step::Send("9\r\ndata: 1\n\n\r\n".into());
    let pause = || Step::Pause(Duration::from_millis(1800));
    Reply::script([
        Step::Send(head.into()),
        event(),
        pause(),
        event(),
        pause(),
        event(),
        Step::Send("0\r\n\r\n".into()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_may_pause_for_as_long_as_the_behavior_says() {
    let origin = Origin::start(|_| events()).await;
    let edge = edge(&origin.address(), "").await;
    let whole = "data: 1\n\n".repeat(3);
    let mut raw = edge.connect().await;
    raw.send("GET /long/events HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    let response = deadline_of(Duration::from_secs(10), "the events", raw.try_response_to("GET")).await;
    assert_eq!(response.expect("all events").text(), whole);
    let mut client = Client::connect(edge.address()).await;
    let response = deadline_of(Duration::from_secs(10), "the events", client.get(HOST, "/long/events", &[])).await;
    assert_eq!(response.text(), whole, "HTTP/2");
    // Elsewhere the origin's limit holds.
    let mut raw = edge.connect().await;
    raw.send("GET /events HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    assert!(deadline_of(Duration::from_secs(10), "the end", raw.try_response_to("GET")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_stream_may_pause_for_as_long_as_the_behavior_says() {
    let origin = H2Origin::echo(None).await;
    let edge = edge(&origin.address(), "http = \"h2-only\"").await;
    let mut client = Client::connect(edge.address()).await;
    let request = http::Request::post(format!("http://{HOST}/long/call"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a valid request");
    let (response, mut body) = client.start(request, false).await;
    body.send_data(Bytes::from_static(b"\0\0\0\0\x01a"), false).expect("a stream");
    tokio::time::sleep(Duration::from_millis(1800)).await;
    body.send_data(Bytes::from_static(b"\0\0\0\0\x01b"), true).expect("a stream");
    let response = deadline_of(Duration::from_secs(5), "an answer", response).await.expect("an answer");
    assert_eq!(response.status(), 200);
}
