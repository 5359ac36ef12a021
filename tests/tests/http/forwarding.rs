//! What origins get beside the viewer's own words: `Host`, forwarding fields, `Via`, ids, secrets. And what viewers get.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::h2_origin::H2Origin;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Received, Reply, Step};
use edgeweir_tests::process::free_port;

async fn received(config: &str, headers: &[(&str, &str)]) -> Received {
    let origin = Origin::mirror().await;
    let edge = TestEdge::start(config, &origin.address()).await;
    assert_eq!(edge.get_with("/t", headers).await.status, 200);
    origin.only_request()
}

fn config(origin_keys: &str) -> String {
    format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\n{origin_keys}\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_gets_its_own_name_as_host_by_default() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    assert_eq!(origin.only_request().header_all("host"), [origin.address()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn host_header_viewer_sends_the_viewers_host() {
    let received = received(&config("host_header = \"viewer\""), &[]).await;
    assert_eq!(received.header_all("host"), ["site.test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn host_header_can_be_a_fixed_name() {
    let received = received(&config("host_header = \"backend.example\""), &[]).await;
    assert_eq!(received.header_all("host"), ["backend.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_headers_overwrite_the_viewers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "from-a-file\n").expect("a writable folder");
    let keys = format!("headers = {{ \"x-one\" = \"from-config\", \"x-two\" = {{ file = {secret:?} }} }}");
    let received = received(&config(&keys), &[("X-One", "viewer"), ("x-one", "again"), ("X-Two", "viewer")]).await;
    assert_eq!(received.header_all("x-one"), ["from-config"]);
    assert_eq!(received.header_all("x-two"), ["from-a-file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origins_path_prefix_comes_first() {
    let origin = Origin::mirror().await;
    let config = config("").replace("http://{origin}", "http://{origin}/base");
    let edge = TestEdge::start(&config, &origin.address()).await;
    edge.get("/t?q=1").await;
    assert_eq!(origin.only_request().target(), "/base/t?q=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_fields_tell_address_protocol_and_host() {
    let received = received(&config(""), &[]).await;
    assert_eq!(received.header_all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(received.header_all("x-forwarded-proto"), ["http"]);
    assert_eq!(received.header_all("x-forwarded-host"), ["site.test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_3_via_is_appended() {
    let origin = Origin::start(|_| Reply::new(200, &[("via", "1.1 inner")], "")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get_with("/t", &[("Via", "1.0 outer")]).await;
    let at_origin = origin.only_request().header_all("via").join(", ");
    assert!(at_origin.starts_with("1.0 outer, 1.1 "), "{at_origin}");
    // A gateway may, but need not, add itself to responses.
    assert!(response.header_all("via").join(", ").starts_with("1.1 inner"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_3_a_request_that_goes_in_a_circle_is_508() {
    let origin = Origin::mirror().await;
    let uncached = config("") + "[[distributions.site.behaviors]]\ncache_policy = \"CachingDisabled\"\n";
    let edge = TestEdge::start(&uncached, &origin.address()).await;
    let others = "1.1 proxy, 1.1 edgeweirs, 1.1 my-edgeweir (edgeweir)";
    let via = |edges: usize| format!("{others}{}", ", 1.1 edgeweir".repeat(edges));
    assert_eq!(edge.get_with("/t", &[("Via", &via(8))]).await.status, 200);
    assert_eq!(edge.get_with("/t", &[("Via", &via(5)), ("Via", &via(4))]).await.status, 508);
    assert_eq!(origin.count(), 1);
    assert_eq!(edge.log_lines(2).await.last().expect("a line")["fault"], "loop");

    let itself = format!("127.0.0.1:{}", free_port());
    let keys = "host_header = \"viewer\"";
    let circle = uncached.replace("{origin}\"", &format!("{itself}\"\n{keys}"));
    let edge = TestEdge::start(&format!("{circle}[[listeners]]\naddress = \"{itself}\"\n"), &itself).await;
    assert_eq!(edge.get("/t").await.status, 508);
    assert_eq!(edge.log_lines(10).await.len(), 10, "one for each turn, and the one that ended it");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_6_2_trailers_that_are_not_passed_on_are_not_announced() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n";
    let origin = Origin::start(move |_| Reply::script([Step::Send(answer.into())])).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get("/t").await;
    assert_eq!((response.text().as_str(), response.header("trailer")), ("ok", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_3_via_says_the_version_that_the_answer_came_in() {
    let old = hostile::always(hostile::http10()).await;
    let new = H2Origin::echo(None).await;
    for (address, keys, wanted) in
        [(old.address(), "", "1.0 edgeweir"), (new.address(), "http = \"h2-only\"", "2.0 edgeweir")]
    {
        let edge = TestEdge::start(&config(keys), &address).await;
        assert_eq!(edge.get("/t").await.header_all("via"), [wanted]);
        // Without a look at the cache.
        assert_eq!(edge.request("POST", "/t", &[], b"x").await.header_all("via"), [wanted]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_3_2_an_origin_gets_a_host_also_for_http_1_0() {
    let old = Origin::mirror().await;
    let new = H2Origin::echo(None).await;
    for (address, keys) in
        [(old.address(), "host_header = \"viewer\""), (new.address(), "http = \"h2-only\"\nhost_header = \"viewer\"")]
    {
        let edge = TestEdge::start(&config(keys).replace("site.test", "*"), &address).await;
        let response = edge.exchange("GET /t HTTP/1.0\r\n\r\n").await;
        assert_eq!(response.status, 200, "{}", response.text());
        let named = edge.exchange("GET /t HTTP/1.0\r\nHost: named.test\r\n\r\n").await;
        assert_eq!(named.status, 200);
    }
    let hosts: Vec<_> = old.requests().iter().map(|request| request.header_all("host").concat()).collect();
    assert_eq!(hosts, [old.address(), "named.test".to_owned()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_scheme_that_proxies_tell_counts() {
    let config = format!("trusted_proxies = [\"127.0.0.1/32\"]\n{}", config(""));
    for (lines, scheme) in [
        (&[("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")][..], "http"),
        (&[("X-Forwarded-Proto", "http"), ("X-Forwarded-Proto", "https")], "https"),
        (&[("X-Forwarded-Proto", "http, https")], "https"),
    ] {
        assert_eq!(received(&config, lines).await.header_all("x-forwarded-proto"), [scheme], "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_an_id_that_origin_viewer_and_log_share() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let response = edge.get("/t").await;
        let at_viewer = response.header("x-request-id").expect("an id for the viewer").to_owned();
        let at_origin = origin.requests().pop().expect("a request").header("x-request-id").map(str::to_owned);
        assert_eq!(at_origin.as_deref(), Some(at_viewer.as_str()));
        assert!(at_viewer.len() >= 16, "{at_viewer}");
        ids.push(at_viewer);
    }
    assert_ne!(ids[0], ids[1]);
    let logged: Vec<_> = edge.log_lines(2).await.iter().map(|line| line["request_id"].clone()).collect();
    assert_eq!(logged, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_names_a_request_and_not_with_what_harms_a_log() {
    let trusting = format!("trusted_proxies = [\"127.0.0.1\"]\n{}", config(""));
    for (config, id, taken) in
        [(&config(""), "an-id", false), (&trusting, "an-id", true), (&trusting, "evil\u{22}id", false)]
    {
        let received = received(config, &[("X-Request-Id", id)]).await;
        let ids = received.header_all("x-request-id");
        assert_eq!((ids.len(), ids[0] == id), (1, taken), "{ids:?}");
        assert!(!ids[0].contains("evil"), "{ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w3c_traceparent_is_passed_on() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let received = received(&config(""), &[("traceparent", trace), ("tracestate", "a=1")]).await;
    let passed = received.header("traceparent").expect("traceparent goes on");
    assert!(passed.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && passed.ends_with("-01"), "{passed}");
    assert_eq!(received.header("tracestate"), Some("a=1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_country_goes_to_the_origin_when_asked_for() {
    let origin = Origin::mirror().await;
    let config = r#"
        trusted_proxies = ["127.0.0.1/32"]
        [geo]
        databases = ["{database}"]
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "/none/*"
        viewer_headers = []
        [[distributions.site.behaviors]]
        path = "*"
        viewer_headers = ["CloudFront-Viewer-Country", "CloudFront-Viewer-Address", "CloudFront-Forwarded-Proto"]
    "#;
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples/demo/country.mmdb");
    let edge = Setup::new(config).set("database", database).set("origin", &origin.address()).start().await;
    for (address, country) in [("8.8.8.8", Some("US")), ("192.0.2.1", None)] {
        edge.get_with("/t", &[("X-Forwarded-For", address), ("CloudFront-Viewer-Country", "XX")]).await;
        let received = origin.requests().pop().expect("a request");
        assert_eq!(received.header("cloudfront-viewer-country"), country, "{address}");
        let viewer = received.header("cloudfront-viewer-address").unwrap_or_default().to_owned();
        assert!(viewer.starts_with(address), "{viewer}");
        assert_eq!(received.header("cloudfront-forwarded-proto"), Some("http"));
    }
    edge.get_with("/none/t", &[("X-Forwarded-For", "8.8.8.8"), ("CloudFront-Viewer-Country", "XX")]).await;
    let received = origin.requests().pop().expect("a request");
    assert_eq!(received.header("cloudfront-viewer-country"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_matching_behavior_is_404() {
    let origin = Origin::mirror().await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "/only/*.html"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    assert_eq!(edge.get("/only/a.html").await.status, 200);
    for target in ["/only/a.txt", "/ONLY/a.html", "/other", "/"] {
        assert_eq!(edge.get(target).await.status, 404, "{target}");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_behavior_that_matches_wins() {
    let origins = [Origin::hello().await, Origin::hello().await, Origin::hello().await];
    let config = r#"
        [origins.a]
        url = "http://{a}"
        [origins.b]
        url = "http://{b}"
        [origins.c]
        url = "http://{c}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "c"
        [[distributions.site.behaviors]]
        path = "/img/a??.jpg"
        origin = "a"
        [[distributions.site.behaviors]]
        path = "*.jpg"
        origin = "b"
        [[distributions.site.behaviors]]
        path = "*"
    "#;
    let mut setup = Setup::new(config);
    for (name, origin) in ["a", "b", "c"].iter().zip(&origins) {
        setup = setup.set(name, &origin.address());
    }
    let edge = setup.start().await;
    for (target, expected) in
        [("/img/ant.jpg", 0), ("/img/at.jpg", 1), ("/x/y/z.jpg?q=.png", 1), ("/x.jpeg", 2), ("/x?name=.jpg", 2)]
    {
        let before: Vec<usize> = origins.iter().map(Origin::count).collect();
        assert_eq!(edge.get(target).await.status, 200);
        for (number, origin) in origins.iter().enumerate() {
            assert_eq!(origin.count(), before[number] + usize::from(number == expected), "origin {number}, {target}");
        }
    }
}
