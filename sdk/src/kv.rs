//! Key-value stores of the config that the binding grants: `key_value_stores = ["NAME"]`.
//!
//! ```no_run
//! use edgeweir_sdk::{Result, kv};
//!
//! fn target(path: &str) -> Result<Option<String>> {
//!     kv::store("redirects").text(path)
//! }
//! # target("/old").unwrap();
//! ```
//!
//! A request sees one state of a store, from its first read to its end. Outside of the edge, as in unit tests, reads abort:
//! hand what was read to a function of plain values and test that.

use crate::bindings::optional::edgeweir::hook::key_value as host;
use crate::error::{Error, Result};

/// A store, by its name in the config. Making one asks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Store<'a> {
    name: &'a str,
}

/// The store of this name.
#[must_use]
pub const fn store(name: &str) -> Store<'_> {
    Store { name }
}

impl<'a> Store<'a> {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The value of a key; `None` if the key is not there.
    ///
    /// # Errors
    /// If the binding does not grant the store.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        host::get(self.name, key).map_err(Error::new)
    }

    /// The value of a key as text. Stores that come from a config or a JSON file hold nothing else.
    ///
    /// # Errors
    /// If the binding does not grant the store, or the value is not UTF-8.
    pub fn text(&self, key: &str) -> Result<Option<String>> {
        let Some(value) = self.get(key)? else { return Ok(None) };
        let text = String::from_utf8(value);
        text.map(Some).map_err(|_| Error::new(format!("the value of `{key}` in store `{}` is not text", self.name)))
    }

    /// How many keys the store has.
    ///
    /// # Errors
    /// If the binding does not grant the store.
    pub fn count(&self) -> Result<u64> {
        host::meta(self.name).map(|(keys, _)| keys).map_err(Error::new)
    }

    /// Whether a key is there. Cheaper than [`Store::get`]: no value is handed over.
    ///
    /// # Errors
    /// If the binding does not grant the store.
    pub fn exists(&self, key: &str) -> Result<bool> {
        host::exists(self.name, key).map_err(Error::new)
    }
}
