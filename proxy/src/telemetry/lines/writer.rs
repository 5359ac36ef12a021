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

    fn write(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        let written = match self {
            Self::Off => Ok(()),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
            Self::File(file) => return whole_lines(file, bytes),
        };
        written.map_err(|error| Cut { error, torn: true })
    }
}

/// A write that failed.
struct Cut {
    error: io::Error,
    /// Part of a line may be there.
    torn: bool,
}

/// Writes lines to a file, and takes back the part of one that was cut off, by a disk that is full: who reads the file finds
/// whole lines only.
fn whole_lines(file: &mut File, bytes: &[u8]) -> Result<(), Cut> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(count) if count > 0 => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            failed => {
                let error = failed.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                let whole = bytes.get(..written).unwrap_or_default().iter().rposition(|&byte| byte == b'\n');
                let part = written - whole.map_or(0, |end| end + 1);
                return Err(Cut { error, torn: take_back(file, part).is_err() });
            }
        }
    }
    Ok(())
}

/// Takes the last bytes from a file.
fn take_back(file: &File, count: usize) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let length = file.metadata()?.len();
    file.set_len(length.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX)))
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
            self.torn = written.as_ref().is_err_and(|cut| cut.torn);
            if written.is_err() {
                self.shared.counters.failed.fetch_add(self.batch_lines, Ordering::Relaxed);
            }
            self.batch.clear();
            self.batch.shrink_to(BATCH);
            self.batch_lines = 0;
            self.report(written.err().map(|cut| cut.error));
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

    #[test]
    fn what_was_cut_off_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = File::options().append(true).create(true).open(&path).unwrap();
        whole_lines(&mut file, b"whole\nhal").map_err(|cut| cut.error).unwrap();
        take_back(&file, 3).unwrap();
        whole_lines(&mut file, b"next\n").map_err(|cut| cut.error).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\nnext\n");
    }

    #[test]
    fn a_write_that_brings_nothing_tears_nothing() {
        let mut full = File::options().append(true).open("/dev/full").unwrap();
        let cut = whole_lines(&mut full, b"a line\n").err().unwrap();
        assert!(!cut.torn && cut.error.kind() == io::ErrorKind::StorageFull, "{}", cut.error);
    }
}
