//! Viewers that ask first and read slowly, not at all, or leave: those who ask for the same do not wait for them.

use std::net::SocketAddr;
use std::time::Duration;

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::http2::{Client, get};
use edgeweir_tests::origin::{Origin, Reply, Step, pattern_bytes};
use edgeweir_tests::wait::{deadline_of, until};
use edgeweir_tests::wire::Sum;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

const STORED: &[(&str, &str)] = &[("cache-control", "max-age=600")];
const SIZE: u64 = 16 << 20;

async fn edge(origin: &Origin, capacity: &str, max_object: &str) -> TestEdge {
    let config = format!(
        "[cache]\ncapacity = \"{capacity}\"\nmax_object = \"{max_object}\"\n[origins.main]\nurl = \"http://{{origin}}\"\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n"
    );
    TestEdge::start(&config, &origin.address()).await
}

/// Asks for a target and reads nothing, with little room in its socket.
async fn ask(address: SocketAddr, target: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("a connection");
    let head = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a request");
    stream
}

async fn is_whole(edge: &TestEdge, target: &str, size: u64) {
    let mut sum = Sum::default();
    sum.add(&pattern_bytes(size));
    let follower = deadline_of(Duration::from_secs(20), "a follower has all of it", edge.get(target)).await;
    assert_eq!((follower.status, follower.body.length, follower.body.sum), (200, size, sum.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_viewer_that_reads_nothing_stalls_nobody_and_gets_all_of_it_later() {
    let origin = Origin::start(|_| Reply::large(STORED, SIZE)).await;
    let edge = edge(&origin, "256MiB", "64MiB").await;
    let mut first = ask(edge.address(), "/t").await;
    until("the origin is asked", || origin.count() == 1).await;
    is_whole(&edge, "/t", SIZE).await;
    assert_eq!(origin.count(), 1);
    let mut bytes = Vec::new();
    deadline_of(Duration::from_secs(20), "the first viewer reads", first.read_to_end(&mut bytes))
        .await
        .expect("a body");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    assert!(bytes[end..] == pattern_bytes(SIZE), "the first viewer has {} bytes", bytes.len() - end);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_viewer_in_chunks_stalls_nobody_either() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n";
    let steps = vec![Step::Send(head.into()), Step::FillChunks(SIZE), Step::Send("0\r\n\r\n".into())];
    let origin = Origin::start(move |_| Reply::script(steps.clone())).await;
    let edge = edge(&origin, "256MiB", "64MiB").await;
    let mut first = edge.connect().await;
    first.send(format!("GET /t HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until("the origin is asked", || origin.count() == 1).await;
    is_whole(&edge, "/t", SIZE).await;
    let slow = first.response().await;
    let mut sum = Sum::default();
    sum.add(&pattern_bytes(SIZE));
    assert_eq!((slow.body.length, slow.body.sum), (SIZE, sum.0));
    assert_eq!(origin.count(), 1);
    // Its connection is as good as new.
    first.send(format!("GET /t HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(first.response().await.body.length, SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_viewer_whose_window_is_closed_stalls_nobody_and_gets_all_of_it_later() {
    let size = 3_000_000;
    for pieces in [1, 30] {
        let mut steps = vec![Step::Send(
            format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {size}\r\n\r\n").into(),
        )];
        let body = pattern_bytes(size);
        for piece in body.chunks(body.len() / pieces) {
            steps.extend([Step::Send(piece.to_vec().into()), Step::Pause(Duration::from_millis(5))]);
        }
        let origin = Origin::start(move |_| Reply::script(steps.clone())).await;
        let edge = TestEdge::plain(&origin.address()).await;
        let mut client = Client::connect(edge.address()).await;
        // Nothing of its body is read, so no more than the first window of the connection comes.
        let (response, _) = client.start(get(HOST, "/t", &[]), true).await;
        let mut response = response.await.expect("a head");
        assert_eq!(response.status(), 200);
        is_whole(&edge, "/t", size).await;
        assert_eq!(origin.count(), 1);
        let mut read = Vec::new();
        while let Some(part) = response.body_mut().data().await {
            let part = part.expect("the body goes on");
            response.body_mut().flow_control().release_capacity(part.len()).expect("what came");
            read.extend_from_slice(&part);
        }
        assert!(read == pattern_bytes(size), "the first viewer has {} bytes", read.len());
        assert_eq!(client.get(HOST, "/t", &[]).await.body.len(), read.len(), "its connection goes on");
        let lines = edge.log_lines(3).await;
        let told: Vec<_> = lines.iter().map(|line| line["bytes_out"].as_u64()).collect();
        assert_eq!(told, [Some(size); 3], "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_viewer_that_leaves_leaves_nothing_behind() {
    let origin = Origin::start(|request| match request.target() {
        "/small" => Reply::new(200, STORED, "small"),
        "/endless" => {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n";
            Reply::script([Step::Send(head.into()), Step::FillChunks(1 << 40)])
        }
        _ => Reply::large(STORED, 4 << 20),
    })
    .await;
    let edge = edge(&origin, "16MiB", "4MiB").await;
    let in_flight = async || edge.metric("edgeweir_cache_in_flight_bytes", &[]).await;
    for target in ["/large", "/endless"] {
        let mut viewers = Vec::new();
        for number in 0..12 {
            viewers.push(ask(edge.address(), &format!("{target}?{number}")).await);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The room of all, and for each that is not stored what comes into its window by now.
        assert!(in_flight().await <= f64::from((16 + 12 * 6) << 20), "{target}: {}", in_flight().await);
        drop(viewers);
        deadline_of(Duration::from_secs(10), "nothing is left in flight", async {
            while edge.metric("edgeweir_cache_in_flight", &[]).await > 0.0 || in_flight().await > 0.0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        edge.get("/small").await;
        let second = edge.get("/small").await;
        assert!(crate::support::is_hit(&second), "{target}: {:?}", second.header("cache-status"));
    }
    // Their viewers ended them, not the edge.
    let lines = edge.log_lines(28).await;
    for line in &lines {
        assert!(line["fault"].is_null() || line["fault"] == "viewer-gone", "{line}");
        assert_ne!(line["cache_why"], "storage-error", "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_too_large_the_origin_is_read_as_fast_as_the_viewer_takes_it() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n";
    let size = 32 << 20;
    let steps = vec![Step::Send(head.into()), Step::FillChunks(size), Step::Send("0\r\n\r\n".into())];
    let origin = Origin::start(move |_| Reply::script(steps.clone())).await;
    let edge = edge(&origin, "16MiB", "4MiB").await;
    let mut first = edge.connect().await;
    first.send(format!("GET /t HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until("the origin is asked", || origin.count() == 1).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let held = edge.metric("edgeweir_cache_in_flight_bytes", &[]).await;
    // What it was behind when that turned out, and the window.
    assert!(held <= f64::from(12 << 20), "{held} bytes");
    let slow = deadline_of(Duration::from_secs(30), "the first viewer reads", first.try_response_to("GET"))
        .await
        .expect("a whole response");
    let mut sum = Sum::default();
    sum.add(&pattern_bytes(size));
    assert_eq!((slow.status, slow.body.length, slow.body.sum), (200, size, sum.0));
    assert_eq!(edge.metric("edgeweir_cache_in_flight_bytes", &[]).await, 0.0);
}
