//! Where the time comes from. Everything that decides by time gets it passed in from here, so that tests can move it.

use std::time::{Instant, SystemTime};

/// A clock that can be replaced in tests.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since a fixed moment; never goes back.
    fn monotonic(&self) -> u64;
    /// The time of day.
    fn wall(&self) -> SystemTime;
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
