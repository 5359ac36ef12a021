//! Listeners that ask viewers for certificates (mutual TLS).

use edgeweir_tests::certs::{Authority, Certified, Client};
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Received};
use edgeweir_tests::raw::{Raw, request_bytes};
use edgeweir_tests::wait::deadline;

const FACTS: [&str; 7] = ["Present", "Serial-Number", "Issuer", "Subject", "Sha256", "Validity", "Pem"];

fn config(listener: &str, rest: &str) -> String {
    let facts: Vec<String> = FACTS.iter().map(|fact| format!("\"CloudFront-Viewer-Cert-{fact}\"")).collect();
    format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n{listener}\n\
         certificates = [{{ certificate = \"{{dir}}/a.pem\", key = \"{{dir}}/a.key\" }}]\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\n{rest}\n\
         [origins.main]\nurl = \"http://{{origin}}\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\ncache_policy = \"CachingDisabled\"\nviewer_headers = [\"CloudFront-Viewer-TLS\", {}]\n",
        facts.join(", ")
    )
}

/// Whom an edge shows its certificate, whose viewers' it takes, and one of these.
struct Parties {
    server: Authority,
    viewers: Authority,
    viewer: Certified,
}

impl Parties {
    fn new() -> Self {
        let (server, viewers) = (Authority::new(), Authority::new());
        let viewer = viewers.issue(&["viewer.test"]);
        Self { server, viewers, viewer }
    }

    async fn edge(&self, keys: &str, origin: &Origin) -> TestEdge {
        let setup = Setup::new(&config(keys, "")).set("origin", &origin.address());
        drop(self.server.issue(&["site.test"]).write(setup.folder(), "a"));
        std::fs::write(setup.folder().join("viewers.pem"), self.viewers.pem()).expect("it is written");
        setup.start().await
    }

    fn client(&self) -> Client {
        self.server.client().offering(&["http/1.1"])
    }
}

const REQUIRED: &str = "viewer_certificates = { ca = \"{dir}/viewers.pem\" }";
const OPTIONAL: &str = "viewer_certificates = { ca = \"{dir}/viewers.pem\", required = false }";

/// What the origin gets of a request with lies; none if the edge ended the connection. With TLS 1.3 a viewer learns of that
/// only when it reads.
async fn ask(client: &Client, edge: &TestEdge, origin: &Origin) -> Option<Received> {
    let stream = client.connect(edge.addresses()[0], "site.test").await.ok()?;
    ask_on(&mut Raw::over(stream), origin).await
}

async fn ask_on(raw: &mut Raw, origin: &Origin) -> Option<Received> {
    let lies = [("CloudFront-Viewer-Cert-Present", "1"), ("CloudFront-Viewer-Cert-Subject", "CN=boss")];
    raw.try_send(&request_bytes("GET", "site.test", "/t", &lies, b"")).await.ok()?;
    let answer = deadline("an answer or the end", raw.try_response_to("GET")).await.ok()?;
    assert_eq!(answer.status, 200);
    origin.requests().pop()
}

fn fact<'a>(received: &'a Received, name: &str) -> Option<&'a str> {
    received.header(&format!("cloudfront-viewer-cert-{name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_told_what_a_viewer_showed() {
    let (origin, parties) = (Origin::mirror().await, Parties::new());
    for keys in [REQUIRED, OPTIONAL] {
        let edge = parties.edge(keys, &origin).await;
        for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
            let client = parties.client().showing(&parties.viewer).of_versions(versions);
            // No session is resumed: each time it shows its certificate.
            for _ in 0..3 {
                let received = ask(&client, &edge, &origin).await.expect("it is served");
                assert!(received.header("cloudfront-viewer-tls").is_some_and(|tls| tls.ends_with(":fullHandshake")));
                assert_eq!(fact(&received, "present"), Some("1"));
                assert_eq!(fact(&received, "subject"), Some("CN=rcgen self signed cert"));
                assert_eq!(fact(&received, "sha256").map(str::len), Some(64));
                assert!(
                    fact(&received, "validity").is_some_and(|text| text.ends_with(";NotAfter=4096-01-01T00:00:00Z"))
                );
                assert!(
                    fact(&received, "pem").is_some_and(|text| text.starts_with("-----BEGIN%20CERTIFICATE-----%0AM"))
                );
                assert!(fact(&received, "serial-number").is_some_and(|text| text.contains(':')));
                assert!(fact(&received, "issuer").is_some());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_without_a_good_certificate_are_refused_or_told_apart() {
    let (origin, parties) = (Origin::mirror().await, Parties::new());
    let stranger = Authority::new().issue(&["viewer.test"]);
    let expired = parties.viewers.issue_until(&["viewer.test"], (2020, 1, 1));
    let edge = parties.edge(REQUIRED, &origin).await;
    for (who, client) in [
        ("without", parties.client()),
        ("of another authority", parties.client().showing(&stranger)),
        ("expired", parties.client().showing(&expired)),
        ("the server's own authority", parties.client().showing(&parties.server.issue(&["viewer.test"]))),
    ] {
        for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
            let client = &client;
            let client = match who {
                "without" => &parties.client().of_versions(versions),
                _ => client,
            };
            assert!(ask(client, &edge, &origin).await.is_none(), "{who}");
        }
    }
    assert_eq!(origin.count(), 0);
    edge.counted("edgeweir_refused_connections_total", &["\"tls-handshake\""], 8.0).await;
    // A listener asks, not a distribution.
    let received = ask_on(&mut Raw::connect(edge.addresses()[1]).await, &origin).await.expect("it is served");
    assert_eq!((fact(&received, "present"), fact(&received, "subject")), (Some("0"), None));
    let optional = parties.edge(OPTIONAL, &origin).await;
    let received = ask(&parties.client(), &optional, &origin).await.expect("it is served");
    assert_eq!(fact(&received, "present"), Some("0"));
    for name in ["serial-number", "issuer", "subject", "sha256", "validity", "pem"] {
        assert_eq!(fact(&received, name), None, "{name}");
    }
    assert!(
        ask(&parties.client().showing(&stranger), &optional, &origin).await.is_none(),
        "a bad one is worse than none"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_whose_certificates_are_taken() {
    let (origin, parties) = (Origin::mirror().await, Parties::new());
    let edge = parties.edge(REQUIRED, &origin).await;
    let client = parties.client().showing(&parties.viewer);
    let mut open = Raw::over(client.connect(edge.addresses()[0], "site.test").await.expect("a handshake"));
    assert!(ask_on(&mut open, &origin).await.is_some());
    edge.reload(&config(REQUIRED, "http2 = false")).await.expect("a good configuration");
    assert!(ask(&client, &edge, &origin).await.is_some());
    let other = Authority::new();
    std::fs::write(edge.folder().join("viewers.pem"), other.pem()).expect("it is written");
    edge.reload(&config(REQUIRED, "")).await.expect("a good configuration");
    assert!(ask(&client, &edge, &origin).await.is_none(), "its authority is gone");
    assert!(ask_on(&mut open, &origin).await.is_some(), "an open connection goes on");
    let taken = parties.client().showing(&other.issue(&["viewer.test"]));
    assert!(ask(&taken, &edge, &origin).await.is_some());
    // From a listener that asks for none to one that does.
    edge.reload(&config("", "")).await.expect("a good configuration");
    let bare = parties.client();
    assert_eq!(fact(&ask(&bare, &edge, &origin).await.expect("it is served"), "present"), Some("0"));
    edge.reload(&config(REQUIRED, "")).await.expect("a good configuration");
    assert!(ask(&bare, &edge, &origin).await.is_none(), "its session is of before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_authorities_is_refused_and_the_old_ones_stay() {
    let (origin, parties) = (Origin::mirror().await, Parties::new());
    let edge = parties.edge(REQUIRED, &origin).await;
    let client = parties.client().showing(&parties.viewer);
    for content in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(edge.folder().join("viewers.pem"), content).expect("it is written");
        let error = edge.reload(&config(REQUIRED, "")).await.expect_err("no authority");
        assert!(error.contains("viewers.pem"), "{error}");
        assert!(ask(&client, &edge, &origin).await.is_some(), "the old ones are in force");
    }
}
