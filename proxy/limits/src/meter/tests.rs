use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;
use crate::period::Period;
use crate::quota::Counts;

fn quota(limit: u64, lease: u64) -> Quota {
    Quota { limit, offset: 0, period: Period::Day, lease, counts: Counts::default() }
}

fn metered(quota: Option<Quota>) -> Meter {
    Meter::new(&Arc::from("plan"), "key", quota)
}

/// A store: what is leased of a limit.
fn serve(meter: &Meter, period: u32, leased: &mut u64) -> u64 {
    let demand = meter.demand(period).unwrap();
    let left = demand.quota.limit.saturating_sub(*leased);
    let wanted = demand.quota.lease_of(left, 1);
    let granted = wanted.min(demand.quota.lease.saturating_sub(demand.left).max(1)).min(left);
    *leased += granted + demand.owed;
    meter.grant(Lease { period, granted, limit: demand.quota.limit, leased: *leased }, &demand);
    granted
}

/// A lease without more ado.
fn grant(meter: &Meter, period: u32, granted: u64, limit: u64, leased: u64) {
    let demand = meter.demand(period).unwrap();
    meter.grant(Lease { period, granted, limit, leased }, &demand);
}

#[test]
fn a_lease_is_asked_for_once_and_used_up() {
    let meter = metered(Some(quota(10, 4)));
    assert_eq!(meter.take(5), Take::Empty { ask: true });
    assert_eq!(meter.take(5), Take::Empty { ask: false });
    grant(&meter, 5, 4, 10, 4);
    assert_eq!([meter.take(5), meter.take(5), meter.take(5)], [Take::Taken, Take::Taken, Take::Low]);
    assert_eq!(meter.take(5), Take::Taken);
    assert_eq!(meter.take(5), Take::Empty { ask: false });
    assert_eq!(meter.standing(), Some(MeterStanding { period: 5, limit: 10, used: 4 }));
    meter.not_granted();
    assert_eq!(meter.take(5), Take::Empty { ask: true });
}

#[test]
fn a_limit_that_is_reached_is_known_until_the_next_period() {
    let meter = metered(Some(quota(1, 4)));
    grant(&meter, 5, 1, 1, 1);
    assert_eq!([meter.take(5), meter.take(5)], [Take::Taken, Take::Spent]);
    meter.give_back(5);
    assert_eq!([meter.take(5), meter.take(5)], [Take::Taken, Take::Spent]);
    assert_eq!(meter.take(6), Take::Empty { ask: true });
    meter.give_back(4);
    grant(&meter, 6, 1, 1, 1);
    meter.give_back(5);
    assert_eq!([meter.take(6), meter.take(6)], [Take::Taken, Take::Spent]);
    assert_eq!(meter.take(5), Take::Empty { ask: true }, "a clock that went back");
}

#[test]
fn another_limit_counts_at_once() {
    let meter = metered(Some(quota(10, 10)));
    grant(&meter, 5, 10, 10, 10);
    assert_eq!(meter.take(5), Take::Taken);
    meter.set_quota(Some(quota(20, 10)));
    assert!(!meter.is_spent(5));
    assert_eq!(meter.take(5), Take::Empty { ask: true });
    let demand = meter.demand(5).unwrap();
    assert_eq!((demand.left, demand.returned), (0, 9));
    // A lease for a limit that is not in force any more goes back too; the nine are booked and do not go back again.
    meter.set_quota(Some(quota(30, 10)));
    meter.grant(Lease { period: 5, granted: 3, limit: 20, leased: 4 }, &demand);
    let demand = meter.demand(5).unwrap();
    assert_eq!((demand.left, demand.returned), (0, 3));
    meter.lost_question(&demand);
    assert_eq!(meter.demand(5).unwrap().returned, 0, "the store may have heard it");
    grant(&meter, 5, 4, 30, 8);
    meter.set_quota(Some(quota(40, 10)));
    assert_eq!(meter.surrender(), Some((5, 4)), "a stop gives back what was to go back with the next question");
    grant(&meter, 5, 4, 40, 8);
    meter.set_quota(Some(Quota { period: Period::Month, ..quota(20, 10) }));
    assert_eq!(meter.demand(5).unwrap().returned, 0);
    assert_eq!(meter.surrender(), None);
}

#[test]
fn what_is_owed_is_booked() {
    let meter = metered(Some(quota(10, 4)));
    meter.owe();
    meter.owe();
    let mut leased = 0;
    assert_eq!(serve(&meter, 1, &mut leased), 4);
    assert_eq!((leased, meter.demand(1).unwrap().owed), (6, 0));
    meter.owe();
    let demand = meter.demand(1).unwrap();
    meter.owe();
    meter.lost_question(&demand);
    assert_eq!(meter.demand(1).unwrap().owed, 2, "a question without an answer forgets nothing");
}

#[test]
fn days_are_counted_apart() {
    let meter = metered(None);
    assert_eq!(meter.counted(), None);
    meter.count(10);
    meter.count(DAY - 1);
    meter.count(DAY);
    meter.count_refused(7);
    let counted = meter.counted().unwrap();
    assert_eq!(counted, Counted { requests: vec![(0, 2), (1, 1)], refused: vec![(0, 1)] });
    assert!(!meter.has_counted());
    // A clock that goes back and forth makes no more entries than there are days.
    for unix in [2 * DAY, 3 * DAY, 2 * DAY, 3 * DAY] {
        meter.count(unix);
    }
    meter.count_refused(2 * DAY);
    let counted = Counted { requests: vec![(2, 2), (3, 2)], refused: vec![(2, 1)] };
    assert_eq!(meter.counted().unwrap(), counted);
    meter.count_refused(2 * DAY);
    assert_eq!(meter.counted().unwrap(), Counted { requests: vec![], refused: vec![(2, 1)] });
}

#[test]
fn threads_never_take_more_than_the_limit() {
    let (limit, lease) = (20_000, 64);
    let meter = Arc::new(metered(Some(quota(limit, lease))));
    let admitted = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (meter, admitted) = (Arc::clone(&meter), Arc::clone(&admitted));
            std::thread::spawn(move || {
                loop {
                    match meter.take(3) {
                        Take::Taken | Take::Low => drop(admitted.fetch_add(1, Relaxed)),
                        Take::Empty { .. } => std::thread::yield_now(),
                        Take::Spent => return,
                    }
                }
            })
        })
        .collect();
    let mut leased = 0;
    while leased < limit {
        if meter.is_asked() {
            serve(&meter, 3, &mut leased);
        }
        std::thread::yield_now();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(admitted.load(Relaxed), usize::try_from(limit).unwrap());
}

proptest! {
    /// Takes, refunds, leases, crashes and new periods in any order: no period admits more than its limit, and what is
    /// missing in the end is what crashes lost.
    #[test]
    fn no_more_than_the_limit_and_no_less_than_what_crashes_lost(
        steps in prop::collection::vec(0_u8..100, 1..400),
        limit in 1_u64..60,
        lease in 1_u64..20,
    ) {
        let quota = quota(limit, lease);
        let (mut meter, mut leased, mut admitted, mut lost, mut period) = (metered(Some(quota)), 0, 0_u64, 0, 1);
        // Requests of this process that may still be given back.
        let mut open = 0_u64;
        for step in steps {
            match step {
                0..60 => match meter.take(period) {
                    Take::Taken => (admitted, open) = (admitted + 1, open + 1),
                    Take::Low => {
                        (admitted, open) = (admitted + 1, open + 1);
                        serve(&meter, period, &mut leased);
                    }
                    Take::Empty { .. } => drop(serve(&meter, period, &mut leased)),
                    Take::Spent => prop_assert_eq!(admitted + lost, limit),
                },
                60..85 if open > 0 => {
                    meter.give_back(period);
                    (admitted, open) = (admitted - 1, open - 1);
                }
                85..95 => {
                    // A crash: the store knows what is leased, nobody knows what was used.
                    lost += meter.demand(period).unwrap().left;
                    (meter, open) = (metered(Some(quota)), 0);
                }
                95..100 => (period, leased, admitted, lost, open) = (period + 1, 0, 0, 0, 0),
                _ => {}
            }
            let left = meter.demand(period).unwrap().left;
            prop_assert!(admitted + lost + left == leased && leased <= limit, "{admitted} {lost} {left} {leased}");
        }
    }

    /// Changes of the quota while a question is on its way, in any order with takes, refunds, answers and questions that are
    /// lost before or after the store has heard them: the store has counted all that was admitted or can be.
    #[test]
    fn the_store_has_counted_all_that_is_out(
        steps in prop::collection::vec((0_u8..100, 1_u64..40, 1_u64..20), 1..200),
    ) {
        let meter = metered(Some(quota(20, 10)));
        // What the store has leased, what was admitted, and the highest limit so far.
        let (mut leased, mut admitted, mut most) = (0_u64, 0_u64, 20_u64);
        // The question on its way, and once the store has heard it, the answer.
        let mut open: Option<(Demand, Option<Lease>)> = None;
        for (step, limit, lease) in steps {
            match step {
                0..35 => match meter.take(1) {
                    Take::Taken | Take::Low => admitted += 1,
                    Take::Empty { .. } | Take::Spent => {}
                },
                35..40 if admitted > 0 => {
                    meter.give_back(1);
                    admitted -= 1;
                }
                40..55 => {
                    meter.set_quota(Some(quota(limit, lease)));
                    most = most.max(limit);
                }
                55..70 if open.is_none() => open = Some((meter.demand(1).unwrap(), None)),
                70..80 => {
                    if let Some((demand, answer @ None)) = &mut open {
                        leased = leased.saturating_sub(demand.returned) + demand.owed;
                        let left = demand.quota.limit.saturating_sub(leased);
                        let granted = demand.quota.lease_of(left, 1).saturating_sub(demand.left);
                        leased += granted;
                        *answer = Some(Lease { period: 1, granted, limit: demand.quota.limit, leased });
                    }
                }
                80..95 => {
                    if let Some((demand, Some(answer))) = &open {
                        meter.grant(*answer, demand);
                        open = None;
                    }
                }
                95..100 => {
                    if let Some((demand, _)) = open.take() {
                        meter.lost_question(&demand);
                    }
                }
                _ => {}
            }
            let on_the_way = match &open {
                Some((demand, None)) => demand.returned,
                Some((_, Some(answer))) => answer.granted,
                None => 0,
            };
            let left = unpack(meter.lease.load(Relaxed)).1;
            let back = meter.books.lock().returned.map_or(0, |(_, count)| count);
            let out = admitted + left + back + on_the_way;
            prop_assert!(out <= leased && leased <= most, "{admitted} {left} {back} {on_the_way} of {leased}, {most}");
        }
    }
}
