//! Lines on their way to a file or a standard stream: a bounded queue and one writer thread.
//!
//! Whoever has a line hands it over and goes on. A full disk, a closed pipe or a reader that stands still costs lines,
//! which are counted, and never a request. It must not know what the lines say.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use edgeweir_config::LogTarget;
use parking_lot::Mutex;

use crate::runtime::clock::Clock;

mod writer;

use writer::{Sink, Writer};

/// Lines that may wait.
const MAX_LINES: usize = 8_192;
/// Bytes that may wait.
const MAX_BYTES: usize = 8 << 20;
/// The writer gathers lines for this long, so that a busy edge wakes it (a system call) 200 times a second at most.
const GATHER: Duration = Duration::from_millis(5);

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be opened for appending.
    #[error("cannot open the log file `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start the log writer")]
    Thread(#[source] io::Error),
}

/// Lines that did not arrive.
#[derive(Debug, Default)]
pub struct LineCounters {
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl LineCounters {
    /// Lines dropped because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Lines that could not be written.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// The near end of the queue. The writer thread ends, when it has written what waits, after this is dropped.
#[derive(Debug)]
pub struct Lines {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
    target: Mutex<LogTarget>,
}

#[derive(Debug)]
struct Shared {
    waiting_bytes: AtomicUsize,
    enabled: AtomicBool,
    /// A newly opened target, until the writer takes it.
    next: Mutex<Option<Sink>>,
    counters: Arc<LineCounters>,
}

enum Message {
    Line(Vec<u8>),
    /// There may be a new target.
    Wake,
    /// Everything before this has been written when the sender hears of it.
    Flush(SyncSender<()>),
}

impl Lines {
    /// Opens the target and starts the writer. With a clock, losses are told as an event once a minute at most; the
    /// writer of the events themselves has none.
    ///
    /// # Errors
    /// The file cannot be opened, or there is no thread to be had.
    pub fn start(name: &'static str, target: &LogTarget, clock: Option<Arc<dyn Clock>>) -> Result<Self, LogError> {
        let sink = Sink::open(target)?;
        let (sender, receiver) = sync_channel(MAX_LINES);
        let shared = Arc::new(Shared {
            waiting_bytes: AtomicUsize::new(0),
            enabled: AtomicBool::new(*target != LogTarget::Off),
            next: Mutex::new(None),
            counters: Arc::default(),
        });
        let mut writer = Writer::new(name, Arc::clone(&shared), sink, clock);
        let run = move || writer.run(&receiver);
        thread::Builder::new().name(format!("log-{name}")).spawn(run).map_err(LogError::Thread)?;
        Ok(Self { sender, shared, target: Mutex::new(target.clone()) })
    }

    /// Whether lines go anywhere. If not, there is no need to make them.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.shared.enabled.load(Ordering::Relaxed)
    }

    /// Hands a line (with its line end) over; never waits. A line that finds the queue full is dropped and counted.
    pub fn send(&self, line: Vec<u8>) {
        let len = line.len();
        let shared = &*self.shared;
        let waiting = shared.waiting_bytes.fetch_add(len, Ordering::Relaxed);
        if waiting + len > MAX_BYTES || self.sender.try_send(Message::Line(line)).is_err() {
            shared.waiting_bytes.fetch_sub(len, Ordering::Relaxed);
            shared.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends the following lines to another target. Lines that wait may still go to the old one.
    ///
    /// # Errors
    /// The file cannot be opened; the old target stays.
    pub fn set_target(&self, target: &LogTarget) -> Result<(), LogError> {
        let mut current = self.target.lock();
        if *current != *target {
            self.install(target)?;
            *current = target.clone();
        }
        Ok(())
    }

    /// Opens the file again, after it was renamed (log rotation). Does nothing for other targets.
    ///
    /// # Errors
    /// The file cannot be opened; the renamed one stays in use.
    pub fn reopen(&self) -> Result<(), LogError> {
        let current = self.target.lock();
        if let LogTarget::File(_) = &*current { self.install(&current) } else { Ok(()) }
    }

    fn install(&self, target: &LogTarget) -> Result<(), LogError> {
        // Before it is opened: whoever sees the new file finds the lines from then on in it.
        let mut next = self.shared.next.lock();
        *next = Some(Sink::open(target)?);
        drop(next);
        self.shared.enabled.store(*target != LogTarget::Off, Ordering::Relaxed);
        // If the queue is full the writer is awake anyway, and will see the new target with its next batch.
        let _full = self.sender.try_send(Message::Wake);
        Ok(())
    }

    /// Waits until everything handed over so far is written, or until `patience` is over. Blocks the thread.
    /// Returns whether it was written.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the caller asked to be blocked")]
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, heard) = sync_channel(1);
        let mut message = Message::Flush(done);
        let mut left = patience;
        loop {
            match self.sender.try_send(message) {
                Ok(()) => return heard.recv_timeout(left).is_ok(),
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => message = back,
            }
            let Some(rest) = left.checked_sub(GATHER) else { return false };
            left = rest;
            thread::sleep(GATHER);
        }
    }

    /// What was lost.
    #[must_use]
    pub fn counters(&self) -> Arc<LineCounters> {
        Arc::clone(&self.shared.counters)
    }
}

#[cfg(test)]
mod tests;
