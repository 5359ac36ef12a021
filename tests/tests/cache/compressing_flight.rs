//! Compression of what is still on its way: for the viewer whose request fetches it, and for those who join.

use std::io::Read as _;

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::http2::Client;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw::{Response, get};
use edgeweir_tests::wait::until;
use edgeweir_tests::wire::Framing;

use crate::support::{is_hit, tells, with_policy};

const POLICY: &str = "max_ttl = \"1h\"\ncompress = [\"br\", \"zstd\", \"gzip\"]";
const TAGGED: &[(&str, &str)] =
    &[("cache-control", "max-age=600"), ("content-type", "text/css"), ("etag", "\"v1\""), ("accept-ranges", "bytes")];

fn text(lines: usize) -> String {
    (0..lines).map(|line| format!(".rule-{line} {{ color: red; margin: {}px }}\n", line * 7919 % 1_000)).collect()
}

fn decoded(coding: Option<&str>, bytes: &[u8]) -> String {
    let mut text = String::new();
    match coding {
        None => return String::from_utf8_lossy(bytes).into_owned(),
        Some("gzip") => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).map(drop),
        Some("br") => brotli::Decompressor::new(bytes, 4096).read_to_string(&mut text).map(drop),
        Some("zstd") => zstd::Decoder::new(bytes).and_then(|mut decoder| decoder.read_to_string(&mut text)).map(drop),
        Some(other) => panic!("content-encoding: {other}"),
    }
    .expect("a coded body");
    text
}

fn read(response: &Response) -> String {
    decoded(response.header("content-encoding"), &response.body.bytes)
}

/// Sends a head and half of `text`, waits for the gate, and sends the rest; or breaks off.
fn halves(text: &str, gate: &Gate, whole: bool) -> Reply {
    let head: String = TAGGED.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n", text.len());
    let (first, second) = text.split_at(text.len() / 2);
    let send = |text: &str| Step::Send(text.as_bytes().to_vec().into());
    let end = if whole { send(second) } else { Step::Close };
    Reply::script([send(&head), send(first), Step::Hold(gate.clone()), end])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_viewer_has_it_coded_and_the_form_is_kept() {
    for lines in [30, 2_000, 40_000] {
        let origin = Origin::start(move |_| Reply::new(200, TAGGED, text(lines))).await;
        let edge = with_policy(&origin, POLICY).await;
        for (accept, coding) in [("br", "br"), ("gzip", "gzip"), ("zstd", "zstd")] {
            let path = format!("/{accept}");
            let first = edge.get_with(&path, &[("Accept-Encoding", accept)]).await;
            assert!(tells(&first, "stored") && !is_hit(&first));
            for (name, value) in [
                ("content-encoding", Some(coding)),
                ("etag", Some("W/\"v1\"")),
                ("vary", Some("Accept-Encoding")),
                ("content-length", None),
                ("accept-ranges", None),
            ] {
                assert_eq!(first.header(name), value, "{accept} {name}");
            }
            assert_eq!(read(&first), text(lines), "{accept}");
            assert!(first.body.length < text(lines).len() as u64, "{accept}");
            let hit = edge.get_with(&path, &[("Accept-Encoding", accept)]).await;
            assert!(is_hit(&hit));
            assert_eq!(hit.header("content-encoding"), Some(coding));
            assert_eq!(hit.body.bytes, first.body.bytes, "what was made on the way is what is kept");
            assert_eq!(hit.header("content-length"), Some(first.body.length.to_string().as_str()));
            let plain = edge.get(&path).await;
            assert_eq!((plain.header("content-encoding"), plain.header("etag")), (None, Some("\"v1\"")));
            assert_eq!(plain.text(), text(lines));
        }
        assert_eq!(origin.count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_gets_the_form_that_it_wants_from_one_fetch() {
    let gate = Gate::new();
    let hold = gate.clone();
    let whole = text(3_000);
    let sent = whole.clone();
    let origin = Origin::start(move |_| halves(&sent, &hold, true)).await;
    let edge = with_policy(&origin, POLICY).await;
    let address = edge.address();
    let mut viewers = tokio::task::JoinSet::new();
    let mut ask = |accept: &'static str| {
        viewers.spawn(async move { (accept, get(address, HOST, "/t", &[("Accept-Encoding", accept)]).await) });
    };
    ask("gzip");
    until("the fetch", || origin.count() == 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    ["gzip", "br", "br", "identity", "zstd"].into_iter().for_each(&mut ask);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    gate.open();
    while let Some(done) = viewers.join_next().await {
        let (accept, response) = done.expect("no panic");
        let coding = Some(accept).filter(|accept| *accept != "identity");
        assert_eq!(response.header("content-encoding"), coding, "{accept}");
        assert_eq!(read(&response), whole, "{accept}");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_come_is_sent_on_while_the_origin_pauses() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| halves(&text(100), &hold, true)).await;
    let edge = with_policy(&origin, POLICY).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\nAccept-Encoding: gzip\r\n\r\n").await;
    let (_, head, _) = raw.try_head().await.expect("a head");
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    // The decoder gives out the first half before the rest has come.
    let mut seen = 0;
    loop {
        let ahead = raw.peek_at_least(seen + 1).await;
        seen = ahead.len();
        let mut out = Vec::new();
        let mut decoder = flate2::write::GzDecoder::new(&mut out);
        std::io::Write::write_all(&mut decoder, &without_chunks(&ahead)).expect("gzip");
        std::io::Write::flush(&mut decoder).expect("gzip");
        drop(decoder);
        if out.len() == text(100).len() / 2 {
            break;
        }
    }
    gate.open();
    let (body, result) = raw.body(Framing::Chunked).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(decoded(Some("gzip"), &body.bytes), text(100));
}

/// What is in the chunks that have come so far.
fn without_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        let size = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let size = usize::from_str_radix(&size, 16).expect("the size of a chunk");
        let rest = &bytes[end + 2..];
        content.extend_from_slice(&rest[..size.min(rest.len())]);
        bytes = rest.get(size + 2..).unwrap_or_default();
    }
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_3_what_breaks_off_is_whole_in_no_form() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| halves(&text(2_000), &hold, false)).await;
    let edge = with_policy(&origin, POLICY).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\nAccept-Encoding: br\r\n\r\n").await;
    let (status, ..) = raw.try_head().await.expect("a head");
    assert_eq!(status, 200);
    gate.open();
    let (body, result) = raw.body(Framing::Chunked).await;
    assert!(result.is_err(), "the last chunk never comes, after {} bytes", body.length);
    origin.answer(|_| Reply::new(200, TAGGED, text(100)));
    let next = edge.get_with("/t", &[("Accept-Encoding", "br")]).await;
    assert_eq!((is_hit(&next), read(&next)), (false, text(100)));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_and_conditions_on_a_miss_tell_of_the_coded_form() {
    let origin = Origin::start(|_| Reply::new(200, TAGGED, text(200))).await;
    let edge = with_policy(&origin, POLICY).await;
    let head = edge.request("HEAD", "/head", &[("Accept-Encoding", "gzip")], b"").await;
    assert_eq!((head.header("content-encoding"), head.header("etag")), (Some("gzip"), Some("W/\"v1\"")));
    let asked = [("Accept-Encoding", "gzip"), ("If-None-Match", "W/\"v1\"")];
    let same = edge.get_with("/same", &asked).await;
    assert_eq!((same.status, same.header("etag"), same.header("content-encoding")), (304, Some("W/\"v1\""), None));
    assert_eq!(same.header("vary"), Some("Accept-Encoding"));
    let part = edge.get_with("/part", &[("Accept-Encoding", "gzip"), ("Range", "bytes=0-9")]).await;
    assert_eq!((part.status, part.header("content-encoding"), part.header("etag")), (206, None, Some("\"v1\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_viewers_have_it_coded_too() {
    let origin = Origin::start(|_| Reply::new(200, TAGGED, text(500))).await;
    let edge: TestEdge = with_policy(&origin, POLICY).await;
    let mut viewer = Client::connect(edge.address()).await;
    let response = viewer.get(HOST, "/t", &[("accept-encoding", "br")]).await;
    assert_eq!(response.header("content-encoding"), Some("br"));
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(decoded(Some("br"), &response.body), text(500));
}
