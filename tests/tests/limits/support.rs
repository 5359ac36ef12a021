//! What the tests of limits share.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::Response;

/// A key that the tests' configs know.
pub(crate) const KEY: &str = "test-key-0123456789abcdefghij";

/// The body of a refusal for want of a key, byte for byte as API Gateway has it.
pub(crate) const FORBIDDEN: &str = r#"{"message":"Forbidden"}"#;
/// The body of a refusal by a throttle, byte for byte as API Gateway has it.
pub(crate) const TOO_MANY: &str = r#"{"message":"Too Many Requests"}"#;

/// An edge with a clock that stands still.
pub(crate) async fn frozen(config: &str, origin: &Origin) -> TestEdge {
    Setup::new(config).set("origin", &origin.address()).frozen().start().await
}

/// `GET` with the key.
pub(crate) async fn with_key(edge: &TestEdge, key: &str) -> Response {
    edge.get_with("/api/t", &[("X-Api-Key", key)]).await
}

/// How many of `count` requests with the key get 200; the others must get 429.
pub(crate) async fn admitted(edge: &TestEdge, count: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..count {
        match with_key(edge, KEY).await.status {
            200 => admitted += 1,
            429 => {}
            status => panic!("{status}"),
        }
    }
    admitted
}

/// One origin, one plan with these lines, its key, and a site that wants it: what comes after the lines about the edge itself.
pub(crate) fn keyed_site(origin: &str, plan: &str) -> String {
    format!(
        r#"
    [origins.main]
    url = "http://{origin}"
    [usage_plans.basic]
    {plan}
    [[api_keys]]
    name = "good"
    key = "{KEY}"
    plans = ["basic"]
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
    api_key_required = true
    "#
    )
}
