//! The key-leak detector: what hooks read for an answer that others who share its key could get.

use edgeweir_tests::edge::{Setup, TestEdge};
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

/// Whether an answer is stored that a function had a part in.
async fn is_stored(policy: &str, does: &str) -> bool {
    let origin = storing(STORED).await;
    let behavior = format!(
        "[hooks.function]\nfile = \"{{dir}}/fn.js\"\n[[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"test\"\n\
         hooks = {{ viewer-request = [\"function\"] }}\n[cache_policies.test]\nkey_leaks = \"refuse\"\n{policy}\n"
    );
    let setup = Setup::new(&config(&[], &behavior));
    let source = format!("function handler(event) {{ const request = event.request; {does}; return request; }}");
    std::fs::write(setup.folder().join("fn.js"), source).expect("a writable folder");
    let edge = setup.set("origin", &origin.address()).start().await;
    let fields = [("cookie", "a=1; b=2"), ("accept", "*/*")];
    assert_eq!(edge.get_with("/t?x=1", &fields).await.status, 200);
    edge.get_with("/t?x=1", &fields).await;
    origin.count() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_in_javascript_has_read_what_it_looked_at() {
    let set = "request.headers['x-a'] = { value: '1' }";
    assert!(is_stored("", set).await, "nothing was read");
    let named = "request.headers['x-a'] = { value: request.headers.accept.value + request.cookies.a.value }";
    assert!(is_stored("headers = [\"accept\"]\ncookies = [\"a\"]", named).await, "the key has what was read");
    assert!(!is_stored("headers = [\"accept\"]\ncookies = [\"b\"]", named).await);
    let listed = "request.headers['x-a'] = { value: Object.keys(request.headers).join() }";
    assert!(!is_stored("headers = [\"accept\"]", listed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_reads_nothing_leaks_nothing() {
    assert_eq!(leaks("", STORED, &script(&["set x-a b"])).await, (0.0, true));
}
