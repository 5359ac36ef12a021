//! Bodies and statuses that response hooks make.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply, Step};

use crate::support::{bound, config, script, scripted};

const CACHED: (&str, &str) = ("cache-control", "max-age=60");

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_origin_response_is_stored_and_sent() {
    let origin = Origin::start(|_| {
        Reply::new(200, &[CACHED, ("content-encoding", "x-secret"), ("etag", "\"1\"")], vec![b'o'; 300_000])
    })
    .await;
    let edge = scripted(&origin, "origin-response", &["body made"]).await;
    for outcome in ["miss", "hit"] {
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (200, "made"), "{outcome}");
        assert_eq!(response.header("content-encoding"), None, "it told of the old body");
        assert_eq!(response.header("content-length"), Some("4"), "{outcome}");
    }
    assert_eq!(origin.count(), 1);
    let head = edge.request("HEAD", "/t", &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.length), (200, Some("4"), 0));
    // A range of the new body, not of the old one.
    assert_eq!(edge.request("GET", "/t", &[("range", "bytes=1-2")], b"").await.text(), "ad");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_made_for_answers_of_any_shape() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let shapes = [
        ("a length", Reply::new(200, &[], "origin")),
        ("chunks", Reply::raw(chunked)),
        ("chunks of nothing", Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("no body", Reply::new(200, &[], "")),
        ("an error without a body", Reply::new(404, &[], "")),
        ("until the end", Reply::raw("HTTP/1.0 200 OK\r\n\r\nold").then_close()),
    ];
    for stage in ["origin-response", "viewer-response"] {
        for (shape, reply) in shapes.clone() {
            let origin = hostile::always(reply).await;
            let on_errors = stage == "viewer-response";
            let binding = script(&["body made", "status 200", "set x-made 1"])
                .replace("hook = \"script\",", &format!("hook = \"script\", on_errors = {on_errors},"))
                .replace("on_errors = false,", "");
            let text = config(&["script"], &bound(stage, &binding));
            let edge = TestEdge::start(&text, &origin.address()).await;
            for method in ["GET", "HEAD", "POST"] {
                let response = edge.request(method, "/t", &[], if method == "POST" { b"x" } else { b"" }).await;
                let wanted = if method == "HEAD" { "" } else { "made" };
                assert_eq!((response.status, response.text().as_str()), (200, wanted), "{stage}, {shape}, {method}");
                assert_eq!(response.header("content-length"), Some("4"), "{stage}, {shape}, {method}");
                assert_eq!(response.header("x-made"), Some("1"), "{stage}, {shape}, {method}");
                assert!(response.header("cache-status").is_some() && response.header("via").is_some(), "{response:?}");
            }
            for line in edge.log_lines(3).await {
                assert_eq!((&line["status"], &line["fault"]), (&200.into(), &serde_json::Value::Null), "{line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_viewer_response_is_made_for_each_viewer_and_never_stored() {
    for body in ["origin's", ""] {
        let origin = Origin::start(move |_| Reply::new(200, &[CACHED], body)).await;
        let behaviors = format!(
            "[[distributions.site.behaviors]]\npath = \"/made/*\"\nhooks = {{ viewer-response = [{}] }}\n",
            script(&["body made", "status 203"])
        );
        let edge = TestEdge::start(&config(&["script"], &behaviors), &origin.address()).await;
        for turn in ["miss", "hit", "hit"] {
            let response = edge.get("/made/t").await;
            assert_eq!((response.status, response.text().as_str()), (203, "made"), "{body:?}, {turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_removes_the_old_one() {
    for stage in ["origin-response", "viewer-response"] {
        let origin = Origin::start(|_| Reply::new(200, &[CACHED], "origin's")).await;
        let edge = scripted(&origin, stage, &["body "]).await;
        for turn in ["miss", "hit"] {
            let response = edge.get("/t").await;
            assert_eq!((response.status, response.text().as_str()), (200, ""), "{stage}, {turn}");
            assert_eq!(response.header("content-length"), Some("0"), "{stage}, {turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_4_1_a_status_without_a_body_has_none() {
    for stage in ["origin-response", "viewer-response"] {
        let origin = Origin::start(|_| Reply::new(200, &[CACHED], "origin's")).await;
        let edge = scripted(&origin, stage, &["status 204", "body made"]).await;
        for turn in ["miss", "hit"] {
            let mut raw = edge.connect().await;
            raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
            let response = raw.response().await;
            assert_eq!((response.status, response.body.length), (204, 0), "{stage}, {turn}");
            assert_eq!(response.header("content-length"), None, "{stage}, {turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_15_3_6_a_reset_has_no_content() {
    for stage in ["origin-response", "viewer-response"] {
        let origin = Origin::start(|_| Reply::new(200, &[], "origin's")).await;
        for script in [&["status 205"][..], &["status 205", "body made"]] {
            let edge = scripted(&origin, stage, script).await;
            let response = edge.get("/t").await;
            assert_eq!((response.status, response.text().as_str()), (205, ""), "{stage}, {script:?}");
            assert_eq!(response.header("content-length"), Some("0"), "{stage}, {script:?}");
        }
    }
    let origin = Origin::start(|_| Reply::new(200, &[], "origin's")).await;
    let edge = scripted(&origin, "viewer-request", &["respond 205 made"]).await;
    assert_eq!(edge.get("/t").await.status, 502);
    let edge = scripted(&origin, "viewer-request", &["respond 205 "]).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.header("content-length")), (205, Some("0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_stages_limit_is_a_502() {
    for (stage, most) in [("origin-response", 1 << 20), ("viewer-response", 40 << 10)] {
        let origin = Origin::hello().await;
        let edge = scripted(&origin, stage, &[&format!("body *{most}")]).await;
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.body.length), (200, most), "{stage}");
        let edge = scripted(&origin, stage, &[&format!("body *{}", most + 1)]).await;
        assert_eq!(edge.get("/t").await.status, 502, "{stage}");
    }
}

/// A viewer-response hook that makes a body also where the edge answers by a status alone.
fn always(lines: &[&str]) -> String {
    let binding = script(lines).replace("hook = \"script\",", "hook = \"script\", on_errors = true,");
    config(&["script"], &bound("viewer-response", &binding))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_edge_makes_of_a_hit_without_a_body_stays_without() {
    let origin = Origin::start(|_| Reply::new(200, &[CACHED, ("etag", "\"1\"")], "origin's body")).await;
    let edge = TestEdge::start(&always(&["status 200", "body made"]), &origin.address()).await;
    assert_eq!(edge.get("/t").await.text(), "made");
    let mut raw = edge.connect().await;
    for (field, status) in [("If-None-Match: \"1\"", 304), ("Range: bytes=50-", 416)] {
        raw.send(format!("GET /t HTTP/1.1\r\nHost: site.test\r\n{field}\r\n\r\n")).await;
        let response = raw.response().await;
        assert_eq!((response.status, response.body.length), (status, 0), "{field}");
    }
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    assert_eq!(raw.response().await.text(), "made", "the connection is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_of_unknown_length_gets_its_body() {
    let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n";
    for body in ["0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"] {
        let origin = hostile::always(Reply::raw(format!("{head}{body}"))).await;
        let edge = scripted(&origin, "viewer-response", &["body made"]).await;
        for turn in 0..3 {
            assert_eq!(edge.get("/t").await.text(), "made", "{body:?}, {turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_the_edges_own_errors() {
    let edge = TestEdge::start(&always(&["status 200", "body sorry"]), &hostile::refused().await).await;
    for method in ["GET", "POST", "HEAD"] {
        let response = edge.request(method, "/t", &[], if method == "POST" { b"x" } else { b"" }).await;
        let wanted = if method == "HEAD" { "" } else { "sorry" };
        assert_eq!((response.status, response.text().as_str()), (200, wanted), "{method}");
        assert_eq!(response.header("content-length"), Some("5"), "{method}");
    }
    let edge = TestEdge::start(&always(&["status 204", "body sorry"]), &hostile::refused().await).await;
    assert_eq!((edge.get("/t").await.status, edge.get("/t").await.body.length), (204, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_not_offered_again_while_the_cache_is_still_filled() {
    let steps = [
        Step::Send(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nhalf1".to_vec().into()),
        Step::Pause(std::time::Duration::from_millis(300)),
        Step::Send(b"half2".to_vec().into()),
    ];
    let origin = Origin::start(move |_| Reply::script(steps.clone())).await;
    for stage in ["origin-response", "viewer-response"] {
        let edge = scripted(&origin, stage, &["body made"]).await;
        let mut raw = edge.connect().await;
        raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
        let response = raw.response().await;
        assert_eq!((response.text().as_str(), response.header("connection")), ("made", Some("close")), "{stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_1_what_a_hook_answers_in_place_of_the_origin_has_variants() {
    let origin = Origin::hello().await;
    let answer = ["respond 200 made", "cache-control max-age=60", "vary accept-language"];
    let edge = scripted(&origin, "origin-request", &answer).await;
    for outcome in ["miss", "hit", "hit"] {
        for language in ["de", "fr"] {
            let response = edge.get_with("/t", &[("Accept-Language", language)]).await;
            assert_eq!(response.text(), "made");
            let told = response.header("cache-status").expect("a status");
            assert_eq!(told.contains("hit"), outcome == "hit", "{language} {outcome}: {told}");
        }
    }
    assert_eq!(origin.count(), 0);
}
