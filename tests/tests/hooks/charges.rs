//! What hooks say of a request's cost and caller, and what viewers use.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{bound, config, script, scripted};

const KEYS: &str = r#"
[usage_plans.basic]
throttle = { rate = 1, burst = 10 }
[usage_plans.elsewhere]
distributions = ["other"]
[[api_keys]]
name = "good"
key = "test-key-0123456789abcdefghij"
plans = ["basic"]
[[api_keys]]
name = "better"
key = "other-key-0123456789abcdefghij"
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
[distributions.other]
hosts = ["other.test"]
origin = "main"
[[distributions.other.behaviors]]
path = "*"
api_key_required = true
"#;

/// An edge with the guest at viewer-request, keys, a clock that stands still, and more lines in its behavior.
async fn edge(origin: &Origin, lines: &[&str], behavior: &str) -> TestEdge {
    let hooks = format!("hooks = {{ viewer-request = [{}] }}", script(lines));
    let behaviors = format!("[[distributions.site.behaviors]]\npath = \"*\"\n{behavior}\n{hooks}\n");
    let text = format!("{}{KEYS}", config(&["script"], &behaviors));
    Setup::new(&text).set("origin", &origin.address()).frozen().start().await
}

async fn admitted(edge: &TestEdge, headers: &[(&str, &str)], count: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..count {
        match edge.get_with("/t", headers).await.status {
            200 => admitted += 1,
            429 => {}
            status => panic!("{status}"),
        }
    }
    admitted
}

const KEY: &str = "test-key-0123456789abcdefghij";
const THROTTLED: &str = "throttle = { rate = 1, burst = 10 }";

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_is_charged_where_a_request_is() {
    let origin = Origin::hello().await;
    for (cost, fit) in [(1, 10), (3, 3), (10, 1), (11, 0), (1000, 0)] {
        let by_behavior = edge(&origin, &[&format!("cost {cost}")], THROTTLED).await;
        assert_eq!(admitted(&by_behavior, &[], 12).await, fit, "behavior, cost {cost}");
        let by_key = edge(&origin, &[&format!("cost {cost}")], "api_key_required = true").await;
        assert_eq!(admitted(&by_key, &[("x-api-key", KEY)], 12).await, fit, "key, cost {cost}");
    }
    let edge = edge(&origin, &["cost 4"], "api_key_required = true").await;
    let response = edge.get_with("/t", &[("x-api-key", KEY)]).await;
    assert!(response.header("ratelimit").is_some_and(|field| field.contains("r=6")), "{response:?}");
    edge.get_with("/t", &[("x-api-key", KEY)]).await;
    let refused = edge.get_with("/t", &[("x-api-key", KEY)]).await;
    assert_eq!((refused.status, refused.text().as_str()), (429, r#"{"message":"Too Many Requests"}"#));
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(edge.log_lines(3).await[2]["fault"], "throttled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_hook_names_has_its_plan() {
    let origin = Origin::hello().await;
    let named = format!("api-key {KEY}");
    let by_hook = edge(&origin, &[&named], "").await;
    assert_eq!(admitted(&by_hook, &[], 12).await, 10, "the plan's burst");
    let line = by_hook.log_lines(1).await.remove(0);
    assert_eq!((line["key_name"].as_str(), line["plan"].as_str()), (Some("good"), Some("basic")));
    assert!(!by_hook.log_text().contains(KEY));
    // With a cost, and with a key in the header besides: the hook's counts.
    let costly = edge(&origin, &[&named, "cost 5"], "").await;
    assert_eq!(admitted(&costly, &[], 4).await, 2);
    let instead = edge(&origin, &[&named, "cost 5"], "api_key_required = true").await;
    assert_eq!(admitted(&instead, &[("x-api-key", "other-key-0123456789abcdefghij")], 4).await, 2);
    assert_eq!(instead.log_lines(1).await[0]["key_name"], "good");
    let same = edge(&origin, &[&named], "api_key_required = true").await;
    assert_eq!(admitted(&same, &[("x-api-key", KEY)], 12).await, 10, "charged once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_good_here_is_403() {
    let origin = Origin::hello().await;
    for key in ["unknown-key-0123456789abcdefg", "disabled-key-0123456789abcdef", "stranger-key-0123456789abcdef"] {
        let edge = edge(&origin, &[&format!("api-key {key}")], "").await;
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (403, r#"{"message":"Forbidden"}"#), "{key}");
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_tags_are_taken_and_too_many_refused() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "hello")).await;
    let lines: Vec<String> = (0..50).map(|number| format!("cache-tag product-{number}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let edge = scripted(&origin, "origin-response", &lines).await;
    assert_eq!(edge.get("/t").await.text(), "hello");
    // Two hooks together: the same tag twice is one, a new one is too many.
    for (more, status) in [("cache-tag product-7", 200), ("cache-tag another", 502)] {
        let both = format!("{}, {}", script(&lines), script(&[more]));
        let edge = TestEdge::start(&config(&["script"], &bound("origin-response", &both)), &origin.address()).await;
        assert_eq!(edge.get("/t").await.status, status, "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_viewers_device_is_told() {
    let text = config(&["echo-facts"], &bound("viewer-request", "\"echo-facts\""));
    let edge = TestEdge::start(&text, "127.0.0.1:9").await;
    for (agent, device) in [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
            "mobile",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "desktop"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
    ] {
        let answer = edge.get_with("/", &[("user-agent", agent)]).await.text();
        assert!(answer.contains(&format!("device={device:?}")), "{agent}: {answer}");
    }
    assert!(edge.get("/").await.text().contains("device=\"unknown\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_hook_names_spends_its_quota_and_a_refusal_by_a_hook_spends_none() {
    let origin = Origin::hello().await;
    let quota =
        |text: &str| text.replace("throttle = { rate = 1, burst = 10 }", "quota = { limit = 3, period = \"DAY\" }");
    let edge = async |lines: &[&str], behavior: &str| {
        let hooks = format!("hooks = {{ viewer-request = [{}] }}", script(lines));
        let behaviors = format!("[[distributions.site.behaviors]]\npath = \"*\"\n{behavior}\n{hooks}\n");
        let text = quota(&format!("{}{KEYS}", config(&["script"], &behaviors)));
        Setup::new(&text).set("origin", &origin.address()).frozen().start().await
    };
    let named = edge(&[&format!("api-key {KEY}")], "").await;
    assert_eq!(admitted(&named, &[], 6).await, 3);
    // The key of the header is another one: it gets back what it had paid.
    let other = [("x-api-key", "other-key-0123456789abcdefghij")];
    let both = edge(&[&format!("api-key {KEY}")], "api_key_required = true").await;
    assert_eq!(admitted(&both, &other, 6).await, 3);
    let usage = both.admin("GET", "/v1/usage?format=csv").await.text();
    assert!(usage.contains(",basic,config:good,good,3,3") && !usage.contains("better"), "{usage}");
    // A cost above 1 is for throttles.
    let costly = edge(&["cost 3"], "api_key_required = true").await;
    assert_eq!(admitted(&costly, &other, 6).await, 3);
    // Whoever a hook refuses has used nothing; another answer of a hook counts by its status.
    for (answer, fit) in [("respond 401 no", 6), ("respond 403 no", 6), ("respond 200 yes", 3)] {
        let answering = edge(&[answer], "api_key_required = true").await;
        let mut seen = 0;
        for _ in 0..6 {
            seen += usize::from(answering.get_with("/t", &other).await.status != 429);
        }
        assert_eq!(seen, fit, "{answer}");
    }
}
