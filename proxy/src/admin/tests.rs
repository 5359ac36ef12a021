use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

use super::client::ClientError;
use super::*;

#[derive(Default)]
struct Fake {
    down: AtomicBool,
    broken: AtomicBool,
    slow: AtomicBool,
    concern: parking_lot::Mutex<Option<String>>,
    entered: Notify,
}

#[async_trait]
impl Control for Fake {
    fn ready(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }
    fn metrics(&self) -> String {
        "edgeweir_x 1\n# EOF\n".to_owned()
    }
    fn concern(&self) -> Option<String> {
        self.concern.lock().clone()
    }
    async fn keys(&self, _call: keys::Call) -> Result<keys::Answer, KeyError> {
        Ok(keys::Answer::Json(200, json!({ "keys": [] })))
    }
    fn status(&self) -> serde_json::Value {
        json!({ "version": "1.2.3" })
    }
    async fn reload(&self) -> Result<serde_json::Value, ReloadFailure> {
        self.entered.notify_one();
        if self.slow.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if self.broken.load(Ordering::Relaxed) {
            return Err(ReloadFailure { status: 422, body: json!({ "error": "bad file", "report": "error: x" }) });
        }
        Ok(json!({ "snapshot": 2 }))
    }

    async fn purge(&self, order: Order) -> Result<serde_json::Value, BadOrder> {
        if order.paths.is_empty() { Err(BadOrder::Nothing) } else { Ok(json!({ "generation": 5 })) }
    }

    async fn deploy(&self, hook: &str, version: &str) -> Result<serde_json::Value, ReloadFailure> {
        Ok(json!({ "hook": hook, "version": version }))
    }
}

fn socket_path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("state").join(SOCKET)
}

async fn get(path: &Path, call: &str) -> (u16, String) {
    let (status, body) = client::call(path, Method::GET, call).await.unwrap();
    (status, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn calls_over_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket_path(&folder);
    let fake = Arc::new(Fake::default());
    let server = serve_unix(&path, Arc::<Fake>::clone(&fake)).unwrap();
    assert_eq!(get(&path, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&path, "/readyz").await, (200, "ready\n".to_owned()));
    *fake.concern.lock() = Some("the disk is full".to_owned());
    assert_eq!(get(&path, "/readyz").await, (200, "ready\nstate store: the disk is full\n".to_owned()));
    *fake.concern.lock() = None;
    fake.down.store(true, Ordering::Relaxed);
    assert_eq!(get(&path, "/readyz").await, (503, "not ready\n".to_owned()));
    assert_eq!(get(&path, "/healthz").await.0, 200);
    assert_eq!(get(&path, "/metrics").await, (200, "edgeweir_x 1\n# EOF\n".to_owned()));
    assert_eq!(get(&path, "/v1/status").await, (200, "{\"version\":\"1.2.3\"}\n".to_owned()));
    assert_eq!(get(&path, "/v1/reload").await.0, 405);
    assert_eq!(get(&path, "/none").await.0, 404);
    let (status, body) = client::call(&path, Method::POST, "/v1/reload").await.unwrap();
    assert_eq!((status, &*body), (200, &b"{\"snapshot\":2}\n"[..]));
    fake.broken.store(true, Ordering::Relaxed);
    let (status, body) = client::call(&path, Method::POST, "/v1/reload").await.unwrap();
    assert_eq!(status, 422);
    assert!(String::from_utf8(body).unwrap().contains("error: x"));
    server.stop().await;
    assert!(!path.exists());
    let error = client::call(&path, Method::GET, "/healthz").await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn purges_have_a_body() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket_path(&folder);
    let _server = serve_unix(&path, Arc::new(Fake::default())).unwrap();
    let long = format!("{{\"paths\":[\"{}\"]}}", "x".repeat(2 << 20));
    for (body, expected, word) in [
        ("{\"paths\":[\"/a\"]}", 200, "{\"generation\":5}"),
        ("{}", 422, "nothing to purge"),
        ("{\"path\":1}", 400, "unknown field `path`"),
        ("", 400, "the body is no purge"),
        (long.as_str(), 413, ""),
    ] {
        let (status, answer) =
            client::send(&path, Method::POST, "/v1/purge", bytes::Bytes::from(body.to_owned())).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(status == expected && answer.contains(word), "{status} {answer}");
    }
}

#[tokio::test]
async fn the_socket_is_for_the_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket_path(&folder);
    let _server = serve_unix(&path, Arc::new(Fake::default())).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let names: Vec<_> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [SOCKET]);
}

#[tokio::test]
async fn a_newcomer_takes_the_socket_over_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket_path(&folder);
    let (old, new) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
    new.down.store(true, Ordering::Relaxed);
    let first = serve_unix(&path, old).unwrap();
    assert_eq!(get(&path, "/readyz").await.0, 200);
    let second = serve_unix(&path, new).unwrap();
    assert_eq!(get(&path, "/readyz").await.0, 503);
    first.stop().await;
    assert_eq!(get(&path, "/readyz").await.0, 503);
    second.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn what_a_dead_edge_left_is_replaced_and_other_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket_path(&folder);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = serve_unix(&path, Arc::new(Fake::default())).unwrap();
    assert_eq!(get(&path, "/healthz").await.0, 200);
    server.stop().await;

    std::fs::write(&path, "a file").unwrap();
    let error = serve_unix(&path, Arc::new(Fake::default())).unwrap_err();
    assert!(matches!(error, AdminError::NotASocket { .. }), "{error}");
    let long = folder.path().join("x".repeat(120)).join(SOCKET);
    let error = serve_unix(&long, Arc::new(Fake::default())).unwrap_err();
    assert!(matches!(error, AdminError::TooLong { .. }), "{error}");
    let below_a_file = path.join("state").join(SOCKET);
    let error = serve_unix(&below_a_file, Arc::new(Fake::default())).unwrap_err();
    assert!(matches!(error, AdminError::Folder { .. }), "{error}");
}

#[tokio::test]
async fn stop_lets_calls_in_flight_finish() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket_path(&folder);
    let fake = Arc::new(Fake::default());
    fake.slow.store(true, Ordering::Relaxed);
    let server = serve_unix(&path, Arc::<Fake>::clone(&fake)).unwrap();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"POST /v1/reload HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    fake.entered.notified().await;
    server.stop().await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"snapshot\":2"), "{answer}");
}

async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn tcp_needs_a_token_to_change_state() {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let (open, _open) = serve_tcp(any_port, None, Arc::new(Fake::default())).await.unwrap();
    let (closed, server) = serve_tcp(any_port, Some("S3CRET-token"), Arc::new(Fake::default())).await.unwrap();
    let close = "Connection: close\r\n\r\n";
    for (address, head, expected) in [
        (open, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n", "200"),
        (open, "GET /metrics HTTP/1.1\r\nHost: attacker.test\r\n", "421"),
        (open, "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\n", "403"),
        (open, "PUT /healthz HTTP/1.1\r\nHost: localhost\r\n", "403"),
        (closed, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n", "200"),
        (closed, "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\n", "401"),
        (closed, "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer S3CRET\r\n", "401"),
        (closed, "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer S3CRET-token\r\n", "200"),
        (closed, "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n", "413"),
    ] {
        let answer = raw(address, &format!("{head}{close}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{head}{answer}");
        assert!(answer.contains("cache-control: no-store"), "{answer}");
        assert!(!answer.contains("S3CRET"), "{answer}");
    }
    let unauthorized = raw(closed, &format!("POST /v1/reload HTTP/1.1\r\nHost: localhost\r\n{close}")).await;
    assert!(unauthorized.contains("www-authenticate: Bearer"), "{unauthorized}");
    let metrics = raw(open, &format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{close}")).await;
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    server.stop().await;
    TcpStream::connect(closed).await.unwrap_err();
}

#[tokio::test]
async fn large_heads_are_refused() {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let (address, _server) = serve_tcp(any_port, None, Arc::new(Fake::default())).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The edge may hang up while this is written.
    let _written = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
