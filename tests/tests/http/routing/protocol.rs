//! Viewer protocol policy and default root object (CloudFront: "Viewer protocol policy", "Specify a default root object").

use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::Setup;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::{Raw, Response, request_bytes};
use edgeweir_tests::reply::Reply;

use super::behind_a_proxy;

const REDIRECTS: &str = "viewer_protocol_policy = \"redirect-to-https\"\n";

fn to(response: &Response) -> (u16, &str) {
    (response.status, response.header("location").unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_redirected_to_the_same_url_and_asks_nobody() {
    let origin = Origin::mirror().await;
    let site = format!("{REDIRECTS}[[distributions.site.behaviors]]\napi_key_required = true\nmethods = [\"GET\"]\n");
    let edge = behind_a_proxy(&origin, &site).await;
    let response = edge.get("/a/../b%7e//c?x=%2f&y").await;
    assert_eq!(to(&response), (301, "https://site.test/a/../b%7e//c?x=%2f&y"));
    assert_eq!(response.header("content-length"), Some("0"));
    for (method, status) in [("HEAD", 301), ("POST", 307), ("OPTIONS", 307), ("DELETE", 307)] {
        let response = edge.request(method, "/x", &[], b"").await;
        assert_eq!(to(&response), (status, "https://site.test/x"), "{method}");
    }
    // The port belongs to HTTP, and another host of the distribution stays.
    let asked = "GET /x HTTP/1.1\r\nHost: WWW.site.test:8080\r\nConnection: close\r\n\r\n";
    assert_eq!(to(&edge.exchange(asked).await), (301, "https://www.site.test/x"));
    // What a trusted proxy says counts: then the key is asked for.
    assert_eq!(edge.get_with("/x", &[("X-Forwarded-Proto", "https")]).await.status, 403);
    assert_eq!(edge.get_with("/x", &[("X-Forwarded-Proto", "http")]).await.status, 301);
    assert_eq!(origin.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_is_only_redirected_where_it_knows_how() {
    let origin = Origin::mirror().await;
    let edge = behind_a_proxy(&origin, REDIRECTS).await;
    let ask = async |method: &str, host: &str| edge.exchange(format!("{method} /x HTTP/1.0\r\n{host}\r\n")).await;
    assert_eq!(to(&ask("GET", "Host: site.test\r\n").await), (301, "https://site.test/x"));
    assert_eq!(ask("POST", "Host: site.test\r\nContent-Length: 0\r\n").await.status, 403);
    // Without a host no distribution is asked for by name.
    assert_eq!(ask("GET", "").await.status, 404);
    let line = edge.log_lines(2).await.remove(1);
    assert_eq!(line["fault"], "https-required");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_port_can_be_chosen_and_behaviors_go_before_the_distribution() {
    let origin = Origin::mirror().await;
    let site = format!(
        "{REDIRECTS}https_port = 8443\nredirect_status = 302\n\
         [[distributions.site.behaviors]]\npath = \"/keeps\"\nredirect_status = 308\n\
         [[distributions.site.behaviors]]\npath = \"/only\"\nviewer_protocol_policy = \"https-only\"\n\
         [[distributions.site.behaviors]]\npath = \"/all\"\nviewer_protocol_policy = \"allow-all\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n"
    );
    let edge = behind_a_proxy(&origin, &site).await;
    assert_eq!(to(&edge.get("/x").await), (302, "https://site.test:8443/x"));
    assert_eq!(to(&edge.request("POST", "/x", &[], b"body").await), (307, "https://site.test:8443/x"));
    for method in ["GET", "PUT"] {
        assert_eq!(to(&edge.request(method, "/keeps", &[], b"").await), (308, "https://site.test:8443/keeps"));
    }
    let refused = edge.get("/only").await;
    assert_eq!((refused.status, refused.header("location")), (403, None));
    assert!(refused.text().contains("HTTPS is required"), "{}", refused.text());
    assert_eq!(edge.get("/all").await.status, 200);
    for path in ["/x", "/keeps", "/only", "/all"] {
        assert_eq!(edge.get_with(path, &[("X-Forwarded-Proto", "https")]).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_listener_needs_no_word_of_a_proxy_and_an_untrusted_one_is_not_heard() {
    let origin = Origin::mirror().await;
    let authority = Authority::new();
    let config = format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         certificates = [{{ certificate = \"{{dir}}/a.pem\", key = \"{{dir}}/a.key\" }}]\n\
         [origins.main]\nurl = \"http://{{origin}}\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n{REDIRECTS}"
    );
    let setup = Setup::new(&config).set("origin", &origin.address());
    drop(authority.issue(&["site.test"]).write(setup.folder(), "a"));
    let edge = setup.start().await;
    assert_eq!(edge.get_with("/x", &[("X-Forwarded-Proto", "https")]).await.status, 301);
    let without_host = edge.exchange("GET /x HTTP/1.0\r\n\r\n").await;
    assert_eq!(without_host.status, 403, "there is no host to send it to");
    for protocols in [&["http/1.1"][..], &["h2"]] {
        let stream = authority.connect(edge.addresses()[1], "site.test", protocols).await.expect("a handshake");
        let status = if protocols == ["h2"] {
            edgeweir_tests::http2::Client::over(stream).await.get("site.test", "/x", &[]).await.status
        } else {
            let mut raw = Raw::over(stream);
            raw.send(request_bytes("GET", "site.test", "/x", &[("X-Forwarded-Proto", "http")], b"")).await;
            raw.response().await.status
        };
        assert_eq!(status, 200, "{protocols:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_object_stands_for_the_root_only() {
    let origin = Origin::start(|request| Reply::new(200, &[("cache-control", "max-age=60")], request.target())).await;
    let site = "default_root_object = \"site/index.html\"\n\
         [[distributions.site.behaviors]]\npath = \"*.html\"\ncache_policy = \"CachingOptimized\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\nmethods = [\"GET\", \"HEAD\"]\nraw_path = true\n";
    let edge = behind_a_proxy(&origin, site).await;
    for (asked, got) in [
        ("/?q=1", "/site/index.html"),
        ("/", "/site/index.html"),
        ("/site/index.html", "/site/index.html"),
        ("/folder/", "/folder/"),
        ("/site/", "/site/"),
        ("/x", "/x"),
    ] {
        assert_eq!(edge.get(asked).await.text(), got, "{asked}");
    }
    // One object, in the behavior of its own name.
    assert_eq!(origin.requests().iter().filter(|request| request.target() == "/site/index.html").count(), 1);
    let order = serde_json::json!({ "urls": ["site.test/"] });
    assert_eq!(edge.purge(&order).await.0, 200);
    edge.get("/").await;
    assert_eq!(origin.requests().iter().filter(|request| request.target() == "/site/index.html").count(), 2);
}
