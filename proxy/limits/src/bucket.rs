//! One token bucket, lock-free. Must not know what it limits, nor which others apply to the same request.
//!
//! It is kept as GCRA keeps it: instead of a token count with the time of the last refill, one number, the moment at
//! which the bucket will be full again. To take a token moves that moment one interval (1/rate) into the future; there is
//! room as long as it stays within one fill (burst/rate) of now. Refilling needs no work, and one compare-and-swap is a
//! whole reservation.

mod cell;
mod measure;
mod scale;

use crate::throttle::Throttle;
use crate::time::Nanos;
pub(crate) use cell::Cell;
pub(crate) use measure::Measure;

/// A token bucket with API Gateway's meaning: starts full with `burst` tokens, refills at `rate`.
///
/// Counts up to 36 years from its birth, then stops refilling. A clock that steps back gives no tokens: until it has
/// caught up, the bucket seems emptier than it is.
#[derive(Debug)]
pub struct Bucket {
    measure: Measure,
    cell: Cell,
}

/// What one reservation took from one bucket. Can be given back once, to that bucket; dropped, the tokens stay taken.
#[must_use = "the charge is what can be refunded"]
#[derive(Debug)]
pub struct Charge {
    ticks: u64,
    /// When it was taken, in ticks since the bucket's birth.
    at: u64,
}

impl Charge {
    /// What a request without cost takes.
    pub(crate) const NOTHING: Self = Self { ticks: 0, at: 0 };
}

/// Why a bucket refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    /// Room comes back after this span (rounded up to whole nanoseconds), if nobody else takes it.
    #[error("too few tokens left, enough come back in {0}")]
    For(Nanos),
    /// The cost is above the burst: even a full bucket could not pay it.
    #[error("the cost is above the burst")]
    Never,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(throttle: Throttle, now: Nanos) -> Self {
        Self { measure: Measure::new(throttle, now), cell: Cell::full() }
    }

    /// A bucket with other parameters that has the tokens that `old` has at `now`, or as many of them as it holds: room that is
    /// new starts empty. So reloads, however often and whatever the bursts between, give no tokens away.
    #[must_use]
    pub fn carry_over(old: &Self, throttle: Throttle, now: Nanos) -> Self {
        let bucket = Self::new(throttle, now);
        bucket.inherit(old, now);
        bucket
    }

    /// Makes this bucket, not yet in use, have no more than the tokens that `old` has at `now`.
    pub(crate) fn inherit(&self, old: &Self, now: Nanos) {
        self.measure.inherit(&self.cell, (&old.measure, &old.cell), now);
    }

    /// What it counts with, and its state.
    #[inline]
    pub(crate) const fn parts(&self) -> (&Measure, &Cell) {
        (&self.measure, &self.cell)
    }

    /// The rate and burst it was made with.
    #[must_use]
    pub const fn throttle(&self) -> Throttle {
        self.measure.throttle
    }

    /// Takes `cost` tokens, or none. A cost of 0 always succeeds.
    ///
    /// # Errors
    /// [`Wait::For`] tells when there will be room, [`Wait::Never`] that `cost` is above the burst.
    #[inline]
    pub fn reserve(&self, now: Nanos, cost: u32) -> Result<Charge, Wait> {
        self.measure.reserve(&self.cell, now, cost)
    }

    /// Whether `cost` tokens could be taken at `now`, without taking them.
    ///
    /// # Errors
    /// As [`Bucket::reserve`].
    #[inline]
    pub fn probe(&self, now: Nanos, cost: u32) -> Result<(), Wait> {
        self.measure.probe(&self.cell, now, cost)
    }

    /// Gives back the tokens of `charge`, which this bucket must have made; what does not fit a full bucket is lost.
    ///
    /// If the bucket was full at some moment after the charge, its tokens had come back by themselves and are not given
    /// twice. So, counted from any moment at which the bucket is full, what is reserved and not refunded never exceeds
    /// `burst + rate x time` (charges of that very nanosecond aside): slow requests cannot be collected to add their
    /// refunds to a later burst.
    pub fn refund(&self, charge: Charge) {
        self.cell.refund(charge);
    }

    /// Whole tokens that could be taken at `now`.
    #[must_use]
    pub fn remaining(&self, now: Nanos) -> u32 {
        self.measure.remaining(&self.cell, now)
    }

    /// Until the bucket is full again, if nobody takes more; zero when it is full.
    #[must_use]
    pub fn reset_after(&self, now: Nanos) -> Nanos {
        self.measure.reset_after(&self.cell, now)
    }

    /// Until [`Bucket::remaining`] grows by one, if nobody takes more; zero when the bucket is full.
    #[must_use]
    pub fn next_after(&self, now: Nanos) -> Nanos {
        self.measure.next_after(&self.cell, now)
    }
}

#[cfg(test)]
mod tests;
