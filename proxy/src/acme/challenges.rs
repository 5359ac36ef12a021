//! Challenges that wait for the authority to look: tokens at a path (HTTP-01), certificates in a handshake (TLS-ALPN-01).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustls::sign::CertifiedKey;

use super::CHALLENGE_PATH;
use crate::tls::{TlsError, pem};

/// See the module's text.
#[derive(Debug, Default)]
pub struct Challenges {
    /// Tokens that wait, so that other requests look at nothing else.
    waiting: AtomicUsize,
    /// What is to be answered, by token.
    tokens: Mutex<HashMap<String, String>>,
    /// By name, in lower case.
    certificates: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

/// A challenge that waits. Dropped, it is over.
#[derive(Debug)]
pub(super) struct Waiting {
    challenges: Arc<Challenges>,
    what: What,
}

#[derive(Debug)]
enum What {
    Token(String),
    Name(String),
}

impl Challenges {
    /// What a request for this path is answered with, if an authority waits for it.
    #[must_use]
    pub fn answer(&self, path: &str) -> Option<String> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.tokens.lock().get(path.strip_prefix(CHALLENGE_PATH)?).cloned()
    }

    /// What a handshake of an authority for this name is answered with.
    pub(crate) fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.certificates.lock().get(name.trim_end_matches('.').to_ascii_lowercase().as_str()).cloned()
    }

    /// From now on a request for this token gets the key authorization.
    pub(super) fn await_request(self: &Arc<Self>, token: &str, authorization: &str) -> Waiting {
        self.tokens.lock().insert(token.to_owned(), authorization.to_owned());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting { challenges: Arc::clone(self), what: What::Token(token.to_owned()) }
    }

    /// From now on a handshake of an authority for this name gets a certificate with the digest of the key authorization
    /// (RFC 8737, section 3).
    pub(super) fn await_handshake(self: &Arc<Self>, name: &str, digest: &[u8]) -> Result<Waiting, TlsError> {
        let name = name.to_ascii_lowercase();
        let mut params = rcgen::CertificateParams::new(vec![name.clone()]).map_err(TlsError::Made)?;
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
        let certificate = pem::self_signed(&params)?;
        self.certificates.lock().insert(name.clone(), certificate);
        Ok(Waiting { challenges: Arc::clone(self), what: What::Name(name) })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        match &self.what {
            What::Token(token) => {
                self.challenges.tokens.lock().remove(token);
                self.challenges.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            What::Name(name) => {
                self.challenges.certificates.lock().remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_while_it_waits() {
        let challenges = Arc::<Challenges>::default();
        assert_eq!(challenges.answer("/.well-known/acme-challenge/a"), None);
        let waiting = challenges.await_request("a", "a.print");
        assert_eq!(challenges.answer("/.well-known/acme-challenge/a").as_deref(), Some("a.print"));
        for other in ["/.well-known/acme-challenge/b", "/.well-known/acme-challenge/", "/a", "a", ""] {
            assert_eq!(challenges.answer(other), None, "{other}");
        }
        drop(waiting);
        assert_eq!(challenges.answer("/.well-known/acme-challenge/a"), None);
    }

    #[test]
    fn a_handshake_gets_the_digest_in_a_critical_extension() {
        let challenges = Arc::<Challenges>::default();
        let waiting = challenges.await_handshake("A.test", &[7; 32]).unwrap();
        let shown = challenges.certificate("a.TEST.").unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&shown.cert[0]).unwrap();
        // RFC 8737, section 6.1: id-pe-acmeIdentifier; an OCTET STRING with the digest.
        let found = certificate.extensions().iter().find(|e| e.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(found.critical);
        assert_eq!(found.value, [&[4, 32][..], &[7; 32]].concat());
        assert!(challenges.certificate("b.test").is_none());
        drop(waiting);
        assert!(challenges.certificate("a.test").is_none());
    }
}
