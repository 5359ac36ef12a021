//! A set of keys that does not change, found by hash. Must not know which of them can be used.
//!
//! With a million keys nothing of a key is in the processor's caches, and each look at another piece of memory that only
//! the last one told of costs as much as all the arithmetic of a check. So there are two such looks: an entry, whose place
//! the hash says, and from there the key and its slot at once.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use super::usage::Slot;
use super::{Key, KeyHash};
use crate::meter::Meter;
use crate::plans::UsagePlan;
use crate::time::Nanos;

/// Of so many places of a table at most [`FULL`] are taken.
const PLACES: usize = 4;
const FULL: usize = 3;

/// See the module's text. A look-up costs the same whether the key is known, disabled or made up.
#[derive(Debug, Default)]
pub struct KeyTable {
    /// In the order of the hashes, as far as they leave room for each other: SHA-256 is spread well enough, and a viewer cannot
    /// add to the table, so no random seed is needed against flooding.
    places: Box<[Option<Entry>]>,
    len: usize,
}

#[derive(Debug)]
struct Entry {
    prefix: u64,
    key: Arc<Key>,
    /// The slot that was used last: almost always the key's only one.
    slot: ArcSwapOption<Slot>,
}

/// A key in a table.
pub struct Found<'t> {
    entry: &'t Entry,
    slot: Guard<Option<Arc<Slot>>>,
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
        let keys: Vec<Arc<Key>> = keys.into_iter().collect();
        let mut table = Self::with_room(keys.len());
        for key in keys {
            if let Some(first) = table.get(&key.hash) {
                return Err(KeyTableError::Duplicate { first: first.name.to_string(), second: key.name.to_string() });
            }
            table.put(Entry::new(key));
        }
        Ok(table)
    }

    /// The same table without some keys and with others, those with the same hash replaced; what comes has one key for each
    /// hash.
    pub(super) fn changed(&self, mut goes: impl FnMut(&KeyHash) -> bool, come: impl Iterator<Item = Arc<Key>>) -> Self {
        let stays: Vec<Entry> = self.entries().filter(|entry| !goes(&entry.key.hash)).map(Entry::again).collect();
        let come: Vec<Entry> = come.map(Entry::new).collect();
        let mut table = Self::with_room(stays.len() + come.len());
        stays.into_iter().chain(come).for_each(|entry| table.put(entry));
        table
    }

    fn with_room(keys: usize) -> Self {
        let places = if keys == 0 { 0 } else { keys * PLACES / FULL + 1 };
        Self { places: std::iter::repeat_with(|| None).take(places).collect(), len: 0 }
    }

    fn put(&mut self, entry: Entry) {
        let mut at = self.home(entry.prefix);
        while self.places[at].is_some() {
            at = self.after(at);
        }
        self.places[at] = Some(entry);
        self.len += 1;
    }

    /// The key with a hash, enabled or not.
    #[must_use]
    #[inline]
    pub fn find(&self, hash: &KeyHash) -> Option<Found<'_>> {
        if self.len == 0 {
            return None;
        }
        let prefix = hash.prefix();
        let mut at = self.home(prefix);
        // There are places that nobody has.
        while let Some(entry) = &self.places[at] {
            if entry.prefix == prefix {
                let slot = entry.slot.load();
                // Reads the slot, not to wait for it when the key is there: most often the answer is no.
                let slot =
                    if slot.as_ref().is_some_and(|slot| slot.is_superseded()) { Guard::from_inner(None) } else { slot };
                if entry.key.hash == *hash {
                    return Some(Found { entry, slot });
                }
            }
            at = self.after(at);
        }
        None
    }

    /// As [`KeyTable::find`], if only the key is wanted.
    #[must_use]
    pub fn get(&self, hash: &KeyHash) -> Option<&Arc<Key>> {
        self.find(hash).map(|found| found.key())
    }

    /// All keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.entries().map(|entry| &entry.key)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().flatten()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where a hash would be, if nobody was before it.
    #[inline]
    fn home(&self, prefix: u64) -> usize {
        ((u128::from(prefix) * self.places.len() as u128) >> 64) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.places.len() { 0 } else { at + 1 }
    }
}

impl Entry {
    fn new(key: Arc<Key>) -> Self {
        let slot = ArcSwapOption::new(key.used().and_then(|usage| usage.slots().first().cloned()));
        Self { prefix: key.hash.prefix(), key, slot }
    }

    fn again(&self) -> Self {
        Self { prefix: self.prefix, key: Arc::clone(&self.key), slot: ArcSwapOption::new(self.slot.load_full()) }
    }
}

impl<'t> Found<'t> {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &'t Arc<Key> {
        &self.entry.key
    }

    /// Its tokens and requests in a plan; see [`Key::slot`].
    #[inline]
    pub fn slot(&self, plan: &UsagePlan, snapshot: u64, now: Nanos, made: impl FnOnce(&Arc<Meter>)) -> Arc<Slot> {
        match &*self.slot {
            Some(slot) if slot.is_current(plan, snapshot) => Arc::clone(slot),
            known => {
                let slot = self.entry.key.slot(plan, snapshot, now, made);
                // That of another plan stays: two plans in turn would only drive each other out.
                if known.as_ref().is_none_or(|known| known.plan() == slot.plan()) {
                    self.entry.slot.store(Some(Arc::clone(&slot)));
                }
                slot
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{MAX_PRESENTED_KEY, presented};
    use proptest::prelude::*;

    fn key(name: &str, value: &str) -> Arc<Key> {
        Arc::new(Key::new(KeyHash::of(value.as_bytes()), name, name, Arc::from([])))
    }

    #[test]
    fn keys_are_found_by_what_is_presented() {
        let table = KeyTable::new([key("a", "key-of-a"), key("b", "key-of-b")]).unwrap();
        let find = |value: &[u8]| table.get(&presented(value)?).map(|key| key.name.to_string());
        assert_eq!(find(b"key-of-a").as_deref(), Some("a"));
        for unknown in [&b"key-of-A"[..], b"key-of-a ", b"", &[b'k'; MAX_PRESENTED_KEY + 1]] {
            assert_eq!(find(unknown), None);
        }
        assert!(presented(&[b'k'; MAX_PRESENTED_KEY]).is_some());
        assert_eq!((table.len(), KeyTable::default().is_empty()), (2, true));
    }

    #[test]
    fn hashes_that_begin_alike_are_told_apart() {
        let hash = |last: u8| {
            let mut bytes = [0xff; 32];
            bytes[31] = last;
            KeyHash::from_bytes(bytes)
        };
        let of = |last: u8| Arc::new(Key::new(hash(last), &last.to_string(), "", Arc::from([])));
        // All of them want the last place.
        let table = KeyTable::new((0..20).map(of)).unwrap();
        for last in 0..20 {
            assert_eq!(*table.get(&hash(last)).unwrap().id, *last.to_string());
        }
        assert!(table.get(&hash(20)).is_none());
        let table = table.changed(|gone| *gone == hash(3), [of(30)].into_iter());
        assert!(table.get(&hash(3)).is_none() && table.get(&hash(30)).is_some());
        assert_eq!((table.len(), table.iter().count()), (20, 20));
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
                let found = table.get(&presented(value.as_bytes()).unwrap()).unwrap();
                prop_assert_eq!(&*found.name, value.as_str());
            }
            prop_assert_eq!(table.get(&presented(other.as_bytes()).unwrap()).is_some(), keys.contains(&other));
        }
    }
}
