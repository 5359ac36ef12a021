//! What the host asks from its embedder: time, randomness, a log and counters. Nothing here reads a clock by itself.

use std::sync::Arc;

/// Services that the embedder provides to all hooks. Methods are called from inside a hook's call and must not block.
pub trait HostServices: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 00:00 UTC.
    fn now_ms(&self) -> u64;

    /// Fills `out` with bytes from a cryptographic generator.
    fn random(&self, out: &mut [u8]);

    /// Takes a line that a hook logged. The message is the hook's: it may hold any character, line ends included.
    fn log(&self, hook: &str, request_id: &str, level: LogLevel, message: &str);

    /// The counters of a hook, by its name. Asked once for each load of the hook; a hook of the same name gets the same.
    fn counters(&self, hook: &str) -> Arc<dyn Counters>;
}

/// Counters that a hook adds to.
pub trait Counters: Send + Sync {
    /// Adds to a counter. The name is the hook's: the embedder checks it and keeps their number in bounds. Must not block.
    fn add(&self, name: &str, by: u64);
}

/// How important a hook finds its log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For whoever writes the hook.
    Debug,
    /// Worth knowing.
    Info,
    /// Odd.
    Warn,
    /// Wrong.
    Error,
}
