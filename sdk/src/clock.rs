//! The time.

use std::time::Duration;

use crate::bindings::imports::edgeweir::hook::clock as host;

/// The time since 1970-01-01 00:00 UTC, to the millisecond. It stands still during a call: two reads give the same
/// answer. The standard library's clocks do not work in a hook.
#[must_use]
pub fn now() -> Duration {
    Duration::from_millis(host::now())
}
