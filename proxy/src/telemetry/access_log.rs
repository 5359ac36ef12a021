//! The access log: one JSON object in one line for each request.
//!
//! Field names are a promise to whoever reads the log (docs/operations.md lists them). Headers that carry credentials
//! are never a field; queries are redacted here, so that no caller can forget it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use edgeweir_config::{LogTarget, Stage};

use super::json::Object;
use super::lines::{LineCounters, Lines, LogError};
use super::{redact, timestamp};
use crate::runtime::clock::Clock;

/// First guess of a line's length: most fit.
const USUAL_LINE: usize = 768;

/// What one request was. Everything is borrowed from the request's context. Absent facts are left out of the line.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// When the request head had arrived.
    pub time: SystemTime,
    /// Request id, as sent to the viewer and the origin.
    pub request_id: &'a str,
    /// Trace id of `traceparent` (32 hex digits).
    pub trace_id: Option<&'a str>,
    /// The viewer's address, by trust policy.
    pub client: IpAddr,
    /// The viewer's port; not known behind a trusted proxy.
    pub client_port: Option<u16>,
    /// Method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host that was asked for.
    pub host: &'a [u8],
    /// Path as it was matched.
    pub path: &'a [u8],
    /// Query without `?`; redacted when it is written.
    pub query: Option<&'a [u8]>,
    /// `1.0`, `1.1` or `2`.
    pub http_version: &'static str,
    /// `1.2` or `1.3`; none without TLS.
    pub tls_version: Option<&'static str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `Referer`; redacted when it is written.
    pub referer: Option<&'a [u8]>,
    /// ISO code of the viewer's country.
    pub country: Option<&'a str>,
    /// Name of the distribution.
    pub distribution: Option<&'a str>,
    /// Path pattern of the behavior.
    pub behavior: Option<&'a str>,
    /// Name of the origin, if it was asked.
    pub origin: Option<&'a str>,
    /// Name of the group that the origin was asked for.
    pub origin_group: Option<&'a str>,
    /// Addresses that were asked; not written if it is one.
    pub origin_attempts: usize,
    /// Address of the origin that was asked last.
    pub origin_address: Option<std::net::SocketAddr>,
    /// Status sent; 0 if the viewer left before.
    pub status: u16,
    /// Body bytes from the viewer.
    pub bytes_in: u64,
    /// Body bytes to the viewer.
    pub bytes_out: u64,
    /// From the request head to the end of the response, in microseconds.
    pub duration_us: u64,
    /// From asking the origin to its response head, in microseconds.
    pub origin_us: Option<u64>,
    /// Cache outcome.
    pub cache: Option<&'a str>,
    /// Why the cache did what it did.
    pub cache_why: Option<&'a str>,
    /// The generation of purges that the content is from; not written if it is 0.
    pub cache_generation: u64,
    /// Parameters of the query that may have an API key: they are redacted.
    pub key_parameters: &'a [Box<str>],
    /// Name of the API key (never the key).
    pub key_name: Option<&'a str>,
    /// Usage plan of the key.
    pub plan: Option<&'a str>,
    /// Who the caller is, as the authorizer says.
    pub principal: Option<&'a str>,
    /// Level of the limit that refused the request.
    pub throttle: Option<&'a str>,
    /// Hooks that ran, in order.
    pub hooks: &'a [HookRecord<'a>],
    /// By stage, in the order of a request, why a hook that is bound there did not run.
    pub skipped: [Option<&'static str>; 4],
    /// Label of the fault, if the edge answered by itself for one.
    pub fault: Option<&'a str>,
    /// The viewer left before the response was complete.
    pub aborted: bool,
}

/// One call of a hook.
#[derive(Debug, Clone, Copy)]
pub struct HookRecord<'a> {
    /// Its name in the config.
    pub hook: &'a str,
    /// Stage.
    pub stage: &'static str,
    /// Time of the call in microseconds.
    pub us: u64,
    /// What it decided, or the label of its fault.
    pub verdict: &'static str,
    /// It was the hook's last good version that was called.
    pub last_good: bool,
}

/// The access log of an edge; once per process.
#[derive(Debug)]
pub struct AccessLog {
    lines: Lines,
}

impl AccessLog {
    /// Opens the log.
    ///
    /// # Errors
    /// The file cannot be opened, or there is no thread to be had.
    pub fn open(target: &LogTarget, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        Ok(Self { lines: Lines::start("access", target, Some(clock))? })
    }

    /// Whether a record is worth making.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.lines.enabled()
    }

    /// Writes a record; never waits.
    pub fn write(&self, record: &Record<'_>) {
        if self.lines.enabled() {
            let mut line = Vec::with_capacity(USUAL_LINE);
            serialize(&mut line, record);
            self.lines.send(line);
        }
    }

    /// Sends the following lines to another target (reload).
    ///
    /// # Errors
    /// The file cannot be opened; the old target stays.
    pub fn set_target(&self, target: &LogTarget) -> Result<(), LogError> {
        self.lines.set_target(target)
    }

    /// Opens the file again (SIGHUP, after a rotation).
    ///
    /// # Errors
    /// The file cannot be opened; the one in use stays.
    pub fn reopen(&self) -> Result<(), LogError> {
        self.lines.reopen()
    }

    /// Waits until all lines are written, or `patience` is over; blocks the thread. Returns whether they were.
    #[must_use]
    pub fn flush(&self, patience: Duration) -> bool {
        self.lines.flush(patience)
    }

    /// What was lost, for the metrics.
    #[must_use]
    pub fn counters(&self) -> Arc<LineCounters> {
        self.lines.counters()
    }
}

/// Appends the line of a record, with its line end.
pub fn serialize(line: &mut Vec<u8>, record: &Record<'_>) {
    let mut object = Object::open(line);
    let time = object.key("time");
    time.push(b'"');
    timestamp::write(time, record.time);
    time.push(b'"');
    object.text("request_id", record.request_id.as_bytes());
    object.maybe("trace_id", record.trace_id);
    object.plain("client", record.client);
    if let Some(port) = record.client_port {
        object.number("client_port", port.into());
    }
    object.text("method", record.method.as_bytes());
    object.text("scheme", record.scheme.as_bytes());
    object.text("host", record.host);
    object.text("path", record.path);
    if let Some(query) = record.query {
        quoted(object.key("query"), |buffer| redact::query(buffer, query, record.key_parameters));
    }
    object.text("http_version", record.http_version.as_bytes());
    object.maybe("tls_version", record.tls_version);
    if let Some(agent) = record.user_agent {
        object.text("user_agent", agent);
    }
    if let Some(referer) = record.referer {
        quoted(object.key("referer"), |buffer| redact::url(buffer, referer, record.key_parameters));
    }
    object.maybe("country", record.country);
    object.maybe("distribution", record.distribution);
    object.maybe("behavior", record.behavior);
    object.maybe("origin", record.origin);
    object.maybe("origin_group", record.origin_group);
    if record.origin_attempts > 1 {
        object.number("origin_attempts", u64::try_from(record.origin_attempts).unwrap_or(u64::MAX));
    }
    if let Some(address) = record.origin_address {
        object.plain("origin_address", address);
    }
    object.number("status", record.status.into());
    object.number("bytes_in", record.bytes_in);
    object.number("bytes_out", record.bytes_out);
    object.number("duration_us", record.duration_us);
    if let Some(time) = record.origin_us {
        object.number("origin_us", time);
    }
    object.maybe("cache", record.cache);
    object.maybe("cache_why", record.cache_why);
    if record.cache_generation > 0 {
        object.number("cache_generation", record.cache_generation);
    }
    object.maybe("key_name", record.key_name);
    object.maybe("plan", record.plan);
    object.maybe("principal", record.principal);
    object.maybe("throttle", record.throttle);
    if !record.hooks.is_empty() {
        hooks(object.key("hooks"), record.hooks);
    }
    if record.skipped.iter().any(Option::is_some) {
        skipped(object.key("skipped"), record.skipped);
    }
    object.maybe("fault", record.fault);
    if record.aborted {
        object.key("aborted").extend_from_slice(b"true");
    }
    object.close();
    line.push(b'\n');
}

fn quoted(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    buffer.push(b'"');
    write(buffer);
    buffer.push(b'"');
}

fn hooks(buffer: &mut Vec<u8>, records: &[HookRecord<'_>]) {
    for (index, record) in records.iter().enumerate() {
        buffer.push(if index == 0 { b'[' } else { b',' });
        let mut object = Object::open(buffer);
        object.text("hook", record.hook.as_bytes());
        object.text("stage", record.stage.as_bytes());
        object.number("us", record.us);
        object.text("verdict", record.verdict.as_bytes());
        if record.last_good {
            object.key("last_good").extend_from_slice(b"true");
        }
        object.close();
    }
    buffer.push(b']');
}

fn skipped(buffer: &mut Vec<u8>, labels: [Option<&'static str>; 4]) {
    let mut object = Object::open(buffer);
    for (stage, label) in Stage::ALL.into_iter().zip(labels) {
        object.maybe(stage.as_str(), label);
    }
    object.close();
}

#[cfg(test)]
mod tests;
