//! Graceful stop: first not ready, then no new connections, then what is in flight finishes, then the end.

use std::time::{Duration, Instant};

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::http2::{Client, get as h2_get, read};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::{admin, listens};
use edgeweir_tests::raw::{Raw, request_bytes};
use edgeweir_tests::wait::{deadline, until};

fn config(delay: &str, timeout: &str) -> String {
    format!("[server]\nshutdown_delay = \"{delay}\"\nshutdown_timeout = \"{timeout}\"\n{}", edgeweir_tests::edge::PLAIN)
}

async fn held() -> (Origin, Gate) {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |request| {
        let reply = Reply::new(200, &[("cache-control", "no-store")], "done");
        if request.target() == "/held" { reply.after(&hold) } else { reply }
    })
    .await;
    (origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn not_ready_during_the_delay_but_still_serving() {
    let (origin, _gate) = held().await;
    let edge = TestEdge::start(&config("1s", "5s"), &origin.address()).await;
    let (address, socket) = (edge.address(), edge.admin_socket());
    assert_eq!(admin(&socket, "GET", "/readyz").await.status, 200);
    let start = Instant::now();
    let stop = tokio::spawn(edge.shutdown());
    let mut refused = false;
    while start.elapsed() < Duration::from_millis(700) {
        refused |= admin(&socket, "GET", "/readyz").await.status == 503;
        assert_eq!(edgeweir_tests::raw::get(address, HOST, "/t", &[]).await.status, 200, "new viewers in the delay");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(refused, "/readyz says 503 in the delay");
    assert!(deadline("the edge stops", stop).await.expect("no panic"), "nothing was cut off");
    assert!(start.elapsed() >= Duration::from_secs(1), "after {:?}", start.elapsed());
    assert!(!listens(address).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_finish_and_idle_connections_end() {
    let (origin, gate) = held().await;
    let edge = TestEdge::start(&config("0s", "10s"), &origin.address()).await;
    let address = edge.address();
    let mut idle = edge.connect().await;
    idle.send(request_bytes("GET", HOST, "/t", &[], b"")).await;
    assert_eq!(idle.response().await.status, 200);
    let mut busy = edge.connect().await;
    busy.send(request_bytes("GET", HOST, "/held", &[], b"")).await;
    until("the request is at the origin", || origin.count() == 2).await;
    let stop = tokio::spawn(edge.shutdown());
    idle.assert_closed().await;
    let mut closed = false;
    for _ in 0..100 {
        closed = !listens(address).await;
        if closed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(closed, "no new connections");
    assert!(!stop.is_finished(), "the edge waits for what is in flight");
    gate.open();
    let response = busy.response().await;
    assert_eq!((response.status, response.text().as_str()), (200, "done"));
    busy.assert_closed().await;
    let start = Instant::now();
    assert!(deadline("the edge stops", stop).await.expect("no panic"), "all requests were finished");
    assert!(start.elapsed() < Duration::from_secs(3), "it stops when the last one is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_viewers_get_goaway_and_their_streams_finish() {
    let (origin, gate) = held().await;
    let edge = TestEdge::start(&config("0s", "10s"), &origin.address()).await;
    let mut client = Client::connect(edge.address()).await;
    let (response, _) = client.start(h2_get(HOST, "/held", &[]), true).await;
    until("the request is at the origin", || origin.count() == 1).await;
    let stop = tokio::spawn(edge.shutdown());
    let mut refused = false;
    for _ in 0..100 {
        refused = !client.takes_requests().await;
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(refused, "after GOAWAY the connection takes no more requests");
    gate.open();
    let response = deadline("the response", response).await.expect("the stream goes on");
    assert_eq!(read(response).await.expect("a whole response").text(), "done");
    client.closed().await;
    assert!(deadline("the edge stops", stop).await.expect("no panic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_cuts_off_what_does_not_end() {
    let (origin, _gate) = held().await;
    let edge = TestEdge::start(&config("0s", "500ms"), &origin.address()).await;
    let mut busy = edge.connect().await;
    busy.send(request_bytes("GET", HOST, "/held", &[], b"")).await;
    until("the request is at the origin", || origin.count() == 1).await;
    let start = Instant::now();
    assert!(!edge.shutdown().await, "something was cut off");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(5), "{took:?}");
    drop(busy.rest().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_flight_is_finished() {
    let origin = Origin::start(|request| Reply::ok(request.body.length.to_string())).await;
    let edge = TestEdge::start(&config("0s", "10s"), &origin.address()).await;
    let mut raw = Raw::connect(edge.address()).await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 8\r\n\r\nhalf").await;
    until("the head is at the origin", || origin.heads() == 1).await;
    let stop = tokio::spawn(edge.shutdown());
    tokio::time::sleep(Duration::from_millis(200)).await;
    raw.send("rest").await;
    assert_eq!(raw.response().await.text(), "8");
    assert!(deadline("the edge stops", stop).await.expect("no panic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_edge_can_be_started_again_on_its_port() {
    let origin = Origin::hello().await;
    let port = edgeweir_tests::process::free_port();
    let config = format!("{}\n[[listeners]]\naddress = \"127.0.0.1:{port}\"\n", config("0s", "5s"));
    for turn in 0..3 {
        let edge = TestEdge::start(&config, &origin.address()).await;
        assert_eq!(edge.get("/t").await.text(), "hello", "turn {turn}");
        assert!(edge.shutdown().await);
    }
}
