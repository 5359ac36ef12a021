//! Invalidation: which stored objects a purge has taken out of service, told when they are asked for.
//!
//! A purge writes what it means into a log under a number, its generation, and is done: it costs the same whatever the
//! cache holds. An object remembers the generation that its fetch began under and the last one that it was compared with;
//! a hit compares that with the latest one (one load), and looks into the log only if there was a purge in between. Since
//! an object counts from the *beginning* of its fetch, what was on its way while a purge came is purged too.
//!
//! The log is bounded ([`MAX_ENTRIES`]). Beyond, the oldest entries become one: everything that was not compared with
//! the log since then counts as purged. That can only purge too much.
//!
//! A purge names objects by what is in their key: distribution, host, path and query, or by the tags that came with them.
//! What unsafe methods invalidate is told apart: there may be very many of them (see `touched`).
//!
//! Only hashes of these are kept in the log; if two texts share one, an object is fetched once more than needed. This
//! module must not know storage, configuration or pingora, and reads no clock.

mod identity;
mod log;
mod tags;
mod touched;

use std::collections::hash_map::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::RwLock;

pub use identity::Identity;
use log::Log;
pub use tags::Tags;
pub use touched::Place;
use touched::Touched;

/// Most entries of the log; each is about 80 bytes, so that it takes 5 MiB at most. A purge of a URL, prefix, host or tag
/// is one entry, of a host or something under it two.
pub const MAX_ENTRIES: usize = 1 << 16;

/// Whose objects a purge is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All distributions.
    Everything,
    /// One distribution, by name.
    Distribution(String),
    /// One host of a distribution. Objects of the distribution that have no host in their key are shared by its hosts, and
    /// belong to each of them.
    Host {
        /// The distribution's name.
        distribution: String,
        /// The host, lower case, without port.
        host: String,
    },
}

/// What a purge is about within its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All objects with this path and query, as they are in the key, whatever headers and cookies select.
    Exact(String),
    /// All objects whose path and query begin so. Empty for all.
    Prefix(String),
    /// All objects with this tag; case does not count (CloudFront: "Cache tags").
    Tag(String),
}

/// One thing to purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where.
    pub scope: Scope,
    /// What.
    pub target: Target,
}

/// How much a purged object may still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Not at all: it is fetched anew, without a condition.
    Hard,
    /// As one that has gone stale at the moment of the purge: it may be revalidated, and served by the rules for stale
    /// responses.
    Soft,
}

impl Mode {
    /// The word in logs and receipts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}

/// A point in time, as purges and invalidations count it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// The latest purge.
    pub generation: u64,
    /// The latest invalidation by an unsafe method.
    pub touched: u64,
}

/// What a response carries for purges: made when it is stored.
#[derive(Debug, Clone, Default)]
pub struct Label {
    /// When its fetch began.
    pub mark: Mark,
    /// Its tags.
    pub tags: Tags,
}

/// What the log says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// No purge since was about it. Up to which generation this holds.
    Untouched(u64),
    /// Softly purged, at this time.
    Stale(SystemTime),
    /// Purged.
    Gone,
}

/// All purges of a cache.
#[derive(Debug)]
pub struct Purges {
    /// That of the latest purge; 0 before the first.
    generation: AtomicU64,
    log: RwLock<Log>,
    touched: Touched<RandomState>,
}

impl Default for Purges {
    fn default() -> Self {
        Self::with_room(MAX_ENTRIES)
    }
}

impl Purges {
    fn with_room(entries: usize) -> Self {
        let log = RwLock::new(Log::new(entries));
        // So that nobody can choose URLs whose invalidation takes others along.
        Self { generation: AtomicU64::new(0), log, touched: Touched::new(RandomState::new()) }
    }

    /// The generation of the latest purge; 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { generation: self.generation(), touched: self.touched.number() }
    }

    /// Where the invalidations of the URL in a key's bytes are noted.
    #[must_use]
    pub fn place(&self, key: &[u8]) -> Place {
        self.touched.place(key)
    }

    /// Takes all that is stored for a URL out of service (RFC 9111 §4.4), and what is being fetched for it.
    pub fn touch(&self, place: Place) {
        self.touched.touch(place);
    }

    /// Changes with each [`touch`](Self::touch).
    #[must_use]
    pub fn touches(&self) -> u64 {
        self.touched.version()
    }

    /// Whether a URL was invalidated since.
    #[must_use]
    pub fn is_touched(&self, place: Place, since: Mark) -> bool {
        self.touched.is_touched(place, since.touched)
    }

    /// Entries of the log.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.log.read().entries()
    }

    /// Times that old entries were folded together because the log was full.
    #[must_use]
    pub fn folds(&self) -> u64 {
        self.log.read().folds()
    }

    /// Takes all objects that an item names out of service; gives the generation, from which on they are new. When this
    /// returns, no request gets a purged object any more.
    pub fn purge(&self, items: &[Item], mode: Mode, now: SystemTime) -> u64 {
        let mut log = self.log.write();
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        log.add(items, mode, generation, now);
        // Before the lock goes: who sees the number finds the entries.
        self.generation.store(generation, Ordering::Release);
        generation
    }

    /// What became of an object that was last compared with the log at generation `since`.
    #[must_use]
    pub fn judge(&self, identity: &Identity, tags: &Tags, since: u64) -> Judgement {
        self.log.read().judge(identity, tags, since)
    }
}

/// Whether a purge of these items would be about an object: for counting them without a purge.
#[derive(Debug)]
pub struct Probe(Log);

impl Probe {
    /// A probe for these items.
    #[must_use]
    pub fn new(items: &[Item]) -> Self {
        let mut log = Log::new(usize::MAX);
        log.add(items, Mode::Hard, 1, SystemTime::UNIX_EPOCH);
        Self(log)
    }

    /// Whether one of the items is about the object.
    #[must_use]
    pub fn matches(&self, identity: &Identity, tags: &Tags) -> bool {
        self.0.judge(identity, tags, 0) == Judgement::Gone
    }
}

/// FNV-1a, 64 bits: can be continued from any state, which prefixes need. Who makes texts collide purges own objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fnv(u64);

impl Fnv {
    const START: Self = Self(0xcbf2_9ce4_8422_2325);

    fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |state, byte| state.byte(*byte))
    }

    /// With its length in front, so that texts in a row cannot run into each other.
    fn framed(self, bytes: &[u8]) -> Self {
        self.bytes(&(bytes.len() as u64).to_le_bytes()).bytes(bytes)
    }
}

#[cfg(test)]
mod tests;
