//! Custom error responses: pages in the place of errors of origins and of the edge, and what stays as it is without them. And
//! the form of the edge's own errors.

use std::time::Duration;

use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::http2::{Client, request};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Response;

const CONFIG: &str = r#"
[origins.main]
url = "http://{origin}"

[origins.down]
url = "http://127.0.0.1:1"
connect_timeout = "1s"

[cache_policies.all]
default_ttl = "1h"
stale_if_error = "0s"

[public_keys.k]
key = { file = "{vectors}/rsa-public.pem" }

[key_groups.g]
keys = ["k"]

[distributions.site]
hosts = ["site.test"]
origin = "main"
error_responses = [
    { status = 404, response_status = 200, page = "/errors/none.html", ttl = "5m" },
    { status = 403, page = "/errors/keep-out.html" },
    { status = 502, response_status = 503, page = "/errors/down.html" },
    { status = 500, page = "/errors/missing.html" },
    { status = 410, ttl = "0s" },
]

[[distributions.site.behaviors]]
path = "/errors/*"
cache_policy = "all"
methods = ["GET"]

[[distributions.site.behaviors]]
path = "/signed/*"
trusted_key_groups = ["g"]

[[distributions.site.behaviors]]
path = "/down/*"
origin = "down"

[[distributions.site.behaviors]]
path = "/dynamic/*"
cache_policy = "CachingDisabled"

[[distributions.site.behaviors]]
path = "*"
cache_policy = "all"

[distributions.other]
hosts = ["other.test"]
origin = "main"
"#;

async fn start() -> (Origin, TestEdge) {
    let origin = Origin::start(|request| match request.target() {
        "/errors/none.html" => Reply::new(
            200,
            &[("content-type", "text/html"), ("cache-control", "max-age=600"), ("x-page", "none"), ("etag", "\"p\"")],
            b"<h1>nothing here</h1>",
        ),
        "/errors/keep-out.html" => Reply::new(200, &[("content-type", "text/html")], b"keep out"),
        "/errors/down.html" => Reply::new(200, &[("content-type", "text/html")], b"back soon"),
        target if target.contains("empty") => Reply::new(404, &[("x-origin", "1")], Vec::new()),
        target if target.contains("chunked") => Reply::chunked(404, &[("x-origin", "1")], &["not", "found"]),
        target if target.contains("500") => Reply::new(500, &[], b"broken"),
        target if target.contains("410") => Reply::new(410, &[], b"gone"),
        target if target.contains("403") => Reply::new(403, &[("www-authenticate", "x")], b"no"),
        target if target.ends_with("ok") => Reply::ok("fine"),
        _ => Reply::new(
            404,
            &[("x-origin", "1"), ("content-type", "text/plain"), ("content-language", "en"), ("etag", "\"e\"")],
            b"not found",
        ),
    })
    .await;
    let vectors = format!("{}/vectors", env!("CARGO_MANIFEST_DIR"));
    let edge = Setup::new(CONFIG).set("origin", &origin.address()).set("vectors", &vectors).start().await;
    (origin, edge)
}

fn assert_none_page(answer: &Response) {
    assert_eq!((answer.status, answer.text().as_str()), (200, "<h1>nothing here</h1>"));
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert_eq!(answer.header("x-page"), Some("none"));
    assert_eq!(answer.header("content-length"), Some("21"));
    assert_eq!((answer.header("content-language"), answer.header("etag")), (None, None));
    assert_eq!(answer.header("cache-control"), None, "that of the page is about the page");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_origins_have_their_pages_stored_or_not() {
    let (origin, edge) = start().await;
    for target in
        ["/dynamic/a", "/dynamic/empty", "/dynamic/chunked", "/a", "/a", "/empty", "/empty", "/chunked", "/chunked"]
    {
        let answer = edge.get(target).await;
        assert_none_page(&answer);
        assert_eq!(answer.header("x-origin"), Some("1"), "{target}");
    }
    let fetched = |target: &str| origin.requests().iter().filter(|request| request.target() == target).count();
    assert_eq!(fetched("/errors/none.html"), 1, "the page is stored");
    assert_eq!((fetched("/a"), fetched("/empty"), fetched("/chunked")), (1, 1, 1), "so are errors, for `ttl`");
    let head = edge.request("HEAD", "/a", &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.text().as_str()), (200, Some("21"), ""));
    // Connections stay in step.
    let mut raw = edge.connect().await;
    for target in ["/dynamic/a", "/dynamic/ok"] {
        raw.send(format!("GET {target} HTTP/1.1\r\nhost: site.test\r\n\r\n")).await;
        assert_eq!(raw.response().await.status, 200);
    }
    edge.get("/410").await;
    assert_eq!((edge.get("/410").await.text().as_str(), fetched("/410")), ("gone", 2), "never stored");
    let lines = edge.log_lines(14).await;
    assert!(lines.iter().all(|line| line["path"] != "/errors/none.html"), "no viewer asked for a page");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_with_http_2_get_the_same() {
    let (_origin, edge) = start().await;
    let mut client = Client::connect(edge.address()).await;
    for target in ["/dynamic/a", "/dynamic/empty", "/dynamic/chunked", "/a", "/a", "/empty", "/empty", "/chunked"] {
        let answer = client.get(HOST, target, &[]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "<h1>nothing here</h1>"), "{target}");
        assert_eq!(answer.header("content-length"), Some("21"), "{target}");
    }
    let head = client.request(request("HEAD", HOST, "/dynamic/a", &[]), b"").await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("21")));
    let refused = client.get(HOST, "/signed/a", &[]).await;
    assert_eq!((refused.status, refused.text().as_str()), (403, "keep out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_with_errors_fetches_a_page_once() {
    let (origin, edge) = start().await;
    let address = edge.address();
    let crowd: Vec<_> = (0..32)
        .map(|number| {
            tokio::spawn(
                async move { edgeweir_tests::raw::get(address, HOST, &format!("/dynamic/{number}"), &[]).await },
            )
        })
        .collect();
    for answer in crowd {
        assert_none_page(&answer.await.expect("no panic"));
    }
    let pages = origin.requests().iter().filter(|request| request.target() == "/errors/none.html").count();
    assert_eq!(pages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_page_to_be_had_stays_as_it_is() {
    let (_origin, edge) = start().await;
    let broken = edge.get("/dynamic/500").await;
    assert_eq!((broken.status, broken.text().as_str()), (500, "broken"), "the page is a 404 itself");
    let direct = edge.get("/errors/missing.html").await;
    assert_eq!(direct.status, 200, "a page that is missing is an error like others");
    let grpc = edge.request("POST", "/dynamic/a", &[("content-type", "application/grpc+proto")], b"x").await;
    assert_eq!((grpc.status, grpc.text().as_str()), (404, "not found"));
    let other = edgeweir_tests::raw::get(edge.address(), "other.test", "/dynamic/a", &[]).await;
    assert_eq!((other.status, other.text().as_str()), (404, "not found"), "each distribution has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edges_own_errors_have_their_pages_too() {
    let (_origin, edge) = start().await;
    let refused = edge.get("/signed/a").await;
    assert_eq!((refused.status, refused.text().as_str()), (403, "keep out"));
    assert_eq!(refused.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    let down = edge.get("/down/a").await;
    assert_eq!((down.status, down.text().as_str(), down.header("content-type")), (503, "back soon", Some("text/html")));
    let lines = edge.log_lines(2).await;
    let told: Vec<_> = lines.iter().map(|line| (line["status"].as_u64(), line["fault"].as_str())).collect();
    assert_eq!(told, [(Some(403), Some("signature-missing")), (Some(503), Some("origin-connect"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_pages() {
    let (_origin, edge) = start().await;
    assert_none_page(&edge.get("/dynamic/a").await);
    let without = CONFIG.replace("response_status = 200, page", "page");
    edge.reload(&without).await.expect("a good config");
    assert_eq!(edge.get("/dynamic/a").await.status, 404);
    edge.advance(Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_get_a_page_and_programs_json() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let at = |accept: &'static str| {
        let edge = &edge;
        async move { edgeweir_tests::raw::get(edge.address(), "nobody.test", "/", &[("accept", accept)]).await }
    };
    let page = at(browser).await;
    assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    let id = format!("<code>{}</code>", page.header("x-request-id").expect("each answer has one"));
    assert!(page.text().contains("<h1>404 Not Found</h1>") && page.text().contains(&id), "{}", page.text());
    assert_eq!((page.header("vary"), page.header("cache-control")), (Some("Accept"), Some("no-store")));
    for accept in ["*/*", "application/json", "text/html;q=0.1,application/json"] {
        let json = at(accept).await;
        assert_eq!(json.text(), r#"{"message":"Not Found: no distribution has this host"}"#, "{accept}");
        assert_eq!(json.header("content-type"), Some("application/json"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_no_behavior_has_gets_the_page_of_its_host() {
    let origin = Origin::start(|request| match request.target() {
        "/errors/none.html" => Reply::new(200, &[("content-type", "text/html")], "no such page"),
        _ => Reply::ok("fine"),
    })
    .await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["*"]
        origin = "main"
        error_responses = [{ status = 404, page = "/errors/none.html" }]
        [[distributions.site.behaviors]]
        path = "/errors/*"
        [[distributions.site.behaviors]]
        path = "/app/*"
    "#;
    let edge = Setup::new(config).set("origin", &origin.address()).start().await;
    assert_eq!(edge.get("/app/a").await.text(), "fine");
    let missing = edge.get("/elsewhere").await;
    assert_eq!((missing.status, missing.text().as_str()), (404, "no such page"));
    assert_eq!(
        (missing.header("content-type"), missing.header("cache-control")),
        (Some("text/html"), Some("no-store"))
    );
    assert_eq!(edge.log_lines(2).await[1]["fault"], "no-behavior");
    // Nothing is asked for where the host is not known yet.
    let bad = edge.exchange("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").await;
    assert_eq!((bad.status, origin.count()), (400, 2));
}
