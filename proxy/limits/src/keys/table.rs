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

/// For so many keys ..
const FULL: usize = 3;
/// .. there are so many places.
const PLACES: usize = 4;

/// See the module's text. A look-up costs the same whether the key is enabled or not; for one that nobody has it costs a read
/// of memory less.
#[derive(Debug, Default)]
pub struct KeyTable {
    /// In the order of the hashes, each entry where its hash says or as little behind as those before it leave room. SHA-256
    /// is spread well enough, and a viewer cannot add to the table, so no random seed is needed against flooding.
    places: Box<[Option<Entry>]>,
    /// Places that hashes are spread over; those behind them are for the last ones.
    homes: usize,
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
        let table = Self::of(keys.into_iter().map(Entry::new).collect());
        for (first, second) in table.iter().zip(table.iter().skip(1)) {
            if first.hash == second.hash {
                return Err(KeyTableError::Duplicate {
                    first: first.name.to_string(),
                    second: second.name.to_string(),
                });
            }
        }
        Ok(table)
    }

    /// The same table without some keys and with others. What goes is in order, and has the hashes of what comes too; that
    /// has one key for each hash.
    pub(super) fn changed(&self, goes: &[KeyHash], come: impl Iterator<Item = Arc<Key>>) -> Self {
        // Most keys stay, and are not looked at.
        let stays = |entry: &&Entry| {
            let first = goes.partition_point(|hash| hash.prefix() < entry.prefix);
            let mut alike = goes.iter().skip(first).take_while(|hash| hash.prefix() == entry.prefix);
            alike.all(|hash| *hash != entry.key.hash)
        };
        let stay = self.entries().filter(stays);
        Self::of(stay.map(Entry::again).chain(come.map(Entry::new)).collect())
    }

    fn of(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|one, other| {
            let prefixes = one.prefix.cmp(&other.prefix);
            prefixes.then_with(|| one.key.hash.as_bytes().cmp(other.key.hash.as_bytes()))
        });
        let (len, homes) = (entries.len(), entries.len() * PLACES / FULL + 1);
        let mut places = Vec::with_capacity(homes + 1);
        for entry in entries {
            let home = home(entry.prefix, homes);
            while places.len() < home {
                places.push(None);
            }
            places.push(Some(entry));
        }
        places.resize_with(places.len().max(homes), || None);
        Self { places: places.into_boxed_slice(), homes, len }
    }

    /// The key with a hash, enabled or not.
    #[must_use]
    #[inline]
    pub fn find(&self, hash: &KeyHash) -> Option<Found<'_>> {
        let prefix = hash.prefix();
        let mut at = home(prefix, self.homes);
        loop {
            let entry = self.places.get(at)?.as_ref()?;
            if entry.prefix > prefix {
                return None;
            }
            if entry.prefix == prefix {
                // Asks the slot whether there is a newer one, only not to wait for it when the key is there: both are read at
                // once.
                let known = entry.slot.load();
                let current = known.as_ref().is_some_and(|slot| !slot.is_superseded());
                if entry.key.hash == *hash {
                    return Some(Found { entry, slot: if current { known } else { Guard::from_inner(None) } });
                }
            }
            at += 1;
        }
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
}

/// Where a hash would be, if nobody was before it.
#[inline]
fn home(prefix: u64, homes: usize) -> usize {
    ((u128::from(prefix) * homes as u128) >> 64) as usize
}

impl Entry {
    fn new(key: Arc<Key>) -> Self {
        // A key may have slots of plans that it no longer belongs to.
        let used = key.used().and_then(|usage| {
            let slots = usage.slots();
            slots.iter().find(|slot| key.plans.contains(&slot.plan())).cloned()
        });
        let slot = ArcSwapOption::new(used);
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
    use crate::plans::{PlanId, Reach};
    use crate::throttle::Throttle;
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
        let table = table.changed(&[hash(3), hash(30)], [of(30)].into_iter());
        assert!(table.get(&hash(3)).is_none() && table.get(&hash(30)).is_some());
        assert_eq!((table.len(), table.iter().count()), (20, 20));
    }

    #[test]
    fn a_table_gives_the_slot_that_is_in_force() {
        let plan = |id, rate| {
            let throttle = Throttle::new(rate, 10).ok();
            UsagePlan::new(PlanId(id), "p".into(), throttle, None, Reach::All)
        };
        let hash = KeyHash::of(b"1");
        let table = KeyTable::new([key("a", "1")]).unwrap();
        let slot = |table: &KeyTable, plan: &UsagePlan, snapshot| {
            table.find(&hash).unwrap().slot(plan, snapshot, Nanos::ZERO, |_made| {})
        };
        let first = slot(&table, &plan(0, 1.0), 1);
        assert!(Arc::ptr_eq(&first, &slot(&table, &plan(0, 1.0), 2)), "the same terms");
        // Another plan in between, and a table that was changed.
        let other = slot(&table, &plan(1, 1.0), 2);
        let changed = table.changed(&[], [key("b", "2")].into_iter());
        assert!(Arc::ptr_eq(&first, &slot(&changed, &plan(0, 1.0), 2)));
        assert!(Arc::ptr_eq(&other, &slot(&changed, &plan(1, 1.0), 2)));
        // Other terms: both tables know, whichever is asked first, and so does who asks with the terms of before.
        let second = slot(&changed, &plan(0, 2.0), 3);
        assert!(!Arc::ptr_eq(&first, &second));
        for table in [&table, &changed, &table] {
            assert!(Arc::ptr_eq(&second, &slot(table, &plan(0, 2.0), 3)));
            assert!(Arc::ptr_eq(&second, &slot(table, &plan(0, 1.0), 2)));
        }
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

    #[test]
    fn a_key_that_goes_over_to_another_plan_is_found_with_its_slot_there() {
        let plan = |id| UsagePlan::new(PlanId(id), "p".into(), Throttle::new(1.0, 1).ok(), None, Reach::All);
        let of = |plan: u32| Key::new(KeyHash::of(b"value"), "k", "k", Arc::from([PlanId(plan)]));
        let slot = |table: &KeyTable, plan: &UsagePlan| {
            let found = table.find(&KeyHash::of(b"value")).unwrap();
            let slot = found.slot(plan, 1, Nanos::ZERO, |_| {});
            (slot, found.slot.as_ref().map(|known| known.plan()))
        };
        let before = Arc::new(of(1));
        let table = KeyTable::new([Arc::clone(&before)]).unwrap();
        slot(&table, &plan(1));
        let after = Arc::new(of(2).that_continues(&before));
        slot(&KeyTable::new([Arc::clone(&after)]).unwrap(), &plan(2));
        let again = KeyTable::new([after]).unwrap();
        let (found, known) = slot(&again, &plan(2));
        assert_eq!((found.plan(), known), (PlanId(2), Some(PlanId(2))));
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
