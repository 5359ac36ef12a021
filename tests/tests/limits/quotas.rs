//! Quotas: what is admitted, what counts, when it begins anew, and what the viewer is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Response;
use edgeweir_tests::wait::until;

use crate::support::{KEY, frozen};

/// The body of a refusal by a quota, byte for byte as API Gateway has it.
const EXCEEDED: &str = r#"{"message":"Limit Exceeded"}"#;
const OTHER: &str = "other-key-0123456789abcdefghij";
const DAY: u64 = 86_400;

/// A plan with these lines and two keys; `/cached` is stored, everything else is not.
fn config(plan: &str) -> String {
    format!(
        r#"
    [origins.main]
    url = "http://{{origin}}"
    [usage_plans.basic]
    {plan}
    [[api_keys]]
    name = "good"
    key = "{KEY}"
    plans = ["basic"]
    [[api_keys]]
    name = "other"
    key = "{OTHER}"
    plans = ["basic"]
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/cached/*"
    api_key_required = true
    [[distributions.site.behaviors]]
    path = "/elsewhere/*"
    api_key_required = true
    usage_plans = ["special"]
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
    api_key_required = true
    [usage_plans.special]
    "#
    )
}

async fn ask(edge: &TestEdge, key: &str, target: &str) -> Response {
    edge.get_with(target, &[("X-Api-Key", key)]).await
}

/// How many of `count` requests get through; the others must be refused by the quota.
async fn admitted(edge: &TestEdge, key: &str, target: &str, count: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..count {
        let response = ask(edge, key, target).await;
        match response.status {
            429 => assert_eq!(response.text(), EXCEEDED),
            _ => admitted += 1,
        }
    }
    admitted
}

/// An origin that answers `/status/N` with N, and everything else with what a cache may store for a minute.
async fn origin() -> Origin {
    Origin::start(|request| match request.target().strip_prefix("/status/") {
        Some(status) => Reply::new(status.parse().expect("a status"), &[], ""),
        None => Reply::new(200, &[("Cache-Control", "max-age=60")], "hello"),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_its_quota_and_no_more() {
    let origin = origin().await;
    for (limit, lease) in [(1, 1), (7, 1), (7, 3), (7, 7), (30, 10)] {
        let edge =
            frozen(&config(&format!("quota = {{ limit = {limit}, period = \"DAY\", lease = {lease} }}")), &origin)
                .await;
        assert_eq!(admitted(&edge, KEY, "/t", limit + 3).await, limit, "lease {lease}");
        assert_eq!(admitted(&edge, OTHER, "/t", 1).await, 1, "another key has its own");
        let refused = ask(&edge, KEY, "/t").await;
        assert_eq!((refused.status, refused.text().as_str()), (429, EXCEEDED));
        assert_eq!(refused.header("x-amzn-errortype"), Some("LimitExceededException"));
        assert_eq!(refused.header("content-type"), Some("application/json"));
        let wait: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
        assert!((1..=DAY).contains(&wait), "{wait}");
        assert_eq!(refused.header("ratelimit"), Some(format!("\"quota\";r=0;t={wait}").as_str()));
        assert_eq!(refused.header("ratelimit-policy"), Some(format!("\"quota\";q={limit};w=86400").as_str()));
        let line = edge.log_lines(limit + 5).await.pop().expect("lines");
        assert_eq!((line["fault"].as_str(), line["key_name"].as_str()), (Some("quota-exceeded"), Some("good")));
        let count = async |result: &str| edge.metric("edgeweir_plan_requests_total", &["\"basic\"", result]).await;
        assert_eq!((count("\"quota\"").await, count("\"counted\"").await), (4.0, limit as f64 + 1.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_begins_anew_with_the_calendar() {
    let origin = origin().await;
    for (period, days) in [("DAY", 1), ("WEEK", 7), ("MONTH", 31)] {
        let edge =
            frozen(&config(&format!("quota = {{ limit = 5, period = \"{period}\", offset = 2 }}")), &origin).await;
        assert_eq!(admitted(&edge, KEY, "/t", 6).await, 3, "{period}: less in the first one");
        let wait: u64 = ask(&edge, KEY, "/t").await.header("retry-after").expect("a time").parse().expect("seconds");
        assert!(wait <= days * DAY, "{period}: {wait}");
        edge.advance(Duration::from_secs(wait - 1));
        let before = ask(&edge, KEY, "/t").await;
        // Less than a second is left of it: the clock has parts of a second.
        if before.status == 429 {
            edge.advance(Duration::from_secs(1));
            assert_eq!(admitted(&edge, KEY, "/t", 7).await, 5, "{period}");
        } else {
            assert_eq!(admitted(&edge, KEY, "/t", 7).await, 4, "{period}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_closes_no_key_and_opens_none() {
    let origin = origin().await;
    let edge = frozen(&config("quota = { limit = 6, period = \"DAY\", lease = 2 }"), &origin).await;
    let mut sum = admitted(&edge, KEY, "/t", 3).await;
    for years in [70, 1, 30] {
        edge.clock().be_ahead(Duration::from_secs(years * 366 * DAY));
        assert_eq!(admitted(&edge, KEY, "/t", 1).await, 1);
        edge.clock().be_ahead(Duration::ZERO);
        sum += admitted(&edge, KEY, "/t", 1).await;
    }
    sum += admitted(&edge, KEY, "/t", 9).await;
    // What was left of a lease is lost at each jump, but for the last one.
    assert!((4..=6).contains(&sum), "{sum}");
    for day in 0..12 {
        edge.advance(Duration::from_secs(DAY));
        assert_eq!(admitted(&edge, KEY, "/t", 8).await, 6, "{day}");
    }
    // It was wrong for weeks: today is lost, the next day is not.
    for day in 0..12 {
        edge.clock().be_ahead(Duration::from_secs(20 * 366 * DAY + day * DAY));
        assert_eq!(admitted(&edge, KEY, "/t", 1).await, 1);
    }
    edge.clock().be_ahead(Duration::ZERO);
    assert_eq!(admitted(&edge, KEY, "/t", 3).await, 0);
    for day in 0..12 {
        edge.advance(Duration::from_secs(DAY));
        assert_eq!(admitted(&edge, KEY, "/t", 8).await, 6, "{day}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counts_is_configured() {
    let origin = origin().await;
    let quota = |counts: &str| format!("quota = {{ limit = 4, period = \"DAY\", lease = 2, {counts} }}");
    // What is asked for, and how many of ten get through if it counts.
    for (counts, target, fit) in [
        ("", "/status/404", 4),
        ("", "/status/500", 4),
        ("", "/status/204", 4),
        ("", "/cached/t", 4),
        ("counts = []", "/status/404", 10),
        ("counts = []", "/status/503", 10),
        ("counts = []", "/status/204", 4),
        ("counts = [\"5xx\"]", "/status/404", 10),
        ("counts = [\"4xx\"]", "/status/404", 4),
        ("counts = [\"5xx\"]", "/status/500", 4),
        // The first one fills the cache.
        ("counts = [\"4xx\", \"5xx\"]", "/cached/t", 10),
        ("counts = [\"hits\"]", "/cached/t", 4),
    ] {
        let edge = frozen(&config(&quota(counts)), &origin).await;
        assert_eq!(admitted(&edge, KEY, target, 10).await, fit, "{counts} {target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_and_a_quota_take_nothing_from_each_other() {
    let origin = origin().await;
    let plan = |counts: &str| {
        format!("quota = {{ limit = 6, period = \"DAY\", {counts} }}\nthrottle = {{ rate = 1, burst = 4 }}")
    };
    let edge = frozen(&config(&plan("")), &origin).await;
    let statuses = async |edge: &TestEdge, count: usize| {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(ask(edge, KEY, "/t").await.text());
        }
        texts
    };
    let throttled = r#"{"message":"Too Many Requests"}"#;
    assert_eq!(statuses(&edge, 6).await, ["hello", "hello", "hello", "hello", throttled, throttled]);
    edge.advance(Duration::from_secs(4));
    // Two are left; what the quota refuses costs no token.
    assert_eq!(statuses(&edge, 5).await, ["hello", "hello", EXCEEDED, EXCEEDED, EXCEEDED]);
    let refused = ask(&edge, KEY, "/t").await;
    for name in ["ratelimit", "ratelimit-policy"] {
        let told = refused.header_all(name);
        assert!(told.len() == 1 && told[0].starts_with("\"quota\";"), "of what has refused: {told:?}");
    }
    let remaining = edge.metric("edgeweir_plan_throttled_requests_total", &["\"basic\"", "\"key\""]).await;
    assert!((remaining - 2.0).abs() < 0.1, "{remaining}");
    // Where refusals by a throttle count, they do.
    let edge = frozen(&config(&plan("counts = [\"throttled\"]")), &origin).await;
    assert_eq!(statuses(&edge, 6).await[4..], [throttled, throttled]);
    edge.advance(Duration::from_secs(4));
    assert_eq!(statuses(&edge, 1).await, [EXCEEDED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_spends_nothing() {
    let origin = origin().await;
    let edge = frozen(&config("quota = { limit = 3, period = \"DAY\" }"), &origin).await;
    for _ in 0..5 {
        assert_eq!(ask(&edge, "unknown-key-0123456789abcdefg", "/t").await.status, 403);
        assert_eq!(ask(&edge, KEY, "/elsewhere/t").await.status, 403, "a plan that this behavior does not take");
        assert_eq!(edge.request("OPTIONS", "/t", &PREFLIGHT, b"").await.status, 403);
    }
    assert_eq!(admitted(&edge, KEY, "/t", 5).await, 3);
}

const PREFLIGHT: [(&str, &str); 2] = [("Origin", "https://app.test"), ("Access-Control-Request-Method", "GET")];

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_what_is_used_and_takes_another_limit() {
    let origin = origin().await;
    let plan =
        |limit: u32, lease: u32| config(&format!("quota = {{ limit = {limit}, period = \"DAY\", lease = {lease} }}"));
    let edge = frozen(&plan(10, 5), &origin).await;
    assert_eq!(admitted(&edge, KEY, "/t", 4).await, 4);
    edge.reload(&plan(10, 5)).await.expect("a good config");
    edge.reload(&plan(6, 5)).await.expect("a good config");
    assert_eq!(admitted(&edge, KEY, "/t", 5).await, 2, "four of six are used");
    edge.reload(&plan(9, 2)).await.expect("a good config");
    assert_eq!(admitted(&edge, KEY, "/t", 5).await, 3);
    edge.reload(&config("")).await.expect("a good config");
    assert_eq!(admitted(&edge, KEY, "/t", 5).await, 5, "no quota");
    edge.reload(&plan(9, 2)).await.expect("a good config");
    assert_eq!(admitted(&edge, KEY, "/t", 5).await, 0, "what was used is known still");
}

/// Questions for leases are on their way while the limit changes to and fro.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_limit_give_nothing_twice() {
    let origin = origin().await;
    let plan = |limit: usize| config(&format!("quota = {{ limit = {limit}, period = \"DAY\", lease = 150 }}"));
    let edge = Arc::new(frozen(&plan(1_500), &origin).await);
    let viewers: Vec<_> = (0..8)
        .map(|_| {
            let edge = Arc::clone(&edge);
            tokio::spawn(async move { admitted(&edge, KEY, "/t", 400).await })
        })
        .collect();
    let mut round = 0;
    while viewers.iter().any(|viewer| !viewer.is_finished()) {
        round += 1;
        edge.reload(&plan(1_500 + round % 2)).await.expect("a good config");
    }
    let mut sum = 0;
    for viewer in viewers {
        sum += viewer.await.expect("a viewer");
    }
    assert!(sum <= 1_501, "{sum} after {round} changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing() {
    let origin = origin().await;
    let text = config("quota = { limit = 10, period = \"DAY\", lease = 4 }");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!("state_dir = {:?}\n{text}", folder.path().join("state"));
    let start = async || Setup::new(&text).set("origin", &origin.address()).frozen().start().await;
    let mut sum = 0;
    for round in 0..5 {
        let edge = start().await;
        sum += admitted(&edge, KEY, "/t", if round < 4 { 2 } else { 9 }).await;
        assert!(edge.shutdown().await);
    }
    assert_eq!(sum, 10, "what was leased and not used came back at each stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_get_exactly_the_quota() {
    let origin = origin().await;
    for lease in [1, 7, 100] {
        let plan = format!("quota = {{ limit = 100, period = \"DAY\", lease = {lease} }}");
        let edge = Arc::new(frozen(&config(&plan), &origin).await);
        let viewers: Vec<_> = (0..16)
            .map(|_| {
                let edge = Arc::clone(&edge);
                tokio::spawn(async move { admitted(&edge, KEY, "/t", 15).await })
            })
            .collect();
        let mut sum = 0;
        for viewer in viewers {
            sum += viewer.await.expect("a viewer");
        }
        assert_eq!(sum, 100, "lease {lease}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edges_of_one_state_folder_share_a_quota() {
    let origin = origin().await;
    let text = config("quota = { limit = 20, period = \"DAY\", lease = 4 }");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!("state_dir = {:?}\n{text}", folder.path().join("state"));
    let file = folder.path().join("edgeweir.toml");
    let start = async || Setup::new(&text).file(&file).set("origin", &origin.address()).frozen().start().await;
    let old = start().await;
    assert_eq!(admitted(&old, KEY, "/t", 5).await, 5);
    let new = start().await;
    let mut sum = 5;
    for _ in 0..4 {
        sum += admitted(&old, KEY, "/t", 2).await + admitted(&new, KEY, "/t", 1).await;
    }
    // The old one ends and gives back what it has.
    old.shutdown().await;
    // A limit that was reached is looked at again after a second.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    sum += admitted(&new, KEY, "/t", 20).await;
    assert_eq!(sum, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_store_is_loud_and_goes_by_the_policy() {
    let origin = origin().await;
    for (policy, status) in [("closed", 503), ("open", 200)] {
        let text = format!(
            "{}\n[state]\non_store_failure = \"{policy}\"\nwait = \"500ms\"\n",
            config("quota = { limit = 10, period = \"DAY\", lease = 4 }")
        );
        let setup = Setup::new(&text).set("origin", &origin.address()).frozen();
        let state = setup.folder().join("state");
        std::fs::create_dir_all(&state).expect("a writable folder");
        std::fs::write(state.join("state.redb"), "this is no database").expect("a writable folder");
        let edge = setup.start().await;
        let response = ask(&edge, KEY, "/t").await;
        assert_eq!(response.status, status, "{policy}");
        let ready = edge.admin("GET", "/readyz").await;
        assert_eq!(ready.status, 200, "it serves");
        assert!(ready.text().contains("state store: "), "{}", ready.text());
        assert!((edge.metric("edgeweir_state_up", &[]).await).abs() < 0.1);
        assert!(edge.metric("edgeweir_state_failures_total", &[]).await >= 1.0);
        // Somebody mends it: the edge finds it by itself, and what was let through is counted.
        std::fs::remove_file(state.join("state.redb")).expect("it is there");
        let mut up = false;
        for _ in 0..100 {
            up = edge.metric("edgeweir_state_up", &[]).await > 0.5;
            if up {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(up, "it is back");
        assert_eq!(edge.admin("GET", "/readyz").await.text(), "ready\n");
        assert_eq!(admitted(&edge, KEY, "/t", 15).await, if policy == "open" { 9 } else { 10 }, "{policy}");
    }
}

/// What is in the state file of an edge that has stopped after `count` requests with the key.
async fn state_after(text: &str, origin: &Origin, count: usize) -> Vec<u8> {
    let setup = Setup::new(text).set("origin", &origin.address()).frozen();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = folder.path().join("state.redb");
    let edge = setup.start().await;
    assert_eq!(admitted(&edge, KEY, "/t", count).await, count);
    let state = edge.folder().join("state/state.redb");
    // The edge's folder goes with it. The lease is on disk, what is left of it does not come back.
    std::fs::copy(state, &kept).expect("a state file");
    assert!(edge.shutdown().await);
    std::fs::read(kept).expect("its copy")
}

/// An edge that finds this as its state file.
async fn with_state(text: &str, origin: &Origin, bytes: &[u8]) -> TestEdge {
    let setup = Setup::new(text).set("origin", &origin.address()).frozen();
    let state = setup.folder().join("state");
    std::fs::create_dir_all(&state).expect("a writable folder");
    std::fs::write(state.join("state.redb"), bytes).expect("a writable folder");
    setup.start().await
}

/// Makes the database panic over the counter of the configured key: the lengths before it, in its page of the file, are wrong.
fn damage(bytes: &mut [u8]) {
    let name = b"basic\0config:good\0DAY";
    let is_name = |(at, part): (usize, &[u8])| (part == name).then_some(at);
    let places: Vec<usize> = bytes.windows(name.len()).enumerate().filter_map(is_name).collect();
    assert!(!places.is_empty(), "the counter is in the file");
    for at in places {
        // Where the name ends, which is before it begins now.
        bytes.get_mut(at - 8..at - 4).expect("a page has a head").copy_from_slice(&1_u32.to_le_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_as_loud_as_a_broken_one_and_nobody_waits_for_it() {
    let origin = origin().await;
    let plan = config("quota = { limit = 10, period = \"DAY\", lease = 4 }");
    let mut bytes = state_after(&plan, &origin, 1).await;
    damage(&mut bytes);
    for (policy, status) in [("closed", 503), ("open", 200)] {
        let text = format!("{plan}\n[state]\non_store_failure = \"{policy}\"\nwait = \"5s\"\n");
        let edge = with_state(&text, &origin, &bytes).await;
        let begun = Instant::now();
        for _ in 0..3 {
            assert_eq!(ask(&edge, KEY, "/t").await.status, status, "{policy}");
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "not even once for `wait`");
        let ready = edge.admin("GET", "/readyz").await.text();
        assert!(ready.contains("state store: the state store broke down, it may be damaged: "), "{ready}");
        assert!((edge.metric("edgeweir_state_up", &[]).await).abs() < 0.1);
        assert!(edge.metric("edgeweir_state_failures_total", &[]).await >= 1.0);
        assert!(edge.shutdown().await, "its end is not awaited for ever");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_not_a_new_store() {
    let origin = origin().await;
    let text = config("quota = { limit = 10, period = \"DAY\", lease = 4 }");
    let kept = state_after(&text, &origin, 7).await;
    let edge = with_state(&text, &origin, b"").await;
    assert_eq!(ask(&edge, KEY, "/t").await.status, 503);
    let ready = edge.admin("GET", "/readyz").await.text();
    assert!(ready.contains("is empty, what it knew is lost"), "{ready}");
    let edge = with_state(&text, &origin, &kept).await;
    assert!(admitted(&edge, KEY, "/t", 9).await <= 3, "with its copy nothing is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_in_the_header_or_parameter_that_is_configured() {
    let origin = origin().await;
    let of = |source: &str| {
        config("").replace("origin = \"main\"\n    [[dist", &format!("origin = \"main\"\n{source}\n[[dist"))
    };
    let edge = frozen(&of("api_key_header = \"X-My-Key\""), &origin).await;
    assert_eq!(edge.get_with("/t", &[("X-My-Key", KEY)]).await.status, 200);
    assert_eq!(ask(&edge, KEY, "/t").await.status, 403);
    let edge = frozen(&of("api_key_query = \"k\""), &origin).await;
    let encoded: String = KEY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for (target, status) in [
        (format!("/t?k={KEY}"), 200),
        (format!("/t?a=1&k={KEY}&b"), 200),
        (format!("/t?k={encoded}"), 200),
        (format!("/t?k={KEY}&k={KEY}"), 403),
        (format!("/t?K={KEY}"), 403),
        ("/t".to_owned(), 403),
    ] {
        assert_eq!(edge.get(&target).await.status, status, "{target}");
    }
    until("the log is there", || edge.log_text().matches('\n').count() >= 6).await;
    assert!(!edge.log_text().contains(KEY) && !edge.log_text().contains(&encoded), "{}", edge.log_text());
}
