//! The gate for HTTP/2 (RFC 9113, section 8): what is malformed there, and what would be dangerous as HTTP/1.1.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::h2_raw::{END_HEADERS, END_STREAM, Outcome, RawH2, block};
use edgeweir_tests::http2::Client;
use edgeweir_tests::origin::Origin;

use crate::support::{mirrored, until_refused};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "site.test");
const PATH: (&str, &str) = (":path", "/t");

async fn outcome(edge: &TestEdge, fields: &[(&str, &str)]) -> Outcome {
    let mut raw = RawH2::connect(edge.address()).await;
    raw.headers(1, fields, true).await;
    raw.outcome(1).await
}

/// Refuses each of these requests; the origin gets nothing.
async fn all_refused(cases: &[&[(&str, &str)]]) {
    let (edge, origin) = mirrored().await;
    for case in cases {
        let outcome = outcome(&edge, case).await;
        assert!(outcome.refused(), "{outcome:?} for {case:?}");
        assert_eq!((origin.heads(), origin.broken()), (0, 0), "the origin got something of {case:?}");
    }
    assert_eq!(outcome(&edge, &[METHOD, SCHEME, AUTHORITY, PATH]).await, Outcome::Status(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_2_1_upper_case_and_bad_names_are_a_protocol_error() {
    all_refused(&[
        &[METHOD, SCHEME, AUTHORITY, PATH, ("X-Upper", "1")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x a", "1")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("", "1")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x:y", "1")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x\r\ny", "1")],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_2_1_line_breaks_and_nul_in_values_are_a_protocol_error() {
    all_refused(&[
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x", "a\r\nhost: evil.test")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x", "a\nb")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x", "a\0b")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "/t HTTP/1.1\r\nhost: evil.test\r\n\r\n")],
        &[METHOD, SCHEME, (":authority", "site.test\r\nx: y"), PATH],
        &[(":method", "GET /evil HTTP/1.1\r\nhost: site.test\r\n\r\nGET"), SCHEME, AUTHORITY, PATH],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_2_2_connection_fields_are_a_protocol_error() {
    all_refused(&[
        &[METHOD, SCHEME, AUTHORITY, PATH, ("connection", "close")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("transfer-encoding", "chunked")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("keep-alive", "timeout=5")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("proxy-connection", "keep-alive")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("upgrade", "websocket")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("te", "gzip")],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_3_pseudo_fields_must_be_right() {
    all_refused(&[
        &[SCHEME, AUTHORITY, PATH],
        &[METHOD, SCHEME, AUTHORITY],
        &[METHOD, AUTHORITY, PATH],
        &[METHOD, METHOD, SCHEME, AUTHORITY, PATH],
        &[METHOD, SCHEME, AUTHORITY, PATH, PATH],
        &[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH],
        &[METHOD, SCHEME, AUTHORITY, ("x", "1"), PATH],
        &[METHOD, SCHEME, AUTHORITY, PATH, (":unknown", "1")],
        &[METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_3_1_authority_and_host_must_agree() {
    all_refused(&[
        &[METHOD, SCHEME, PATH],
        &[METHOD, SCHEME, (":authority", ""), PATH],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "other.test")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "site.test"), ("host", "other.test")],
        &[METHOD, SCHEME, (":authority", "user@site.test"), PATH],
        &[METHOD, SCHEME, (":authority", "site.test, other.test"), PATH],
        &[METHOD, SCHEME, (":authority", "site.test/x"), PATH],
        &[METHOD, SCHEME, (":authority", "site.test:99999"), PATH],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_targets_and_methods_are_refused() {
    all_refused(&[
        &[METHOD, SCHEME, AUTHORITY, (":path", "")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "t")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "*")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "/a b")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "/a\tb")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "/a%00b")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "/a%2fb")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "/a;b/c")],
        &[METHOD, SCHEME, AUTHORITY, (":path", "http://site.test/t")],
        &[(":method", "TRACE"), SCHEME, AUTHORITY, PATH],
        &[(":method", "get"), SCHEME, AUTHORITY, PATH],
        &[(":method", "G@T"), SCHEME, AUTHORITY, PATH],
        &[(":method", "CONNECT"), AUTHORITY],
        &[(":method", "CONNECT"), (":authority", "127.0.0.1:22")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("expect", "foo")],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_1_1_a_body_that_is_not_as_long_as_it_says_is_refused() {
    let (edge, origin) = mirrored().await;
    for (length, body) in [("5", "abc"), ("2", "abc"), ("x", "abc"), ("3, 3", "abc")] {
        let mut raw = RawH2::connect(edge.address()).await;
        raw.headers(1, &[(":method", "POST"), SCHEME, AUTHORITY, PATH, ("content-length", length)], false).await;
        raw.data(1, body.as_bytes(), true).await;
        let outcome = raw.outcome(1).await;
        assert!(outcome.refused(), "{outcome:?} for content-length {length}");
    }
    assert_eq!(origin.count(), 0, "whole requests at the origin");
    // A head that says that there is no body is a whole request; what follows it must not come with it.
    let mut raw = RawH2::connect(edge.address()).await;
    raw.headers(1, &[(":method", "POST"), SCHEME, AUTHORITY, PATH, ("content-length", "0")], false).await;
    raw.data(1, b"abc", true).await;
    raw.outcome(1).await;
    for received in origin.requests() {
        assert_eq!((received.header("content-length"), received.body.length), (Some("0"), 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc3986_bytes_that_no_uri_has_are_refused_in_paths() {
    let cases = ["/t\u{e4}", "/t?q=\u{e4}", "/\u{202e}", "/t\u{7f}"];
    let (edge, origin) = mirrored().await;
    for path in cases {
        let outcome = outcome(&edge, &[METHOD, SCHEME, AUTHORITY, (":path", path)]).await;
        assert!(outcome.refused(), "{outcome:?} for {path:?}");
    }
    assert_eq!(origin.heads(), 0);
    for path in ["/t|\"{}", "/~t?q=<a>"] {
        let outcome = outcome(&edge, &[METHOD, SCHEME, AUTHORITY, (":path", path)]).await;
        assert!(outcome.refused() || outcome == Outcome::Status(200), "{outcome:?} for {path:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_does_not_reach_the_origin() {
    let (edge, origin) = mirrored().await;
    let outcome = outcome(&edge, &[METHOD, SCHEME, AUTHORITY, (":path", "/a#b")]).await;
    // The parser below the edge drops it; what is matched and forwarded is the path before it.
    assert!(outcome.refused() || outcome == Outcome::Status(200), "{outcome:?}");
    assert!(origin.requests().iter().all(|received| received.target() == "/a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn spoofed_and_underscore_fields_are_dropped() {
    let (edge, origin) = mirrored().await;
    let fields = [
        METHOD,
        SCHEME,
        AUTHORITY,
        PATH,
        ("x-forwarded-for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x_real_ip", "6.6.6.6"),
        ("x-original-url", "/6.6.6.6"),
        ("x-kept", "1"),
    ];
    assert_eq!(outcome(&edge, &fields).await, Outcome::Status(200));
    let received = origin.only_request();
    let head = String::from_utf8_lossy(&received.head.raw).into_owned();
    assert!(!head.contains("6.6.6.6"), "{head}");
    assert_eq!(received.header("x-kept"), Some("1"));
    assert_eq!(received.header_all("x-forwarded-for"), ["127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_cookie_fields_become_one() {
    let (edge, origin) = mirrored().await;
    let fields = [METHOD, SCHEME, AUTHORITY, PATH, ("cookie", "a=1"), ("cookie", "b=2")];
    assert_eq!(outcome(&edge, &fields).await, Outcome::Status(200));
    // RFC 9113, 8.2.3: joined by "; " before they go to HTTP/1.1.
    assert_eq!(origin.only_request().header_all("cookie"), ["a=1; b=2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_heads_hold() {
    let (edge, origin) = mirrored().await;
    let long = format!("/{}", "a".repeat(9000));
    let long_url = outcome(&edge, &[METHOD, SCHEME, AUTHORITY, (":path", &long)]).await;
    assert_eq!(long_url, Outcome::Status(414));
    let value = "a".repeat(1000);
    let mut fields = vec![METHOD, SCHEME, AUTHORITY, PATH];
    fields.extend(std::iter::repeat_n(("x-filler", value.as_str()), 15));
    let mut many = vec![METHOD, SCHEME, AUTHORITY, PATH];
    many.extend(std::iter::repeat_n(("x", "1"), 101));
    assert_eq!(outcome(&edge, &fields).await, Outcome::Status(200));
    assert_eq!(outcome(&edge, &many).await, Outcome::Status(431));
    fields.extend(std::iter::repeat_n(("x-filler", value.as_str()), 18));
    // A header block of more than 16 KiB needs continuations.
    let mut raw = RawH2::connect(edge.address()).await;
    let bytes = block(&fields);
    let (first, rest) = bytes.split_at(16_000);
    raw.frame(1, END_STREAM, 1, first).await;
    let pieces: Vec<&[u8]> = rest.chunks(16_000).collect();
    for (number, piece) in pieces.iter().enumerate() {
        let last = number + 1 == pieces.len();
        raw.frame(9, if last { END_HEADERS } else { 0 }, 1, piece).await;
    }
    let outcome = raw.outcome(1).await;
    assert!(outcome.refused(), "{outcome:?}");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_continuations_end_the_connection() {
    let (edge, origin) = mirrored().await;
    let mut raw = RawH2::connect(edge.address()).await;
    raw.frame(1, END_STREAM, 1, &block(&[METHOD, SCHEME, AUTHORITY, PATH])).await;
    let filler = block(&[("x-filler", &"a".repeat(4000))]);
    for _ in 0..1000 {
        raw.frame(9, 0, 1, &filler).await;
    }
    let outcome = raw.outcome(1).await;
    assert!(outcome.refused(), "{outcome:?}");
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2023_44487_rapid_resets_end_the_connection() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = RawH2::connect(edge.address()).await;
    let head = block(&[METHOD, SCHEME, AUTHORITY, PATH]);
    // Ids of a client's streams are odd.
    for number in 0..5000_u32 {
        let stream = number * 2 + 1;
        raw.frame(1, END_HEADERS | END_STREAM, stream, &head).await;
        raw.frame(3, 0, stream, &8_u32.to_be_bytes()).await;
    }
    let mut ended = false;
    for _ in 0..20_000 {
        match raw.read_frame().await {
            None => ended = true,
            Some(frame) if frame.kind == 7 => ended = true,
            Some(_) => continue,
        }
        break;
    }
    assert!(ended, "5,000 resets in a row are too many for one connection");
    assert!(origin.heads() < 2000, "{} of 5,000 requests reached the origin", origin.heads());
    drop(raw);
    until_refused(&edge, "http2-resets", 1.0).await;
    assert_eq!(edge.get("/t").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_streams_at_once_is_limited() {
    let (edge, _origin) = mirrored().await;
    let mut raw = RawH2::connect(edge.address()).await;
    let head = block(&[(":method", "POST"), SCHEME, AUTHORITY, PATH]);
    for number in 0..2000_u32 {
        raw.frame(1, END_HEADERS, number * 2 + 1, &head).await;
    }
    // REFUSED_STREAM (7) for the last one, or the end of the connection.
    let outcome = raw.outcome(3999).await;
    assert!(matches!(outcome, Outcome::Reset(_) | Outcome::GoAway(_) | Outcome::Closed), "{outcome:?}");
    let mut client = Client::connect(edge.address()).await;
    assert_eq!(client.get("site.test", "/t", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_2_1_values_do_not_begin_or_end_with_blanks() {
    all_refused(&[
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x", " a")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x", "a\t")],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("x", " ")],
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_3_1_schemes_are_those_of_http() {
    let scheme = |scheme| [METHOD, (":scheme", scheme), AUTHORITY, PATH];
    let cases: Vec<_> =
        ["", "ftp", "javascript", "httpx", " http", "http ", "ht tp", "http:", "https://evil.test/x", "ws"]
            .map(scheme)
            .into();
    let cases: Vec<&[(&str, &str)]> = cases.iter().map(<[_; 4]>::as_slice).collect();
    all_refused(&cases).await;
    let (edge, _origin) = mirrored().await;
    assert_eq!(outcome(&edge, &scheme("https")).await, Outcome::Status(200), "TLS may have ended before the edge");
}

/// Sends a body and then these trailers.
async fn with_trailers(edge: &TestEdge, trailers: &[(&str, &str)], end: bool) -> Outcome {
    let mut raw = RawH2::connect(edge.address()).await;
    raw.headers(1, &[(":method", "POST"), SCHEME, AUTHORITY, PATH], false).await;
    raw.data(1, b"abc", false).await;
    raw.headers(1, trailers, end).await;
    raw.outcome(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_8_2_malformed_trailers_make_no_whole_request() {
    let (edge, origin) = mirrored().await;
    let cases: [&[(&str, &str)]; 9] = [
        &[("connection", "close")],
        &[("transfer-encoding", "chunked")],
        &[("keep-alive", "timeout=5")],
        &[("proxy-connection", "keep-alive")],
        &[("upgrade", "websocket")],
        &[("te", "gzip")],
        &[("X-Upper", "1")],
        &[("x", "a\r\nhost: evil.test")],
        &[("x", "1"), (":path", "/evil")],
    ];
    for case in cases {
        let outcome = with_trailers(&edge, case, true).await;
        assert!(outcome.refused(), "{outcome:?} for {case:?}");
    }
    // RFC 9113, 8.1: the second field section ends the stream.
    let outcome = with_trailers(&edge, &[("x-sum", "1")], false).await;
    assert!(outcome.refused(), "{outcome:?}");
    assert_eq!(origin.count(), 0, "whole requests at the origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_5_1_trailers_change_nothing_of_the_request() {
    let (edge, origin) = mirrored().await;
    let cases: [&[(&str, &str)]; 6] = [
        &[("x-sum", "evil")],
        &[("content-length", "9")],
        &[("host", "evil.test")],
        &[("authorization", "evil")],
        &[("te", "trailers"), ("trailer", "evil")],
        // h2 drops these without a word.
        &[(":path", "/evil"), (":authority", "evil.test")],
    ];
    for case in cases {
        let outcome = with_trailers(&edge, case, true).await;
        assert!(outcome.refused() || outcome == Outcome::Status(200), "{outcome:?} for {case:?}");
    }
    for received in origin.requests() {
        let head = String::from_utf8_lossy(&received.head.raw).into_owned();
        assert_eq!((received.target(), received.body.bytes.as_slice()), ("/t", &b"abc"[..]));
        assert!(!head.contains("evil") && !String::from_utf8_lossy(&received.body.raw).contains("evil"), "{head}");
    }
    assert!(origin.count() >= 5);
}
