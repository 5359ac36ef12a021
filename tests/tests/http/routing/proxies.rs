//! Who asks, where proxies stand in front: the PROXY protocol, `Forwarded`, and the names under which the origin is told.

use std::net::SocketAddr;

use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Received};
use edgeweir_tests::raw::{Raw, request_bytes};
use edgeweir_tests::wait::deadline;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An edge with two listeners that want a PROXY header, the second with TLS.
async fn balanced(origin: &Origin, keys: &str) -> (TestEdge, Authority) {
    let authority = Authority::new();
    let config = format!(
        "{keys}\n[[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         proxy_protocol = true\ncertificates = [{{ certificate = \"{{dir}}/a.pem\", key = \"{{dir}}/a.key\" }}]\n\
         [origins.main]\nurl = \"http://{{origin}}\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\nviewer_headers = [\"CloudFront-Viewer-Address\"]\n"
    );
    let setup = Setup::new(&config).set("origin", &origin.address());
    drop(authority.issue(&["site.test"]).write(setup.folder(), "a"));
    (setup.start().await, authority)
}

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]";

fn seen(received: &Received) -> (&str, &str) {
    (
        received.header("x-forwarded-for").unwrap_or_default(),
        received.header("cloudfront-viewer-address").unwrap_or_default(),
    )
}

/// Sends bytes and reads until the edge closes; false if it answered anything.
async fn is_dropped(address: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(address).await.expect("the edge accepts");
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    drop(deadline("the edge closes", stream.read_to_end(&mut answer)).await);
    answer.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_says_who_connected() {
    let origin = Origin::mirror().await;
    let (edge, authority) = balanced(&origin, TRUSTED).await;
    let head = request_bytes("GET", "site.test", "/t", &[("X-Forwarded-For", "9.9.9.9")], b"");
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x01\x12\x34\x00\x50";
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    for (header, wanted) in [
        // The viewer is no proxy: what it says of itself does not count.
        (&b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n"[..], ("192.0.2.7", "192.0.2.7:5000")),
        (b"PROXY TCP6 2001:db8::7 ::1 5000 80\r\n", ("2001:db8::7", "2001:db8::7:5000")),
        (v2, ("192.0.2.1", "192.0.2.1:4660")),
        // Before the balancer stands a proxy that is trusted too.
        (b"PROXY TCP4 10.0.0.5 127.0.0.1 5000 80\r\n", ("9.9.9.9, 10.0.0.5", "9.9.9.9")),
        // Nobody is behind it: the balancer itself asks.
        (local, ("9.9.9.9, 127.0.0.1", "9.9.9.9")),
        (b"PROXY UNKNOWN\r\n", ("9.9.9.9, 127.0.0.1", "9.9.9.9")),
    ] {
        let mut raw = edge.connect().await;
        raw.send(header).await;
        raw.send(&head).await;
        assert_eq!(raw.response().await.status, 200, "{}", String::from_utf8_lossy(header));
        // The header is the connection's, not the request's.
        raw.send(&head).await;
        assert_eq!(raw.response().await.status, 200);
        for received in origin.requests().iter().rev().take(2) {
            assert_eq!(seen(received), wanted, "{}", String::from_utf8_lossy(header));
        }
    }
    let mut stream = TcpStream::connect(edge.addresses()[1]).await.expect("the edge accepts");
    stream.write_all(b"PROXY TCP4 192.0.2.8 127.0.0.1 5000 443\r\n").await.expect("it is sent");
    let stream = authority.client().over(stream, "site.test").await.expect("a handshake");
    let mut raw = Raw::over(stream);
    raw.send(&head).await;
    assert_eq!(raw.response().await.status, 200);
    assert_eq!(seen(origin.requests().last().expect("a request")), ("192.0.2.8", "192.0.2.8:5000"));
    let line = edge.log_lines(13).await.pop().expect("a line");
    assert_eq!(line["client"], "192.0.2.8");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_proxy_header_is_dropped() {
    let origin = Origin::mirror().await;
    let (edge, _) = balanced(&origin, &format!("{TRUSTED}\nserver.handshake_timeout = \"200ms\"")).await;
    for bytes in [
        &b"GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n"[..],
        b"PROXY TCP4 192.0.2.7 127.0.0.1 5000\r\nGET /t HTTP/1.1\r\nHost: site.test\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x01\x12\x34\x00\x50GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        // Never ends.
        b"PROXY TCP4 192.0",
        b"",
    ] {
        assert!(is_dropped(edge.address(), bytes).await, "{}", String::from_utf8_lossy(bytes));
    }
    edge.counted("edgeweir_refused_connections_total", &["\"proxy-protocol\""], 3.0).await;
    edge.counted("edgeweir_refused_connections_total", &["\"proxy-protocol-timeout\""], 2.0).await;
    assert_eq!(origin.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_trusted_balancers_are_heard() {
    let origin = Origin::mirror().await;
    let (edge, _) = balanced(&origin, "trusted_proxies = [\"10.0.0.0/8\"]").await;
    let bytes = b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\nGET /t HTTP/1.1\r\nHost: site.test\r\n\r\n";
    assert!(is_dropped(edge.address(), bytes).await);
    edge.counted("edgeweir_refused_connections_total", &["\"proxy-protocol-untrusted\""], 1.0).await;
    // On a listener that wants none it is what it looks like: no HTTP.
    let plain = TestEdge::plain(&origin.address()).await;
    assert_eq!(plain.exchange(bytes).await.status, 400);
    assert_eq!(origin.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_for_whom_they_are() {
    let origin = Origin::mirror().await;
    let (edge, _) = balanced(&origin, &format!("{TRUSTED}\nserver.max_connections_per_address = 1")).await;
    let head = request_bytes("GET", "site.test", "/t", &[], b"");
    let mut open = Vec::new();
    for viewer in 1..=4 {
        let mut raw = edge.connect().await;
        raw.send(format!("PROXY TCP4 192.0.2.{viewer} 127.0.0.1 5000 80\r\n")).await;
        raw.send(&head).await;
        assert_eq!(raw.response().await.status, 200);
        open.push(raw);
    }
    let mut again = b"PROXY TCP4 192.0.2.1 127.0.0.1 5001 80\r\n".to_vec();
    again.extend(&head);
    assert!(is_dropped(edge.address(), &again).await, "one is open for 192.0.2.1");
}

/// An edge that reads `Forwarded` of its proxies.
async fn forwarded(origin: &Origin) -> TestEdge {
    let config = r#"
        trusted_proxies = ["127.0.0.1/32", "10.0.0.0/8"]
        viewer = { address_header = "forwarded" }
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        viewer_headers = ["CloudFront-Viewer-Address", "CloudFront-Forwarded-Proto"]
    "#;
    TestEdge::start(config, &origin.address()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc7239_forwarded_is_walked_from_the_right() {
    let origin = Origin::mirror().await;
    let edge = forwarded(&origin).await;
    for (lines, chain, address, proto) in [
        (&["for=192.0.2.1;proto=https"][..], "192.0.2.1, 127.0.0.1", "192.0.2.1", "https"),
        (
            &["for=192.0.2.1;proto=https, for=10.1.1.1;proto=http"],
            "192.0.2.1, 10.1.1.1, 127.0.0.1",
            "192.0.2.1",
            "https",
        ),
        (&["for=192.0.2.1", "For=\"10.1.1.1:80\""], "192.0.2.1, 10.1.1.1, 127.0.0.1", "192.0.2.1", "http"),
        // What a viewer wrote is left of what the proxy saw.
        (&["for=8.8.8.8;proto=https, for=192.0.2.1;proto=http"], "192.0.2.1, 127.0.0.1", "192.0.2.1", "http"),
        (&["for=\"8.8.8.8, for=192.0.2.1;proto=https"], "192.0.2.1, 127.0.0.1", "192.0.2.1", "https"),
        (&["for=\"[2001:db8::1]:4711\""], "2001:db8::1, 127.0.0.1", "2001:db8::1", "http"),
        // Names tell nothing.
        (&["for=192.0.2.1, for=unknown"], "127.0.0.1", "127.0.0.1:", "http"),
        (&["for=192.0.2.1, for=_hidden"], "127.0.0.1", "127.0.0.1:", "http"),
        (&["for=192.0.2.1;for=192.0.2.2"], "127.0.0.1", "127.0.0.1:", "http"),
        (&[], "127.0.0.1", "127.0.0.1:", "http"),
    ] {
        let mut fields = vec![("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Proto", "https"), ("X-Real-IP", "9.9.9.9")];
        fields.extend(lines.iter().map(|line| ("Forwarded", *line)));
        assert_eq!(edge.get_with("/t", &fields).await.status, 200);
        let received = origin.requests().pop().expect("a request");
        let (hops, viewer) = seen(&received);
        assert_eq!(hops, chain, "{lines:?}");
        assert!(viewer.starts_with(address), "{lines:?}: {viewer}");
        assert_eq!(received.header("cloudfront-forwarded-proto"), Some(proto), "{lines:?}");
        assert_eq!(received.header("forwarded"), None, "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_field_of_the_config_is_read_and_only_of_proxies() {
    let origin = Origin::mirror().await;
    // The usual one.
    let config = "trusted_proxies = [\"127.0.0.1/32\"]\n[origins.main]\nurl = \"http://{origin}\"\n[distributions.site]\n\
        hosts = [\"site.test\"]\norigin = \"main\"\n";
    let edge = TestEdge::start(config, &origin.address()).await;
    edge.get_with("/t", &[("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "192.0.2.2")]).await;
    edge.get_with("/t", &[("Forwarded", "for=192.0.2.1")]).await;
    // Nobody is trusted.
    let nobody = TestEdge::plain(&origin.address()).await;
    nobody.get_with("/t", &[("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "192.0.2.2")]).await;
    let chains: Vec<String> =
        origin.requests().iter().map(|received| received.header("x-forwarded-for").unwrap_or("-").to_owned()).collect();
    assert_eq!(chains, ["192.0.2.2, 127.0.0.1", "127.0.0.1", "127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_have_the_prefix_of_the_config_and_nobody_else_may_use_it() {
    let origin = Origin::mirror().await;
    let site = r#"
        [viewer]
        header_prefix = "Edge-"
        [[distributions.site.behaviors]]
        cache_policy = "by-device"
        viewer_headers = ["CloudFront-Viewer-Http-Version", "Edge-Is-Tablet-Viewer", "Edge-Is-IOS-Viewer", "CloudFront-Viewer-TLS",
            "CloudFront-Viewer-Header-Order", "CloudFront-Viewer-Header-Count"]
        [cache_policies.by-device]
        headers = ["CloudFront-Is-Desktop-Viewer"]
        forward_headers = ["CloudFront-Viewer-Country"]
    "#;
    let edge = super::behind_a_proxy(&origin, site).await;
    let ipad = "Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1";
    let fields = [
        ("User-Agent", ipad),
        ("X-Forwarded-For", "8.8.8.8"),
        ("Edge-Is-IOS-Viewer", "lie"),
        ("Edge-Anything", "lie"),
        ("CloudFront-Viewer-Country", "lie"),
    ];
    assert_eq!(edge.get_with("/t", &fields).await.status, 200);
    let received = origin.only_request();
    for (name, value) in [
        ("edge-viewer-http-version", Some("1.1")),
        ("edge-is-tablet-viewer", Some("true")),
        ("edge-is-ios-viewer", Some("true")),
        ("edge-is-desktop-viewer", Some("false")),
        ("edge-viewer-country", Some("US")),
        ("edge-viewer-header-count", Some("6")),
        (
            "edge-viewer-header-order",
            Some("Host:User-Agent:X-Forwarded-For:Edge-Is-IOS-Viewer:Edge-Anything:CloudFront-Viewer-Country"),
        ),
        ("edge-viewer-tls", None),
        ("edge-anything", None),
        ("cloudfront-viewer-country", None),
    ] {
        assert_eq!(received.header(name), value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_facts_tell_how_the_connection_came_about() {
    let origin = Origin::mirror().await;
    let authority = Authority::new();
    let config = "[[listeners]]\naddress = \"127.0.0.1:0\"\ncertificates = [{ certificate = \"{dir}/a.pem\", key = \"{dir}/a.key\" }]\n\
        [origins.main]\nurl = \"http://{origin}\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n\
        [[distributions.site.behaviors]]\nviewer_headers = [\"CloudFront-Viewer-TLS\"]\n";
    let setup = Setup::new(config).set("origin", &origin.address());
    drop(authority.issue(&["site.test"]).write(setup.folder(), "a"));
    let edge = setup.start().await;
    let stream = authority.connect(edge.address(), "site.test", &["http/1.1"]).await.expect("a handshake");
    let mut raw = Raw::over(stream);
    for kind in ["fullHandshake", "connectionReused"] {
        raw.send(request_bytes("GET", "site.test", "/t", &[], b"")).await;
        assert_eq!(raw.response().await.status, 200);
        let told = origin.requests().pop().expect("a request").header("cloudfront-viewer-tls").map(str::to_owned);
        let told = told.expect("TLS facts");
        // As IANA's registry has the suite.
        assert!(told.starts_with("TLSv1.3:TLS_") && told.ends_with(&format!(":{kind}")), "{told}");
    }
}
