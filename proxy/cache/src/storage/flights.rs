//! The writes in flight by key, and the bytes they hold together. Sharded, so that a hit asks one counter.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::flight::Flight;
use super::object::KeyHasher;

const SHARDS: usize = 64;

/// All writes in flight. There are as many as requests that fill the cache.
pub(super) struct Flights {
    shards: Box<[Shard]>,
    next_id: AtomicU64,
    budget: Arc<Budget>,
}

#[derive(Default)]
struct Shard {
    /// How many are in the map: zero lets a lookup pass without the lock.
    count: AtomicUsize,
    /// More than one for a key when lookups went past the cache lock.
    map: RwLock<ByKey>,
}

type ByKey = HashMap<u128, Vec<(u64, Arc<Flight>)>, KeyHasher>;

impl Flights {
    pub(super) fn new(budget: u64) -> Self {
        Self {
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
            next_id: AtomicU64::new(0),
            budget: Arc::new(Budget { used: AtomicU64::new(0), beside: AtomicU64::new(0), limit: budget }),
        }
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Writes in flight.
    pub(super) fn count(&self) -> u64 {
        self.shards.iter().map(|shard| shard.count.load(Ordering::Relaxed) as u64).sum()
    }

    /// Adds a write and gives it its id.
    pub(super) fn add(&self, key: u128, flight: &Arc<Flight>) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let shard = self.shard(key);
        let mut map = shard.map.write();
        map.entry(key).or_default().push((id, Arc::clone(flight)));
        // Before the lock goes: a reader that the cache lock lets go after this must see it.
        shard.count.fetch_add(1, Ordering::Release);
        id
    }

    pub(super) fn remove(&self, key: u128, id: u64) {
        let shard = self.shard(key);
        let mut map = shard.map.write();
        let Some(flights) = map.get_mut(&key) else { return };
        let before = flights.len();
        flights.retain(|(known, _)| *known != id);
        shard.count.fetch_sub(before - flights.len(), Ordering::Release);
        if flights.is_empty() {
            map.remove(&key);
        }
    }

    /// The newest write of a key that will be stored.
    pub(super) fn followable(&self, key: u128) -> Option<Arc<Flight>> {
        let shard = self.shard(key);
        if shard.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let map = shard.map.read();
        map.get(&key)?.iter().rev().find(|(_, flight)| flight.is_followable()).map(|(_, flight)| Arc::clone(flight))
    }

    pub(super) fn by_id(&self, key: u128, id: u64) -> Option<Arc<Flight>> {
        let map = self.shard(key).map.read();
        map.get(&key)?.iter().find(|(known, _)| *known == id).map(|(_, flight)| Arc::clone(flight))
    }

    /// Keeps all writes of a key from being stored; those who follow them go on. Whether there were any.
    pub(super) fn refuse(&self, key: u128) -> bool {
        let shard = self.shard(key);
        if shard.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let map = shard.map.read();
        let flights = map.get(&key).map_or(&[][..], Vec::as_slice);
        flights.iter().for_each(|(_, flight)| flight.refuse());
        !flights.is_empty()
    }

    fn shard(&self, key: u128) -> &Shard {
        &self.shards[(key as usize) % SHARDS]
    }
}

/// Bytes that writes in flight hold.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    /// What the windows of those hold that are not stored.
    beside: AtomicU64,
    limit: u64,
}

impl Budget {
    /// All that is held, with what is beside the budget.
    pub(super) fn held(&self) -> u64 {
        self.used.load(Ordering::Relaxed) + self.beside.load(Ordering::Relaxed)
    }

    /// Counts what one write holds, in the budget and beside it, where it was counted otherwise before; `false` when more of
    /// it is in the budget than before, and that is more than the limit.
    pub(super) fn count(&self, before: (u64, u64), now: (u64, u64)) -> bool {
        if before.1 != now.1 {
            // Wraps, as a sum of differences may.
            self.beside.fetch_add(now.1.wrapping_sub(before.1), Ordering::Relaxed);
        }
        let more = now.0.wrapping_sub(before.0);
        let used = self.used.fetch_add(more, Ordering::Relaxed).wrapping_add(more);
        now.0 <= before.0 || used <= self.limit
    }
}
