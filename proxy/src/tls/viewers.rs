//! Certificates that viewers show (mutual TLS): whose are taken, and what one says, in CloudFront's words (Developer Guide,
//! "Viewer mTLS headers").

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgeweir_config::{ViewerCertificates, ViewerFact};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest as _, Sha256};
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::{TlsError, pem};

/// Most bytes of a whole certificate as a field: origins take few more in all their fields.
const MAX_PEM: usize = 8 * 1024;
/// Characters in a line of PEM (RFC 7468, section 2).
const LINE: usize = 64;

/// What checks certificates in handshakes.
///
/// # Errors
/// If the file of the authorities cannot be read, holds something else, or a certificate that cannot be an authority's.
pub(super) fn verifier(
    asked: &ViewerCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = || TlsError::BadAuthority { path: asked.ca.clone() };
    let mut roots = RootCertStore::empty();
    for certificate in pem::read_chain(&asked.ca)? {
        roots.add(certificate).map_err(|_refused| unusable())?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = if asked.required { verifier } else { verifier.allow_unauthenticated() };
    verifier.build().map(|verifier| verifier as _).map_err(|_refused| unusable())
}

/// What a certificate says. None where a field cannot carry it.
#[must_use]
pub fn fact(fact: ViewerFact, der: &[u8]) -> Option<String> {
    match fact {
        ViewerFact::CertSha256 => return Some(hex(&Sha256::digest(der), "")),
        ViewerFact::CertPem => return encoded_pem(der),
        _ => {}
    }
    let (_, leaf) = x509_parser::parse_x509_certificate(der).ok()?;
    match fact {
        ViewerFact::CertSerial => Some(serial(leaf.raw_serial())),
        ViewerFact::CertIssuer => name(leaf.issuer()),
        ViewerFact::CertSubject => name(leaf.subject()),
        ViewerFact::CertValidity => {
            let validity = leaf.validity();
            Some(format!("NotBefore={};NotAfter={}", time(validity.not_before)?, time(validity.not_after)?))
        }
        _ => None,
    }
}

/// The number's bytes; the one that only says that it is not negative is left out.
fn serial(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(bytes);
    hex(bytes, ":")
}

/// ISO 8601, in seconds.
fn time(time: ASN1Time) -> Option<String> {
    let at = time.to_datetime();
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", at.hour(), at.minute(), at.second()))
}

/// A distinguished name as RFC 2253 has it: the last part first.
fn name(name: &X509Name<'_>) -> Option<String> {
    let mut parts: Vec<_> = name.iter_rdn().collect();
    parts.reverse();
    let mut text = String::new();
    for (at, part) in parts.into_iter().enumerate() {
        text.push_str(if at == 0 { "" } else { "," });
        for (at, attribute) in part.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "+" });
            put_attribute(&mut text, attribute)?;
        }
    }
    Some(text)
}

/// RFC 2253, sections 2.3 and 2.4: types that are not in its table are numbers, with the value's encoding in hex.
fn put_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) -> Option<()> {
    let oid = attribute.attr_type().to_id_string();
    let known = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.25" => "DC",
        "0.9.2342.19200300.100.1.1" => "UID",
        _ => "",
    };
    match attribute.as_str() {
        Ok(value) if !known.is_empty() => {
            text.push_str(known);
            text.push('=');
            put_value(text, value);
        }
        _ => {
            use x509_parser::asn1_rs::ToDer as _;
            text.push_str(if known.is_empty() { &oid } else { known });
            text.push_str("=#");
            text.push_str(&hex(&attribute.attr_value().to_der_vec().ok()?, ""));
        }
    }
    Some(())
}

fn put_value(text: &mut String, value: &str) {
    let bytes = value.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let edge = (at == 0 && matches!(byte, b' ' | b'#')) || (at + 1 == bytes.len() && byte == b' ');
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => text.extend(['\\', char::from(byte)]),
            _ if edge => text.extend(['\\', char::from(byte)]),
            0x20..0x7f => text.push(char::from(byte)),
            // UTF-8, byte by byte: no field carries it otherwise.
            _ => {
                let _always = write!(text, "\\{byte:02X}");
            }
        }
    }
}

/// In PEM, percent-encoded: what is not unreserved (RFC 3986, 2.3) is.
fn encoded_pem(der: &[u8]) -> Option<String> {
    let body = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN%20CERTIFICATE-----%0A");
    for (at, byte) in body.bytes().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push_str("%0A");
        }
        match byte {
            b'+' => text.push_str("%2B"),
            b'/' => text.push_str("%2F"),
            b'=' => text.push_str("%3D"),
            _ => text.push(byte.into()),
        }
    }
    text.push_str("%0A-----END%20CERTIFICATE-----%0A");
    (text.len() <= MAX_PEM).then_some(text)
}

fn hex(bytes: &[u8], between: &str) -> String {
    let mut text = String::with_capacity(3 * bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        // Writing to a string does not fail.
        let _always = write!(text, "{}{byte:02x}", if at == 0 { "" } else { between });
    }
    text
}

#[cfg(test)]
mod tests;
