//! Throttles: token buckets at three levels, exact to the request.

use std::time::Duration;

use edgeweir_tests::edge::HOST;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::get;

use crate::support::{KEY, TOO_MANY, admitted, frozen, with_key};

/// A key with 2 requests a second, and 5 at once.
const KEYED: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [usage_plans.basic]
    throttle = { rate = 2, burst = 5 }
    [[api_keys]]
    name = "good"
    key = "test-key-0123456789abcdefghij"
    plans = ["basic"]
    [[api_keys]]
    name = "other"
    key = "other-key-0123456789abcdefghi"
    plans = ["basic"]
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/api/*"
    cache_policy = "CachingDisabled"
    api_key_required = true
    [[distributions.site.behaviors]]
    path = "*"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_burst_is_exact_and_refills_at_the_rate() {
    let origin = Origin::hello().await;
    let edge = frozen(KEYED, &origin).await;
    assert_eq!(admitted(&edge, 12).await, 5);
    edge.advance(Duration::from_millis(499));
    assert_eq!(admitted(&edge, 2).await, 0);
    edge.advance(Duration::from_millis(1));
    assert_eq!(admitted(&edge, 2).await, 1);
    edge.advance(Duration::from_secs(1));
    assert_eq!(admitted(&edge, 5).await, 2);
    edge.advance(Duration::from_secs(3600));
    assert_eq!(admitted(&edge, 12).await, 5, "a bucket holds no more than its burst");
    assert_eq!(origin.count(), 13, "what was refused did not reach the origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_get_no_more_than_the_burst() {
    let origin = Origin::hello().await;
    let edge = frozen(KEYED, &origin).await;
    let address = edge.address();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        tasks.spawn(async move { get(address, HOST, "/api/t", &[("X-Api-Key", KEY)]).await.status });
    }
    let mut passed = 0;
    while let Some(status) = tasks.join_next().await {
        match status.expect("no panic") {
            200 => passed += 1,
            status => assert_eq!(status, 429),
        }
    }
    assert_eq!((passed, origin.count()), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_when_to_come_again() {
    let origin = Origin::hello().await;
    let edge = frozen(&KEYED.replace("rate = 2", "rate = 0.1"), &origin).await;
    assert_eq!(admitted(&edge, 5).await, 5);
    let refused = with_key(&edge, KEY).await;
    assert_eq!((refused.status, refused.text().as_str()), (429, TOO_MANY));
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(refused.header("retry-after"), Some("10"));
    let limit = refused.header("ratelimit").expect("RateLimit");
    assert!(limit.contains(";r=0") && limit.contains(";t=10"), "{limit}");
    let policy = refused.header("ratelimit-policy").expect("RateLimit-Policy");
    assert!(policy.contains(";q=5;w=50"), "{policy}");
    edge.advance(Duration::from_secs(9));
    assert_eq!(with_key(&edge, KEY).await.header("retry-after"), Some("1"));
    edge.advance(Duration::from_secs(1));
    assert_eq!(with_key(&edge, KEY).await.status, 200, "as it said");
    let line = edge.log_lines(8).await.remove(5);
    assert_eq!((line["status"].as_u64(), line["throttle"].as_str()), (Some(429), Some("key")));
    assert!(edge.metric("edgeweir_throttled_requests_total", &["key"]).await >= 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admitted_caller_learns_how_much_is_left() {
    let origin = Origin::hello().await;
    let edge = frozen(KEYED, &origin).await;
    for left in (0..5).rev() {
        let response = with_key(&edge, KEY).await;
        let limit = response.header("ratelimit").expect("RateLimit").to_owned();
        assert!(limit.starts_with('"') && limit.contains(&format!(";r={left};")), "{limit} with {left} left");
        assert_eq!(response.header("retry-after"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_has_a_bucket_of_its_own() {
    let origin = Origin::hello().await;
    let edge = frozen(KEYED, &origin).await;
    assert_eq!(admitted(&edge, 9).await, 5);
    assert_eq!(with_key(&edge, "other-key-0123456789abcdefghi").await.status, 200);
    assert_eq!(edge.get("/free").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_takes_nothing_from_a_right_one() {
    let origin = Origin::hello().await;
    let edge = frozen(KEYED, &origin).await;
    for _ in 0..20 {
        assert_eq!(with_key(&edge, "wrong-key-0123456789abcdefghi").await.status, 403);
    }
    assert_eq!(admitted(&edge, 9).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_keys_is_held_up_like_everybody_else() {
    let origin = Origin::hello().await;
    let edge = frozen(&format!("[limits]\nper_address = {{ rate = 1, burst = 4 }}\n{KEYED}"), &origin).await;
    for _ in 0..4 {
        assert_eq!(with_key(&edge, "wrong-key-0123456789abcdefghi").await.status, 403);
    }
    let refused = with_key(&edge, "wrong-key-0123456789abcdefghi").await;
    assert_eq!((refused.status, refused.text().as_str()), (429, TOO_MANY));
    assert_eq!(edge.get("/api/t").await.status, 429, "no key is no better");
    edge.advance(Duration::from_secs(4));
    assert_eq!(admitted(&edge, 9).await, 4);
}

/// Levels of a behavior and its distribution.
const SHARED: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    throttle = { rate = 1, burst = 6 }
    [[distributions.site.behaviors]]
    path = "/narrow/*"
    cache_policy = "CachingDisabled"
    throttle = { rate = 1, burst = 2 }
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_taken_all_or_none() {
    let origin = Origin::hello().await;
    let edge = frozen(SHARED, &origin).await;
    let mut passed = 0;
    for _ in 0..10 {
        passed += usize::from(edge.get("/narrow/t").await.status == 200);
    }
    assert_eq!(passed, 2, "the behavior's burst");
    // The eight refusals took nothing from the distribution's bucket of 6.
    passed = 0;
    for _ in 0..10 {
        passed += usize::from(edge.get("/wide").await.status == 200);
    }
    assert_eq!(passed, 4, "what the distribution had left");
    let refused = edge.get("/wide").await;
    assert_eq!((refused.status, refused.text().as_str()), (429, TOO_MANY));
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_count_too() {
    let origin =
        Origin::start(|_| edgeweir_tests::origin::Reply::new(200, &[("cache-control", "max-age=60")], "x")).await;
    let edge = frozen(&SHARED.replace("cache_policy = \"CachingDisabled\"", ""), &origin).await;
    let mut passed = 0;
    for _ in 0..10 {
        passed += usize::from(edge.get("/wide").await.status == 200);
    }
    assert_eq!((passed, origin.count()), (6, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_survive_a_reload() {
    let origin = Origin::hello().await;
    let edge = frozen(KEYED, &origin).await;
    assert_eq!(admitted(&edge, 4).await, 4);
    edge.reload(&format!("{KEYED}\nviewer_headers = []\n")).await.expect("a good config");
    assert_eq!(admitted(&edge, 4).await, 1, "one of five was left");
    edge.reload(&KEYED.replace("burst = 5", "burst = 8")).await.expect("a good config");
    assert_eq!(admitted(&edge, 8).await, 0, "room that is new starts empty");
    edge.reload(&KEYED.replace("burst = 5", "burst = 2")).await.expect("a good config");
    edge.reload(&KEYED.replace("burst = 5", "burst = 8")).await.expect("a good config");
    assert_eq!(admitted(&edge, 8).await, 0, "reloads make no tokens");
    edge.advance(Duration::from_secs(60));
    assert_eq!(admitted(&edge, 9).await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_reload_disables_is_refused_at_once() {
    let origin = Origin::hello().await;
    let edge = frozen(KEYED, &origin).await;
    assert_eq!(with_key(&edge, KEY).await.status, 200);
    edge.reload(&KEYED.replacen("plans = [\"basic\"]", "plans = [\"basic\"]\nenabled = false", 1))
        .await
        .expect("a good config");
    assert_eq!(with_key(&edge, KEY).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_and_a_burst_of_zero_close_a_method() {
    let origin = Origin::hello().await;
    let closed = "method_throttles = { DELETE = { rate = 0, burst = 0 } }\n";
    let config = format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"/at\"\nper_address = {{ rate = 0, burst = 0 }}\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n{closed}"
    );
    let edge = frozen(&config, &origin).await;
    for hours in 0..3 {
        let refused = edge.request("DELETE", "/t", &[], b"").await;
        assert_eq!((refused.status, refused.text().as_str()), (429, TOO_MANY), "after {hours} hours");
        assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), (None, None), "it will never do");
        assert_eq!(refused.header("ratelimit-policy"), Some("\"behavior\";q=0;w=1"));
        assert_eq!(edge.get("/at").await.status, 429, "each address");
        assert_eq!(edge.get("/t").await.status, 200, "other methods");
        edge.advance(Duration::from_secs(3600));
    }
    assert_eq!(edge.log_lines(3).await[0]["throttle"], "behavior");
    edge.reload(&config.replace(closed, "method_throttles = { DELETE = { rate = 1, burst = 2 } }\n"))
        .await
        .expect("good");
    assert_eq!(edge.request("DELETE", "/t", &[], b"").await.status, 429, "it begins empty");
    edge.advance(Duration::from_secs(5));
    let mut passed = 0;
    for _ in 0..4 {
        passed += usize::from(edge.request("DELETE", "/t", &[], b"").await.status == 200);
    }
    assert_eq!(passed, 2, "it opens again");
    edge.reload(&config).await.expect("good");
    edge.advance(Duration::from_secs(3600));
    assert_eq!(edge.request("DELETE", "/t", &[], b"").await.status, 429, "and closes");
}
