//! Sets of public keys (JSON Web Key Sets) of the config that the binding grants: `jwks = ["NAME"]`. The edge fetches and
//! keeps them, and checks signatures with them at native speed; a hook never sees the keys.
//!
//! ```no_run
//! use edgeweir_sdk::{Result, jwks};
//!
//! /// `signed` is the token up to its last dot; algorithm and key id are those of its header.
//! fn is_genuine(signed: &[u8], signature: &[u8], algorithm: &str, kid: Option<&str>) -> Result<bool> {
//!     let outcome = jwks::set("login").verify(algorithm, kid, signed, signature)?;
//!     Ok(outcome == jwks::Outcome::Valid)
//! }
//! # is_genuine(b"", b"", "ES256", None).unwrap();
//! ```
//!
//! Outside of the edge, as in unit tests, this aborts: pass the check into what decides, as jwt-auth does.

use crate::bindings::optional::edgeweir::hook::jwks as host;
use crate::error::{Error, Result};

pub use crate::bindings::optional::edgeweir::hook::jwks::Outcome;

/// A key set, by its name in the config. Making one asks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySet<'a> {
    name: &'a str,
}

/// The key set of this name.
#[must_use]
pub const fn set(name: &str) -> KeySet<'_> {
    KeySet { name }
}

impl KeySet<'_> {
    /// Whether the binding grants it. Also there while settings are checked.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        host::granted(self.name)
    }

    /// Checks the signature of a token (RFC 7515). `algorithm` and `kid` are those of its header, `data` is what was signed.
    /// May wait, inside the hook's time, for the edge to fetch the set.
    ///
    /// # Errors
    /// If the binding does not grant the set, or there are no keys.
    pub fn verify(&self, algorithm: &str, kid: Option<&str>, data: &[u8], signature: &[u8]) -> Result<Outcome> {
        host::verify(self.name, algorithm, kid, data, signature).map_err(Error::new)
    }
}
