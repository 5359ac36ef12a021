//! Origins that origin-request hooks choose by host.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{bound, config};

/// The guest chooses `url`; the binding allows `hosts`.
fn chosen(url: &str, hosts: &str) -> String {
    let binding = format!(
        "{{ hook = \"script\", dynamic_origins = {hosts}, settings = {{ script = \"dynamic-origin {url}\" }} }}"
    );
    config(&["script"], &bound("origin-request", &binding))
        .replace("[origins.main]\n", "[origins.main]\nheaders = { x-secret = \"not-to-be-sent\" }\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_listed_in_full_is_asked() {
    let main = Origin::hello().await;
    let other = Origin::start(|_| Reply::ok("other")).await;
    let address = other.address();
    let port = address.rsplit(':').next().expect("a port");
    for (url, host, hosts) in [
        (format!("http://127.0.0.1:{port}/v1"), address.clone(), "[\"127.0.0.1\"]"),
        (format!("http://localhost:{port}/v1/"), format!("localhost:{port}"), "[\"localhost\", \"*.example.com\"]"),
    ] {
        let edge = TestEdge::start(&chosen(&url, hosts), &main.address()).await;
        assert_eq!(edge.get("/t?q").await.text(), "other", "{url}");
        let received = other.requests().pop().expect("a request");
        assert_eq!((received.target(), received.header("host")), ("/v1/t?q", Some(host.as_str())));
        assert_eq!(received.header("x-secret"), None, "headers of another origin stay with it");
        let line = edge.log_lines(1).await.remove(0);
        assert!(line["origin"].as_str().is_some_and(|name| name.starts_with("dynamic:")), "{line}");
    }
    let url = format!("http://127.0.0.1:{port} www.other.test");
    let edge = TestEdge::start(&chosen(&url, "[\"127.0.0.1\"]"), &main.address()).await;
    assert_eq!(edge.get("/t").await.text(), "other");
    assert_eq!(other.requests().pop().expect("a request").header("host"), Some("www.other.test"));
    assert_eq!(main.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_listed_is_refused_with_the_rule() {
    let main = Origin::hello().await;
    for (url, hosts) in [
        ("http://127.0.0.1:1", "[\"*.example.com\"]"),
        ("http://example.com", "[\"*.example.com\"]"),
        ("http://a.example.com.evil.test", "[\"*.example.com\"]"),
        ("http://a.test", "[]"),
        ("ftp://a.test", "[\"a.test\"]"),
        ("http://127.1", "[\"127.0.0.1\"]"),
    ] {
        let edge = TestEdge::start(&chosen(url, hosts), &main.address()).await;
        assert_eq!(edge.get("/t").await.status, 502, "{url}");
        assert_eq!(edge.log_lines(1).await[0]["fault"], "hook-invalid", "{url}");
    }
    assert_eq!(main.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_below_a_domain_never_leads_to_this_machine() {
    let main = Origin::hello().await;
    let other = Origin::hello().await;
    let address = other.address();
    let port = address.rsplit(':').next().expect("a port");
    // The system's resolver says 127.0.0.1 for it (RFC 6761, 6.3); where it does not, there is no address at all.
    let edge =
        TestEdge::start(&chosen(&format!("http://a.localhost:{port}"), "[\"*.localhost\"]"), &main.address()).await;
    assert_eq!(edge.get("/t").await.status, 502);
    let fault = edge.log_lines(1).await[0]["fault"].clone();
    assert!(fault == "hook-invalid" || fault == "origin-dns", "{fault}");
    assert_eq!((main.heads(), other.heads()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_chosen_origins_are_kept_apart() {
    let main = Origin::hello().await;
    let address = main.address();
    let port = address.rsplit(':').next().expect("a port");
    let binding = format!(
        "{{ hook = \"script\", dynamic_origins = [\"127.0.0.1\"], \
         settings = {{ script = \"dynamic-origin http://127.0.0.1:{port}\" }} }}"
    );
    let behaviors = format!(
        "[[distributions.site.behaviors]]\npath = \"/chosen\"\nhooks = {{ origin-request = [{binding}] }}\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n"
    );
    let edge = TestEdge::start(&config(&["script"], &behaviors), &address).await;
    for _ in 0..4 {
        assert_eq!(edge.get("/t").await.status, 200);
        assert_eq!(edge.get("/chosen").await.status, 200);
    }
    let used = |target: &str| -> Vec<usize> {
        let requests = main.requests();
        requests.iter().filter(|request| request.target() == target).map(|request| request.connection).collect()
    };
    let (plain, chosen) = (used("/t"), used("/chosen"));
    assert!(plain.iter().all(|connection| !chosen.contains(connection)), "{plain:?} {chosen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_chosen_origins_are_checked() {
    let certified = edgeweir_tests::certs::Authority::new().issue(&["localhost"]);
    let other = edgeweir_tests::h2_origin::H2Origin::echo(Some(certified.acceptor(&["http/1.1"]))).await;
    let address = other.address();
    let port = address.rsplit(':').next().expect("a port");
    let text = chosen(&format!("https://localhost:{port}"), "[\"localhost\"]");
    let text = text.replace("[origins.main]\n", "[origins.main]\nverify_tls = false\n");
    let edge = TestEdge::start(&text, "127.0.0.1:9").await;
    assert_eq!(edge.get("/t").await.status, 502);
    assert_eq!(edge.log_lines(1).await[0]["fault"], "origin-tls", "whatever the config's origin says");
}
