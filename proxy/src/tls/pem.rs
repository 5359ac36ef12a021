//! Certificates and keys in PEM, and how long they are valid.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::time::ASN1Time;

use super::TlsError;

/// Largest certificate or key file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// From so many seconds before its end on there are warnings, if that is not more than a quarter of its life.
const SOON: i64 = 14 * 86_400;

/// When a certificate is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

impl Validity {
    fn of(certificate: &[u8]) -> Option<Self> {
        let (_, leaf) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let validity = leaf.validity();
        Some(Self { not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() })
    }

    /// How long it is valid, in seconds.
    pub(crate) fn life(self) -> i64 {
        self.not_after.saturating_sub(self.not_before).max(0)
    }

    /// What is to be said of a certificate, called `what`, at this time.
    pub(crate) fn warning(self, what: &str, now: i64) -> Option<String> {
        if self.not_after < now {
            return Some(format!("{what} expired on {}", date(self.not_after)));
        }
        if self.not_before > now {
            return Some(format!("{what} is not valid before {}", date(self.not_before)));
        }
        let left = self.not_after - now;
        (left < SOON.min(self.life() / 4)).then(|| {
            let (count, unit) = if left < 2 * 86_400 { (left / 3600, "hours") } else { (left / 86_400, "days") };
            format!("{what} expires in {count} {unit}, on {}", date(self.not_after))
        })
    }
}

fn date(seconds: i64) -> String {
    ASN1Time::from_timestamp(seconds).map_or_else(|_beyond| seconds.to_string(), |time| time.to_string())
}

/// Chain and key that belong together.
pub(crate) struct Pair {
    pub(crate) key: CertifiedKey,
    pub(crate) validity: Validity,
}

/// Reads a chain and its key.
///
/// # Errors
/// What is wrong with which file.
pub(crate) fn read_pair(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
    let chain = read(certificate)?;
    let private = read(key)?;
    parse_pair((certificate, &chain), (key, &private))
}

/// Takes a chain and its key out of the content of files.
///
/// # Errors
/// What is wrong with which file.
pub(crate) fn parse_pair(certificate: (&Path, &[u8]), key: (&Path, &[u8])) -> Result<Pair, TlsError> {
    let chain = parse_chain(certificate.0, certificate.1)?;
    let owned = |path: &Path| path.to_owned();
    let private = PrivateKeyDer::from_pem_slice(key.1).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: owned(key.0) },
        other => TlsError::Pem { path: owned(key.0), reason: pem_reason(&other) },
    })?;
    let provider = rustls::crypto::ring::default_provider();
    let bad_key = |_| TlsError::BadKey { path: owned(key.0) };
    let signer = provider.key_provider.load_private_key(private).map_err(bad_key)?;
    let bad_certificate = || TlsError::BadCertificate { path: owned(certificate.0) };
    let validity = chain.first().and_then(|leaf| Validity::of(leaf)).ok_or_else(bad_certificate)?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Pair { key: certified, validity })
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch { certificate: owned(certificate.0), key: owned(key.0) })
        }
        Err(_) => Err(bad_certificate()),
    }
}

/// A certificate that is signed with its own key, for these names.
///
/// # Errors
/// If one of the names cannot be in a certificate.
pub(crate) fn self_signed(params: &rcgen::CertificateParams) -> Result<Arc<CertifiedKey>, TlsError> {
    let key = rcgen::KeyPair::generate().map_err(TlsError::Made)?;
    let certificate = params.self_signed(&key).map_err(TlsError::Made)?;
    let signer = rustls::crypto::ring::default_provider()
        .key_provider
        .load_private_key(PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .map_err(TlsError::Settings)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer)))
}

/// When the certificate in a file is valid; none if it cannot be read.
pub(super) fn validity(path: &Path) -> Option<Validity> {
    let chain = parse_chain(path, &read(path).ok()?).ok()?;
    Validity::of(chain.first()?)
}

/// The certificates in a file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    parse_chain(path, &read(path)?)
}

fn parse_chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem { path: path.to_owned(), reason: pem_reason(&error) })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

/// The content of a file that should hold PEM.
///
/// # Errors
/// If it cannot be read or is too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let owned = || PathBuf::from(path);
    let bytes = crate::files::read(path, MAX_FILE).map_err(|source| TlsError::Read { path: owned(), source })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(TlsError::TooLarge { path: owned() });
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
