//! How the tables are written: one block for each metric, in a stable order.

use std::fmt::Error;
use std::sync::atomic::Ordering;

use edgeweir_cache::StorageStats;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;

use super::{BehaviorMetrics, CLASSES, Histogram, OUTCOMES, Tables};

/// No label set for an exemplar, no exemplar.
type NoExemplar =
    Option<&'static prometheus_client::metrics::exemplar::Exemplar<[(&'static str, &'static str); 0], u64>>;

/// The page being written.
#[derive(Debug)]
pub(super) struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl<'a> Page<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self { encoder }
    }

    /// Counters of one name by label set; the encoder adds `_total` to the name.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) -> Result<(), Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            let none: NoExemplar = None;
            metric.encode_family(&labels)?.encode_counter(&value, none)?;
        }
        Ok(())
    }

    /// One counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let none: NoExemplar = None;
        self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?.encode_counter(&value, none)
    }

    /// Histograms of one name by label set; the unused are left out.
    pub(super) fn histograms<'h, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = ([(&'static str, String); N], &'h Histogram)>,
    ) -> Result<(), Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in series {
            let (sum, count, buckets) = histogram.read();
            if count > 0 {
                let mut metric = metric.encode_family(&labels)?;
                metric.encode_histogram::<[(&str, &str); 0]>(sum, count, &buckets, None)?;
            }
        }
        Ok(())
    }

    /// Gauges of one name by label set.
    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) -> Result<(), Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// One gauge.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: &impl EncodeGaugeValue) -> Result<(), Error> {
        self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
    }

    /// Facts as labels of a constant; the encoder adds `_info` to the name.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> Result<(), Error> {
        self.encoder.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
    }
}

impl Tables {
    /// What the requests were, by behavior.
    pub(super) fn encode_requests(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let behaviors = self.behaviors.lock();
        let labels = |(distribution, behavior): &(Box<str>, Box<str>)| {
            [("distribution", distribution.to_string()), ("behavior", behavior.to_string())]
        };
        let requests = behaviors.iter().flat_map(|(key, metrics)| {
            let [distribution, behavior] = labels(key);
            seen(metrics).map(move |(class, outcome, count)| {
                let own = [("status", class.to_owned()), ("cache", outcome.to_owned())];
                let [status, cache] = own;
                ([distribution.clone(), behavior.clone(), status, cache], count)
            })
        });
        page.counters("edgeweir_requests", "Requests by status class and cache outcome.", requests)?;
        page.histograms(
            "edgeweir_request_duration_seconds",
            "From the request head to the end of the response.",
            behaviors.iter().map(|(key, metrics)| (labels(key), &metrics.duration)),
        )?;
        page.histograms(
            "edgeweir_origin_first_byte_seconds",
            "From asking the origin to its response head.",
            behaviors.iter().map(|(key, metrics)| (labels(key), &metrics.origin)),
        )?;
        page.counters(
            "edgeweir_viewer_received_bytes",
            "Body bytes from viewers.",
            behaviors.iter().map(|(key, metrics)| (labels(key), metrics.bytes_in.load(Ordering::Relaxed))),
        )?;
        page.counters(
            "edgeweir_viewer_sent_bytes",
            "Body bytes to viewers.",
            behaviors.iter().map(|(key, metrics)| (labels(key), metrics.bytes_out.load(Ordering::Relaxed))),
        )
    }

    /// What the hooks did.
    pub(super) fn encode_hooks(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let hooks = self.hooks.lock();
        let calls = hooks.iter().flat_map(|((hook, stage), metrics)| {
            let used = metrics.verdicts.read().filter(|&(_, count)| count > 0);
            used.map(move |(verdict, count)| {
                ([("hook", hook.to_string()), ("stage", (*stage).to_owned()), ("verdict", verdict.to_owned())], count)
            })
        });
        page.counters("edgeweir_hook_calls", "Calls of hooks by verdict.", calls)?;
        let last_good = hooks.iter().flat_map(|((hook, stage), metrics)| {
            let used = metrics.last_good.read().filter(|&(_, count)| count > 0);
            used.map(move |(verdict, count)| {
                ([("hook", hook.to_string()), ("stage", (*stage).to_owned()), ("verdict", verdict.to_owned())], count)
            })
        });
        let help = "Calls of a hook's last good version, after a fault of the version in force, by verdict.";
        page.counters("edgeweir_hook_last_good_calls", help, last_good)?;
        page.histograms(
            "edgeweir_hook_duration_seconds",
            "Time of one hook call.",
            hooks.iter().map(|((hook, stage), metrics)| {
                ([("hook", hook.to_string()), ("stage", (*stage).to_owned())], &metrics.duration)
            }),
        )?;
        page.gauges(
            "edgeweir_hook_memory_max_bytes",
            "Most linear memory that one call has had.",
            hooks.iter().map(|((hook, stage), metrics)| {
                ([("hook", hook.to_string()), ("stage", (*stage).to_owned())], metrics.memory.load(Ordering::Relaxed))
            }),
        )
    }

    /// What hooks count themselves, and their key-value stores.
    pub(super) fn encode_counters(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let hooks = self.counters.lock();
        let counts = hooks.iter().flat_map(|(hook, counters)| {
            let label = hook.to_string();
            counters.read().map(move |(name, count)| ([("hook", label.clone()), ("name", name.to_owned())], count))
        });
        page.counters("edgeweir_hook_counter", "What hooks count themselves.", counts)?;
        let dropped = hooks.iter().map(|(hook, counters)| ([("hook", hook.to_string())], counters.dropped()));
        let help = "Counts of hooks that were dropped: no valid name, or more than 64 names.";
        page.counters("edgeweir_hook_counter_dropped", help, dropped.filter(|&(_, count)| count > 0))?;
        let stores = self.stores.lock();
        let loads = stores.iter().flat_map(|(store, metrics)| {
            [("ok", &metrics.ok), ("failed", &metrics.failed)].map(|(result, count)| {
                ([("store", store.to_string()), ("result", result.to_owned())], count.load(Ordering::Relaxed))
            })
        });
        page.counters("edgeweir_key_value_loads", "Changed files of key-value stores that were read.", loads)?;
        let sets = self.key_sets.lock();
        let loads = sets.iter().flat_map(|(set, metrics)| {
            [("ok", &metrics.ok), ("failed", &metrics.failed)].map(|(result, count)| {
                ([("key_set", set.to_string()), ("result", result.to_owned())], count.load(Ordering::Relaxed))
            })
        });
        page.counters("edgeweir_jwks_refreshes", "Key sets that were fetched, or read again from a file.", loads)?;
        let databases = self.geo.lock();
        let loads = databases.iter().flat_map(|(file, metrics)| {
            [("ok", &metrics.ok), ("failed", &metrics.failed)].map(|(result, count)| {
                ([("database", file.to_string()), ("result", result.to_owned())], count.load(Ordering::Relaxed))
            })
        });
        page.counters("edgeweir_geo_database_loads", "Changed files of geo databases that were read.", loads)
    }

    /// Usage plans, and the store of keys and quotas.
    pub(super) fn encode_plans(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let plans = self.plans.lock();
        let results = plans.iter().flat_map(|(plan, metrics)| {
            let used = metrics.results.read();
            used.map(move |(result, count)| ([("plan", plan.to_string()), ("result", result.to_owned())], count))
        });
        page.counters("edgeweir_plan_requests", "Requests with a key by usage plan and what became of them.", results)?;
        let throttled = plans.iter().flat_map(|(plan, metrics)| {
            let used = metrics.throttled.read().filter(|&(_, count)| count > 0);
            used.map(move |(level, count)| ([("plan", plan.to_string()), ("level", level.to_owned())], count))
        });
        let help = "Requests with a key refused by a throttle, by usage plan and level.";
        page.counters("edgeweir_plan_throttled_requests", help, throttled)?;
        drop(plans);
        let Some(state) = self.gauges.lock().state else { return Ok(()) };
        page.gauge("edgeweir_state_up", "Whether the store of keys and quotas answers.", &state.up)?;
        page.gauge("edgeweir_state_keys", "Values of API keys in the store.", &state.keys)?;
        page.counter("edgeweir_state_failures", "Times the store of keys and quotas failed.", state.failures)?;
        page.counter("edgeweir_state_leases", "Leases of quotas.", state.leases)
    }

    /// The edge as a whole.
    pub(super) fn encode_edge(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let gauges = *self.gauges.lock();
        let reloads = [("ok", &self.reloads_ok), ("failed", &self.reloads_failed)];
        let opened = self.connections.load(Ordering::Relaxed);
        page.counters("edgeweir_faults", "Requests the edge answered by itself.", by("fault", self.faults.read()))?;
        page.counters(
            "edgeweir_throttled_requests",
            "Requests refused by a throttle.",
            by("level", self.throttled.read()),
        )?;
        let taken_over = self.gauges.lock().taken_over;
        page.counter(
            "edgeweir_limits_taken_over",
            "Buckets of clients that others took over before they were full: more clients than max_clients.",
            taken_over,
        )?;
        page.counter("edgeweir_connections", "Viewer connections accepted.", opened)?;
        page.counters(
            "edgeweir_refused_connections",
            "Viewer connections refused or cut before a request.",
            by("reason", self.refused.read()),
        )?;
        page.gauge("edgeweir_open_connections", "Viewer connections open now.", &gauges.connections)?;
        page.gauge("edgeweir_held_body_bytes", "Request bodies held for hooks now.", &gauges.held_bodies)?;
        page.counters(
            "edgeweir_reloads",
            "Loads of a new configuration.",
            by("result", reloads.map(|(label, count)| (label, count.load(Ordering::Relaxed)))),
        )?;
        page.gauge("edgeweir_snapshot_number", "Number of the configuration in use.", &gauges.snapshot)?;
        encode_cache(page, &gauges.cache)?;
        page.counter(
            "edgeweir_cache_refreshes",
            "Stale objects fetched again in the background.",
            self.refreshes.load(Ordering::Relaxed),
        )?;
        page.counter(
            "edgeweir_cache_key_leaks",
            "Responses that may depend on what a hook read and is neither in the key nor in Vary.",
            self.key_leaks.load(Ordering::Relaxed),
        )?;
        page.counters(
            "edgeweir_log_dropped_lines",
            "Log lines dropped because too many waited.",
            by("log", self.logs.iter().map(|(log, counters)| (*log, counters.dropped()))),
        )?;
        page.counters(
            "edgeweir_log_failed_lines",
            "Log lines that could not be written.",
            by("log", self.logs.iter().map(|(log, counters)| (*log, counters.failed()))),
        )?;
        page.info("edgeweir_build", "The running edge.", &[("version", self.version)])
    }
}

/// The cache's store.
fn encode_cache(page: &mut Page<'_>, cache: &StorageStats) -> Result<(), Error> {
    page.gauge("edgeweir_cache_entries", "Objects in the cache.", &cache.entries)?;
    page.gauge("edgeweir_cache_bytes", "Bytes in the cache.", &cache.weighted_bytes)?;
    page.gauge("edgeweir_cache_capacity_bytes", "Bytes the cache may hold.", &cache.capacity)?;
    page.gauge("edgeweir_cache_in_flight", "Responses that are being stored now.", &cache.in_flight)?;
    page.gauge("edgeweir_cache_in_flight_bytes", "Bytes of responses that are being stored.", &cache.in_flight_bytes)?;
    let left = [("size", cache.evicted), ("replaced", cache.replaced), ("purged", cache.removed)];
    page.counters("edgeweir_cache_evictions", "Objects that left the cache.", by("cause", left))?;
    let refused = [
        ("too-large", cache.too_large),
        ("in-flight-full", cache.over_budget),
        ("aborted", cache.aborted),
        ("wrong-length", cache.wrong_length),
        ("purged", cache.purged),
    ];
    let help = "Responses that were not stored although their head allowed it.";
    page.counters("edgeweir_cache_not_stored", help, by("reason", refused))?;
    page.counter("edgeweir_cache_purges", "Purges.", cache.purges)?;
    page.gauge("edgeweir_cache_purge_log_entries", "Things in the log of purges.", &cache.purge_entries)?;
    page.counter("edgeweir_cache_purge_log_folds", "Times the log of purges was full.", cache.purge_folds)
}

/// The combinations of class and outcome that were met.
fn seen(metrics: &BehaviorMetrics) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    CLASSES.iter().zip(&metrics.requests).flat_map(|(&class, row)| {
        let counts =
            OUTCOMES.iter().zip(row).map(move |(&outcome, count)| (class, outcome, count.load(Ordering::Relaxed)));
        counts.filter(|&(_, _, count)| count > 0)
    })
}

/// One label before each count.
fn by(
    label: &'static str,
    counts: impl IntoIterator<Item = (&'static str, u64)>,
) -> impl Iterator<Item = ([(&'static str, String); 1], u64)> {
    counts.into_iter().map(move |(value, count)| ([(label, value.to_owned())], count))
}
