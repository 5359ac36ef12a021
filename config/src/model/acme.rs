//! Certificates, and the authority that they can be fetched from.

use std::path::PathBuf;

use super::SecretSource;
use crate::units::HostPattern;

/// A certificate of a listener. It has files, or is fetched by ACME, or both: then the files are shown until there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// Host names it is shown for. Empty: it is the default certificate.
    pub hosts: Vec<HostPattern>,
    /// Where it is on disk.
    pub files: Option<CertificateFiles>,
    /// Fetched from [`super::Config::acme`]; then `hosts` are names without `*`.
    pub acme: bool,
}

/// A certificate chain and its key, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// An authority that certificates are fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// An `https` URL.
    pub directory_url: String,
    /// Of the account.
    pub email: Option<String>,
    /// How names are proven.
    pub challenge: AcmeChallenge,
    /// PEM file with the roots that the directory is checked with; none for the system's.
    pub ca_file: Option<PathBuf>,
    /// An account outside of ACME.
    pub external_account: Option<ExternalAccount>,
}

/// An account outside of ACME (RFC 8555, section 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The authority's name for the key.
    pub key_id: String,
    /// The key in base64url.
    pub hmac_key: SecretSource,
}

/// How the authority sees that a name leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AcmeChallenge {
    /// A file at port 80 (RFC 8555, section 8.3).
    #[default]
    Http01,
    /// A handshake at port 443 (RFC 8737).
    TlsAlpn01,
}

impl AcmeChallenge {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}
