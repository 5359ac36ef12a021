//! The edge's own answers as the config changes them: gateway responses.

use edgeweir_tests::origin::Origin;

use crate::support::{KEY, frozen, with_key};

fn config(edge: &str, distribution: &str) -> String {
    format!(
        r#"
        {edge}
        [origins.main]
        url = "http://{{origin}}"
        [origins.gone]
        url = "http://127.0.0.1:9"
        [usage_plans.basic]
        throttle = {{ rate = 0.5, burst = 1 }}
        [[api_keys]]
        name = "good"
        key = "test-key-0123456789abcdefghij"
        plans = ["basic"]
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        {distribution}
        [[distributions.site.behaviors]]
        path = "/api/*"
        cache_policy = "CachingDisabled"
        api_key_required = true
        [[distributions.site.behaviors]]
        path = "/gone"
        origin = "gone"
        [[distributions.site.behaviors]]
        path = "/read"
        methods = ["GET"]
        "#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn without_settings_they_are_api_gateways() {
    let origin = Origin::hello().await;
    let edge = frozen(&config("", ""), &origin).await;
    let forbidden = edge.get("/api/t").await;
    assert_eq!((forbidden.status, forbidden.text().as_str()), (403, r#"{"message":"Forbidden"}"#));
    assert_eq!(forbidden.header("x-amzn-errortype"), Some("ForbiddenException"));
    assert_eq!(forbidden.header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_headers_and_body_can_be_changed_by_type() {
    let origin = Origin::hello().await;
    let responses = r#"
        [distributions.site.gateway_responses.THROTTLED]
        status = 503
        headers = { x-limit = "of $context.identity.apiKeyId in $context.apiId", retry-after = "7" }
        body = '{"error":$context.error.messageString,"id":"$context.requestId","type":"$context.error.responseType","status":$context.status}'
        [distributions.site.gateway_responses.INVALID_API_KEY]
        status = 401
        [distributions.site.gateway_responses.INTEGRATION_FAILURE]
        body = "<p>$context.path of $context.domainName by $context.httpMethod over $context.protocol</p>"
        content_type = "text/html; charset=utf-8"
    "#;
    let edge = frozen(&config("", responses), &origin).await;
    assert_eq!(with_key(&edge, KEY).await.status, 200);
    let throttled = with_key(&edge, KEY).await;
    let id = throttled.header("x-request-id").expect("each answer has one");
    let body = format!(r#"{{"error":"Too Many Requests","id":"{id}","type":"THROTTLED","status":503}}"#);
    assert_eq!((throttled.status, throttled.text()), (503, body));
    assert_eq!(throttled.header("x-limit"), Some("of good in site"));
    assert_eq!(throttled.header_all("retry-after"), ["7"]);
    assert_eq!(throttled.header("x-amzn-errortype"), Some("TooManyRequestsException"));
    let forbidden = edge.get("/api/t").await;
    assert_eq!((forbidden.status, forbidden.text().as_str()), (401, r#"{"message":"Forbidden"}"#));
    let gone = edge.get("/gone").await;
    assert_eq!((gone.status, gone.text().as_str()), (502, "<p>/gone of site.test by GET over HTTP/1.1</p>"));
    assert_eq!(gone.header("content-type"), Some("text/html; charset=utf-8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_from_the_request_stays_a_value() {
    let origin = Origin::hello().await;
    let responses = r#"
        [gateway_responses.RESOURCE_NOT_FOUND]
        headers = { x-agent = "$context.identity.userAgent" }
        body = '{"agent":"$method.request.header.User-Agent","q":"$method.request.querystring.q"}'
        [gateway_responses.DEFAULT_4XX]
        body = "<b>$method.request.header.User-Agent</b>"
        content_type = "text/html"
    "#;
    let edge = frozen(&config(responses, ""), &origin).await;
    let agent = [("user-agent", "a\"}<script>&")];
    let json = edge.get_with("/nowhere?q=1%22&q=2", &agent).await;
    let body = r#"{"agent":"a\"}\u003cscript>&","q":"1%22"}"#;
    assert_eq!((json.status, json.text().as_str()), (404, body));
    assert_eq!(json.header("x-agent"), Some("a\"}<script>&"));
    let html = edge.request("DELETE", "/read", &agent, b"").await;
    assert_eq!((html.status, html.text().as_str()), (405, "<b>a&#34;}&#60;script&#62;&#38;</b>"));
    assert_eq!(html.header("allow"), Some("GET"), "what RFC 9110 asks for stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_stand_for_all_others_and_the_nearest_counts() {
    let origin = Origin::hello().await;
    let edge_wide = r#"
        [gateway_responses.DEFAULT_4XX]
        status = 418
        [gateway_responses.DEFAULT_5XX]
        headers = { x-from = "edge" }
        [gateway_responses.INVALID_API_KEY]
        status = 404
    "#;
    let own = "[distributions.site.gateway_responses.RESOURCE_NOT_FOUND]\nstatus = 410";
    let edge = frozen(&config(edge_wide, own), &origin).await;
    assert_eq!(edge.get("/nowhere").await.status, 410, "the distribution's");
    assert_eq!(edge.get("/api/t").await.status, 404, "the edge's for the type");
    assert_eq!(edge.request("DELETE", "/read", &[], b"").await.status, 418, "the edge's for all others");
    assert_eq!(edgeweir_tests::raw::get(edge.address(), "nobody.test", "/", &[]).await.status, 418);
    let gone = edge.get("/gone").await;
    assert_eq!((gone.status, gone.header("x-from")), (502, Some("edge")));
    assert_eq!(edge.log_lines(1).await[0]["status"], 410);
}
