//! Hashes and signatures, done by the edge at native speed.

use crate::bindings::imports::edgeweir::hook::crypto as host;
use crate::error::{Error, Result};

pub use crate::bindings::imports::edgeweir::hook::crypto::{Digest, SignatureAlgorithm};

/// Hash of some bytes.
#[must_use]
pub fn hash(digest: Digest, data: &[u8]) -> Vec<u8> {
    host::hash(digest, data)
}

/// HMAC (RFC 2104) of some bytes.
#[must_use]
pub fn hmac(digest: Digest, key: &[u8], data: &[u8]) -> Vec<u8> {
    host::hmac(digest, key, data)
}

/// Checks a signature: `false` if it does not match. The key is the secret's bytes for HMAC, a PEM public key otherwise;
/// an ECDSA signature is `r` and `s` one after the other, as in a JWS.
///
/// # Errors
/// If the key cannot be used with this algorithm.
pub fn verify(algorithm: SignatureAlgorithm, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool> {
    host::verify(algorithm, key, data, signature).map_err(Error::new)
}

/// Checks the signature of a token (RFC 7515) with one key: `false` if it does not match. `algorithm` is its name in the
/// token's header, as in `ES256`: all of [`verify`], and `PS256`, `PS384`, `PS512` and `EdDSA` (Ed25519). Never take it from
/// the token alone: it has to be the one that the key is for.
///
/// # Errors
/// If there is no such algorithm, or the key cannot be used with it.
pub fn verify_token(algorithm: &str, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool> {
    host::verify_token(algorithm, key, data, signature).map_err(Error::new)
}

/// Whether two byte strings are the same, in a time that does not depend on where they differ.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    host::equal(a, b)
}
