//! Viewers that do not take their answer, or do not send their body: what is held for them is given up in time. Real time,
//! because time is the subject.

use std::time::{Duration, Instant};

use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::h2_raw::{Outcome, RawH2};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::Raw;
use edgeweir_tests::reply::Reply;
use edgeweir_tests::wait::until_within;
use socket2::SockRef;
use tokio::net::TcpSocket;

const CONFIG: &str = r#"
    [server]
    write_timeout = "700ms"
    read_timeout = "700ms"
    keepalive_timeout = "1s"
    [origins.main]
    url = "http://{origin}"
    read_timeout = "2s"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", "/t")];
const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "site.test"), (":path", "/t")];

/// Far more than sockets hold.
const LARGE: u64 = 64 << 20;

async fn large() -> (TestEdge, Origin) {
    let origin = Origin::start(|_| Reply::large(&[], LARGE)).await;
    (TestEdge::start(CONFIG, &origin.address()).await, origin)
}

/// Nothing is held any more, neither for the viewer nor at the origin.
async fn until_given_up(edge: &TestEdge, origin: &Origin) -> Duration {
    let start = Instant::now();
    until_within(Duration::from_secs(8), "the origin's connection is given up", || origin.open_connections() == 0)
        .await;
    while edge.metric("edgeweir_open_connections", &[]).await > 0.0 {
        assert!(start.elapsed() < Duration::from_secs(8), "the viewer's connection is given up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_1_viewer_that_reads_nothing_is_cut() {
    let (edge, origin) = large().await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    until_given_up(&edge, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_1_viewer_that_reads_a_byte_now_and_then_is_cut() {
    let (edge, origin) = large().await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    let (mut stream, _ahead) = raw.into_parts();
    let reading = tokio::spawn(async move {
        use tokio::io::AsyncReadExt as _;
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    until_given_up(&edge, &origin).await;
    reading.abort();
}

/// Each answer is small enough to be whole for the edge before any of it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_http_1_viewer_that_asks_on_and_reads_nothing_is_cut() {
    let origin = Origin::start(|_| Reply::large(&[], 15_000)).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    let mut asked = 0;
    loop {
        assert!(asked < 4000, "60 MB fit nowhere");
        raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
        asked += 1;
        let start = Instant::now();
        while edge.metric("edgeweir_requests_total", &[]).await < f64::from(asked) && start.elapsed().as_millis() < 300
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if start.elapsed().as_millis() >= 300 {
            break;
        }
    }
    assert!(asked > 10, "only {asked} answers fit");
    // The origin's connection is idle meanwhile: it is kept.
    edge.counted("edgeweir_open_connections", &[], 0.0).await;
}

/// Answers of so many bytes: whatever sockets hold, of one of them only the last bytes wait in the edge.
fn sizes() -> impl Iterator<Item = u64> {
    (1..=60).map(|n| n * 12_000)
}

/// For each size a viewer that reads nothing yet, whose own socket holds little.
async fn slow_viewers(edge: &TestEdge, rest: &str) -> Vec<(u64, Raw)> {
    let mut viewers = Vec::new();
    for size in sizes() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(16 << 10).expect("a size");
        // Or the system keeps megabytes for the edge: ten times the segments of the loopback device.
        SockRef::from(&socket).set_tcp_mss(1000).expect("a size");
        let mut raw = Raw::over(socket.connect(edge.address()).await.expect("the edge listens"));
        raw.send(format!("GET /{size} HTTP/1.1\r\nHost: site.test\r\n{rest}")).await;
        viewers.push((size, raw));
    }
    viewers
}

async fn sized() -> (TestEdge, Origin) {
    let origin = Origin::start(|request| {
        let size = request.target().trim_start_matches('/').parse().expect("a size");
        Reply::large(&[], size)
    })
    .await;
    (TestEdge::start(CONFIG, &origin.address()).await, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_viewers_that_read_nothing_before_the_connection_closes_are_cut() {
    let (edge, origin) = sized().await;
    let viewers = slow_viewers(&edge, "Connection: close\r\n\r\n").await;
    until_within(Duration::from_secs(5), "all were asked for", || origin.heads() == viewers.len()).await;
    edge.counted("edgeweir_open_connections", &[], 0.0).await;
}

/// pingora drops the connection after bytes that came too early.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_http_1_viewer_that_sends_more_than_its_request_gets_the_whole_answer() {
    let (edge, _origin) = sized().await;
    let viewers = slow_viewers(&edge, "\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut reading = tokio::task::JoinSet::new();
    for (size, mut raw) in viewers {
        reading.spawn(async move { (size, raw.response().await.body.length) });
    }
    for (size, length) in reading.join_all().await {
        assert_eq!(length, size);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_viewer_that_reads_nothing_is_cut() {
    let origin = Origin::start(|_| Reply::large(&[], LARGE)).await;
    let authority = Authority::new();
    let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\n\
                    certificates = [{ certificate = \"{dir}/a.pem\", key = \"{dir}/a.key\" }]\n";
    let setup = Setup::new(&format!("{listener}{CONFIG}")).set("origin", &origin.address());
    drop(authority.issue(&["site.test"]).write(setup.folder(), "a"));
    let edge = setup.start().await;
    let stream = authority.connect(edge.address(), "site.test", &["http/1.1"]).await.expect("a handshake");
    let mut raw = Raw::over(stream);
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    until_given_up(&edge, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_viewer_that_never_grants_window_is_cut() {
    let (edge, origin) = large().await;
    let mut raw = RawH2::connect(edge.address()).await;
    // RFC 9113, section 6.5.2: INITIAL_WINDOW_SIZE 0.
    raw.frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    raw.headers(1, &GET, true).await;
    assert_eq!(raw.outcome(1).await, Outcome::Status(200));
    let start = Instant::now();
    loop {
        match raw.read_frame().await {
            Some(frame) if frame.kind == 3 && frame.stream == 1 => break,
            Some(frame) => assert!(frame.kind != 0 || frame.payload.is_empty(), "a body without window"),
            None => break,
        }
    }
    assert!(start.elapsed() > Duration::from_millis(400), "not at once: {:?}", start.elapsed());
    until_given_up(&edge, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_viewer_that_reads_nothing_is_cut() {
    let (edge, origin) = large().await;
    let mut raw = RawH2::connect(edge.address()).await;
    // All the window there is, and then not a byte is read.
    raw.frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).await;
    raw.frame(8, 0, 0, &0x7fff_0000_u32.to_be_bytes()).await;
    raw.headers(1, &GET, true).await;
    until_given_up(&edge, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_body_that_stops_coming_is_given_up() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = RawH2::connect(edge.address()).await;
    raw.headers(1, &POST, false).await;
    raw.data(1, b"abc", false).await;
    let start = Instant::now();
    let outcome = raw.outcome(1).await;
    assert!(outcome.refused() || matches!(outcome, Outcome::Status(500..)), "{outcome:?}");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(origin.count(), 0, "whole requests at the origin");
    until_given_up(&edge, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_body_that_keeps_coming_may_take_its_time() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = RawH2::connect(edge.address()).await;
    raw.headers(1, &POST, false).await;
    // Longer than the origin may keep silent.
    for _ in 0..15 {
        raw.data(1, b"abc", false).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    raw.data(1, b"end", true).await;
    assert_eq!(raw.outcome(1).await, Outcome::Status(200));
    assert_eq!(origin.only_request().body.length, 48);
}
