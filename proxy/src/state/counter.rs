//! What a store keeps for one key in one plan, and how leases are decided. Must not know any store.
//!
//! Clocks go wrong: one request while a clock was years ahead must not close a quota until then, and what was counted before
//! must still be known when the clock is right again. So each period has a count of its own, and the last few are kept. Of a
//! period whose count was dropped nothing is leased any more: so in no period can there be more than its limit, whatever
//! clocks do.

use edgeweir_limits::Lease;
use serde::{Deserialize, Serialize};

use super::store::Ask;

/// Periods that are kept.
pub(super) const KEPT: usize = 8;
/// Spans of dropped periods that are told apart. Usually it is one; each wrong clock that was so for long makes one more.
pub(super) const GONE: usize = 8;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    /// Number of the key's first period.
    pub first: u32,
    /// Periods that may have been dropped, from and to, both included; at most [`GONE`], in order and apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<(u32, u32)>,
    /// Number of a period, and what of its limit is leased; at most [`KEPT`].
    pub periods: Vec<(u32, u64)>,
}

impl Counter {
    /// A counter that begins with a period.
    #[must_use]
    pub(super) const fn starting(number: u32) -> Self {
        Self { first: number, gone: Vec::new(), periods: Vec::new() }
    }

    /// The counter that earlier versions kept as two periods.
    #[must_use]
    pub(super) fn of_two(first: u32, latest: (u32, u64), before: (u32, u64)) -> Self {
        let periods = [before, latest].into_iter().filter(|(number, _)| *number > 0).collect();
        let gone = before.0.checked_sub(1).map(|last| (0, last));
        Self { first, gone: gone.into_iter().collect(), periods }
    }

    /// What is leased of a period; none if that may have been forgotten.
    fn of(&mut self, number: u32) -> Option<&mut u64> {
        let at = match self.periods.iter().position(|(of, _)| *of == number) {
            Some(at) => at,
            None => {
                if self.gone.iter().any(|(from, to)| (*from..=*to).contains(&number)) {
                    return None;
                }
                self.make_room(number);
                self.periods.push((number, 0));
                self.periods.len() - 1
            }
        };
        self.periods.get_mut(at).map(|(_, leased)| leased)
    }

    /// Drops the period that is furthest from this one, if there are too many.
    fn make_room(&mut self, number: u32) {
        if self.periods.len() < KEPT {
            return;
        }
        let furthest = (0..self.periods.len()).max_by_key(|&at| self.periods[at].0.abs_diff(number));
        let Some((dropped, _)) = furthest.map(|at| self.periods.swap_remove(at)) else { return };
        self.gone.push((dropped, dropped));
        self.gone.sort_unstable();
        // Those without a period between are one; of too many the two that are nearest to each other.
        self.gone.dedup_by(|next, span| {
            let touches = next.0 <= span.1.saturating_add(1);
            span.1 = if touches { span.1.max(next.1) } else { span.1 };
            touches
        });
        while self.gone.len() > GONE {
            let gaps = self.gone.windows(2).map(|pair| pair[1].0 - pair[0].1);
            let Some((at, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else { return };
            let (_, to) = self.gone.remove(at + 1);
            self.gone[at].1 = to;
        }
    }

    /// Books what was owed and given back, then leases. A period that was dropped has nothing.
    pub(super) fn lease(&mut self, ask: &Ask, nodes: u64) -> Lease {
        let first = self.first;
        let Some(leased) = self.of(ask.number) else {
            return Lease { period: ask.number, granted: 0, limit: 0, leased: 0 };
        };
        *leased = leased.saturating_sub(ask.returned).saturating_add(ask.owed);
        let limit = ask.quota.limit_in(ask.number, first);
        let left = limit.saturating_sub(*leased);
        // What the meter has is a part of its lease: never more than the lease lies unused.
        let granted = ask.quota.lease_of(left, nodes).saturating_sub(ask.left);
        *leased += granted;
        Lease { period: ask.number, granted, limit, leased: *leased }
    }

    /// Takes back what was not used.
    pub(super) fn give_back(&mut self, number: u32, count: u64) {
        if let Some((_, leased)) = self.periods.iter_mut().find(|(of, _)| *of == number) {
            *leased = leased.saturating_sub(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use edgeweir_limits::{Counts, Period, Quota};
    use proptest::prelude::*;

    use super::*;

    fn ask(number: u32, left: u64, owed: u64, returned: u64) -> Ask {
        let quota = Quota { limit: 100, offset: 40, period: Period::Day, lease: 10, counts: Counts::default() };
        Ask { plan: "p".into(), key: "k".into(), number, quota, left, owed, returned }
    }

    #[test]
    fn leases_are_counted_by_period() {
        let mut counter = Counter::starting(5);
        let mut lease = |ask: Ask, nodes| {
            let Lease { granted, limit, leased, .. } = counter.lease(&ask, nodes);
            (granted, limit, leased)
        };
        assert_eq!(lease(ask(5, 0, 0, 0), 1), (10, 60, 10), "the first period has less");
        assert_eq!(lease(ask(5, 4, 0, 0), 1), (6, 60, 16), "what is left is a part of the lease");
        assert_eq!(lease(ask(5, 0, 42, 0), 1), (1, 60, 59), "owed, and near the limit");
        assert_eq!(lease(ask(5, 0, 5, 0), 1), (0, 60, 64), "owed beyond the limit");
        assert_eq!(lease(ask(5, 0, 0, 6), 1), (1, 60, 59));
        assert_eq!(lease(ask(6, 0, 0, 0), 1), (10, 100, 10), "the next period has all");
        assert_eq!(lease(ask(6, 0, 0, 0), 30), (2, 100, 12), "shared by many");
        assert_eq!(lease(ask(5, 0, 0, 0), 1), (1, 60, 60), "a clock that went back");
        counter.give_back(6, 10);
        counter.give_back(5, 1);
        counter.give_back(7, 9);
        assert_eq!(counter, Counter { first: 5, gone: vec![], periods: vec![(5, 59), (6, 2)] });
    }

    #[test]
    fn what_is_long_over_has_nothing() {
        let mut counter = Counter::of_two(3, (6, 50), (5, 60));
        assert_eq!(counter.lease(&ask(4, 0, 0, 0), 1).limit, 0, "it may have been leased before");
        assert_eq!(counter.lease(&ask(5, 0, 0, 0), 1).leased, 70);
        for number in 7..20 {
            assert_eq!(counter.lease(&ask(number, 0, 0, 0), 1).leased, 10);
        }
        assert_eq!((counter.gone.as_slice(), counter.periods.len()), (&[(0, 11)][..], KEPT));
        assert_eq!(counter.lease(&ask(11, 0, 0, 0), 1).limit, 0);
    }

    #[test]
    fn a_clock_that_was_ahead_closes_nothing() {
        let mut counter = Counter::starting(20_000);
        for number in [20_000, 47_482, 20_000] {
            counter.lease(&ask(number, 0, 0, 0), 1);
        }
        assert_eq!(counter.lease(&ask(20_000, 0, 0, 0), 1).leased, 30, "what was counted before is known");
        for number in 20_001..20_040 {
            assert_eq!(counter.lease(&ask(number, 0, 0, 0), 1).leased, 10, "{number}");
        }
        // It was ahead for weeks.
        for number in 47_482..47_520 {
            counter.lease(&ask(number, 0, 0, 0), 1);
        }
        assert_eq!(counter.lease(&ask(20_039, 0, 0, 0), 1).limit, 0, "nobody knows any more what was leased");
        for number in 20_040..20_080 {
            assert_eq!(counter.lease(&ask(number, 0, 0, 0), 1).leased, 10, "{number}");
        }
        assert_eq!(counter.lease(&ask(47_500, 0, 0, 0), 1).limit, 0, "when it comes, its count is long gone");
    }

    proptest! {
        /// Whatever the clock does, no period gives out more than its limit; and as long as it is in a few periods only,
        /// each of them has all of it.
        #[test]
        fn no_period_has_more_than_its_limit(numbers in prop::collection::vec((0_usize..4, 1_u32..12), 1..300)) {
            let mut counter = Counter::starting(500);
            let (mut granted, mut periods) = (BTreeMap::<u32, u64>::new(), BTreeSet::new());
            for (century, day) in numbers {
                let number = [0, 500, 520, 90_000][century] + day;
                periods.insert(number);
                let lease = counter.lease(&ask(number, 0, 0, 0), 1);
                let sum = granted.entry(number).or_default();
                *sum += lease.granted;
                prop_assert!(*sum <= 100 && counter.periods.len() <= KEPT && counter.gone.len() <= GONE);
                if periods.len() <= KEPT {
                    prop_assert_eq!((*sum, lease.limit), (lease.leased, 100));
                    prop_assert!(lease.granted > 0 || *sum == 100);
                }
            }
            for fresh in [100, 700, 60_000, 100_000] {
                prop_assert_eq!(counter.lease(&ask(fresh, 0, 0, 0), 1).leased, 10, "{}: {:?}", fresh, counter.gone);
            }
        }
    }
}
