//! The far end of the queue: the thread that writes, and what it writes to.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::thread;

use edgeweir_config::LogTarget;

use super::{GATHER, LogError, Message, Shared};
use crate::runtime::clock::Clock;

/// Bytes that are written at once.
const BATCH: usize = 256 << 10;
/// Time between two reports of lost lines, in nanoseconds.
const REPORT_EVERY: u64 = 60_000_000_000;

#[derive(Debug)]
pub(super) enum Sink {
    Off,
    Stdout,
    Stderr,
    File(File),
}

impl Sink {
    pub(super) fn open(target: &LogTarget) -> Result<Self, LogError> {
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
pub(super) struct Writer {
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
    /// With a clock, losses are told.
    pub(super) fn new(name: &'static str, shared: Arc<Shared>, sink: Sink, clock: Option<Arc<dyn Clock>>) -> Self {
        let report = clock.map(|clock| Report { name, last: None, told: 0, clock });
        Self { shared, sink, batch: Vec::new(), batch_lines: 0, torn: false, report }
    }

    /// Until the near end is gone and everything is written.
    #[expect(clippy::disallowed_methods, reason = "the writer has its own thread")]
    pub(super) fn run(&mut self, receiver: &Receiver<Message>) {
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
