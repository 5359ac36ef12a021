//! The edge's own events: what starts, changes and fails, as text or JSON lines for people who run it.
//!
//! One subscriber per process, set up by [`configure`]; called again (by a reload, or by the next edge of a test) it
//! changes level, format and target in place. Lines go through [`Lines`], so that a stuck terminal stops nobody.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use edgeweir_config::{Log, LogLevel, LogTarget};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::lines::{LineCounters, Lines, LogError};

static EVENTS: OnceLock<Events> = OnceLock::new();

#[derive(Debug)]
struct Events {
    lines: Lines,
    /// A [`LogLevel`] as number: what is above it is dropped.
    level: AtomicU8,
    json: AtomicBool,
    colour: AtomicBool,
}

/// Sets the events up, or changes how they are written. `colour` is used for text on the standard streams only.
///
/// # Errors
/// The file cannot be opened, or there is no thread to be had; an earlier setting stays.
pub fn configure(log: &Log, colour: bool) -> Result<(), LogError> {
    let events = match EVENTS.get() {
        Some(events) => {
            events.lines.set_target(&log.events)?;
            events
        }
        None => {
            let lines = Lines::start("events", &log.events, None)?;
            let fresh =
                Events { lines, level: AtomicU8::new(0), json: AtomicBool::new(false), colour: AtomicBool::new(false) };
            // Two first calls at once: one of the two writers ends at once, unused.
            EVENTS.get_or_init(|| fresh)
        }
    };
    events.level.store(number(log.level), Ordering::Relaxed);
    events.json.store(log.json, Ordering::Relaxed);
    let terminal = matches!(log.events, LogTarget::Stdout | LogTarget::Stderr);
    events.colour.store(colour && terminal, Ordering::Relaxed);
    subscribe();
    tracing::callsite::rebuild_interest_cache();
    // What `wanted` would drop anyway is not even formatted: pingora logs much.
    log::set_max_level(match log.level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn | LogLevel::Info => log::LevelFilter::Warn,
        LogLevel::Debug => log::LevelFilter::Info,
    });
    Ok(())
}

/// Opens the file of the events again (SIGHUP, after a rotation).
///
/// # Errors
/// The file cannot be opened; the one in use stays.
pub fn reopen() -> Result<(), LogError> {
    EVENTS.get().map_or(Ok(()), |events| events.lines.reopen())
}

/// Waits until all events are written, or `patience` is over; blocks the thread. Returns whether they were.
#[must_use]
pub fn flush(patience: Duration) -> bool {
    EVENTS.get().is_none_or(|events| events.lines.flush(patience))
}

/// What was lost, for the metrics.
#[must_use]
pub fn counters() -> Option<Arc<LineCounters>> {
    EVENTS.get().map(|events| events.lines.counters())
}

/// Only the first call of the process does something; whoever set a subscriber before (a test) keeps it.
fn subscribe() {
    let text = |colour: bool| {
        let wanted = move |_: &Metadata<'_>| !flag(|events| &events.json) && flag(|events| &events.colour) == colour;
        fmt::layer().with_writer(Out).with_ansi(colour).with_filter(filter_fn(wanted))
    };
    let json = fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(Out)
        .with_filter(filter_fn(|_| flag(|events| &events.json)));
    let level = filter_fn(passes);
    let layers = text(true).and_then(text(false)).and_then(json).with_filter(level);
    let _already_set = tracing_subscriber::registry().with(layers).try_init();
}

fn flag(which: impl FnOnce(&Events) -> &AtomicBool) -> bool {
    EVENTS.get().is_some_and(|events| which(events).load(Ordering::Relaxed))
}

fn passes(metadata: &Metadata<'_>) -> bool {
    let level = EVENTS.get().map_or(0, |events| events.level.load(Ordering::Relaxed));
    EVENTS.get().is_some_and(|events| events.lines.enabled()) && wanted(metadata.target(), *metadata.level(), level)
}

/// Whether an event of this target and level is told when the config asks for `level`.
fn wanted(target: &str, event: Level, level: u8) -> bool {
    let debug = level >= number(LogLevel::Debug);
    let own = target.starts_with("edgeweir");
    let most = match level {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::WARN,
        2 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    if own {
        return event <= most;
    }
    // pingora tells each viewer that hangs up, with its whole target, secrets in the query included; our own faults and the
    // access log already say what matters of these.
    if target.starts_with("pingora") && !debug {
        return false;
    }
    event <= if debug { LevelFilter::INFO } else { LevelFilter::WARN.min(most) }
}

fn number(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 0,
        LogLevel::Warn => 1,
        LogLevel::Info => 2,
        LogLevel::Debug => 3,
    }
}

/// Makes a line out of what the formatter writes for one event.
struct Out;

impl<'a> MakeWriter<'a> for Out {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event { line: Vec::new() }
    }
}

/// The line of one event; handed over when the formatter is done with it.
struct Event {
    line: Vec<u8>,
}

/// What begins the second and each further line of an event in text.
const MORE: &[u8] = b"    | ";

/// An event's text as it goes out: what a hook says, and a viewer makes it say, can break lines, but none of them looks like
/// the first line of another event (CWE-117). JSON has no line breaks within.
fn one_event(line: Vec<u8>) -> Vec<u8> {
    let body = line.strip_suffix(b"\n").unwrap_or(&line);
    if !body.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return line;
    }
    let mut safe = Vec::with_capacity(line.len() + 64);
    for byte in body {
        match byte {
            b'\n' => {
                safe.push(b'\n');
                safe.extend_from_slice(MORE);
            }
            b'\r' => safe.extend_from_slice(b"\\r"),
            other => safe.push(*other),
        }
    }
    safe.push(b'\n');
    safe
}

impl Write for Event {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Some(events) = EVENTS.get().filter(|_| !self.line.is_empty()) {
            events.lines.send(one_event(std::mem::take(&mut self.line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_an_event_looks_like_another_event() {
        let safe = |text: &str| String::from_utf8(one_event(text.into())).unwrap();
        assert_eq!(safe("one line\n"), "one line\n");
        assert_eq!(
            safe("WARN hook failed: x\n2026-11-22T00:00:00Z ERROR forged\r\n\nlast request_id=1\n"),
            "WARN hook failed: x\n    | 2026-11-22T00:00:00Z ERROR forged\\r\n    | \n    | last request_id=1\n"
        );
    }

    #[test]
    fn own_events_follow_the_level_and_others_are_quieter() {
        let told = |target, event, level| wanted(target, event, number(level));
        for (target, event, level, expected) in [
            ("edgeweir_proxy::edge", Level::INFO, LogLevel::Info, true),
            ("edgeweir_proxy::edge", Level::DEBUG, LogLevel::Info, false),
            ("edgeweir_hookhost", Level::DEBUG, LogLevel::Debug, true),
            ("edgeweir_proxy", Level::WARN, LogLevel::Error, false),
            ("edgeweir_proxy", Level::ERROR, LogLevel::Error, true),
            ("pingora_proxy", Level::ERROR, LogLevel::Info, false),
            ("pingora_proxy", Level::ERROR, LogLevel::Debug, true),
            ("pingora_core", Level::WARN, LogLevel::Info, false),
            ("pingora_core", Level::WARN, LogLevel::Debug, true),
            ("pingora_core", Level::INFO, LogLevel::Info, false),
            ("h2", Level::DEBUG, LogLevel::Debug, false),
            ("h2", Level::INFO, LogLevel::Debug, true),
            ("wasmtime", Level::WARN, LogLevel::Info, true),
            ("wasmtime", Level::WARN, LogLevel::Error, false),
            ("wasmtime", Level::ERROR, LogLevel::Error, true),
        ] {
            assert_eq!(told(target, event, level), expected, "{target} {event} at {level:?}");
        }
    }
}
