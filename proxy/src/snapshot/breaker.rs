//! A circuit breaker for `on_failure = "last-good"`: a version that faults again and again is not tried on each request, which
//! would make each wait for its fault first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::runtime::clock::Clock;

/// Faults in a row after which a version is given a rest.
pub const FAULTS: u32 = 5;
/// How long it rests; then one request tries it.
pub const REST: Duration = Duration::from_secs(10);

/// Of one binding in one snapshot. Only bindings that have a last good version ask it.
pub struct Breaker {
    /// In a row. Calls at once may count wrongly by a few; it does not matter.
    faults: AtomicU32,
    /// When the next request tries the version, in nanoseconds of the clock.
    due: AtomicU64,
    clock: Arc<dyn Clock>,
}

/// What a fault changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tripped {
    /// The version rests from now on.
    Now,
    /// Nothing.
    No,
}

impl Breaker {
    /// A version that has not failed.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { faults: AtomicU32::new(0), due: AtomicU64::new(0), clock }
    }

    /// Whether the version is to be called now: it does not rest, or this request is the one that tries it.
    #[must_use]
    pub fn lets_through(&self) -> bool {
        if self.faults.load(Ordering::Relaxed) < FAULTS {
            return true;
        }
        let (now, due) = (self.clock.monotonic(), self.due.load(Ordering::Relaxed));
        now >= due && self.due.compare_exchange(due, later(now), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A call ended without a fault. Returns whether the version had rested.
    pub fn passed(&self) -> bool {
        // Read first: writing each time would have all processors fight for the line.
        self.faults.load(Ordering::Relaxed) > 0 && self.faults.swap(0, Ordering::Relaxed) >= FAULTS
    }

    /// A call ended in a fault.
    pub fn failed(&self) -> Tripped {
        let faults = self.faults.load(Ordering::Relaxed).saturating_add(1);
        // Before the count: whoever sees the count sees the moment, or asks once too often.
        if faults >= FAULTS {
            self.due.store(later(self.clock.monotonic()), Ordering::Relaxed);
        }
        self.faults.store(faults, Ordering::Relaxed);
        if faults == FAULTS { Tripped::Now } else { Tripped::No }
    }
}

fn later(now: u64) -> u64 {
    now.saturating_add(u64::try_from(REST.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    struct Still(AtomicU64);

    impl Clock for Still {
        fn monotonic(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
    }

    #[test]
    fn rests_after_faults_in_a_row_and_is_tried_by_one_at_a_time() {
        let clock = Arc::new(Still(AtomicU64::new(1)));
        let breaker = Breaker::new(Arc::<Still>::clone(&clock));
        for _ in 1..FAULTS {
            assert!(breaker.lets_through());
            assert_eq!(breaker.failed(), Tripped::No);
        }
        assert!(!breaker.passed(), "it did not rest");
        for turn in 1..=FAULTS {
            assert!(breaker.lets_through());
            assert_eq!(breaker.failed(), if turn == FAULTS { Tripped::Now } else { Tripped::No });
        }
        assert!(!breaker.lets_through());
        clock.0.store(later(1), Ordering::Relaxed);
        assert!(breaker.lets_through(), "one tries it");
        assert!(!breaker.lets_through(), "and only one");
        assert_eq!(breaker.failed(), Tripped::No, "it rested already");
        assert!(!breaker.lets_through());
        clock.0.store(later(later(1)), Ordering::Relaxed);
        assert!(breaker.lets_through());
        assert!(breaker.passed(), "it had rested");
        assert!(breaker.lets_through() && breaker.lets_through());
        assert!(!breaker.passed());
    }
}
