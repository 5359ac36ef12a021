//! Whether a request passes. The order matters: the signature is checked before any claim is read.

use std::time::Duration;

use edgeweir_sdk::{Result, jwks};
use serde_json::{Map, Value};

use crate::answer::Refusal;
use crate::claims::{self, Passed};
use crate::credentials::Credentials;
use crate::settings::{Algorithm, Policy};
use crate::token::Token;

/// What comes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome<'a> {
    /// It passes, with these headers, and the token's claims.
    Pass(Vec<Passed<'a>>, Map<String, Value>),
    /// It does not.
    Refuse(Refusal),
}

/// Checks of signatures, which are the edge's.
pub(crate) trait Signatures {
    /// With a key of the settings.
    ///
    /// # Errors
    /// If the key cannot be used.
    fn with_key(&self, algorithm: Algorithm, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool>;

    /// With a key set of the edge.
    ///
    /// # Errors
    /// If there are no keys.
    fn with_set(&self, set: &str, token: &Token<'_>) -> Result<jwks::Outcome>;
}

/// Decides.
///
/// # Errors
/// If a key of the settings cannot be used, or the keys of a set cannot be had: that is no fault of the viewer.
pub(crate) fn decide<'a>(
    policy: &Policy<'a>,
    credentials: &Credentials,
    now: Duration,
    signatures: &impl Signatures,
) -> Result<Outcome<'a>> {
    let token = match credentials.token().and_then(Token::parse) {
        Ok(token) => token,
        Err(refusal) => return Ok(Outcome::Refuse(refusal)),
    };
    match is_genuine(policy, &token, signatures)? {
        Ok(()) => {}
        Err(refusal) => return Ok(Outcome::Refuse(refusal)),
    }
    let passed = token.claims().and_then(|claims| {
        claims::check(policy, &claims, now)?;
        Ok((claims::headers(policy, &claims)?, claims))
    });
    Ok(passed.map_or_else(Outcome::Refuse, |(headers, claims)| Outcome::Pass(headers, claims)))
}

/// Whether a key of the settings or of the edge's set made the signature. A `kid` narrows the choice among keys that have
/// one; the algorithm is the key's own (RFC 8725, 3.1).
fn is_genuine(policy: &Policy<'_>, token: &Token<'_>, signatures: &impl Signatures) -> Result<Result<(), Refusal>> {
    let mut is_known = false;
    let mut fits = false;
    for key in &policy.keys {
        if let (Some(wanted), Some(kid)) = (&token.kid, key.kid)
            && wanted != kid
        {
            continue;
        }
        is_known = true;
        if key.algorithm.name() != token.algorithm {
            continue;
        }
        fits = true;
        if signatures.with_key(key.algorithm, key.material, token.signed, &token.signature)? {
            return Ok(Ok(()));
        }
    }
    if let Some(set) = policy.jwks {
        match signatures.with_set(set, token)? {
            jwks::Outcome::Valid => return Ok(Ok(())),
            jwks::Outcome::Invalid => (is_known, fits) = (true, true),
            jwks::Outcome::OtherAlgorithm => is_known = true,
            jwks::Outcome::UnknownKey => {}
        }
    }
    Ok(Err(Refusal::invalid(match (is_known, fits) {
        (true, true) => "the signature does not match",
        (true, false) => "the token has another algorithm",
        (false, _) => "the token has an unknown key",
    })))
}

#[cfg(test)]
mod tests;
