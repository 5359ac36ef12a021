//! The shipped hooks header-rewrite and geo-route, end to end.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

const REWRITE: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [hooks.header-rewrite]
    file = "{hook:header-rewrite}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/rewrite/*"
    cache_policy = "CachingDisabled"
    [[distributions.site.behaviors.hooks.viewer-request]]
    hook = "header-rewrite"
    [distributions.site.behaviors.hooks.viewer-request.settings]
    path = "/rewrite/*/*"
    rewrite_path = "/${2}/${1}"
    request = [
        { op = "set", name = "x-set", value = "${1}-${2}" },
        { op = "append", name = "x-append", value = "more" },
        { op = "remove", name = "x-remove" },
        { op = "set", name = "x-facts", value = "${method} ${host} ${query} ${header:x-in} ${cookie:c}" },
    ]
    [[distributions.site.behaviors.hooks.viewer-response]]
    hook = "header-rewrite"
    settings = { response = [{ op = "set", name = "x-out", value = "edge" }, { op = "remove", name = "server" }] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn header_rewrite_edits_requests_and_responses() {
    let origin = Origin::start(|_| Reply::new(200, &[("server", "secret/1.0")], "body")).await;
    let edge = TestEdge::start(REWRITE, &origin.address()).await;
    let headers = [("X-Append", "first"), ("X-Remove", "1"), ("X-Set", "0"), ("X-In", "in"), ("Cookie", "c=cookie")];
    let response = edge.get_with("/rewrite/one/two?q=1", &headers).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("x-out"), Some("edge"));
    assert!(!response.header("server").unwrap_or_default().contains("secret"));
    let received = origin.only_request();
    assert_eq!(received.target(), "/two/one?q=1");
    assert_eq!(received.header_all("x-set"), ["one-two"]);
    assert_eq!(received.header_all("x-append"), ["first", "more"]);
    assert_eq!(received.header("x-remove"), None);
    assert_eq!(received.header("x-facts"), Some("GET site.test q=1 in cookie"));
}

const GEO: &str = r#"
    trusted_proxies = ["127.0.0.1/32"]
    [geo]
    databases = ["{database}"]
    [origins.main]
    url = "http://{origin}"
    [hooks.geo-route]
    file = "{hook:geo-route}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
    [[distributions.site.behaviors.hooks.origin-request]]
    hook = "geo-route"
    [distributions.site.behaviors.hooks.origin-request.settings]
    rules = [{ country = ["US"], path_prefix = "/us" }, { country = ["DE", "CH"], path_prefix = "/de" }]
    default = { path_prefix = "/en" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn geo_route_chooses_the_path_by_country() {
    let origin = Origin::hello().await;
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples/demo/country.mmdb");
    let edge = Setup::new(GEO).set("database", database).set("origin", &origin.address()).start().await;
    for (address, target, expected) in [
        ("8.8.8.8", "/page?q", "/us/page?q"),
        ("8.8.8.8", "/us/page", "/us/page"),
        ("192.0.2.1", "/page", "/en/page"),
        ("not an address", "/page", "/en/page"),
    ] {
        assert_eq!(edge.get_with(target, &[("X-Forwarded-For", address)]).await.status, 200);
        assert_eq!(origin.requests().pop().expect("a request").target(), expected, "{address}");
    }
}
