//! How connections end: an end that is meant is told from one that was cut, in TLS (RFC 9112, 9.8) and HTTP/2 (RFC 9113, 6.8).

use std::io::ErrorKind;
use std::time::Duration;

use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::h2_raw::RawH2;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::wait::deadline;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SERVER: &str = "[server]\nkeepalive_timeout = \"500ms\"\nheader_timeout = \"500ms\"\n";
const TLS: &str = r#"
    [[listeners]]
    address = "127.0.0.1:0"
    certificates = [{ certificate = "{dir}/a.pem", key = "{dir}/a.key" }]
"#;
const SITE: &str = r#"
    [origins.main]
    url = "http://{origin}"
    read_timeout = "500ms"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

async fn over_tls(origin: &Origin) -> (TestEdge, Authority) {
    let authority = Authority::new();
    let setup = Setup::new(&format!("{SERVER}{TLS}{SITE}")).set("origin", &origin.address());
    drop(authority.issue(&[HOST]).write(setup.folder(), "a"));
    (setup.start().await, authority)
}

/// What comes after these bytes, and how it ends: `UnexpectedEof` where the end may be an attacker's.
async fn ends(edge: &TestEdge, authority: &Authority, bytes: &str) -> (String, Result<(), ErrorKind>) {
    let mut stream = authority.connect(edge.address(), HOST, &["http/1.1"]).await.expect("a handshake");
    stream.write_all(bytes.as_bytes()).await.expect("an open connection");
    let mut answer = Vec::new();
    let end = deadline("the end of the connection", stream.read_to_end(&mut answer)).await;
    (String::from_utf8_lossy(&answer).into_owned(), end.map(drop).map_err(|error| error.kind()))
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_9_8_tls_ends_with_close_notify_after_whole_answers() {
    let origin = Origin::start(|request| match request.target() {
        "/silent" => Reply::script([Step::Pause(Duration::from_secs(3600))]),
        _ => Reply::chunked(200, &[], &["one", "two"]),
    })
    .await;
    let (edge, authority) = over_tls(&origin).await;
    for (bytes, status, body) in [
        ("GET /t HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n", "200", "0\r\n\r\n"),
        ("GET /t HTTP/1.0\r\nHost: site.test\r\n\r\n", "200", "onetwo"),
        // Kept, and then idle for too long.
        ("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n", "200", "0\r\n\r\n"),
        ("GET /silent HTTP/1.1\r\nHost: site.test\r\n\r\n", "504", "}"),
        ("GET /a#b HTTP/1.1\r\nHost: site.test\r\n\r\n", "400", "}"),
        ("GET /t HTTP/1.1\r\nHost: si", "408", "}"),
        ("", "408", "}"),
        ("TRACE /t HTTP/1.1\r\nHost: site.test\r\n\r\n", "405", "}"),
    ] {
        let (answer, end) = ends(&edge, &authority, bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(body), "{bytes:?}: {answer:?}");
        assert_eq!(end, Ok(()), "{bytes:?}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_9_8_an_answer_that_is_cut_off_has_no_close_notify() {
    for reply in [hostile::cut_chunks(), hostile::short_body(), hostile::resets_in_body()] {
        let origin = hostile::always(reply).await;
        let (edge, authority) = over_tls(&origin).await;
        // To HTTP/1.0 the body ends with the connection, if the origin says no length: nothing else tells that it is cut.
        for version in ["1.0", "1.1"] {
            let request = format!("GET /t HTTP/{version}\r\nHost: site.test\r\n\r\n");
            let (answer, end) = ends(&edge, &authority, &request).await;
            assert!(answer.contains("half"), "{answer:?}");
            assert_eq!(end, Err(ErrorKind::UnexpectedEof), "HTTP/{version}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_6_8_an_idle_http2_connection_ends_with_goaway() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(&format!("{SERVER}{SITE}"), &origin.address()).await;
    for requests in [0_u32, 2] {
        let mut raw = RawH2::connect(edge.address()).await;
        for number in 0..requests {
            let stream = 2 * number + 1;
            let fields = [(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", "/t")];
            raw.headers(stream, &fields, true).await;
            raw.outcome(stream).await;
        }
        let mut last = None;
        while let Some(frame) = raw.read_frame().await {
            last = Some(frame);
        }
        let last = last.expect("a frame");
        let seen = if requests == 0 { 0 } else { 2 * requests - 1 };
        let payload = [seen.to_be_bytes(), [0; 4]].concat();
        assert_eq!((last.kind, last.stream, last.payload), (7, 0, payload), "after {requests} requests");
    }
}
