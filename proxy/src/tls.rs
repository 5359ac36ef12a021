//! TLS towards viewers: certificates chosen by server name (SNI), versions, ALPN, session resumption.
//!
//! Reads certificate and key files when a listener is made or reloaded; it must not know sockets or connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use edgeweir_config::{Certificate, Listener, TlsVersion};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

mod resolver;

use resolver::Resolver;

/// Sessions a listener remembers for resumption; the oldest is forgotten first.
const SESSIONS: usize = 10_240;
/// Largest certificate or key file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What is wrong with the certificates of a listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The listener has no certificate: it speaks plain text.
    #[error("the listener has no certificate")]
    NoCertificates,
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is far too large for what it should be.
    #[error("`{}` is larger than 1 MiB: not a certificate or key", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file is not PEM.
    #[error("`{}` is not valid PEM: {reason}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the parser says, without the file's content.
        reason: &'static str,
    },
    /// No `CERTIFICATE` section.
    #[error("no certificate in `{}`", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No `PRIVATE KEY` section.
    #[error("no private key in `{}`", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The leaf certificate cannot be parsed.
    #[error("the first certificate in `{}` is damaged", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A key of a kind that cannot sign.
    #[error("the private key in `{}` is not usable: RSA (2048 bits or more), ECDSA P-256/P-384 or Ed25519 is needed", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error("the private key in `{}` does not belong to the certificate in `{}`", key.display(), certificate.display())]
    Mismatch {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// rustls refused the settings.
    #[error("the TLS settings are refused")]
    Settings(#[source] rustls::Error),
}

/// The TLS side of a listener that has certificates.
///
/// # Errors
/// A file that is missing or holds something else, a key that does not match; see [`TlsError`]. A certificate that
/// has expired is no error: [`validity_warnings`] tells.
pub fn server_config(listener: &Listener) -> Result<Arc<ServerConfig>, TlsError> {
    if listener.certificates.is_empty() {
        return Err(TlsError::NoCertificates);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut resolver = Resolver::default();
    for certificate in &listener.certificates {
        let key = Arc::new(certified_key(certificate, &provider)?);
        resolver.add(&certificate.hosts, &key);
    }
    let versions: &[_] = match listener.min_tls {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(TlsError::Settings)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols =
        if listener.http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    // Sessions are kept here and never in a ticket: no key that opens recorded traffic lives for the life of the process.
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    Ok(Arc::new(config))
}

/// Certificates of the listener that are not valid at `now`, one sentence each. Files that cannot be read are left out:
/// [`server_config`] reports them.
#[must_use]
pub fn validity_warnings(listener: &Listener, now: SystemTime) -> Vec<String> {
    let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else { return Vec::new() };
    let Ok(now) = i64::try_from(now.as_secs()) else { return Vec::new() };
    listener.certificates.iter().filter_map(|certificate| validity_warning(&certificate.certificate, now)).collect()
}

fn validity_warning(path: &Path, now: i64) -> Option<String> {
    let chain = read_chain(path).ok()?;
    let (_, leaf) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
    let validity = leaf.validity();
    if validity.not_after.timestamp() < now {
        return Some(format!("the certificate in `{}` expired on {}", path.display(), validity.not_after));
    }
    if validity.not_before.timestamp() > now {
        return Some(format!("the certificate in `{}` is not valid before {}", path.display(), validity.not_before));
    }
    None
}

/// A certificate and its key, which belong together.
pub(crate) fn certified_key(
    certificate: &Certificate,
    provider: &Arc<CryptoProvider>,
) -> Result<CertifiedKey, TlsError> {
    let chain = read_chain(&certificate.certificate)?;
    let pem = read(&certificate.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: certificate.key.clone() },
        other => TlsError::Pem { path: certificate.key.clone(), reason: pem_reason(&other) },
    })?;
    let bad_key = |_| TlsError::BadKey { path: certificate.key.clone() };
    let key = provider.key_provider.load_private_key(key).map_err(bad_key)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch { certificate: certificate.certificate.clone(), key: certificate.key.clone() })
        }
        Err(_) => Err(TlsError::BadCertificate { path: certificate.certificate.clone() }),
    }
}

pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem { path: path.to_owned(), reason: pem_reason(&error) })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let bytes = crate::files::read(path, MAX_FILE).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(TlsError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

/// The parser's own messages quote lines of the file, which may hold a key.
fn pem_reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "an END line is missing",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be parsed",
    }
}

#[cfg(test)]
mod tests;
