//! The admin API: on its Unix socket for the owner, on TCP with a token for whatever changes state.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use edgeweir_tests::edge::{PLAIN, Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::{Response, request};

const TOKEN: &str = "admin-token-0123456789";

async fn with_tcp(keys: &str) -> (TestEdge, SocketAddr, Origin) {
    let origin = Origin::hello().await;
    let config = format!("[admin]\naddress = \"127.0.0.1:0\"\n{keys}\n{PLAIN}");
    let edge = Setup::new(&config).set("origin", &origin.address()).start().await;
    let address = edge.inner().admin_address().expect("the admin API listens");
    (edge, address, origin)
}

async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    request(address, method, &address.to_string(), path, headers, b"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_the_owners_only() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&edge.admin_socket()), 0o600);
    assert_eq!(mode(edge.admin_socket().parent().expect("a folder")), 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_answers() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let health = edge.admin("GET", "/healthz").await;
    assert_eq!((health.status, health.text().trim()), (200, "ok"));
    assert_eq!(edge.admin("GET", "/readyz").await.status, 200);
    let status: serde_json::Value = serde_json::from_str(&edge.admin("GET", "/v1/status").await.text()).expect("JSON");
    assert_eq!(status["snapshot"], 1, "{status}");
    assert!(status["version"].is_string() && status["uptime_seconds"].is_u64(), "{status}");
    assert_eq!(status["listeners"][0], edge.address().to_string(), "{status}");
    assert_eq!(edge.admin("GET", "/nothing").await.status, 404);
    assert_eq!(edge.admin("GET", "/v1/reload").await.status, 405);
    assert_eq!(edge.admin("POST", "/healthz").await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_socket_is_replaced() {
    let origin = Origin::hello().await;
    let setup = Setup::new(PLAIN).set("origin", &origin.address());
    let state = setup.folder().join("state");
    std::fs::create_dir(&state).expect("a writable folder");
    // A socket that nobody listens on any more.
    drop(std::os::unix::net::UnixListener::bind(state.join("admin.sock")).expect("a socket"));
    let edge = setup.start().await;
    assert_eq!(edge.admin("GET", "/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_reading_is_open_and_changing_needs_the_token() {
    let (edge, address, _origin) = with_tcp(&format!("token = \"{TOKEN}\"")).await;
    for path in ["/healthz", "/readyz", "/metrics", "/v1/status"] {
        assert_eq!(ask(address, "GET", path, &[]).await.status, 200, "{path}");
    }
    let wrong = format!("Bearer {}x", TOKEN.trim_end_matches('9'));
    for headers in [
        &[] as &[(&str, &str)],
        &[("Authorization", "Bearer wrong")],
        &[("Authorization", wrong.as_str())],
        &[("Authorization", TOKEN)],
        &[("Authorization", "Basic YWRtaW46YWRtaW4=")],
        &[("Authorization", "Bearer ")],
    ] {
        let response = ask(address, "POST", "/v1/reload", headers).await;
        assert_eq!(response.status, 401, "{headers:?}");
        assert!(response.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    }
    let right = format!("Bearer {TOKEN}");
    assert_eq!(ask(address, "POST", "/v1/reload", &[("Authorization", &right)]).await.status, 200);
    let status = edge.admin("GET", "/v1/status").await.text();
    assert!(!status.contains(TOKEN) && !edge.metrics().await.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_without_a_token_nothing_can_be_changed() {
    let (edge, address, _origin) = with_tcp("").await;
    assert_eq!(ask(address, "GET", "/healthz", &[]).await.status, 200);
    for headers in [&[] as &[(&str, &str)], &[("Authorization", "Bearer ")], &[("Authorization", "Bearer x")]] {
        assert_eq!(ask(address, "POST", "/v1/reload", headers).await.status, 403, "{headers:?}");
    }
    assert_eq!(edge.admin("POST", "/v1/reload").await.status, 200, "the socket can");
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_rebinding_gets_nowhere() {
    let (_edge, address, _origin) = with_tcp("").await;
    for (host, good) in [
        ("evil.test", false),
        ("evil.test:80", false),
        ("localhost.evil.test", false),
        ("localhost", true),
        ("127.0.0.1", true),
    ] {
        let status = request(address, "GET", host, "/v1/status", &[], b"").await.status;
        assert_eq!(status == 200, good, "{host}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_addresses_without_a_token_are_refused_at_start() {
    let config = format!("[admin]\naddress = \"0.0.0.0:0\"\n{PLAIN}");
    let words = Setup::new(&config).set("origin", "127.0.0.1:9").try_start().await.err().expect("it does not start");
    assert!(words.contains("token"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_do_not_reach_the_admin_api() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::plain(&origin.address()).await;
    for path in ["/healthz", "/readyz", "/metrics", "/v1/status"] {
        let response = edge.get(path).await;
        assert!(response.text().starts_with("GET "), "{path} is the origin's: {}", response.text());
    }
    assert_eq!(edge.request("POST", "/v1/reload", &[("Content-Length", "0")], b"").await.status, 200);
    assert_eq!(origin.count(), 5);
}
