//! No hook sees or harms another request.

use std::time::{Duration, Instant};

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::get;

const CONFIG: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [hooks.header-rewrite]
    file = "{hook:header-rewrite}"
    timeout = "5s"
    [hooks.spin]
    file = "{guest:spin}"
    timeout = "300ms"
    [hooks.trap]
    file = "{guest:trap}"
    [hooks.alloc]
    file = "{guest:alloc}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/spin"
    hooks = { viewer-request = ["spin"] }
    [[distributions.site.behaviors]]
    path = "/trap"
    hooks = { viewer-request = ["trap"] }
    [[distributions.site.behaviors]]
    path = "/alloc"
    hooks = { viewer-request = ["alloc"] }
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
    [[distributions.site.behaviors.hooks.viewer-request]]
    hook = "header-rewrite"
    settings = { request = [{ op = "set", name = "x-copy", value = "${header:x-id}" }] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_keep_their_values_while_others_break() {
    let origin = Origin::start(|request| Reply::ok(request.header("x-copy").unwrap_or("none"))).await;
    let edge = Setup::new(CONFIG).set("origin", &origin.address()).start().await;
    let address = edge.address();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..60 {
        tasks.spawn(async move {
            let id = format!("id-{number}");
            let (target, status) = match number % 6 {
                0 => ("/trap", 503),
                1 => ("/alloc", 503),
                _ => ("/fine", 200),
            };
            let response = get(address, "site.test", target, &[("X-Id", &id)]).await;
            assert_eq!(response.status, status, "{target}");
            if status == 200 {
                assert_eq!(response.text(), id, "another request's value");
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.expect("each request as it should be");
    }
    assert_eq!(origin.count(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spinning_hooks_do_not_stall_other_requests() {
    let origin = Origin::start(|_| Reply::ok("fine")).await;
    let edge = Setup::new(CONFIG).set("origin", &origin.address()).start().await;
    let address = edge.address();
    // More spinners than threads.
    let mut spinners = tokio::task::JoinSet::new();
    for _ in 0..8 {
        spinners.spawn(async move { get(address, "site.test", "/spin", &[]).await.status });
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    let start = Instant::now();
    assert_eq!(get(address, "site.test", "/fine", &[("X-Id", "1")]).await.status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?} beside spinning hooks", start.elapsed());
    while let Some(status) = spinners.join_next().await {
        assert_eq!(status.expect("no panic"), 503);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_between_calls() {
    // The guest takes all its memory on each call: were any of it kept, later calls of others would fail.
    let origin = Origin::start(|_| Reply::ok("fine")).await;
    let edge: TestEdge = Setup::new(CONFIG).set("origin", &origin.address()).start().await;
    for _ in 0..20 {
        assert_eq!(edge.get("/alloc").await.status, 503);
    }
    assert_eq!(edge.get_with("/fine", &[("X-Id", "1")]).await.text(), "fine");
}
