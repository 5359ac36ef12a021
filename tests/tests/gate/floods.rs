//! HTTP/2 viewers that ask for more work than they are worth: each is told to calm down (RFC 9113, section 7) and its
//! connection ends; others go on.

use std::time::Duration;

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::h2_raw::{END_HEADERS, END_STREAM, Outcome, RawH2, block};
use edgeweir_tests::http2::Client;
use edgeweir_tests::origin::Origin;

use crate::support::until_refused;

const CONFIG: &str = r#"
    [http2]
    max_resets = 5
    max_control_frames = 5
    max_concurrent_streams = 3
    stream_window = "1KiB"
    connection_window = "64KiB"
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", "/t")];
const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "site.test"), (":path", "/t")];
const ENHANCE_YOUR_CALM: u32 = 11;
/// `CANCEL`, as a payload.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

async fn strict() -> (TestEdge, Origin) {
    let origin = Origin::mirror().await;
    (TestEdge::start(CONFIG, &origin.address()).await, origin)
}

/// The code that the edge ends the connection with; none if it just closes it.
async fn goodbye(raw: &mut RawH2) -> Option<u32> {
    while let Some(frame) = raw.read_frame().await {
        if frame.kind == 7 {
            return frame.payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().expect("four bytes")));
        }
    }
    None
}

async fn goes_on(edge: &TestEdge) {
    let mut client = Client::connect(edge.address()).await;
    assert_eq!(client.get("site.test", "/t", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2023_44487_also_in_no_hurry() {
    let (edge, origin) = strict().await;
    let mut raw = RawH2::connect(edge.address()).await;
    let head = block(&GET);
    for number in 0..150_u32 {
        raw.frame(1, END_HEADERS | END_STREAM, number * 2 + 1, &head).await;
        // It is at work, so h2 does not count it among those that nobody has seen.
        tokio::time::sleep(Duration::from_millis(3)).await;
        raw.frame(3, 0, number * 2 + 1, &CANCEL).await;
    }
    assert_eq!(goodbye(&mut raw).await, Some(ENHANCE_YOUR_CALM));
    assert!((50..60).contains(&origin.heads()), "{} requests reached the origin", origin.heads());
    until_refused(&edge, "http2-resets", 1.0).await;
    goes_on(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_carry_nothing_end_the_connection() {
    let (edge, origin) = strict().await;
    let grant = 1_u32.to_be_bytes();
    let floods: [(&str, u8, &[u8]); 5] = [
        ("CVE-2019-9512, PING", 6, &[0; 8]),
        ("CVE-2019-9515, SETTINGS", 4, &[]),
        ("CVE-2019-9513, PRIORITY", 2, &[0, 0, 0, 0, 7]),
        ("an unknown frame", 0x42, &[1, 2, 3]),
        ("CVE-2019-9517, WINDOW_UPDATE", 8, &grant),
    ];
    for (number, (what, kind, payload)) in floods.into_iter().enumerate() {
        let mut raw = RawH2::connect(edge.address()).await;
        let stream = if kind == 2 { 3 } else { 0 };
        for _ in 0..40 {
            raw.frame(kind, 0, stream, payload).await;
        }
        // Fewer are no harm.
        raw.headers(1, &GET, true).await;
        assert_eq!(raw.outcome(1).await, Outcome::Status(200), "{what}");
        for _ in 0..100 {
            raw.frame(kind, 0, stream, payload).await;
        }
        assert_eq!(goodbye(&mut raw).await, Some(ENHANCE_YOUR_CALM), "{what}");
        until_refused(&edge, "http2-control-frames", (number + 1) as f64).await;
    }
    assert_eq!(origin.heads(), 5);
    goes_on(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2019_9518_empty_data_ends_the_connection() {
    let (edge, origin) = strict().await;
    let mut raw = RawH2::connect(edge.address()).await;
    raw.headers(1, &POST, false).await;
    for _ in 0..40_000 {
        raw.data(1, b"", false).await;
    }
    assert_eq!(goodbye(&mut raw).await, Some(ENHANCE_YOUR_CALM));
    drop(raw);
    until_refused(&edge, "http2-control-frames", 1.0).await;
    assert_eq!(origin.count(), 0);
    goes_on(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_grows_when_it_is_unpacked_is_refused() {
    let (edge, origin) = strict().await;
    let mut raw = RawH2::connect(edge.address()).await;
    let mut head = block(&GET);
    // RFC 7541, section 6.2.1: a literal that is kept in the table, 3,000 bytes; then 10,000 times by its index.
    head.extend([0x40, 1, b'x', 127, 0xb9, 22]);
    head.extend([b'a'; 127 + 0x39 + 22 * 128]);
    head.extend([0xbe; 10_000]);
    raw.frame(1, END_HEADERS | END_STREAM, 1, &head).await;
    let outcome = raw.outcome(1).await;
    assert!(outcome.refused(), "{outcome:?}");
    assert_eq!(origin.heads(), 0);
    goes_on(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_windows_are_as_configured() {
    let (edge, _origin) = strict().await;
    let mut raw = RawH2::connect(edge.address()).await;
    // RFC 9113, section 6.5.2: 3 is MAX_CONCURRENT_STREAMS, 4 INITIAL_WINDOW_SIZE.
    assert_eq!((raw.setting(3), raw.setting(4)), (Some(3), Some(1024)));
    for stream in [1, 3, 5, 7] {
        raw.headers(stream, &POST, false).await;
    }
    // REFUSED_STREAM.
    assert_eq!(raw.outcome(7).await, Outcome::Reset(7));
    for stream in [1, 3, 5] {
        raw.data(stream, b"", true).await;
        assert_eq!(raw.outcome(stream).await, Outcome::Status(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_busy_viewers_do_is_no_flood() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = RawH2::connect(edge.address()).await;
    let mut stream = 1;
    for round in 0..300_u32 {
        raw.headers(stream, &GET, true).await;
        assert_eq!(raw.outcome(stream).await, Outcome::Status(200), "round {round}");
        raw.frame(8, 0, 0, &300_u32.to_be_bytes()).await;
        raw.frame(6, 0, 0, &[0; 8]).await;
        stream += 2;
        if round % 3 == 0 {
            raw.headers(stream, &GET, true).await;
            raw.frame(3, 0, stream, &CANCEL).await;
            stream += 2;
        }
    }
    assert_eq!(edge.metric("edgeweir_refused_connections_total", &["http2"]).await, 0.0);
}
