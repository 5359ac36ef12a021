//! viewer-response hooks that want to see errors, and hooks that nobody has a place for.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{bound, config};

const SEES: &str = "[[distributions.site.behaviors]]\npath = \"*\"\nhooks = { viewer-response = [\
                    { hook = \"all-stages\", on_errors = true }] }\n";

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_origin_are_seen_where_asked_for() {
    for status in [404, 500] {
        let origin =
            Origin::start(move |_| Reply::new(status, &[("cache-control", "max-age=60")], "origin's words")).await;
        let edge = TestEdge::start(&config(&["all-stages"], SEES), &origin.address()).await;
        for turn in ["first", "second"] {
            let response = edge.get("/t").await;
            assert_eq!((response.status, response.text().as_str()), (status, "origin's words"), "{turn}");
            assert_eq!(response.header_all("x-stage"), ["viewer-response"], "{status}, {turn}");
            assert!(response.header("x-seen").is_some_and(|seen| seen.starts_with(&status.to_string())), "{turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edges_own_errors_are_seen_where_asked_for() {
    let edge = TestEdge::start(&config(&["all-stages"], SEES), &hostile::refused().await).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.header("x-stage")), (502, Some("viewer-response")));
    assert_eq!(response.text(), "{\"message\":\"Bad Gateway\"}");
    assert_eq!(
        edge.exchange("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").await.header("x-stage"),
        None,
        "no behavior"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_on_an_error_leaves_it_as_it_is() {
    let binding = "{ hook = \"script\", on_errors = true, settings = { script = \"set x-a 1\\nset via x\" } }";
    let edge =
        TestEdge::start(&config(&["script"], &bound("viewer-response", binding)), &hostile::refused().await).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.text().as_str()), (502, "{\"message\":\"Bad Gateway\"}"));
    assert!(response.header("x-request-id").is_some() && response.header("x-a").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_place_is_refused_even_where_failures_pass() {
    let origin = Origin::hello().await;
    let text = config(&["spin"], &bound("viewer-request", "{ hook = \"spin\", on_failure = \"open\" }"))
        .replace("[hooks.spin]\n", "[hooks.spin]\ntimeout = \"300ms\"\nmax_concurrent = 1\n");
    let edge = Setup::new(&text).set("origin", &origin.address()).start().await;
    assert_eq!(edge.get("/t").await.status, 200, "a timeout alone passes");
    let statuses: Vec<u16> =
        futures_util::future::join_all((0..6).map(|_| edge.get("/t"))).await.iter().map(|r| r.status).collect();
    let count = |status| statuses.iter().filter(|&&other| other == status).count();
    assert!(count(200) >= 1 && count(503) >= 3 && count(200) + count(503) == 6, "{statuses:?}");
    assert!(edge.metric("edgeweir_hook_calls_total", &["spin", "overloaded"]).await >= 3.0);
}
