//! Bodies stream: no part waits for the next one.

use std::time::Duration;

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::wait::until;
use edgeweir_tests::wire::Framing;

fn text(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec().into())
}

async fn events(headers: &str) {
    let gate = Gate::new();
    let hold = gate.clone();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}\r\n\r\n");
    let chunked = headers.contains("chunked");
    let event = |text_of: &str| {
        if chunked { text(&format!("{:x}\r\n{text_of}\r\n", text_of.len())) } else { text(text_of) }
    };
    let mut steps = vec![text(&head), event("data: 1\n\n"), Step::Hold(hold), event("data: 2\n\n")];
    steps.push(if chunked { text("0\r\n\r\n") } else { Step::Close });
    let origin = Origin::start(move |_| Reply::script(steps.clone())).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /events HTTP/1.1\r\nHost: site.test\r\nAccept: text/event-stream\r\n\r\n").await;
    let (status, head, _) = raw.try_head().await.expect("a head");
    assert_eq!((status, head.header("content-type")), (200, Some("text/event-stream")));
    // While the origin holds the second event, the first one is here.
    let mut seen = Vec::new();
    for wanted in 1..64 {
        seen = raw.peek_at_least(wanted).await;
        if String::from_utf8_lossy(&seen).contains("data: 1\n\n") {
            break;
        }
    }
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(seen.contains("data: 1\n\n") && !seen.contains("data: 2"), "{seen:?}");
    gate.open();
    let framing = if head.header("transfer-encoding").is_some() { Framing::Chunked } else { Framing::Close };
    let (body, result) = raw.body(framing).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(String::from_utf8_lossy(&body.bytes), "data: 1\n\ndata: 2\n\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_are_not_held_back_when_chunked() {
    events("transfer-encoding: chunked\r\ncache-control: no-cache").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_are_not_held_back_when_they_end_with_the_connection() {
    events("cache-control: no-store").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_may_be_cached_are_not_held_back_either() {
    events("transfer-encoding: chunked\r\ncache-control: max-age=60").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_reaches_the_origin_while_it_goes_on() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let address = listener.local_addr().expect("the listener is bound");
    let edge = TestEdge::plain(&address.to_string()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 8\r\n\r\nhalf").await;
    let (stream, _) =
        edgeweir_tests::wait::deadline("the edge connects", listener.accept()).await.expect("a connection");
    let mut origin = edgeweir_tests::wire::Wire::new(stream);
    let head = edgeweir_tests::wait::deadline("the head", origin.head()).await.expect("a head").expect("a head");
    assert_eq!(head.header("content-length"), Some("8"));
    while origin.ahead().len() < 4 {
        assert!(edgeweir_tests::wait::deadline("the first half", origin.fill()).await.expect("bytes"));
    }
    assert_eq!(origin.ahead(), b"half");
    raw.send("rest").await;
    while origin.ahead().len() < 8 {
        assert!(edgeweir_tests::wait::deadline("the second half", origin.fill()).await.expect("bytes"));
    }
    tokio::io::AsyncWriteExt::write_all(&mut origin.stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await
        .expect("the edge reads");
    assert_eq!(raw.response().await.text(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_slows_the_origin_down() {
    // 64 MiB do not fit into the buffers between: the origin must be made to wait.
    let done = Gate::new();
    let after = done.clone();
    let origin = Origin::start(move |_| {
        let mut reply = Reply::large(&[("cache-control", "no-store")], 64 << 20);
        reply.0.push(Step::Hold(after.clone()));
        reply
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /large HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    let (status, _, _) = raw.try_head().await.expect("a head");
    assert_eq!(status, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (body, result) = raw.body(Framing::Length(64 << 20)).await;
    assert!(result.is_ok() && body.length == 64 << 20, "{result:?} after {} bytes", body.length);
    done.open();
    until("one fetch", || origin.count() == 1).await;
}
