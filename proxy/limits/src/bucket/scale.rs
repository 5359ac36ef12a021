//! The unit in which one bucket counts time. Must not know the bucket's state.
//!
//! Nanoseconds fit neither end: at a million tokens per second a token is only 1000 of them, and 4 thousand million tokens
//! at one per 1000 s are more than 64 bits hold. So each bucket counts in ticks of a power of two nanoseconds, from
//! 1/16 ns upwards, chosen so that a whole bucket is about 2^52 ticks at most: no sum can overflow, every span of a
//! bucket is exact as an `f64`, and even the largest burst leaves 2^19 ticks for each token.

use crate::throttle::Throttle;
use crate::time::Nanos;

const FILL_BITS: f64 = 52.0;
const FINEST_SHIFT: f64 = 4.0;
/// Longer than any clock can tell; keeps the arithmetic below finite for absurd rates.
const LONGEST_INTERVAL_NANOS: f64 = 1e40;

/// Ticks of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Ticks per nanosecond as a power of two; negative when a tick is longer than a nanosecond.
    shift: i32,
    /// Ticks in which one token comes back, at least 1.
    pub(crate) interval: u64,
    /// Ticks in which an empty bucket fills: burst x interval.
    pub(crate) fill: u64,
}

impl Scale {
    /// The last moment a bucket tells apart: leaves room to add a fill, so that additions need no check.
    const LAST: u64 = u64::MAX - (1 << 54);

    pub(crate) fn new(throttle: &Throttle) -> Self {
        let burst = throttle.burst();
        if burst == 0 {
            // Nothing fits, so nothing is ever owed.
            return Self { shift: 0, interval: 1, fill: 0 };
        }
        let interval = (1e9 / throttle.rate()).min(LONGEST_INTERVAL_NANOS);
        let shift = (FILL_BITS - (interval * f64::from(burst)).log2()).floor().min(FINEST_SHIFT);
        let exact = interval * shift.exp2();
        // Rounded up, never to admit more than the rate says. But what misses a whole tick only by the noise of the
        // division (1e9 / (1e9 / 3.0)) is meant to be that tick.
        let nearest = exact.round();
        let interval = if (exact - nearest).abs() <= exact * 1e-12 { nearest } else { exact.ceil() };
        let interval = interval.max(1.0) as u64;
        Self { shift: shift as i32, interval, fill: interval * u64::from(burst) }
    }

    /// What a bucket of this scale misses that has the tokens of one of `old` that misses so many ticks: no token more, and
    /// no more than it holds. Room that the other one did not have is empty.
    pub(crate) fn converted(&self, ticks: u64, old: &Self) -> u64 {
        // Spans of a bucket are below 2^53 ticks: exact as f64.
        let tokens = old.fill.saturating_sub(ticks) as f64 / old.interval as f64;
        self.fill - ((tokens * self.interval as f64).floor() as u64).min(self.fill)
    }

    /// Whole tokens in a bucket that is full in so many ticks.
    pub(crate) fn tokens_left(&self, debt: u64) -> u32 {
        u32::try_from((self.fill - debt) / self.interval).unwrap_or(u32::MAX)
    }

    /// Until there is one whole token more, of a bucket that is full in so many ticks; zero if it is.
    pub(crate) fn next_after(&self, debt: u64) -> Nanos {
        if debt == 0 {
            return Nanos::ZERO;
        }
        let part = debt % self.interval;
        self.nanos(if part == 0 { self.interval } else { part })
    }

    /// Whole ticks in a span since the bucket's birth.
    #[inline]
    pub(crate) fn ticks(&self, span: Nanos) -> u64 {
        let ticks = if self.shift >= 0 {
            span.0.saturating_mul(1 << self.shift)
        } else {
            span.0.checked_shr(self.shift.unsigned_abs()).unwrap_or(0)
        };
        ticks.min(Self::LAST)
    }

    /// The span of so many ticks, rounded up to whole nanoseconds; [`Nanos::MAX`] if longer than that.
    pub(crate) fn nanos(&self, ticks: u64) -> Nanos {
        if self.shift >= 0 {
            return Nanos(ticks.div_ceil(1 << self.shift));
        }
        match 1_u64.checked_shl(self.shift.unsigned_abs()) {
            Some(tick) => Nanos(ticks.saturating_mul(tick)),
            None if ticks == 0 => Nanos::ZERO,
            None => Nanos::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(rate: f64, burst: u32) -> Scale {
        Scale::new(&Throttle::new(rate, burst).unwrap())
    }

    #[test]
    fn common_rates_are_exact() {
        for (rate, burst, nanos) in [
            (1.0, 1, 1_000_000_000),
            (10.0, 20, 100_000_000),
            (1e6, 5000, 1000),
            (1e9 / 3.0, 10, 3),
            (0.1, 1, 10_000_000_000),
        ] {
            let scale = scale(rate, burst);
            assert_eq!(scale.interval, nanos * 16, "{rate}");
            assert_eq!(scale.nanos(scale.interval), Nanos(nanos));
            assert_eq!(scale.ticks(Nanos(nanos)), scale.interval);
        }
    }

    #[test]
    fn extremes_fit() {
        for rate in [5e-324, 1e-300, 1e-9, 0.001, 1.0, 1e9, 1e12, f64::MAX] {
            for burst in [1, 1000, u32::MAX] {
                let scale = scale(rate, burst);
                assert!(scale.interval >= 1 && scale.fill < 1 << 53, "{rate} {burst} {scale:?}");
                assert!(scale.interval >= 1 << 19 || rate > 1e3, "{rate} {burst} {scale:?}");
                assert!(scale.ticks(Nanos::MAX).checked_add(scale.fill).is_some());
                assert_eq!(scale.nanos(0), Nanos::ZERO);
                assert!(scale.nanos(scale.fill) > Nanos::ZERO);
            }
        }
    }
}
