//! Which certificate a viewer is shown: the exact name, else the longest wildcard, else the default.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use edgeweir_config::HostPattern;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::names::Shared;
use super::{ACME_PROTOCOL, Slot};
use crate::acme::Challenges;

/// Certificates for the same names, of different key kinds; the first that the viewer can verify is shown.
type Candidates = Vec<Arc<Slot>>;

/// The certificates of a listener by name.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    exact: HashMap<Box<str>, Candidates>,
    /// By what follows the `*`, such as `.example.com`.
    wildcards: HashMap<Box<str>, Candidates>,
    default: Candidates,
    /// Handshakes of an authority that wants to see that a name leads here.
    challenges: Option<Arc<Challenges>>,
}

impl Resolver {
    pub(super) fn new(challenges: Option<Arc<Challenges>>) -> Self {
        Self { challenges, ..Self::default() }
    }

    /// Adds a certificate; no hosts, or the host `*`, make it a default.
    pub(super) fn add(&mut self, hosts: &[HostPattern], certificate: &Arc<Slot>) {
        if hosts.is_empty() {
            self.default.push(Arc::clone(certificate));
        }
        for host in hosts {
            let host = host.as_str().to_ascii_lowercase();
            let slot = match host.strip_prefix('*') {
                Some("") => &mut self.default,
                Some(suffix) => self.wildcards.entry(suffix.into()).or_default(),
                None => self.exact.entry(host.into()).or_default(),
            };
            slot.push(Arc::clone(certificate));
        }
    }

    /// The certificates for a name, best first. Without a name (RFC 6066, Section 3: optional) the default ones.
    fn candidates(&self, name: Option<&str>) -> &[Arc<Slot>] {
        let Some(name) = name else { return &self.default };
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        if let Some(found) = self.exact.get(&*name) {
            return found;
        }
        // `a.b.example.com`: tries `.b.example.com`, `.example.com`, `.com`.
        let mut rest = &*name;
        while let Some((_, parent)) = rest.split_once('.') {
            let suffix = name.get(name.len() - parent.len() - 1..).unwrap_or_default();
            if let Some(found) = self.wildcards.get(suffix) {
                return found;
            }
            rest = parent;
        }
        &self.default
    }

    /// What they are valid for.
    pub(super) fn names(&self, name: &str) -> Shared {
        self.candidates(Some(name)).iter().map(|slot| slot.shown().names.clone()).collect()
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(name);
        if let [only] = candidates {
            return Some(only.key());
        }
        let fits = |key: &Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        candidates.iter().map(|slot| slot.key()).find(fits).or_else(|| Some(candidates.first()?.key()))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // RFC 8737, section 3: it is the only protocol that is offered.
        if let Some(challenges) = &self.challenges
            && hello.alpn().is_some_and(|mut offered| offered.next() == Some(ACME_PROTOCOL) && offered.next().is_none())
        {
            return challenges.certificate(hello.server_name()?);
        }
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

#[cfg(test)]
mod tests {
    use rustls::SignatureAlgorithm;
    use rustls::sign::{Signer, SigningKey};

    use super::*;
    use crate::tls::Shown;
    use crate::tls::pem::Validity;
    use crate::tls::slot::Source;

    #[derive(Debug)]
    struct Key(SignatureScheme);

    impl SigningKey for Key {
        fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            #[derive(Debug)]
            struct Nothing(SignatureScheme);
            impl Signer for Nothing {
                fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
                    Ok(Vec::new())
                }
                fn scheme(&self) -> SignatureScheme {
                    self.0
                }
            }
            offered.contains(&self.0).then(|| Box::new(Nothing(self.0)) as Box<dyn Signer>)
        }
        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::ECDSA
        }
    }

    fn key(scheme: SignatureScheme) -> Arc<Slot> {
        let key = Arc::new(CertifiedKey::new(Vec::new(), Arc::new(Key(scheme))));
        let validity = Validity { not_before: 0, not_after: 0 };
        Arc::new(Slot::of(Shown { key, validity, names: Arc::default(), source: Source::Files }))
    }

    fn hosts(list: &[&str]) -> Vec<HostPattern> {
        list.iter().map(|host| HostPattern::parse(host).unwrap()).collect()
    }

    #[test]
    fn exact_then_longest_wildcard_then_default() {
        let scheme = SignatureScheme::ED25519;
        let (exact, short, long, default) = (key(scheme), key(scheme), key(scheme), key(scheme));
        let mut resolver = Resolver::default();
        resolver.add(&hosts(&["www.example.com"]), &exact);
        resolver.add(&hosts(&["*.example.com"]), &short);
        resolver.add(&hosts(&["*.eu.example.com"]), &long);
        resolver.add(&[], &default);
        for (name, expected) in [
            (Some("www.example.com"), &exact),
            (Some("WWW.Example.COM"), &exact),
            (Some("www.example.com."), &exact),
            (Some("a.example.com"), &short),
            (Some("a.b.example.com"), &short),
            (Some("a.eu.example.com"), &long),
            (Some("A.EU.example.com"), &long),
            (Some("eu.example.com"), &short),
            (Some("example.com"), &default),
            (Some("other.test"), &default),
            (Some("com"), &default),
            (None, &default),
        ] {
            let found = resolver.choose(name, &[scheme]).unwrap();
            assert!(Arc::ptr_eq(&found, &expected.key()), "{name:?}");
        }
    }

    #[test]
    fn without_a_default_an_unknown_name_gets_nothing() {
        let mut resolver = Resolver::default();
        resolver.add(&hosts(&["a.test"]), &key(SignatureScheme::ED25519));
        assert!(resolver.choose(Some("b.test"), &[SignatureScheme::ED25519]).is_none());
        assert!(resolver.choose(None, &[SignatureScheme::ED25519]).is_none());
    }

    #[test]
    fn of_two_kinds_of_keys_the_viewer_gets_the_one_it_can_verify() {
        let (rsa, ecdsa) = (key(SignatureScheme::RSA_PSS_SHA256), key(SignatureScheme::ECDSA_NISTP256_SHA256));
        let mut resolver = Resolver::default();
        resolver.add(&hosts(&["a.test"]), &ecdsa);
        resolver.add(&hosts(&["a.test"]), &rsa);
        let found = resolver.choose(Some("a.test"), &[SignatureScheme::RSA_PSS_SHA256]).unwrap();
        assert!(Arc::ptr_eq(&found, &rsa.key()));
        let both = [SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256];
        assert!(Arc::ptr_eq(&resolver.choose(Some("a.test"), &both).unwrap(), &ecdsa.key()));
    }
}
