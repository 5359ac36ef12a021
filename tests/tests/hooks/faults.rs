//! Hooks that fail: 502 for what they may not do, 503 when they break, and nothing past a closed binding.

use std::time::{Duration, Instant};

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{bound, config, script, scripted};

async fn guest(origin: &Origin, name: &str) -> TestEdge {
    let binding = format!("\"{name}\"");
    TestEdge::start(&config(&[name], &bound("viewer-request", &binding)), &origin.address()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_may_not_do_is_502() {
    for name in ["bad-header", "read-only-header", "big-response"] {
        let origin = Origin::hello().await;
        let edge = guest(&origin, name).await;
        let response = edge.get("/t").await;
        assert_eq!(response.status, 502, "{name}");
        assert_eq!(origin.heads(), 0, "{name}");
        let line = edge.log_lines(1).await.remove(0);
        assert!(line["fault"].as_str().is_some_and(|fault| !fault.is_empty()), "{name}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_that_break_are_503() {
    for name in ["trap", "alloc", "stack-overflow", "error"] {
        let origin = Origin::hello().await;
        let edge = guest(&origin, name).await;
        for _ in 0..3 {
            let response = edge.get("/t").await;
            assert_eq!(response.status, 503, "{name}");
            let text = response.text();
            assert!(!text.contains("on purpose") && !text.contains("no luck"), "inner words leak: {text}");
        }
        assert_eq!(origin.heads(), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_never_returns_is_503_after_its_time() {
    let origin = Origin::hello().await;
    let text = config(&["spin"], &bound("viewer-request", "\"spin\""))
        .replace("{guest:spin}\"", "{guest:spin}\"\ntimeout = \"100ms\"");
    let edge = TestEdge::start(&text, &origin.address()).await;
    let start = Instant::now();
    assert_eq!(edge.get("/t").await.status, 503);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(90) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_and_disallowed_fields_of_each_stage_are_502() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "viewer-request",
            &[
                "set content-length 1",
                "set host x",
                "remove host",
                "set via x",
                "set transfer-encoding chunked",
                "set cdn-loop x",
                "append connection close",
                "set expect x",
                "set x-forwarded-proto https",
                "set upgrade x",
                "set x-amz-cf-id x",
                "set cloudfront-viewer-country CH",
                "set trailer x",
            ],
        ),
        (
            "origin-request",
            &[
                "set accept-encoding gzip",
                "set if-none-match x",
                "set content-length 1",
                "set if-modified-since x",
                "set via x",
                "remove transfer-encoding",
                "set keep-alive x",
                "set x-real-ip x",
            ],
        ),
        ("origin-response", &["set transfer-encoding chunked", "set via x", "set connection close", "set x-cache x"]),
        (
            "viewer-response",
            &[
                "set content-length 1",
                "set content-encoding gzip",
                "set transfer-encoding x",
                "set warning x",
                "set via x",
                "set connection close",
                "set proxy-authenticate x",
            ],
        ),
    ];
    for (stage, edits) in cases {
        let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "no-store")], "hello")).await;
        let mut behaviors = String::new();
        for (number, edit) in edits.iter().enumerate() {
            behaviors.push_str(&format!(
                "[[distributions.site.behaviors]]\npath = \"/{number}\"\nhooks = {{ {stage} = [{}] }}\n",
                script(&[edit])
            ));
        }
        behaviors.push_str(&format!(
            "[[distributions.site.behaviors]]\npath = \"/fine\"\nhooks = {{ {stage} = [{}] }}\n",
            script(&["set x-fine 1"])
        ));
        let edge = TestEdge::start(&config(&["script"], &behaviors), &origin.address()).await;
        for (number, edit) in edits.iter().enumerate() {
            assert_eq!(edge.get(&format!("/{number}")).await.status, 502, "{edit} at {stage}");
        }
        assert_eq!(edge.get("/fine").await.status, 200, "a harmless edit at {stage}");
        if stage.ends_with("request") {
            assert_eq!(origin.count(), 1, "only the harmless one got through at {stage}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_are_502() {
    let cases: [(&str, &[&str]); 5] = [
        ("viewer-request", &["path no-slash"]),
        ("viewer-request", &["path /with space"]),
        ("viewer-request", &["query with space"]),
        ("viewer-request", &["path /t#fragment"]),
        ("origin-response", &["status 199"]),
    ];
    for (stage, lines) in cases {
        let origin = Origin::hello().await;
        let edge = scripted(&origin, stage, lines).await;
        assert_eq!(edge.get("/t").await.status, 502, "{lines:?} at {stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_cannot_climb_out_of_the_origins_prefix() {
    let origin = Origin::mirror().await;
    for stage in ["viewer-request", "origin-request"] {
        for path in ["path /../secret", "path /a/%2e%2e/%2e%2e/secret", "path //evil.test/x"] {
            let text = config(&["script"], &bound(stage, &script(&[path])));
            let text = text.replace("http://{origin}", "http://{origin}/base");
            let edge = TestEdge::start(&text, &origin.address()).await;
            edge.get("/t").await;
        }
    }
    for received in origin.requests() {
        let target = received.target().to_owned();
        assert!(target.starts_with("/base/") && !target.contains(".."), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_that_the_binding_does_not_grant_are_502() {
    for (stage, edit) in
        [("viewer-request", "body x"), ("origin-request", "dynamic-origin evil.example"), ("origin-request", "body x")]
    {
        let origin = Origin::hello().await;
        let edge = scripted(&origin, stage, &[edit]).await;
        assert_eq!(edge.get("/t").await.status, 502, "{edit} at {stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_binding_lets_the_request_go_on() {
    for name in ["trap", "bad-header", "error", "alloc"] {
        let origin = Origin::hello().await;
        let binding = format!("{{ hook = \"{name}\", on_failure = \"open\" }}");
        let edge = TestEdge::start(&config(&[name], &bound("viewer-request", &binding)), &origin.address()).await;
        let response = edge.get_with("/t", &[("X-Kept", "1")]).await;
        assert_eq!((response.status, response.text().as_str()), (200, "hello"), "{name}");
        assert_eq!(origin.only_request().header("x-kept"), Some("1"), "{name}");
        let line = edge.log_lines(1).await.remove(0);
        assert!(line["hooks"].to_string().contains(name), "the failure is in the log: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_at_response_stages_are_faults_too_and_not_stored() {
    for stage in ["origin-response", "viewer-response"] {
        let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "secret")).await;
        let edge = scripted(&origin, stage, &["set connection close"]).await;
        for turn in 0..2 {
            let response = edge.get("/t").await;
            assert_eq!(response.status, 502, "{stage}");
            assert!(!response.text().contains("secret"), "{stage}");
            let told = response.header("cache-status").expect("the cache had its part in it");
            let asked = stage == "origin-response" || turn == 0;
            assert_eq!(told.contains("fwd=uri-miss; fwd-status=200"), asked, "{stage}: {told}");
            assert!(told.ends_with("; detail=hook-invalid"), "{stage}: {told}");
        }
        let stored = if stage == "viewer-response" { 1 } else { 2 };
        assert_eq!(origin.count(), stored, "fetches at {stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_by_hook_and_stage() {
    let origin = Origin::hello().await;
    let edge = guest(&origin, "trap").await;
    for _ in 0..3 {
        edge.get("/t").await;
    }
    let metrics = edge.metrics().await;
    let counted = metrics.lines().any(|line| {
        line.starts_with("edgeweir_hook")
            && line.contains("\"trap\"")
            && line.contains("viewer-request")
            && line.ends_with(" 3")
    });
    assert!(counted, "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_lines_is_cut() {
    let origin = Origin::hello().await;
    let text = config(&["log-flood"], &bound("viewer-request", "\"log-flood\""));
    let text = format!("{text}\n[log]\naccess = \"off\"\nevents = \"off\"\n");
    let edge = Setup::new(&text).set("origin", &origin.address()).start().await;
    assert_eq!(edge.get("/t").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_makes_a_hook_fail_pays_for_it() {
    let origin = Origin::hello().await;
    let text = config(&["trap"], &bound("viewer-request", "\"trap\"")) + "throttle = { rate = 0.001, burst = 2 }\n";
    let edge = TestEdge::start(&text, &origin.address()).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(edge.get("/t").await.status);
    }
    assert_eq!(statuses, [503, 503, 429, 429]);
}
