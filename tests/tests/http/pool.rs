//! Connections to origins, and viewers that hang up.

use std::time::Duration;

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::gate::Gate;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn one_origin_connection_serves_many_viewers_in_turn() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    for _ in 0..20 {
        assert_eq!(edge.get("/t").await.text(), "hello");
    }
    assert_eq!(origin.count(), 20);
    // The connection goes back to the pool just after the response's last byte: a second one can slip in.
    assert!(origin.connections() <= 3, "{} connections for 20 requests", origin.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_origin_connections_are_closed_after_their_time() {
    let origin = Origin::hello().await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        keepalive = "300ms"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    assert_eq!(edge.get("/t").await.status, 200);
    until("the idle connection is closed", || origin.open_connections() == 0).await;
    assert_eq!(edge.get("/t").await.status, 200);
    assert_eq!(origin.connections(), 2);
}

/// What asks for an effect is sent again only where the connection was kept, nothing of an answer came, and once, over a new
/// connection (RFC 9110, 9.2.2), however many kept ones there are.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_an_effect_is_sent_once_more_at_most() {
    for (reply, method, sent) in [
        (hostile::closes_at_once(), "DELETE", 2),
        (hostile::closes_in_head(), "DELETE", 1),
        (hostile::resets_in_head(), "PUT", 1),
        (hostile::closes_at_once(), "POST", 1),
    ] {
        let gate = Gate::new();
        let hold = gate.clone();
        let answer = reply.clone();
        let origin = Origin::start(move |request| match request.target() {
            "/effect" => answer.clone(),
            _ => Reply::ok("kept").after(&hold),
        })
        .await;
        let edge = TestEdge::plain(&origin.address()).await;
        let asked: Vec<_> = ["/1", "/2", "/3", "/4", "/5", "/6"].map(|path| edge.get(path)).into();
        let opened = async {
            until("six connections", || origin.heads() == 6).await;
            gate.open();
        };
        let (answers, ()) = tokio::join!(futures_util::future::join_all(asked), opened);
        assert!(answers.iter().all(|answer| answer.status == 200));
        let refused = edge.request(method, "/effect", &[], b"").await;
        let effects = origin.requests().iter().filter(|request| request.target() == "/effect").count();
        assert_eq!((refused.status, effects), (502, sent), "{method} {reply:?}");
        assert_eq!(edge.get("/after").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_hangs_up_in_its_upload_leaves_no_whole_request() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut raw = edge.connect().await;
        raw.send(format!("POST /t HTTP/1.1\r\nHost: site.test\r\n{framing}\r\n\r\n")).await;
        raw.send(if framing.starts_with('C') { "half" } else { "4\r\nhalf\r\n" }).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(raw);
    }
    until("the origin's connections end", || origin.open_connections() == 0).await;
    assert_eq!(origin.count(), 0, "whole requests at the origin");
    assert_eq!(edge.get("/t").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_hangs_up_in_its_download_ends_an_uncached_fetch() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncache-control: no-store\r\n\r\nfirst";
        Reply::script([Step::Send(head.into()), Step::Hold(hold.clone())])
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    raw.peek_at_least(20).await;
    drop(raw);
    // The origin's script still waits at its gate: what is looked at is that the edge counts nothing as running.
    let mut open = f64::NAN;
    for _ in 0..200 {
        open = edge.metric("edgeweir_open_connections", &[]).await;
        if open == 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gate.open();
    assert!(open == 0.0, "{open} viewer connections are still counted as open");
    origin.answer(|_| Reply::ok("fine"));
    assert_eq!(edge.get("/u").await.text(), "fine");
}
