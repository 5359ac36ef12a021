//! Sessions that are resumed (RFC 5246, 7.3 with a session id; RFC 8446, 2.2 with a ticket), and the protocols that are
//! offered.

use edgeweir_tests::certs::{Authority, Client};
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::{Raw, request_bytes};
use rustls::HandshakeKind;

const CONFIG: &str = r#"
    [[listeners]]
    address = "127.0.0.1:0"
    {listener}
    certificates = [{ hosts = ["a.test", "b.test"], certificate = "{dir}/a.pem", key = "{dir}/a.key" }]
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["*"]
    origin = "main"
"#;

async fn edge(listener: &str) -> (TestEdge, Authority, Origin) {
    let origin = Origin::mirror().await;
    let authority = Authority::new();
    let setup = Setup::new(CONFIG).set("origin", &origin.address()).set("listener", listener);
    drop(authority.issue(&["a.test", "b.test"]).write(setup.folder(), "a"));
    (setup.start().await, authority, origin)
}

/// Makes a request on a connection of its own; how the handshake went.
async fn visit(edge: &TestEdge, client: &Client, name: &str) -> HandshakeKind {
    let stream = client.connect(edge.address(), name).await.expect("a handshake");
    let kind = stream.get_ref().1.handshake_kind().expect("the handshake is over");
    let mut raw = Raw::over(stream);
    // Tickets come with the answer.
    raw.send(request_bytes("GET", name, "/t", &[("Connection", "close")], b"")).await;
    assert_eq!(raw.response().await.status, 200);
    kind
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_resume_also_after_a_reload() {
    let (edge, authority, _origin) = edge("").await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = authority.client().of_versions(&[version]);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            kinds.push(visit(&edge, &client, "a.test").await);
        }
        edge.reload(CONFIG).await.expect("a good config");
        kinds.push(visit(&edge, &client, "a.test").await);
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed], "{version:?}");
    }
    let lines = edge.log_lines(6).await;
    let versions: Vec<&str> = lines.iter().filter_map(|line| line["tls_version"].as_str()).collect();
    assert_eq!(versions, ["1.2", "1.2", "1.2", "1.3", "1.3", "1.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_an_old_version_is_not_resumed_when_the_minimum_rises() {
    let (edge, authority, _origin) = edge("").await;
    let client = authority.client().of_versions(&[&rustls::version::TLS12]);
    visit(&edge, &client, "a.test").await;
    edge.reload(&CONFIG.replace("{listener}", "min_tls = \"1.3\"")).await.expect("a good config");
    assert!(client.connect(edge.address(), "a.test").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_common_protocol_is_spoken_and_none_is_a_refusal() {
    let (edge, authority, _origin) = edge("").await;
    for (offered, spoken) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&["http/1.0", "http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = authority.connect(edge.address(), "a.test", offered).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), spoken, "{offered:?}");
    }
    // RFC 7301, section 3.2: no_application_protocol.
    for offered in [&["h3"][..], &["acme-tls/1"]] {
        assert!(authority.connect(edge.address(), "a.test", offered).await.is_err(), "{offered:?}");
    }
}
