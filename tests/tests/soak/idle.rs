//! What a connection costs that is kept open and asks nothing: resident memory of the edge's process, after each connection has
//! had one answer. The clients are in the test's process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edgeweir_tests::certs::{Authority, Client};
use edgeweir_tests::edge::HOST;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::{Process, free_port};
use edgeweir_tests::raw::{Raw, request_bytes};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// What one may cost, in bytes.
const LIMIT: u64 = 16 << 10;
/// Connections from one address; the edge takes 1,000.
const PER_ADDRESS: usize = 500;

const CONFIG: &str = r#"
[server]
max_connections = 15000
keepalive_timeout = "10m"
[log]
access = "off"
[[listeners]]
address = "{plain}"
[[listeners]]
address = "{tls}"
certificates = [{ certificate = "{dir}/a.pem", key = "{dir}/a.key" }]
[origins.main]
url = "http://{origin}"
[distributions.site]
hosts = ["site.test"]
origin = "main"
"#;

struct Edge {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    client: Arc<Client>,
    _origin: Origin,
    _folder: tempfile::TempDir,
}

async fn edge() -> Edge {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let origin = Origin::hello().await;
    let authority = Authority::new();
    drop(authority.issue(&[HOST]).write(folder.path(), "a"));
    let [plain, tls] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
    let state = folder.path().join("state");
    let mut text = format!("state_dir = {state:?}\n{CONFIG}");
    for (name, value) in [
        ("plain", plain.to_string()),
        ("tls", tls.to_string()),
        ("dir", folder.path().display().to_string()),
        ("origin", origin.address()),
    ] {
        text = text.replace(&format!("{{{name}}}"), &value);
    }
    let file = folder.path().join("edgeweir.toml");
    std::fs::write(&file, text).expect("a writable folder");
    let process = Process::serve(&file, &state).await;
    let client = Arc::new(authority.client().offering(&["http/1.1"]));
    Edge { process, plain, tls, client, _origin: origin, _folder: folder }
}

/// Opens so many connections, each with one answered request, and keeps them.
async fn open(edge: &Edge, tls: bool, count: usize) -> Vec<Raw> {
    let address = if tls { edge.tls } else { edge.plain };
    let mut tasks = JoinSet::new();
    // A few at a time, so that what many at once need is not measured.
    for part in 0..16 {
        let client = Arc::clone(&edge.client);
        tasks.spawn(async move {
            let mut open = Vec::new();
            for number in (part..count).step_by(16) {
                let host = u8::try_from(2 + number / PER_ADDRESS).expect("there are addresses enough");
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.bind(([127, 0, 0, host], 0).into()).expect("an address of loopback");
                let stream = socket.connect(address).await.expect("the edge accepts");
                let mut raw = match tls {
                    true => Raw::over(client.over(stream, HOST).await.expect("a handshake")),
                    false => Raw::over(stream),
                };
                raw.send(request_bytes("GET", HOST, "/t", &[], b"")).await;
                assert_eq!(raw.response().await.status, 200);
                open.push(raw);
            }
            open
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Bytes of resident memory for each of so many connections.
async fn cost(edge: &Edge, tls: bool, count: usize) -> u64 {
    // What the first requests make once.
    drop(open(edge, tls, 200).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = edge.process.resident();
    let mut kept = open(edge, tls, count).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let each = edge.process.resident().saturating_sub(before) / u64::try_from(count).expect("a small number");
    // They were idle, not dead.
    for raw in kept.iter_mut().step_by(97) {
        raw.send(request_bytes("GET", HOST, "/t", &[], b"")).await;
        assert_eq!(raw.response().await.status, 200);
    }
    println!("{count} idle connections, {}: {each} bytes each", if tls { "TLS" } else { "plain" });
    each
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_cheap() {
    let each = cost(&edge().await, false, 1_000).await;
    assert!(each < LIMIT, "{each} bytes each");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute"]
async fn ten_thousand_idle_connections() {
    let plain = cost(&edge().await, false, 10_000).await;
    let tls = cost(&edge().await, true, 10_000).await;
    assert!(plain < LIMIT, "{plain} bytes each");
    assert!(tls < LIMIT, "{tls} bytes each with TLS");
}
