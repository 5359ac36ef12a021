//! Errors that hooks make or see, and their pages: a miss and a hit are the same to a viewer.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::script;

const PAGE: &str = "<h1>nothing here</h1>";

async fn start(origin: &Origin, hooks: &str) -> TestEdge {
    let text = format!(
        r#"
    [origins.main]
    url = "http://{{origin}}"
    [hooks.script]
    file = "{{guest:script}}"
    [hooks.all-stages]
    file = "{{guest:all-stages}}"
    [cache_policies.told]
    x_cache = true
    errors = {{ 404 = "1h" }}
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    error_responses = [{{ status = 404, response_status = 200, page = "/errors/none.html" }}]
    [[distributions.site.behaviors]]
    path = "/errors/*"
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "told"
    hooks = {{ {hooks} }}
    "#
    );
    Setup::new(&text).set("origin", &origin.address()).start().await
}

async fn origin(status: u16, body: &'static str) -> Origin {
    Origin::start(move |request| match request.target() {
        "/errors/none.html" => Reply::new(200, &[("content-type", "text/html"), ("cache-control", "max-age=60")], PAGE),
        _ => Reply::new(status, &[], body),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_made_at_origin_request_has_its_page_on_misses_too() {
    let origin = origin(200, "unused").await;
    let made = script(&["respond 404 made", "content-type text/plain", "x-made 1"]);
    let hooks = format!("origin-request = [{made}], viewer-response = [\"all-stages\"]");
    let edge = start(&origin, &hooks).await;
    for (turn, generated) in [("miss", "LambdaGeneratedResponse"), ("hit", "Error")] {
        let answer = edge.get("/t").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, PAGE), "{turn}");
        assert_eq!(answer.header("content-type"), Some("text/html"), "{turn}");
        assert_eq!((answer.header("x-made"), answer.header("x-stage")), (Some("1"), None), "{turn}");
        assert_eq!(answer.header("x-cache"), Some(&*format!("{generated} from cloudfront")), "{turn}");
    }
    let head = edge.request("HEAD", "/t", &[], b"").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("21")));
    assert!(origin.requests().iter().all(|request| request.target() == "/errors/none.html"));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_has_an_empty_error_with_a_body_of_origin_response() {
    let origin = origin(404, "").await;
    let edge = start(&origin, &format!("origin-response = [{}]", script(&["body made", "set x-made 1"]))).await;
    for turn in ["first", "second"] {
        let answer = edge.get("/t").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, PAGE), "{turn}");
        assert_eq!((answer.header("x-made"), answer.header("x-cache")), (Some("1"), Some("Error from cloudfront")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_response_does_not_run_on_a_revalidated_error() {
    let origin = Origin::start(|request| {
        let fields = [("cache-control", "max-age=1"), ("etag", "\"e\"")];
        let known = request.header("if-none-match").is_some();
        Reply::new(if known { 304 } else { 404 }, &fields, if known { "" } else { "not found" })
    })
    .await;
    let text = "[origins.main]\nurl = \"http://{origin}\"\n[hooks.all-stages]\nfile = \"{guest:all-stages}\"\n\
                [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
                [[distributions.site.behaviors]]\npath = \"*\"\nhooks = { viewer-response = [\"all-stages\"] }\n\
                cache_policy = \"own\"\n[cache_policies.own]\n";
    let edge = Setup::new(text).set("origin", &origin.address()).start().await;
    for outcome in ["uri-miss", "hit", "stale", "hit"] {
        if outcome == "stale" {
            tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
        }
        let answer = edge.get("/t").await;
        assert!(answer.header("cache-status").is_some_and(|told| told.contains(outcome)), "{outcome}: {answer:?}");
        assert_eq!((answer.status, answer.text().as_str()), (404, "not found"), "{outcome}");
        assert_eq!(answer.header("x-stage"), None, "{outcome}");
    }
    assert_eq!(origin.requests()[1].header("if-none-match"), Some("\"e\""), "it was revalidated");
}
