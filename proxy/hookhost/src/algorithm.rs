//! Signature algorithms by the names that tokens have for them (RFC 7518, 3.1; RFC 8037, 3.1). `none` is not among them.

use ring::hmac;

/// Signature algorithms with a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// An algorithm, and with it the kind of key that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// HMAC; the key is a secret.
    Secret(hmac::Algorithm),
    /// The key is a public one.
    Public(KeyAlgorithm),
}

impl Algorithm {
    /// The algorithm of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Secret(hmac::HMAC_SHA256),
            "HS384" => Self::Secret(hmac::HMAC_SHA384),
            "HS512" => Self::Secret(hmac::HMAC_SHA512),
            "RS256" => Self::Public(KeyAlgorithm::Rs256),
            "RS384" => Self::Public(KeyAlgorithm::Rs384),
            "RS512" => Self::Public(KeyAlgorithm::Rs512),
            "PS256" => Self::Public(KeyAlgorithm::Ps256),
            "PS384" => Self::Public(KeyAlgorithm::Ps384),
            "PS512" => Self::Public(KeyAlgorithm::Ps512),
            "ES256" => Self::Public(KeyAlgorithm::Es256),
            "ES384" => Self::Public(KeyAlgorithm::Es384),
            "EdDSA" => Self::Public(KeyAlgorithm::EdDsa),
            _ => return None,
        })
    }
}

/// HMAC; an empty secret would let anybody sign.
pub(crate) fn secret(algorithm: hmac::Algorithm, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool, String> {
    if key.is_empty() {
        return Err("the secret is empty".into());
    }
    Ok(hmac::verify(&hmac::Key::new(algorithm, key), data, signature).is_ok())
}
