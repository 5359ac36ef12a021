//! Where the time comes from. Everything that decides by time gets it passed in from here, so that tests can move it.

use std::time::{Instant, SystemTime};

/// A clock that can be replaced in tests.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since a fixed moment; never goes back.
    fn monotonic(&self) -> u64;
    /// Nanoseconds since a fixed moment, to measure how long something took: cheaper than [`Clock::monotonic`], and off by
    /// some millionths. Nothing is decided by it.
    fn stopwatch(&self) -> u64 {
        self.monotonic()
    }
    /// The time of day.
    fn wall(&self) -> SystemTime;
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    /// Reads the processor's own counter, where it has a steady one.
    counter: quanta::Clock,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now(), counter: quanta::Clock::new() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn stopwatch(&self) -> u64 {
        self.counter.delta_as_nanos(0, self.counter.raw())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
