//! All levels: methods, the edge, addresses, callers by header, keys by method; and requests at once.

use std::time::Duration;

use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::admin_with;
use edgeweir_tests::raw::request_bytes;
use edgeweir_tests::wait::until;

use crate::support::{KEY, TOO_MANY, frozen};

/// A distribution with one behavior without cache; `{behavior}` and `{more}` are the test's.
fn config(top: &str, distribution: &str, behavior: &str) -> String {
    format!(
        r#"
        trusted_proxies = ["127.0.0.0/8"]
        {top}
        [origins.main]
        url = "http://{{origin}}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        {distribution}
        [[distributions.site.behaviors]]
        path = "/narrow/*"
        cache_policy = "CachingDisabled"
        {behavior}
        [[distributions.site.behaviors]]
        path = "*"
        cache_policy = "CachingDisabled"
        "#
    )
}

/// How many of `count` requests pass; the others must be 429.
async fn passed(edge: &TestEdge, method: &str, target: &str, headers: &[(&str, &str)], count: usize) -> usize {
    let mut passed = 0;
    for _ in 0..count {
        match edge.request(method, target, headers, b"").await.status {
            200 => passed += 1,
            429 => {}
            status => panic!("{status}"),
        }
    }
    passed
}

async fn from(edge: &TestEdge, target: &str, address: &str, count: usize) -> usize {
    passed(edge, "GET", target, &[("x-forwarded-for", address)], count).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_has_its_own_limit_in_place_of_the_behaviors() {
    let origin = Origin::hello().await;
    let limits = "throttle = { rate = 1, burst = 4 }\nmethod_throttles = { POST = { rate = 1, burst = 2 } }";
    let edge = frozen(&config("", "", limits), &origin).await;
    assert_eq!(passed(&edge, "POST", "/narrow/t", &[], 6).await, 2);
    assert_eq!(passed(&edge, "GET", "/narrow/t", &[], 6).await, 4, "the bucket of all other methods is full");
    assert_eq!(passed(&edge, "DELETE", "/narrow/t", &[], 6).await, 0, "and shared by them");
    assert_eq!(passed(&edge, "POST", "/wide", &[], 6).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_has_a_limit_for_everything() {
    let origin = Origin::hello().await;
    let other = "[distributions.other]\nhosts = [\"other.test\"]\norigin = \"main\"";
    let text = format!("{}\n{other}", config("[limits]\nthrottle = { rate = 0.5, burst = 3 }", "", ""));
    let edge = frozen(&text, &origin).await;
    assert_eq!(passed(&edge, "GET", "/a", &[], 2).await, 2);
    let elsewhere = async || edgeweir_tests::raw::get(edge.address(), "other.test", "/b", &[]).await;
    assert_eq!(elsewhere().await.status, 200);
    let refused = elsewhere().await;
    assert_eq!((refused.status, refused.text().as_str()), (429, TOO_MANY));
    assert_eq!(refused.header("retry-after"), Some("2"), "half a request a second");
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""edge";q=3;w=6"#));
    edge.advance(Duration::from_secs(2));
    assert_eq!(elsewhere().await.status, 200);
    assert_eq!(edgeweir_tests::raw::get(edge.address(), "nobody.test", "/", &[]).await.status, 404, "costs nothing");
    let lines = edge.log_lines(4).await;
    assert_eq!(lines.iter().filter(|line| line["throttle"] == "edge").count(), 1, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_has_a_bucket() {
    let origin = Origin::hello().await;
    let edge = frozen(&config("", "per_address = { rate = 1, burst = 3 }", ""), &origin).await;
    assert_eq!(from(&edge, "/t", "192.0.2.1", 5).await, 3);
    assert_eq!(from(&edge, "/t", "192.0.2.2", 5).await, 3);
    // One subscriber has a /64.
    assert_eq!(from(&edge, "/t", "2001:db8::1", 2).await, 2);
    assert_eq!(from(&edge, "/t", "2001:db8::ffff:2", 5).await, 1);
    assert_eq!(from(&edge, "/t", "2001:db8:0:1::1", 5).await, 3);
    edge.advance(Duration::from_secs(1));
    assert_eq!(from(&edge, "/t", "192.0.2.1", 5).await, 1);
    let left = edge.get_with("/t", &[("x-forwarded-for", "192.0.2.9")]).await;
    assert_eq!(left.header("ratelimit"), Some(r#""distribution-address";r=2;t=1"#), "it is the viewer's own");
    let refused = edge.get_with("/t", &[("x-forwarded-for", "192.0.2.1")]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(edge.metric("edgeweir_throttled_requests_total", &["distribution-address"]).await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_address_takes_nothing_from_the_others() {
    let origin = Origin::hello().await;
    let behavior = "per_address = { rate = 1, burst = 2 }";
    let text = config(
        "[limits]\nper_address = { rate = 1, burst = 8, ipv4_prefix = 24 }",
        "throttle = { rate = 1, burst = 6 }",
        behavior,
    );
    let edge = frozen(&text, &origin).await;
    assert_eq!(from(&edge, "/narrow/t", "192.0.2.1", 20).await, 2);
    assert_eq!(from(&edge, "/narrow/t", "192.0.2.2", 20).await, 2);
    // 4 of the distribution's 6 are gone, and 4 of the 8 of the network on the edge.
    assert_eq!(from(&edge, "/wide", "192.0.2.3", 20).await, 2, "what the distribution has left");
    edge.advance(Duration::from_secs(6));
    assert_eq!(from(&edge, "/wide", "192.0.2.3", 20).await, 6);
    edge.advance(Duration::from_secs(1));
    assert_eq!(from(&edge, "/wide", "198.51.100.1", 1).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_told_apart_by_a_header() {
    let origin = Origin::hello().await;
    let limit = r#"per_caller = { by = "header:X-Tenant", rate = 1, burst = 2 }"#;
    let edge = frozen(&config("", "", limit), &origin).await;
    assert_eq!(passed(&edge, "GET", "/narrow/t", &[("x-tenant", "a")], 5).await, 2);
    assert_eq!(passed(&edge, "GET", "/narrow/t", &[("X-Tenant", "b")], 5).await, 2);
    assert_eq!(passed(&edge, "GET", "/narrow/t", &[], 5).await, 2, "those without it are one caller");
    assert_eq!(passed(&edge, "GET", "/wide", &[], 5).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_limits_by_method_in_place_of_its_own() {
    let origin = Origin::hello().await;
    let plan = r#"
        [usage_plans.basic]
        throttle = { rate = 1, burst = 6 }
        method_throttles = [
            { path = "/narrow/*", method = "POST", rate = 1, burst = 2 },
            { method = "DELETE", rate = 1, burst = 1 },
        ]
        [[api_keys]]
        name = "good"
        key = "test-key-0123456789abcdefghij"
        plans = ["basic"]
        [[api_keys]]
        name = "other"
        key = "other-key-0123456789abcdefghi"
        plans = ["basic"]
    "#;
    let edge = frozen(&config(plan, "", "api_key_required = true"), &origin).await;
    let key = [("x-api-key", KEY)];
    assert_eq!(passed(&edge, "POST", "/narrow/t", &key, 5).await, 2);
    assert_eq!(passed(&edge, "DELETE", "/narrow/t", &key, 5).await, 1);
    assert_eq!(
        passed(&edge, "GET", "/narrow/t", &key, 9).await,
        6,
        "methods with a limit of their own take nothing from it"
    );
    let other = [("x-api-key", "other-key-0123456789abcdefghi")];
    assert_eq!(passed(&edge, "POST", "/narrow/t", &other, 5).await, 2);
    let refused = edge.request("POST", "/narrow/t", &other, b"").await;
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""key-method";q=2;w=2"#));
}

/// Makes a key of the plan `basic`; gives its value, and another one that it has besides.
async fn rotated(edge: &TestEdge) -> (String, String) {
    let call = async |path: &str, body: &str| -> serde_json::Value {
        let answer = admin_with(&edge.admin_socket(), "POST", path, body.as_bytes()).await;
        serde_json::from_str(&answer.text()).expect("JSON")
    };
    let made = call("/v1/keys", r#"{ "name": "acme", "plans": ["basic"] }"#).await;
    let again = call(&format!("/v1/keys/{}/rotate", made["id"].as_str().expect("an id")), "{}").await;
    let value = |answer: &serde_json::Value| answer["value"].as_str().expect("a value").to_owned();
    (value(&made), value(&again))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_values_of_a_key_have_one_bucket_and_one_gauge() {
    let plan = r#"
        [usage_plans.basic]
        method_throttles = [{ method = "POST", rate = 1, burst = 3 }]
        concurrency = 1
    "#;
    let (edge, origin, gate) = held(&config(plan, "", "api_key_required = true")).await;
    let (old, new) = rotated(&edge).await;
    let mut connection = edge.connect().await;
    connection.send(request_bytes("GET", HOST, "/narrow/t", &[("x-api-key", &old)], b"")).await;
    until("it is at the origin", || origin.heads() == 1).await;
    let refused = edge.get_with("/narrow/t", &[("x-api-key", &new)]).await;
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""key";q=1;qu="concurrent-requests""#));
    drop((gate, connection, edge));

    let origin = Origin::hello().await;
    let edge = frozen(&config(plan, "", "api_key_required = true"), &origin).await;
    let (old, new) = rotated(&edge).await;
    assert_eq!(passed(&edge, "POST", "/narrow/t", &[("x-api-key", &old)], 2).await, 2);
    assert_eq!(passed(&edge, "POST", "/narrow/t", &[("x-api-key", &new)], 5).await, 1);
    assert_eq!(passed(&edge, "POST", "/narrow/t", &[("x-api-key", &old)], 5).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_of_addresses_survive_a_reload() {
    let origin = Origin::hello().await;
    let text = config("", "per_address = { rate = 1, burst = 5 }", "");
    let edge = frozen(&text, &origin).await;
    assert_eq!(from(&edge, "/t", "192.0.2.1", 4).await, 4);
    edge.reload(&text.replace("burst = 5", "burst = 7")).await.expect("a good config");
    assert_eq!(from(&edge, "/t", "192.0.2.1", 9).await, 1, "one was left; room that is new starts empty");
    assert_eq!(from(&edge, "/t", "192.0.2.2", 9).await, 5);
    edge.advance(Duration::from_secs(2));
    assert_eq!(from(&edge, "/t", "192.0.2.1", 9).await, 2);
    assert_eq!(from(&edge, "/t", "192.0.2.3", 9).await, 7);
}

/// An edge whose origin answers when the gate opens.
async fn held(text: &str) -> (TestEdge, Origin, Gate) {
    let gate = Gate::new();
    let origin = {
        let gate = gate.clone();
        Origin::start(move |_| Reply::ok("hello").after(&gate)).await
    };
    let edge = Setup::new(text).set("origin", &origin.address()).start().await;
    (edge, origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_at_once_and_no_more() {
    let (edge, origin, gate) = held(&config("", "", "concurrency = 2")).await;
    let mut first = edge.connect().await;
    let mut second = edge.connect().await;
    for connection in [&mut first, &mut second] {
        connection.send(request_bytes("GET", HOST, "/narrow/t", &[], b"")).await;
    }
    until("both are at the origin", || origin.heads() == 2).await;
    let refused = edge.get("/narrow/t").await;
    assert_eq!((refused.status, refused.text().as_str()), (429, TOO_MANY));
    assert_eq!(refused.header("x-amzn-errortype"), Some("TooManyRequestsException"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""behavior";q=2;qu="concurrent-requests""#));
    assert_eq!(edge.log_lines(1).await[0]["throttle"], "behavior-concurrency");
    assert!(edge.metric("edgeweir_throttled_requests_total", &["behavior-concurrency"]).await >= 1.0);
    // One viewer hangs up, the other gets its answer: both have left.
    drop(first);
    gate.open();
    assert_eq!(second.response().await.status, 200);
    let mut last = 0;
    for _ in 0..50 {
        last = edge.get("/narrow/t").await.status;
        if last == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(last, 200);
    assert_eq!(edge.get("/wide").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_hangs_up_leaves() {
    let (edge, origin, _gate) = held(&config("", "", "concurrency = 1")).await;
    for round in 1..=5 {
        // The one before may not have left yet: then this one is refused, and asks again.
        let mut tries = 0;
        while origin.heads() < round {
            let mut connection = edge.connect().await;
            connection.send(request_bytes("GET", HOST, "/narrow/t", &[], b"")).await;
            for _ in 0..20 {
                if origin.heads() < round {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            tries += 1;
            assert!(tries < 100, "there is room again");
        }
        assert_eq!(origin.heads(), round, "one at a time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_are_counted_for_keys_addresses_callers_and_scopes() {
    let plan = r#"
        [limits]
        concurrency = 4
        [usage_plans.basic]
        concurrency = 1
        [[api_keys]]
        name = "good"
        key = "test-key-0123456789abcdefghij"
        plans = ["basic"]
    "#;
    let distribution = "concurrency = 3\nper_address = { concurrency = 2 }";
    let behavior = "api_key_required = true\nper_caller = { by = \"header:x-tenant\", concurrency = 1 }";
    let (edge, origin, _gate) = held(&config(plan, distribution, behavior)).await;
    let mut held = Vec::new();
    let mut hold = async |target: &str, headers: &[(&str, &str)]| {
        let mut connection = edge.connect().await;
        connection.send(request_bytes("GET", HOST, target, headers, b"")).await;
        let count = held.len() + 1;
        held.push(connection);
        until("it is at the origin", || origin.heads() == count).await;
    };
    hold("/narrow/t", &[("x-api-key", KEY), ("x-forwarded-for", "192.0.2.1"), ("x-tenant", "a")]).await;
    let refused = edge.get_with("/narrow/t", &[("x-api-key", KEY), ("x-forwarded-for", "192.0.2.2")]).await;
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""key";q=1;qu="concurrent-requests""#));
    hold("/wide", &[("x-forwarded-for", "192.0.2.1")]).await;
    let refused = edge.get_with("/wide", &[("x-forwarded-for", "192.0.2.1")]).await;
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""distribution-address";q=2;qu="concurrent-requests""#));
    hold("/wide", &[("x-forwarded-for", "192.0.2.3")]).await;
    let refused = edge.get_with("/wide", &[("x-forwarded-for", "192.0.2.4")]).await;
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""distribution";q=3;qu="concurrent-requests""#));
}
