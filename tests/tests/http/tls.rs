//! TLS to viewers (certificates by name, versions) and to origins (verification).

use edgeweir_tests::certs::{Authority, Certified};
use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::h2_origin::H2Origin;
use edgeweir_tests::http2::{self, Client};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::{Raw, request_bytes};

const CONFIG: &str = r#"
    [[listeners]]
    address = "127.0.0.1:0"
    {listener}
    certificates = [
        { hosts = ["a.test"], certificate = "{dir}/a.pem", key = "{dir}/a.key" },
        { hosts = ["*.b.test"], certificate = "{dir}/b.pem", key = "{dir}/b.key" },
        { certificate = "{dir}/other.pem", key = "{dir}/other.key" },
    ]
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["*"]
    origin = "main"
"#;

async fn three(listener: &str) -> (TestEdge, Authority, [Certified; 3], Origin) {
    three_with("", listener).await
}

/// As [`three`], with this at the top of the file.
async fn three_with(top: &str, listener: &str) -> (TestEdge, Authority, [Certified; 3], Origin) {
    let origin = Origin::mirror().await;
    let authority = Authority::new();
    let certificates = [
        authority.issue(&["a.test"]),
        authority.issue(&["*.b.test"]),
        authority.issue(&["other.test", "c.test", "127.0.0.1"]),
    ];
    let setup = Setup::new(&format!("{top}{CONFIG}")).set("origin", &origin.address()).set("listener", listener);
    for (certificate, name) in certificates.iter().zip(["a", "b", "other"]) {
        drop(certificate.write(setup.folder(), name));
    }
    (setup.start().await, authority, certificates, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_name_gets_its_certificate() {
    let (edge, authority, certificates, _origin) = three("").await;
    for (name, expected) in [("a.test", 0), ("A.TEST", 0), ("x.b.test", 1), ("c.test", 2), ("other.test", 2)] {
        let stream = authority.connect(edge.address(), name, &["http/1.1"]).await.expect("a handshake");
        let shown = stream.get_ref().1.peer_certificates().expect("a certificate").first().cloned();
        assert_eq!(shown.as_ref(), Some(certificates[expected].der()), "for {name}");
        let mut raw = Raw::over(stream);
        raw.send(request_bytes("GET", name, "/t", &[], b"")).await;
        assert_eq!(raw.response().await.status, 200, "for {name}");
    }
    // A name that no certificate is for: the client refuses what it is shown.
    assert!(authority.connect(edge.address(), "unknown.test", &["http/1.1"]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_learn_that_the_viewer_used_tls() {
    let (edge, authority, _, origin) = three("").await;
    let stream = authority.connect(edge.address(), "a.test", &[]).await.expect("a handshake");
    let mut raw = Raw::over(stream);
    raw.send(request_bytes("GET", "a.test", "/t", &[("X-Forwarded-Proto", "http")], b"")).await;
    assert_eq!(raw.response().await.status, 200);
    assert_eq!(origin.only_request().header_all("x-forwarded-proto"), ["https"]);
    let line = edge.log_lines(1).await.remove(0);
    assert_eq!(line["tls_version"], "1.3", "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tls_versions_by_default_and_only_the_new_one_by_config() {
    let old = &[&rustls::version::TLS12];
    let new = &[&rustls::version::TLS13];
    let (edge, authority, _, _origin) = three("").await;
    for versions in [old, new] {
        assert!(authority.connect_with(edge.address(), "a.test", &[], versions).await.is_ok(), "{versions:?}");
    }
    let (edge, authority, _, _origin) = three("min_tls = \"1.3\"").await;
    assert!(authority.connect_with(edge.address(), "a.test", &[], old).await.is_err());
    assert!(authority.connect_with(edge.address(), "a.test", &[], new).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_on_a_tls_port_does_no_harm() {
    let (edge, authority, _, origin) = three("").await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    raw.rest().await;
    assert_eq!(origin.heads(), 0);
    assert!(authority.connect(edge.address(), "a.test", &[]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_has_a_deadline() {
    let origin = Origin::hello().await;
    let authority = Authority::new();
    let config = format!("[server]\nhandshake_timeout = \"300ms\"\n{}", CONFIG.replace("{listener}", ""));
    let setup = Setup::new(&config).set("origin", &origin.address());
    for name in ["a", "b", "other"] {
        drop(authority.issue(&["a.test"]).write(setup.folder(), name));
    }
    let edge = setup.start().await;
    let mut raw = edge.connect().await;
    // The start of a TLS record, and then nothing.
    raw.send(b"\x16\x03\x01").await;
    raw.rest().await;
    assert!(authority.connect(edge.address(), "a.test", &[]).await.is_ok());
}

fn origin_config(keys: &str) -> String {
    format!(
        "[origins.main]\nurl = \"https://{{origin}}\"\nhttp = \"h2\"\n{keys}\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_with_an_unknown_certificate_is_502() {
    let origin = H2Origin::echo(Some(Authority::new().issue(&["origin.test"]).acceptor(&["h2"]))).await;
    let edge = TestEdge::start(&origin_config(""), &origin.address()).await;
    assert_eq!(edge.get("/t").await.status, 502);
    assert!(origin.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_of_an_origin_can_be_turned_off() {
    let origin = H2Origin::echo(Some(Authority::new().issue(&["origin.test"]).acceptor(&["h2"]))).await;
    let edge = TestEdge::start(&origin_config("verify_tls = false"), &origin.address()).await;
    assert_eq!(edge.get("/t").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_end_under_tls_too() {
    let (edge, authority, _, _origin) = three("").await;
    edge.reload(&CONFIG.replace("{listener}", "").replacen(
        "[[listeners]]",
        "[server]\nkeepalive_timeout = \"1s\"\n[[listeners]]",
        1,
    ))
    .await
    .expect("a good config");
    let stream = authority.connect(edge.address(), "a.test", &["http/1.1"]).await.expect("a handshake");
    let mut raw = Raw::over(stream);
    raw.send(request_bytes("GET", "a.test", "/t", &[], b"")).await;
    assert_eq!(raw.response().await.status, 200);
    raw.assert_closed().await;
}

/// What a request for `host` gets on a connection whose handshake named `name`.
async fn status(edge: &TestEdge, authority: &Authority, name: &str, host: &str) -> u16 {
    let mut raw = Raw::over(authority.connect(edge.address(), name, &["http/1.1"]).await.expect("a handshake"));
    raw.send(request_bytes("GET", host, "/t", &[], b"")).await;
    let status = raw.response().await.status;
    // Only the one request was wrong.
    raw.send(request_bytes("GET", name, "/t", &[], b"")).await;
    assert_eq!(raw.response().await.status, 200, "{name} after {host}");
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_7_4_a_host_that_the_certificate_is_not_for_is_421() {
    let (edge, authority, _, origin) = three("").await;
    for (name, host, wanted) in [
        ("a.test", "A.test", 200),
        ("a.test", "a.test:8443", 200),
        ("a.test", "a.test.", 200),
        ("a.test", "x.b.test", 421),
        ("a.test", "unknown.test", 421),
        ("a.test", "127.0.0.1", 421),
        ("x.b.test", "y.b.test", 200),
        ("x.b.test", "x.y.b.test", 421),
        ("x.b.test", "b.test", 421),
        ("c.test", "other.test", 200),
        ("c.test", "127.0.0.1", 200),
        // Without a name in the handshake (an address is none) the viewer is held to nothing.
        ("127.0.0.1", "a.test", 200),
    ] {
        assert_eq!(status(&edge, &authority, name, host).await, wanted, "{host} on a connection of {name}");
    }
    assert!(origin.requests().iter().all(|received| received.header("host") != Some("x.b.test")));
    assert!(edge.metric("edgeweir_faults_total", &["misdirected"]).await >= 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9113_9_1_1_hosts_of_one_certificate_share_a_connection_and_others_do_not() {
    let (edge, authority, _, _origin) = three("").await;
    let stream = authority.connect(edge.address(), "c.test", &["h2"]).await.expect("a handshake");
    let mut client = Client::over(stream).await;
    for (host, wanted) in [("c.test", 200), ("other.test", 200), ("a.test", 421), ("other.test", 200)] {
        let request = http2::get(host, "/t", &[]);
        let response = client.request(request, b"").await;
        assert_eq!(response.status, wanted, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_are_served_where_that_is_wanted_and_to_trusted_proxies() {
    let (edge, authority, _, _origin) = three("sni_must_match = false").await;
    assert_eq!(status(&edge, &authority, "a.test", "other.test").await, 200);
    let (edge, authority, _, _origin) = three_with("trusted_proxies = [\"127.0.0.1/32\"]\n", "").await;
    assert_eq!(status(&edge, &authority, "a.test", "other.test").await, 200);
}
