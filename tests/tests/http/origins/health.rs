//! Health checks: who is left out, who comes back, and how long they run.

use std::time::Duration;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Received, Reply};
use edgeweir_tests::wait::until;

fn config(check: &str) -> String {
    format!(
        "[origins.main]\nurl = \"http://app.test/base\"\naddresses = [\"{{a}}\", \"{{b}}\"]\nheaders = {{ x-key = \"1\" }}\n{check}\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n"
    )
}

const CHECK: &str =
    "health_check = { path = \"/health?q\", interval = \"100ms\", timeout = \"300ms\", healthy = 2, unhealthy = 2 }";

async fn start(check: &str, a: &Origin, b: &Origin) -> TestEdge {
    Setup::new(&config(check)).set("a", &a.address()).set("b", &b.address()).start().await
}

fn is_check(request: &Received) -> bool {
    request.target() == "/base/health?q"
}

fn checks(origin: &Origin) -> usize {
    origin.requests().iter().filter(|request| is_check(request)).count()
}

fn served(origin: &Origin) -> usize {
    origin.requests().iter().filter(|request| !is_check(request)).count()
}

/// Answers checks like this, and everything else with 200.
fn healthy(origin: &Origin, reply: Reply) {
    origin.answer(move |request| if is_check(request) { reply.clone() } else { Reply::ok("served") });
}

/// Waits until the edge uses so many addresses.
async fn up(edge: &TestEdge, count: f64) {
    for _ in 0..200 {
        if (edge.metric("edgeweir_origin_address_up", &[]).await - count).abs() < 0.5 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {count} addresses in use: {}", edge.metrics().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_fails_its_checks_gets_no_requests_until_it_passes_again() {
    let cases = [
        Reply::new(503, &[], ""),
        Reply::new(404, &[], ""),
        hostile::resets_at_once(),
        hostile::silent(),
        hostile::garbage(),
    ];
    for reply in cases {
        let (a, b) = (Origin::hello().await, Origin::hello().await);
        healthy(&a, Reply::ok(""));
        healthy(&b, Reply::new(302, &[("location", "/")], ""));
        let edge = start(CHECK, &a, &b).await;
        up(&edge, 2.0).await;
        healthy(&a, reply);
        up(&edge, 1.0).await;
        let before = served(&a);
        for _ in 0..6 {
            assert_eq!(edge.get("/t").await.text(), "served");
        }
        assert_eq!(served(&a), before, "it is left out");
        let status = edge.admin("GET", "/v1/status").await.text();
        assert!(status.contains("unhealthy"), "{status}");
        healthy(&a, Reply::ok(""));
        up(&edge, 2.0).await;
        for _ in 0..4 {
            edge.get("/t").await;
        }
        assert!(served(&a) > before);
        assert!(edge.metric("edgeweir_origin_health_checks_total", &["result=\"failed\""]).await >= 2.0);
        assert!(edge.metric("edgeweir_origin_health_checks_total", &["result=\"passed\""]).await >= 2.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_a_request_of_the_origin() {
    let (a, b) = (Origin::hello().await, Origin::hello().await);
    let edge = start(CHECK, &a, &b).await;
    until("a second check", || checks(&a) >= 2).await;
    let request = a.requests().remove(0);
    assert_eq!((request.method(), request.target()), ("GET", "/base/health?q"));
    assert_eq!(request.header("host"), Some("app.test"));
    assert_eq!(request.header("user-agent"), Some("edgeweir-health-check"));
    assert_eq!(request.header("x-key"), Some("1"));
    assert!(a.connections() >= 2, "each over a connection of its own");
    drop(edge);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_fail_their_checks_all_are_used() {
    let (a, b) = (Origin::hello().await, Origin::hello().await);
    healthy(&a, Reply::new(500, &[], ""));
    healthy(&b, Reply::new(500, &[], ""));
    let edge = start(CHECK, &a, &b).await;
    up(&edge, 0.0).await;
    for _ in 0..6 {
        assert_eq!(edge.get("/t").await.text(), "served");
    }
    assert!(served(&a) > 0 && served(&b) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statuses_that_pass_can_be_chosen() {
    let (a, b) = (Origin::hello().await, Origin::hello().await);
    healthy(&a, Reply::new(404, &[], ""));
    healthy(&b, Reply::ok(""));
    let edge = start(&CHECK.replace("healthy = 2, un", "statuses = [404], healthy = 2, un"), &a, &b).await;
    up(&edge, 1.0).await;
    edge.get("/t").await;
    assert_eq!((served(&a), served(&b)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_run_on_over_reloads_and_end_with_their_origin() {
    let (a, b) = (Origin::hello().await, Origin::hello().await);
    healthy(&a, Reply::new(503, &[], ""));
    let edge = start(
        &CHECK.replace("interval = \"100ms\"", "interval = \"1h\"").replace("unhealthy = 2", "unhealthy = 1"),
        &a,
        &b,
    )
    .await;
    up(&edge, 1.0).await;
    let hourly = CHECK.replace("interval = \"100ms\"", "interval = \"1h\"").replace("unhealthy = 2", "unhealthy = 1");
    edge.reload(&format!("[gate]\nmax_url = \"4KiB\"\n{}", config(&hourly))).await.expect("a good config");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(checks(&a), 1, "the same task goes on: it does not begin again");
    up(&edge, 1.0).await;
    edge.reload(&config(CHECK)).await.expect("a good config");
    until("the new check runs", || checks(&a) >= 3).await;
    edge.reload(&config("")).await.expect("a good config");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ended = checks(&a);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(checks(&a), ended, "nobody checks any more");
    up(&edge, 2.0).await;
    edge.reload(&config(CHECK)).await.expect("a good config");
    until("it runs again", || checks(&a) > ended).await;
    assert!(edge.shutdown().await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ended = checks(&a);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(checks(&a), ended, "checks end with the edge");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_passes_over_a_member_that_fails_its_checks() {
    let (a, b) = (Origin::hello().await, Origin::hello().await);
    healthy(&a, Reply::new(503, &[], ""));
    let text = format!(
        "[origins.a]\nurl = \"http://{{a}}/base\"\n{CHECK}\n[origins.b]\nurl = \"http://{{b}}\"\n\
         [origin_groups.both]\nmembers = [\"a\", \"b\"]\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"both\"\n"
    );
    let edge = Setup::new(&text).set("a", &a.address()).set("b", &b.address()).start().await;
    for _ in 0..200 {
        if edge.metric("edgeweir_origin_address_up", &["origin=\"a\""]).await == 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(edge.get("/t").await.text(), "hello");
    assert_eq!(served(&a), 0);
}
