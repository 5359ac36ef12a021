//! Secrets that the binding grants: `secrets = { NAME = { env = "…" } }`.
//!
//! ```no_run
//! use edgeweir_sdk::{Result, crypto, secrets};
//!
//! fn sign(data: &[u8]) -> Result<Vec<u8>> {
//!     Ok(crypto::hmac(crypto::Digest::Sha256, secrets::require("signing-key")?.as_bytes(), data))
//! }
//! # sign(b"").unwrap();
//! ```
//!
//! Outside of the edge, as in unit tests, reads abort; [`Secret::new`] makes one for a test.

use std::fmt;

use crate::bindings::optional::edgeweir::hook::secrets as host;
use crate::error::{Error, Result};

/// A secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The secret of this name; `None` if the binding has none.
#[must_use]
pub fn get(name: &str) -> Option<Secret> {
    host::get(name).map(Secret)
}

/// The secret of this name.
///
/// # Errors
/// If the binding has none; the message says what to add to the config.
pub fn require(name: &str) -> Result<Secret> {
    get(name).ok_or_else(|| Error::new(format!("no secret `{name}`: add it to `secrets` of the hook's binding")))
}

impl Secret {
    /// For tests: a secret that comes from nowhere.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its text; `None` if it is not UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!((secret.as_text(), secret.as_bytes()), (Some("hunter2"), &b"hunter2"[..]));
        assert_eq!(Secret::new([0xff]).as_text(), None);
    }
}
