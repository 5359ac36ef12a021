//! WebSocket (RFC 6455) through the edge.

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};
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
