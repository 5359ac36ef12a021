//! API keys: who is let in, and that nobody learns a key.

use edgeweir_tests::edge::Setup;
use edgeweir_tests::origin::Origin;

use crate::support::{FORBIDDEN, KEY, frozen, with_key};

const CONFIG: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [usage_plans.basic]
    throttle = { rate = 1000, burst = 1000 }
    [usage_plans.elsewhere]
    distributions = ["other"]
    [[api_keys]]
    name = "good"
    key = "test-key-0123456789abcdefghij"
    plans = ["basic"]
    [[api_keys]]
    name = "hashed"
    sha256 = "b27b8f1baa3c8ad4ff39a8fe5bdb0ddb5f1dc2a4ad4ed8b9b4a3d3a8d6cfe0c7"
    plans = ["basic"]
    [[api_keys]]
    name = "off"
    key = "disabled-key-0123456789abcdef"
    plans = ["basic"]
    enabled = false
    [[api_keys]]
    name = "stranger"
    key = "stranger-key-0123456789abcdef"
    plans = ["elsewhere"]
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/api/*"
    cache_policy = "CachingDisabled"
    api_key_required = true
    [[distributions.site.behaviors]]
    path = "*"
    [distributions.other]
    hosts = ["other.test"]
    origin = "main"
    [[distributions.other.behaviors]]
    path = "*"
    api_key_required = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_key_opens() {
    let origin = Origin::hello().await;
    let edge = frozen(CONFIG, &origin).await;
    assert_eq!(with_key(&edge, KEY).await.text(), "hello");
    assert_eq!(edge.get("/free").await.status, 200, "no key where none is required");
    let line = edge.log_lines(2).await.remove(0);
    assert_eq!((line["key_name"].as_str(), line["plan"].as_str()), (Some("good"), Some("basic")));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_key_gets_the_same_403() {
    let origin = Origin::hello().await;
    let edge = frozen(CONFIG, &origin).await;
    let mut answers = vec![("none", edge.get("/api/t").await)];
    for (name, key) in [
        ("unknown", "unknown-key-0123456789abcdefg"),
        ("disabled", "disabled-key-0123456789abcdef"),
        ("of another plan", "stranger-key-0123456789abcdef"),
        ("empty", ""),
        ("a prefix", "test-key-0123456789abcdefghi"),
        ("longer", "test-key-0123456789abcdefghijk"),
        ("other case", "TEST-KEY-0123456789ABCDEFGHIJ"),
        ("the hash itself", "b27b8f1baa3c8ad4ff39a8fe5bdb0ddb5f1dc2a4ad4ed8b9b4a3d3a8d6cfe0c7"),
        ("very long", &"x".repeat(5000)),
    ] {
        answers.push((name, with_key(&edge, key).await));
    }
    let twice = edge.get_with("/api/t", &[("X-Api-Key", KEY), ("X-Api-Key", "x")]).await;
    answers.push(("two keys", twice));
    for (name, response) in answers {
        assert_eq!((response.status, response.text().as_str()), (403, FORBIDDEN), "{name}");
        assert_eq!(response.header("content-type"), Some("application/json"), "{name}");
        assert_eq!(response.header("ratelimit"), None, "{name}");
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_opens_only_its_distributions() {
    let origin = Origin::hello().await;
    let edge = frozen(CONFIG, &origin).await;
    let ask = async |host: &str, key: &str| {
        edgeweir_tests::raw::get(edge.address(), host, "/api/t", &[("X-Api-Key", key)]).await.status
    };
    assert_eq!(ask("other.test", "stranger-key-0123456789abcdef").await, 200);
    assert_eq!(ask("site.test", "stranger-key-0123456789abcdef").await, 403);
    assert_eq!(ask("other.test", KEY).await, 200, "a plan without a list covers all");
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_that_go_to_the_origin_need_a_key() {
    let origin = Origin::hello().await;
    let edge = frozen(CONFIG, &origin).await;
    let preflight = [("Origin", "https://app.test"), ("Access-Control-Request-Method", "GET")];
    let response = edge.request("OPTIONS", "/api/t", &preflight, b"").await;
    assert_eq!((response.status, origin.heads()), (403, 0), "anybody can write these fields");
    for headers in [&[] as &[(&str, &str)], &preflight[..1], &preflight[1..]] {
        let response = edge.request("OPTIONS", "/api/t", headers, b"").await;
        assert_eq!(response.status, 403, "an OPTIONS that is no preflight: {headers:?}");
    }
    // Where the origin answers them, they have a behavior of their own.
    let own = "[[distributions.site.behaviors]]\npath = \"/api/*\"\nmatch = { methods = [\"OPTIONS\"] }\n";
    let first = "[[distributions.site.behaviors]]\n    path = \"/api/*\"";
    edge.reload(&CONFIG.replace(first, &format!("{own}{first}"))).await.expect("a good config");
    assert_eq!(edge.request("OPTIONS", "/api/t", &preflight, b"").await.status, 200);
    // Where the edge answers them, they need none.
    let cors = "cors = { origins = [\"*\"] }\n    hosts = [\"site.test\"]";
    edge.reload(&CONFIG.replace("hosts = [\"site.test\"]", cors)).await.expect("a good config");
    assert_eq!(edge.request("OPTIONS", "/api/t", &preflight, b"").await.status, 204);
    for method in ["GET", "POST", "DELETE"] {
        let response = edge.request(method, "/api/t", &preflight, b"").await;
        assert_eq!(response.status, 403, "{method} with the fields of a preflight");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_walks_round_the_key() {
    let origin = Origin::hello().await;
    let edge = frozen(CONFIG, &origin).await;
    for target in [
        "/api/t",
        "/%61pi/t",
        "/./api/t",
        "/x/../api/t",
        "//api/t",
        "/api%2ft",
        "/api/%2e/t",
        "/a%70i/t",
        "/api;x/t",
        "/%2561pi/t",
        "/api\\t",
        "http://site.test/api/t",
    ] {
        let response = edgeweir_tests::raw::get(edge.address(), "site.test", target, &[]).await;
        assert!(matches!(response.status, 400 | 403), "{target}: {}", response.status);
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_never_written_anywhere() {
    let origin = Origin::mirror().await;
    let edge = frozen(CONFIG, &origin).await;
    let secret = "unknown-key-0123456789abcdefg";
    with_key(&edge, KEY).await;
    let refused = with_key(&edge, secret).await;
    edge.get(&format!("/free?api_key={KEY}&x-api-key={KEY}&token={secret}")).await;
    edge.get_with("/free", &[("Authorization", &format!("Bearer {secret}")), ("Cookie", &format!("s={KEY}"))]).await;
    edge.get_with("/free", &[("Referer", &format!("https://a.test/?token={secret}"))]).await;
    edge.log_lines(5).await;
    let status = edge.admin("GET", "/v1/status").await.text();
    for (place, text) in
        [("log", edge.log_text()), ("metrics", edge.metrics().await), ("status", status), ("answer", refused.text())]
    {
        assert!(!text.contains(KEY) && !text.contains(secret), "a key in the {place}:\n{text}");
    }
    let passed = origin.requests();
    assert!(passed.iter().any(|received| received.target().contains(KEY)), "the origin still gets the query");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_files_the_environment_or_as_hashes() {
    let origin = Origin::hello().await;
    // SHA-256 of "hash".
    let hashed = "d04b98f48e8f8bcc15c6ae5ac050801cd6dcfd428fb5f9e65c4e16e7807340fa";
    let config = CONFIG
        .replace("b27b8f1baa3c8ad4ff39a8fe5bdb0ddb5f1dc2a4ad4ed8b9b4a3d3a8d6cfe0c7", hashed)
        .replace("key = \"disabled-key-0123456789abcdef\"", "key = { file = \"{dir}/key.txt\" }")
        .replace("enabled = false", "enabled = true")
        .replace("key = \"test-key-0123456789abcdefghij\"", "key = { env = \"TEST_API_KEY\" }");
    let setup = Setup::new(&config).set("origin", &origin.address()).env("TEST_API_KEY", KEY).frozen();
    std::fs::write(setup.folder().join("key.txt"), "key-from-a-file-0123456789\n").expect("a writable folder");
    let edge = setup.start().await;
    for key in ["hash", "key-from-a-file-0123456789", KEY] {
        assert_eq!(with_key(&edge, key).await.status, 200, "{key}");
    }
}
