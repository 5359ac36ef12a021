//! Public keys: PEM in, what ring and p256 want out.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use ring::digest;
use ring::signature::{self, RsaParameters, UnparsedPublicKey};
use x509_parser::der_parser::oid;
use x509_parser::oid_registry::Oid;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as X509Key;
use x509_parser::x509::SubjectPublicKeyInfo;

/// RFC 5480, 2.1.1: id-ecPublicKey and secp256r1.
const EC_PUBLIC_KEY: Oid<'static> = oid!(1.2.840.10045.2.1);
const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
/// Modulus sizes in bits: from what CloudFront takes to what is still checked in well under a millisecond.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Hash functions of signatures (`Hash-Algorithm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// CloudFront's default.
    Sha1,
    /// The better one.
    Sha256,
}

impl Hash {
    /// As `Hash-Algorithm` says it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "SHA1" => Some(Self::Sha1),
            "SHA256" => Some(Self::Sha256),
            _ => None,
        }
    }

    /// The digest of some data.
    #[must_use]
    pub fn digest(self, data: &[u8]) -> digest::Digest {
        digest::digest(
            match self {
                Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
                Self::Sha256 => &digest::SHA256,
            },
            data,
        )
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM text.
    #[error("the key is not PEM text (`-----BEGIN … KEY-----`)")]
    NotPem,
    /// The secret half.
    #[error(
        "this is a private key, which only signers should have; `openssl pkey -in KEY -pubout` makes the public one"
    )]
    Private,
    /// The half that cannot sign.
    #[error("this is a public key; signing needs the private one")]
    Public,
    /// Another kind of PEM text.
    #[error("the PEM text is not a `PUBLIC KEY`")]
    Label,
    /// What is in the PEM text cannot be read.
    #[error("the key cannot be read: what is in the PEM text is broken")]
    Der,
    /// A key of another algorithm.
    #[error("the key must be RSA, or ECDSA on P-256 (as in CloudFront)")]
    Kind,
    /// Too short or too long.
    #[error("an RSA key must have 2048 to 4096 bits")]
    RsaSize,
    /// Signing failed.
    #[error("the key does not sign")]
    Sign,
}

/// A public key.
pub enum PublicKey {
    /// RSAPublicKey DER (RFC 8017, A.1.1).
    Rsa(Box<[u8]>),
    /// The point, as ring wants it, and ready for p256, as ring knows no SHA-1 with ECDSA.
    P256 {
        /// Uncompressed (RFC 5480, 2.2).
        point: Box<[u8]>,
        /// The same.
        key: Box<VerifyingKey>,
    },
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "Rsa",
            Self::P256 { .. } => "P256",
        })
    }
}

impl PublicKey {
    /// Reads PEM text.
    ///
    /// # Errors
    /// If it is not a public key that can be used here.
    pub fn parse(pem: &str) -> Result<Self, KeyError> {
        let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|_error| KeyError::NotPem)?;
        match pem.label.as_str() {
            "PUBLIC KEY" => {}
            label if label.ends_with("PRIVATE KEY") => return Err(KeyError::Private),
            _ => return Err(KeyError::Label),
        }
        let (rest, info) = SubjectPublicKeyInfo::from_der(&pem.contents).map_err(|_error| KeyError::Der)?;
        if !rest.is_empty() {
            return Err(KeyError::Der);
        }
        let bytes = &*info.subject_public_key.data;
        if info.algorithm.algorithm == EC_PUBLIC_KEY {
            let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            if curve.ok_or(KeyError::Der)? != P256 {
                return Err(KeyError::Kind);
            }
            let key = VerifyingKey::from_sec1_bytes(bytes).map_err(|_error| KeyError::Der)?;
            let point = key.to_encoded_point(false).as_bytes().into();
            return Ok(Self::P256 { point, key: Box::new(key) });
        }
        match info.parsed().map_err(|_error| KeyError::Der)? {
            X509Key::RSA(key) if RSA_BITS.contains(&key.key_size()) => Ok(Self::Rsa(bytes.into())),
            X509Key::RSA(_) => Err(KeyError::RsaSize),
            _ => Err(KeyError::Kind),
        }
    }

    /// Whether a signature is this key's over `data`: PKCS #1 v1.5 for RSA (RFC 8017, 8.2), DER for ECDSA (RFC 3279, 2.2.3).
    #[must_use]
    pub fn verify(&self, hash: Hash, data: &[u8], signature: &[u8]) -> bool {
        let rsa: &'static RsaParameters = match hash {
            Hash::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        };
        match (self, hash) {
            (Self::Rsa(der), _) => UnparsedPublicKey::new(rsa, der).verify(data, signature).is_ok(),
            (Self::P256 { point, .. }, Hash::Sha256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point).verify(data, signature).is_ok()
            }
            (Self::P256 { key, .. }, Hash::Sha1) => Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(hash.digest(data).as_ref(), &signature).is_ok()),
        }
    }
}
