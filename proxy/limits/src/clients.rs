//! Token buckets of many clients (addresses, callers) in a fixed amount of memory, and never too generous for it.
//!
//! A table of sets with [`WAYS`] buckets each; a client has one set by its hash. A client that comes into a set without a
//! free place takes the bucket that misses the fewest tokens, as it is: it inherits what was spent of it. So a client that
//! is forgotten and comes back finds a bucket that misses at least as much as its own would (the idea of "Space-Saving",
//! Metwally et al. 2005, for buckets that refill). Idle buckets are full, miss nothing, and go first: as long as fewer
//! clients than places are active, each has a bucket of its own.
//!
//! What this costs: where more clients are active than there are places, newcomers may be refused early. What it never
//! does: let a client have more than its rate and burst. Refunds are the exception: while buckets are being taken over, a
//! client may get up to what was refunded in its set besides.
//!
//! Requests of known clients take no lock. A client that is not in its set takes the lock of that set alone.

mod set;

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use crate::bucket::{Cell, Charge, Measure, Wait};
use crate::sync::{AtomicU64, Lock, Ordering};
use crate::throttle::Throttle;
use crate::time::Nanos;
use set::{BUSY, Set, WAYS};

/// Most clients of one table.
pub const MAX_CLIENTS: usize = 1 << 24;
/// Doors of a table: newcomers of so many sets do not wait for each other.
const DOORS: usize = if cfg!(loom) { 1 } else { 256 };
/// How often a reservation starts anew because its bucket was taken over meanwhile.
const ROUNDS: u32 = 4;

/// See the module's text. 192 bytes for each 8 clients.
#[derive(Debug)]
pub struct ClientBuckets {
    measure: Measure,
    sets: Box<[Set]>,
    /// A set has the door of its index.
    doors: Box<[Lock]>,
    hasher: RandomState,
    /// Buckets that were taken over although they were not full.
    taken_over: AtomicU64,
}

/// A client of one table: its hash there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Client(u64);

/// Without the hash: a key's is a part of that of its value.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

/// What one reservation took from one client's bucket.
#[must_use = "the charge is what can be refunded"]
#[derive(Debug)]
pub struct ClientCharge {
    client: Client,
    way: u8,
    charge: Charge,
}

impl ClientCharge {
    /// Whose it is.
    #[must_use]
    pub const fn client(&self) -> Client {
        self.client
    }
}

impl ClientBuckets {
    /// A table for at least `clients` clients at once, from 8 to 16,777,216. All buckets are full. The hasher keeps a viewer
    /// from choosing addresses of one set.
    #[must_use]
    pub fn new(throttle: Throttle, clients: usize, now: Nanos, hasher: RandomState) -> Self {
        let sets = clients.clamp(WAYS, MAX_CLIENTS).div_ceil(WAYS).next_power_of_two();
        Self {
            measure: Measure::new(throttle, now),
            sets: (0..sets).map(|_| Set::new()).collect(),
            doors: (0..DOORS).map(|_| Lock::new()).collect(),
            hasher,
            taken_over: AtomicU64::new(0),
        }
    }

    /// A table with other parameters where each client has the tokens that it has in `old`, or as many as a bucket holds now.
    #[must_use]
    pub fn carry_over(old: &Self, throttle: Throttle, clients: usize, now: Nanos) -> Self {
        let table = Self::new(throttle, clients, now, old.hasher.clone());
        table.inherit(old, now);
        table
    }

    /// Makes the clients of this table, not yet in use, have no more than the tokens that they have in `old`, which has the
    /// same hasher.
    pub(crate) fn inherit(&self, old: &Self, now: Nanos) {
        let ticks = self.measure.ticks(now);
        // Those who are not in it had a full bucket there, which may be less than one here.
        let grown = self.measure.converted(&old.measure, 0);
        if grown > 0 {
            self.sets.iter().for_each(|set| set.owe(ticks, grown));
        }
        for (tag, cell) in old.sets.iter().flat_map(Set::clients) {
            if old.measure.debt(cell, now) > 0 {
                let set = self.set(Client(tag));
                let (way, _) = set.enter(self.door(Client(tag)), tag, ticks);
                self.measure.inherit(set.cell(way), (&old.measure, cell), now);
            }
        }
    }

    /// The client that these bytes name; the same one in all tables of a registry.
    #[must_use]
    pub fn client(&self, name: &[u8]) -> Client {
        Client::of(self.hasher.hash_one(name))
    }

    /// Takes `cost` tokens of a client's bucket, or none.
    ///
    /// # Errors
    /// As [`Bucket::reserve`](crate::Bucket::reserve).
    pub fn reserve(&self, client: Client, now: Nanos, cost: u32) -> Result<ClientCharge, Wait> {
        self.take(client, now, cost).map(|(charge, way)| ClientCharge { client, way, charge })
    }

    /// As [`ClientBuckets::reserve`]: what was taken, and from which bucket of the client's set.
    #[inline]
    pub(crate) fn take(&self, client: Client, now: Nanos, cost: u32) -> Result<(Charge, u8), Wait> {
        if cost == 0 {
            return Ok((Charge::NOTHING, 0));
        }
        if cost > self.measure.throttle.burst() {
            return Err(Wait::Never);
        }
        let set = self.set(client);
        let mut round = 0;
        loop {
            let way = match set.find(client.0) {
                Some(way) => way,
                None => self.enter(client, now),
            };
            let taken = self.measure.reserve(set.cell(way), now, cost);
            round += 1;
            if set.has(way, client.0) || round == ROUNDS {
                return taken.map(|charge| (charge, way as u8));
            }
            if let Ok(charge) = taken {
                set.cell(way).refund(charge);
            }
        }
    }

    /// Gives a client a bucket of its set.
    #[cold]
    fn enter(&self, client: Client, now: Nanos) -> usize {
        let (way, in_debt) = self.set(client).enter(self.door(client), client.0, self.measure.ticks(now));
        if in_debt {
            self.taken_over.fetch_add(1, Ordering::Relaxed);
        }
        way
    }

    /// Gives back what was taken, as [`Bucket::refund`](crate::Bucket::refund) does; nothing if another client has taken the
    /// bucket over.
    pub fn refund(&self, taken: ClientCharge) {
        self.give_back(taken.client, taken.way, taken.charge);
    }

    pub(crate) fn give_back(&self, client: Client, way: u8, charge: Charge) {
        let (set, way) = (self.set(client), usize::from(way));
        if set.has(way, client.0) {
            set.cell(way).refund(charge);
        }
    }

    /// Whether a client could take `cost` tokens now.
    ///
    /// # Errors
    /// As [`ClientBuckets::reserve`].
    pub fn probe(&self, client: Client, now: Nanos, cost: u32) -> Result<(), Wait> {
        self.measure.probe(self.cell(client), now, cost)
    }

    /// Whole tokens that a client has.
    #[must_use]
    pub fn remaining(&self, client: Client, now: Nanos) -> u32 {
        self.measure.remaining(self.cell(client), now)
    }

    /// Until the client has one token more; zero when its bucket is full.
    #[must_use]
    pub fn next_after(&self, client: Client, now: Nanos) -> Nanos {
        self.measure.next_after(self.cell(client), now)
    }

    /// Until the client's bucket is full.
    #[must_use]
    pub fn reset_after(&self, client: Client, now: Nanos) -> Nanos {
        self.measure.reset_after(self.cell(client), now)
    }

    /// The rate and burst of each client.
    #[must_use]
    pub const fn throttle(&self) -> Throttle {
        self.measure.throttle
    }

    /// For how many clients there is room.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// How often a client took over a bucket that was not full: if this grows, there are more active clients than room.
    #[must_use]
    pub fn taken_over(&self) -> u64 {
        self.taken_over.load(Ordering::Relaxed)
    }

    /// Has the processor fetch what a charge of the client will read, all of it at once. A hint: of use to who knows the client
    /// before all else that a reservation needs.
    #[inline]
    pub fn fetch(&self, client: Client) {
        self.set(client).fetch();
    }

    /// The client's bucket, or the one that it would get if it came now, and what it is counted with.
    #[inline]
    pub(crate) fn bucket(&self, client: Client) -> (&Measure, &Cell) {
        (&self.measure, self.cell(client))
    }

    #[inline]
    fn cell(&self, client: Client) -> &Cell {
        let set = self.set(client);
        set.cell(set.find(client.0).unwrap_or_else(|| set.least()))
    }

    #[inline]
    fn set(&self, client: Client) -> &Set {
        // A power of two of them, so the remainder is in range.
        &self.sets[client.0 as usize & (self.sets.len() - 1)]
    }

    fn door(&self, client: Client) -> &Lock {
        let at = client.0 as usize & (self.sets.len() - 1);
        &self.doors[at % DOORS]
    }
}

impl Client {
    /// A client by a hash that is as good as random, and that no viewer can choose.
    #[must_use]
    pub const fn of(hash: u64) -> Self {
        // Two values have a meaning of their own in a set.
        Self(if hash == 0 || hash == BUSY { 1 } else { hash })
    }

    /// The hash.
    #[must_use]
    pub const fn hash(self) -> u64 {
        self.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
