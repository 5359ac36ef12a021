//! The state of one bucket: two numbers. Must not know rate or burst; whoever holds it counts in ticks.

use super::Charge;
use super::scale::Scale;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Relaxed, SeqCst};

/// See [`super::Bucket`]; this is the part that changes.
#[derive(Debug)]
pub(crate) struct Cell {
    /// When the bucket is full again, in ticks since its birth ("theoretical arrival time").
    full_at: AtomicU64,
    /// The latest moment at which a reservation found the bucket full, in ticks since its birth.
    was_full: AtomicU64,
}

impl Cell {
    /// A full bucket.
    pub(crate) fn full() -> Self {
        Self { full_at: AtomicU64::new(0), was_full: AtomicU64::new(0) }
    }

    /// Takes `ticks` at `now`, or tells how many ticks it is short of them.
    #[inline]
    pub(crate) fn reserve(&self, scale: &Scale, now: u64, ticks: u64) -> Result<Charge, u64> {
        let limit = now + scale.fill;
        let mut full_at = self.full_at.load(Relaxed);
        loop {
            let mark = full_at.max(now) + ticks;
            if mark > limit {
                return Err(mark - limit);
            }
            let was_full = self.was_full.load(Relaxed);
            if full_at <= now && was_full < now {
                self.was_full.store(now, Relaxed);
            }
            // Relaxed is enough for one bucket: the numbers guard no other memory. In a table it is compared with the tag
            // beside it (`clients`), which needs the order.
            match self.full_at.compare_exchange_weak(full_at, mark, SeqCst, Relaxed) {
                // Clocks of two threads differ a little: the charge still came after what was seen here.
                Ok(_) => return Ok(Charge { ticks, at: now.max(was_full) }),
                Err(current) => full_at = current,
            }
        }
    }

    /// By how many ticks `ticks` would not fit at `now`; 0 if they fit.
    #[inline]
    pub(crate) fn short_of(&self, scale: &Scale, now: u64, ticks: u64) -> u64 {
        (self.full_at.load(Relaxed).max(now) + ticks).saturating_sub(now + scale.fill)
    }

    /// Gives back a charge, unless the bucket was full since.
    #[expect(clippy::needless_pass_by_value, reason = "a charge is refunded once")]
    pub(crate) fn refund(&self, charge: Charge) {
        if charge.at < self.was_full.load(Relaxed) {
            return;
        }
        let mut full_at = self.full_at.load(Relaxed);
        while let Err(current) =
            self.full_at.compare_exchange_weak(full_at, full_at.saturating_sub(charge.ticks), Relaxed, Relaxed)
        {
            full_at = current;
        }
    }

    /// Makes a bucket that is not in use yet miss at least `ticks` at `now`.
    pub(crate) fn owe(&self, now: u64, ticks: u64) {
        self.full_at.fetch_max(now + ticks, Relaxed);
    }

    /// Ticks until full; never more than a fill, even if the clock stepped back.
    pub(crate) fn debt(&self, scale: &Scale, now: u64) -> u64 {
        self.full_at.load(Relaxed).saturating_sub(now).min(scale.fill)
    }

    /// When the bucket is full again.
    pub(crate) fn full_at(&self) -> u64 {
        self.full_at.load(SeqCst)
    }

    /// As [`Cell::full_at`], in no order with anything.
    pub(crate) fn full_at_now(&self) -> u64 {
        self.full_at.load(Relaxed)
    }
}
