//! Pages of other origins: preflights are answered by the edge, and every answer has the fields.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Response;

use crate::support::frozen;

fn config(cors: &str) -> String {
    format!(
        r#"
        [origins.main]
        url = "http://{{origin}}"
        [usage_plans.basic]
        [[api_keys]]
        name = "good"
        key = "test-key-0123456789abcdefghij"
        plans = ["basic"]
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        cors = {cors}
        [[distributions.site.behaviors]]
        path = "/api/*"
        methods = ["GET", "PUT"]
        api_key_required = true
        [[distributions.site.behaviors]]
        path = "/own"
        cors = {{ origins = ["https://own.test"] }}
        [[distributions.site.behaviors]]
        path = "*"
        cache_policy = "CachingOptimized"
        "#
    )
}

const APP: &str = r#"{ origins = ["https://app.test", "https://*.example.org"], headers = ["content-type", "authorization"], expose = ["x-request-id"], credentials = true, max_age = "10m" }"#;

async fn preflight(edge: &TestEdge, target: &str, origin: &str) -> Response {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization"),
    ];
    edge.request("OPTIONS", target, &headers, b"").await
}

async fn from(edge: &TestEdge, target: &str, origin: &str) -> Response {
    edge.get_with(target, &[("origin", origin)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_answered_without_key_and_origin() {
    let origin = Origin::hello().await;
    let edge = frozen(&config(APP), &origin).await;
    for web in ["https://app.test", "https://a.b.example.org"] {
        let answer = preflight(&edge, "/api/t", web).await;
        assert_eq!(answer.status, 204, "although OPTIONS is not among the methods");
        assert_eq!(answer.header("access-control-allow-origin"), Some(web));
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, PUT"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("content-type, authorization"));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(answer.header("access-control-expose-headers"), None);
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert!(answer.text().is_empty());
    }
    for stranger in ["https://evil.test", "http://app.test", "https://example.org", "null"] {
        let answer = preflight(&edge, "/api/t", stranger).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, None), "{stranger}");
        assert_eq!(answer.header("access-control-allow-methods"), None, "{stranger}");
    }
    assert_eq!(origin.heads(), 0);
    // Not a preflight: the method is not let through.
    assert_eq!(edge.request("OPTIONS", "/api/t", &[("origin", "https://app.test")], b"").await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_fields_too() {
    let origin = Origin::hello().await;
    let edge = frozen(&config(APP), &origin).await;
    let refused = from(&edge, "/api/t", "https://app.test").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, Some("https://app.test")));
    assert_eq!(refused.header("access-control-expose-headers"), Some("x-request-id"));
    let method = edge.request("DELETE", "/api/t", &[("origin", "https://app.test")], b"").await;
    assert_eq!((method.status, method.header("access-control-allow-origin")), (405, Some("https://app.test")));
    let stranger = from(&edge, "/api/t", "https://evil.test").await;
    assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (403, None));
    assert_eq!(stranger.header("vary"), Some("Origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_fields_of_who_asks_also_from_the_cache() {
    let origin = Origin::start(|_| {
        let fields = [
            ("cache-control", "max-age=60"),
            ("access-control-allow-origin", "https://stale.test"),
            ("access-control-allow-methods", "TRACE"),
            ("vary", "accept-language"),
        ];
        Reply::new(200, &fields, "hello")
    })
    .await;
    let edge = frozen(&config(APP), &origin).await;
    for web in ["https://app.test", "https://x.example.org"] {
        let answer = from(&edge, "/t", web).await;
        assert_eq!((answer.status, answer.header_all("access-control-allow-origin")), (200, vec![web]));
        assert_eq!(answer.header("access-control-allow-methods"), None, "for preflights only");
        assert_eq!(answer.header_all("vary"), ["accept-language", "Origin"]);
    }
    let plain = edge.get("/t").await;
    assert_eq!(plain.header("access-control-allow-origin"), None, "nobody asked");
    assert_eq!(plain.header_all("vary"), ["accept-language", "Origin"]);
    assert_eq!(origin.count(), 1, "one object for all");
    // A behavior with a policy of its own.
    assert_eq!(from(&edge, "/own", "https://app.test").await.header("access-control-allow-origin"), None);
    let own = from(&edge, "/own", "https://own.test").await;
    assert_eq!(own.header("access-control-allow-origin"), Some("https://own.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_is_a_star_and_the_origin_may_have_its_say() {
    let origin = Origin::start(|received| {
        let own = [("access-control-allow-origin", "https://said.test")];
        Reply::new(200, if received.target() == "/said" { &own[..] } else { &[] }, "hello")
    })
    .await;
    let text = r#"{ origins = ["*"], headers = ["*"], override = false }"#;
    let edge = frozen(&config(text), &origin).await;
    let answer = from(&edge, "/t", "https://any.test").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let said = from(&edge, "/said", "https://any.test").await;
    assert_eq!(said.header_all("access-control-allow-origin"), ["https://said.test"]);
    let allowed = preflight(&edge, "/t", "https://any.test").await;
    assert_eq!(allowed.header("access-control-allow-headers"), Some("*"));
    let methods = allowed.header("access-control-allow-methods").expect("methods");
    assert!(methods.starts_with("GET, HEAD, OPTIONS, PUT"), "{methods}");
}
