//! What is counted of origins and their groups.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::encode::Page;
use super::tables::capped;

/// What is counted of an origin.
#[derive(Debug, Default)]
pub struct OriginMetrics {
    ejections: AtomicU64,
    not_kept: AtomicU64,
    passed: AtomicU64,
    failed: AtomicU64,
}

impl OriginMetrics {
    /// An address was left out for its failures.
    pub fn ejected(&self) {
        self.ejections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed after its answer, as enough of them are idle.
    pub fn not_kept(&self) {
        self.not_kept.fetch_add(1, Ordering::Relaxed);
    }

    /// A health check ended.
    pub fn checked(&self, passed: bool) {
        let counter = if passed { &self.passed } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is counted of a group.
#[derive(Debug, Default)]
pub struct GroupMetrics {
    failovers: AtomicU64,
}

impl GroupMetrics {
    /// The next member was asked.
    pub fn failed_over(&self) {
        self.failovers.fetch_add(1, Ordering::Relaxed);
    }
}

/// How an origin is when the metrics are asked for.
#[derive(Debug, Clone)]
pub struct OriginGauges {
    /// Its name.
    pub origin: String,
    /// Its addresses, and whether requests go there; empty where that means nothing.
    pub addresses: Vec<(String, bool)>,
    /// Requests at work and those that wait, if they are limited.
    pub room: Option<(u32, u32)>,
    /// Connections that are idle, if they are limited.
    pub idle: Option<u32>,
}

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Table {
    origins: Mutex<BTreeMap<Box<str>, Arc<OriginMetrics>>>,
    groups: Mutex<BTreeMap<Box<str>, Arc<GroupMetrics>>>,
    gauges: Mutex<Vec<OriginGauges>>,
}

impl Table {
    pub(super) fn origin(&self, name: &str) -> Arc<OriginMetrics> {
        capped(&mut self.origins.lock(), Box::from(name), "other".into(), Default::default)
    }

    pub(super) fn group(&self, name: &str) -> Arc<GroupMetrics> {
        capped(&mut self.groups.lock(), Box::from(name), "other".into(), Default::default)
    }

    pub(super) fn set(&self, gauges: Vec<OriginGauges>) {
        *self.gauges.lock() = gauges;
    }

    pub(super) fn encode(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let gauges = self.gauges.lock();
        let up = gauges.iter().flat_map(|one| {
            let series = |(address, up): &(String, bool)| {
                ([("origin", one.origin.clone()), ("address", address.clone())], u64::from(*up))
            };
            one.addresses.iter().map(series)
        });
        page.gauges("edgeweir_origin_address_up", "Whether requests go to an address of an origin.", up)?;
        let limited = || gauges.iter().filter_map(|one| Some((&one.origin, one.room?)));
        let at_work = limited().map(|(origin, room)| ([("origin", origin.clone())], room.0.into()));
        page.gauges("edgeweir_origin_requests_in_flight", "Requests at work at an origin with max_requests.", at_work)?;
        let waiting = limited().map(|(origin, room)| ([("origin", origin.clone())], room.1.into()));
        page.gauges("edgeweir_origin_requests_waiting", "Requests that wait for a place at an origin.", waiting)?;
        let idle = gauges.iter().filter_map(|one| Some(([("origin", one.origin.clone())], one.idle?.into())));
        let help = "Idle connections to an origin with max_idle_connections.";
        page.gauges("edgeweir_origin_idle_connections", help, idle)?;
        drop(gauges);
        let origins = self.origins.lock();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ejections = origins.iter().map(|(name, one)| ([("origin", name.to_string())], count(&one.ejections)));
        page.counters(
            "edgeweir_origin_ejections",
            "Times that an address of an origin was left out for failures in a row.",
            ejections.filter(|&(_, count)| count > 0),
        )?;
        let not_kept = origins.iter().map(|(name, one)| ([("origin", name.to_string())], count(&one.not_kept)));
        page.counters(
            "edgeweir_origin_connections_not_kept",
            "Connections closed after their answer, as max_idle_connections of the origin were idle.",
            not_kept.filter(|&(_, count)| count > 0),
        )?;
        let checks = origins.iter().flat_map(|(name, one)| {
            [("passed", &one.passed), ("failed", &one.failed)].map(|(result, counter)| {
                ([("origin", name.to_string()), ("result", result.to_owned())], count(counter))
            })
        });
        page.counters(
            "edgeweir_origin_health_checks",
            "Health checks of the addresses of an origin.",
            checks.filter(|&(_, count)| count > 0),
        )?;
        let groups = self.groups.lock();
        let failovers = groups.iter().map(|(name, one)| ([("group", name.to_string())], count(&one.failovers)));
        let help = "Times that the next member of an origin group was asked.";
        page.counters("edgeweir_origin_failovers", help, failovers)
    }
}
