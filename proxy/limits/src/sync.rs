//! Atomics and a lock, as the model checker needs them: with `--cfg loom` they are loom's, which tries all ways in which
//! threads can meet.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(loom)]
use loom::sync::Mutex;
#[cfg(not(loom))]
use parking_lot::Mutex;

/// A lock that guards no value.
#[derive(Debug)]
pub(crate) struct Lock(Mutex<()>);

impl Lock {
    /// An open lock.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(()))
    }

    /// Runs `work` while nobody else does.
    pub(crate) fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _held = self.0.lock();
        work()
    }
}
