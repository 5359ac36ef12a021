//! Serving stale (RFC 9111, section 4.2.4; RFC 5861): while an object is fetched again, and when the origin fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::wait::until;

use crate::support::{age, cache_status, counting, is_hit, let_expire, tells, with_policy};

#[tokio::test(flavor = "multi_thread")]
async fn rfc5861_3_stale_while_revalidate_answers_at_once_and_fetches_behind() {
    for cache_control in ["max-age=1, stale-while-revalidate=60", "s-maxage=1, stale-while-revalidate=60"] {
        let gate = Gate::new();
        let hold = gate.clone();
        let count = std::sync::atomic::AtomicUsize::new(0);
        let origin = Origin::start(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let reply = Reply::new(200, &[("cache-control", cache_control)], number.to_string());
            if number > 1 { reply.after(&hold) } else { reply }
        })
        .await;
        let edge = TestEdge::plain(&origin.address()).await;
        edge.get("/t").await;
        let_expire().await;
        for _ in 0..5 {
            let stale = edge.get("/t").await;
            assert_eq!(stale.text(), "1", "{cache_control}");
            assert!(is_hit(&stale) && tells(&stale, "detail=stale-while-revalidate"), "{:?}", cache_status(&stale));
            assert!(age(&stale).is_some_and(|age| age >= 2), "{cache_control}");
        }
        until("one fetch in the background", || origin.count() == 2).await;
        gate.open();
        let mut body = String::new();
        for _ in 0..100 {
            body = edge.get("/t").await.text();
            if body == "2" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!((body.as_str(), origin.count()), ("2", 2), "{cache_control}");
        assert!(edge.metric("edgeweir_cache_refreshes_total", &[]).await >= 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc5861_3_what_was_never_fresh_answers_stale_while_it_is_fetched_behind() {
    let origin = counting(&[("cache-control", "max-age=0, stale-while-revalidate=600")]).await;
    let edge = with_policy(&origin, "").await;
    assert_eq!(edge.get("/t").await.text(), "1");
    let stale = edge.get("/t").await;
    assert_eq!(stale.text(), "1");
    assert!(is_hit(&stale) && tells(&stale, "detail=stale-while-revalidate"), "{:?}", cache_status(&stale));
    until("the fetch in the background", || origin.count() == 2).await;
    let mut body = String::new();
    for _ in 0..100 {
        body = edge.get("/t").await.text();
        if body != "1" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(body, "1", "what was fetched behind took its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc5861_3_the_background_fetch_is_the_viewers_request() {
    let origin = Origin::start(|request| {
        let headers = [("cache-control", "max-age=1, stale-while-revalidate=60"), ("vary", "x-variant")];
        Reply::new(200, &headers, format!("{} {}", request.target(), request.header("x-variant").unwrap_or("-")))
    })
    .await;
    let edge = with_policy(&origin, "query = { only = [\"q\"] }").await;
    let variant = [("X-Variant", "a")];
    edge.get_with("/t?q=1&z=2", &variant).await;
    let_expire().await;
    assert!(is_hit(&edge.get_with("/t?q=1&z=3", &variant).await));
    until("the fetch in the background", || origin.count() == 2).await;
    let requests = origin.requests();
    assert_eq!((requests[1].method(), requests[1].target()), ("GET", "/t?q=1"));
    assert_eq!(requests[1].header("x-variant"), Some("a"));
    assert_eq!(requests[1].header("x-forwarded-for"), requests[0].header("x-forwarded-for"));
    assert_eq!(edge.log_lines(2).await.len(), 2, "the background has no line of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_fetch_is_charged_to_nobody() {
    let origin = counting(&[("cache-control", "max-age=1, stale-while-revalidate=60")]).await;
    let config = format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\n[distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n\
         throttle = {{ rate = 0.001, burst = 3 }}\n[[distributions.site.behaviors]]\npath = \"*\"\n"
    );
    let edge = TestEdge::start(&config, &origin.address()).await;
    edge.get("/t").await;
    let_expire().await;
    assert_eq!(edge.get("/t").await.status, 200);
    until("the fetch in the background", || origin.count() == 2).await;
    assert_eq!(edge.get("/t").await.status, 200, "the third of three");
    assert_eq!(edge.get("/t").await.status, 429);
}

async fn failing(cache_control: &'static str, policy: &str, failure: Reply) -> (TestEdge, Origin) {
    let origin = Origin::start(move |_| Reply::new(200, &[("cache-control", cache_control)], "good")).await;
    let edge = with_policy(&origin, policy).await;
    assert_eq!(edge.get("/t").await.text(), "good");
    origin.answer(move |_| failure.clone());
    let_expire().await;
    (edge, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_object_covers_an_origin_that_is_down() {
    for (failure, status) in [
        (Reply::new(503, &[], "bad"), Some("fwd-status=503")),
        (hostile::closes_at_once(), None),
        (hostile::garbage(), None),
    ] {
        let (edge, origin) = failing("max-age=1", "", failure).await;
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (200, "good"));
        assert!(
            tells(&response, "fwd=stale") && tells(&response, "detail=stale-if-error"),
            "{:?}",
            cache_status(&response)
        );
        assert!(status.is_none_or(|status| tells(&response, status)), "{:?}", cache_status(&response));
        let lines = edge.log_lines(2).await;
        assert_eq!(
            (lines[1]["cache"].as_str(), lines[1]["cache_why"].as_str()),
            (Some("stale"), Some("stale-if-error"))
        );
        origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "better"));
        assert_eq!(edge.get("/t").await.text(), "good", "for a moment");
        // The origin's `failure_memory` is over.
        edge.advance(Duration::from_secs(2));
        assert_eq!(edge.get("/t").await.text(), "better", "the origin is asked again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_2_4_what_must_be_revalidated_is_not_served_stale() {
    for cache_control in [
        "max-age=1, must-revalidate",
        "max-age=1, proxy-revalidate",
        "s-maxage=1",
        "max-age=1, stale-if-error=0",
        "max-age=1, no-cache",
    ] {
        let (edge, _origin) = failing(cache_control, "stale_if_error = \"1h\"", hostile::closes_at_once()).await;
        assert_eq!(edge.get("/t").await.status, 502, "{cache_control}");
    }
    let (edge, _origin) = failing("max-age=1", "stale_if_error = \"0s\"", Reply::new(503, &[], "bad")).await;
    assert_eq!(edge.get("/t").await.status, 503, "by policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc5861_4_stale_if_error_counts_also_beside_s_maxage() {
    for cache_control in ["max-age=1, stale-if-error=60", "s-maxage=1, stale-if-error=60"] {
        let (edge, _origin) = failing(cache_control, "stale_if_error = \"0s\"", Reply::new(500, &[], "bad")).await;
        assert_eq!(edge.get("/t").await.text(), "good", "{cache_control}");
    }
    let (edge, _origin) = failing("max-age=1, stale-if-error=1", "", Reply::new(500, &[], "bad")).await;
    let_expire().await;
    assert_eq!(edge.get("/t").await.status, 500, "the window is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_are_the_viewers_are_not_covered() {
    let (edge, _origin) = failing("max-age=1", "", Reply::new(404, &[], "gone")).await;
    assert_eq!(edge.get("/t").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_viewers_get_stale_objects_that_are_fetched_behind_them() {
    let origin = counting(&[("cache-control", "max-age=1, stale-while-revalidate=60")]).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut client = edgeweir_tests::http2::Client::connect(edge.address()).await;
    assert_eq!(client.get(HOST, "/t?q=%20", &[]).await.text(), "1");
    let_expire().await;
    assert_eq!(client.get(HOST, "/t?q=%20", &[]).await.text(), "1");
    until("the fetch in the background", || origin.count() == 2).await;
    assert_eq!(origin.requests()[1].target(), "/t?q=%20");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_down_is_not_tried_for_each_request() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=1")], "body")).await;
    let config = |memory: &str| {
        format!(
            "[origins.main]\nurl = \"http://{{origin}}\"\nfailure_memory = \"{memory}\"\n\
             [cache_policies.test]\nstale_if_error = \"1h\"\n\
             [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n\
             [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"test\"\n"
        )
    };
    let edge = Setup::new(&config("20s")).set("origin", &origin.address()).frozen().start().await;
    for path in ["/a", "/b", "/c"] {
        edge.get(path).await;
    }
    let address = origin.address();
    drop(origin);
    let_expire().await;
    let tried = edge.get("/a").await;
    assert!(tells(&tried, "detail=stale-if-error"), "{:?}", cache_status(&tried));
    for path in ["/a", "/b"] {
        let untried = edge.get(path).await;
        assert_eq!(untried.text(), "body");
        assert!(tells(&untried, "detail=origin-down") && is_hit(&untried), "{:?}", cache_status(&untried));
    }
    assert_eq!(edge.get("/never-stored").await.status, 502, "what has nothing to fall back on is tried");
    edge.advance(Duration::from_secs(21));
    assert!(tells(&edge.get("/b").await, "detail=stale-if-error"), "tried again");
    // Back on its port: the next try finds it.
    let listener = tokio::net::TcpListener::bind(&address).await.expect("the port is free");
    let back = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the edge connects");
        let mut head = [0; 4096];
        let _read = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
        let answer = b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nback";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.expect("the edge reads");
        stream
    });
    edge.advance(Duration::from_secs(21));
    assert_eq!(edge.get("/c").await.text(), "back");
    drop(back.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_error_covers_no_failure_unless_the_origin_says_so() {
    for (told, covers) in [(&[][..], false), (&[("cache-control", "max-age=1, stale-if-error=600")], true)] {
        let origin = Origin::start(move |_| Reply::new(404, told, "none")).await;
        let edge = with_policy(&origin, "stale_if_error = \"1h\"\nerrors = { 404 = \"1s\" }").await;
        assert!(tells(&edge.get("/t").await, "stored"));
        let_expire().await;
        origin.answer(|_| Reply::new(503, &[], "down"));
        assert_eq!(edge.get("/t").await.status, if covers { 404 } else { 503 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_is_covered_is_covered_for_a_while_without_asking_again() {
    let failing = Arc::new(AtomicBool::new(false));
    let origin = {
        let failing = Arc::clone(&failing);
        Origin::start(move |_| match failing.load(Ordering::SeqCst) {
            false => Reply::new(200, &[("cache-control", "max-age=1")], "body"),
            true => Reply::new(503, &[], "failed"),
        })
        .await
    };
    let config = format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\n\
         [cache_policies.test]\nstale_if_error = \"1h\"\nerrors = {{ 503 = \"10s\" }}\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"test\"\n"
    );
    let edge = Setup::new(&config).set("origin", &origin.address()).frozen().start().await;
    edge.get("/a").await;
    let_expire().await;
    failing.store(true, Ordering::SeqCst);
    assert!(tells(&edge.get("/a").await, "detail=stale-if-error"));
    for _ in 0..3 {
        let held = edge.get("/a").await;
        assert_eq!((held.status, held.text().as_str()), (200, "body"));
        assert!(tells(&held, "detail=origin-down") && is_hit(&held), "{:?}", cache_status(&held));
    }
    assert_eq!(origin.count(), 2, "asked once while it fails");
    assert_eq!(edge.get("/other").await.status, 503, "what is not stored is asked for");
    edge.advance(Duration::from_secs(9));
    assert!(tells(&edge.get("/a").await, "detail=origin-down"));
    edge.advance(Duration::from_secs(2));
    assert!(tells(&edge.get("/a").await, "detail=stale-if-error"), "tried again");
    failing.store(false, Ordering::SeqCst);
    edge.advance(Duration::from_secs(11));
    assert!(tells(&edge.get("/a").await, "fwd=stale"), "and found well");
    assert!(is_hit(&edge.get("/a").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_fails_is_not_tried_again_for_each_request() {
    let good = || Reply::new(200, &[("cache-control", "max-age=1, stale-while-revalidate=600")], "old");
    let origin = Origin::start(move |_| good()).await;
    let config = format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\nfailure_memory = \"5m\"\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n"
    );
    let edge = TestEdge::start(&config, &origin.address()).await;
    assert_eq!(edge.get("/t").await.text(), "old");
    origin.answer(|_| hostile::resets_at_once());
    let_expire().await;
    assert_eq!(edge.get("/t").await.text(), "old");
    until("a refresh", || origin.count() > 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let tries = origin.count();
    for _ in 0..20 {
        assert_eq!(edge.get("/t").await.text(), "old");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(origin.count(), tries, "the object answers, and nobody tries");
}
