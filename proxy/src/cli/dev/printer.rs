//! Requests on a developer's screen: one line for each, with its hooks; what they did and logged is below it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use edgeweir_config::LogTarget;
use edgeweir_hookhost::LogLevel;
use parking_lot::Mutex;

use crate::cli::output::plain;
use crate::telemetry::access_log::Record;
use crate::telemetry::lines::{Lines, LogError};
use crate::telemetry::observer::{Observer, Seen, Skipped};
use crate::telemetry::redact;

/// Requests whose log lines wait for their end. A request that is cut off has none: when there are more, all come at once.
const MAX_WAITING: usize = 1024;
/// What the host says in place of a request id while a hook checks its settings.
const NO_REQUEST: &str = "settings-check";
/// Log lines of one request; a call may write 64.
const MAX_LINES: usize = 512;

/// Writes to standard output, and waits for nobody: a terminal that stands still costs lines.
pub(super) struct Printer {
    lines: Lines,
    /// What hooks logged, by request id.
    waiting: Mutex<HashMap<String, Vec<String>>>,
    colour: bool,
}

impl Printer {
    /// Starts the writer.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(colour: bool) -> Result<Arc<Self>, LogError> {
        let lines = Lines::start("requests", &LogTarget::Stdout, None)?;
        Ok(Arc::new(Self { lines, waiting: Mutex::default(), colour }))
    }

    /// Waits until what was printed is written, or a second is over.
    pub(super) fn flush(&self) {
        let _in_time = self.lines.flush(std::time::Duration::from_secs(1));
    }
}

impl Observer for Printer {
    fn finished(&self, seen: &Seen<'_>) {
        let logged = self.waiting.lock().remove(seen.record.request_id).unwrap_or_default();
        self.lines.send(text(seen, &logged, self.colour).into_bytes());
    }

    fn log(&self, hook: &str, request_id: &str, level: LogLevel, message: &str) {
        let message = message.lines().map(plain).collect::<Vec<_>>().join("\n        ");
        let line = format!("    {hook} logs {}: {message}\n", word(level));
        if request_id == NO_REQUEST {
            self.lines.send(line.into_bytes());
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MAX_WAITING && !waiting.contains_key(request_id) {
            for line in waiting.drain().flat_map(|(_, lines)| lines) {
                self.lines.send(line.into_bytes());
            }
        }
        let lines = waiting.entry(request_id.to_owned()).or_default();
        if lines.len() < MAX_LINES {
            lines.push(line);
        }
    }
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

/// A request with everything that its hooks did.
fn text(seen: &Seen<'_>, logged: &[String], colour: bool) -> String {
    let record = seen.record;
    let mut text = format!("{} {} {}", record.method, target(record), painted(record.status, colour));
    // Writing to a string cannot fail.
    if record.aborted {
        text.push_str(" (the viewer left)");
    }
    if let Some(fault) = record.fault {
        let _infallible = write!(text, "  {fault}");
    }
    let _infallible = write!(text, "  {}  {}", cache(seen), millis(record.duration_us));
    if let (Some(origin), Some(us)) = (record.origin, record.origin_us) {
        let _infallible = write!(text, " ({origin} {})", millis(us));
    }
    let mut stage = "";
    for run in record.hooks {
        let start = if run.stage == stage { "," } else { "  |" };
        if run.stage != stage {
            stage = run.stage;
            let _infallible = write!(text, "{start} {stage}:");
        } else {
            text.push_str(start);
        }
        let _infallible = write!(text, " {} {} {}", run.hook, run.verdict, millis(run.us));
    }
    text.push('\n');
    for (run, note) in record.hooks.iter().zip(seen.notes).filter(|(_, note)| !note.is_empty()) {
        let does = match run.verdict {
            "next" => "edits",
            "respond" => "answers",
            "refused" => "is refused",
            _ => "fails",
        };
        let note = note.lines().map(plain).collect::<Vec<_>>().join("\n        ");
        let _infallible = writeln!(text, "    {} {does}: {note}", run.hook);
    }
    for Skipped { hook, stage, why } in seen.skipped {
        let _infallible = writeln!(text, "    {hook} did not run at {}: {why}", stage.as_str());
    }
    text.extend(logged.iter().map(String::as_str));
    text
}

/// Path and query, without credentials.
fn target(record: &Record<'_>) -> String {
    let mut target = record.path.to_vec();
    if let Some(query) = record.query {
        target.push(b'?');
        redact::query(&mut target, query, record.key_parameters);
    }
    plain(&String::from_utf8_lossy(&target))
}

/// What the cache did, and why.
fn cache(seen: &Seen<'_>) -> String {
    match (seen.record.cache, seen.record.cache_why) {
        (None, _) => "not cached".to_owned(),
        (Some(outcome), Some(why)) => format!("{outcome}, not stored ({why})"),
        (Some(outcome), None) if seen.stored => format!("{outcome}, stored"),
        (Some(outcome), None) => outcome.to_owned(),
    }
}

fn millis(us: u64) -> String {
    format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
}

fn painted(status: u16, colour: bool) -> String {
    let paint = match status {
        _ if !colour => return status.to_string(),
        0..400 => "\u{1b}[32m",
        400..500 => "\u{1b}[33m",
        _ => "\u{1b}[31m",
    };
    format!("{paint}{status}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use edgeweir_config::Stage;

    use super::*;
    use crate::telemetry::access_log::HookRecord;

    fn record<'a>(hooks: &'a [HookRecord<'a>]) -> Record<'a> {
        Record {
            time: SystemTime::UNIX_EPOCH,
            request_id: "r",
            trace_id: None,
            client: [127, 0, 0, 1].into(),
            client_port: None,
            method: "GET",
            scheme: "http",
            host: b"a.test",
            path: b"/shop",
            query: Some(b"x=1&token=abc"),
            http_version: "1.1",
            tls_version: None,
            user_agent: None,
            referer: None,
            country: None,
            distribution: Some("site"),
            behavior: Some("*"),
            origin: Some("app"),
            origin_group: None,
            origin_attempts: 0,
            origin_address: None,
            status: 200,
            bytes_in: 0,
            bytes_out: 5,
            duration_us: 12_345,
            origin_us: Some(10_000),
            cache: Some("miss"),
            cache_why: None,
            cache_generation: 0,
            key_parameters: &[],
            key_name: None,
            plan: None,
            principal: None,
            throttle: None,
            hooks,
            skipped: [None; 4],
            fault: None,
            aborted: false,
        }
    }

    #[test]
    fn a_request_is_a_line_with_its_hooks_and_what_they_did_below() {
        let run = |hook, stage, us, verdict| HookRecord { hook, stage, us, verdict, last_good: false };
        let hooks = [
            run("hello", "viewer-request", 142, "next"),
            run("auth", "viewer-request", 1_200, "next"),
            run("late", "viewer-response", 10, "trap"),
        ];
        let record = record(&hooks);
        let notes = ["set x-a: b".to_owned(), String::new(), "it panicked\nbacktrace:\n  0: f".to_owned()];
        let skipped =
            [Skipped { hook: "img".into(), stage: Stage::OriginResponse, why: "the cache answered".to_owned() }];
        let seen = Seen { record: &record, notes: &notes, skipped: &skipped, stored: true };
        assert_eq!(
            text(&seen, &["    hello logs info: hi\n".to_owned()], false),
            "GET /shop?x=1&token=*** 200  miss, stored  12.34 ms (app 10.00 ms)  | viewer-request: hello next 0.14 ms, \
             auth next 1.20 ms  | viewer-response: late trap 0.01 ms\n    \
             hello edits: set x-a: b\n    \
             late fails: it panicked\n        backtrace:\n          0: f\n    \
             img did not run at origin-response: the cache answered\n    \
             hello logs info: hi\n"
        );
        assert!(text(&seen, &[], true).contains("\u{1b}[32m200\u{1b}[0m"));
    }

    #[test]
    fn log_lines_wait_for_their_request() {
        let printer = Printer::start(false).unwrap();
        printer.log("hello", "r", LogLevel::Warn, "one\u{1b}[2J\ntwo");
        assert_eq!(printer.waiting.lock()["r"], ["    hello logs warn: one\u{fffd}[2J\n        two\n"]);
        let record = record(&[]);
        printer.finished(&Seen { record: &record, notes: &[], skipped: &[], stored: false });
        assert!(printer.waiting.lock().is_empty());
        for number in 0..MAX_WAITING + 5 {
            printer.log("hello", &number.to_string(), LogLevel::Info, "x");
        }
        assert_eq!(printer.waiting.lock().len(), 5);
        printer.log("hello", NO_REQUEST, LogLevel::Info, "x");
        assert_eq!(printer.waiting.lock().len(), 5);
    }
}
