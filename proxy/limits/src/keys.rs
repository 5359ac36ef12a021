//! API keys: kept as SHA-256 only, looked up by what a viewer presents. Must not know where a key came from, what it opens
//! (see plans), or how a refusal is answered.

mod hash;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hash::PrefixHasher;
pub use hash::{KeyHash, KeyHashError};

/// The longest key that is looked at, in bytes; API Gateway's keys have at most 128. Anything longer is unknown, so that a
/// viewer cannot make the edge hash a whole header block.
pub const MAX_PRESENTED_KEY: usize = 1024;

/// A key the edge knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// The name in logs; not secret.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: KeyHash,
    /// A disabled key is as good as unknown.
    pub enabled: bool,
    /// Indices of the usage plans it belongs to.
    pub plans: Vec<usize>,
}

/// All keys of a snapshot. Immutable; a lookup costs the same whether the key is known, disabled or made up.
#[derive(Debug, Default)]
pub struct KeyStore {
    entries: Vec<KeyEntry>,
    by_hash: HashMap<KeyHash, usize, PrefixHasher>,
}

/// Why a set of keys makes no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// Two entries with one hash: it would be unclear whose request it is.
    #[error("keys `{first}` and `{second}` have the same value")]
    Duplicate {
        /// Name of the first entry.
        first: String,
        /// Name of the entry that repeats it.
        second: String,
    },
}

impl KeyStore {
    /// Keeps `entries` in their order.
    ///
    /// # Errors
    /// [`KeyStoreError::Duplicate`] if two entries, enabled or not, have the same hash.
    pub fn new(entries: Vec<KeyEntry>) -> Result<Self, KeyStoreError> {
        let mut by_hash = HashMap::with_capacity_and_hasher(entries.len(), PrefixHasher::default());
        for (index, entry) in entries.iter().enumerate() {
            match by_hash.entry(entry.hash) {
                Entry::Vacant(slot) => {
                    slot.insert(index);
                }
                Entry::Occupied(slot) => {
                    let first: Option<&KeyEntry> = entries.get(*slot.get());
                    let first = first.map(|entry| entry.name.clone()).unwrap_or_default();
                    return Err(KeyStoreError::Duplicate { first, second: entry.name.clone() });
                }
            }
        }
        Ok(Self { entries, by_hash })
    }

    /// The enabled key that a viewer presented, byte for byte. Unknown, disabled, empty and overlong keys are all `None`:
    /// API Gateway answers them alike (403 `Forbidden`), so that a guess learns nothing.
    #[must_use]
    pub fn lookup(&self, presented: &[u8]) -> Option<&KeyEntry> {
        self.get(self.lookup_index(presented)?)
    }

    /// As [`KeyStore::lookup`], but the entry's index: what per-key buckets are filed under.
    #[must_use]
    pub fn lookup_index(&self, presented: &[u8]) -> Option<usize> {
        if presented.is_empty() || presented.len() > MAX_PRESENTED_KEY {
            return None;
        }
        let index = *self.by_hash.get(&KeyHash::of(presented))?;
        self.get(index)?.enabled.then_some(index)
    }

    /// The entry at `index`, enabled or not.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&KeyEntry> {
        self.entries.get(index)
    }

    /// All entries, enabled or not, in the order given.
    #[must_use]
    pub fn entries(&self) -> &[KeyEntry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, key: &str, enabled: bool) -> KeyEntry {
        KeyEntry { name: name.into(), hash: KeyHash::of(key.as_bytes()), enabled, plans: vec![0] }
    }

    #[test]
    fn finds_enabled_keys_only() {
        let store =
            KeyStore::new(vec![entry("a", "key-of-a", true), entry("b", "key-of-b", false), entry("c", "", true)])
                .unwrap();
        assert_eq!(store.lookup(b"key-of-a").unwrap().name, "a");
        assert_eq!(store.lookup_index(b"key-of-a"), Some(0));
        assert!(store.lookup(b"key-of-b").is_none());
        assert!(store.lookup(b"key-of-A").is_none());
        assert!(store.lookup(b"key-of-a ").is_none());
        assert!(store.lookup(b"").is_none());
        assert_eq!(store.entries().len(), 3);
        assert!(KeyStore::default().lookup(b"key-of-a").is_none());
    }

    #[test]
    fn overlong_keys_are_unknown() {
        let long = "k".repeat(MAX_PRESENTED_KEY);
        let longer = "k".repeat(MAX_PRESENTED_KEY + 1);
        let store = KeyStore::new(vec![entry("a", &long, true), entry("b", &longer, true)]).unwrap();
        assert!(store.lookup(long.as_bytes()).is_some());
        assert!(store.lookup(longer.as_bytes()).is_none());
    }

    #[test]
    fn the_same_key_twice_is_an_error() {
        let error = KeyStore::new(vec![entry("a", "same", true), entry("x", "x", true), entry("b", "same", false)]);
        assert_eq!(error.unwrap_err().to_string(), "keys `a` and `b` have the same value");
    }

    #[test]
    fn entries_do_not_show_the_whole_hash() {
        let shown = format!("{:?}", KeyStore::new(vec![entry("a", "abc", true)]).unwrap());
        assert!(shown.contains("ba78") && !shown.contains("ba7816"), "{shown}");
    }

    proptest! {
        #[test]
        fn every_key_finds_itself_and_nothing_else(
            keys in prop::collection::hash_set("[ -~]{1,40}", 1..40),
            other in "[ -~]{1,40}",
        ) {
            let keys: Vec<String> = keys.into_iter().collect();
            let store = KeyStore::new(keys.iter().map(|key| entry(key, key, true)).collect()).unwrap();
            for key in &keys {
                prop_assert_eq!(&store.lookup(key.as_bytes()).unwrap().name, key);
            }
            prop_assert_eq!(store.lookup(other.as_bytes()).is_some(), keys.contains(&other));
        }
    }
}
