//! The key-leak detector: what hooks read for an answer that others who share its key could get.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{config, script};

/// An edge with a binding at a stage, and a policy with these keys.
async fn edge(origin: &Origin, policy: &str, stage: &str, binding: &str) -> TestEdge {
    let behavior = format!(
        "[[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"test\"\nhooks = {{ {stage} = [{binding}] }}\n\
         [cache_policies.test]\n{policy}\n"
    );
    TestEdge::start(&config(&["header-edit", "script"], &behavior), &origin.address()).await
}

async fn storing(headers: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::start(move |_| Reply::new(200, headers, "body")).await
}

const STORED: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// Leaks that were counted, and whether the second request is a hit.
async fn leaks(policy: &str, headers: &'static [(&'static str, &'static str)], binding: &str) -> (f64, bool) {
    let origin = storing(headers).await;
    let edge = edge(&origin, policy, "viewer-request", binding).await;
    edge.get("/t").await;
    let hit = edge.get("/t").await.header("cache-status").is_some_and(|status| status.contains("; hit"));
    (edge.metric("edgeweir_cache_key_leaks_total", &[]).await, hit)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_sets_a_field_by_what_is_not_in_the_key_is_told() {
    assert_eq!(leaks("", STORED, "\"header-edit\"").await, (1.0, true), "told and stored");
    assert_eq!(leaks("key_leaks = \"ignore\"", STORED, "\"header-edit\"").await, (0.0, true));
    assert_eq!(leaks("", &[("cache-control", "no-store")], "\"header-edit\"").await, (0.0, false), "nothing is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_can_refuse_to_store_such_an_answer() {
    let origin = storing(STORED).await;
    let edge = edge(&origin, "key_leaks = \"refuse\"", "viewer-request", "\"header-edit\"").await;
    let response = edge.get("/t").await;
    assert!(response.header("cache-status").is_some_and(|status| status.contains("detail=key-leak")));
    edge.get("/t").await;
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_key_or_in_vary_is_no_leak() {
    let keyed = "headers = [\"accept\", \"user-agent\", \"accept-language\", \"cloudfront-viewer-country\"]";
    assert_eq!(leaks(keyed, STORED, "\"header-edit\"").await.0, 0.0);
    const VARYING: &[(&str, &str)] =
        &[("cache-control", "max-age=60"), ("vary", "Accept, User-Agent, Accept-Language, CloudFront-Viewer-Country")];
    assert_eq!(leaks("", VARYING, "\"header-edit\"").await.0, 0.0);
    let partly = "headers = [\"accept\", \"user-agent\", \"accept-language\"]";
    assert_eq!(leaks(partly, STORED, "\"header-edit\"").await.0, 1.0, "the country is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_reads_nothing_leaks_nothing() {
    assert_eq!(leaks("", STORED, &script(&["set x-a b"])).await, (0.0, true));
}
