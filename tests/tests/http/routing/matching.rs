//! Conditions of behaviors beside the path.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::reply::Reply;

use super::{DATABASE, behind_a_proxy};

/// An edge whose origin is told which behavior took the request, by a path prefix of its origin.
async fn edge(origin: &Origin, behaviors: &[(&str, &str)]) -> TestEdge {
    let mut text = format!("trusted_proxies = [\"127.0.0.1/32\"]\n[geo]\ndatabases = [\"{DATABASE}\"]\n");
    for (name, _) in behaviors {
        text.push_str(&format!("[origins.{name}]\nurl = \"http://{{origin}}/{name}\"\n"));
    }
    text.push_str("[distributions.site]\nhosts = [\"site.test\"]\n");
    for (name, keys) in behaviors {
        text.push_str(&format!("[[distributions.site.behaviors]]\norigin = \"{name}\"\n{keys}\n"));
    }
    TestEdge::start(&text, &origin.address()).await
}

/// The first segment of the path that the origin was asked for: who took the request.
async fn naming() -> Origin {
    Origin::start(|request| {
        let name = request.target().split('/').nth(1).unwrap_or_default().to_owned();
        Reply::new(200, &[("cache-control", "max-age=60")], name)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_behavior_whose_path_and_conditions_hold_takes_the_request() {
    let origin = naming().await;
    let edge = edge(
        &origin,
        &[
            ("both", "match = { headers = { x-beta = [\"1\", \"on*\"] }, cookies = { group = \"b\" } }"),
            ("header", "path = \"/a/*\"\nmatch = { headers = { X-Beta = \"*\" } }"),
            ("cookie", "match = { cookies = { group = \"b\" } }"),
            ("query", "match = { query = { v = \"2*\", \"a b\" = \"*\" } }"),
            ("write", "match = { methods = [\"POST\", \"PUT\"] }"),
            ("swiss", "match = { countries = [\"CH\"] }"),
            ("plain", "path = \"/a/*\""),
            ("rest", ""),
        ],
    )
    .await;
    let cookie = ("Cookie", "x=1; group=b");
    for (method, target, fields, taken) in [
        ("GET", "/a/x", &[("x-beta", "1"), cookie][..], "both"),
        ("GET", "/a/x", &[("x-beta", "on-1"), cookie], "both"),
        ("GET", "/a/x", &[("x-beta", "2"), cookie], "header"),
        ("GET", "/b/x", &[("x-beta", "2"), cookie], "cookie"),
        ("GET", "/b/x", &[("x-beta", "2")], "rest"),
        ("GET", "/b/x?v=2.1&a+b=", &[], "query"),
        ("GET", "/b/x?v=1&a+b=", &[], "rest"),
        ("POST", "/b/x", &[], "write"),
        ("GET", "/b/x", &[("X-Forwarded-For", "195.186.1.111")], "swiss"),
        ("GET", "/a/x", &[], "plain"),
        ("GET", "/b/x", &[("X-Forwarded-For", "192.0.2.1")], "rest"),
    ] {
        // Twice: what one behavior has stored is not another's.
        for _ in 0..2 {
            let answer = edge.request(method, target, fields, b"").await;
            assert_eq!((answer.status, answer.text().as_str()), (200, taken), "{method} {target} {fields:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_method_of_one_behavior_invalidates_what_another_has_stored() {
    let origin = naming().await;
    let edge = edge(
        &origin,
        &[
            ("write", "cache_policy = \"CachingDisabled\"\nmatch = { methods = [\"POST\"] }"),
            ("beta", "cache_policy = \"CachingOptimized\"\nmatch = { headers = { x-beta = \"1\" } }"),
            ("rest", ""),
        ],
    )
    .await;
    let get = async |beta: &str| edge.get_with("/x?q=1", &[("x-beta", beta)]).await.text();
    for _ in 0..2 {
        assert_eq!((get("1").await, get("0").await), ("beta".to_owned(), "rest".to_owned()));
    }
    assert_eq!(origin.count(), 2);
    assert_eq!(edge.request("POST", "/x?q=1", &[], b"").await.text(), "write");
    assert_eq!((get("1").await, get("0").await), ("beta".to_owned(), "rest".to_owned()));
    assert_eq!(origin.count(), 5);
    let order = serde_json::json!({ "urls": ["site.test/x?q=1"] });
    assert_eq!(edge.purge(&order).await.0, 200);
    assert_eq!((get("1").await, get("0").await), ("beta".to_owned(), "rest".to_owned()));
    assert_eq!(origin.count(), 7, "a purge of a URL is of all behaviors that may have stored it");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_behaviors_keep_their_order() {
    let origin = Origin::mirror().await;
    let mut site = String::new();
    for at in 0..5_000 {
        site.push_str(&format!(
            "[[distributions.site.behaviors]]\npath = \"/p{at}/*\"\nmethods = [\"GET\", \"M{at}\"]\n"
        ));
        site.push_str(&format!(
            "[[distributions.site.behaviors]]\npath = \"*.e{at}\"\nmethods = [\"GET\", \"E{at}\"]\n"
        ));
    }
    let edge = behind_a_proxy(&origin, &site).await;
    for (target, allow) in [
        ("/p4999/x", Some("GET, M4999")),
        ("/p17/x.e16", Some("GET, E16")),
        ("/p17/x.e17", Some("GET, M17")),
        ("/p17/x.e18", Some("GET, M17")),
        ("/other", None),
    ] {
        let answer = edge.request("PATCH", target, &[], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (allow.map_or(404, |_| 405), allow), "{target}");
    }
}
