//! Reloads under load: nobody loses a connection or a request.

use std::time::Duration;

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::wait::until;
use edgeweir_tests::websocket::WebSocketOrigin;

use crate::support::{Load, Site, numbered};

async fn telling() -> Origin {
    Origin::start(|request| Reply::ok(request.header("x-config").unwrap_or("none"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_reloads_under_load_lose_nothing() {
    let (origin, sockets) = (telling().await, WebSocketOrigin::start().await);
    let config = |number| numbered(&origin.address(), &sockets.address(), number);
    let edge = TestEdge::start(&config(0), "").await;
    let load = Load::start(edge.address());
    until("the load runs", || load.answered() > 20).await;
    for number in 1..=20 {
        let before = load.answered();
        edge.reload(&config(number)).await.expect("a good config");
        assert_eq!(edge.get("/which").await.text(), number.to_string(), "each reload is visible");
        until("the load goes on", || load.answered() > before + 5).await;
    }
    assert!(load.finish().await > 100);
    assert_eq!(sockets.connections(), 1, "one WebSocket all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_hangups_of_the_real_binary_lose_nothing() {
    let (origin, sockets) = (telling().await, WebSocketOrigin::start().await);
    let config = |number| numbered(&origin.address(), &sockets.address(), number);
    let site = Site::new(&config(0));
    let process = site.serve().await;
    let load = Load::start(site.address);
    until("the load runs", || load.answered() > 20).await;
    for number in 1..=20 {
        let before = load.answered();
        site.write(&config(number));
        process.signal("HUP");
        let wanted = number.to_string();
        let mut seen = String::new();
        for _ in 0..200 {
            seen = edgeweir_tests::raw::get(site.address, "site.test", "/which", &[]).await.text();
            if seen == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(seen, wanted, "each reload is visible: {}", process.errors());
        // However fast the machine reloads, the load must have been served by this version too.
        until("the load goes on", || load.answered() > before + 5).await;
    }
    site.write("nonsense");
    process.signal("HUP");
    until("the report of the bad file", || process.errors().contains("nonsense")).await;
    assert_eq!(edgeweir_tests::raw::get(site.address, "site.test", "/which", &[]).await.text(), "20");
    assert!(load.finish().await > 100);
    assert_eq!(sockets.connections(), 1, "one WebSocket all the time");
}
