//! Invalidation: by URL, prefix, host and tag; hard and soft; by the admin API, the command line and `PURGE`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edgeweir_tests::edge::{HOST, PLAIN, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw::{Raw, Response, get, request};
use edgeweir_tests::wait::until;
use edgeweir_tests::wire::Framing;
use serde_json::json;

use crate::support::{cache_status, counting, is_hit, tells, with_policy};

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=600")];

/// The generation that `Cache-Status` tells.
fn generation(response: &Response) -> u64 {
    let words = cache_status(response);
    words.iter().find_map(|word| word.strip_prefix("gen=")?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_see_no_tags_whatever_the_cache_does() {
    let origin = Origin::start(|request| {
        let status = if request.target() == "/error" { 500 } else { 200 };
        Reply::new(status, &[("cache-control", "no-store"), ("cache-tag", "one"), ("surrogate-key", "two")], "body")
    })
    .await;
    let edge = with_policy(&origin, "").await;
    for _ in 0..3 {
        for (method, target, headers) in [
            ("GET", "/t", &[][..]),
            ("POST", "/t", &[]),
            ("GET", "/t", &[("if-match", "\"x\"")]),
            ("GET", "/error", &[]),
        ] {
            let answer = edge.request(method, target, headers, b"").await;
            assert_eq!((answer.header("cache-tag"), answer.header("surrogate-key")), (None, None), "{method} {target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_could_never_match_is_refused() {
    let origin = counting(&[("cache-control", "max-age=600")]).await;
    let edge = with_policy(&origin, "").await;
    for (url, wanted) in
        [("http://site.test/\u{e4}", "`%C3%A4`"), ("http://site.test/a b", "`%20`"), ("http://site.test/a\nb", "`%0A`")]
    {
        let (status, answer) = edge.purge(&json!({ "urls": [url] })).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(wanted), "{answer}");
    }
    let (status, _) = edge.purge(&json!({ "urls": ["http://site.test/%C3%A4"] })).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_takes_what_it_names_and_its_number_proves_it() {
    let origin = counting(FRESH).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let targets = ["/a", "/a?x=1", "/ab", "/b/1", "/b/2?y=1"];
    for (round, order, purged) in [
        (1, json!({ "urls": ["http://site.test/a"] }), &["/a"][..]),
        (2, json!({ "urls": ["HTTPS://site.test:8080/a?x=1"] }), &["/a?x=1"]),
        (3, json!({ "urls": ["site.test/a*"] }), &["/a", "/a?x=1", "/ab"]),
        (4, json!({ "paths": ["/b/*", "nothing"] }), &["/b/1", "/b/2?y=1"]),
        (5, json!({ "paths": ["/b/2?*"], "distribution": "site" }), &["/b/2?y=1"]),
        (6, json!({ "paths": ["/%61", "/x/../ab"] }), &["/a", "/ab"]),
        (7, json!({ "hosts": ["site.test"] }), &targets),
        (8, json!({ "everything": true }), &targets),
        (9, json!({ "everything": true, "distribution": "site", "soft": true }), &targets),
    ] {
        for target in targets {
            edge.get(target).await;
        }
        let (status, receipt) = edge.purge(&order).await;
        assert_eq!((status, receipt["generation"].as_u64()), (200, Some(round)), "{order}");
        for target in targets {
            let response = edge.get(target).await;
            assert_eq!(is_hit(&response), !purged.contains(&target), "{order}: {target}");
            if purged.contains(&target) {
                assert_eq!(generation(&response), round, "{order}: {target}");
                let hit = edge.get(target).await;
                assert!(is_hit(&hit) && generation(&hit) == round, "{order}: {target}");
            } else {
                assert!(generation(&response) < round, "{order}: {target}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_taken_from_the_answer_and_purged_without_case() {
    let origin = Origin::start(|request| {
        let tags = match request.target() {
            "/1" => ("cache-tag", "Item-1, shared"),
            "/2" => ("surrogate-key", "item-2 shared"),
            _ => ("x-tags", "item-1"),
        };
        Reply::new(200, &[("cache-control", "max-age=600"), tags], "body")
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    for target in ["/1", "/2", "/3"] {
        for _ in 0..2 {
            let response = edge.get(target).await;
            assert_eq!((response.header("cache-tag"), response.header("surrogate-key")), (None, None), "{target}");
        }
    }
    for (tag, purged) in [("ITEM-1", &["/1"][..]), ("item-2", &["/2"]), ("shared", &["/1", "/2"]), ("item", &[])] {
        assert_eq!(edge.purge(&json!({ "tags": [tag] })).await.0, 200);
        for target in ["/1", "/2", "/3"] {
            assert_eq!(is_hit(&edge.get(target).await), !purged.contains(&target), "{tag}: {target}");
        }
    }
    assert_eq!(edge.purge(&json!({ "paths": ["#item-1"] })).await.0, 200);
    assert!(!is_hit(&edge.get("/1").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_names_the_fields_of_tags_and_may_send_them() {
    let headers = &[("cache-control", "max-age=600"), ("x-tags", "red"), ("cache-tag", "blue")];
    let origin = counting(headers).await;
    let edge = with_policy(&origin, "max_ttl = \"1h\"\ntag_headers = [\"X-Tags\"]\nsend_tags = true").await;
    edge.get("/t").await;
    assert_eq!(edge.get("/t").await.header("x-tags"), Some("red"));
    edge.purge(&json!({ "tags": ["blue"] })).await;
    assert!(is_hit(&edge.get("/t").await), "another field is a field like any other");
    edge.purge(&json!({ "tags": ["red"] })).await;
    assert!(!is_hit(&edge.get("/t").await));
}

/// A cache object with an `ETag`, for which the origin answers 304 as long as `version` does not move.
async fn versioned(version: Arc<AtomicUsize>, control: &'static str) -> Origin {
    Origin::start(move |request| {
        let tag = format!("\"v{}\"", version.load(Ordering::SeqCst));
        let headers = [("cache-control", control), ("etag", tag.as_str()), ("cache-tag", "all")];
        match request.header("if-none-match") == Some(tag.as_str()) {
            true => Reply::new(304, &headers, ""),
            false => Reply::new(200, &headers, &tag),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_purge_revalidates_and_a_hard_one_does_not() {
    let version = Arc::new(AtomicUsize::new(1));
    let origin = versioned(Arc::clone(&version), "max-age=600").await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    edge.purge(&json!({ "tags": ["all"], "soft": true })).await;
    let response = edge.get("/t").await;
    assert!(cache_status(&response).contains(&"fwd-status=304".to_owned()), "{:?}", cache_status(&response));
    assert_eq!((response.text().as_str(), generation(&response)), ("\"v1\"", 1));
    let hit = edge.get("/t").await;
    assert!(is_hit(&hit) && generation(&hit) == 1, "{:?}", cache_status(&hit));
    edge.purge(&json!({ "tags": ["all"] })).await;
    let response = edge.get("/t").await;
    assert!(cache_status(&response).contains(&"fwd-status=200".to_owned()), "tags outlive a 304");
    assert_eq!(origin.requests().last().and_then(|request| request.header("if-none-match").map(str::to_owned)), None);
    assert_eq!(origin.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_softly_purged_is_served_by_the_rules_for_stale_responses() {
    let version = Arc::new(AtomicUsize::new(1));
    let origin = versioned(Arc::clone(&version), "max-age=600, stale-if-error=600").await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    origin.answer(|_| Reply::new(503, &[], "down"));
    edge.purge(&json!({ "paths": ["/t"], "soft": true })).await;
    let stale = edge.get("/t").await;
    if stale.status == 200 {
        assert_eq!((stale.text().as_str(), generation(&stale)), ("\"v1\"", 0), "its number tells that it is old");
    }
    edge.purge(&json!({ "paths": ["/t"] })).await;
    assert_eq!(edge.get("/t").await.status, 503, "what is purged hard is never served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_begun_before_a_purge_is_not_found_after_it() {
    let gate = Gate::new();
    let hold = gate.clone();
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) > 0 {
            return Reply::new(200, FRESH, "newbody!");
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\ncache-control: max-age=600\r\n\r\nold-";
        Reply::script([Step::Send(head.into()), Step::Hold(hold.clone()), Step::Send("body".into())])
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut first = edge.connect().await;
    first.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    first.try_head().await.expect("a head");
    let (_, receipt) = edge.purge(&json!({ "paths": ["/t"] })).await;
    let after = edge.get("/t").await;
    assert_eq!((after.text().as_str(), Some(generation(&after))), ("newbody!", receipt["generation"].as_u64()));
    gate.open();
    let (body, result) = first.body(Framing::Length(8)).await;
    assert!(result.is_ok() && body.bytes == b"old-body", "who asked before gets it whole");
    let after = edge.get("/t").await;
    assert!(is_hit(&after) && after.text() == "newbody!", "{:?}", cache_status(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_whose_head_comes_after_the_purge_is_not_stored_either() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| Reply::new(200, FRESH, "old").after(&hold)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let address = edge.address();
    let first = tokio::spawn(async move { get(address, HOST, "/t", &[]).await });
    until("the fetch", || origin.count() == 1).await;
    edge.purge(&json!({ "paths": ["/t"] })).await;
    gate.open();
    let first = first.await.expect("no panic");
    assert_eq!((generation(&first), tells(&first, "stored"), tells(&first, "detail=purged")), (0, false, true));
    origin.answer(|_| Reply::new(200, FRESH, "new"));
    assert_eq!(edge.get("/t").await.text(), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_share_objects_share_their_purges() {
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        host_header = "fixed.test"
        [distributions.site]
        hosts = ["a.test", "b.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "/keyed/*"
        cache_policy = "keyed"
        [[distributions.site.behaviors]]
        path = "*"
        cache_policy = "shared"
        [cache_policies.keyed]
        headers = ["Host"]
        [cache_policies.shared]
        query = ["q"]
        [distributions.other]
        hosts = ["c.test"]
        origin = "main"
    "#;
    let origin = counting(FRESH).await;
    let edge = TestEdge::start(config, &origin.address()).await;
    let ask = |host: &'static str, target: &'static str| get(edge.address(), host, target, &[]);
    for (host, target) in [("a.test", "/keyed/1"), ("b.test", "/keyed/1"), ("a.test", "/1?q=1"), ("c.test", "/1?q=1")] {
        ask(host, target).await;
    }
    assert!(is_hit(&ask("b.test", "/1?q=1&other=2").await), "one object for both hosts");
    edge.purge(&json!({ "urls": ["http://b.test/keyed/1", "http://b.test/1?other=3&q=1"] })).await;
    assert!(is_hit(&ask("a.test", "/keyed/1").await));
    assert!(!is_hit(&ask("b.test", "/keyed/1").await));
    assert!(!is_hit(&ask("a.test", "/1?q=1").await));
    assert!(is_hit(&ask("c.test", "/1?q=1").await), "another distribution");
    for (order, words) in [
        (json!({ "paths": ["/1"] }), "could be a path of several distributions"),
        (json!({ "urls": ["http://nobody.test/1"] }), "no distribution has the host `nobody.test`"),
        (json!({ "urls": ["http://a b/1"] }), "not a URL"),
        (json!({ "tags": ["a b"] }), "a tag has no commas and no blanks"),
        (json!({ "everything": true, "distribution": "sit" }), "there are `other`, `site`"),
        (json!({}), "nothing to purge"),
    ] {
        let (status, answer) = edge.purge(&order).await;
        assert!(status == 422 && answer["error"].as_str().is_some_and(|error| error.contains(words)), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_changes_nothing() {
    let body = "x".repeat(1_000);
    let origin = Origin::start(move |_| Reply::new(200, FRESH, &body)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for target in ["/a/1", "/a/2", "/b"] {
        edge.get(target).await;
    }
    let (_, counted) = edge.purge(&json!({ "paths": ["/a/*"], "dry_run": true })).await;
    assert_eq!((counted["objects"].as_u64(), counted["generation"].as_u64()), (Some(2), Some(0)), "{counted}");
    assert!(counted["bytes"].as_u64().is_some_and(|bytes| (2_000..6_000).contains(&bytes)), "{counted}");
    assert!(is_hit(&edge.get("/a/1").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_requests_are_for_those_who_may() {
    let origin = counting(FRESH).await;
    let trusted = format!("cache.purge_from = [\"127.0.0.0/8\"]\ntrusted_proxies = [\"127.0.0.1\"]\n{PLAIN}");
    let edge = TestEdge::start(&trusted, &origin.address()).await;
    edge.get("/t?a=1").await;
    edge.get("/u").await;
    let answer = edge.request("PURGE", "/t?a=1", &[], b"").await;
    let receipt: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
    assert_eq!((answer.status, &receipt["generation"], &receipt["mode"]), (200, &json!(1), &json!("hard")));
    assert!(is_hit(&edge.get("/u").await));
    assert_eq!(generation(&edge.get("/t?a=1").await), 1);
    let answer = edge.request("PURGE", "/*", &[("Soft-Purge", "1")], b"").await;
    assert!(answer.text().contains("\"soft\""), "{}", answer.text());
    assert_eq!(generation(&edge.get("/u").await), 2);
    // Behind a proxy that is believed, the viewer's address counts.
    let far = edge.request("PURGE", "/u", &[("X-Forwarded-For", "203.0.113.9")], b"").await;
    assert_eq!(far.status, 405);
    assert!(far.header("allow").is_some_and(|allow| !allow.contains("PURGE")));
    assert!(is_hit(&edge.get("/u").await));
    assert_eq!(request(edge.address(), "PURGE", "nobody.test", "/u", &[], b"").await.status, 404);

    let edge = TestEdge::plain(&origin.address()).await;
    assert_eq!(edge.request("PURGE", "/u", &[], b"").await.status, 405, "nobody may by default");
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_outlive_a_reload() {
    let origin = counting(FRESH).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    edge.get("/u").await;
    edge.purge(&json!({ "paths": ["/t"] })).await;
    edge.reload(&format!("gate.max_url = 4096\n{PLAIN}")).await.expect("a reload");
    assert!(!is_hit(&edge.get("/t").await));
    assert!(is_hit(&edge.get("/u").await));
    assert_eq!(edge.purge(&json!({ "paths": ["/t"] })).await.1["generation"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_of_generations() {
    let origin = counting(FRESH).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    edge.purge(&json!({ "everything": true })).await;
    edge.get("/t").await;
    let lines = edge.log_lines(2).await;
    assert_eq!((lines[0].get("cache_generation"), &lines[1]["cache_generation"]), (None, &json!(1)));
    assert!(edge.metric("edgeweir_cache_purges_total", &[]).await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_frees_its_room_without_being_asked_for() {
    let origin = counting(FRESH).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for target in ["/a/1", "/a/2", "/b/1", "/c"] {
        edge.get(target).await;
    }
    for (order, left) in [(json!({ "paths": ["/b/*"], "soft": true }), 4.0), (json!({ "paths": ["/a/*"] }), 2.0)] {
        edge.purge(&order).await;
        let mut entries = f64::NAN;
        for _ in 0..500 {
            entries = edge.metric("edgeweir_cache_entries", &[]).await;
            if entries <= left {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(entries, left, "{order}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_names_nothing() {
    let origin = counting(FRESH).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    for order in
        [json!({ "paths": ["/t#top"] }), json!({ "urls": ["http://site.test/t#top"] }), json!({ "paths": ["/t#*"] })]
    {
        let (status, answer) = edge.purge(&order).await;
        let told = answer["error"].as_str().unwrap_or_default();
        assert!(status == 422 && told.contains("fragment"), "{answer}");
    }
    assert!(is_hit(&edge.get("/t").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn variants_are_purged_together() {
    let headers = &[("cache-control", "max-age=600"), ("vary", "x-kind")];
    let origin = counting(headers).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for kind in ["a", "b"] {
        edge.get_with("/t", &[("X-Kind", kind)]).await;
        assert!(is_hit(&edge.get_with("/t", &[("X-Kind", kind)]).await));
    }
    edge.purge(&json!({ "paths": ["/t"] })).await;
    for kind in ["a", "b"] {
        assert!(!is_hit(&edge.get_with("/t", &[("X-Kind", kind)]).await), "{kind}");
        assert!(is_hit(&edge.get_with("/t", &[("X-Kind", kind)]).await), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_asking_while_purges_run_never_get_what_was_purged_before_they_asked() {
    let version = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&version);
    let origin = Origin::start(move |_| Reply::new(200, FRESH, current.load(Ordering::SeqCst).to_string())).await;
    let edge = Arc::new(TestEdge::plain(&origin.address()).await);
    let done = Arc::new(AtomicUsize::new(0));
    let mut viewers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (address, done, purged) = (edge.address(), Arc::clone(&done), Arc::clone(&version));
        viewers.spawn(async move {
            let mut raw = Raw::connect(address).await;
            let mut asked = 0;
            while done.load(Ordering::SeqCst) < 1_000 {
                // Purged versions are counted in thousands, so that a viewer knows what was purged before it asked.
                let least = done.load(Ordering::SeqCst);
                raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
                let response = raw.response_to("GET").await;
                let got: usize = response.text().parse().expect("a number");
                assert!(got >= least && got <= purged.load(Ordering::SeqCst), "{got} after {least}");
                asked += 1;
            }
            asked
        });
    }
    for round in 1..=60 {
        version.store(round, Ordering::SeqCst);
        assert_eq!(edge.purge(&json!({ "paths": ["/t"], "soft": round % 2 == 0 })).await.0, 200);
        done.store(round, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    done.store(1_000, Ordering::SeqCst);
    let asked: usize = viewers.join_all().await.into_iter().sum();
    assert!(asked > 60, "{asked}");
}
