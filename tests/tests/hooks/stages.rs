//! When the four stages run (CloudFront's rules).

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{bound, config, script, scripted};

const ALL: &str = r#"
    [[distributions.site.behaviors]]
    path = "*"
    [distributions.site.behaviors.hooks]
    viewer-request = ["all-stages"]
    origin-request = ["all-stages"]
    origin-response = ["all-stages"]
    viewer-response = ["all-stages"]
"#;

async fn all_stages(origin: &Origin) -> TestEdge {
    TestEdge::start(&config(&["all-stages"], ALL), &origin.address()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_four_stages_run_on_a_miss() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "no-store")], "body")).await;
    let edge = all_stages(&origin).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.text().as_str()), (200, "body"));
    assert_eq!(response.header_all("x-stage"), ["origin-response", "viewer-response"]);
    assert_eq!(origin.only_request().header_all("x-stage"), ["viewer-request", "origin-request"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_stages_do_not_run_on_a_hit_and_viewer_stages_do() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "body")).await;
    let edge = all_stages(&origin).await;
    let miss = edge.get("/t").await;
    let hit = edge.get("/t").await;
    assert_eq!(origin.count(), 1);
    for response in [&miss, &hit] {
        // The origin-response mark is stored; the viewer-response mark is made anew and never stored.
        assert_eq!(response.header_all("x-stage"), ["origin-response", "viewer-response"]);
    }
    assert_eq!(miss.header("x-seen"), Some("200 Some(\"miss\")"));
    assert_eq!(hit.header("x-seen"), Some("200 Some(\"hit\")"));
    let mut lines = edge.log_lines(2).await;
    // A request is logged after its answer was sent: the second may be first.
    lines.sort_by_key(|line| line["cache"] == "hit");
    let stages = |line: &serde_json::Value| -> Vec<String> {
        let hooks = line["hooks"].as_array().cloned().unwrap_or_default();
        hooks.iter().map(|hook| hook["stage"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(stages(&lines[0]), ["viewer-request", "origin-request", "origin-response", "viewer-response"]);
    assert_eq!(stages(&lines[1]), ["viewer-request", "viewer-response"]);
    assert_eq!(lines[0].get("skipped"), None, "all ran");
    assert_eq!(lines[1]["skipped"], serde_json::json!({"origin-request": "cache", "origin-response": "cache"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_response_does_not_run_on_origin_errors() {
    for status in [400, 404, 500, 503] {
        let origin =
            Origin::start(move |_| Reply::new(status, &[("cache-control", "max-age=60")], "origin's words")).await;
        let edge = all_stages(&origin).await;
        for turn in ["first", "second"] {
            let response = edge.get("/t").await;
            assert_eq!((response.status, response.text().as_str()), (status, "origin's words"), "{turn}");
            assert_eq!(response.header_all("x-stage"), ["origin-response"], "{status}, {turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_response_does_not_run_on_the_edges_own_errors() {
    let address = hostile::refused().await;
    let edge = TestEdge::start(&config(&["all-stages"], ALL), &address).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.header("x-stage")), (502, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_at_viewer_request_ends_the_request() {
    let origin = Origin::hello().await;
    let behavior = r#"
        [[distributions.site.behaviors]]
        path = "*"
        [distributions.site.behaviors.hooks]
        viewer-request = ["respond", "all-stages"]
        viewer-response = ["all-stages"]
    "#;
    let edge = TestEdge::start(&config(&["respond", "all-stages"], behavior), &origin.address()).await;
    for method in ["GET", "POST", "HEAD"] {
        let response = edge.request(method, "/t", &[], if method == "POST" { b"x" } else { b"" }).await;
        assert_eq!(response.status, 418, "{method}");
        assert_eq!(response.text(), if method == "HEAD" { "" } else { "a teapot" }, "{method}");
        assert_eq!(response.header("content-type"), Some("text/plain"));
        assert_eq!(response.header("content-length"), Some("8"), "{method}");
        assert_eq!(response.header("x-stage"), None, "viewer-response does not run");
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_at_viewer_request_is_never_cached() {
    let origin = Origin::hello().await;
    let edge = scripted(&origin, "viewer-request", &["respond 200 made", "cache-control max-age=60"]).await;
    for _ in 0..2 {
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (200, "made"));
        let status = response.header("cache-status").unwrap_or_default();
        assert!(!status.contains("hit") && !status.contains("stored"), "{status}");
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_at_origin_request_is_cached_and_seen_by_viewer_response_only() {
    let origin = Origin::hello().await;
    let made = script(&["respond 200 made", "cache-control max-age=60", "x-made 1"]);
    let behavior = format!(
        "[[distributions.site.behaviors]]\npath = \"*\"\n[distributions.site.behaviors.hooks]\n\
         origin-request = [{made}]\norigin-response = [\"all-stages\"]\nviewer-response = [\"all-stages\"]\n"
    );
    let edge = TestEdge::start(&config(&["script", "all-stages"], &behavior), &origin.address()).await;
    let miss = edge.get("/t").await;
    let hit = edge.get("/t").await;
    for response in [&miss, &hit] {
        assert_eq!((response.status, response.text().as_str()), (200, "made"));
        assert_eq!(response.header("x-made"), Some("1"));
        assert_eq!(response.header_all("x-stage"), ["viewer-response"]);
    }
    assert_eq!(miss.header("x-seen"), Some("200 Some(\"miss\")"));
    assert_eq!(hit.header("x-seen"), Some("200 Some(\"hit\")"));
    assert_eq!(origin.heads(), 0);
    let head = edge.request("HEAD", "/t", &[], b"").await;
    assert_eq!((head.status, head.body.length), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_response_does_not_run_on_a_304() {
    let origin = Origin::start(|request| {
        if request.header("if-none-match").is_some() {
            Reply::new(304, &[("etag", "\"1\""), ("cache-control", "max-age=1")], "")
        } else {
            Reply::new(200, &[("etag", "\"1\""), ("cache-control", "max-age=1")], "body")
        }
    })
    .await;
    let behavior = bound("origin-response", "\"all-stages\"");
    let edge = TestEdge::start(&config(&["all-stages"], &behavior), &origin.address()).await;
    assert_eq!(edge.get("/t").await.header_all("x-stage"), ["origin-response"]);
    let past = std::time::Duration::from_millis(2100);
    tokio::time::sleep(past).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.text().as_str()), (200, "body"));
    assert_eq!(response.header_all("x-stage"), ["origin-response"], "once, from when it was stored");
    assert_eq!(origin.count(), 2, "the second was a revalidation");
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_of_one_stage_run_in_order_and_see_each_others_edits() {
    let origin = Origin::mirror().await;
    let first = script(&["set x-a 1", "append x-order first"]);
    let second = script(&["append x-order second", "remove x-gone"]);
    let behavior = bound("viewer-request", &format!("{first}, {second}"));
    let edge = TestEdge::start(&config(&["script"], &behavior), &origin.address()).await;
    edge.get_with("/t", &[("X-Gone", "1"), ("X-A", "0")]).await;
    let received = origin.only_request();
    assert_eq!(received.header_all("x-order"), ["first", "second"]);
    assert_eq!((received.header_all("x-a"), received.header("x-gone")), (vec!["1"], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_behavior_without_hooks_runs_none() {
    let origin = Origin::hello().await;
    let behaviors = r#"
        [[distributions.site.behaviors]]
        path = "/hooked/*"
        hooks = { viewer-request = ["respond"] }
        [[distributions.site.behaviors]]
        path = "*"
    "#;
    let edge = TestEdge::start(&config(&["respond"], behaviors), &origin.address()).await;
    assert_eq!(edge.get("/hooked/t").await.status, 418);
    assert_eq!(edge.get("/free").await.text(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_says_why_a_stage_was_skipped() {
    let origin = Origin::start(|request| {
        let status = if request.target() == "/missing" { 404 } else { 200 };
        Reply::new(status, &[("cache-control", "no-store")], "body")
    })
    .await;
    let edge = all_stages(&origin).await;
    assert_eq!(edge.get("/missing").await.status, 404);
    let skipped = |line: &serde_json::Value| line.get("skipped").cloned();
    assert_eq!(skipped(&edge.log_lines(1).await[0]), Some(serde_json::json!({"viewer-response": "error"})));
    // The stages after an answer, and those that are bound only.
    let text = script(&["respond 200 hi"]);
    let all = ALL.replace("viewer-request = [\"all-stages\"]", &format!("viewer-request = [{text}, \"all-stages\"]"));
    let all = all.replace("origin-response = [\"all-stages\"]\n", "");
    let edge = TestEdge::start(&config(&["all-stages", "script"], &all), &origin.address()).await;
    assert_eq!(edge.get("/t").await.status, 200);
    let expected = serde_json::json!({
        "viewer-request": "answered", "origin-request": "answered", "viewer-response": "answered",
    });
    assert_eq!(skipped(&edge.log_lines(1).await[0]), Some(expected));
    let plain = TestEdge::plain(&origin.address()).await;
    plain.get("/t").await;
    assert_eq!(skipped(&plain.log_lines(1).await[0]), None);
    // What fails.
    let trap = ALL.replace("viewer-request = [\"all-stages\"]", "viewer-request = [\"trap\", \"all-stages\"]");
    let edge = TestEdge::start(&config(&["all-stages", "trap"], &trap), &origin.address()).await;
    assert_eq!(edge.get("/t").await.status, 503);
    let expected = serde_json::json!({
        "viewer-request": "failed", "origin-request": "not-reached", "origin-response": "not-reached", "viewer-response": "error",
    });
    assert_eq!(skipped(&edge.log_lines(1).await[0]), Some(expected));
}
