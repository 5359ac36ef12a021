//! Private keys, for `edgeweir sign`. The edge itself never has one.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::Sha1;

use super::keys::{Hash, KeyError};

/// A private key.
pub enum PrivateKey {
    /// RSA.
    Rsa(Box<RsaPrivateKey>),
    /// ECDSA on P-256.
    P256(Box<SigningKey>),
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey")
    }
}

impl PrivateKey {
    /// Reads PEM text: PKCS #8, or the older `RSA PRIVATE KEY` and `EC PRIVATE KEY`.
    ///
    /// # Errors
    /// If it is not a private key that can be used here.
    pub fn parse(pem: &str) -> Result<Self, KeyError> {
        let from = pem.find("-----BEGIN ").ok_or(KeyError::NotPem)?;
        let pem = pem.get(from..).unwrap_or_default();
        let label = pem.get(11..).and_then(|rest| rest.split("-----").next()).ok_or(KeyError::NotPem)?;
        match label {
            "RSA PRIVATE KEY" => rsa(RsaPrivateKey::from_pkcs1_pem(pem).map_err(|_error| KeyError::Der)?),
            "EC PRIVATE KEY" => Ok(p256(&p256::SecretKey::from_sec1_pem(pem).map_err(|_error| KeyError::Kind)?)),
            "PRIVATE KEY" => match RsaPrivateKey::from_pkcs8_pem(pem) {
                Ok(key) => rsa(key),
                Err(_not_rsa) => Ok(p256(&p256::SecretKey::from_pkcs8_pem(pem).map_err(|_error| KeyError::Kind)?)),
            },
            label if label.ends_with("PUBLIC KEY") => Err(KeyError::Public),
            _ => Err(KeyError::Kind),
        }
    }

    /// Signs, in the form that [`super::PublicKey::verify`] takes. RSA signatures of the same data are the same.
    ///
    /// # Errors
    /// If the key is not sound.
    pub fn sign(&self, hash: Hash, data: &[u8]) -> Result<Vec<u8>, KeyError> {
        let digest = hash.digest(data);
        match self {
            Self::Rsa(key) => {
                let padding = match hash {
                    Hash::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
                    Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
                };
                key.sign_with_rng(&mut OsRng, padding, digest.as_ref()).map_err(|_error| KeyError::Sign)
            }
            Self::P256(key) => {
                let signature: Signature = key.sign_prehash(digest.as_ref()).map_err(|_error| KeyError::Sign)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

fn rsa(key: RsaPrivateKey) -> Result<PrivateKey, KeyError> {
    use rsa::traits::PublicKeyParts as _;
    if (2048..=4096).contains(&key.n().bits()) { Ok(PrivateKey::Rsa(Box::new(key))) } else { Err(KeyError::RsaSize) }
}

fn p256(key: &p256::SecretKey) -> PrivateKey {
    PrivateKey::P256(Box::new(SigningKey::from(key)))
}
