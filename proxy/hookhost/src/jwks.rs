//! JSON Web Key Sets (RFC 7517): which keys of a set can be used, and checks of signatures with them. Where sets come from
//! and how long they count is the embedder's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Deserialize;
use serde_json::Value;

use crate::algorithm::{Algorithm, secret};
use crate::keys::{KeyError, PublicKey};

/// Most keys of a set.
const MAX_KEYS: usize = 100;
/// Most keys that are tried for one token: a check costs tens to hundreds of microseconds.
const MAX_TRIES: usize = 8;
/// Least bytes of a secret (RFC 7518, 3.2: as many as the hash has).
const LEAST_SECRET: usize = 32;
/// Longest part of a key's id that messages repeat, in characters.
const MAX_SHOWN: usize = 64;

/// A set whose keys can be used.
#[derive(Debug)]
pub struct Jwks {
    /// At least one.
    keys: Vec<Key>,
    skipped: Vec<String>,
}

#[derive(Debug)]
struct Key {
    kid: Option<Box<str>>,
    /// The only algorithm that it is for, if it says so.
    alg: Option<Box<str>>,
    material: Material,
}

enum Material {
    Secret(Box<[u8]>),
    Public(PublicKey),
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret(***)"),
            Self::Public(key) => key.fmt(f),
        }
    }
}

/// Whether secrets (`"kty": "oct"`) of a set are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They are: the set comes from where only the edge reads.
    Used,
    /// They are not: what is published is no secret.
    Skipped,
}

/// Why a text is no set with keys.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// It is no JSON, or not of this form.
    #[error("it is no JSON Web Key Set, as in {{ \"keys\": [ … ] }}")]
    Form(#[source] serde_json::Error),
    /// More than 100.
    #[error("it has {0} keys, at most {MAX_KEYS} are allowed")]
    TooMany(usize),
    /// It has none that can be used.
    #[error("it has no key that can be used{}", list(.0))]
    NoKey(Vec<String>),
}

fn list(skipped: &[String]) -> String {
    if skipped.is_empty() { String::new() } else { format!(": {}", skipped.join("; ")) }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    Valid,
    Invalid,
    UnknownKey,
    OtherAlgorithm,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// Members that count (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2). Others are allowed, and mean nothing here.
#[derive(Deserialize)]
struct Raw {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
    /// Of a private key; only whether it is there counts.
    d: Option<Value>,
}

/// Why a key of a set is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is not of the form of a key")]
    Form,
    #[error("it is not for checking signatures")]
    Use,
    #[error("its type is not known")]
    Type,
    #[error("a part of it is missing or broken")]
    Part,
    #[error("it is a private key, and must not be published")]
    Private,
    #[error("it is a secret, and a published secret is none")]
    PublishedSecret,
    #[error("its secret has less than {LEAST_SECRET} bytes (RFC 7518, 3.2)")]
    ShortSecret,
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Jwks {
    /// Reads a set. Keys that cannot be used are left out, as RFC 7517, 5 wants it.
    ///
    /// # Errors
    /// If it is no set, or none of its keys can be used.
    pub fn parse(json: &[u8], secrets: Secrets) -> Result<Self, JwksError> {
        let set: Set = serde_json::from_slice(json).map_err(JwksError::Form)?;
        if set.keys.len() > MAX_KEYS {
            return Err(JwksError::TooMany(set.keys.len()));
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (at, raw) in set.keys.into_iter().enumerate() {
            let name = match raw.get("kid").and_then(Value::as_str) {
                Some(kid) => format!("key {:?}", kid.chars().take(MAX_SHOWN).collect::<String>()),
                None => format!("key {}", at + 1),
            };
            match key(raw, secrets) {
                Ok(key) => keys.push(key),
                Err(why) => skipped.push(format!("{name}: {why}")),
            }
        }
        if keys.is_empty() { Err(JwksError::NoKey(skipped)) } else { Ok(Self { keys, skipped }) }
    }

    /// How many keys can be used; never 0.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Which keys are not used, and why.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Checks a signature with the keys that may have made it. The algorithm comes with its name.
    pub(crate) fn verify(
        &self,
        (algorithm, name): (Algorithm, &str),
        kid: Option<&str>,
        data: &[u8],
        signature: &[u8],
    ) -> Checked {
        // A key without an id may be any.
        let may_be = |key: &&Key| match (kid, key.kid.as_deref()) {
            (Some(wanted), Some(kid)) => wanted == kid,
            _ => true,
        };
        let is_named = kid.is_none() || self.keys.iter().any(|key| key.kid.as_deref() == kid);
        let mut tries = 0;
        for key in self.keys.iter().filter(may_be).filter(|key| key.is_for(algorithm, name)).take(MAX_TRIES) {
            tries += 1;
            let made = match (algorithm, &key.material) {
                (Algorithm::Secret(algorithm), Material::Secret(key)) => secret(algorithm, key, data, signature),
                (Algorithm::Public(algorithm), Material::Public(key)) => {
                    key.verify(algorithm, data, signature).map_err(|error| error.to_string())
                }
                _ => Ok(false),
            };
            if made == Ok(true) {
                return Checked::Valid;
            }
        }
        match (is_named, tries) {
            (false, _) => Checked::UnknownKey,
            (true, 0) => Checked::OtherAlgorithm,
            (true, _) => Checked::Invalid,
        }
    }
}

impl Key {
    /// Whether it is for this algorithm, by its type and by its `alg` (RFC 8725, 3.1).
    fn is_for(&self, algorithm: Algorithm, name: &str) -> bool {
        let by_type = match (algorithm, &self.material) {
            (Algorithm::Secret(algorithm), Material::Secret(key)) => key.len() >= least_secret(algorithm),
            (Algorithm::Public(algorithm), Material::Public(key)) => key.is_for(algorithm),
            _ => false,
        };
        by_type && self.alg.as_deref().is_none_or(|own| own == name)
    }
}

fn least_secret(algorithm: hmac::Algorithm) -> usize {
    algorithm.digest_algorithm().output_len()
}

fn key(raw: Value, secrets: Secrets) -> Result<Key, Unusable> {
    let raw: Raw = serde_json::from_value(raw).map_err(|_error| Unusable::Form)?;
    // RFC 7517, 4.2 and 4.3.
    if raw.usage.as_deref().is_some_and(|usage| usage != "sig")
        || raw.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|one| one == "verify"))
    {
        return Err(Unusable::Use);
    }
    if raw.d.is_some() {
        return Err(Unusable::Private);
    }
    let material = match raw.kty.as_str() {
        "RSA" => Material::Public(PublicKey::rsa(&part(raw.n.as_ref())?, &part(raw.e.as_ref())?)?),
        "EC" => {
            // RFC 7518, 6.2.1.2: coordinates have the full length.
            let (x, y) = (part(raw.x.as_ref())?, part(raw.y.as_ref())?);
            let point: Box<[u8]> = [&[4], x.as_slice(), &y].concat().into();
            match (raw.crv.as_deref(), x.len(), y.len()) {
                (Some("P-256"), 32, 32) => Material::Public(PublicKey::P256(point)),
                (Some("P-384"), 48, 48) => Material::Public(PublicKey::P384(point)),
                (Some("P-256" | "P-384"), ..) => return Err(Unusable::Part),
                _ => return Err(Unusable::Type),
            }
        }
        "OKP" => match (raw.crv.as_deref(), part(raw.x.as_ref())?) {
            (Some("Ed25519"), x) if x.len() == 32 => Material::Public(PublicKey::Ed25519(x.into())),
            (Some("Ed25519"), _) => return Err(Unusable::Part),
            _ => return Err(Unusable::Type),
        },
        "oct" if secrets == Secrets::Skipped => return Err(Unusable::PublishedSecret),
        "oct" => match part(raw.k.as_ref())? {
            secret if secret.len() < LEAST_SECRET => return Err(Unusable::ShortSecret),
            secret => Material::Secret(secret.into()),
        },
        _ => return Err(Unusable::Type),
    };
    Ok(Key { kid: raw.kid.map(Into::into), alg: raw.alg.map(Into::into), material })
}

fn part(text: Option<&String>) -> Result<Vec<u8>, Unusable> {
    let text = text.ok_or(Unusable::Part)?;
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_error| Unusable::Part)
}

#[cfg(test)]
mod tests;
