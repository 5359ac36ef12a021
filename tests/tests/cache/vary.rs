//! `Vary` (RFC 9111, section 4.1).

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::with_policy;

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
async fn rfc9111_4_1_variants_by_cookie_go_by_the_cookies_that_the_origin_got() {
    for (policy, fetched) in
        [("cookies = [\"lang\"]", 3), ("forward_cookies = [\"lang\"]", 3), ("cookies = \"all\"", 6), ("", 1)]
    {
        let origin = Origin::start(|request| {
            let fields = [("cache-control", "max-age=60"), ("vary", "Cookie, X-A")];
            Reply::new(200, &fields, request.header("cookie").unwrap_or("none"))
        })
        .await;
        let edge = with_policy(&origin, policy).await;
        for session in ["1", "2", "3"] {
            for language in ["de", "fr"] {
                let cookie = format!("sid={session}; lang={language}");
                let got = edge.get_with("/t", &[("Cookie", &cookie)]).await.text();
                let sent = match policy {
                    "" => "none".to_owned(),
                    // As the key has them: sorted.
                    "cookies = \"all\"" => format!("lang={language}; sid={session}"),
                    _ => format!("lang={language}"),
                };
                assert_eq!(got, sent, "{policy}");
            }
        }
        if policy.contains("lang") {
            assert_eq!(edge.get_with("/t", &[("Cookie", "sid=9")]).await.text(), "none", "{policy}");
        }
        assert_eq!(origin.count(), fetched, "{policy}");
    }
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

/// An edge with a geo database and these keys of a policy and of its behavior; `X-Forwarded-For` says where a viewer is.
async fn located(origin: &Origin, policy: &str, behavior: &str) -> TestEdge {
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples/demo/country.mmdb");
    let config = format!(
        "trusted_proxies = [\"127.0.0.1/32\"]\n[geo]\ndatabases = [\"{database}\"]\n[origins.main]\nurl = \"http://{{origin}}\"\n\
         [cache_policies.test]\n{policy}\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"test\"\n{behavior}\n"
    );
    TestEdge::start(&config, &origin.address()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_1_facts_that_the_origin_is_told_count_as_it_sees_them() {
    for (vary, policy) in [("CloudFront-Viewer-Country", ""), ("X-None", "headers = [\"cloudfront-viewer-country\"]")] {
        let origin = Origin::start(move |request| {
            let country = request.header("cloudfront-viewer-country").unwrap_or("-").to_owned();
            Reply::new(200, &[("cache-control", "max-age=60"), ("vary", vary)], country)
        })
        .await;
        let edge = located(&origin, policy, "").await;
        for _ in 0..2 {
            for (address, country) in [("8.8.8.8", "US"), ("192.0.2.1", "-")] {
                let fields = [("X-Forwarded-For", address), ("CloudFront-Viewer-Country", "XX")];
                assert_eq!(edge.get_with("/t", &fields).await.text(), country, "{vary} {policy}");
            }
        }
        assert_eq!(origin.count(), 2, "{vary} {policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_under_another_name_are_told_and_kept_apart_and_never_the_viewers() {
    let origin = Origin::start(move |request| {
        let country = request.header("x-country").unwrap_or("-").to_owned();
        let own = request.header("cloudfront-viewer-country").is_some();
        Reply::new(200, &[("cache-control", "max-age=60"), ("vary", "X-Country")], format!("{country} {own}"))
    })
    .await;
    let behavior = "viewer_headers = [{ header = \"X-Country\", fact = \"CloudFront-Viewer-Country\" }]";
    let edge = located(&origin, "", behavior).await;
    for _ in 0..2 {
        for (address, told) in [("8.8.8.8", "US false"), ("192.0.2.1", "- false")] {
            let fields = [("X-Forwarded-For", address), ("X-Country", "XX")];
            assert_eq!(edge.get_with("/t", &fields).await.text(), told);
        }
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_1_blanks_and_lines_of_a_list_do_not_matter() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60"), ("vary", "Foo")], "body")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for fields in [&[("Foo", "1,2")][..], &[("Foo", " 1, 2 ")], &[("Foo", "1"), ("Foo", "2")], &[("Foo", "1 ,2")]] {
        edge.get_with("/t", fields).await;
        assert_eq!(origin.count(), 1, "{fields:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_1_no_variant_of_what_differs_for_each_request_is_kept() {
    let origin =
        Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60"), ("vary", "X-Forwarded-For")], "x")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    edge.get("/t").await;
    assert_eq!(origin.count(), 2);
}
