//! Public keys for signature checks: PEM in, what ring wants out, with a small cache so that checking a token costs no
//! parsing. Holds no private keys.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::der_parser::oid;
use x509_parser::oid_registry::Oid;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::{PublicKey as X509Key, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::algorithm::KeyAlgorithm;

/// Most keys kept; the map is emptied when it is full.
const MAX_KEYS: usize = 64;
/// Longest PEM text, in bytes.
const MAX_PEM: usize = 16 * 1024;
/// RSA modulus sizes in bits: at least RFC 7518 3.3's minimum, at most what ring takes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// RFC 5480 2.1.1.1: id-ecPublicKey, secp256r1, secp384r1.
const EC_PUBLIC_KEY: Oid<'static> = oid!(1.2.840.10045.2.1);
const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
const P384: Oid<'static> = oid!(1.3.132.0.34);
/// RFC 8410 3: id-Ed25519.
const ED25519: Oid<'static> = oid!(1.3.101.112);

/// Why a key cannot be used. The hook sees the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the key is longer than 16 KiB")]
    TooLong,
    #[error("the key is not PEM text")]
    NotPem,
    #[error("the PEM text is a private key; a public key is needed")]
    Private,
    #[error("the PEM text is not a `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`")]
    Label,
    #[error("the key's DER is broken")]
    Der,
    #[error("the key is neither RSA nor Ed25519 nor an uncompressed point on P-256 or P-384")]
    Kind,
    #[error("the RSA key must have 2048 to 8192 bits")]
    RsaSize,
    #[error("the algorithm needs an RSA key")]
    NeedsRsa,
    #[error("the algorithm needs a P-256 key")]
    NeedsP256,
    #[error("the algorithm needs a P-384 key")]
    NeedsP384,
    #[error("the algorithm needs an Ed25519 key")]
    NeedsEd25519,
}

/// A public key.
#[derive(Debug)]
pub(crate) enum PublicKey {
    /// RSAPublicKey DER (RFC 8017 A.1.1).
    Rsa(Box<[u8]>),
    /// Modulus and exponent, without leading zeros.
    RsaParts { n: Box<[u8]>, e: Box<[u8]> },
    /// An uncompressed point (RFC 5480 2.2).
    P256(Box<[u8]>),
    /// An uncompressed point.
    P384(Box<[u8]>),
    /// 32 bytes (RFC 8032).
    Ed25519(Box<[u8]>),
}

impl PublicKey {
    /// An RSA key of these big-endian numbers.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let plain = |number: &[u8]| -> Box<[u8]> {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            number.get(zeros..).unwrap_or_default().into()
        };
        let (n, e) = (plain(n), plain(e));
        let top = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if e.is_empty() || !RSA_BITS.contains(&(n.len() * 8 - top)) {
            return Err(KeyError::RsaSize);
        }
        Ok(Self::RsaParts { n, e })
    }

    /// Whether the signature is the key's over these bytes.
    ///
    /// # Errors
    /// If the key is not for this algorithm.
    pub(crate) fn verify(&self, algorithm: KeyAlgorithm, data: &[u8], sig: &[u8]) -> Result<bool, KeyError> {
        use KeyAlgorithm as A;
        let rsa: &RsaParameters = match (algorithm, self) {
            (A::Es256, Self::P256(point)) => return Ok(check(&signature::ECDSA_P256_SHA256_FIXED, point, data, sig)),
            (A::Es384, Self::P384(point)) => return Ok(check(&signature::ECDSA_P384_SHA384_FIXED, point, data, sig)),
            (A::EdDsa, Self::Ed25519(key)) => return Ok(check(&signature::ED25519, key, data, sig)),
            (A::Es256, _) => return Err(KeyError::NeedsP256),
            (A::Es384, _) => return Err(KeyError::NeedsP384),
            (A::EdDsa, _) => return Err(KeyError::NeedsEd25519),
            (A::Rs256, _) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (A::Rs384, _) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (A::Rs512, _) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (A::Ps256, _) => &signature::RSA_PSS_2048_8192_SHA256,
            (A::Ps384, _) => &signature::RSA_PSS_2048_8192_SHA384,
            (A::Ps512, _) => &signature::RSA_PSS_2048_8192_SHA512,
        };
        match self {
            Self::Rsa(der) => Ok(check(rsa, der, data, sig)),
            Self::RsaParts { n, e } => Ok(RsaPublicKeyComponents { n, e }.verify(rsa, data, sig).is_ok()),
            _ => Err(KeyError::NeedsRsa),
        }
    }

    /// Whether the key is for this algorithm.
    pub(crate) fn is_for(&self, algorithm: KeyAlgorithm) -> bool {
        match algorithm {
            KeyAlgorithm::Es256 => matches!(self, Self::P256(_)),
            KeyAlgorithm::Es384 => matches!(self, Self::P384(_)),
            KeyAlgorithm::EdDsa => matches!(self, Self::Ed25519(_)),
            _ => matches!(self, Self::Rsa(_) | Self::RsaParts { .. }),
        }
    }
}

fn check(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], data: &[u8], sig: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(data, sig).is_ok()
}

/// Parsed keys by their PEM text.
#[derive(Default)]
pub(crate) struct Keys {
    parsed: RwLock<HashMap<Box<[u8]>, Arc<PublicKey>>>,
}

impl Keys {
    /// Whether the signature is the key's over these bytes.
    pub(crate) fn verify(
        &self,
        algorithm: KeyAlgorithm,
        pem: &[u8],
        data: &[u8],
        sig: &[u8],
    ) -> Result<bool, KeyError> {
        self.get(pem)?.verify(algorithm, data, sig)
    }

    fn get(&self, pem: &[u8]) -> Result<Arc<PublicKey>, KeyError> {
        if let Some(key) = self.parsed.read().get(pem) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(parse(pem)?);
        let mut parsed = self.parsed.write();
        if parsed.len() >= MAX_KEYS {
            parsed.clear();
        }
        parsed.insert(pem.into(), Arc::clone(&key));
        Ok(key)
    }
}

fn parse(pem: &[u8]) -> Result<PublicKey, KeyError> {
    if pem.len() > MAX_PEM {
        return Err(KeyError::TooLong);
    }
    let (_, pem) = parse_x509_pem(pem).map_err(|_| KeyError::NotPem)?;
    match pem.label.as_str() {
        "PUBLIC KEY" => {
            let (rest, info) = SubjectPublicKeyInfo::from_der(&pem.contents).map_err(|_| KeyError::Der)?;
            if rest.is_empty() { from_info(&info) } else { Err(KeyError::Der) }
        }
        "CERTIFICATE" => {
            let certificate = pem.parse_x509().map_err(|_| KeyError::Der)?;
            from_info(certificate.public_key())
        }
        "RSA PUBLIC KEY" => {
            let (rest, key) = RSAPublicKey::from_der(&pem.contents).map_err(|_| KeyError::Der)?;
            if rest.is_empty() { rsa(key.key_size(), &pem.contents) } else { Err(KeyError::Der) }
        }
        label if label.ends_with("PRIVATE KEY") => Err(KeyError::Private),
        _ => Err(KeyError::Label),
    }
}

fn from_info(info: &SubjectPublicKeyInfo<'_>) -> Result<PublicKey, KeyError> {
    let bytes = &*info.subject_public_key.data;
    if info.algorithm.algorithm == EC_PUBLIC_KEY {
        let curve = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).ok_or(KeyError::Der)?;
        // RFC 5480 2.2: 0x04 and both coordinates.
        return match (bytes.len(), bytes.first()) {
            (65, Some(4)) if curve == P256 => Ok(PublicKey::P256(bytes.into())),
            (97, Some(4)) if curve == P384 => Ok(PublicKey::P384(bytes.into())),
            _ => Err(KeyError::Kind),
        };
    }
    if info.algorithm.algorithm == ED25519 {
        return if bytes.len() == 32 { Ok(PublicKey::Ed25519(bytes.into())) } else { Err(KeyError::Der) };
    }
    match info.parsed().map_err(|_| KeyError::Der)? {
        X509Key::RSA(key) => rsa(key.key_size(), bytes),
        _ => Err(KeyError::Kind),
    }
}

fn rsa(bits: usize, der: &[u8]) -> Result<PublicKey, KeyError> {
    if RSA_BITS.contains(&bits) { Ok(PublicKey::Rsa(der.into())) } else { Err(KeyError::RsaSize) }
}

#[cfg(test)]
mod tests;
