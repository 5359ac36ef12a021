//! Message framing (RFC 9112, section 6): where a request ends must be beyond doubt.

use edgeweir_tests::raw::Raw;
use edgeweir_tests::wait;

use crate::support::{all_refused, assert_still_serving, mirrored, passed, refused, refused_or_passed};

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_3_content_length_and_transfer_encoding_is_refused() {
    all_refused(
        &[400],
        &[
            b"POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            b"POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\ncontent-length:5\r\ntransfer-encoding:chunked\r\n\r\n0\r\n\r\n",
            b"POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 35\r\n\r\n\
          0\r\n\r\nGET /admin HTTP/1.1\r\nHost: site.test\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_1_only_exactly_one_chunked_coding_is_accepted() {
    let codings = [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding\r\n: chunked",
        " Transfer-Encoding: chunked",
    ];
    let (edge, origin) = mirrored().await;
    for coding in codings {
        let case = format!("POST /t HTTP/1.1\r\nHost: site.test\r\n{coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        refused(&edge, &origin, &[400, 501], case.as_bytes()).await;
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_whose_name_begins_with_a_coding_is_none() {
    let (edge, origin) = mirrored().await;
    let case = "POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding-X: 1\r\nContent-Length: 3\r\nConnection: close\r\n\r\na\nb";
    let (_, received) = passed(&edge, &origin, case).await;
    assert_eq!((received.body.bytes.as_slice(), received.header("transfer-encoding-x")), (&b"a\nb"[..], Some("1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_1_transfer_encoding_in_http_1_0_is_refused() {
    all_refused(
        &[400],
        &[b"POST /t HTTP/1.0\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_8_6_repeated_equal_content_length_is_refused_or_made_one() {
    let (edge, origin) = mirrored().await;
    let lengths = ["Content-Length: 3\r\nContent-Length: 3", "Content-Length: 3, 3", "Content-Length: 0003"];
    for length in lengths {
        let case = format!("POST /t HTTP/1.1\r\nHost: site.test\r\n{length}\r\nConnection: close\r\n\r\nabc");
        if let Some(received) = refused_or_passed(&edge, &origin, &case).await {
            assert_eq!(received.header_all("content-length"), ["3"], "for {length:?}");
            assert_eq!(received.header("transfer-encoding"), None, "for {length:?}");
            assert_eq!(received.body.bytes, b"abc");
        }
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_8_6_bad_content_length_is_refused() {
    let (edge, origin) = mirrored().await;
    let lengths = [
        "3\r\nContent-Length: 4",
        "3, 4",
        "+3",
        "-3",
        "0x3",
        "3 3",
        "3.0",
        "",
        "18446744073709551616",
        "99999999999999999999999",
        "three",
        "3;",
        "\u{663}",
    ];
    for length in lengths {
        let case = format!("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\nabc");
        refused(&edge, &origin, &[400], case.as_bytes()).await;
    }
    let spaced = "POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length : 3\r\n\r\nabc";
    refused(&edge, &origin, &[400], spaced.as_bytes()).await;
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_2_2_bare_line_feeds_in_the_head_are_refused() {
    all_refused(
        &[400],
        &[
            b"GET /t HTTP/1.1\nHost: site.test\n\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\nX-A: 1\r\n\r\n",
            b"GET /t HTTP/1.1\nHost: site.test\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\n\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A: a\nX-B: b\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_2_2_bare_line_feeds_are_found_when_they_come_in_pieces() {
    let (edge, origin) = mirrored().await;
    let mut raw = edge.connect().await;
    let pieces: [&[u8]; 4] = [b"GET /t HTTP/1.1\r\nHost: site.test\r", b"\nX-A: a", b"\nX-B: b\r\n", b"\r\n"];
    raw.send_fragments(&pieces, std::time::Duration::from_millis(30)).await;
    assert_eq!(raw.response().await.status, 400);
    raw.assert_closed().await;
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_2_2_bare_carriage_returns_and_nul_are_refused() {
    all_refused(
        &[400],
        &[
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A: a\rX-B: b\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A: a\0b\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A: a\x01b\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A: a\x7fb\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_5_2_folded_lines_are_refused() {
    all_refused(
        &[400],
        &[
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A: a\r\n b\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A: a\r\n\tb\r\n\r\n",
            b"GET /t HTTP/1.1\r\n X-A: a\r\nHost: site.test\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_5_1_bad_field_names_are_refused() {
    all_refused(
        &[400],
        &[
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX A: a\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\n: a\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-\xe4: a\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX(A): a\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-A : a\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_3_bad_request_lines_are_refused() {
    all_refused(
        &[400, 505],
        &[
            b"GET /t HTTP/2.0\r\nHost: site.test\r\n\r\n",
            b"GET /t HTTP/0.9\r\nHost: site.test\r\n\r\n",
            b"GET /t HTTP/1.2.3\r\nHost: site.test\r\n\r\n",
            b"GET /t http/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t HTTPS/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t\r\nHost: site.test\r\n\r\n",
            b"GET\r\nHost: site.test\r\n\r\n",
            b"GET /t HTTP/1.1 \r\nHost: site.test\r\n\r\n",
            b"GET  /t HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t  HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET\t/t\tHTTP/1.1\r\nHost: site.test\r\n\r\n",
            b" GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_7_1_broken_chunks_never_reach_the_origin_as_a_whole_request() {
    let (edge, origin) = mirrored().await;
    let chunks = [
        "4\ndata\n0\n\n",
        "0x4\r\ndata\r\n0\r\n\r\n",
        "+4\r\ndata\r\n0\r\n\r\n",
        "-4\r\ndata\r\n0\r\n\r\n",
        "g\r\ndata\r\n0\r\n\r\n",
        "4\r\ndataX\r\n0\r\n\r\n",
        "4\r\ndata0\r\n\r\n",
        "4\r\ndata\n0\r\n\r\n",
        "fffffffffffffffff\r\ndata\r\n0\r\n\r\n",
        "\r\ndata\r\n0\r\n\r\n",
        "4 4\r\ndata\r\n0\r\n\r\n",
    ];
    for chunk in chunks {
        let before = origin.count();
        let mut raw = edge.connect().await;
        raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        raw.send(chunk).await;
        let response = raw.response().await;
        assert!((400..500).contains(&response.status), "{} for {chunk:?}", response.status);
        raw.assert_closed().await;
        assert_eq!(origin.count(), before, "a whole request at the origin for {chunk:?}");
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_7_1_1_a_line_feed_in_a_chunk_extension_is_refused() {
    let (edge, origin) = mirrored().await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    raw.send("4;a\nb\r\ndata\r\n0\r\n\r\n").await;
    assert_eq!(raw.response().await.status, 400);
    raw.assert_closed().await;
    assert_eq!(origin.count(), 0, "whole requests at the origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_framed_anew_without_extensions_and_trailers() {
    let (edge, origin) = mirrored().await;
    let case = "POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                3;ext=\"x\"\r\nabc\r\n0000002\r\nde\r\n0\r\nX-Trailer: evil\r\n\r\n";
    let (_, received) = passed(&edge, &origin, case).await;
    assert_eq!(received.body.bytes, b"abcde");
    let raw = String::from_utf8_lossy(&received.body.raw).into_owned();
    assert!(!raw.contains("ext") && !raw.to_lowercase().contains("x-trailer"), "{raw:?}");
    assert_eq!(received.header_all("transfer-encoding"), ["chunked"]);
    assert_eq!(received.header("content-length"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_bytes_never_become_a_request_of_someone_else() {
    let (edge, origin) = mirrored().await;
    let mut raw = edge.connect().await;
    raw.send(
        "POST /one HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\n\r\nabcGET /two HTTP/1.1\r\nHost: site.test\r\n\r\n",
    )
    .await;
    assert_eq!(raw.response().await.status, 200);
    // The second one is dropped with the connection; it is never part of the first.
    raw.assert_closed().await;
    let received = origin.only_request();
    assert_eq!((received.target(), received.body.bytes.as_slice()), ("/one", &b"abc"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_1_connection_cannot_name_framing_away() {
    let (edge, origin) = mirrored().await;
    let case = "POST /t HTTP/1.1\r\nHost: site.test\r\nConnection: transfer-encoding, content-length\r\n\
                Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let (_, received) = passed(&edge, &origin, case).await;
    assert_eq!(received.body.bytes, b"abc");
    assert_eq!(received.header("transfer-encoding"), Some("chunked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_9_3_close_counts_on_any_line() {
    let (edge, _origin) = mirrored().await;
    for lines in [
        "Connection: x-a\r\nConnection: close",
        "Connection: keep-alive\r\nConnection: Close",
        "Connection: x-a, close",
    ] {
        let mut raw = Raw::connect(edge.address()).await;
        raw.send(format!("GET /t HTTP/1.1\r\nHost: site.test\r\n{lines}\r\n\r\n")).await;
        let response = raw.response().await;
        assert_eq!((response.status, response.header("connection")), (200, Some("close")), "{lines}");
        raw.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_7_1_2_a_trailer_that_is_no_field_is_refused() {
    let (edge, origin) = mirrored().await;
    for trailer in [
        "GET /evil HTTP/1.1\r\nHost: site.test",
        "x-sum",
        ": 1",
        "x sum: 1",
        "x-sum : 1",
        " x-sum: 1",
        "x-sum: 1\r\n folded",
        "x-sum: a\rb: c",
        "x-sum: a\0b",
        "x-sum: a\x7fb",
        "x-s\u{fc}m: 1",
    ] {
        let mut raw = edge.connect().await;
        raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        raw.send(format!("3\r\nabc\r\n0\r\n{trailer}\r\n\r\n")).await;
        let response = raw.response().await;
        assert_eq!(response.status, 400, "for {trailer:?}");
        raw.assert_closed().await;
    }
    assert_eq!(origin.count(), 0, "whole requests at the origin");
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n").await;
    let trailers = "x-filler: 0123456789\r\n".repeat(1000);
    raw.send(format!("{trailers}\r\n")).await;
    let response = raw.response().await;
    assert!(response.status == 431 && response.header("x-request-id").is_some(), "{response:?}");
    wait::until("its line is written", || edge.log_text().contains("\"fault\":\"headers-too-large\"")).await;
    assert!(!edge.log_text().contains("viewer-gone"), "{}", edge.log_text());
    assert_eq!(edge.metric("edgeweir_faults_total", &["fault=\"headers-too-large\""]).await, 1.0, "counted once");
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_5_1_fields_of_trailers_are_dropped() {
    let (edge, origin) = mirrored().await;
    for trailer in
        ["Content-Length: 9", "Transfer-Encoding: gzip", "Host: evil.test", "Authorization: evil", "x-empty:"]
    {
        let case = format!(
            "POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             3\r\nabc\r\n0\r\n{trailer}\r\nx-last: evil\r\n\r\n"
        );
        let (_, received) = passed(&edge, &origin, case).await;
        assert_eq!((received.body.bytes.as_slice(), received.header("content-length")), (&b"abc"[..], None));
        assert!(!String::from_utf8_lossy(&received.head.raw).contains("evil"), "{trailer}");
        assert_eq!(received.header("authorization"), None);
    }
}
