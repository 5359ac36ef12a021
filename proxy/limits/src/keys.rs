//! API keys: kept as SHA-256 only, looked up by what a viewer presents. Must not know where a key came from, what it opens
//! (see plans), or how a refusal is answered.

mod hash;
mod live;
mod usage;

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use hash::PrefixHasher;
pub use hash::{KeyHash, KeyHashError};
pub use live::LiveKeys;
pub use usage::{KeyUsage, Slot};

use crate::meter::Meter;
use crate::plans::{PlanId, UsagePlan};
use crate::time::Nanos;

/// The longest key that is looked at, in bytes; API Gateway's keys have at most 128. Anything longer is unknown, so that a
/// viewer cannot make the edge hash a whole header block.
pub const MAX_PRESENTED_KEY: usize = 1024;

/// The hash of what a viewer presented; none for what can be no key.
#[must_use]
pub fn presented(key: &[u8]) -> Option<KeyHash> {
    (!key.is_empty() && key.len() <= MAX_PRESENTED_KEY).then(|| KeyHash::of(key))
}

/// A key the edge knows.
#[derive(Debug)]
pub struct Key {
    /// SHA-256 of the key.
    pub hash: KeyHash,
    /// What it is counted under; stays when its value is rotated.
    pub id: Box<str>,
    /// The name in logs; not secret.
    pub name: Box<str>,
    /// A disabled key is as good as unknown.
    pub enabled: bool,
    /// From when on it is as good as unknown, in seconds since 1970.
    pub until: Option<u64>,
    /// The usage plans it belongs to.
    pub plans: Arc<[PlanId]>,
    /// What it has used, once it was used.
    usage: OnceLock<Arc<KeyUsage>>,
    /// One of its slots: almost always its only one, found without the list of all.
    slot: ArcSwapOption<Slot>,
}

impl Key {
    /// An enabled key that never ends.
    #[must_use]
    pub fn new(hash: KeyHash, id: &str, name: &str, plans: Arc<[PlanId]>) -> Self {
        Self {
            hash,
            id: id.into(),
            name: name.into(),
            enabled: true,
            until: None,
            plans,
            usage: OnceLock::new(),
            slot: ArcSwapOption::empty(),
        }
    }

    /// The same key as another one, with another value, name or plan: what that one has used is used.
    #[must_use]
    pub fn that_continues(self, earlier: &Self) -> Self {
        // A new key has used nothing; if somebody was faster, it is the same usage.
        let _first = self.usage.set(Arc::clone(earlier.usage()));
        self
    }

    /// What it has used.
    pub fn usage(&self) -> &Arc<KeyUsage> {
        self.usage.get_or_init(Arc::default)
    }

    /// Its tokens and requests in a plan; see [`KeyUsage`].
    pub fn slot(&self, plan: &UsagePlan, snapshot: u64, now: Nanos, made: impl FnOnce(&Arc<Meter>)) -> Arc<Slot> {
        let known = self.slot.load();
        if let Some(slot) = known.as_ref().filter(|slot| KeyUsage::is_current(slot, plan, snapshot)) {
            return Arc::clone(slot);
        }
        let slot = self.usage().slot(&self.id, plan, snapshot, now, made);
        // That of another plan stays: two plans in turn would only drive each other out.
        if known.as_ref().is_none_or(|known| known.plan == slot.plan) {
            self.slot.store(Some(Arc::clone(&slot)));
        }
        slot
    }

    /// Whether it opens anything at a moment, in seconds since 1970.
    #[must_use]
    pub fn is_usable(&self, unix: u64) -> bool {
        self.enabled && self.until.is_none_or(|until| unix < until)
    }
}

/// A key in a set, found by its hash.
#[derive(Debug, Clone)]
struct Entry(Arc<Key>);

impl Borrow<KeyHash> for Entry {
    fn borrow(&self) -> &KeyHash {
        &self.0.hash
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
    }
}

impl Eq for Entry {}

/// A set of keys that does not change. A look-up costs the same whether the key is known, disabled or made up.
#[derive(Debug, Default)]
pub struct KeyTable {
    keys: HashSet<Entry, PrefixHasher>,
}

/// Why a set of keys makes no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyTableError {
    /// Two entries with one hash: it would be unclear whose request it is.
    #[error("keys `{first}` and `{second}` have the same value")]
    Duplicate {
        /// Name of one.
        first: String,
        /// Name of the other.
        second: String,
    },
}

impl KeyTable {
    /// A table of these keys.
    ///
    /// # Errors
    /// [`KeyTableError::Duplicate`] if two, enabled or not, have the same hash.
    pub fn new(keys: impl IntoIterator<Item = Arc<Key>>) -> Result<Self, KeyTableError> {
        let mut table = Self::default();
        for key in keys {
            if let Some(first) = table.find(&key.hash) {
                return Err(KeyTableError::Duplicate { first: first.name.to_string(), second: key.name.to_string() });
            }
            table.keys.insert(Entry(key));
        }
        Ok(table)
    }

    /// The key with a hash, enabled or not.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<&Arc<Key>> {
        self.keys.get(hash).map(|entry| &entry.0)
    }

    /// All keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.iter().map(|entry| &entry.0)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(name: &str, value: &str) -> Arc<Key> {
        Arc::new(Key::new(KeyHash::of(value.as_bytes()), name, name, Arc::from([])))
    }

    #[test]
    fn keys_are_found_by_what_is_presented() {
        let table = KeyTable::new([key("a", "key-of-a"), key("b", "key-of-b")]).unwrap();
        let find = |value: &[u8]| table.find(&presented(value)?).map(|key| key.name.to_string());
        assert_eq!(find(b"key-of-a").as_deref(), Some("a"));
        for unknown in [&b"key-of-A"[..], b"key-of-a ", b"", &[b'k'; MAX_PRESENTED_KEY + 1]] {
            assert_eq!(find(unknown), None);
        }
        assert!(presented(&[b'k'; MAX_PRESENTED_KEY]).is_some());
        assert_eq!((table.len(), KeyTable::default().is_empty()), (2, true));
    }

    #[test]
    fn disabled_and_ended_keys_are_not_usable() {
        let hash = KeyHash::of(b"k");
        let key = |enabled, until| Key { enabled, until, ..Key::new(hash, "k", "k", Arc::from([])) };
        assert!(key(true, None).is_usable(u64::MAX));
        assert!(!key(false, None).is_usable(0));
        assert!(key(true, Some(10)).is_usable(9) && !key(true, Some(10)).is_usable(10));
    }

    #[test]
    fn the_same_key_twice_is_an_error() {
        let error = KeyTable::new([key("a", "same"), key("x", "x"), key("b", "same")]);
        assert_eq!(error.unwrap_err().to_string(), "keys `a` and `b` have the same value");
    }

    #[test]
    fn entries_do_not_show_the_whole_hash() {
        let shown = format!("{:?}", KeyTable::new([key("a", "abc")]).unwrap());
        assert!(shown.contains("ba78") && !shown.contains("ba7816"), "{shown}");
    }

    proptest! {
        #[test]
        fn every_key_finds_itself_and_nothing_else(
            keys in prop::collection::hash_set("[ -~]{1,40}", 1..40),
            other in "[ -~]{1,40}",
        ) {
            let keys: Vec<String> = keys.into_iter().collect();
            let table = KeyTable::new(keys.iter().map(|value| key(value, value))).unwrap();
            for value in &keys {
                let found = table.find(&presented(value.as_bytes()).unwrap()).unwrap();
                prop_assert_eq!(&*found.name, value.as_str());
            }
            prop_assert_eq!(table.find(&presented(other.as_bytes()).unwrap()).is_some(), keys.contains(&other));
        }
    }
}
