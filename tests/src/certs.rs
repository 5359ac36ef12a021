//! Certificates made for one test, and TLS clients and servers that use them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData as _};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::wait::deadline;

/// A certificate authority.
pub struct Authority {
    /// PEM of its certificate.
    pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Certified {
    /// PEM of the certificate.
    pub certificate_pem: String,
    /// PEM of the key.
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    public: Vec<u8>,
}

impl Authority {
    /// A new authority.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("valid parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A client that trusts it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::trusting(&self.certificate)
    }

    /// A certificate for these names.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Certified {
        self.issue_until(names, (4096, 1, 1))
    }

    /// A certificate that expires at the beginning of this day (year, month, day).
    #[must_use]
    pub fn issue_until(&self, names: &[&str], (year, month, day): (i32, u8, u8)) -> Certified {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names).expect("valid names");
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Certified {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            public: key.subject_public_key_info(),
        }
    }

    /// Connects with TLS, offering these protocols.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn connect(
        &self,
        address: SocketAddr,
        name: &str,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_with(address, name, protocols, rustls::ALL_VERSIONS).await
    }

    /// Connects with TLS of these versions.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn connect_with(
        &self,
        address: SocketAddr,
        name: &str,
        protocols: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.client().offering(protocols).of_versions(versions).connect(address, name).await
    }
}

/// A TLS client. Its connections resume each other's sessions.
pub struct Client {
    roots: RootCertStore,
    protocols: Vec<Vec<u8>>,
    versions: Vec<&'static rustls::SupportedProtocolVersion>,
    shows: Option<(CertificateDer<'static>, Vec<u8>)>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Client {
    /// Trusts this root and no other.
    ///
    /// # Panics
    /// When it is no certificate.
    #[must_use]
    pub fn trusting(root: &CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).expect("a valid authority");
        Self {
            roots,
            protocols: Vec::new(),
            versions: rustls::ALL_VERSIONS.to_vec(),
            shows: None,
            config: OnceLock::new(),
        }
    }

    /// Offers these protocols.
    #[must_use]
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        self.protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Shows a certificate of its own, if it is asked for one.
    #[must_use]
    pub fn showing(mut self, certified: &Certified) -> Self {
        self.shows = Some((certified.certificate.clone(), certified.key.clone()));
        self
    }

    /// Speaks these versions only.
    #[must_use]
    pub fn of_versions(mut self, versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// When the handshake fails.
    ///
    /// # Panics
    /// When the name is none.
    pub async fn connect(&self, address: SocketAddr, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        self.over(deadline("connect to the edge", TcpStream::connect(address)).await?, name).await
    }

    /// Shakes hands on a connection that is there.
    ///
    /// # Errors
    /// When the handshake fails.
    ///
    /// # Panics
    /// When the name is none.
    pub async fn over(&self, stream: TcpStream, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let config = self.config.get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&self.versions)
                .expect("known versions")
                .with_root_certificates(self.roots.clone());
            let mut config = match &self.shows {
                None => config.with_no_client_auth(),
                Some((certificate, key)) => {
                    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
                    config.with_client_auth_cert(vec![certificate.clone()], key).expect("the key fits")
                }
            };
            config.alpn_protocols.clone_from(&self.protocols);
            Arc::new(config)
        });
        let name = ServerName::try_from(name.to_owned()).expect("a valid name");
        deadline("TLS handshake", TlsConnector::from(Arc::clone(config)).connect(name, stream)).await
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Certified {
    /// Writes `NAME.pem` and `NAME.key` into a folder and returns their paths.
    #[must_use]
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let paths = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&paths.0, &self.certificate_pem).expect("the test's folder is writable");
        std::fs::write(&paths.1, &self.key_pem).expect("the test's folder is writable");
        paths
    }

    /// A TLS server side with this certificate.
    #[must_use]
    pub fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        self.acceptor_of(protocols, rustls::ALL_VERSIONS, None)
    }

    /// A TLS server side with this certificate and these versions, that takes only clients with a certificate of an authority,
    /// if one is given.
    #[must_use]
    pub fn acceptor_of(
        &self,
        protocols: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("known versions");
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).expect("a valid authority");
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().expect("a valid authority"))
            }
        };
        let mut config = config.with_single_cert(vec![self.certificate.clone()], key).expect("the key fits");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// The public key (RFC 5280, `SubjectPublicKeyInfo`).
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// The certificate as the peer shows it.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }
}
