//! Authorizers: who is let in, what is kept of their word, and where it arrives.

use std::time::Duration;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Response;

use crate::support::{FORBIDDEN, KEY, frozen};

/// One behavior with the guest as its authorizer.
fn config(authorizer: &str, behavior: &str) -> String {
    let secrets = if authorizer.contains("secrets =") { "" } else { "secrets = {}, " };
    format!(
        r#"
        [origins.main]
        url = "http://{{origin}}"
        [hooks.authorizer]
        file = "{{guest:authorizer}}"
        [usage_plans.basic]
        throttle = {{ rate = 1, burst = 3 }}
        [[api_keys]]
        name = "good"
        key = "test-key-0123456789abcdefghij"
        plans = ["basic"]
        [[api_keys]]
        name = "other"
        key = "other-key-0123456789abcdefghij"
        plans = ["basic"]
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "/open"
        api_key_required = true
        [[distributions.site.behaviors]]
        path = "*"
        cache_policy = "CachingDisabled"
        authorizer = {{ hook = "authorizer", {secrets}{authorizer} }}
        {behavior}
        "#
    )
}

async fn with(edge: &TestEdge, token: &str) -> Response {
    edge.get_with("/t", &[("authorization", &format!("Bearer {token}"))]).await
}

async fn calls(edge: &TestEdge) -> f64 {
    edge.metric("edgeweir_hook_counter_total", &["authorizer", "calls"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_in() {
    let origin = Origin::hello().await;
    let edge = frozen(&config("", ""), &origin).await;
    assert_eq!(with(&edge, "allow alice").await.text(), "hello");
    let denied = with(&edge, "deny late").await;
    let explicit = r#"{"Message":"User is not authorized to access this resource with an explicit deny"}"#;
    assert_eq!((denied.status, denied.text().as_str()), (403, explicit));
    assert_eq!(denied.header("x-amzn-errortype"), Some("AccessDeniedException"));
    let unknown = with(&edge, "unauthorized").await;
    assert_eq!((unknown.status, unknown.text().as_str()), (401, r#"{"message":"Unauthorized"}"#));
    assert_eq!(unknown.header("x-amzn-errortype"), Some("UnauthorizedException"));
    assert_eq!(unknown.header("www-authenticate"), Some("Bearer"));
    let challenged = with(&edge, "challenge Bearer realm=\"x\"").await;
    assert_eq!((challenged.status, challenged.header("www-authenticate")), (401, Some("Bearer realm=\"x\"")));
    let before = calls(&edge).await;
    for headers in [&[][..], &[("authorization", "")]] {
        let missing = edge.get_with("/t", headers).await;
        assert_eq!((missing.status, missing.text().as_str()), (401, r#"{"message":"Unauthorized"}"#));
        assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    }
    assert!((calls(&edge).await - before).abs() < 0.1, "without a call");
    assert_eq!(origin.heads(), 1);
    let lines = edge.log_lines(6).await;
    assert_eq!(
        (lines[0]["principal"].as_str(), lines[0]["hooks"][0]["verdict"].as_str()),
        (Some("alice"), Some("allow"))
    );
    assert_eq!((lines[1]["fault"].as_str(), lines[2]["fault"].as_str()), (Some("access-denied"), Some("unauthorized")));
    assert!(!edge.log_text().contains("Bearer "), "no token in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_that_fails_lets_nobody_in() {
    let origin = Origin::hello().await;
    let edge = frozen(&config("", ""), &origin).await;
    for token in ["error", "trap", "spin", "long"] {
        let failed = with(&edge, token).await;
        assert_eq!((failed.status, failed.text().as_str()), (500, r#"{"message":"Internal server error"}"#), "{token}");
        assert_eq!(failed.header("x-amzn-errortype"), Some("AuthorizerConfigurationException"), "{token}");
    }
    assert_eq!(origin.heads(), 0);
    let faults: Vec<_> = edge.log_lines(4).await.iter().map(|line| line["fault"].as_str().map(str::to_owned)).collect();
    let expected = ["authorizer-failed", "authorizer-failed", "authorizer-failed", "authorizer-invalid"];
    assert_eq!(faults, expected.map(|fault| Some(fault.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_word_is_kept_for_as_long_as_it_may() {
    let origin = Origin::hello().await;
    let edge = frozen(&config("ttl = \"60s\"", ""), &origin).await;
    for _ in 0..3 {
        assert_eq!(with(&edge, "allow alice").await.status, 200);
        assert_eq!(with(&edge, "deny late").await.status, 403);
    }
    assert!((calls(&edge).await - 2.0).abs() < 0.1, "allow and deny are kept");
    for _ in 0..3 {
        assert_eq!(with(&edge, "unauthorized").await.status, 401);
    }
    assert!((calls(&edge).await - 5.0).abs() < 0.1, "a 401 is not");
    edge.advance(Duration::from_secs(59));
    assert_eq!(with(&edge, "allow alice").await.status, 200);
    assert!((calls(&edge).await - 5.0).abs() < 0.1);
    edge.advance(Duration::from_secs(1));
    assert_eq!(with(&edge, "allow alice").await.status, 200);
    assert!((calls(&edge).await - 6.0).abs() < 0.1, "60 s are over");
    // The hook says shorter, and not at all.
    for (token, kept) in [("allow bob,age 10", true), ("allow carol,age 0", false), ("allow dave,age 900", true)] {
        let before = calls(&edge).await;
        with(&edge, token).await;
        with(&edge, token).await;
        assert!((calls(&edge).await - before - if kept { 1.0 } else { 2.0 }).abs() < 0.1, "{token}");
    }
    edge.advance(Duration::from_secs(11));
    let before = calls(&edge).await;
    with(&edge, "allow bob,age 10").await;
    with(&edge, "allow dave,age 900").await;
    assert!((calls(&edge).await - before - 1.0).abs() < 0.1, "ten seconds of bob are over");
    edge.advance(Duration::from_secs(50));
    let before = calls(&edge).await;
    with(&edge, "allow dave,age 900").await;
    assert!((calls(&edge).await - before - 1.0).abs() < 0.1, "the binding's ttl is the most");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ttl_of_nothing_asks_each_time_and_a_reload_keeps_what_is_the_same() {
    let origin = Origin::hello().await;
    let edge = frozen(&config("ttl = \"0s\"", ""), &origin).await;
    for _ in 0..3 {
        assert_eq!(with(&edge, "allow alice").await.status, 200);
    }
    assert!((calls(&edge).await - 3.0).abs() < 0.1);
    edge.reload(&config("ttl = \"60s\"", "")).await.expect("a good config");
    with(&edge, "allow alice").await;
    edge.reload(&config("ttl = \"50s\"", "")).await.expect("a good config");
    with(&edge, "allow alice").await;
    assert!((calls(&edge).await - 4.0).abs() < 0.1, "the same hook, settings and identity");
    edge.reload(&config("ttl = \"50s\", settings = { reads = \"authorization\" }", "")).await.expect("a good config");
    with(&edge, "allow alice").await;
    assert!((calls(&edge).await - 5.0).abs() < 0.1, "other settings");
    let granted = r#"ttl = "50s", settings = { reads = "authorization" }, secrets = { tenant = "of-the-other-one" }"#;
    edge.reload(&config(granted, "")).await.expect("a good config");
    with(&edge, "allow alice").await;
    assert!((calls(&edge).await - 6.0).abs() < 0.1, "other grants");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_reads_besides_the_identity_is_not_kept() {
    let origin = Origin::hello().await;
    for (more, kept) in [
        ("settings = { reads = \"path\" }", false),
        ("settings = { reads = \"x-tenant\" }", false),
        ("settings = { reads = \"path\" }, identity = [\"header:authorization\", \"path\"]", true),
        ("settings = { reads = \"x-tenant\" }, identity = [\"header:authorization\", \"header:X-Tenant\"]", true),
    ] {
        let edge = frozen(&config(more, ""), &origin).await;
        let headers = [("authorization", "Bearer allow alice"), ("x-tenant", "acme")];
        for _ in 0..3 {
            assert_eq!(edge.get_with("/t", &headers).await.status, 200, "{more}");
        }
        assert!((calls(&edge).await - if kept { 1.0 } else { 3.0 }).abs() < 0.1, "{more}");
        let other = [("authorization", "Bearer allow alice"), ("x-tenant", "other")];
        edge.get_with("/u", &other).await;
        assert!((calls(&edge).await - if kept { 2.0 } else { 4.0 }).abs() < 0.1, "{more}: another one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_come_from_cookies_and_queries_and_all_have_to_be_there() {
    let origin = Origin::hello().await;
    let cookie = r#"settings = { from = "cookie" }, identity = ["cookie:token", "query:client"]"#;
    let edge = frozen(&config(cookie, ""), &origin).await;
    let token = [("cookie", "a=1; token=allow alice")];
    assert_eq!(edge.get_with("/t?client=7", &token).await.status, 200);
    assert_eq!(edge.get_with("/t?client=7", &token).await.status, 200);
    assert_eq!(edge.get_with("/t?client=8", &token).await.status, 200);
    assert!((calls(&edge).await - 2.0).abs() < 0.1, "another client is another identity");
    for (target, headers) in [("/t", &token[..]), ("/t?client=", &token), ("/t?client=7", &[("cookie", "a=1")])] {
        assert_eq!(edge.get_with(target, headers).await.status, 401, "{target}");
    }
    // What the hook reads is what the answer is kept under, however it is spelled.
    let query = r#"settings = { from = "query" }, identity = ["query:token"]"#;
    let edge = frozen(&config(query, ""), &origin).await;
    assert_eq!(edge.get("/t?token=allow%20alice").await.status, 200);
    assert_eq!(edge.get("/t?token=deny%20me").await.status, 403);
    assert_eq!(edge.get("/t").await.status, 401);
    edge.log_lines(3).await;
    // The lines of a connection each may be in another order: one is waited for before the next is asked.
    for (lines, target, who) in [
        (4, "/t?%74oken=allow%20mallory&token=allow%20bob", "mallory"),
        (5, "/t?token=allow%20bob&%74oken=allow%20mallory", "bob"),
        (6, "/t?token=allow%20bob", "bob"),
    ] {
        assert_eq!(edge.get(target).await.status, 200, "{target}");
        let said = edge.log_lines(lines).await;
        assert_eq!(said.last().expect("a line")["principal"], who, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_goes_to_the_origin_and_to_later_hooks() {
    let origin = Origin::mirror().await;
    let headers = r#"headers = { x-user = "principal", X-Tenant = "context:tenant" }"#;
    let edge =
        frozen(&config(headers, "hooks = { viewer-request = [{ hook = \"authorizer\", secrets = {} }] }"), &origin)
            .await;
    let forged = [("authorization", "Bearer allow alice,tenant acme"), ("x-user", "root"), ("X-Tenant", "all")];
    let text = edge.get_with("/t", &forged).await.text().to_ascii_lowercase();
    assert!(text.contains("x-user: alice\r\n") && text.contains("x-tenant: acme\r\n"), "{text}");
    assert!(text.contains(r#"x-seen: some("alice") some("acme")"#), "{text}");
    assert!(!text.contains("root") && !text.contains("x-tenant: all"), "{text}");
    let nameless = [("authorization", "Bearer allow"), ("x-user", "root")];
    let text = edge.get_with("/t", &nameless).await.text().to_ascii_lowercase();
    assert!(!text.contains("x-user") && text.contains("x-seen: none none"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_share_cached_answers_only_if_that_is_said() {
    for (more, shared) in [("", false), (", share_cache = true", true)] {
        let origin = Origin::start(|received| {
            let user = received.header("x-user").unwrap_or("nobody").to_owned();
            Reply::new(200, &[("cache-control", "public, max-age=60")], user)
        })
        .await;
        let authorizer = format!("headers = {{ x-user = \"principal\" }}{more}");
        let text = config(&authorizer, "").replacen("cache_policy = \"CachingDisabled\"", "", 1);
        let edge = frozen(&text, &origin).await;
        assert_eq!(with(&edge, "allow alice").await.text(), "alice");
        assert_eq!(with(&edge, "allow alice").await.text(), "alice");
        let bob = with(&edge, "allow bob").await.text();
        assert_eq!(bob, if shared { "alice" } else { "bob" }, "{more}");
        assert_eq!(origin.count(), if shared { 1 } else { 2 }, "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_it_names_has_its_plan() {
    let origin = Origin::hello().await;
    let edge = frozen(&config("", "api_key_required = true"), &origin).await;
    let token = format!("allow alice,key {KEY}");
    for _ in 0..3 {
        assert_eq!(with(&edge, &token).await.status, 200);
    }
    let refused = with(&edge, &token).await;
    assert_eq!((refused.status, refused.header("ratelimit-policy")), (429, Some(r#""key";q=3;w=3"#)));
    assert_eq!(edge.log_lines(4).await[0]["key_name"], "good");
    // No key at all, and one that is not known.
    for token in ["allow alice", "allow alice,key unknown-key-0123456789abcdefg"] {
        let refused = with(&edge, token).await;
        assert_eq!((refused.status, refused.text().as_str()), (403, FORBIDDEN), "{token}");
    }
    // In place of the header's, whose plan pays nothing.
    let other = "other-key-0123456789abcdefghij";
    for _ in 0..5 {
        let headers = [("authorization", format!("Bearer {token}")), ("x-api-key", other.to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(edge.get_with("/t", &headers).await.status, 429);
    }
    let mut passed = 0;
    for _ in 0..5 {
        passed += usize::from(edge.get_with("/open", &[("x-api-key", other)]).await.status == 200);
    }
    assert_eq!(passed, 3, "its bucket was full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_spends_nothing_of_a_plan() {
    let origin = Origin::hello().await;
    let edge = frozen(&config("", "api_key_required = true\nthrottle = { rate = 0.001, burst = 8 }"), &origin).await;
    let ask = async |token: &str| {
        let token = format!("Bearer {token}");
        edge.get_with("/t", &[("authorization", &token), ("x-api-key", KEY)]).await.status
    };
    for _ in 0..3 {
        assert_eq!(ask("deny late").await, 403);
        assert_eq!(ask("unauthorized").await, 401);
    }
    // The key has its three; the behavior's eight have paid for the six refused ones.
    assert_eq!([ask("allow a").await, ask("allow a").await, ask("allow a").await], [200, 200, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_it_names_have_limits() {
    let origin = Origin::hello().await;
    let limit = r#"per_caller = { by = "principal", rate = 1, burst = 2, concurrency = 5 }"#;
    let edge = frozen(&config("", limit), &origin).await;
    let mut statuses = Vec::new();
    for name in ["alice", "alice", "alice", "bob", "bob", "bob"] {
        statuses.push(with(&edge, &format!("allow {name}")).await.status);
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429]);
    let by_tenant = limit.replace("principal", "context:tenant");
    let edge = frozen(&config("", &by_tenant), &origin).await;
    let mut statuses = Vec::new();
    for token in [
        "allow a,tenant t",
        "allow b,tenant t",
        "allow c,tenant t",
        "allow d,tenant u",
        "allow e",
        "allow f",
        "allow g",
    ] {
        statuses.push(with(&edge, token).await.status);
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200, 200, 429], "those without a tenant are one caller");
    assert_eq!(edge.log_lines(3).await[2]["throttle"], "behavior-caller");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_paid_for_also_if_a_later_limit_refuses() {
    let origin = Origin::hello().await;
    let limits = "throttle = { rate = 0.001, burst = 4 }\nper_caller = { by = \"principal\", rate = 0.001, burst = 1 }";
    for (ttl, left) in [("0s", 0), ("60s", 3)] {
        let edge = frozen(&config(&format!("ttl = \"{ttl}\""), limits), &origin).await;
        let before = calls(&edge).await;
        for expected in [200, 429, 429, 429] {
            assert_eq!(with(&edge, "allow alice").await.status, expected, "{ttl}");
        }
        // Kept answers took nothing from the behavior's four where the caller's limit refused.
        let mut others = 0;
        for name in ["bob", "carol", "dora", "eve"] {
            others += usize::from(with(&edge, &format!("allow {name}")).await.status == 200);
        }
        assert_eq!(others, left, "{ttl}");
        assert!((calls(&edge).await - before - 4.0).abs() < 0.1, "no more calls than the behavior has tokens: {ttl}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_key_that_it_names_count_where_that_is_configured() {
    let origin = Origin::hello().await;
    let quota = "quota = { limit = 5, period = \"DAY\", counts = [\"throttled\"] }\n        throttle = {";
    let text = config("", "api_key_required = true").replace("throttle = {", quota);
    let edge = frozen(&text, &origin).await;
    let token = format!("allow alice,key {KEY}");
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(with(&edge, &token).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    edge.advance(Duration::from_secs(10));
    let refused = with(&edge, &token).await;
    assert_eq!((refused.status, refused.header("x-amzn-errortype")), (429, Some("LimitExceededException")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_without_an_authorizer_cannot_be_one() {
    let text = config("", "").replace("{guest:authorizer}", "{guest:no-op}");
    let error = Setup::new(&text).set("origin", "127.0.0.1:9").try_start().await.err().expect("refused");
    assert!(error.contains("does not implement it") && error.contains("authorizer"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_token_is_401_without_a_call() {
    let origin = Origin::hello().await;
    let expression = r#"identity_validation = '^Bearer (allow|deny) [a-z]+$', challenge = "Bearer realm=x""#;
    let edge = frozen(&config(expression, ""), &origin).await;
    let long = format!("Bearer allow {}!", "a".repeat(6000));
    for headers in [
        &[("authorization", "Bearer allow ALICE")][..],
        &[("authorization", "xBearer allow alice")],
        &[("authorization", "Bearer allow alice2")],
        &[("authorization", "Bearer \u{e4}")],
        &[("authorization", long.as_str())],
        &[("authorization", "Bearer allow alice"), ("authorization", "Basic eA==")],
        &[],
    ] {
        let answer = edge.get_with("/t", headers).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer realm=x")), "{headers:?}");
    }
    assert!(calls(&edge).await < 0.1, "without a call");
    assert_eq!(with(&edge, "allow alice").await.status, 200);
    assert_eq!(with(&edge, "deny late").await.status, 403);
    assert!((calls(&edge).await - 2.0).abs() < 0.1);
    // A parameter, as it is decoded.
    let of_query = "identity = [\"address\", \"query:token\"], identity_validation = \"^ok \", ttl = \"0s\"";
    let edge = frozen(&config(of_query, ""), &origin).await;
    assert_eq!(edge.get("/t?token=no").await.status, 401);
    assert!(calls(&edge).await < 0.1, "without a call");
    edge.get("/t?token=ok%20x").await;
    assert!((calls(&edge).await - 1.0).abs() < 0.1);
}
