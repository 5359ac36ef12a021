//! One token bucket, lock-free. Must not know what it limits, nor which others apply to the same request.
//!
//! It is kept as GCRA keeps it: instead of a token count with the time of the last refill, one number, the moment at
//! which the bucket will be full again. To take a token moves that moment one interval (1/rate) into the future; there is
//! room as long as it stays within one fill (burst/rate) of now. Refilling needs no work, and one compare-and-swap is a
//! whole reservation.

mod scale;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::throttle::Throttle;
use crate::time::Nanos;
use scale::Scale;

/// A token bucket with API Gateway's meaning: starts full with `burst` tokens, refills at `rate`.
///
/// Counts up to 36 years from its birth, then stops refilling. A clock that steps back gives no tokens: until it has
/// caught up, the bucket seems emptier than it is.
#[derive(Debug)]
pub struct Bucket {
    throttle: Throttle,
    scale: Scale,
    born: Nanos,
    /// When the bucket is full again, in ticks since its birth ("theoretical arrival time").
    full_at: AtomicU64,
    /// The latest moment at which a reservation found the bucket full, in ticks since its birth.
    was_full: AtomicU64,
}

/// What one reservation took from one bucket. Can be given back once, to that bucket; dropped, the tokens stay taken.
#[must_use = "the charge is what can be refunded"]
#[derive(Debug)]
pub struct Charge {
    ticks: u64,
    /// When it was taken, in ticks since the bucket's birth.
    at: u64,
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
        Self {
            throttle,
            scale: Scale::new(&throttle),
            born: now,
            full_at: AtomicU64::new(0),
            was_full: AtomicU64::new(0),
        }
    }

    /// A bucket with other parameters that remembers what was spent of `old`: as many tokens as `old` misses at `now` are
    /// missing from the new one, down to empty. So a reload, however often it happens, gives no tokens away.
    #[must_use]
    pub fn carry_over(old: &Self, throttle: Throttle, now: Nanos) -> Self {
        let bucket = Self::new(throttle, now);
        bucket.inherit(old, now);
        bucket
    }

    /// Makes this bucket, not yet in use, miss the tokens that `old` misses at `now`.
    pub(crate) fn inherit(&self, old: &Self, now: Nanos) {
        // Spans of a bucket are below 2^53 ticks: exact as f64.
        let spent = old.debt(now) as f64 / old.scale.interval as f64;
        let ticks = ((spent * self.scale.interval as f64).ceil() as u64).min(self.scale.fill);
        self.full_at.fetch_max(self.ticks(now) + ticks, Relaxed);
    }

    /// The rate and burst it was made with.
    #[must_use]
    pub const fn throttle(&self) -> Throttle {
        self.throttle
    }

    /// Takes `cost` tokens, or none. A cost of 0 always succeeds.
    ///
    /// # Errors
    /// [`Wait::For`] tells when there will be room, [`Wait::Never`] that `cost` is above the burst.
    pub fn reserve(&self, now: Nanos, cost: u32) -> Result<Charge, Wait> {
        if cost == 0 {
            return Ok(Charge { ticks: 0, at: 0 });
        }
        if cost > self.throttle.burst() {
            return Err(Wait::Never);
        }
        let ticks = u64::from(cost) * self.scale.interval;
        let now = self.ticks(now);
        let limit = now + self.scale.fill;
        let mut full_at = self.full_at.load(Relaxed);
        loop {
            let mark = full_at.max(now) + ticks;
            if mark > limit {
                return Err(Wait::For(self.scale.nanos(mark - limit)));
            }
            let was_full = self.was_full.load(Relaxed);
            if full_at <= now && was_full < now {
                self.was_full.store(now, Relaxed);
            }
            // Relaxed everywhere: the numbers guard no other memory.
            match self.full_at.compare_exchange_weak(full_at, mark, Relaxed, Relaxed) {
                // Clocks of two threads differ a little: the charge still came after what was seen here.
                Ok(_) => return Ok(Charge { ticks, at: now.max(was_full) }),
                Err(current) => full_at = current,
            }
        }
    }

    /// Whether `cost` tokens could be taken at `now`, without taking them.
    ///
    /// # Errors
    /// As [`Bucket::reserve`].
    pub fn probe(&self, now: Nanos, cost: u32) -> Result<(), Wait> {
        if cost == 0 {
            return Ok(());
        }
        if cost > self.throttle.burst() {
            return Err(Wait::Never);
        }
        let now = self.ticks(now);
        let mark = self.full_at.load(Relaxed).max(now) + u64::from(cost) * self.scale.interval;
        match mark.saturating_sub(now + self.scale.fill) {
            0 => Ok(()),
            over => Err(Wait::For(self.scale.nanos(over))),
        }
    }

    /// Gives back the tokens of `charge`, which this bucket must have made; what does not fit a full bucket is lost.
    ///
    /// If the bucket was full at some moment after the charge, its tokens had come back by themselves and are not given
    /// twice. So, counted from any moment at which the bucket is full, what is reserved and not refunded never exceeds
    /// `burst + rate x time` (charges of that very nanosecond aside): slow requests cannot be collected to add their
    /// refunds to a later burst.
    #[expect(clippy::needless_pass_by_value, reason = "a charge is refunded once")]
    pub fn refund(&self, charge: Charge) {
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

    /// Whole tokens that could be taken at `now`.
    #[must_use]
    pub fn remaining(&self, now: Nanos) -> u32 {
        let tokens = (self.scale.fill - self.debt(now)) / self.scale.interval;
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// Until the bucket is full again, if nobody takes more; zero when it is full.
    #[must_use]
    pub fn reset_after(&self, now: Nanos) -> Nanos {
        self.scale.nanos(self.debt(now))
    }

    /// Until [`Bucket::remaining`] grows by one, if nobody takes more; zero when the bucket is full.
    #[must_use]
    pub fn next_after(&self, now: Nanos) -> Nanos {
        let debt = self.debt(now);
        if debt == 0 {
            return Nanos::ZERO;
        }
        let part = debt % self.scale.interval;
        self.scale.nanos(if part == 0 { self.scale.interval } else { part })
    }

    fn ticks(&self, now: Nanos) -> u64 {
        self.scale.ticks(now.saturating_since(self.born))
    }

    /// Ticks until full; never more than a fill, even if the clock stepped back.
    fn debt(&self, now: Nanos) -> u64 {
        self.full_at.load(Relaxed).saturating_sub(self.ticks(now)).min(self.scale.fill)
    }
}

#[cfg(test)]
mod tests;
