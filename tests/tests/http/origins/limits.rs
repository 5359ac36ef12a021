//! How many requests an origin works on at once.

use std::time::Duration;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::{self, Response};
use edgeweir_tests::wait::until;
use tokio::task::JoinHandle;

async fn limited(keys: &str, origin: &Origin) -> TestEdge {
    let text = format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\n{keys}\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"/stored/*\"\ncache_policy = \"CachingOptimized\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n"
    );
    TestEdge::start(&text, &origin.address()).await
}

async fn held() -> (Origin, Gate) {
    let gate = Gate::new();
    let hold = gate.clone();
    (Origin::start(move |_| Reply::ok("done").after(&hold)).await, gate)
}

fn get(edge: &TestEdge, target: &'static str) -> JoinHandle<Response> {
    let address = edge.address();
    tokio::spawn(async move { raw::get(address, "site.test", target, &[]).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_the_limit_are_503_and_never_reach_the_origin() {
    let (origin, gate) = held().await;
    let edge = limited("max_requests = 2", &origin).await;
    let at_work = [get(&edge, "/1"), get(&edge, "/2")];
    until("two are at work", || origin.count() == 2).await;
    edge.counted("edgeweir_origin_requests_in_flight", &[], 2.0).await;
    let busy = edge.get("/3").await;
    assert_eq!(busy.status, 503);
    assert_eq!(edge.log_lines(1).await[0]["fault"], "origin-busy");
    gate.open();
    for request in at_work {
        assert_eq!(request.await.expect("no panic").text(), "done");
    }
    assert_eq!(edge.get("/4").await.text(), "done");
    assert_eq!(origin.count(), 3);
    edge.counted("edgeweir_faults_total", &["fault=\"origin-busy\""], 1.0).await;
    assert_eq!(edge.metric("edgeweir_origin_requests_in_flight", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_in_the_queue_for_a_place() {
    let (origin, gate) = held().await;
    let edge = limited("max_requests = 1\nqueue = \"20s\"", &origin).await;
    let first = get(&edge, "/1");
    until("one is at work", || origin.count() == 1).await;
    let second = get(&edge, "/2");
    for _ in 0..100 {
        if edge.metric("edgeweir_origin_requests_waiting", &[]).await == 1.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(edge.get("/3").await.status, 503, "the queue is as long as the limit");
    gate.open();
    assert_eq!(first.await.expect("no panic").text(), "done");
    assert_eq!(second.await.expect("no panic").text(), "done");
    assert_eq!(edge.metric("edgeweir_origin_requests_waiting", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_has_a_time() {
    let (origin, gate) = held().await;
    let edge = limited("max_requests = 1\nqueue = \"200ms\"", &origin).await;
    let first = get(&edge, "/1");
    until("one is at work", || origin.count() == 1).await;
    assert_eq!(edge.get("/2").await.status, 503);
    gate.open();
    first.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_that_leave_and_origins_that_fail_give_their_places_back() {
    let (origin, gate) = held().await;
    let edge = limited("max_requests = 1", &origin).await;
    let mut left = edge.connect().await;
    left.send("GET /1 HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    until("it is at work", || origin.count() == 1).await;
    drop(left);
    for _ in 0..200 {
        if edge.metric("edgeweir_origin_requests_in_flight", &[]).await == 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gate.open();
    assert_eq!(edge.get("/2").await.text(), "done");
    for _ in 0..3 {
        origin.answer(|_| hostile::resets_at_once());
        assert_eq!(edge.get("/3").await.status, 502);
    }
    origin.answer(|_| Reply::ok("done"));
    assert_eq!(edge.get("/4").await.text(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_answer_finds_its_place_free() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "done")).await;
    let edge = limited("max_requests = 1", &origin).await;
    for turn in 0..100 {
        assert_eq!(edge.get(&format!("/t/{turn}")).await.text(), "done", "{turn}");
        assert_eq!(edge.get(&format!("/stored/{turn}")).await.text(), "done", "{turn}");
    }
    for turn in 0..50 {
        origin.answer(|_| hostile::resets_at_once());
        assert_eq!(edge.get("/broken").await.status, 502, "{turn}");
    }
    assert_eq!(edge.metric("edgeweir_origin_requests_in_flight", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_member_is_passed_over_and_a_reload_keeps_the_count() {
    let ((a, gate), b) = (held().await, Origin::hello().await);
    let text = "[origins.a]\nurl = \"http://{a}\"\nmax_requests = 1\n[origins.b]\nurl = \"http://{b}\"\n\
                [origin_groups.both]\nmembers = [\"a\", \"b\"]\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"both\"\n";
    let edge = Setup::new(text).set("a", &a.address()).set("b", &b.address()).start().await;
    let first = get(&edge, "/1");
    until("one is at work", || a.count() == 1).await;
    assert_eq!(edge.get("/2").await.text(), "hello");
    edge.reload(&format!("[gate]\nmax_url = \"4KiB\"\n{text}")).await.expect("a good config");
    assert_eq!(edge.get("/3").await.text(), "hello", "it is still full");
    assert_eq!(edge.request("POST", "/4", &[], b"x").await.status, 503);
    gate.open();
    assert_eq!(first.await.expect("no panic").text(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_object_answers_where_the_origin_is_busy() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=1")], "one")).await;
    let text = "[origins.main]\nurl = \"http://{origin}\"\nmax_requests = 1\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n";
    let edge = TestEdge::start(text, &origin.address()).await;
    edge.get("/t").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let gate = Gate::new();
    let hold = gate.clone();
    origin.answer(move |_| Reply::ok("slow").after(&hold));
    let slow = get(&edge, "/slow");
    until("it is at work", || origin.count() == 2).await;
    let stale = edge.get("/t").await;
    assert_eq!((stale.status, stale.text().as_str()), (200, "one"));
    gate.open();
    slow.await.expect("no panic");
}
