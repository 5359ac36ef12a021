//! What origin-response hooks see of the request: what the origin got, not what the viewer sent.

use edgeweir_tests::edge::Setup;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::script;

/// A policy with one cookie and one parameter in the key, an origin with a host, a field and a prefix of its own, and hooks at
/// all stages.
fn site(response_hooks: &str) -> String {
    format!(
        r#"
    [origins.main]
    url = "http://{{origin}}/base"
    host_header = "inner.test"
    headers = {{ x-of-origin = "1" }}
    [hooks.script]
    file = "{{guest:script}}"
    [cache_policies.some]
    cookies = ["kept"]
    query = ["kept"]
    default_ttl = "1h"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "some"
    [distributions.site.behaviors.hooks]
    viewer-request = [{viewer}]
    origin-request = [{origin}]
    {response_hooks}
    "#,
        viewer = script(&["set x-viewer 1"]),
        origin = script(&["path /new", "set x-origin 1", "remove accept"]),
    )
}

const TELL: [&str; 7] =
    ["tell line", "tell host", "tell cookie", "tell x-viewer", "tell x-origin", "tell x-of-origin", "tell accept"];

#[tokio::test(flavor = "multi_thread")]
async fn origin_response_sees_what_the_origin_got() {
    let origin = Origin::start(|_| Reply::ok("body")).await;
    let text = site(&format!("origin-response = [{}]", script(&TELL)));
    let edge = Setup::new(&text).set("origin", &origin.address()).start().await;
    let fields = [("Cookie", "kept=1; own=2"), ("Accept", "text/css"), ("X-Origin", "lie")];
    let miss = edge.get_with("/t?kept=1&other=2", &fields).await;
    let received = origin.only_request();
    assert_eq!(received.target(), "/base/new?kept=1");
    for (name, value) in [
        ("x-told-line", "GET /new?kept=1"),
        ("x-told-host", "inner.test"),
        ("x-told-cookie", "kept=1"),
        ("x-told-x-viewer", "1"),
        ("x-told-x-origin", "1"),
        ("x-told-accept", ""),
    ] {
        assert_eq!(miss.header(name), Some(value), "{name}");
        let sent = received.header(name.trim_start_matches("x-told-"));
        assert!(name == "x-told-line" || sent.unwrap_or_default() == value, "{name}: {sent:?}");
    }
    // It may be a secret.
    assert_eq!((miss.header("x-told-x-of-origin"), received.header("x-of-origin")), (Some(""), Some("1")));
    // What is stored depends on nothing that is not in the key.
    let hit = edge.get_with("/t?kept=1&other=3", &[("Cookie", "own=9; kept=1")]).await;
    assert_eq!((hit.header("x-told-cookie"), origin.count()), (Some("kept=1"), 1));
    let log = edge.log_lines(2).await;
    assert_eq!(log[0]["path"], "/t", "the log has the viewer's: {}", log[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_response_sees_the_viewers_request() {
    let origin = Origin::start(|_| Reply::ok("body")).await;
    // After origin-response, which must leave the viewer's head as it was.
    let text = site(&format!("origin-response = [{0}]\nviewer-response = [{0}]", script(&TELL)));
    let edge = Setup::new(&text).set("origin", &origin.address()).start().await;
    for _ in ["miss", "hit"] {
        let fields = [("Cookie", "kept=1; own=2"), ("Accept", "text/css")];
        let answer = edge.get_with("/t?kept=1&other=2", &fields).await;
        for (name, value) in [
            ("x-told-line", "GET /t?kept=1&other=2"),
            ("x-told-host", "site.test"),
            ("x-told-cookie", "kept=1; own=2"),
            ("x-told-x-viewer", "1"),
            ("x-told-x-origin", ""),
            ("x-told-x-of-origin", ""),
            ("x-told-accept", "text/css"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_stored_shows_all_of_it() {
    let origin = Origin::start(|_| Reply::ok("body")).await;
    let text = site(&format!("origin-response = [{}]", script(&TELL)));
    let edge = Setup::new(&text).set("origin", &origin.address()).start().await;
    let answer = edge.request("POST", "/t?kept=1&other=2", &[("Cookie", "own=2")], b"x").await;
    assert_eq!(answer.header("x-told-line"), Some("POST /new?kept=1&other=2"));
    assert_eq!((answer.header("x-told-cookie"), answer.header("x-told-x-origin")), (Some("own=2"), Some("1")));
}
