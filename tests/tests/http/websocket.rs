//! WebSocket (RFC 6455) through the edge.

use std::time::Duration;

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::http2::Client;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::websocket::{WebSocket, WebSocketOrigin};

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_echoed() {
    let origin = WebSocketOrigin::start().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let (mut socket, response) = WebSocket::connect(edge.address(), HOST, "/chat").await.expect("a handshake");
    assert_eq!(response.status(), 101);
    let long = "x".repeat(100_000);
    for text in ["one", "two", "", long.as_str()] {
        assert_eq!(socket.echo(text).await.expect("an echo"), text);
    }
    socket.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sockets_at_once_keep_their_messages_apart() {
    let origin = WebSocketOrigin::start().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(WebSocket::connect(edge.address(), HOST, "/chat").await.expect("a handshake").0);
    }
    for turn in 0..3 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            let text = format!("{number} in turn {turn}");
            match socket.echo(&text).await {
                Ok(echo) => assert_eq!(echo, text),
                Err(error) => panic!("{text}: {error}"),
            }
        }
    }
    assert_eq!(origin.connections(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_refuses_the_upgrade_is_heard() {
    let origin = Origin::start(|_| Reply::new(403, &[], "no sockets here")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge
        .get_with(
            "/chat",
            &[
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ],
        )
        .await;
    assert_eq!((response.status, response.text().as_str()), (403, "no sockets here"));
    let received = origin.only_request();
    assert_eq!(received.header("upgrade"), Some("websocket"));
    assert_eq!(received.header("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_websocket_upgrades_are_passed_on() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    for upgrade in ["h2c", "TLS/1.0", "foo", "h2c, websocket"] {
        let response = edge.get_with("/t", &[("Connection", "Upgrade"), ("Upgrade", upgrade)]).await;
        assert!(matches!(response.status, 200 | 400), "{upgrade}: {}", response.status);
        if let Some(received) = origin.requests().pop() {
            assert!(received.header("upgrade").is_none_or(|value| value == "websocket"), "{upgrade}");
        }
    }
}

/// The origin switches to `upgrade`, whatever it is asked, and says what would be somebody's answer.
async fn switching(upgrade: &'static str) -> (Origin, TestEdge) {
    let head = format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n{upgrade}\r\n");
    let stray = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray";
    let origin = Origin::start(move |_| Reply::script([Step::Send(format!("{head}{stray}").into()), Step::Echo])).await;
    let edge = TestEdge::plain(&origin.address()).await;
    (origin, edge)
}

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_15_2_2_a_switch_that_was_not_asked_for_is_502() {
    let (origin, edge) = switching("upgrade: websocket\r\n").await;
    for case in [
        "GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n".to_owned(),
        "GET /t HTTP/1.0\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
        "GET /t HTTP/1.1\r\nHost: site.test\r\nUpgrade: websocket\r\n\r\n".to_owned(),
        "GET /t HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\n\r\n".to_owned(),
        "GET /t HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n".to_owned(),
        "GET /t HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: foo\r\n\r\n"
            .to_owned(),
        "POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\nx".to_owned(),
        format!("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n{HANDSHAKE}\r\n"),
    ] {
        let mut raw = edge.connect().await;
        raw.send(&case).await;
        assert_eq!(raw.response().await.status, 502, "{case}");
        raw.assert_closed().await;
    }
    assert!(origin.requests().iter().all(|received| received.header("upgrade").is_none()), "nobody asked the origin");
    let mut client = Client::connect(edge.address()).await;
    assert_eq!(client.get(HOST, "/t", &[]).await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_8_a_switch_to_what_was_not_asked_for_is_502() {
    for upgrade in ["", "upgrade: h2c\r\n", "upgrade: websocket, h2c\r\n", "upgrade: websocket\r\nupgrade: h2c\r\n"] {
        let (_origin, edge) = switching(upgrade).await;
        let mut raw = edge.connect().await;
        raw.send(format!("GET /t HTTP/1.1\r\nHost: site.test\r\n{HANDSHAKE}\r\n")).await;
        assert_eq!(raw.response().await.status, 502, "{upgrade}");
        raw.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_15_2_2_the_edge_says_nothing_after_a_switch() {
    let head =
        Step::Send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".into());
    // pingora ends an upgrade that comes before it has noted the end of the request.
    let script = |then: &[Step]| [&[Step::Pause(Duration::from_millis(20)), head.clone()], then].concat();
    let silent = script(&[Step::Pause(Duration::from_secs(3_600))]);
    let broken = script(&[Step::Send("\u{1}\u{2}".into()), Step::Pause(Duration::from_millis(50)), Step::Reset]);
    let config = "[gateway_responses.DEFAULT_5XX]\nbody = \"of the edge\"\n\
                  [origins.main]\nurl = \"http://{origin}\"\n\
                  [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
                  [[distributions.site.behaviors]]\nidle_timeout = \"700ms\"\n";
    for (script, sent, fault) in
        [(silent, &b""[..], serde_json::Value::Null), (broken, b"\x01\x02", "origin-protocol".into())]
    {
        let origin = Origin::start(move |_| Reply::script(script.clone())).await;
        let edge = TestEdge::start(config, &origin.address()).await;
        let mut raw = edge.connect().await;
        raw.send(format!("GET /t HTTP/1.1\r\nHost: site.test\r\n{HANDSHAKE}\r\n")).await;
        assert_eq!(raw.try_head().await.expect("a head").0, 101);
        assert_eq!(raw.rest().await, sent, "{fault}");
        let line = edge.log_lines(1).await.remove(0);
        assert_eq!((&line["status"], &line["fault"]), (&101.into(), &fault), "{line}");
        assert_ne!(line["aborted"], true, "{line}");
        assert_eq!(edge.metric("edgeweir_faults_total", &["fault=\"origin-timeout\""]).await, 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_with_a_body_is_an_ordinary_request() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    for (body, upgrades) in [(&b"0123456789"[..], false), (b"", true)] {
        assert_eq!(edge.request("GET", "/t", &upgrade, body).await.status, 200);
        let received = origin.requests().pop().expect("it came");
        assert_eq!(received.header("upgrade").is_some(), upgrades, "{body:?}");
        assert_eq!(received.body.length, body.len() as u64);
    }
}
