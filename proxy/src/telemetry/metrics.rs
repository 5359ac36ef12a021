//! Counters, gauges and histograms, once per process.
//!
//! Labels come from the config or from fixed tables, never from a request, and the number of label sets is capped. The
//! data path holds handles that were looked up when its snapshot was made, and only adds to atomics. Names are a promise
//! to whoever watches the edge (docs/operations.md lists them).

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use edgeweir_cache::StorageStats;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use super::lines::LineCounters;

mod certificates;
mod counters;
mod encode;
mod histogram;
mod origins;
mod process;
mod tables;

pub use certificates::CertificateGauge;
use certificates::Certificates;
pub use counters::{HookCounters, StoreMetrics};
use encode::Page;
pub use histogram::Histogram;
pub use origins::{GroupMetrics, OriginGauges, OriginMetrics};
pub use tables::Labelled;

/// Content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Most behaviors, and most uses of a hook at a stage, that get label sets of their own; the rest share `other`.
pub const MAX_LABEL_SETS: usize = 2_000;

/// Status classes, by the first digit; the first is a request whose viewer left before the status was sent.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// Cache outcomes as the cache names them, and `none` for requests that never came to the cache.
const OUTCOMES: [&str; 9] = ["none", "hit", "stale", "miss", "expired", "revalidated", "bypass", "collapsed", "other"];
/// Bounds of request times in microseconds.
const REQUEST_BOUNDS: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];
/// Bounds of hook calls in microseconds.
const HOOK_BOUNDS: &[u64] =
    &[10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

/// What the metrics are told once.
#[derive(Debug)]
pub struct Setup {
    /// Version of the edge.
    pub version: &'static str,
    /// When the process started.
    pub started: SystemTime,
    /// Labels of all faults.
    pub faults: &'static [&'static str],
    /// Labels of all verdicts and faults of hooks.
    pub verdicts: &'static [&'static str],
    /// Names of all throttle levels.
    pub levels: &'static [&'static str],
    /// Why connections are refused or cut.
    pub refusals: &'static [&'static str],
    /// Lost lines by log.
    pub logs: Vec<(&'static str, Arc<LineCounters>)>,
}

/// All metrics of an edge.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    tables: Arc<Tables>,
}

/// What is shown as it is at the moment of a scrape; set before [`Metrics::encode`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// Number of the snapshot that new requests see.
    pub snapshot: u64,
    /// Open viewer connections.
    pub connections: u64,
    /// Bytes of request bodies that are held for hooks.
    pub held_bodies: u64,
    /// How often clients of limits took over others' buckets.
    pub taken_over: u64,
    /// The store of keys and quotas, if there is one.
    pub state: Option<StateGauges>,
    /// What the cache holds, and why it did not store.
    pub cache: StorageStats,
}

/// The store of keys and quotas.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct StateGauges {
    /// 1 if it answers.
    pub up: u64,
    /// Keys in it.
    pub keys: u64,
    /// Times that it failed.
    pub failures: u64,
    /// Leases that it gave.
    pub leases: u64,
}

/// Label sets and their counters; at most [`MAX_LABEL_SETS`] and the one that the rest shares.
type Table<K, M> = Mutex<BTreeMap<K, Arc<M>>>;

#[derive(Debug)]
struct Tables {
    version: &'static str,
    started: SystemTime,
    gauges: Mutex<Gauges>,
    /// By distribution and path pattern.
    behaviors: Table<(Box<str>, Box<str>), BehaviorMetrics>,
    /// By hook and stage.
    hooks: Table<(Box<str>, &'static str), HookMetrics>,
    /// By hook.
    counters: Table<Box<str>, HookCounters>,
    /// By usage plan.
    plans: Table<Box<str>, PlanMetrics>,
    /// By key-value store.
    stores: Table<Box<str>, StoreMetrics>,
    /// By key set.
    key_sets: Table<Box<str>, StoreMetrics>,
    origins: origins::Table,
    /// By the name of a geo database's file.
    geo: Table<Box<str>, StoreMetrics>,
    certificates: Certificates,
    verdicts: &'static [&'static str],
    levels: &'static [&'static str],
    faults: Labelled,
    throttled: Labelled,
    refused: Labelled,
    connections: AtomicU64,
    refreshes: AtomicU64,
    key_leaks: AtomicU64,
    reloads_ok: AtomicU64,
    reloads_failed: AtomicU64,
    logs: Vec<(&'static str, Arc<LineCounters>)>,
}

/// What is counted of the requests of a behavior.
#[derive(Debug)]
pub struct BehaviorMetrics {
    requests: [[AtomicU64; OUTCOMES.len()]; CLASSES.len()],
    duration: Histogram,
    origin: Histogram,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// One finished request.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// Status sent; 0 if the viewer left before.
    pub status: u16,
    /// Cache outcome, if the request came to the cache.
    pub cache: Option<&'a str>,
    /// From the request head to the end of the response, in microseconds.
    pub duration_us: u64,
    /// From asking the origin to its response head, in microseconds, if it answered.
    pub origin_us: Option<u64>,
    /// Body bytes from the viewer.
    pub bytes_in: u64,
    /// Body bytes to the viewer.
    pub bytes_out: u64,
}

impl Default for BehaviorMetrics {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            duration: Histogram::new(REQUEST_BOUNDS),
            origin: Histogram::new(REQUEST_BOUNDS),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }
}

impl BehaviorMetrics {
    /// Counts a request.
    pub fn observe(&self, request: &Finished<'_>) {
        let class = usize::from(request.status / 100);
        let outcome = request
            .cache
            .map_or(0, |cache| OUTCOMES.iter().position(|&known| known == cache).unwrap_or(OUTCOMES.len() - 1));
        let counter = self.requests.get(class).unwrap_or(&self.requests[0]).get(outcome);
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.duration.observe(request.duration_us);
        if let Some(time) = request.origin_us {
            self.origin.observe(time);
        }
        if request.bytes_in > 0 {
            self.bytes_in.fetch_add(request.bytes_in, Ordering::Relaxed);
        }
        self.bytes_out.fetch_add(request.bytes_out, Ordering::Relaxed);
    }
}

/// What is counted of the calls of a hook at a stage.
#[derive(Debug)]
pub struct HookMetrics {
    verdicts: Labelled,
    /// Calls of the last good version after a fault of the one in force.
    last_good: Labelled,
    duration: Histogram,
    /// Most linear memory of a call so far, in bytes.
    memory: AtomicU64,
}

impl HookMetrics {
    /// Counts a call that ended with `verdict` (or the label of a fault) and had this much linear memory, in bytes.
    pub fn record(&self, verdict: &str, time: Duration, memory: usize) {
        self.verdicts.add(verdict);
        self.measured(time, memory);
    }

    /// Counts a call of the last good version.
    pub fn record_last_good(&self, verdict: &str, time: Duration, memory: usize) {
        self.last_good.add(verdict);
        self.measured(time, memory);
    }

    fn measured(&self, time: Duration, memory: usize) {
        let memory = u64::try_from(memory).unwrap_or(u64::MAX);
        if memory > self.memory.load(Ordering::Relaxed) {
            self.memory.fetch_max(memory, Ordering::Relaxed);
        }
        self.duration.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

/// What becomes of requests with a key.
const PLAN_RESULTS: &[&str] = &["counted", "not-counted", "quota", "throttled", "refused"];

/// What is counted of the requests of a usage plan's keys, all together.
#[derive(Debug)]
pub struct PlanMetrics {
    results: Labelled,
    throttled: Labelled,
}

impl PlanMetrics {
    /// Counts a request: `counted` or `not-counted` in the quota, refused by the `quota`, `throttled`, or `refused`
    /// otherwise.
    pub fn record(&self, result: &str) {
        self.results.add(result);
    }

    /// Counts a refusal by a throttle.
    pub fn throttled(&self, level: &str) {
        self.throttled.add(level);
    }
}

impl Metrics {
    /// Once per process.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let tables = Arc::new(Tables {
            version: setup.version,
            started: setup.started,
            gauges: Mutex::default(),
            behaviors: Mutex::default(),
            hooks: Mutex::default(),
            counters: Mutex::default(),
            plans: Mutex::default(),
            stores: Mutex::default(),
            key_sets: Mutex::default(),
            origins: origins::Table::default(),
            geo: Mutex::default(),
            certificates: Certificates::default(),
            verdicts: setup.verdicts,
            levels: setup.levels,
            faults: Labelled::new(setup.faults),
            throttled: Labelled::new(setup.levels),
            refused: Labelled::new(setup.refusals),
            connections: AtomicU64::new(0),
            refreshes: AtomicU64::new(0),
            key_leaks: AtomicU64::new(0),
            reloads_ok: AtomicU64::new(0),
            reloads_failed: AtomicU64::new(0),
            logs: setup.logs,
        });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&tables)));
        Self { registry, tables }
    }

    /// The counters of a behavior, by the names of the config. For when a snapshot is made, not for requests.
    #[must_use]
    pub fn behavior(&self, distribution: &str, behavior: &str) -> Arc<BehaviorMetrics> {
        let key = (Box::from(distribution), Box::from(behavior));
        tables::capped(&mut self.tables.behaviors.lock(), key, ("other".into(), "other".into()), Default::default)
    }

    /// The counters of a hook at a stage. For when a snapshot is made, not for requests.
    #[must_use]
    pub fn hook(&self, hook: &str, stage: &'static str) -> Arc<HookMetrics> {
        let fresh = || HookMetrics {
            verdicts: Labelled::new(self.tables.verdicts),
            last_good: Labelled::new(self.tables.verdicts),
            duration: Histogram::new(HOOK_BOUNDS),
            memory: AtomicU64::new(0),
        };
        tables::capped(&mut self.tables.hooks.lock(), (Box::from(hook), stage), ("other".into(), "other"), fresh)
    }

    /// The counters of a usage plan. For when a snapshot is made, not for requests.
    #[must_use]
    pub fn plan(&self, plan: &str) -> Arc<PlanMetrics> {
        let fresh =
            || PlanMetrics { results: Labelled::new(PLAN_RESULTS), throttled: Labelled::new(self.tables.levels) };
        tables::capped(&mut self.tables.plans.lock(), Box::from(plan), "other".into(), fresh)
    }

    /// Hands out the counters of hooks.
    #[must_use]
    pub fn counter_source(&self) -> CounterSource {
        CounterSource(Arc::clone(&self.tables))
    }

    /// What is counted of a key-value store. For when a snapshot is made, not for requests.
    #[must_use]
    pub fn store(&self, store: &str) -> Arc<StoreMetrics> {
        tables::capped(&mut self.tables.stores.lock(), Box::from(store), "other".into(), Default::default)
    }

    /// What is counted of a key set. For when a snapshot is made, not for requests.
    #[must_use]
    pub fn key_set(&self, set: &str) -> Arc<StoreMetrics> {
        tables::capped(&mut self.tables.key_sets.lock(), Box::from(set), "other".into(), Default::default)
    }

    /// What is counted of an origin. For when a snapshot is made, not for requests.
    #[must_use]
    pub fn origin(&self, name: &str) -> Arc<OriginMetrics> {
        self.tables.origins.origin(name)
    }

    /// What is counted of a group of origins. For when a snapshot is made, not for requests.
    #[must_use]
    pub fn origin_group(&self, name: &str) -> Arc<GroupMetrics> {
        self.tables.origins.group(name)
    }

    /// Sets how the origins are, before [`Metrics::encode`].
    pub fn set_origins(&self, gauges: Vec<OriginGauges>) {
        self.tables.origins.set(gauges);
    }

    /// What is counted of a geo database, by the name of its file. For when a snapshot is made, not for requests.
    #[must_use]
    pub fn geo_database(&self, file: &str) -> Arc<StoreMetrics> {
        tables::capped(&mut self.tables.geo.lock(), Box::from(file), "other".into(), Default::default)
    }

    /// The edge answered by itself.
    pub fn fault(&self, label: &str) {
        self.tables.faults.add(label);
    }

    /// A throttle refused a request.
    pub fn throttled(&self, level: &str) {
        self.tables.throttled.add(level);
    }

    /// A stale object was fetched again in the background.
    pub fn refreshed(&self) {
        self.tables.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    /// A response may depend on something that is neither in its cache key nor in `Vary`.
    pub fn key_leaked(&self) {
        self.tables.key_leaks.fetch_add(1, Ordering::Relaxed);
    }

    /// A viewer connected.
    pub fn connection_opened(&self) {
        self.tables.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A viewer connection was refused or cut.
    pub fn connection_refused(&self, reason: &str) {
        self.tables.refused.add(reason);
    }

    /// A reload ended.
    pub fn reloaded(&self, ok: bool) {
        let counter = if ok { &self.tables.reloads_ok } else { &self.tables.reloads_failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets the gauges and writes everything in OpenMetrics text ([`CONTENT_TYPE`]), which Prometheus reads too.
    #[must_use]
    pub fn encode(&self, gauges: Gauges) -> String {
        *self.tables.gauges.lock() = gauges;
        let mut page = String::with_capacity(16 << 10);
        // Writing into a String cannot fail, and the tables add no error of their own.
        let _infallible = prometheus_client::encoding::text::encode(&mut page, &self.registry);
        page
    }
}

/// The counters of hooks, for whoever loads hooks.
#[derive(Debug, Clone)]
pub struct CounterSource(Arc<Tables>);

impl CounterSource {
    /// The counters that a hook names itself, by the hook's name. For when it is loaded, not for requests.
    #[must_use]
    pub fn of(&self, hook: &str) -> Arc<HookCounters> {
        tables::capped(&mut self.0.counters.lock(), Box::from(hook), "other".into(), Default::default)
    }
}

impl Collector for Tables {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page::new(encoder);
        self.encode_requests(&mut page)?;
        self.encode_hooks(&mut page)?;
        self.encode_counters(&mut page)?;
        self.encode_plans(&mut page)?;
        self.origins.encode(&mut page)?;
        self.encode_edge(&mut page)?;
        self.certificates.encode(&mut page)?;
        process::encode(&mut page, self.started)
    }
}

#[cfg(test)]
mod tests;
