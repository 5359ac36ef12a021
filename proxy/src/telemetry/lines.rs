//! Lines on their way to a file or a standard stream: a bounded queue and one writer thread.
//!
//! Whoever has a line hands it over and goes on. A full disk, a closed pipe or a reader that stands still costs lines,
//! which are counted, and never a request. It must not know what the lines say.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use edgeweir_config::LogTarget;
use parking_lot::Mutex;

use crate::runtime::clock::Clock;

/// Lines that may wait.
const MAX_LINES: usize = 8_192;
/// Bytes that may wait.
const MAX_BYTES: usize = 8 << 20;
/// The writer gathers lines for this long, so that a busy edge wakes it (a system call) 200 times a second at most.
const GATHER: Duration = Duration::from_millis(5);
/// Bytes that are written at once.
const BATCH: usize = 256 << 10;
/// Time between two reports of lost lines, in nanoseconds.
const REPORT_EVERY: u64 = 60_000_000_000;

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
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            sink,
            batch: Vec::new(),
            batch_lines: 0,
            torn: false,
            report: clock.map(|clock| Report { name, last: None, told: 0, clock }),
        };
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
        let sink = Sink::open(target)?;
        *self.shared.next.lock() = Some(sink);
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

#[derive(Debug)]
enum Sink {
    Off,
    Stdout,
    Stderr,
    File(File),
}

impl Sink {
    fn open(target: &LogTarget) -> Result<Self, LogError> {
        Ok(match target {
            LogTarget::Off => Self::Off,
            LogTarget::Stdout => Self::Stdout,
            LogTarget::Stderr => Self::Stderr,
            LogTarget::File(path) => Self::File(
                File::options()
                    .append(true)
                    .create(true)
                    .open(path)
                    .map_err(|source| LogError::Open { path: path.clone(), source })?,
            ),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
            Self::File(file) => file.write_all(bytes),
        }
    }
}

/// Runs on its own thread.
struct Writer {
    shared: Arc<Shared>,
    sink: Sink,
    batch: Vec<u8>,
    batch_lines: u64,
    /// The last write failed, perhaps within a line.
    torn: bool,
    report: Option<Report>,
}

struct Report {
    name: &'static str,
    clock: Arc<dyn Clock>,
    last: Option<u64>,
    told: u64,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "the writer has its own thread")]
    fn run(&mut self, receiver: &Receiver<Message>) {
        while let Ok(first) = receiver.recv() {
            self.take(first);
            while let Ok(message) = receiver.try_recv() {
                self.take(message);
                if self.batch.len() >= BATCH {
                    self.write();
                }
            }
            self.write();
            thread::sleep(GATHER);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(line) => {
                self.batch.extend_from_slice(&line);
                self.batch_lines += 1;
                self.shared.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            }
            Message::Wake => {}
            Message::Flush(done) => {
                self.write();
                // Whoever waited may have lost patience.
                let _gone = done.try_send(());
            }
        }
    }

    fn write(&mut self) {
        if let Some(next) = self.shared.next.lock().take() {
            self.sink = next;
            self.torn = false;
        }
        if !self.batch.is_empty() {
            if self.torn {
                // Ends the torn line, so that only that one is lost to a reader.
                self.batch.insert(0, b'\n');
            }
            let written = self.sink.write(&self.batch);
            self.torn = written.is_err();
            if self.torn {
                self.shared.counters.failed.fetch_add(self.batch_lines, Ordering::Relaxed);
            }
            self.batch.clear();
            self.batch.shrink_to(BATCH);
            self.batch_lines = 0;
            self.report(written.err());
        }
    }

    fn report(&mut self, error: Option<io::Error>) {
        let counters = &self.shared.counters;
        let lost = counters.dropped() + counters.failed();
        let Some(report) = &mut self.report else { return };
        if lost == report.told {
            return;
        }
        let now = report.clock.monotonic();
        if report.last.is_some_and(|last| now.saturating_sub(last) < REPORT_EVERY) {
            return;
        }
        let lines = lost - report.told;
        report.last = Some(now);
        report.told = lost;
        let reason = error.map_or_else(|| "too many lines waited".to_owned(), |error| error.to_string());
        tracing::warn!(log = report.name, lines, reason, "log lines were lost");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn line(text: &str) -> Vec<u8> {
        format!("{text}\n").into_bytes()
    }

    #[test]
    fn lines_arrive_in_order_and_reopen_follows_a_rename() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let old = folder.path().join("access.log.1");
        let lines = Lines::start("test", &LogTarget::File(path.clone()), None).unwrap();
        for number in 0..1_000 {
            lines.send(line(&number.to_string()));
        }
        assert!(lines.flush(PATIENCE));
        let text = std::fs::read_to_string(&path).unwrap();
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(text, expected);

        std::fs::rename(&path, &old).unwrap();
        lines.send(line("still old"));
        assert!(lines.flush(PATIENCE));
        assert!(!path.exists());
        lines.reopen().unwrap();
        lines.send(line("new"));
        assert!(lines.flush(PATIENCE));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
        assert!(std::fs::read_to_string(&old).unwrap().ends_with("still old\n"));
        assert_eq!((lines.counters().dropped(), lines.counters().failed()), (0, 0));
    }

    #[test]
    fn a_target_that_cannot_be_opened_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let lines = Lines::start("test", &LogTarget::File(path.clone()), None).unwrap();
        let bad = LogTarget::File(folder.path().join("none/b.log"));
        let error = lines.set_target(&bad).unwrap_err().to_string();
        assert!(error.contains("none/b.log"), "{error}");
        lines.send(line("kept"));
        assert!(lines.flush(PATIENCE));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept\n");

        lines.set_target(&LogTarget::Off).unwrap();
        assert!(!lines.enabled());
        lines.set_target(&LogTarget::File(path)).unwrap();
        assert!(lines.enabled());
    }

    #[test]
    fn a_full_disk_is_counted_and_harms_nobody() {
        let lines = Lines::start("test", &LogTarget::File(PathBuf::from("/dev/full")), None).unwrap();
        for _ in 0..10 {
            lines.send(line("lost"));
        }
        assert!(lines.flush(PATIENCE));
        assert_eq!(lines.counters().failed(), 10);
    }

    #[test]
    fn too_many_bytes_are_dropped_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let lines = Lines::start("test", &LogTarget::File(path.clone()), None).unwrap();
        lines.send(vec![b'x'; MAX_BYTES + 1]);
        assert_eq!(lines.counters().dropped(), 1);
        lines.send(line("small"));
        assert!(lines.flush(PATIENCE));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "small\n");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the writer's end cannot be waited for")]
    fn what_waits_is_written_after_the_near_end_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let lines = Lines::start("test", &LogTarget::File(path.clone()), None).unwrap();
        let weak = Arc::downgrade(&lines.shared);
        lines.send(line("last"));
        drop(lines);
        for _ in 0..1_000 {
            if weak.strong_count() == 0 {
                break;
            }
            thread::sleep(GATHER);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "last\n");
    }
}
