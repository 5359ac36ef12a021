//! What hooks get from the edge: time, randomness, a log, counters.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use edgeweir_hookhost::{Counters, HostServices, LogLevel};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::runtime::clock::Clock;
use crate::telemetry::metrics::CounterSource;
use crate::telemetry::observer::Observer;

pub(super) struct Services {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: CounterSource,
    /// Has the lines of hooks, if there is one.
    pub(super) observer: Option<Arc<dyn Observer>>,
}

impl HostServices for Services {
    fn now_ms(&self) -> u64 {
        let now = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self, out: &mut [u8]) {
        // The kernel's generator fails only before it is seeded, at boot. Zeros as random bytes would be worse than no edge.
        assert!(SystemRandom::new().fill(out).is_ok(), "the system has no randomness");
    }

    fn log(&self, hook: &str, request_id: &str, level: LogLevel, message: &str) {
        if let Some(observer) = &self.observer {
            observer.log(hook, request_id, level, message);
            return;
        }
        match level {
            LogLevel::Debug => tracing::debug!(hook, request_id, "{message}"),
            LogLevel::Info => tracing::info!(hook, request_id, "{message}"),
            LogLevel::Warn => tracing::warn!(hook, request_id, "{message}"),
            LogLevel::Error => tracing::error!(hook, request_id, "{message}"),
        }
    }

    fn counters(&self, hook: &str) -> Arc<dyn Counters> {
        self.counters.of(hook)
    }
}
