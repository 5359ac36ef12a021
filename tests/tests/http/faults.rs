//! Origins that fail: the viewer gets 502 or 504, nobody gets half a response as a whole one, and the edge goes on.

use std::time::{Duration, Instant};

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::hostile;
use edgeweir_tests::http2::{self, Client};
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw::{Raw, Response, framing};

const CONFIG: &str = r#"
    [origins.main]
    url = "http://{origin}"
    connect_timeout = "500ms"
    read_timeout = "500ms"
    write_timeout = "500ms"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

/// What the edge answers to `GET` when the origin does this; then the same edge must serve an honest answer.
async fn answer(reply: Reply) -> Response {
    let origin = hostile::always(reply).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let response = edge.get("/t").await;
    origin.answer(|_| Reply::ok("fine"));
    assert_eq!(edge.get("/after").await.text(), "fine", "the edge serves after it");
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connections_are_502() {
    let edge = TestEdge::start(CONFIG, &hostile::refused().await).await;
    for method in ["GET", "POST", "HEAD"] {
        let response = edge.request(method, "/t", &[], if method == "POST" { b"x" } else { b"" }).await;
        assert_eq!(response.status, 502, "{method}");
        assert!(response.header("x-request-id").is_some(), "faults have an id too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_hang_are_504() {
    let origin = hostile::Unreachable::start().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let start = Instant::now();
    assert_eq!(edge.get("/t").await.status, 504);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_do_not_resolve_are_502() {
    let edge = TestEdge::start(CONFIG, "no-such-host.invalid").await;
    let start = Instant::now();
    let status = edge.get("/t").await.status;
    // Without any name server the system may not answer in time at all.
    let expected = if start.elapsed() > Duration::from_millis(450) { [502, 504] } else { [502, 502] };
    assert!(expected.contains(&status), "{status}");
    // A second time, and the edge still answers others.
    assert!(matches!(edge.get("/t").await.status, 502 | 504));
    assert_eq!(edge.exchange("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_never_answers_is_504() {
    assert_eq!(answer(hostile::silent()).await.status, 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_given_up() {
    let status = answer(hostile::trickling_head()).await.status;
    assert!(matches!(status, 502 | 504), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_responses_without_end_are_given_up() {
    let response = answer(hostile::endless_interim()).await;
    assert!(matches!(response.status, 502 | 504), "{}", response.status);
    assert!(response.interim.len() <= 64, "{}", response.interim.len());
    // Also where the answer is not for the cache (the time for the head holds), and over HTTP/2 (their number does).
    let origin = hostile::always(hostile::endless_interim()).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let response = edge.request("POST", "/t", &[], b"x").await;
    assert!(matches!(response.status, 502 | 504), "{}", response.status);
    let mut client = Client::connect(edge.address()).await;
    for (method, body) in [("GET", &b""[..]), ("POST", b"x")] {
        let response = client.request(http2::request(method, "site.test", "/t", &[]), body).await;
        assert!(matches!(response.status, 502 | 504), "{method}: {}", response.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_interim_responses_do_not_put_the_deadline_off() {
    let mut steps = Vec::new();
    for _ in 0..100 {
        steps.push(Step::Pause(Duration::from_millis(300)));
        steps.push(Step::Send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n".into()));
    }
    let origin = hostile::always(Reply::script(steps)).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let response = edge.request("POST", "/t", &[], b"x").await;
    assert_eq!(response.status, 504);
    assert!(response.interim.len() < 6, "{}", response.interim.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_heads_are_502() {
    let cases = [
        ("closes at once", hostile::closes_at_once()),
        ("resets at once", hostile::resets_at_once()),
        ("resets in the head", hostile::resets_in_head()),
        ("closes in the head", hostile::closes_in_head()),
        ("garbage", hostile::garbage()),
        ("bad status", hostile::bad_status()),
        ("huge head", hostile::huge_head()),
        ("two lengths", hostile::two_lengths()),
    ];
    for (name, reply) in cases {
        assert_eq!(answer(reply).await.status, 502, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_3_length_and_chunks_of_an_origin_are_read_as_chunks_or_refused() {
    let response = answer(hostile::length_and_chunks()).await;
    match response.status {
        502 => {}
        200 => {
            assert_eq!(response.text(), "good");
            assert!(response.header("content-length").is_none_or(|length| length == "4"), "{response:?}");
        }
        status => panic!("{status}"),
    }
}

/// The length is gone before anything is forwarded or stored, whatever it says, and what is beyond the last chunk is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_3_a_length_beside_chunks_is_removed() {
    for length in ["3", "4", "400", "0", "x", "4\r\ncontent-length: 5"] {
        let head = format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {length}\r\n");
        let rest = "transfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n";
        let stray = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
        let origin = hostile::always(Reply::raw(format!("{head}{rest}{stray}"))).await;
        let edge = TestEdge::plain(&origin.address()).await;
        for target in ["/t", "/t", "/u", "/u"] {
            let response = edge.get(target).await;
            assert_eq!((response.status, response.text().as_str()), (200, "good"), "{length} {target}");
            assert!(response.header("content-length").is_none_or(|length| length == "4"), "{response:?}");
        }
        assert_eq!((origin.count(), origin.connections()), (2, 2), "{length}");
    }
}

/// The viewer gets 502, or a head and then a body that is visibly cut.
async fn cut(reply: Reply) {
    let origin = hostile::always(reply).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    let (status, head, _) = raw.try_head().await.expect("a head");
    if status != 502 {
        assert_eq!(status, 200);
        let (body, result) = raw.body(framing("GET", status, &head)).await;
        assert!(result.is_err(), "a cut body was passed on as a whole one: {:?}", String::from_utf8_lossy(&body.bytes));
    }
    origin.answer(|_| Reply::ok("fine"));
    assert_eq!(edge.get("/after").await.text(), "fine", "the edge serves after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_cut_are_cut_for_the_viewer_too() {
    cut(hostile::short_body()).await;
    cut(hostile::resets_in_body()).await;
    cut(hostile::cut_chunks()).await;
    cut(hostile::bad_chunk()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_a_response_never_become_the_next_response() {
    let origin = hostile::always(hostile::long_body()).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    assert_eq!(edge.get("/one").await.text(), "good");
    origin.answer(|_| Reply::ok("fine"));
    for _ in 0..3 {
        assert_eq!(edge.get("/two").await.text(), "fine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_statuses_without_one_are_not_passed_on() {
    for status in [204, 304] {
        let origin = hostile::always(hostile::body_after(status)).await;
        let edge = TestEdge::start(CONFIG, &origin.address()).await;
        let mut raw = edge.connect().await;
        raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\nIf-None-Match: \"1\"\r\n\r\n").await;
        let response = raw.response().await;
        if response.status != 502 {
            assert_eq!((response.status, response.body.length), (status, 0));
            origin.answer(|_| Reply::ok("fine"));
            raw.send("GET /u HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
            assert_eq!(raw.response().await.text(), "fine", "after {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2026_2833_an_upgrade_that_nobody_asked_for_is_502() {
    let response = answer(hostile::unasked_upgrade()).await;
    assert_eq!(response.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_an_origin_do_no_harm() {
    let response = answer(hostile::trailers()).await;
    assert_eq!((response.status, response.text().as_str()), (200, "good"));
    assert_eq!(response.header("x-sum"), None, "a trailer is no header");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_pooled_connection_costs_no_request() {
    let origin = Origin::start(|_| Reply::ok("fine").then_close()).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    for turn in 0..5 {
        assert_eq!(edge.get("/t").await.status, 200, "turn {turn}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_may_have_had_effect_is_sent_only_once() {
    let origin = hostile::always(hostile::closes_at_once()).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    assert_eq!(edge.request("POST", "/t", &[], b"pay").await.status, 502);
    assert_eq!(origin.count(), 1, "times that the origin got the POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_errors_pass_as_they_are() {
    for status in [400, 401, 403, 404, 418, 500, 502, 503, 504] {
        let origin = Origin::start(move |_| Reply::new(status, &[("retry-after", "7")], "origin's words")).await;
        let edge = TestEdge::start(CONFIG, &origin.address()).await;
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (status, "origin's words"));
        assert_eq!(response.header("retry-after"), Some("7"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_1_a_coding_that_would_lose_its_name_is_502() {
    for coding in ["gzip", "gzip, chunked", "xchunked"] {
        let head =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\nCache-Control: max-age=60\r\n\r\n0\r\n\r\n");
        assert_eq!(answer(Reply::raw(head).then_close()).await.status, 502, "{coding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_8_6_lengths_of_origins_are_made_one() {
    for (lines, length) in
        [("Content-Length: 2, 2", "2"), ("Content-Length: 2\r\nContent-Length: 2", "2"), ("Content-Length: 02", "2")]
    {
        let response = answer(Reply::raw(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nab"))).await;
        if response.status != 502 {
            assert_eq!(response.header_all("content-length"), [length], "{lines}");
            assert_eq!(response.text(), "ab", "{lines}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_1_transfer_codings_of_origins_are_one_chunked() {
    for (version, fields) in [
        ("1.1", "transfer-encoding: chunked\r\ntransfer-encoding: gzip"),
        ("1.1", "transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        ("1.1", "transfer-encoding: gzip, chunked"),
        ("1.0", "transfer-encoding: chunked"),
    ] {
        let head = format!("HTTP/{version} 200 OK\r\ncache-control: max-age=60\r\n{fields}\r\n\r\n");
        let origin = hostile::always(Reply::raw(format!("{head}2\r\nhi\r\n0\r\n\r\n")).then_close()).await;
        let edge = TestEdge::plain(&origin.address()).await;
        for _ in 0..2 {
            assert_eq!(edge.get("/t").await.status, 502, "{version} {fields}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_2_3_the_version_is_the_edges_own() {
    let origin = hostile::always(
        Reply::raw("HTTP/1.0 103 Early Hints\r\nlink: </a>\r\ncontent-length: 5\r\n\r\nHTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi").then_close(),
    )
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = Raw::connect(edge.address()).await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n").await;
    let text = String::from_utf8(raw.rest().await).expect("text");
    assert!(text.starts_with("HTTP/1.1 103 Early Hints\r\n"), "{text}");
    let (interim, last) = text.split_once("\r\n\r\n").expect("two heads");
    assert!(!interim.to_ascii_lowercase().contains("content-length"), "RFC 9110, 8.6: {text}");
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_1_a_204_has_no_transfer_coding() {
    let origin =
        hostile::always(Reply::raw("HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n").then_close()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.header("transfer-encoding")), (204, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_15_4_5_a_304_that_nobody_asked_for_is_a_502() {
    let origin = hostile::always(Reply::new(304, &[("etag", "\"a\"")], "")).await;
    let uncached = "[[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n";
    let edge = TestEdge::start(&format!("{CONFIG}{uncached}"), &origin.address()).await;
    assert_eq!(edge.get("/t").await.status, 502);
    assert_eq!(edge.get_with("/t", &[("if-none-match", "\"a\"")]).await.status, 304);
}
