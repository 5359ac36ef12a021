//! Which address of an origin a request goes to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use edgeweir_config::{Balance, OriginPool};

use super::endpoint::{Endpoint, Probe};

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Addresses that failed it.
    pub tried: &'a [SocketAddr],
    /// Whether it may try an address that was left out.
    pub probe: Probe,
    /// An address that is left out will do, and one that was tried, if there is no other.
    pub any: bool,
}

/// Chooses; whether it is a probe, too. `now` is asked for only if an address is left out.
pub(super) fn choose(
    endpoints: &[Arc<Endpoint>],
    pool: &OriginPool,
    turn: &AtomicUsize,
    asking: Asking<'_>,
    now: impl FnOnce() -> u64,
) -> Option<(Arc<Endpoint>, bool)> {
    let is_new = |endpoint: &&Arc<Endpoint>| !asking.tried.contains(&endpoint.address);
    if asking.probe != Probe::No && endpoints.iter().any(|endpoint| !endpoint.is_usable()) {
        // Somebody has to find out whether it works again.
        let now = now();
        let due = endpoints.iter().filter(is_new).find(|endpoint| endpoint.take_probe(asking.probe, now, pool));
        if let Some(due) = due {
            return Some((Arc::clone(due), true));
        }
    }
    let start = if endpoints.len() > 1 { turn.fetch_add(1, Ordering::Relaxed) % endpoints.len() } else { 0 };
    let (late, early) = endpoints.split_at_checked(start)?;
    let in_turn = || early.iter().chain(late);
    let mut usable = in_turn().filter(|endpoint| endpoint.is_usable()).filter(is_new);
    let found = match pool.balance {
        Balance::RoundRobin => usable.next(),
        // Of equals the first in turn.
        Balance::LeastOutstanding => usable.min_by_key(|endpoint| endpoint.at_work()),
    };
    let any = || asking.any.then(|| in_turn().find(is_new).or_else(|| in_turn().next())).flatten();
    found.or_else(any).map(|endpoint| (Arc::clone(endpoint), false))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::origin::endpoint::Seat;

    fn pool(balance: Balance) -> OriginPool {
        OriginPool {
            addresses: Vec::new(),
            balance,
            eject_after: 1,
            eject_for: Duration::from_secs(10),
            max_requests: None,
            max_idle_connections: None,
            queue: Duration::ZERO,
        }
    }

    fn three() -> Vec<Arc<Endpoint>> {
        (1..=3).map(|last| Arc::new(Endpoint::new(([10, 0, 0, last], 80).into()))).collect()
    }

    fn last_byte(chosen: Option<(Arc<Endpoint>, bool)>) -> (u8, bool) {
        let (endpoint, probe) = chosen.unwrap();
        match endpoint.address {
            SocketAddr::V4(address) => (address.ip().octets()[3], probe),
            SocketAddr::V6(_) => panic!("all are IPv4"),
        }
    }

    const PLAIN: Asking<'static> = Asking { tried: &[], probe: Probe::Due, any: true };

    #[test]
    fn one_after_the_other() {
        let (all, pool, turn) = (three(), pool(Balance::RoundRobin), AtomicUsize::new(0));
        let next = || last_byte(choose(&all, &pool, &turn, PLAIN, || 0)).0;
        assert_eq!([next(), next(), next(), next()], [1, 2, 3, 1]);
    }

    #[test]
    fn what_is_left_out_or_was_tried_is_passed_over_and_never_all_are() {
        let (all, pool, turn) = (three(), pool(Balance::RoundRobin), AtomicUsize::new(0));
        all[1].failed(0, &pool);
        let asking = Asking { tried: &[all[0].address], ..PLAIN };
        for _ in 0..5 {
            assert_eq!(last_byte(choose(&all, &pool, &turn, asking, || 1)), (3, false));
        }
        all[2].failed(0, &pool);
        assert!(choose(&all, &pool, &turn, Asking { any: false, ..asking }, || 1).is_none());
        assert_ne!(last_byte(choose(&all, &pool, &turn, asking, || 1)).0, 1, "one that was not tried goes before");
        let tried: Vec<SocketAddr> = all.iter().map(|one| one.address).collect();
        assert!(choose(&all, &pool, &turn, Asking { tried: &tried, ..PLAIN }, || 1).is_some());
    }

    #[test]
    fn one_request_tries_what_is_due() {
        let (all, pool, turn) = (three(), pool(Balance::RoundRobin), AtomicUsize::new(0));
        all[1].failed(0, &pool);
        let late = || 11_000_000_000;
        let overdue = Asking { probe: Probe::Overdue, ..PLAIN };
        assert!(!last_byte(choose(&all, &pool, &turn, overdue, late)).1);
        assert_eq!(last_byte(choose(&all, &pool, &turn, PLAIN, late)), (2, true));
        assert!(!last_byte(choose(&all, &pool, &turn, PLAIN, late)).1, "only one");
    }

    #[test]
    fn the_one_with_the_fewest_requests_and_of_equals_in_turn() {
        let (all, pool, turn) = (three(), pool(Balance::LeastOutstanding), AtomicUsize::new(0));
        let next = || last_byte(choose(&all, &pool, &turn, PLAIN, || 0)).0;
        assert_eq!([next(), next(), next()], [1, 2, 3]);
        let busy = (Seat::take(&all[0], true), Seat::take(&all[2], true));
        assert_eq!([next(), next(), next()], [2, 2, 2]);
        drop(busy);
        assert_eq!(next(), 1);
    }
}
