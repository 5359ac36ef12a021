//! The clock that tests give to an edge.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use edgeweir_proxy::runtime::clock::Clock;

/// A clock that a test moves. Either it stands still between moves, or it runs with real time plus what was added.
#[derive(Debug)]
pub struct TestClock {
    started: Instant,
    wall: SystemTime,
    running: bool,
    added: Mutex<Duration>,
    /// How far the time of day is ahead.
    ahead: Mutex<Duration>,
}

impl TestClock {
    /// Stands still until [`TestClock::advance`].
    #[must_use]
    pub fn frozen() -> Self {
        Self {
            started: Instant::now(),
            wall: SystemTime::now(),
            running: false,
            added: Mutex::default(),
            ahead: Mutex::default(),
        }
    }

    /// Runs with real time.
    #[must_use]
    pub fn running() -> Self {
        Self { running: true, ..Self::frozen() }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.added.lock().expect("no panic while locked") += by;
    }

    /// Makes the time of day wrong by so much, in place of what it was wrong by before; the stopwatch goes on.
    pub fn be_ahead(&self, by: Duration) {
        *self.ahead.lock().expect("no panic while locked") = by;
    }

    fn elapsed(&self) -> Duration {
        let added = *self.added.lock().expect("no panic while locked");
        // Starts away from zero, so that code that subtracts from now is not at the edge of the range.
        let base = Duration::from_secs(1_000) + added;
        if self.running { base + self.started.elapsed() } else { base }
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).expect("tests last less than 500 years")
    }

    fn wall(&self) -> SystemTime {
        let ahead = *self.ahead.lock().expect("no panic while locked");
        self.wall + self.elapsed() + ahead - Duration::from_secs(1_000)
    }
}
