//! A real ACME server: Pebble of the Let's Encrypt project, as a child process that checks signatures, nonces, challenges and
//! requests for certificates, and refuses one good nonce in twenty. Names of all kinds lead to 127.0.0.1 for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;

use crate::certs::{Authority, Client};
use crate::process::{free_port, listens};
use crate::raw::{Raw, request_bytes};

/// The key of the external account `kid-1`.
pub const EXTERNAL_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// The server. It forgets everything when it is killed.
pub struct Pebble {
    folder: TempDir,
    /// Of its own API, not of what it issues.
    authority: Authority,
    api: u16,
    management: u16,
    dns: Child,
    server: Option<Child>,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.kill();
        drop(self.dns.kill());
        drop(self.dns.wait());
    }
}

impl Pebble {
    /// Starts a server that looks for challenges at these ports. `external`: it only takes who has an account already.
    ///
    /// # Panics
    /// When it is missing or does not start.
    pub async fn start(http: u16, tls: u16, external: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::new();
        let (certificate, key) = authority.issue(&["localhost"]).write(folder.path(), "api");
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("the test's folder is writable");
        let (api, management, dns) = (free_port(), free_port(), free_port());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{api}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": external,
            "externalAccountMACKeys": { "kid-1": EXTERNAL_KEY },
        } });
        std::fs::write(folder.path().join("pebble.json"), config.to_string()).expect("the test's folder is writable");
        let resolver = Command::new("pebble-challtestsrv")
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &format!("127.0.0.1:{dns}"), "-management", &format!("127.0.0.1:{}", free_port())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let resolver = resolver.expect("pebble-challtestsrv is missing: `make pebble` installs it");
        std::fs::write(folder.path().join("dns"), format!("127.0.0.1:{dns}")).expect("the test's folder is writable");
        let mut pebble = Self { folder, authority, api, management, dns: resolver, server: None };
        pebble.run().await;
        pebble
    }

    /// Starts it (again), without accounts and with another root.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn run(&mut self) {
        let path = |name: &str| self.folder.path().join(name);
        let dns = std::fs::read_to_string(path("dns")).expect("it was written");
        let log = std::fs::File::create(path("log")).expect("the test's folder is writable");
        let child = Command::new("pebble")
            .args(["-strict", "-config"])
            .arg(path("pebble.json"))
            .args(["-dnsserver", &dns])
            // Otherwise it waits for seconds before it looks.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn();
        self.server = Some(child.expect("pebble is missing: `make pebble` installs it"));
        for _ in 0..200 {
            if listens(([127, 0, 0, 1], self.api).into()).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("pebble does not listen: {}", self.log());
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            // It may have ended already.
            drop(server.kill());
            drop(server.wait());
        }
    }

    /// URL of its directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.api)
    }

    /// What its API is checked with.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A client that trusts what it issues.
    ///
    /// # Panics
    /// When it does not tell its root.
    pub async fn client(&self) -> Client {
        let management: SocketAddr = ([127, 0, 0, 1], self.management).into();
        let stream = self.authority.connect(management, "localhost", &[]).await.expect("the management API answers");
        let mut raw = Raw::over(stream);
        raw.send(request_bytes("GET", "localhost", "/roots/0", &[("Connection", "close")], b"")).await;
        let pem = raw.response().await.text();
        Client::trusting(&CertificateDer::from_pem_slice(pem.as_bytes()).expect("a root in PEM"))
    }
}
