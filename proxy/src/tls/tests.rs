use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use edgeweir_config::{Certificate, CertificateFiles};
use rcgen::{CertificateParams, KeyPair};

use super::*;

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn certificate(&self, name: &str, not_after: Option<(i32, u8, u8)>) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if let Some((year, month, day)) = not_after {
            params.not_after = rcgen::date_time_ymd(year, month, day);
        }
        let certificate = params.self_signed(&key).unwrap();
        (
            self.write(&format!("{name}.pem"), &certificate.pem()),
            self.write(&format!("{name}.key"), &key.serialize_pem()),
        )
    }
}

fn listener(certificates: &[(&PathBuf, &PathBuf)]) -> Listener {
    let certificates = certificates.iter().map(|(certificate, key)| Certificate {
        hosts: Vec::new(),
        files: Some(CertificateFiles { certificate: (*certificate).clone(), key: (*key).clone() }),
        acme: false,
    });
    Listener {
        proxy_protocol: false,
        viewer_certificates: None,
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        http2: true,
        certificates: certificates.collect(),
        min_tls: TlsVersion::V1_2,
        sni_must_match: true,
    }
}

fn server_config(listener: &Listener) -> Result<Arc<ServerConfig>, TlsError> {
    Termination::new(listener, Supplies::default()).map(|made| made.config)
}

#[test]
fn a_good_certificate_loads() {
    let files = Files::new();
    let (certificate, key) = files.certificate("a.test", None);
    let mut listener = listener(&[(&certificate, &key)]);
    let config = server_config(&listener).unwrap();
    assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    listener.http2 = false;
    assert_eq!(server_config(&listener).unwrap().alpn_protocols, [b"http/1.1".to_vec()]);
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let files = Files::new();
    let (certificate, key) = files.certificate("a.test", None);
    let (_, other_key) = files.certificate("b.test", None);
    let missing = files.folder.path().join("missing.pem");
    let empty = files.write("empty.pem", "");
    let cut = files.write("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let damaged = files.write("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let weak = files.write("weak.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    for (pair, file, what) in [
        ((&missing, &key), "missing.pem", "cannot read"),
        ((&certificate, &missing), "missing.pem", "cannot read"),
        ((&empty, &key), "empty.pem", "no certificate in"),
        ((&key, &key), "a.test.key", "no certificate in"),
        ((&certificate, &certificate), "a.test.pem", "no private key in"),
        ((&cut, &key), "cut.pem", "END line is missing"),
        ((&damaged, &key), "damaged.pem", "is damaged"),
        ((&certificate, &weak), "weak.key", "is not usable"),
        ((&certificate, &other_key), "b.test.key", "does not belong to"),
    ] {
        let error = server_config(&listener(&[pair])).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(what), "{error}");
    }
    let none = server_config(&listener(&[])).unwrap_err();
    assert!(matches!(none, TlsError::NoCertificates));
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let files = Files::new();
    let (old, old_key) = files.certificate("old.test", Some((2020, 1, 2)));
    let (good, good_key) = files.certificate("good.test", None);
    let listener = listener(&[(&old, &old_key), (&good, &good_key)]);
    server_config(&listener).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let warnings = validity_warnings(&listener, now);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("old.test.pem") && warnings[0].contains("expired on"), "{warnings:?}");
    let early = validity_warnings(&listener, SystemTime::UNIX_EPOCH);
    assert!(early.iter().all(|warning| warning.contains("not valid before")), "{early:?}");
}

/// A whole handshake in memory: (version, protocol, whether it was a resumption).
fn handshake(server: &Arc<ServerConfig>, client: &Arc<rustls::ClientConfig>) -> Result<Vec<u8>, rustls::Error> {
    let name = "a.test".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::clone(server)).unwrap();
    for _ in 0..8 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut wire = io::Cursor::new(wire);
        while server.read_tls(&mut wire).unwrap() > 0 {
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = io::Cursor::new(wire);
        while client.read_tls(&mut wire).unwrap() > 0 {
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(client.alpn_protocol().unwrap_or_default().to_vec())
}

#[test]
fn old_versions_are_refused_when_the_minimum_is_1_3() {
    let files = Files::new();
    let (certificate, key) = files.certificate("a.test", None);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pem::read_chain(&certificate).unwrap().remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let client = Arc::new(client);
    let mut listener = listener(&[(&certificate, &key)]);
    assert_eq!(handshake(&server_config(&listener).unwrap(), &client).unwrap(), b"h2");
    listener.min_tls = TlsVersion::V1_3;
    handshake(&server_config(&listener).unwrap(), &client).unwrap_err();
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    const DAY: i64 = 86_400;
    let of = |days: i64| pem::Validity { not_before: 0, not_after: days * DAY };
    let said = |days, day| of(days).warning("it", day * DAY).unwrap_or_default();
    assert_eq!((said(90, 75), said(6, 4)), (String::new(), String::new()));
    assert!(said(90, 77).starts_with("it expires in 13 days, on "), "{}", said(90, 77));
    assert!(said(6, 5).starts_with("it expires in 24 hours, on "), "{}", said(6, 5));
    assert!(said(6, 7).starts_with("it expired on "), "{}", said(6, 7));
}

fn slot(certificate: &Path, key: &Path) -> Slot {
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    let files = Some(CertificateFiles { certificate, key });
    Slot::open(&Certificate { hosts: Vec::new(), files, acme: false }, None).unwrap()
}

fn shows(slot: &Slot, pem: &Path) -> bool {
    slot.shown().key.cert == pem::read_chain(pem).unwrap()
}

#[test]
fn changed_files_are_swapped_as_a_pair() {
    let files = Files::new();
    let (certificate, key) = files.certificate("a.test", None);
    let (new_certificate, new_key) = files.certificate("b.test", None);
    let slot = slot(&certificate, &key);
    let first = slot.shown();
    assert!(matches!(slot.look(), Look::Same));
    std::fs::copy(&new_certificate, &certificate).unwrap();
    for _ in 0..9 {
        assert!(matches!(slot.look(), Look::Same), "waits for the key");
        assert!(Arc::ptr_eq(&first, &slot.shown()));
    }
    std::fs::copy(&new_key, &key).unwrap();
    assert!(matches!(slot.look(), Look::Replaced));
    assert!(shows(&slot, &new_certificate));
}

#[test]
fn files_that_stay_broken_are_told_once() {
    let files = Files::new();
    let (certificate, key) = files.certificate("a.test", None);
    let (_, other_key) = files.certificate("b.test", None);
    let slot = slot(&certificate, &key);
    let first = slot.shown();
    let looks = |times: usize| (0..times).filter(|_| matches!(slot.look(), Look::Failed(_))).count();
    std::fs::write(&certificate, "half of a certif").unwrap();
    assert_eq!((looks(1), looks(20)), (0, 1), "not while it may be being written");
    std::fs::remove_file(&certificate).unwrap();
    assert_eq!(looks(20), 1);
    let (certificate, _) = files.certificate("a.test", None);
    std::fs::copy(&other_key, &key).unwrap();
    assert_eq!((looks(10), looks(20)), (0, 1), "a pair is waited for");
    assert!(Arc::ptr_eq(&first, &slot.shown()), "the old one stays");
    let (_, _) = files.certificate("a.test", None);
    assert!(matches!(slot.look(), Look::Replaced));
    assert!(shows(&slot, &certificate));
}
