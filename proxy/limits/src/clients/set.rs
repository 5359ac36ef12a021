//! A few buckets and whose they are: three cache lines, of which a request reads two. Must not know rates.

use crate::bucket::Cell;
use crate::sync::Ordering::{Acquire, Relaxed, SeqCst};
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
#[repr(align(64))]
pub(super) struct Set {
    /// The clients' hashes.
    tags: [AtomicU64; WAYS],
    cells: [Cell; WAYS],
}

impl Set {
    pub(super) fn new() -> Self {
        Self { tags: std::array::from_fn(|_| AtomicU64::new(FREE)), cells: std::array::from_fn(|_| Cell::full()) }
    }

    /// Reads all three lines, so that they come at once: which of them holds a client's bucket, only the first one says.
    #[inline]
    pub(super) fn fetch(&self) {
        std::hint::black_box(self.tags[0].load(Relaxed));
        std::hint::black_box(self.cells[0].full_at_now());
        std::hint::black_box(self.cells[WAYS - 1].full_at_now());
    }

    /// The way of a client that is in.
    #[inline]
    pub(super) fn find(&self, tag: u64) -> Option<usize> {
        self.tags.iter().position(|slot| slot.load(Acquire) == tag)
    }

    /// Whether a bucket is still a client's. Asked after a charge, in one order with it for all threads: who takes a bucket
    /// over either is seen here or sees the charge.
    #[inline]
    pub(super) fn has(&self, way: usize, tag: u64) -> bool {
        self.tags[way].load(SeqCst) == tag
    }

    /// The state of a bucket.
    #[inline]
    pub(super) fn cell(&self, way: usize) -> &Cell {
        &self.cells[way]
    }

    /// Makes all buckets of a set that is not in use yet miss so much, those that nobody has too.
    pub(super) fn owe(&self, now: u64, ticks: u64) {
        self.cells.iter().for_each(|cell| cell.owe(now, ticks));
    }

    /// All clients that are in.
    pub(super) fn clients(&self) -> impl Iterator<Item = (u64, &Cell)> {
        let tagged = self.tags.iter().map(|tag| tag.load(SeqCst)).zip(&self.cells);
        tagged.filter(|(tag, _)| *tag != FREE && *tag != BUSY)
    }

    /// The bucket that misses least, of those that are full the one that is so longest.
    pub(super) fn least(&self) -> usize {
        let marks = self.cells.iter().map(Cell::full_at);
        marks.enumerate().min_by_key(|(_, mark)| *mark).map_or(0, |(way, _)| way)
    }

    /// Gives a client a bucket, unless it has one; `door` is held by who comes into this set, as two of one client must not
    /// take two buckets. Also whether the bucket missed tokens of another client's at `now`.
    pub(super) fn enter(&self, door: &Lock, tag: u64, now: u64) -> (usize, bool) {
        door.alone(|| {
            if let Some(way) = self.find(tag) {
                return (way, false);
            }
            let mut round = 0;
            loop {
                let way = self.least();
                let (slot, cell) = (&self.tags[way], &self.cells[way]);
                let mark = cell.full_at();
                let before = slot.swap(BUSY, SeqCst);
                round += 1;
                // Charged between the choice and the swap: it may not be the one that misses least. A charge after the swap
                // is taken back by who made it.
                if cell.full_at() == mark || before == FREE || round == ROUNDS {
                    slot.store(tag, SeqCst);
                    return (way, before != FREE && mark > now);
                }
                slot.store(before, SeqCst);
            }
        })
    }
}
