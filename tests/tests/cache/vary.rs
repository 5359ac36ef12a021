//! `Vary` (RFC 9111, section 4.1).

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

async fn varying(vary: &'static str) -> Origin {
    Origin::start(move |request| {
        let text = format!(
            "{}|{}",
            request.header("accept-language").unwrap_or("-"),
            request.header("accept-encoding").unwrap_or("-")
        );
        Reply::new(200, &[("cache-control", "max-age=60"), ("vary", vary)], text)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_1_variants_are_kept_apart_and_both_are_hit() {
    let origin = varying("Accept-Language").await;
    let edge = TestEdge::plain(&origin.address()).await;
    for _ in 0..3 {
        for language in ["de", "fr"] {
            let response = edge.get_with("/t", &[("Accept-Language", language)]).await;
            assert!(response.text().starts_with(language), "{}", response.text());
        }
        assert!(edge.get("/t").await.text().starts_with("-|"));
    }
    assert_eq!(origin.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_not_in_vary_do_not_matter() {
    let origin = varying("Accept-Language").await;
    let edge = TestEdge::plain(&origin.address()).await;
    for agent in ["one", "two"] {
        edge.get_with("/t", &[("Accept-Language", "de"), ("User-Agent", agent)]).await;
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_accept_encoding_share_a_variant() {
    let origin = varying("Accept-Encoding").await;
    let edge = TestEdge::plain(&origin.address()).await;
    for encoding in ["gzip, br", "br,gzip", "br;q=1.0, gzip;q=0.8", "GZIP, br, deflate;q=0"] {
        edge.get_with("/t", &[("Accept-Encoding", encoding)]).await;
        assert_eq!(origin.count(), 1, "{encoding}");
    }
    edge.get_with("/t", &[("Accept-Encoding", "gzip")]).await;
    edge.get_with("/t", &[("Accept-Encoding", "gzip;q=0, br;q=0")]).await;
    assert!(origin.count() >= 3, "{}", origin.count());
}
