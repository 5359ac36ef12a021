//! Deadlines. A test that waits for something that never comes fails here, with the name of what was missing.

use std::future::Future;
use std::time::{Duration, Instant};

/// The longest wait for one thing.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// The longest wait for an edge to start: it may have to compile hooks on a busy machine.
pub const START_DEADLINE: Duration = Duration::from_secs(90);

/// Awaits `future`, at most [`DEADLINE`].
///
/// # Panics
/// When the time is over, naming `what`.
pub async fn deadline<F: Future>(what: &str, future: F) -> F::Output {
    deadline_of(DEADLINE, what, future).await
}

/// Awaits `future`, at most `limit`.
///
/// # Panics
/// When the time is over, naming `what`.
pub async fn deadline_of<F: Future>(limit: Duration, what: &str, future: F) -> F::Output {
    match tokio::time::timeout(limit, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {limit:?} in vain: {what}"),
    }
}

/// Looks again and again until `condition` holds, at most [`DEADLINE`].
///
/// # Panics
/// When the time is over, naming `what`.
pub async fn until(what: &str, condition: impl FnMut() -> bool) {
    until_within(DEADLINE, what, condition).await;
}

/// Looks again and again until `condition` holds, at most `limit`.
///
/// # Panics
/// When the time is over, naming `what`.
pub async fn until_within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
