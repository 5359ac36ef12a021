//! Signed URLs and cookies. Things are named, not indexed: nothing here is looked up for a request.

use super::SecretSource;

/// A public key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in the config.
    pub name: String,
    /// `Key-Pair-Id`; its name, if nothing else is said.
    pub id: String,
    /// PEM text.
    pub key: SecretSource,
}

/// Keys that are trusted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGroup {
    /// Its name in the config.
    pub name: String,
    /// Names of [`PublicKey`]s, each once.
    pub keys: Vec<String>,
}
