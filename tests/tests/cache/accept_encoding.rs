//! `Accept-Encoding` in one spelling, in the key and to the origin (CloudFront: "Compression support").

use std::io::Read as _;

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{is_hit, with_policy};

/// An origin that shows what it was asked for, says `Vary` if told so, and codes nothing.
async fn showing(headers: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::start(move |request| Reply::new(200, headers, request.header("accept-encoding").unwrap_or("nothing"))).await
}

async fn asked(edge: &TestEdge, accept: &str) -> (String, bool) {
    let response = edge.get_with("/t", &[("Accept-Encoding", accept)]).await;
    (response.text(), is_hit(&response))
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_share_an_object_and_the_origin_sees_one() {
    for vary in
        [&[("cache-control", "max-age=600")][..], &[("cache-control", "max-age=600"), ("vary", "Accept-Encoding")]]
    {
        let origin = showing(vary).await;
        let edge = with_policy(&origin, "accept_encoding = [\"gzip\", \"br\"]").await;
        for (accept, sent, hit) in [
            ("gzip, deflate, br, zstd", "br,gzip", false),
            ("br;q=0.1, gzip", "br,gzip", true),
            ("BR, x-gzip", "br,gzip", true),
            ("gzip", "gzip", false),
            ("gzip, br;q=0", "gzip", true),
            ("br", "br", false),
            ("zstd", "nothing", false),
            ("deflate", "nothing", true),
            ("", "nothing", true),
            ("*", "br,gzip", true),
        ] {
            assert_eq!(asked(&edge, accept).await, (sent.to_owned(), hit), "{accept} {vary:?}");
        }
        assert!(is_hit(&edge.get("/t").await), "none is the same as nothing that counts");
        assert_eq!(origin.count(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_it_the_origin_sees_the_viewers_and_vary_decides() {
    let origin = showing(&[("cache-control", "max-age=600")]).await;
    let edge = with_policy(&origin, "max_ttl = \"1h\"").await;
    assert_eq!(asked(&edge, "gzip;q=0.5").await, ("gzip;q=0.5".to_owned(), false));
    assert_eq!(asked(&edge, "br").await, ("gzip;q=0.5".to_owned(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_origin_codes_is_kept_apart_and_what_it_does_not_code_the_edge_does() {
    let text = "plain text ".repeat(500);
    let sent = text.clone();
    let origin = Origin::start(move |request| {
        let headers = [("cache-control", "max-age=600"), ("content-type", "text/plain")];
        if request.target() == "/coded" && request.header("accept-encoding").is_some_and(|value| value.contains("br")) {
            return Reply::new(200, &[headers[0], headers[1], ("content-encoding", "br")], "coded by the origin");
        }
        Reply::new(200, &headers, &sent)
    })
    .await;
    let edge = with_policy(&origin, "accept_encoding = [\"br\", \"gzip\"]\ncompress = [\"gzip\"]").await;
    for _ in 0..2 {
        let coded = edge.get_with("/coded", &[("Accept-Encoding", "br, gzip")]).await;
        assert_eq!((coded.header("content-encoding"), coded.text().as_str()), (Some("br"), "coded by the origin"));
        for path in ["/coded", "/plain"] {
            let edges = edge.get_with(path, &[("Accept-Encoding", "gzip")]).await;
            assert_eq!(edges.header("content-encoding"), Some("gzip"), "{path}");
            let mut read = String::new();
            flate2::read::GzDecoder::new(&edges.body.bytes[..]).read_to_string(&mut read).expect("gzip");
            assert_eq!(read, text);
        }
        assert_eq!(edge.get("/coded").await.text(), text);
    }
}
