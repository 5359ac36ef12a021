//! TLS towards viewers: certificates chosen by server name (SNI), versions, ALPN, session resumption.
//!
//! Reads certificate and key files when a listener is made, and again when they changed; it must not know sockets or
//! connections.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use edgeweir_config::{Listener, TlsVersion};
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};

pub mod fingerprint;
pub mod hello;
pub mod names;
pub(crate) mod pem;
mod resolver;
#[cfg(test)]
mod samples;
pub(crate) mod slot;
pub mod viewers;

use names::Shared;
use resolver::Resolver;
pub(crate) use slot::{Look, Shown, Slot};

use crate::acme::Access;

/// Sessions a listener remembers for resumption; the oldest is forgotten first.
const SESSIONS: usize = 10_240;
/// The protocol of the TLS-ALPN challenge (RFC 8737, section 6.2).
pub const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

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
    /// A certificate that cannot be an authority's.
    #[error("`{}` has a certificate that is damaged, or of a kind that is not known", path.display())]
    BadAuthority {
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Made(#[source] rcgen::Error),
    /// rustls refused the settings.
    #[error("the TLS settings are refused")]
    Settings(#[source] rustls::Error),
}

/// The TLS side of a listener that has certificates.
pub struct Termination {
    /// What handshakes are made with.
    pub config: Arc<ServerConfig>,
    /// One for each certificate, in the order of the configuration.
    slots: Vec<Arc<Slot>>,
    /// Which of them is shown; none where viewers are not held to the name of the handshake.
    held: Option<Arc<Resolver>>,
    sessions: Arc<ServerSessionMemoryCache>,
}

impl std::fmt::Debug for Termination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Termination").field("certificates", &self.slots.len()).finish_non_exhaustive()
    }
}

/// What the TLS side of a listener takes from elsewhere.
#[derive(Default, Clone, Copy)]
pub(crate) struct Supplies<'a> {
    /// Certificates that were fetched, and the challenges of those that are being fetched. None: certificates that are to be
    /// fetched are stand-ins.
    pub(crate) acme: Option<Access<'a>>,
    /// The same listener as it was until now: its sessions can be resumed.
    pub(crate) before: Option<&'a Termination>,
}

impl Termination {
    /// Reads all certificates of a listener.
    ///
    /// # Errors
    /// A file that is missing or holds something else, a key that does not match; see [`TlsError`]. A certificate that
    /// has expired is no error: [`validity_warnings`] tells.
    pub(crate) fn new(listener: &Listener, supplies: Supplies<'_>) -> Result<Self, TlsError> {
        if listener.certificates.is_empty() {
            return Err(TlsError::NoCertificates);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let challenges = supplies.acme.map(Access::challenges);
        let mut resolver = Resolver::new(challenges);
        let mut slots = Vec::with_capacity(listener.certificates.len());
        for certificate in &listener.certificates {
            let slot = Arc::new(Slot::open(certificate, supplies.acme)?);
            resolver.add(&certificate.hosts, &slot);
            slots.push(slot);
        }
        let resolver = Arc::new(resolver);
        let versions: &[_] = match listener.min_tls {
            TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::V1_3 => &[&rustls::version::TLS13],
        };
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(TlsError::Settings)?;
        let config = match &listener.viewer_certificates {
            None => config.with_no_client_auth(),
            Some(asked) => config.with_client_cert_verifier(viewers::verifier(asked, &provider)?),
        };
        let mut config = config.with_cert_resolver(Arc::<Resolver>::clone(&resolver));
        config.alpn_protocols =
            if listener.http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        if listener.certificates.iter().any(|certificate| certificate.acme) {
            // Only an authority offers it, and gets no other certificate than that of its challenge.
            config.alpn_protocols.push(ACME_PROTOCOL.to_vec());
        }
        // Sessions are kept here and never in a ticket: no key that opens recorded traffic lives for the life of the process.
        let sessions = supplies.before.map(|before| Arc::clone(&before.sessions));
        let sessions = sessions.unwrap_or_else(|| ServerSessionMemoryCache::new(SESSIONS));
        if listener.viewer_certificates.is_some() {
            // Who resumes a session shows no certificate, and nobody would look whether it is still good.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.session_storage = Arc::<ServerSessionMemoryCache>::clone(&sessions);
        }
        let held = listener.sni_must_match.then_some(resolver);
        Ok(Self { config: Arc::new(config), slots, held, sessions })
    }

    /// What the certificate is valid for that a viewer is shown who names this host in its handshake. None if it may ask for
    /// any host, as one may that names none.
    #[must_use]
    pub fn names(&self, server_name: Option<&str>) -> Option<Shared> {
        Some(self.held.as_ref()?.names(server_name?))
    }

    /// Its certificates.
    pub(crate) fn slots(&self) -> &[Arc<Slot>] {
        &self.slots
    }
}

/// Certificates of the listener that are not valid at `now`, or not for long, one sentence each. Files that cannot be read
/// are left out: making the listener reports them.
#[must_use]
pub fn validity_warnings(listener: &Listener, now: SystemTime) -> Vec<String> {
    let files = listener.certificates.iter().filter_map(|certificate| certificate.files.as_ref());
    let read = files.filter_map(|files| Some((files, pem::validity(&files.certificate)?)));
    let warnings = read.filter_map(|(files, validity)| {
        validity.warning(&format!("the certificate in `{}`", files.certificate.display()), unix(now))
    });
    warnings.collect()
}

/// Seconds since 1970.
pub(crate) fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
