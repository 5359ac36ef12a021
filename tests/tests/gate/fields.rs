//! Header fields that a viewer may not set, and fields of responses that concern only one connection.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Received, Reply};

use crate::support::{assert_still_serving, mirrored, passed, refused};

fn with(lines: &str) -> String {
    format!("GET /t HTTP/1.1\r\nHost: site.test\r\n{lines}\r\n\r\n")
}

fn shown(received: &Received) -> String {
    String::from_utf8_lossy(&received.head.raw).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_underscores_are_dropped() {
    let (edge, origin) = mirrored().await;
    let lines =
        "X_Forwarded_For: 1.2.3.4\r\nContent_Length: 5\r\nX_Api_Key: k\r\nTransfer_Encoding: chunked\r\nX-Kept: 1";
    let (_, received) = passed(&edge, &origin, with(lines)).await;
    let names: Vec<&str> = received.head.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.iter().all(|name| !name.contains('_')), "{names:?}");
    assert_eq!(received.header("x-kept"), Some("1"));
}

const SPOOFS: [(&str, &str); 16] = [
    ("X-Real-IP", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6;host=evil.test;proto=https"),
    ("X-Forwarded-Server", "evil.test"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Original-URL", "/evil"),
    ("X-Rewrite-URL", "/evil"),
    ("X-HTTP-Method-Override", "EVIL"),
    ("X-HTTP-Method", "EVIL"),
    ("X-Method-Override", "EVIL"),
    ("X-Original-Host", "evil.test"),
    ("X-Forwarded-Port", "evil"),
    ("X-Client-IP", "6.6.6.6"),
    ("X-Cluster-Client-IP", "6.6.6.6"),
    ("True-Client-IP", "6.6.6.6"),
    ("CloudFront-Viewer-Country", "EV"),
    ("Proxy", "http://evil.test"),
];

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_fields_of_untrusted_viewers_are_dropped() {
    let (edge, origin) = mirrored().await;
    for (name, value) in SPOOFS {
        let (_, received) = passed(&edge, &origin, with(&format!("{name}: {value}"))).await;
        let evil = ["6.6.6.6", "evil", "EVIL"].iter().any(|word| shown(&received).contains(word));
        assert!(!evil, "{name} got through: {}", shown(&received));
        assert_ne!(received.header(name), Some(value), "{name} got through");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_sets_the_forwarding_fields_itself() {
    let (edge, origin) = mirrored().await;
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: evil.test";
    let (_, received) = passed(&edge, &origin, with(lines)).await;
    assert_eq!(received.header_all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(received.header_all("x-forwarded-proto"), ["http"]);
    assert_eq!(received.header_all("x-forwarded-host"), ["site.test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_about_the_viewer_and_no_further() {
    let origin = Origin::mirror().await;
    let config = r#"
        trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    // From the right, the first address that is not a trusted proxy's is the viewer; what is left of it is the
    // viewer's own words.
    let (_, received) = passed(&edge, &origin, with("X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.9")).await;
    let chain = received.header_all("x-forwarded-for").join(", ");
    assert!(chain.ends_with("192.0.2.7, 10.0.0.9, 127.0.0.1"), "the proxy's own address is appended: {chain}");
    assert!(chain.starts_with("192.0.2.7"), "what is left of the viewer anybody may have written: {chain}");
    passed(&edge, &origin, with("X-Forwarded-For: not an address")).await;
    let mut bytes = with("X-Forwarded-For: ?, 203.0.113.5").into_bytes();
    if let Some(at) = bytes.iter().position(|&byte| byte == b'?') {
        bytes[at] = 0xff;
    }
    passed(&edge, &origin, bytes).await;
    let lines = edge.log_lines(3).await;
    let clients: Vec<Option<&str>> = lines.iter().map(|line| line["client"].as_str()).collect();
    assert_eq!(clients, [Some("192.0.2.7"), Some("127.0.0.1"), Some("203.0.113.5")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_passes_on_no_field_that_rewrites_a_request() {
    let origin = Origin::mirror().await;
    let config = r#"
        trusted_proxies = ["127.0.0.0/8"]
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    let names = [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "Forwarded",
        "X-Forwarded-Prefix",
        "Proxy",
        "X-Host",
    ];
    let lines: Vec<String> = names.iter().map(|name| format!("{name}: evil")).collect();
    let (_, received) = passed(&edge, &origin, with(&lines.join("\r\n"))).await;
    for name in names {
        assert_eq!(received.header(&name.to_ascii_lowercase()), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_1_connection_cannot_remove_what_the_edge_adds() {
    let origin = Origin::mirror().await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        headers = { "x-origin-secret" = "from-the-edge" }
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    let mut seen = 0;
    for nominated in [
        "x-origin-secret",
        "close, X-Origin-Secret",
        "x-forwarded-for",
        "via",
        "x-request-id",
        "x-origin-secret, x-forwarded-proto, x-forwarded-host",
        "host",
        "content-length",
        "cookie",
    ] {
        let before = origin.count();
        let response = edge.exchange(with(&format!("Connection: {nominated}\r\nX-Origin-Secret: mine"))).await;
        if response.status == 400 {
            assert_eq!(origin.count(), before, "for {nominated}");
            continue;
        }
        seen += 1;
        let received = origin.requests().pop().expect("the origin got it");
        assert_eq!(received.header_all("x-origin-secret"), ["from-the-edge"], "for {nominated}");
        assert_eq!(received.header_all("x-forwarded-for"), ["127.0.0.1"], "for {nominated}");
        assert_eq!(received.header_all("host").len(), 1, "for {nominated}");
        assert!(received.header("via").is_some() && received.header("x-request-id").is_some(), "for {nominated}");
    }
    assert!(seen >= 2, "harmless names are let through");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_1_fields_of_one_connection_stay_there() {
    let (edge, origin) = mirrored().await;
    let lines = "Connection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: timeout=99\r\nProxy-Connection: keep-alive\r\n\
                 Proxy-Authorization: Basic eDp5\r\nTE: trailers\r\nTrailer: X-T\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk";
    let (_, received) = passed(&edge, &origin, with(lines)).await;
    for name in ["x-mine", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade", "http2-settings", "te"] {
        assert_eq!(received.header(name), None, "{name} got through");
    }
    let connection = received.header_all("connection").join(",").to_lowercase();
    assert!(!connection.contains("x-mine") && !connection.contains("upgrade"), "{connection}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_5_5_bytes_over_127_in_values_are_refused_or_kept() {
    let (edge, origin) = mirrored().await;
    let mut raw = edge.connect().await;
    raw.send(b"GET /t HTTP/1.1\r\nHost: site.test\r\nX-Text: caf\xe9\r\nConnection: close\r\n\r\n").await;
    let response = raw.response().await;
    if response.status == 400 {
        assert_eq!(origin.heads(), 0);
    } else {
        assert_eq!(response.status, 200);
        let raw = origin.only_request().head.raw;
        assert!(raw.windows(4).any(|four| four == b"caf\xe9"), "{:?}", String::from_utf8_lossy(&raw));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_6_1_response_fields_of_one_connection_reach_neither_viewer_nor_cache() {
    let origin = hostile::always(hostile::hop_by_hop()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for turn in ["miss", "hit"] {
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{turn}");
        for name in ["x-secret", "proxy-authenticate", "proxy-connection", "upgrade", "keep-alive"] {
            assert_eq!(response.header(name), None, "{name} on a {turn}");
        }
        assert_eq!(response.header("x-kept"), Some("1"), "{turn}");
    }
    assert_eq!(origin.count(), 1, "the second answer came from the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_that_would_split_are_refused() {
    let origin = hostile::always(hostile::control_in_header()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get("/t").await;
    assert_eq!(response.status, 502);
    assert_eq!(response.header("set-cookie"), None);
    origin.answer(|_| Reply::ok("fine"));
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_fields_that_must_be_single_are_refused_or_single() {
    let (edge, origin) = mirrored().await;
    for name in ["Content-Type", "Authorization", "X-Api-Key", "If-None-Match"] {
        let before = origin.count();
        let response = edge.exchange(with(&format!("{name}: one\r\n{name}: two"))).await;
        if response.status == 200 {
            // Both or one, but never glued together.
            let received = origin.requests().pop().expect("the origin got it");
            assert!(received.header_all(name).iter().all(|value| ["one", "two"].contains(value)), "{name}");
        } else {
            assert_eq!((response.status, origin.count()), (400, before), "{name}");
        }
    }
    refused(&edge, &origin, &[400], with("Host: site.test").as_bytes()).await;
}
