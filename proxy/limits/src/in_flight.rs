//! How many requests are at work at once: limits beside the rates. Must not know what a request is.
//!
//! Whoever is let in holds an [`InFlight`] and leaves by dropping it, however its request ends.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::clients::Client;

/// Locks of a table of clients; a request holds one for an instant.
const SHARDS: usize = 64;

/// So many at once, all viewers together. Shared counts survive a change of the limit.
#[derive(Debug, Clone)]
pub struct Gauge {
    limit: u32,
    inside: Arc<AtomicU32>,
}

/// So many at once for each client. Holds as many entries as clients are inside, no more.
#[derive(Debug, Clone)]
pub struct ClientGauges {
    limit: u32,
    inside: Arc<Inside>,
    hasher: RandomState,
}

type Inside = [Mutex<HashMap<u64, u32>>; SHARDS];

/// A request at work. Dropped, it has left.
#[must_use = "dropped, the request has left"]
#[derive(Debug)]
pub struct InFlight(Place);

#[derive(Debug)]
enum Place {
    One(Arc<AtomicU32>),
    Client(Arc<Inside>, u64),
}

impl Gauge {
    /// Nobody is inside; `limit` may be, at least 1.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit, inside: Arc::default() }
    }

    /// The same requests under another limit: who is inside stays.
    #[must_use]
    pub fn with_limit(&self, limit: u32) -> Self {
        Self { limit, inside: Arc::clone(&self.inside) }
    }

    /// Lets a request in, unless as many are inside.
    #[must_use]
    pub fn enter(&self) -> Option<InFlight> {
        let more = |inside: u32| (inside < self.limit).then_some(inside + 1);
        self.inside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(InFlight(Place::One(Arc::clone(&self.inside))))
    }

    /// How many may be inside.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// How many are.
    #[must_use]
    pub fn inside(&self) -> u32 {
        self.inside.load(Ordering::Relaxed)
    }
}

impl ClientGauges {
    /// Nobody is inside; `limit` of each client may be, at least 1.
    #[must_use]
    pub fn new(limit: u32, hasher: RandomState) -> Self {
        let inside = std::array::from_fn(|_| Mutex::new(HashMap::new()));
        Self { limit, inside: Arc::new(inside), hasher }
    }

    /// The same requests under another limit.
    #[must_use]
    pub fn with_limit(&self, limit: u32) -> Self {
        Self { limit, ..self.clone() }
    }

    /// The client that these bytes name.
    #[must_use]
    pub fn client(&self, name: &[u8]) -> Client {
        Client::of(self.hasher.hash_one(name))
    }

    /// Lets a client's request in, unless as many are inside.
    #[must_use]
    pub fn enter(&self, client: Client) -> Option<InFlight> {
        let mut shard = shard(&self.inside, client.hash()).lock();
        let inside = shard.entry(client.hash()).or_default();
        if *inside >= self.limit {
            // Only with a limit of 0 the entry is new, and that is none.
            return None;
        }
        *inside += 1;
        Some(InFlight(Place::Client(Arc::clone(&self.inside), client.hash())))
    }

    /// How many may be inside for each client.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// How many clients are inside.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.inside.iter().map(|shard| shard.lock().len()).sum()
    }
}

fn shard(inside: &Inside, hash: u64) -> &Mutex<HashMap<u64, u32>> {
    // The upper bits: the map itself uses all of them through its own hash.
    &inside[(hash >> 58) as usize % SHARDS]
}

impl Drop for InFlight {
    fn drop(&mut self) {
        match &self.0 {
            Place::One(inside) => drop(inside.fetch_sub(1, Ordering::Relaxed)),
            Place::Client(inside, client) => {
                let mut shard = shard(inside, *client).lock();
                if let Some(count) = shard.get_mut(client) {
                    *count -= 1;
                    if *count == 0 {
                        shard.remove(client);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_the_limit_and_who_leaves_makes_room() {
        let gauge = Gauge::new(2);
        let first = gauge.enter().unwrap();
        let _second = gauge.enter().unwrap();
        assert!(gauge.enter().is_none());
        drop(first);
        assert_eq!(gauge.inside(), 1);
        assert!(gauge.enter().is_some());
    }

    #[test]
    fn another_limit_counts_the_same_requests() {
        let gauge = Gauge::new(2);
        let inside = [gauge.enter().unwrap(), gauge.enter().unwrap()];
        let wider = gauge.with_limit(3);
        let third = wider.enter().unwrap();
        assert!(wider.enter().is_none() && gauge.enter().is_none());
        drop(inside);
        drop(third);
        assert_eq!(gauge.inside(), 0);
    }

    #[test]
    fn clients_are_counted_apart_and_forgotten() {
        let gauges = ClientGauges::new(1, RandomState::new());
        let (one, other) = (gauges.client(b"one"), gauges.client(b"other"));
        let held = gauges.enter(one).unwrap();
        assert!(gauges.enter(one).is_none());
        let _other = gauges.enter(other).unwrap();
        assert_eq!(gauges.clients(), 2);
        drop(held);
        assert_eq!(gauges.clients(), 1);
        assert!(gauges.with_limit(1).enter(one).is_some());
    }

    #[test]
    fn threads_never_get_more_than_the_limit() {
        let (gauge, most) = (Gauge::new(3), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if let Some(_inside) = gauge.enter() {
                            most.fetch_max(gauge.inside(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(gauge.inside(), 0);
    }
}
