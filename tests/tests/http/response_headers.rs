//! Response headers policies: what they put on and take off, on which answers, and what stays of the origin's.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Response;

const CONFIG: &str = r#"
trusted_proxies = ["127.0.0.0/8"]

[origins.main]
url = "http://{origin}"

[response_headers_policies.own]
remove_headers = ["X-Powered-By", "x-both"]
custom_headers = [
    { header = "X-Forced", value = "edge" },
    { header = "X-Kept", value = "edge", override = false },
    { header = "X-Both", value = "edge", override = false },
    { header = "X-Empty", value = "" },
]
server_timing = { sampling_rate = 0 }

[response_headers_policies.own.security_headers]
content_security_policy = { value = "default-src 'self'", override = false }
content_type_options = {}
frame_options = { value = "DENY" }
referrer_policy = { value = "same-origin" }
strict_transport_security = { max_age = "365d", include_subdomains = true, preload = true }
xss_protection = { protection = true, report_uri = "/xss" }

[response_headers_policies.timed]
server_timing = { sampling_rate = 100 }

[distributions.site]
hosts = ["site.test"]
origin = "main"
response_headers_policy = "own"

[[distributions.site.behaviors]]
path = "/timed/*"
cache_policy = "CachingOptimized"
response_headers_policy = "timed"

[[distributions.site.behaviors]]
path = "/managed/*"
response_headers_policy = "CORS-with-preflight-and-SecurityHeadersPolicy"

[[distributions.site.behaviors]]
path = "/simple/*"
response_headers_policy = "SimpleCORS"

[[distributions.site.behaviors]]
path = "/dynamic/*"
methods = ["GET"]
cache_policy = "CachingDisabled"

[[distributions.site.behaviors]]
path = "*"
cache_policy = "CachingOptimized"
"#;

async fn start() -> (Origin, TestEdge) {
    let origin = Origin::start(|_| {
        let headers = [
            ("x-powered-by", "origin"),
            ("x-forced", "origin"),
            ("x-forced", "twice"),
            ("x-kept", "origin"),
            ("x-both", "origin"),
            ("content-security-policy", "default-src 'none'"),
            ("x-frame-options", "SAMEORIGIN"),
            ("etag", "\"1\""),
        ];
        Reply::new(200, &headers, b"hello")
    })
    .await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    (origin, edge)
}

fn one<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    let all = answer.header_all(name);
    assert!(all.len() <= 1, "{name}: {all:?}");
    all.first().copied()
}

/// What `own` makes of the origin's answer.
fn assert_own(answer: &Response) {
    assert_eq!(one(answer, "x-powered-by"), None);
    assert_eq!(one(answer, "x-forced"), Some("edge"));
    assert_eq!(one(answer, "x-kept"), Some("origin"));
    assert_eq!(one(answer, "x-both"), Some("edge"), "taken off before it is put on");
    assert_eq!(one(answer, "x-empty"), Some(""));
    assert_eq!(one(answer, "content-security-policy"), Some("default-src 'none'"));
    assert_eq!(one(answer, "x-content-type-options"), Some("nosniff"));
    assert_eq!(one(answer, "x-frame-options"), Some("DENY"));
    assert_eq!(one(answer, "referrer-policy"), Some("same-origin"));
    assert_eq!(one(answer, "x-xss-protection"), Some("1; report=/xss"));
    assert_eq!(one(answer, "server-timing"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn misses_hits_and_uncached_answers_have_the_policy() {
    let (origin, edge) = start().await;
    for target in ["/a", "/a", "/dynamic/a"] {
        let answer = edge.get(target).await;
        assert_own(&answer);
        assert_eq!((answer.status, one(&answer, "strict-transport-security")), (200, None), "not without TLS");
    }
    assert_eq!(origin.count(), 2);
    let checked = edge.get_with("/a", &[("if-none-match", "\"1\"")]).await;
    assert_eq!((checked.status, one(&checked, "x-forced")), (304, Some("edge")));
    let secure = edge.get_with("/dynamic/a", &[("x-forwarded-proto", "https")]).await;
    assert_eq!(one(&secure, "strict-transport-security"), Some("max-age=31536000; includeSubDomains; preload"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_edge_makes_has_the_policy_too() {
    let (origin, edge) = start().await;
    let refused = edge.request("POST", "/dynamic/a", &[], b"").await;
    assert_eq!((refused.status, origin.count()), (405, 0));
    assert_eq!(one(&refused, "x-forced"), Some("edge"));
    assert_eq!(one(&refused, "content-security-policy"), Some("default-src 'self'"));
    assert_eq!(one(&refused, "x-frame-options"), Some("DENY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn managed_policies_are_cloudfronts() {
    let (_origin, edge) = start().await;
    let answer = edge.get_with("/managed/a", &[("origin", "https://app.test"), ("x-forwarded-proto", "https")]).await;
    assert_eq!(one(&answer, "referrer-policy"), Some("strict-origin-when-cross-origin"));
    assert_eq!(one(&answer, "strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(one(&answer, "x-content-type-options"), Some("nosniff"));
    assert_eq!(one(&answer, "x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(one(&answer, "x-xss-protection"), Some("1; mode=block"));
    assert_eq!(one(&answer, "access-control-allow-origin"), Some("*"));
    assert_eq!(one(&answer, "access-control-expose-headers"), Some("*"));
    let preflight = [("origin", "https://app.test"), ("access-control-request-method", "PUT")];
    let answer = edge.request("OPTIONS", "/managed/a", &preflight, b"").await;
    assert_eq!(one(&answer, "access-control-allow-methods"), Some("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"));
    let simple = edge.get_with("/simple/a", &[("origin", "https://app.test")]).await;
    assert_eq!(one(&simple, "access-control-allow-origin"), Some("*"));
    assert_eq!(one(&simple, "x-frame-options"), Some("SAMEORIGIN"), "the origin's own");
    assert_eq!(one(&simple, "referrer-policy"), None);
    assert_eq!(one(&edge.get("/simple/a").await, "access-control-allow-origin"), None, "no page asks");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_timing_says_how_it_came_about() {
    let (_origin, edge) = start().await;
    let rid = |answer: &Response| format!(",cdn-rid;desc=\"{}\"", one(answer, "x-request-id").expect("an id"));
    let miss = edge.get("/timed/a").await;
    let told = one(&miss, "server-timing").expect("each answer has it");
    assert!(told.starts_with("cdn-cache-miss,cdn-upstream-layer;desc=\"EDGE\",cdn-upstream-fbl;dur="), "{told}");
    assert!(told.ends_with(&rid(&miss)), "{told}");
    let hit = edge.get("/timed/a").await;
    let wanted = format!("cdn-cache-hit,cdn-hit-layer;desc=\"EDGE\"{}", rid(&hit));
    assert_eq!(one(&hit, "server-timing"), Some(wanted.as_str()));
    let asked = edge.get_with("/dynamic/a", &[("pragma", "server-timing")]).await;
    assert!(
        one(&asked, "server-timing").is_some_and(|told| told.starts_with("cdn-cache-miss,")),
        "although the rate is 0"
    );
}
