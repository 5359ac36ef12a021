//! A few buckets and whose they are. Must not know rates.

use crate::bucket::Cell;
use crate::sync::Ordering::{Acquire, SeqCst};
use crate::sync::{AtomicU64, Lock};

/// Buckets of a set: so many clients of one hash are told apart. Fewer where all orders of threads are tried.
pub(super) const WAYS: usize = if cfg!(loom) { 2 } else { 8 };
/// The tag of a bucket that nobody has.
const FREE: u64 = 0;
/// The tag of a bucket that is being taken over.
pub(super) const BUSY: u64 = u64::MAX;
/// How often a choice is made anew because the bucket was used meanwhile.
const ROUNDS: u32 = 4;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Set {
    slots: [Slot; WAYS],
    /// Held by who comes in: two of one client must not take two buckets.
    door: Lock,
}

#[derive(Debug)]
struct Slot {
    /// The client's hash.
    tag: AtomicU64,
    cell: Cell,
}

impl Set {
    pub(super) fn new() -> Self {
        Self {
            slots: std::array::from_fn(|_| Slot { tag: AtomicU64::new(FREE), cell: Cell::full() }),
            door: Lock::new(),
        }
    }

    /// The way of a client that is in.
    pub(super) fn find(&self, tag: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.tag.load(Acquire) == tag)
    }

    /// Whether a bucket is still a client's. Asked after a charge, in one order with it for all threads: who takes a bucket
    /// over either is seen here or sees the charge.
    pub(super) fn has(&self, way: usize, tag: u64) -> bool {
        self.slots[way].tag.load(SeqCst) == tag
    }

    /// The state of a bucket.
    pub(super) fn cell(&self, way: usize) -> &Cell {
        &self.slots[way].cell
    }

    /// All clients that are in.
    pub(super) fn clients(&self) -> impl Iterator<Item = (u64, &Cell)> {
        let tagged = self.slots.iter().map(|slot| (slot.tag.load(SeqCst), &slot.cell));
        tagged.filter(|(tag, _)| *tag != FREE && *tag != BUSY)
    }

    /// The bucket that misses least, of those that are full the one that is so longest.
    pub(super) fn least(&self) -> usize {
        let marks = self.slots.iter().map(|slot| slot.cell.full_at());
        marks.enumerate().min_by_key(|(_, mark)| *mark).map_or(0, |(way, _)| way)
    }

    /// Gives a client a bucket, unless it has one. Also whether that missed tokens of another client's at `now`.
    pub(super) fn enter(&self, tag: u64, now: u64) -> (usize, bool) {
        self.door.alone(|| {
            if let Some(way) = self.find(tag) {
                return (way, false);
            }
            let mut round = 0;
            loop {
                let way = self.least();
                let slot = &self.slots[way];
                let mark = slot.cell.full_at();
                let before = slot.tag.swap(BUSY, SeqCst);
                round += 1;
                // Charged between the choice and the swap: it may not be the one that misses least. A charge after the swap
                // is taken back by who made it.
                if slot.cell.full_at() == mark || before == FREE || round == ROUNDS {
                    slot.tag.store(tag, SeqCst);
                    return (way, before != FREE && mark > now);
                }
                slot.tag.store(before, SeqCst);
            }
        })
    }
}
