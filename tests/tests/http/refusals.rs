//! Pages for what the edge refuses by itself: refusing stays cheap for the origin, whoever causes it and how often.

use std::time::Duration;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw;

/// The page is stored nowhere.
const CONFIG: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["*"]
    origin = "main"
    error_responses = [{ status = 403, page = "/errors/no.html" }, { status = 404, page = "/errors/none.html" }]
    [[distributions.site.behaviors]]
    path = "/errors/*"
    cache_policy = "CachingDisabled"
    [[distributions.site.behaviors]]
    path = "/open/*"
    [[distributions.site.behaviors]]
    path = "*"
    api_key_required = true
"#;

async fn start(page: Reply) -> (TestEdge, Origin) {
    let mut page = page;
    page.0.insert(0, Step::Pause(Duration::from_millis(30)));
    let origin = Origin::start(move |_| page.clone()).await;
    let edge = Setup::new(CONFIG).set("origin", &origin.address()).frozen().start().await;
    (edge, origin)
}

/// Is refused so often, by some connections at once.
async fn refused(edge: &TestEdge, text: &str) {
    let attackers = (0..20).map(|_| async {
        for _ in 0..10 {
            let response = edge.get("/t").await;
            assert_eq!((response.status, response.text().as_str()), (403, text));
        }
    });
    futures_util::future::join_all(attackers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_stored_is_fetched_once_a_second_however_many_are_refused() {
    let (edge, origin) = start(Reply::ok("keep out")).await;
    refused(&edge, "keep out").await;
    assert_eq!(origin.heads(), 1, "of 200 refusals");
    edge.advance(Duration::from_millis(1100));
    origin.answer(|_| Reply::ok("still"));
    refused(&edge, "still").await;
    assert_eq!(origin.heads(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_a_page_that_cannot_be_had() {
    let (edge, origin) = start(Reply::new(500, &[], "broken")).await;
    refused(&edge, r#"{"message":"Forbidden"}"#).await;
    assert_eq!(origin.heads(), 1, "of 200 refusals");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_made_up_have_few_pages() {
    let (edge, origin) = start(Reply::ok("keep out")).await;
    let hosts: Vec<String> = (0..200).map(|number| format!("host-{number}.test")).collect();
    let answers = hosts.iter().map(|host| raw::get(edge.address(), host, "/t", &[]));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| answer.status == 403));
    let with = answers.iter().filter(|answer| answer.text() == "keep out").count();
    assert_eq!((with, origin.heads()), (64, 64));
    let log = edge.log_text();
    assert!(!log.contains("/errors/"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_are_pages_for_errors_that_are_stored() {
    let (edge, origin) = start(Reply::ok("unused")).await;
    origin.answer(|request| match request.target() {
        "/errors/none.html" => Reply::ok("nothing here"),
        _ => Reply::new(404, &[("cache-control", "max-age=60")], "not found"),
    });
    for _ in 0..50 {
        let response = edge.get("/open/t").await;
        assert_eq!((response.status, response.text().as_str()), (404, "nothing here"));
    }
    // The error, its page then, and one for all that came from the cache.
    assert_eq!(origin.heads(), 3);
}
