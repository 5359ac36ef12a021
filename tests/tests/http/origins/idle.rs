//! How many idle connections an origin has to bear.

use std::sync::Arc;
use std::time::Duration;

use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw;
use edgeweir_tests::wait::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

fn config(keys: &str) -> String {
    format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\n{keys}\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"/stored*\"\n\
         [[distributions.site.behaviors]]\ncache_policy = \"CachingDisabled\"\n"
    )
}

async fn limited(keys: &str, origin: &Origin) -> TestEdge {
    TestEdge::start(&config(keys), &origin.address()).await
}

/// So many requests at work at once, each on a connection of its own.
async fn at_once(edge: &TestEdge, origin: &Origin, gate: &Gate, method: &'static str, count: usize) {
    let before = origin.count();
    let mut requests = JoinSet::new();
    for at in 0..count {
        let address = edge.address();
        let target = format!("/{method}/{at}");
        requests.spawn(async move { raw::request(address, method, "site.test", &target, &[], b"").await });
    }
    until("all are at work", || origin.count() == before + count).await;
    gate.open();
    while let Some(answer) = requests.join_next().await {
        assert!(matches!(answer.expect("no panic").status, 200 | 204));
    }
}

async fn idle(edge: &TestEdge) -> f64 {
    edge.metric("edgeweir_origin_idle_connections", &["origin=\"main\""]).await
}

async fn not_kept(edge: &TestEdge) -> f64 {
    edge.metric("edgeweir_origin_connections_not_kept_total", &["origin=\"main\""]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_are_kept_and_the_others_closed_after_their_answers() {
    for (method, reply) in [
        ("GET", Reply::ok("done")),
        ("GET", Reply::new(204, &[], "")),
        ("GET", Reply::new(200, &[("content-length", "0")], "")),
        ("HEAD", Reply::new(200, &[], "")),
        ("POST", Reply::ok("done")),
    ] {
        let (gate, reply) = (Gate::new(), Arc::new(reply));
        let hold = gate.clone();
        let origin = Origin::start(move |_| Reply::clone(&reply).after(&hold)).await;
        let edge = limited("max_idle_connections = 2", &origin).await;
        at_once(&edge, &origin, &gate, method, 6).await;
        until("the others are closed", || origin.open_connections() == 2).await;
        assert_eq!((idle(&edge).await, not_kept(&edge).await), (2.0, 4.0), "{method}");
        // Those that are kept are used again; nobody is handed one that is not.
        let before = origin.connections();
        for _ in 0..20 {
            assert!(matches!(edge.request(method, "/t", &[], b"").await.status, 200 | 204));
        }
        assert_eq!(origin.connections(), before, "{method}");
        assert!(origin.open_connections() <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_all_are_kept() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| Reply::ok("done").after(&hold)).await;
    let edge = limited("", &origin).await;
    at_once(&edge, &origin, &gate, "GET", 6).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(origin.open_connections(), 6);
    assert!(!edge.metrics().await.contains("edgeweir_origin_idle_connections{"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_load_over_the_limit_goes_on_using_its_connections() {
    let origin = Origin::start(|_| Reply::ok("done")).await;
    let edge = limited("max_idle_connections = 4", &origin).await;
    let mut viewers = JoinSet::new();
    for _ in 0..16 {
        let mut viewer = edge.connect().await;
        viewers.spawn(async move {
            for _ in 0..100 {
                viewer.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
                assert_eq!(viewer.response().await.status, 200);
            }
        });
    }
    while let Some(viewer) = viewers.join_next().await {
        viewer.expect("no panic");
    }
    assert_eq!(origin.count(), 1600);
    until("no more than are kept", || origin.open_connections() <= 4).await;
    // A viewer that hangs up with its last answer takes a connection along that was counted as idle already.
    let mut seen = (idle(&edge).await, origin.open_connections() as f64);
    for _ in 0..200 {
        if seen.0 == seen.1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        seen = (idle(&edge).await, origin.open_connections() as f64);
    }
    assert_eq!(seen.0, seen.1);
    assert!(origin.connections() < 1600, "{} connections for 1600 requests", origin.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_none_kept_each_request_has_its_own_and_none_is_lost() {
    let origin = Origin::start(|_| Reply::ok("done")).await;
    let edge = limited("max_idle_connections = 0", &origin).await;
    for method in ["GET", "POST", "PUT", "POST", "POST"].repeat(8) {
        assert_eq!(edge.request(method, "/t", &[], b"").await.text(), "done");
    }
    assert_eq!((origin.count(), origin.connections()), (40, 40));
    until("all are closed", || origin.open_connections() == 0).await;
    assert_eq!(idle(&edge).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_and_stored_ones_are_whole() {
    let body = "x".repeat(300_000);
    let sent = body.clone();
    let origin = Origin::start(move |_| Reply::new(200, &[("cache-control", "max-age=60")], &sent)).await;
    let edge = limited("max_idle_connections = 0", &origin).await;
    // A miss by HEAD is asked for with GET, so there is a body behind it.
    for (method, target) in [("GET", "/t"), ("HEAD", "/stored/head"), ("GET", "/stored/head"), ("GET", "/stored/get")] {
        let answer = edge.request(method, target, &[], b"").await;
        assert_eq!(answer.status, 200, "{method} {target}");
        if method == "GET" {
            assert!(answer.text() == body, "{method} {target}");
        }
    }
    until("all are closed", || origin.open_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_end_otherwise_are_not_counted_any_more() {
    let origin = Origin::start(|_| Reply::ok("done")).await;
    let edge = limited("max_idle_connections = 1\nkeepalive = \"200ms\"", &origin).await;
    assert_eq!(edge.get("/t").await.status, 200);
    assert_eq!(idle(&edge).await, 1.0);
    until("its time is up", || origin.open_connections() == 0).await;
    origin.answer(|_| Reply::new(200, &[("connection", "close")], "done"));
    for _ in 0..3 {
        assert_eq!(edge.get("/t").await.status, 200);
    }
    until("the origin has closed them", || origin.open_connections() == 0).await;
    for _ in 0..100 {
        if idle(&edge).await == 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((idle(&edge).await, not_kept(&edge).await), (0.0, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_count_and_changes_the_limit() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| Reply::ok("done").after(&hold)).await;
    let edge = limited("max_idle_connections = 3", &origin).await;
    at_once(&edge, &origin, &gate, "GET", 3).await;
    until("all are kept", || origin.open_connections() == 3).await;
    edge.reload(&format!("[gate]\nmax_url = \"4KiB\"\n{}", config("max_idle_connections = 3")))
        .await
        .expect("a good config");
    assert_eq!(idle(&edge).await, 3.0);
    assert_eq!(edge.get("/t").await.status, 200);
    assert_eq!(origin.connections(), 3, "those of before are used");
    edge.reload(&config("max_idle_connections = 1")).await.expect("a good config");
    for _ in 0..3 {
        assert_eq!(edge.get("/t").await.status, 200);
    }
    until("as many as there may be now", || origin.open_connections() == 1).await;
    // Whatever was made in the meantime, on a busy machine, was one too many too.
    assert_eq!(origin.connections() as f64 - not_kept(&edge).await, 1.0);
    edge.reload(&config("")).await.expect("a good config");
    assert_eq!(edge.get("/t").await.status, 200);
    assert!(!edge.metrics().await.contains("edgeweir_origin_idle_connections{"));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_where_nobody_goes_any_more_take_no_place() {
    let (before, after) = (Origin::hello().await, Origin::hello().await);
    let keys = |origin: &Origin| format!("max_idle_connections = 1\naddresses = [\"{}\"]", origin.address());
    let edge = limited(&keys(&before), &before).await;
    assert_eq!(edge.get("/t").await.status, 200);
    edge.reload(&config(&keys(&after))).await.expect("a good config");
    for _ in 0..3 {
        assert_eq!(edge.get("/t").await.status, 200);
    }
    assert_eq!((after.connections(), not_kept(&edge).await), (1, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_two_origins_at_one_address() {
    let authority = Authority::new();
    let acceptor = authority.issue(&["localhost"]).acceptor(&["http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let open = Arc::new(());
    let counter = Arc::downgrade(&open);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, open) = (acceptor.clone(), Arc::clone(&open));
            tokio::spawn(async move {
                let _open = open;
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut read = [0; 4096];
                while let Ok(1..) = stream.read(&mut read).await {
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
                }
            });
        }
    });
    let origin = |name: &str, most: u32| {
        format!(
            "[origins.{name}]\nurl = \"https://localhost:{{port}}\"\naddresses = [\"127.0.0.1\"]\nmax_idle_connections = {most}\n\
             tls = {{ ca = \"{{dir}}/ca.pem\" }}\n"
        )
    };
    let text = format!(
        "{}{}[distributions.site]\nhosts = [\"site.test\"]\norigin = \"two\"\n[[distributions.site.behaviors]]\npath = \"/none*\"\n\
         origin = \"none\"\ncache_policy = \"CachingDisabled\"\n[[distributions.site.behaviors]]\ncache_policy = \"CachingDisabled\"\n",
        origin("two", 2),
        origin("none", 0)
    );
    let setup = Setup::new(&text).set("port", &port);
    std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("it is written");
    let edge = setup.start().await;
    for _ in 0..5 {
        assert_eq!(edge.get("/kept").await.text(), "ok");
        assert_eq!(edge.get("/none").await.text(), "ok");
        // The other origin has not used it, although it reaches the same address in the same way.
        edge.counted("edgeweir_origin_idle_connections", &["origin=\"two\""], 1.0).await;
    }
    // The listener's own, and one connection.
    until("one is kept", || counter.strong_count() == 2).await;
    edge.counted("edgeweir_origin_connections_not_kept_total", &["origin=\"none\""], 5.0).await;
}
