//! A set of keys that does not change, found by hash. Must not know which of them can be used.
//!
//! With a million keys nothing of a key is in the processor's caches, and each look at another piece of memory that only
//! the last one told of costs as much as all the arithmetic of a check. So there is one such look: a byte for each place, few enough
//! to be in the caches, says where the key is, and what is looked at of it, and of what it has used (`row`), is there, side by side
//! with that of others. Both are fetched at once.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::row::Row;
use super::slot::{Slot, SlotRef};
use super::{Key, KeyHash};
use crate::meter::Meter;
use crate::plans::{PlanSet, UsagePlan};
use crate::time::Nanos;

/// For so many keys ..
const FULL: usize = 3;
/// .. there are so many places when a table is made.
const PLACES: usize = 4;
/// The tag of a place that nobody ever had.
const EMPTY: u8 = 0;
/// The tag of a place whose key is gone. It has no second one, as somebody may still charge the first one there.
const GONE: u8 = 1;
/// A table with so many times as many places as keys is made anew.
const MANY: usize = 8;
/// Rows of earlier tables that keys may have slots in: while there are more, the row of a new table takes no slots. So
/// however often tables are made, they keep a few rows.
const ROWS: usize = 3;

/// See the module's text. A look-up costs the same whether the key is enabled or not; for one that nobody has it costs a read
/// of memory less.
#[derive(Default)]
pub struct KeyTable {
    /// A byte of the hash of who is at a place. A key is at the place that its hash says, or where after it there was room. SHA-256
    /// is spread well enough, and a viewer cannot add to the table, so no random seed is needed against flooding.
    tags: Box<[u8]>,
    places: Box<[Option<Place>]>,
    /// A seat for each place; the same one as that of the table before, while keys are where they were there.
    row: Option<Arc<Row>>,
    len: usize,
    /// Places that are not empty.
    given: usize,
}

/// A key, with what is looked at in each request: a line of memory.
#[derive(Debug)]
#[repr(C, align(64))]
struct Place {
    hash: KeyHash,
    until: u64,
    plans: PlanSet,
    /// The slot that was used last of those that have no seat.
    other: ArcSwapOption<Slot>,
    key: Arc<Key>,
}

/// A key in a table.
pub struct Found<'t> {
    place: &'t Place,
    row: &'t Arc<Row>,
    at: u32,
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
        let keys: Vec<_> = keys.into_iter().collect();
        let mut table = Self::with_room(&keys);
        for key in keys {
            if let Some(first) = table.get(&key.hash) {
                return Err(KeyTableError::Duplicate { first: first.name.to_string(), second: key.name.to_string() });
            }
            table.put(key);
        }
        Ok(table)
    }

    /// The same table without some keys and with others. What goes is in order, and has the hashes of what comes too; that
    /// has one key for each hash.
    pub(super) fn changed(&self, goes: &[KeyHash], come: Vec<Arc<Key>>) -> Self {
        let places = self.places.len();
        let at_least = (self.len + come.len()).saturating_sub(goes.len());
        if self.given + come.len() > room(places) || places > MANY * at_least {
            let gone = |hash: &KeyHash| goes.binary_search_by(|gone| gone.as_bytes().cmp(hash.as_bytes())).is_ok();
            let mut keys: Vec<_> =
                self.places().filter(|place| !gone(&place.hash)).map(|place| Arc::clone(&place.key)).collect();
            keys.extend(come);
            let mut table = Self::with_room(&keys);
            keys.into_iter().for_each(|key| table.put(key));
            return table;
        }
        // Another name, plan or end: the key stays where its tokens are.
        let (stay, come): (Vec<_>, Vec<_>) = come.into_iter().partition(|key| {
            let before = self.get(&key.hash).and_then(|before| before.used());
            before.zip(key.used()).is_some_and(|(before, now)| Arc::ptr_eq(before, now))
        });
        let stay: Vec<_> = stay.into_iter().filter_map(|key| Some((self.position(&key.hash)?, key))).collect();
        let mut table = self.again();
        for at in goes.iter().filter_map(|hash| self.position(hash)) {
            table.set(at, GONE, None);
        }
        for (at, key) in stay {
            table.sit(at, key);
        }
        come.into_iter().for_each(|key| table.put(key));
        table
    }

    /// An empty table for these keys.
    fn with_room(keys: &[Arc<Key>]) -> Self {
        let mut rows: Vec<Arc<Row>> = Vec::new();
        for usage in keys.iter().filter_map(|key| key.used()) {
            for (row, _) in usage.slots().iter().filter_map(SlotRef::place) {
                if rows.len() <= ROWS && !rows.iter().any(|known| Arc::ptr_eq(known, row)) {
                    rows.push(Arc::clone(row));
                }
            }
        }
        let places = if keys.is_empty() { 0 } else { keys.len() * PLACES / FULL + 1 };
        Self {
            tags: (0..places).map(|_| EMPTY).collect(),
            places: (0..places).map(|_| None).collect(),
            row: Some(Arc::new(Row::new(places, rows.len() <= ROWS))),
            len: 0,
            given: 0,
        }
    }

    fn again(&self) -> Self {
        let places = self.places.iter().map(|place| place.as_ref().map(Place::again)).collect();
        Self { tags: self.tags.clone(), places, row: self.row.clone(), len: self.len, given: self.given }
    }

    /// Gives a key that is not in the table a place that nobody had.
    fn put(&mut self, key: Arc<Key>) {
        let mut ahead = ahead(home(key.hash.prefix(), self.tags.len()), self.tags.len());
        if let Some(at) = ahead.find(|at| self.tags.get(*at) == Some(&EMPTY)) {
            self.given += 1;
            self.sit(at, key);
        }
    }

    /// Gives a key a place. What it has used already, it finds from there.
    fn sit(&mut self, at: usize, key: Arc<Key>) {
        let slots = key.used().map(|usage| {
            usage.rename(&key.name);
            usage.slots()
        });
        // A key may have slots of plans that it no longer belongs to.
        let slots = slots.iter().flat_map(|slots| slots.iter()).filter(|slot| key.plans.contains(&slot.plan()));
        let mut other = None;
        for slot in slots {
            match (slot.as_alone(), &self.row) {
                (Some(alone), _) => other = other.or(Some(Arc::clone(alone))),
                (None, Some(row)) => row.tell(at as u32, slot),
                (None, None) => {}
            }
        }
        let (tag, other) = (tag(&key.hash), ArcSwapOption::new(other));
        let place = Place { hash: key.hash, until: key.until, plans: key.plans.clone(), other, key };
        self.set(at, tag, Some(place));
    }

    fn set(&mut self, at: usize, tag: u8, place: Option<Place>) {
        if let (Some(old_tag), Some(old)) = (self.tags.get_mut(at), self.places.get_mut(at)) {
            self.len = self.len + usize::from(place.is_some()) - usize::from(old.is_some());
            (*old_tag, *old) = (tag, place);
        }
    }

    /// The key with a hash, enabled or not.
    #[must_use]
    #[inline]
    pub fn find(&self, hash: &KeyHash) -> Option<Found<'_>> {
        let row = self.row.as_ref()?;
        let (tag, places) = (tag(hash), self.tags.len());
        for at in ahead(home(hash.prefix(), places), places) {
            match *self.tags.get(at)? {
                EMPTY => return None,
                found if found == tag => {
                    row.fetch(at as u32);
                    if let Some(place) = self.places.get(at)?
                        && place.hash == *hash
                    {
                        return Some(Found { place, row, at: at as u32 });
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// As [`KeyTable::find`], if only the key is wanted.
    #[must_use]
    pub fn get(&self, hash: &KeyHash) -> Option<&Arc<Key>> {
        self.find(hash).map(|found| found.key())
    }

    fn position(&self, hash: &KeyHash) -> Option<usize> {
        self.find(hash).map(|found| found.at as usize)
    }

    /// All keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.places().map(|place| &place.key)
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
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

/// Without tags, which are parts of hashes.
impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Where a hash is, if nobody was there before.
#[inline]
fn home(prefix: u64, places: usize) -> usize {
    ((u128::from(prefix) * places as u128) >> 64) as usize
}

/// All places, from one on.
#[inline]
fn ahead(home: usize, places: usize) -> impl Iterator<Item = usize> {
    (home..places).chain(0..home)
}

/// The most places of a table that may be given: the emptier it is, the shorter are the ways.
fn room(places: usize) -> usize {
    places * 7 / 8
}

/// A tag that no place without a key has.
#[inline]
fn tag(hash: &KeyHash) -> u8 {
    hash.tag().max(GONE + 1)
}

impl Place {
    fn again(&self) -> Self {
        Self {
            hash: self.hash,
            until: self.until,
            plans: self.plans.clone(),
            other: ArcSwapOption::new(self.other.load_full()),
            key: Arc::clone(&self.key),
        }
    }
}

impl<'t> Found<'t> {
    /// The key: more than is needed for a check, and in another piece of memory.
    #[must_use]
    pub fn key(&self) -> &'t Arc<Key> {
        &self.place.key
    }

    /// As [`Key::is_usable`].
    #[must_use]
    #[inline]
    pub fn is_usable(&self, unix: u64) -> bool {
        unix < self.place.until
    }

    /// The usage plans it belongs to.
    #[must_use]
    #[inline]
    pub fn plans(&self) -> &'t PlanSet {
        &self.place.plans
    }

    /// Its tokens and requests in a plan, as the snapshot with this number has the plan; `made` is called with a meter that is new.
    /// A request that still has an older snapshot gets what a newer one has made of the slot.
    #[inline]
    pub fn slot(&self, plan: &UsagePlan, snapshot: u64, now: Nanos, made: impl FnOnce(&Arc<Meter>)) -> SlotRef {
        match self.row.find(self.at, |slot| slot.is_current(plan, snapshot)) {
            Some(slot) => slot,
            None => self.other(plan, snapshot, now, made),
        }
    }

    /// The slot of a key whose seat is empty, or has another one.
    fn other(&self, plan: &UsagePlan, snapshot: u64, now: Nanos, made: impl FnOnce(&Arc<Meter>)) -> SlotRef {
        let known = self.place.other.load();
        if let Some(slot) = known.as_ref().filter(|slot| slot.is_current(plan, snapshot)) {
            return SlotRef::alone(Arc::clone(slot));
        }
        let key = self.key();
        let slot = key.usage().slot((key, Some((self.row, self.at))), plan, snapshot, now, made);
        match slot.as_alone() {
            // That of another plan stays: two plans in turn would only drive each other out.
            Some(alone) if known.as_ref().is_none_or(|known| known.plan() == slot.plan()) => {
                self.place.other.store(Some(Arc::clone(alone)));
            }
            Some(_) => {}
            None => self.row.tell(self.at, &slot),
        }
        slot
    }
}

#[cfg(test)]
mod tests;
