//! What hooks change, and where it shows.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{bound, config, script, scripted};

fn cacheable() -> Reply {
    Reply::new(200, &[("cache-control", "max-age=60")], "body")
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_request_rewrites_path_and_query_and_the_cache_key_follows() {
    let origin = Origin::start(|_| cacheable()).await;
    let edge = scripted(&origin, "viewer-request", &["path /one", "query a=1"]).await;
    for target in ["/x", "/y?z", "/one?a=1"] {
        assert_eq!(edge.get(target).await.status, 200, "{target}");
    }
    assert_eq!(origin.only_request().target(), "/one?a=1", "all three are one object");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_request_can_drop_the_query() {
    let origin = Origin::mirror().await;
    let edge = scripted(&origin, "viewer-request", &["no-query"]).await;
    edge.get("/t?a=1").await;
    assert_eq!(origin.only_request().target(), "/t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_path_does_not_choose_another_behavior() {
    let origin = Origin::mirror().await;
    let behaviors = format!(
        "[[distributions.site.behaviors]]\npath = \"/a/*\"\nhooks = {{ viewer-request = [{}] }}\n\
         [[distributions.site.behaviors]]\npath = \"/b/*\"\nhooks = {{ viewer-request = [\"respond\"] }}\n",
        script(&["path /b/t"])
    );
    let edge = TestEdge::start(&config(&["script", "respond"], &behaviors), &origin.address()).await;
    assert_eq!(edge.get("/a/t").await.status, 200);
    assert_eq!(origin.only_request().target(), "/b/t");
    assert_eq!(edge.get("/b/t").await.status, 418);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_behavior_stores_under_anothers_path_is_its_own() {
    let origin = Origin::start(|request| {
        let who = request.header("x-behavior").unwrap_or("open").to_owned();
        Reply::new(200, &[("cache-control", "max-age=60")], who)
    })
    .await;
    let behaviors = format!(
        "[[distributions.site.behaviors]]\npath = \"/private/*\"\nhooks = {{ viewer-request = [{}] }}\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n",
        script(&["path /t", "set x-behavior private"])
    );
    let edge = TestEdge::start(&config(&["script"], &behaviors), &origin.address()).await;
    for (path, text) in [("/private/t", "private"), ("/t", "open"), ("/private/t", "private"), ("/t", "open")] {
        assert_eq!(edge.get(path).await.text(), text, "{path}");
    }
    assert_eq!(origin.count(), 2, "each has its own object");
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_request_rewrites_the_path_and_the_cache_key_stays() {
    let origin = Origin::start(|_| cacheable()).await;
    let edge = scripted(&origin, "origin-request", &["path /elsewhere", "query b=2"]).await;
    for target in ["/x", "/y", "/x"] {
        assert_eq!(edge.get(target).await.status, 200);
    }
    let targets: Vec<String> = origin.requests().iter().map(|received| received.target().to_owned()).collect();
    assert_eq!(targets, ["/elsewhere?b=2", "/elsewhere?b=2"], "two keys, two fetches");
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_key_parts_keep_objects_apart() {
    let origin = Origin::start(|_| cacheable()).await;
    let behaviors = format!(
        "[[distributions.site.behaviors]]\npath = \"/a/*\"\nhooks = {{ viewer-request = [{}] }}\n\
         [[distributions.site.behaviors]]\npath = \"/b/*\"\nhooks = {{ viewer-request = [{}] }}\n",
        script(&["cache-key blue", "path /same"]),
        script(&["cache-key green", "path /same"])
    );
    let edge = TestEdge::start(&config(&["script"], &behaviors), &origin.address()).await;
    for target in ["/a/1", "/b/1", "/a/2", "/b/2"] {
        assert_eq!(edge.get(target).await.status, 200);
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_request_stages_can_choose_the_origin() {
    for stage in ["viewer-request", "origin-request"] {
        let main = Origin::hello().await;
        let other = Origin::start(|_| Reply::ok("other")).await;
        let text = format!(
            "[origins.other]\nurl = \"http://{{other}}\"\n{}",
            config(&["script"], &bound(stage, &script(&["origin other"])))
        );
        let setup = Setup::new(&text).set("origin", &main.address()).set("other", &other.address());
        let edge = setup.start().await;
        assert_eq!(edge.get("/t").await.text(), "other", "{stage}");
        assert_eq!((main.heads(), other.count()), (0, 1));
        assert_eq!(other.only_request().header_all("host"), [other.address()], "the origin's own name");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_origin_is_a_fault() {
    let origin = Origin::hello().await;
    for stage in ["viewer-request", "origin-request"] {
        let edge = scripted(&origin, stage, &["origin nowhere"]).await;
        assert_eq!(edge.get("/t").await.status, 502, "{stage}");
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn host_is_writable_at_origin_request_only() {
    let origin = Origin::mirror().await;
    let edge = scripted(&origin, "origin-request", &["set host backend.example"]).await;
    assert_eq!(edge.get("/t").await.status, 200);
    assert_eq!(origin.only_request().header_all("host"), ["backend.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_response_changes_status_fields_and_lifetime_as_they_are_stored() {
    let origin = Origin::start(|_| Reply::new(404, &[("x-old", "1")], "gone")).await;
    let edge = scripted(&origin, "origin-response", &["status 200", "set x-new 1", "remove x-old", "ttl 60"]).await;
    for turn in ["miss", "hit"] {
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (200, "gone"), "{turn}");
        assert_eq!((response.header("x-new"), response.header("x-old")), (Some("1"), None), "{turn}");
    }
    assert_eq!(origin.count(), 1, "the hook's lifetime made it storable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_from_a_hook_stays_in_the_policys_limits() {
    let origin = Origin::start(|_| Reply::ok("body")).await;
    let text = format!(
        "[cache_policies.short]\nmax_ttl = \"1s\"\n{}",
        config(&["script"], &bound("origin-response", &script(&["ttl 3600"])))
            .replace("path = \"*\"", "path = \"*\"\ncache_policy = \"short\"")
    );
    let edge = TestEdge::start(&text, &origin.address()).await;
    edge.get("/t").await;
    edge.get("/t").await;
    assert_eq!(origin.count(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    edge.get("/t").await;
    assert_eq!(origin.count(), 2, "the policy's second is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hooks_lifetime_does_not_store_what_may_not_be_stored() {
    for header in [("cache-control", "no-store"), ("cache-control", "private"), ("set-cookie", "a=1")] {
        let origin = Origin::start(move |_| Reply::new(200, &[header], "body")).await;
        let edge = scripted(&origin, "origin-response", &["ttl 60"]).await;
        edge.get("/t").await;
        edge.get("/t").await;
        assert_eq!(origin.count(), 2, "{header:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_response_edits_are_not_stored() {
    let origin = Origin::start(|_| cacheable()).await;
    let edge = scripted(&origin, "viewer-response", &["append x-turn 1"]).await;
    for _ in 0..3 {
        assert_eq!(edge.get("/t").await.header_all("x-turn"), ["1"]);
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_1_a_viewer_cannot_take_back_what_a_hook_set() {
    let origin = Origin::mirror().await;
    let edge = scripted(&origin, "viewer-request", &["set x-edge-auth yes"]).await;
    let mut passed = 0;
    for nominated in ["x-edge-auth", "close, X-Edge-Auth", "keep-alive, x-edge-auth"] {
        let response = edge.get_with("/t", &[("Connection", nominated), ("X-Edge-Auth", "mine")]).await;
        if response.status == 200 {
            passed += 1;
            let received = origin.requests().pop().expect("a request");
            assert_eq!(received.header_all("x-edge-auth"), ["yes"], "{nominated}");
        } else {
            assert_eq!(response.status, 400, "{nominated}");
        }
    }
    assert_eq!(origin.count(), passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_see_the_facts_of_the_request() {
    let origin = Origin::hello().await;
    let text = config(&["echo-facts"], &bound("viewer-request", "{ hook = \"echo-facts\", settings = { a = 1 } }"));
    let text = format!("trusted_proxies = [\"127.0.0.1/32\"]\n[geo]\ndatabases = [\"{{database}}\"]\n{text}");
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples/demo/country.mmdb");
    let edge = Setup::new(&text).set("database", database).set("origin", &origin.address()).start().await;
    let headers = [("X-Forwarded-For", "8.8.8.8"), ("Cookie", "a=one; b=two"), ("X-Many", "1"), ("X-Many", "2")];
    let response = edge.get_with("/p/%7Ex?q=a%20b&r", &headers).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let facts = response.text();
    for line in [
        "method=\"GET\"",
        "scheme=\"http\"",
        "authority=\"site.test\"",
        "path=\"/p/~x\"",
        "query=Some(\"q=a%20b&r\")",
        "X-Many=[\"1\", \"2\"]",
        "cookie a=Some(\"one\")",
        "param q=Some(\"a b\")",
        "address=\"8.8.8.8\"",
        "http-version=\"1.1\"",
        "country=Some(\"US\")",
        "distribution=\"site\"",
        "behavior=\"*\"",
        "stage=\"viewer-request\"",
    ] {
        assert!(facts.lines().any(|fact| fact == line), "{line} is not in:\n{facts}");
    }
    let id = response.header("x-request-id").unwrap_or_default();
    assert!(facts.contains(&format!("request-id=\"{id}\"")), "{id} is not in:\n{facts}");
    assert!(!facts.contains("header connection"), "hidden from hooks:\n{facts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_origin_response_says_counts_for_nothing() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "hello")).await;
    for edits in [
        ["set content-length 1", "set x-a 1"],
        ["remove content-length", "set x-a 1"],
        ["set content-length 9", "body hello"],
    ] {
        let edge = scripted(&origin, "origin-response", &edits).await;
        for turn in ["miss", "hit"] {
            let answer = edge.get("/t").await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{edits:?}, {turn}");
            assert_eq!(answer.header_all("content-length"), ["5"], "{edits:?}, {turn}");
        }
    }
}
