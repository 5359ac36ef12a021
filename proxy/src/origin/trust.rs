//! TLS towards an origin: whom the edge believes, and what it shows.
//!
//! Reads certificate and key files when a snapshot is made.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::sync::Arc;

use edgeweir_config::{OriginTls, TlsVersion};
use pingora::protocols::Digest;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls::RootCertStore;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::fault::chain;
use crate::tls::TlsError;
use crate::tls::pem::{read, read_chain, read_pair};

/// What is wrong with a TLS file of an origin.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct TrustError {
    /// The key of the `tls` table that names the file.
    pub key: &'static str,
    text: String,
}

impl TrustError {
    fn of(key: &'static str, error: &TlsError) -> Self {
        Self { key, text: chain(error) }
    }
}

/// DER of certificates, and of their key.
type Identity = (Vec<Vec<u8>>, Vec<u8>);

/// See the module's text.
#[derive(Default)]
pub struct Trust {
    ca: Option<Arc<CaType>>,
    client: Option<Arc<CertKey>>,
    /// Tells connections apart that were made with other files: pingora's pool does not look at them. 0 without any.
    key: u64,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        f.debug_struct("Trust").field("ca", &self.ca.is_some()).field("client", &self.client.is_some()).finish()
    }
}

impl Trust {
    /// Reads the files.
    ///
    /// # Errors
    /// One that is missing or holds something else, or a key that does not match.
    pub fn open(tls: &OriginTls) -> Result<Self, TrustError> {
        let ca = tls.ca.as_deref().map(authorities).transpose()?;
        let client = tls.client.as_ref().map(|(certificate, key)| identity(certificate, key)).transpose()?;
        let key = match (&ca, &client, tls.min) {
            (None, None, TlsVersion::V1_2) => 0,
            (ca, client, min) => {
                let hasher = BuildHasherDefault::<DefaultHasher>::default();
                // Other keys of groups are small, or have the highest bit.
                (hasher.hash_one((ca, client, min == TlsVersion::V1_3)) & !(1 << 63)) | (1 << 62)
            }
        };
        let wrapped = |chain: Vec<Vec<u8>>| -> Arc<CaType> {
            chain.into_iter().map(|der| WrappedX509::new(der, parse_x509)).collect::<Vec<_>>().into()
        };
        let client = client.map(|(chain, key)| Arc::new(CertKey::new(chain, key)));
        Ok(Self { ca: ca.map(wrapped), client, key })
    }

    /// Makes a peer's connections those of this trust.
    pub(super) fn put_on(&self, peer: &mut HttpPeer) {
        peer.options.ca.clone_from(&self.ca);
        peer.client_cert_key.clone_from(&self.client);
        peer.group_key = self.key;
    }
}

/// The certificates of authorities, each one that rustls takes and pingora can read: it would panic.
fn authorities(path: &Path) -> Result<Vec<Vec<u8>>, TrustError> {
    let chain = read_chain(path).map_err(|error| TrustError::of("ca", &error))?;
    let mut store = RootCertStore::empty();
    for der in &chain {
        let taken = store.add(der.clone()).is_ok() && x509_parser::parse_x509_certificate(der).is_ok();
        if !taken {
            let text =
                format!("`{}` has a certificate that is damaged, or of a kind that is not known", path.display());
            return Err(TrustError { key: "ca", text });
        }
    }
    Ok(chain.into_iter().map(|der| der.to_vec()).collect())
}

/// A certificate with its chain, and its key, which belong together.
fn identity(certificate: &Path, key: &Path) -> Result<Identity, TrustError> {
    let of_key = |error: &TlsError| match error {
        TlsError::NoKey { .. } | TlsError::BadKey { .. } | TlsError::Mismatch { .. } => true,
        TlsError::Read { path, .. } | TlsError::TooLarge { path } | TlsError::Pem { path, .. } => path == key,
        _ => false,
    };
    let wrong = |error: TlsError| TrustError::of(if of_key(&error) { "key" } else { "certificate" }, &error);
    read_pair(certificate, key).map_err(wrong)?;
    let chain = read_chain(certificate).map_err(wrong)?;
    let pem = read(key).map_err(wrong)?;
    let unreadable = |key, path: &Path| TrustError { key, text: format!("`{}` cannot be read", path.display()) };
    if chain.iter().any(|der| x509_parser::parse_x509_certificate(der).is_err()) {
        return Err(unreadable("certificate", certificate));
    }
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_error| unreadable("key", key))?;
    let der = der.secret_der().to_vec();
    // pingora asks again of what kind it is.
    PrivateKeyDer::try_from(der.as_slice()).map_err(|_unknown| unreadable("key", key))?;
    Ok((chain.into_iter().map(|der| der.to_vec()).collect(), der))
}

/// Whether a connection is of a TLS version that the configuration accepts. pingora always offers TLS 1.2 and 1.3, so an
/// old version is seen when the handshake is over, before anything is sent.
#[must_use]
pub fn is_new_enough(tls: &OriginTls, digest: Option<&Digest>) -> bool {
    tls.min == TlsVersion::V1_2
        || digest
            .and_then(|digest| digest.ssl_digest.as_ref())
            .is_some_and(|tls| matches!(&*tls.version, "TLSv1_3" | "TLSv1.3"))
}
