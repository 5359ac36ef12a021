//! One IP address and port of an origin, and how it does: failures in a row, health checks, requests at work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use edgeweir_config::{HealthCheck, OriginPool};

/// See the module's text. Kept over reloads, and while a name is resolved again.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it is.
    pub address: SocketAddr,
    /// Requests that failed, in a row.
    failures: AtomicU32,
    /// Until when it is left out, in nanoseconds of the clock; 0 if it is not.
    out_until: AtomicU64,
    /// Its health checks fail.
    sick: AtomicBool,
    /// Checks in a row that say otherwise. Only the task that checks writes it.
    contradictions: AtomicU32,
    /// Requests at work, where anybody wants to know.
    at_work: AtomicU32,
}

/// Which requests may try an address that was left out and is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Not this one: nobody would learn what came of it.
    No,
    /// Only if nobody has for as long again: its viewer would see the failure.
    Overdue,
    /// This one: if it fails, another address answers.
    Due,
}

/// What the state of an address is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// It is used.
    Up,
    /// It failed too often in a row.
    Ejected,
    /// Its health checks fail.
    Sick,
}

impl EndpointState {
    /// As status and logs name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ejected => "ejected",
            Self::Sick => "unhealthy",
        }
    }
}

impl Endpoint {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            failures: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            sick: AtomicBool::new(false),
            contradictions: AtomicU32::new(0),
            at_work: AtomicU32::new(0),
        }
    }

    /// What it is now.
    #[must_use]
    pub fn state(&self) -> EndpointState {
        if self.sick.load(Ordering::Relaxed) {
            EndpointState::Sick
        } else if self.out_until.load(Ordering::Relaxed) != 0 {
            EndpointState::Ejected
        } else {
            EndpointState::Up
        }
    }

    /// Whether requests go there.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.state() == EndpointState::Up
    }

    /// Whether this request is the one that tries an address that was left out. The next one may after as long again.
    pub(super) fn take_probe(&self, probe: Probe, now: u64, pool: &OriginPool) -> bool {
        let until = self.out_until.load(Ordering::Relaxed);
        if until == 0 || probe == Probe::No || self.sick.load(Ordering::Relaxed) {
            return false;
        }
        let pause = nanoseconds(pool);
        let due = if probe == Probe::Overdue { until.saturating_add(pause) } else { until };
        let again = now.saturating_add(pause);
        now >= due && self.out_until.compare_exchange(until, again, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A request failed. Returns whether the address is left out from now on.
    pub(super) fn failed(&self, now: u64, pool: &OriginPool) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if pool.eject_after == 0 || failures < pool.eject_after {
            return false;
        }
        let until = now.saturating_add(nanoseconds(pool)).max(1);
        self.out_until.swap(until, Ordering::Relaxed) == 0
    }

    /// A request was answered. Returns whether the address was left out until now.
    pub(super) fn passed(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        self.out_until.load(Ordering::Relaxed) != 0 && self.out_until.swap(0, Ordering::Relaxed) != 0
    }

    /// Takes the result of a health check. Returns whether its health is another now.
    pub(super) fn checked(&self, passed: bool, check: &HealthCheck) -> bool {
        if passed != self.sick.load(Ordering::Relaxed) {
            self.contradictions.store(0, Ordering::Relaxed);
            return false;
        }
        let contradictions = self.contradictions.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if contradictions < if passed { check.healthy } else { check.unhealthy } {
            return false;
        }
        self.contradictions.store(0, Ordering::Relaxed);
        self.sick.store(!passed, Ordering::Relaxed);
        if passed {
            // It is seen to work: what requests met before is over.
            self.passed();
        }
        true
    }

    /// Nobody checks it any more.
    pub(super) fn unchecked(&self) {
        self.sick.store(false, Ordering::Relaxed);
        self.contradictions.store(0, Ordering::Relaxed);
    }

    /// Requests at work, where they are counted.
    #[must_use]
    pub fn at_work(&self) -> u32 {
        self.at_work.load(Ordering::Relaxed)
    }
}

fn nanoseconds(pool: &OriginPool) -> u64 {
    u64::try_from(pool.eject_for.as_nanos()).unwrap_or(u64::MAX)
}

/// A request's place at an address, given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    endpoint: Arc<Endpoint>,
    counted: bool,
}

impl Seat {
    /// Takes one; `counted` among the requests at work.
    pub(super) fn take(endpoint: &Arc<Endpoint>, counted: bool) -> Self {
        if counted {
            endpoint.at_work.fetch_add(1, Ordering::Relaxed);
        }
        Self { endpoint: Arc::clone(endpoint), counted }
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether it is among the requests at work.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.counted
    }

    /// The request is over there, whatever is left to do about it here.
    pub fn leave(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.endpoint.at_work.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use edgeweir_config::Balance;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn pool(eject_after: u32) -> OriginPool {
        OriginPool {
            addresses: Vec::new(),
            balance: Balance::RoundRobin,
            eject_after,
            eject_for: Duration::from_secs(10),
            max_requests: None,
            max_idle_connections: None,
            queue: Duration::ZERO,
        }
    }

    fn endpoint() -> Endpoint {
        Endpoint::new(([127, 0, 0, 1], 80).into())
    }

    #[test]
    fn failures_in_a_row_leave_an_address_out_until_a_probe_passes() {
        let (one, pool) = (endpoint(), pool(3));
        assert!(!one.failed(SECOND, &pool) && !one.failed(SECOND, &pool));
        assert!(!one.passed(), "it was never out");
        assert!(!one.failed(SECOND, &pool) && !one.failed(SECOND, &pool), "an answer ends the row");
        assert!(one.failed(SECOND, &pool));
        assert_eq!(one.state(), EndpointState::Ejected);
        assert!(!one.take_probe(Probe::Due, 10 * SECOND, &pool), "too early");
        assert!(!one.take_probe(Probe::No, 60 * SECOND, &pool));
        assert!(!one.take_probe(Probe::Overdue, 11 * SECOND, &pool), "somebody else may come");
        assert!(one.take_probe(Probe::Due, 11 * SECOND, &pool));
        assert!(!one.take_probe(Probe::Due, 12 * SECOND, &pool), "one at a time");
        assert!(!one.failed(12 * SECOND, &pool), "it is out already");
        assert!(one.take_probe(Probe::Overdue, 32 * SECOND, &pool), "nobody came");
        assert!(one.passed());
        assert!(one.is_usable());
    }

    #[test]
    fn zero_never_leaves_an_address_out() {
        let one = endpoint();
        assert!((0..100).all(|_| !one.failed(SECOND, &pool(0))));
        assert!(one.is_usable());
    }

    #[test]
    fn health_changes_after_so_many_checks_in_a_row() {
        let one = endpoint();
        let check = HealthCheck {
            path: "/".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy: 2,
            unhealthy: 3,
            statuses: Vec::new(),
        };
        let changes = |results: &[bool]| results.iter().filter(|passed| one.checked(**passed, &check)).count();
        assert_eq!((changes(&[false, false, true, false, false]), one.state()), (0, EndpointState::Up));
        assert_eq!((changes(&[false]), one.state()), (1, EndpointState::Sick));
        assert_eq!((changes(&[true, false, true]), one.state()), (0, EndpointState::Sick));
        assert_eq!((changes(&[true]), one.state()), (1, EndpointState::Up));
        one.unchecked();
        assert!(one.is_usable());
    }

    #[test]
    fn a_seat_is_given_back_when_it_is_dropped() {
        let one = Arc::new(endpoint());
        let (first, second) = (Seat::take(&one, true), Seat::take(&one, false));
        assert_eq!(one.at_work(), 1);
        drop((first, second));
        assert_eq!(one.at_work(), 0);
    }
}
