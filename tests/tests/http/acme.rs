//! Certificates by ACME, against Pebble. Real time: the server and the network are real.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use edgeweir_tests::certs::{Authority, Client};
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::pebble::{EXTERNAL_KEY, Pebble};
use edgeweir_tests::process::free_port;
use edgeweir_tests::raw::{self, Raw, request_bytes};
use rustls_pki_types::CertificateDer;
use tokio::time::Instant;

/// Everything wants a key, so that challenges are seen to pass it.
const CONFIG: &str = r#"
    [acme]
    directory_url = "{directory}"
    ca_file = "{ca}"
    email = "ops@example.test"
    agree_to_terms = true
    {acme}
    [[listeners]]
    address = "127.0.0.1:{http}"
    [[listeners]]
    address = "127.0.0.1:{tls}"
    certificates = [{ hosts = ["a.test", "WWW.a.test"], acme = true{files} }]
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["a.test", "www.a.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    api_key_required = true
    [usage_plans.all]
    [[api_keys]]
    name = "one"
    key = "0123456789abcdef0123"
    plans = ["all"]
"#;

/// How long an order may take.
const ORDER: Duration = Duration::from_secs(30);

struct Site {
    pebble: Pebble,
    origin: Origin,
    http: u16,
    tls: u16,
    /// For edges that come after each other.
    folder: tempfile::TempDir,
}

impl Site {
    async fn new(external: bool) -> Self {
        let (http, tls) = (free_port(), free_port());
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { pebble: Pebble::start(http, tls, external).await, origin: Origin::mirror().await, http, tls, folder }
    }

    fn setup(&self, acme: &str, files: &str) -> Setup {
        self.setup_at(self.http, acme, files)
    }

    /// Listens for plain HTTP at another port than the authority asks.
    fn setup_at(&self, http: u16, acme: &str, files: &str) -> Setup {
        let state = self.folder.path().join("state");
        Setup::new(&format!("state_dir = {state:?}\n{CONFIG}"))
            .file(&self.folder.path().join("edge.toml"))
            .set("acme", acme)
            .set("files", files)
            .set("directory", &self.pebble.directory())
            .set("ca", &self.pebble.ca_file().display().to_string())
            .set("http", &http.to_string())
            .set("tls", &self.tls.to_string())
            .set("origin", &self.origin.address())
    }

    fn files(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.folder.path().join("state/acme")).expect("the edge keeps files");
        let mut names: Vec<String> =
            folder.map(|file| file.expect("an entry").file_name().into_string().expect("a plain name")).collect();
        names.sort();
        names
    }

    fn tls_address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.tls).into()
    }

    /// The certificate that is shown for a name, if the client trusts it.
    async fn shown(&self, client: &Client, name: &str) -> Option<CertificateDer<'static>> {
        let stream = client.connect(self.tls_address(), name).await.ok()?;
        stream.get_ref().1.peer_certificates()?.first().cloned()
    }

    async fn until_trusted(&self, client: &Client) -> CertificateDer<'static> {
        let start = Instant::now();
        loop {
            if let Some(shown) = self.shown(client, "a.test").await {
                return shown;
            }
            assert!(start.elapsed() < ORDER, "no certificate: {}", self.pebble.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn orders(edge: &TestEdge, result: &str) -> f64 {
    let metrics = raw_metrics(edge).await;
    let line = format!("edgeweir_acme_orders_total{{result=\"{result}\"}} ");
    metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).expect("the metric is there")
}

/// The state folder is not the harness's.
async fn raw_metrics(edge: &TestEdge) -> String {
    edgeweir_tests::process::admin(edge.inner().admin_socket(), "GET", "/metrics").await.text()
}

async fn until_orders(edge: &TestEdge, result: &str, count: f64) {
    let start = Instant::now();
    while orders(edge, result).await < count {
        assert!(start.elapsed() < ORDER, "no order has ended with {result}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_fetched_by_http_01_kept_and_renewed() {
    let mut site = Site::new(false).await;
    let edge = site.setup("", "").start().await;
    let client = site.pebble.client().await;
    let first = site.until_trusted(&client).await;
    assert_eq!(site.shown(&client, "www.a.test").await, Some(first.clone()), "one for all names");
    assert_eq!((orders(&edge, "ok").await, orders(&edge, "failed").await), (1.0, 0.0));
    let metrics = raw_metrics(&edge).await;
    assert!(metrics.contains("certificate=\"a.test,www.a.test\",source=\"acme\"} "), "{metrics}");
    // It serves, and what is nobody's challenge is a request like any other: it wants a key.
    let stream = client.connect(site.tls_address(), "a.test").await.expect("a handshake");
    let mut viewer = Raw::over(stream);
    let path = "/.well-known/acme-challenge/token";
    for (key, status) in [("", 403), ("0123456789abcdef0123", 200)] {
        viewer.send(request_bytes("GET", "a.test", path, &[("X-Api-Key", key)], b"")).await;
        assert_eq!(viewer.response().await.status, status);
    }
    let http = edge.addresses()[0];
    assert_eq!(raw::get(http, "a.test", path, &[]).await.status, 403);
    assert_eq!(site.origin.requests().len(), 1, "no challenge came to the origin");
    // Account and certificate are the edge's own.
    let folder = site.folder.path().join("state/acme");
    let files = site.files();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files[0].starts_with("a.test-") && files[1].starts_with("account-"), "{files:?}");
    assert_eq!((mode(&folder), mode(&folder.join(&files[0])), mode(&folder.join(&files[1]))), (0o700, 0o600, 0o600));
    // A reload keeps it, and an edge that is started while the authority is away has it.
    let text = edge.filled(&std::fs::read_to_string(site.folder.path().join("edge.toml")).expect("it was written"));
    edge.reload(&text).await.expect("a good config");
    assert_eq!(site.shown(&client, "a.test").await, Some(first.clone()));
    assert!(edge.shutdown().await);
    site.pebble.kill();
    let edge = site.setup("", "").start().await;
    assert_eq!(site.shown(&client, "a.test").await, Some(first.clone()));
    // Two thirds of its life later. The authority is new too, and knows no account.
    site.pebble.run().await;
    edge.advance(Duration::from_secs(5 * 365 * 86_400 * 3 / 4));
    let client = site.pebble.client().await;
    let second = site.until_trusted(&client).await;
    assert!(second != first);
    assert_eq!((orders(&edge, "ok").await, orders(&edge, "failed").await), (1.0, 0.0));
    assert_eq!(site.files().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_fetched_by_tls_alpn_01_with_an_external_account() {
    let site = Site::new(true).await;
    let acme = "challenge = \"tls-alpn-01\"\n\
                external_account = { key_id = \"kid-1\", hmac_key = { env = \"EXTERNAL_KEY\" } }";
    let edge = site.setup(acme, "").env("EXTERNAL_KEY", EXTERNAL_KEY).start().await;
    let client = site.pebble.client().await.offering(&["h2", "http/1.1", "acme-tls/1"]);
    site.until_trusted(&client).await;
    assert_eq!((orders(&edge, "ok").await, orders(&edge, "failed").await), (1.0, 0.0));
    let stream = client.connect(site.tls_address(), "a.test").await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "viewers do not speak the authority's protocol");
    // Without a challenge there is nothing to show.
    let authority = site.pebble.client().await.offering(&["acme-tls/1"]);
    assert!(authority.connect(site.tls_address(), "a.test").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_shown_until_the_first_certificate_and_failures_wait() {
    let site = Site::new(false).await;
    let own = Authority::new();
    drop(own.issue(&["a.test", "www.a.test"]).write(site.folder.path(), "own"));
    let folder = site.folder.path().display();
    let files = format!(", certificate = \"{folder}/own.pem\", key = \"{folder}/own.key\"");
    // The names lead elsewhere for now.
    let edge = site.setup_at(free_port(), "", &files).start().await;
    assert!(site.shown(&own.client(), "a.test").await.is_some());
    until_orders(&edge, "failed", 1.0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(orders(&edge, "failed").await, 1.0, "the authority is not asked again at once");
    assert!(site.shown(&own.client(), "a.test").await.is_some());
    edge.advance(Duration::from_secs(80));
    until_orders(&edge, "failed", 2.0).await;
    assert!(edge.shutdown().await);
    // They lead here now; an edge that is started again keeps the pause.
    let edge = site.setup("", &files).start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(orders(&edge, "ok").await, 0.0);
    // This one's clock has not been moved.
    edge.advance(Duration::from_secs(400));
    site.until_trusted(&site.pebble.client().await).await;
    assert_eq!(site.files().iter().filter(|name| name.contains("failures")).count(), 0, "{:?}", site.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_first_certificate_a_stand_in_is_shown() {
    let mut site = Site::new(false).await;
    site.pebble.kill();
    let edge = site.setup("", "").start().await;
    assert!(raw_metrics(&edge).await.contains("source=\"stand-in\"} "));
    // It shakes hands; nobody trusts it.
    let refused = Authority::new().client().connect(site.tls_address(), "a.test").await.expect_err("not trusted");
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");
    assert_eq!(raw::get(edge.addresses()[0], "a.test", "/t", &[]).await.status, 403, "plain HTTP is served");
    until_orders(&edge, "failed", 1.0).await;
}
