//! Compression at the edge: of what, for whom, and how it goes with validators, ranges and HEAD.

use std::io::Read as _;
use std::time::Duration;

use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Response;
use serde_json::json;

use crate::support::{is_hit, let_expire, with_policy};

const POLICY: &str = "max_ttl = \"1h\"\ncompress = [\"br\", \"zstd\", \"gzip\"]";
const TAGGED: &[(&str, &str)] = &[("cache-control", "max-age=600"), ("content-type", "text/css"), ("etag", "\"v1\"")];

/// Path, headers and length of an answer.
type Case = (&'static str, &'static [(&'static str, &'static str)], usize);

fn text() -> String {
    (0..2_000).map(|line| format!(".rule-{line} {{ color: red; }}\n")).collect()
}

async fn origin(headers: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::start(move |_| Reply::new(200, headers, text())).await
}

fn decoded(response: &Response) -> String {
    let (bytes, mut text) = (&response.body.bytes[..], String::new());
    match response.header("content-encoding") {
        None => return response.text(),
        Some("gzip") => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).map(drop),
        Some("br") => brotli::Decompressor::new(bytes, 4096).read_to_string(&mut text).map(drop),
        Some("zstd") => zstd::Decoder::new(bytes).and_then(|mut decoder| decoder.read_to_string(&mut text)).map(drop),
        Some(other) => panic!("content-encoding: {other}"),
    }
    .expect("a coded body");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stored_object_serves_every_coding() {
    let origin = origin(TAGGED).await;
    let edge = with_policy(&origin, POLICY).await;
    let first = edge.get("/t").await;
    assert_eq!((first.header("content-encoding"), first.header("vary")), (None, Some("Accept-Encoding")));
    for (accept, coding) in [
        ("gzip, br, zstd", Some("br")),
        ("gzip", Some("gzip")),
        ("zstd, gzip;q=0.9", Some("zstd")),
        ("br;q=0, *;q=0.5", Some("zstd")),
        ("gzip;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0, gzip;q=0.1", Some("gzip")),
        ("deflate", None),
        ("", None),
    ] {
        for _ in 0..2 {
            let response = edge.get_with("/t", &[("Accept-Encoding", accept)]).await;
            assert!(is_hit(&response), "{accept}");
            assert_eq!(response.header("content-encoding"), coding, "{accept}");
            assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{accept}");
            assert_eq!(response.header("etag"), Some(if coding.is_some() { "W/\"v1\"" } else { "\"v1\"" }), "{accept}");
            assert_eq!(decoded(&response), text(), "{accept}");
            assert!(coding.is_none() || response.body.length < 10_000, "{accept}: {}", response.body.length);
        }
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_conditions_and_ranges_agree_with_get() {
    let origin = origin(TAGGED).await;
    let edge = with_policy(&origin, POLICY).await;
    edge.get("/t").await;
    let accept = ("Accept-Encoding", "gzip");
    let got = edge.get_with("/t", &[accept]).await;
    let head = edge.request("HEAD", "/t", &[accept], b"").await;
    for name in ["content-encoding", "content-length", "etag", "vary", "content-type"] {
        assert_eq!(head.header(name), got.header(name), "{name}");
    }
    assert_eq!(got.header("accept-ranges"), None);
    for tag in ["\"v1\"", "W/\"v1\""] {
        let same = edge.get_with("/t", &[accept, ("If-None-Match", tag)]).await;
        assert_eq!(
            (same.status, same.header("etag"), same.header("vary")),
            (304, Some("W/\"v1\""), Some("Accept-Encoding"))
        );
    }
    let part = edge.get_with("/t", &[accept, ("Range", "bytes=0-9")]).await;
    assert_eq!((part.status, part.header("content-encoding")), (206, None));
    assert_eq!((part.text().as_str(), part.header("etag")), (text().get(..10).unwrap_or_default(), Some("\"v1\"")));
    let part = edge.get_with("/t", &[accept, ("Range", "bytes=0-9"), ("If-Range", "W/\"v1\"")]).await;
    assert_eq!(part.status, 200, "a weak tag is no ground for a part");
    assert_eq!(decoded(&part), text());
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_text_small_coded_or_not_to_be_changed_stays_as_it_is() {
    let cases: &'static [Case] = &[
        ("/image", &[("content-type", "image/png")], 50_000),
        ("/untyped", &[], 50_000),
        ("/small", &[("content-type", "text/css")], 999),
        ("/coded", &[("content-type", "text/css"), ("content-encoding", "compress")], 50_000),
        ("/fixed", &[("content-type", "text/css"), ("cache-control", "max-age=600, no-transform")], 50_000),
    ];
    let origin = Origin::start(move |request| {
        let (_, headers, length) = cases.iter().find(|(path, ..)| *path == request.target()).expect("a case");
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "cache-control") {
            headers.push(("cache-control", "max-age=600"));
        }
        Reply::new(200, &headers, "x".repeat(*length))
    })
    .await;
    let edge = with_policy(&origin, POLICY).await;
    for (path, headers, length) in cases {
        for _ in 0..2 {
            let response = edge.get_with(path, &[("Accept-Encoding", "gzip, br")]).await;
            let coding = headers.iter().find(|(name, _)| *name == "content-encoding").map(|(_, value)| *value);
            assert_eq!(response.header("content-encoding"), coding, "{path}");
            assert_eq!((response.body.length, response.header("vary")), (*length as u64, None), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_policy_nothing_is_compressed() {
    let origin = origin(TAGGED).await;
    let edge = with_policy(&origin, "max_ttl = \"1h\"").await;
    for _ in 0..2 {
        let response = edge.get_with("/t", &[("Accept-Encoding", "gzip, br")]).await;
        assert_eq!((response.header("content-encoding"), response.header("vary")), (None, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_viewers_get_it_plain() {
    let origin = origin(TAGGED).await;
    let edge = with_policy(&origin, POLICY).await;
    edge.get("/t").await;
    let response = edge.exchange("GET /t HTTP/1.0\r\nHost: site.test\r\nAccept-Encoding: gzip\r\n\r\n").await;
    assert_eq!((response.header("content-encoding"), response.text()), (None, text()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_takes_all_forms() {
    let origin = origin(TAGGED).await;
    let edge = with_policy(&origin, POLICY).await;
    edge.get("/t").await;
    edge.get_with("/t", &[("Accept-Encoding", "gzip")]).await;
    edge.purge(&json!({ "paths": ["/t"] })).await;
    origin.answer(|_| Reply::new(200, TAGGED, "new ".repeat(1_000)));
    let response = edge.get_with("/t", &[("Accept-Encoding", "gzip")]).await;
    assert!(!is_hit(&response));
    assert_eq!(decoded(&edge.get_with("/t", &[("Accept-Encoding", "gzip")]).await), "new ".repeat(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revalidation_keeps_the_forms() {
    let headers: &[(&str, &str)] = &[("cache-control", "max-age=1"), ("content-type", "text/css"), ("etag", "\"v1\"")];
    let origin = Origin::start(move |request| match request.header("if-none-match") {
        Some(_) => Reply::new(304, headers, ""),
        None => Reply::new(200, headers, text()),
    })
    .await;
    let edge = with_policy(&origin, POLICY).await;
    let accept = [("Accept-Encoding", "br")];
    edge.get("/t").await;
    assert_eq!(edge.get_with("/t", &accept).await.header("content-encoding"), Some("br"));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(decoded(&edge.get_with("/t", &accept).await), text(), "revalidated");
    let response = edge.get_with("/t", &accept).await;
    assert_eq!((is_hit(&response), response.header("content-encoding")), (true, Some("br")));
    assert_eq!(decoded(&response), text());
    assert_eq!(origin.requests().iter().filter(|request| request.header("if-none-match").is_none()).count(), 1);
}

/// A first answer with these fields, then a 304 with those to whoever asks with a condition.
async fn revalidated(
    first: &'static [(&'static str, &'static str)],
    then: &'static [(&'static str, &'static str)],
) -> Origin {
    Origin::start(move |request| match request.header("if-none-match") {
        Some(_) => Reply::new(304, then, ""),
        None => Reply::new(200, first, text()),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coded_body_never_goes_out_under_the_strong_validator_of_a_304() {
    let origin = revalidated(TAGGED, &[("etag", "\"v1\""), ("cache-control", "max-age=600")]).await;
    let edge = with_policy(&origin, &format!("{POLICY}\nviewer_directives = \"honour\"")).await;
    let accept = ("Accept-Encoding", "gzip");
    edge.get("/t").await;
    assert_eq!(edge.get_with("/t", &[accept]).await.header("content-encoding"), Some("gzip"));
    for _ in 0..2 {
        let again = edge.get_with("/t", &[accept, ("Cache-Control", "no-cache")]).await;
        assert_eq!(decoded(&again), text());
        let strong = again.header("etag").is_some_and(|tag| !tag.starts_with("W/"));
        assert!(again.header("content-encoding").is_none() || !strong, "{:?}", again.header("etag"));
    }
    assert!(origin.count() > 1, "the origin was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_7_forms_end_where_a_304_forbids_them() {
    const SHORT: &[(&str, &str)] = &[("cache-control", "max-age=1"), ("content-type", "text/css"), ("etag", "\"v1\"")];
    let origin = revalidated(SHORT, &[("etag", "\"v1\""), ("cache-control", "max-age=600, no-transform")]).await;
    let edge = with_policy(&origin, POLICY).await;
    let accept = ("Accept-Encoding", "gzip");
    edge.get("/t").await;
    assert_eq!(edge.get_with("/t", &[accept]).await.header("content-encoding"), Some("gzip"));
    let_expire().await;
    edge.get("/t").await;
    let after = edge.get_with("/t", &[accept]).await;
    assert!(is_hit(&after) && after.header("cache-control").is_some_and(|value| value.contains("no-transform")));
    assert_eq!((after.header("content-encoding"), after.text() == text()), (None, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9530_digests_of_the_plain_form_stay_with_it() {
    const DIGESTED: &[(&str, &str)] = &[
        ("cache-control", "max-age=600"),
        ("content-type", "text/css"),
        ("repr-digest", "sha-256=:AAAA:"),
        ("content-digest", "sha-256=:AAAA:"),
    ];
    let origin = origin(DIGESTED).await;
    let edge = with_policy(&origin, POLICY).await;
    for _ in 0..3 {
        let coded = edge.get_with("/t", &[("Accept-Encoding", "gzip")]).await;
        assert_eq!(coded.header("content-encoding"), Some("gzip"));
        assert_eq!((coded.header("repr-digest"), coded.header("content-digest")), (None, None));
    }
    assert_eq!(edge.get("/t").await.header("repr-digest"), Some("sha-256=:AAAA:"));
}
