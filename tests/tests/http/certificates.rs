//! Certificates that are replaced on disk while the edge serves.

use std::path::Path;
use std::time::Duration;

use edgeweir_tests::certs::{Authority, Certified};
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::{Raw, request_bytes};
use tokio::time::Instant;

const CONFIG: &str = r#"
    [[listeners]]
    address = "127.0.0.1:0"
    certificates = [{ hosts = ["a.test"], certificate = "{dir}/a.pem", key = "{dir}/a.key" }]
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["*"]
    origin = "main"
"#;

struct Site {
    edge: TestEdge,
    authority: Authority,
    first: Certified,
    _origin: Origin,
}

impl Site {
    async fn start() -> Self {
        let origin = Origin::mirror().await;
        let authority = Authority::new();
        let first = authority.issue(&["a.test"]);
        let setup = Setup::new(CONFIG).set("origin", &origin.address());
        drop(first.write(setup.folder(), "a"));
        Self { edge: setup.start().await, authority, first, _origin: origin }
    }

    fn folder(&self) -> &Path {
        self.edge.folder()
    }

    /// Whether a new viewer is shown this certificate.
    async fn shows(&self, certificate: &Certified) -> bool {
        let stream = self.authority.connect(self.edge.address(), "a.test", &["http/1.1"]).await.expect("a handshake");
        stream.get_ref().1.peer_certificates().and_then(<[_]>::first) == Some(certificate.der())
    }

    async fn until_shown(&self, certificate: &Certified) {
        let start = Instant::now();
        while !self.shows(certificate).await {
            assert!(start.elapsed() < Duration::from_secs(10), "the new certificate is not shown");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn loads(&self, result: &str) -> f64 {
        let labels = ["a.pem", &format!("result=\"{result}\"")];
        self.edge.metric("edgeweir_certificate_loads_total", &labels).await
    }

    async fn expiry(&self) -> f64 {
        let labels = ["a.pem", "source=\"file\"", "127.0.0.1:"];
        self.edge.metric("edgeweir_certificate_expiry_timestamp_seconds", &labels).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_pair_on_disk_is_shown_and_open_connections_go_on() {
    let site = Site::start().await;
    let stream = site.authority.connect(site.edge.address(), "a.test", &["http/1.1"]).await.expect("a handshake");
    let mut open = Raw::over(stream);
    assert!(site.expiry().await > 4e9, "{}", site.edge.metrics().await);
    let second = site.authority.issue_until(&["a.test"], (2031, 2, 3));
    // As renewal tools do it: each file is put in the place of the old one, with a moment between.
    std::fs::write(site.folder().join("new.pem"), &second.certificate_pem).expect("writable");
    std::fs::rename(site.folder().join("new.pem"), site.folder().join("a.pem")).expect("writable");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(site.shows(&site.first).await, "a certificate without its key is not shown");
    std::fs::write(site.folder().join("a.key"), &second.key_pem).expect("writable");
    site.until_shown(&second).await;
    assert_eq!((site.loads("ok").await, site.loads("failed").await), (1.0, 0.0));
    // 2031-02-03T00:00:00Z.
    assert_eq!(site.expiry().await, 1_927_843_200.0);
    open.send(request_bytes("GET", "a.test", "/t", &[], b"")).await;
    assert_eq!(open.response().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_files_are_told_and_the_old_pair_stays() {
    let site = Site::start().await;
    std::fs::write(site.folder().join("a.pem"), "not a certificate").expect("writable");
    let start = Instant::now();
    while site.loads("failed").await == 0.0 {
        assert!(start.elapsed() < Duration::from_secs(10), "the failure is not told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(site.shows(&site.first).await);
    // A reload says what is wrong, and changes nothing.
    let refused = site.edge.reload(CONFIG).await.expect_err("a broken certificate");
    assert!(refused.contains("no certificate in"), "{refused}");
    assert!(site.shows(&site.first).await);
    let second = site.authority.issue(&["a.test"]);
    drop(second.write(site.folder(), "a"));
    site.until_shown(&second).await;
    assert_eq!((site.loads("ok").await, site.loads("failed").await), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_swapped_by_a_link_is_seen() {
    let origin = Origin::mirror().await;
    let authority = Authority::new();
    let (first, second) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let config = CONFIG.replace("{dir}/a.", "{dir}/now/a.");
    let setup = Setup::new(&config).set("origin", &origin.address());
    for (name, pair) in [("one", &first), ("two", &second)] {
        std::fs::create_dir(setup.folder().join(name)).expect("writable");
        drop(pair.write(&setup.folder().join(name), "a"));
    }
    let link = |folder: &Path, to: &str| {
        std::os::unix::fs::symlink(to, folder.join("fresh")).expect("writable");
        std::fs::rename(folder.join("fresh"), folder.join("now")).expect("writable");
    };
    link(setup.folder(), "one");
    let site = Site { edge: setup.start().await, authority, first, _origin: origin };
    assert!(site.shows(&site.first).await);
    link(site.folder(), "two");
    site.until_shown(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_default_certificate_other_names_are_refused() {
    let site = Site::start().await;
    for name in ["b.test", "x.a.test"] {
        let refused = site.authority.connect(site.edge.address(), name, &[]).await.expect_err("no certificate");
        assert!(refused.to_string().contains("alert"), "the edge refuses, not the client: {refused}");
    }
    assert!(site.shows(&site.first).await);
}
