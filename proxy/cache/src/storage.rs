//! Pingora's `Storage` over moka: stored objects by bytes, and the writes in flight that readers may follow.
//!
//! An object keeps its parsed header, so a hit deserialises nothing; bodies are shared, never copied. A hit takes no
//! lock on the writes in flight as long as none is in its shard. A write that fails gives its readers an error, never
//! a short body that looks whole; a body that does not match its `Content-Length` is not stored (RFC 9111 §3.3).
//!
//! What turns out too large while it is written goes on to the viewers that follow it but is not stored: then only a
//! window is kept. Pingora writes and reads such a response in one task, so the writer cannot wait for its reader;
//! instead each write is delayed the longer the fuller the window is, which holds the origin back. A reader that does
//! not move for half a minute loses its place and gets an error. A reader that was far behind when it turned out that the
//! response will not be stored is given the time it needs: its window begins with what it is behind.
//!
//! Eviction is moka's TinyLFU unless the operator wants LRU. What has just been written may not be let in: that is moka's to
//! decide, some time after the insert, and those who read along do not depend on it. `examples/admission.rs` compares the two:
//! TinyLFU has more hits on each trace, and as many hits by bytes but on one where a small cache meets changing tastes. Its
//! price is that in a full cache a second request need not be a hit.
//!
//! It must not know keys' parts or why something is fresh. The store is made once per process and is never dropped.

mod flight;
mod flights;
mod forms;
mod header;
mod hit;
mod miss;
mod object;
mod recode;
mod room;
mod sweep;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use pingora::cache::eviction::CacheEntryKey;
use pingora::cache::key::CacheHashKey;
use pingora::cache::storage::{HitHandler, MissHandler, PurgeOutcome, PurgeTarget};
use pingora::cache::trace::SpanHandle;
use pingora::cache::{CacheKey, CacheMeta, PurgeType, Storage};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use tokio::sync::Semaphore;

use flight::Flight;
use flights::Flights;
use forms::Ready;
use miss::MokaMiss;
use object::{KeyHasher, Meta, Object, Slot};

use crate::compress::Wanted;
use crate::purge::{Identity, Item, Judgement, Label, Mark, Probe, Purges};

pub use hit::MokaHit;
pub use object::{ObjectId, Stored};
pub use sweep::Sweep;

/// The limits of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of stored objects: bodies, headers and what an entry costs.
    pub capacity: u64,
    /// Bytes of the largest body that is stored; at most `capacity` and just under 4 GiB.
    pub max_object: u64,
    /// Bytes that writes in flight may hold together. A write that finds them used up is not stored. On top comes the
    /// window of each write that is not stored, 12 MiB at most.
    pub in_flight: u64,
    /// Which objects make room.
    pub eviction: Eviction,
    window: Window,
}

/// Which objects make room when the store is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Eviction {
    /// Those asked for least often of late; what is asked for less often than all that it would push out is not let in.
    #[default]
    TinyLfu,
    /// Those not asked for longest.
    Lru,
}

impl From<Eviction> for EvictionPolicy {
    fn from(eviction: Eviction) -> Self {
        match eviction {
            Eviction::TinyLfu => Self::tiny_lfu(),
            Eviction::Lru => Self::lru(),
        }
    }
}

/// How far a write that is not stored may run ahead of its slowest reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// Bytes that wait without any delay.
    free: u64,
    /// Each so many bytes above `free` double the delay of a write, up to 64 of the first for as many as `steps`; above them it
    /// is 2,048 of the first.
    step: u64,
    /// The delay of the first step.
    delay: Duration,
    /// See `step`. A reader that does not move in the first delay, doubled so often, is dropped.
    steps: u32,
}

impl Window {
    /// Bytes that wait in a window whose reader does not move, until it is dropped.
    fn most(&self) -> u64 {
        // The slow steps, and then half a minute's writes of 64 KiB, eight to two seconds.
        self.free + self.step * (5 * u64::from(self.steps) + 1)
    }
}

/// 1 ms doubled 15 times is 33 s: what a reader has to show a sign of life.
const WINDOW: Window = Window { free: 2 << 20, step: 128 << 10, delay: Duration::from_millis(1), steps: 15 };

/// Bodies that may be compressed while they come, for each processor. Each takes up to some megabytes for its codec.
const RECODERS: usize = 8;

/// Moka weighs in 32 bits: a body must leave room for its header.
const LARGEST_OBJECT: u64 = u32::MAX as u64 - (1 << 20);

impl Limits {
    /// Limits with the usual room in flight: a quarter of the capacity, but four of the largest objects at least.
    pub fn new(capacity: u64, max_object: u64) -> Self {
        let max_object = max_object.min(capacity).min(LARGEST_OBJECT);
        let in_flight = (capacity / 4).max(max_object.saturating_mul(4));
        Self { capacity, max_object, in_flight, eviction: Eviction::default(), window: WINDOW }
    }

    /// The same with this eviction.
    #[must_use]
    pub fn with_eviction(self, eviction: Eviction) -> Self {
        Self { eviction, ..self }
    }
}

/// A store of responses in memory.
pub struct MokaStorage {
    objects: moka::sync::Cache<u128, Arc<Object>, KeyHasher>,
    flights: Flights,
    limits: Limits,
    counts: Arc<Counts>,
    purges: Purges,
    /// Bodies that may be compressed at once, by processors.
    compressors: Semaphore,
    /// Bodies that may be compressed while they come; most of the time they wait for their origin.
    recoders: Arc<Semaphore>,
    next_object: AtomicU64,
    /// A sweep is at work.
    sweeping: AtomicBool,
}

/// Why written responses were not stored, since the start.
#[derive(Debug, Default)]
struct Counts {
    too_large: AtomicU64,
    over_budget: AtomicU64,
    aborted: AtomicU64,
    wrong_length: AtomicU64,
    purged: AtomicU64,
    evicted: AtomicU64,
    replaced: AtomicU64,
    removed: AtomicU64,
}

impl Counts {
    fn left(&self, cause: RemovalCause) {
        let counter = match cause {
            RemovalCause::Size | RemovalCause::Expired => &self.evicted,
            RemovalCause::Replaced => &self.replaced,
            RemovalCause::Explicit => &self.removed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a store holds and how often its limits were hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StorageStats {
    /// Stored objects. Moka counts lazily: the number may lag behind.
    pub entries: u64,
    /// Bytes they weigh. May lag behind too.
    pub weighted_bytes: u64,
    /// Responses being written now.
    pub in_flight: u64,
    /// Bytes they hold.
    pub in_flight_bytes: u64,
    /// Responses not stored because they were larger than the largest object.
    pub too_large: u64,
    /// Responses not stored because the room in flight was used up.
    pub over_budget: u64,
    /// Writes that ended before their response did.
    pub aborted: u64,
    /// Responses not stored because their length was not their `Content-Length`.
    pub wrong_length: u64,
    /// Responses not stored because a purge came while they were fetched.
    pub purged: u64,
    /// Stored objects that were dropped to make room.
    pub evicted: u64,
    /// Stored objects that another one replaced, fetched or revalidated anew.
    pub replaced: u64,
    /// Stored objects that were removed because they were purged.
    pub removed: u64,
    /// Bytes that stored objects may weigh.
    pub capacity: u64,
    /// Purges so far: the generation.
    pub purges: u64,
    /// Entries of the log of purges.
    pub purge_entries: u64,
    /// Times that the log was full and its older half became one generation.
    pub purge_folds: u64,
}

/// Objects and the bytes they weigh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Objects.
    pub objects: u64,
    /// Bytes, as the store's capacity counts them.
    pub bytes: u64,
}

impl MokaStorage {
    /// Makes a store that lives as long as the process: pingora wants it `'static`.
    ///
    /// `capacity` and `max_object` in bytes; see [`Limits::new`].
    pub fn leak(capacity: u64, max_object: u64) -> &'static Self {
        Self::leak_with(Limits::new(capacity, max_object))
    }

    /// As [`leak`](Self::leak), with all limits given.
    pub fn leak_with(limits: Limits) -> &'static Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (compressors, recoders) = (Semaphore::new(processors), Arc::new(Semaphore::new(processors * RECODERS)));
        let counts = Arc::new(Counts::default());
        let leaving = Arc::clone(&counts);
        let objects = moka::sync::Cache::builder()
            .max_capacity(limits.capacity)
            .weigher(|_, object: &Arc<Object>| object.weight())
            .eviction_policy(limits.eviction.into())
            .eviction_listener(move |_, _, cause| leaving.left(cause))
            .build_with_hasher(KeyHasher::default());
        let flights = Flights::new(limits.in_flight);
        let next_object = AtomicU64::new(0);
        Box::leak(Box::new(Self {
            objects,
            flights,
            limits,
            counts,
            purges: Purges::default(),
            compressors,
            recoders,
            next_object,
            sweeping: AtomicBool::new(false),
        }))
    }

    /// Stored objects; may lag behind.
    pub fn entry_count(&self) -> u64 {
        self.objects.entry_count()
    }

    /// Bytes the stored objects weigh; may lag behind.
    pub fn weighted_size(&self) -> u64 {
        self.objects.weighted_size()
    }

    /// Whether a response would be stored as far as its `Content-Length` tells. Ask before caching is begun: a response
    /// that is known to be too large then streams with the viewer's own back pressure.
    pub fn fits(&self, response: &ResponseHeader) -> bool {
        object::declared_length(response).is_none_or(|length| length <= self.limits.max_object)
    }

    /// Numbers for metrics.
    pub fn stats(&self) -> StorageStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StorageStats {
            entries: self.entry_count(),
            weighted_bytes: self.weighted_size(),
            in_flight: self.flights.count(),
            in_flight_bytes: self.flights.budget().held(),
            too_large: count(&self.counts.too_large),
            over_budget: count(&self.counts.over_budget),
            aborted: count(&self.counts.aborted),
            wrong_length: count(&self.counts.wrong_length),
            purged: count(&self.counts.purged),
            evicted: count(&self.counts.evicted),
            replaced: count(&self.counts.replaced),
            removed: count(&self.counts.removed),
            capacity: self.limits.capacity,
            purges: self.purges.generation(),
            purge_entries: self.purges.entries() as u64,
            purge_folds: self.purges.folds(),
        }
    }

    /// The purges of this store.
    pub fn purges(&self) -> &Purges {
        &self.purges
    }

    /// What a hard purge of these items would take out of service now. Looks at each object: not for the runtime's
    /// workers.
    pub fn would_purge(&self, items: &[Item]) -> Held {
        let (probe, generation) = (Probe::new(items), self.purges.generation());
        let mut held = Held::default();
        for (_, object) in &self.objects {
            let meta = &object.meta;
            if probe.matches(meta.identity(), meta.tags()) && object.judge(&self.purges, generation) != Judgement::Gone
            {
                held.objects += 1;
                held.bytes += u64::from(object.weight());
            }
        }
        held
    }

    /// Bytes of the largest body that is stored.
    pub fn max_object(&self) -> u64 {
        self.limits.max_object
    }

    /// Whether a purge or an unsafe method was about a response since its fetch began: then it will not be stored.
    pub fn is_overtaken(&self, key: &CacheKey, label: &Label) -> bool {
        let now = self.purges.mark();
        if now == label.mark {
            return false;
        }
        let bytes = key.primary_key();
        let since = label.mark.generation;
        self.purges.is_touched(self.purges.place(bytes), label.mark)
            || (since != now.generation
                && !matches!(self.purges.judge(&Identity::of_key(bytes), &label.tags, since), Judgement::Untouched(_)))
    }

    /// Whether no purge and no unsafe method was about a response since its fetch began.
    fn is_current(&self, meta: &Meta) -> bool {
        let since = meta.mark().generation;
        !meta.is_touched(&self.purges)
            && (since == self.purges.generation() || matches!(meta.judge(&self.purges, since), Judgement::Untouched(_)))
    }

    /// Reads along with a response that is being written, in the form that the request wants if that can be had.
    fn follow(
        &'static self,
        hash: u128,
        flight: Arc<Flight>,
        key: &CacheKey,
        seen: Mark,
    ) -> Option<(CacheMeta, HitHandler)> {
        let slot = Slot::of(key);
        if let Some(wanted) = key.extensions.get::<Wanted>()
            && let Some(coded) = self.recoded(hash, &flight, wanted)
            && let Some(hit) = MokaHit::following(Arc::clone(&coded), seen, Some(wanted.coding))
        {
            return Some((coded.meta().rebuild(slot, None), Box::new(hit)));
        }
        let meta = flight.meta().rebuild(slot, None);
        Some((meta, Box::new(MokaHit::following(flight, seen, None)?)))
    }

    /// Frees an object that was purged, unless another is in its place already.
    fn free(&self, key: u128, object: &Arc<Object>) {
        self.objects.entry(key).and_compute_with(|entry| match entry {
            Some(entry) if Arc::ptr_eq(entry.value(), object) => Op::Remove,
            _ => Op::Nop,
        });
    }

    /// Makes moka's counts exact and evicts what is due. For tests: moka does this by itself in time.
    pub fn settle(&self) {
        self.objects.run_pending_tasks();
    }

    /// Forgets what is stored under a key, and what is being stored. Whether there was anything.
    pub fn forget(&self, key: &CacheKey) -> bool {
        self.remove(hash_of(key))
    }

    /// What is stored under a key, if it is in service: to be looked at, not served.
    pub fn stored(&self, key: &CacheKey) -> Option<Stored> {
        let object = self.objects.get(&hash_of(key))?;
        let judgement = object.judge(&self.purges, self.purges.generation());
        (judgement != Judgement::Gone).then_some(Stored(object))
    }

    /// Makes a stored object stale from now on, unless another is in its place already (RFC 9111 §4.3.5).
    pub fn expire_stored(&self, key: &CacheKey, stored: &Stored, now: SystemTime) {
        self.objects.entry(hash_of(key)).and_compute_with(|entry| match entry {
            Some(entry) if entry.value().meta.id() == stored.0.meta.id() => {
                Op::Put(Arc::new(entry.value().expired(now, false)))
            }
            _ => Op::Nop,
        });
    }

    /// Ends the time in which what is stored under a key answers although it is stale: the origin has another answer by now,
    /// which is not stored. It stays, as the key of other variants may hang on it. What is fresh is newer than that answer.
    pub fn retire(&self, key: &CacheKey, now: SystemTime) {
        self.objects.entry(hash_of(key)).and_compute_with(|entry| match entry {
            Some(entry) if !entry.value().meta.is_fresh(now) => Op::Put(Arc::new(entry.value().expired(now, true))),
            _ => Op::Nop,
        });
    }

    fn remove(&self, key: u128) -> bool {
        let in_flight = self.flights.refuse(key);
        self.objects.remove(&key).is_some() || in_flight
    }
}

/// The key's hash: Blake2b over primary key and variance, so its bits are as good as random.
fn hash_of(key: &impl CacheHashKey) -> u128 {
    u128::from_be_bytes(key.combined_bin())
}

#[async_trait]
impl Storage for MokaStorage {
    async fn lookup(&'static self, key: &CacheKey, _: &SpanHandle) -> Result<Option<(CacheMeta, HitHandler)>> {
        let (hash, slot) = (hash_of(key), Slot::of(key));
        let seen = self.purges.mark();
        // A write in flight is newer than what is stored, unless it was begun before a purge.
        if let Some(flight) = self.flights.followable(hash).filter(|flight| self.is_current(flight.meta()))
            && let Some(found) = self.follow(hash, flight, key, seen)
        {
            return Ok(Some(found));
        }
        let Some(object) = self.objects.get(&hash) else { return Ok(None) };
        let purged = match object.judge(&self.purges, seen.generation) {
            Judgement::Untouched(_) => None,
            Judgement::Stale(since) => Some(since),
            Judgement::Gone => {
                self.free(hash, &object);
                return Ok(None);
            }
        };
        if let Some(wanted) = key.extensions.get::<Wanted>()
            && purged.is_none()
            && object.meta.is_fresh(wanted.now)
        {
            let (form, coding) = match object.forms.ready(wanted.coding) {
                Ready::Form(form) => (form, Some(wanted.coding)),
                Ready::Plain => (object, None),
                // Boxed: most look-ups need not carry room for it.
                Ready::No => Box::pin(self.form(hash, object, wanted.coding)).await,
            };
            let meta = form.meta.rebuild(slot, None);
            return Ok(Some((meta, Box::new(MokaHit::form(form, seen, coding)) as HitHandler)));
        }
        let meta = object.meta.rebuild(slot, purged);
        Ok(Some((meta, Box::new(MokaHit::stored(object, seen)) as HitHandler)))
    }

    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        tag: Option<&[u8]>,
        _: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let write_id = tag.and_then(|tag| tag.try_into().ok()).map(u64::from_be_bytes);
        let flight = write_id.and_then(|id| self.flights.by_id(hash_of(key), id));
        Ok(flight.and_then(|flight| self.follow(hash_of(key), flight, key, self.purges.mark())))
    }

    async fn get_miss_handler(&'static self, key: &CacheKey, meta: &CacheMeta, _: &SpanHandle) -> Result<MissHandler> {
        let id = ObjectId(self.next_object.fetch_add(1, Ordering::Relaxed));
        let meta = Arc::new(Meta::of(meta, key, id, &self.purges));
        let flight = Arc::new(Flight::new(meta, self.limits.max_object, self.limits.window, self.flights.budget()));
        let (key, write_id) = (hash_of(key), self.flights.add(hash_of(key), &flight));
        Ok(Box::new(MokaMiss::new(self, key, write_id, flight)))
    }

    async fn purge(&'static self, target: PurgeTarget<'_>, _: PurgeType, _: &SpanHandle) -> Result<PurgeOutcome> {
        // This store gives its entries no ids, so there is none with one.
        if matches!(target, PurgeTarget::Exact(CacheEntryKey::Identified { .. })) {
            return Ok(PurgeOutcome::NotFound);
        }
        let removed = self.remove(hash_of(target.key()));
        Ok(if removed { PurgeOutcome::Purged(None) } else { PurgeOutcome::NotFound })
    }

    async fn update_meta(&'static self, key: &CacheKey, meta: &CacheMeta, _: &SpanHandle) -> Result<bool> {
        let mut updated = false;
        self.objects.entry(hash_of(key)).and_compute_with(|entry| {
            let Some(object) = entry.map(moka::Entry::into_value) else { return Op::Nop };
            // The object may be another one by now, whose body this header would not fit.
            if !object.meta.describes_same_body(meta) || !object.meta.has_coding_of(meta) {
                return Op::Nop;
            }
            updated = true;
            Op::Put(Arc::new(object.refreshed(meta)))
        });
        Ok(updated)
    }

    fn support_streaming_partial_write(&self) -> bool {
        true
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

fn failed<T>(why: &'static str) -> Result<T> {
    Error::e_explain(ErrorType::InternalError, why)
}

#[cfg(test)]
mod purge_tests;
#[cfg(test)]
mod sweep_tests;
#[cfg(test)]
mod tests;
