//! What a key has used, plan by plan. Made when it is first used, so that keys nobody uses cost nothing; kept when the key
//! or its plans change.
//!
//! With a million keys each look at another piece of memory waits for it. So a slot has its tokens in itself, and a table of
//! keys knows where a key's slot is before it knows the key (`table`): both are fetched at once.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::bucket::{Cell, Measure};
use crate::meter::Meter;
use crate::plans::{PlanId, Terms, UsagePlan};
use crate::quota::Quota;
use crate::time::Nanos;

/// A key in one plan: all that a check reads of it is in one line of memory, and only that line is its own.
#[derive(Debug)]
pub struct Slot {
    terms: Arc<Terms>,
    tokens: Tokens,
    /// The snapshot whose terms these are, or [`SUPERSEDED`].
    since: AtomicU64,
    /// The key's requests.
    pub meter: Arc<Meter>,
}

/// In the place of a snapshot's number: there is a newer slot.
const SUPERSEDED: u64 = u64::MAX;

/// The key's tokens in a plan.
#[derive(Debug)]
enum Tokens {
    /// They are here.
    Here(Cell),
    /// They are those of a slot before, whose throttle was the same.
    Of(Arc<Slot>),
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct KeyUsage {
    slots: ArcSwap<Vec<Arc<Slot>>>,
    turn: Mutex<()>,
}

impl KeyUsage {
    /// The slot of a plan, as the snapshot with this number has the plan. Without a lock, but for the first time and the
    /// first time after the plan has changed: then `made` is called with a meter that is new.
    ///
    /// A request that still has an older snapshot gets what a newer one has made of the slot.
    pub(super) fn slot(
        &self,
        key: &str,
        plan: &UsagePlan,
        snapshot: u64,
        now: Nanos,
        made: impl FnOnce(&Arc<Meter>),
    ) -> Arc<Slot> {
        let slots = self.slots.load();
        match slots.iter().find(|slot| slot.is_current(plan, snapshot)) {
            Some(slot) => Arc::clone(slot),
            None => self.renew(key, plan, snapshot, now, made),
        }
    }

    #[cold]
    fn renew(
        &self,
        key: &str,
        plan: &UsagePlan,
        snapshot: u64,
        now: Nanos,
        made: impl FnOnce(&Arc<Meter>),
    ) -> Arc<Slot> {
        let _turn = self.turn.lock();
        let slots = self.slots.load();
        let old = slots.iter().find(|slot| slot.terms.plan == plan.id);
        if let Some(slot) = old.filter(|slot| slot.is_current(plan, snapshot)) {
            return Arc::clone(slot);
        }
        let tokens = match (&plan.terms.measure, old.and_then(Slot::with_tokens)) {
            (Some(measure), Some(holder)) => match holder.parts() {
                Some(old) if old.0.throttle != measure.throttle => {
                    let cell = Cell::full();
                    measure.inherit(&cell, old, now);
                    Tokens::Here(cell)
                }
                _ => Tokens::Of(Arc::clone(holder)),
            },
            _ => Tokens::Here(Cell::full()),
        };
        let meter = match old {
            Some(old) => {
                old.meter.set_quota(plan.terms.quota);
                Arc::clone(&old.meter)
            }
            None => {
                let meter = Arc::new(Meter::new(&plan.name, key, plan.terms.quota));
                made(&meter);
                meter
            }
        };
        let slot = Arc::new(Slot { terms: Arc::clone(&plan.terms), tokens, since: AtomicU64::new(snapshot), meter });
        let mut next: Vec<_> = slots.iter().filter(|slot| slot.terms.plan != plan.id).cloned().collect();
        next.push(Arc::clone(&slot));
        self.slots.store(Arc::new(next));
        if let Some(old) = old {
            old.since.store(SUPERSEDED, Release);
        }
        slot
    }

    /// The slots that there are.
    #[must_use]
    pub fn slots(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }
}

impl Slot {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> PlanId {
        self.terms.plan
    }

    /// The quota of the plan.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.terms.quota
    }

    /// The slot that has the tokens in itself, if the plan has a throttle.
    #[inline]
    pub(crate) fn with_tokens(self: &Arc<Self>) -> Option<&Arc<Self>> {
        self.terms.measure.as_ref()?;
        match &self.tokens {
            Tokens::Here(_) => Some(self),
            Tokens::Of(holder) => Some(holder),
        }
    }

    /// The tokens, of a slot that has them in itself.
    #[inline]
    pub(crate) fn parts(&self) -> Option<(&Measure, &Cell)> {
        match &self.tokens {
            Tokens::Here(cell) => Some((self.terms.measure.as_ref()?, cell)),
            Tokens::Of(_) => None,
        }
    }

    /// Whether this is the slot of a plan, as the snapshot with this number has the plan. A newer snapshot's is.
    #[inline]
    pub(super) fn is_current(&self, plan: &UsagePlan, snapshot: u64) -> bool {
        let since = self.since.load(Acquire);
        since != SUPERSEDED && self.terms.plan == plan.id && (since >= snapshot || self.terms.agree(&plan.terms))
    }

    /// Whether there is a newer one.
    #[inline]
    pub(super) fn is_superseded(&self) -> bool {
        self.since.load(Acquire) == SUPERSEDED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Key, KeyHash};
    use crate::period::Period;
    use crate::plans::Reach;
    use crate::quota::Counts;
    use crate::throttle::Throttle;
    use crate::ticket::{LevelKind, Levels};

    fn plan(rate: f64, limit: u64) -> UsagePlan {
        let quota = Quota { limit, offset: 0, period: Period::Day, lease: 1, counts: Counts::default() };
        UsagePlan::new(PlanId(3), "p".into(), Throttle::new(rate, 10).ok(), Some(quota), Reach::All)
    }

    fn remaining(slot: &Arc<Slot>) -> u32 {
        let (measure, cell) = slot.with_tokens().unwrap().parts().unwrap();
        measure.remaining(cell, Nanos::ZERO)
    }

    fn spend(slot: &Arc<Slot>, cost: u32) {
        Levels::new().with_slot(LevelKind::Key, slot).reserve(Nanos::ZERO, cost).unwrap().commit();
    }

    #[test]
    fn two_values_of_a_key_have_one_bucket_over_changes() {
        let of = |value: &[u8]| Key::new(KeyHash::of(value), "k", "k", Arc::from([]));
        let earlier = of(b"earlier");
        let later = of(b"later").that_continues(&earlier);
        let slot = |key: &Key, plan: &UsagePlan, snapshot| key.slot(plan, snapshot, Nanos::ZERO, |_| {});
        let first = slot(&earlier, &plan(1.0, 5), 1);
        spend(&first, 10);
        // The plan changes and changes back, and only one of the values is used meanwhile.
        assert_eq!(remaining(&slot(&later, &plan(2.0, 5), 2)), 0);
        let back = slot(&later, &plan(1.0, 5), 3);
        let known = slot(&earlier, &plan(1.0, 5), 3);
        assert!(Arc::ptr_eq(&back, &known) && !Arc::ptr_eq(&first, &known));
        assert_eq!(remaining(&known), 0);
        // Another quota is another slot with the same tokens.
        let quota = slot(&earlier, &plan(1.0, 6), 4);
        assert!(
            !Arc::ptr_eq(&quota, &known) && Arc::ptr_eq(quota.with_tokens().unwrap(), known.with_tokens().unwrap())
        );
        assert!(Arc::ptr_eq(&quota, &slot(&later, &plan(1.0, 6), 4)));
        assert_eq!(quota.quota().unwrap().limit, 6);
    }

    #[test]
    fn a_slot_stays_and_remembers() {
        let usage = KeyUsage::default();
        let mut made = 0;
        let first = usage.slot("k", &plan(1.0, 5), 1, Nanos::ZERO, |_| made += 1);
        spend(&first, 4);
        let again = usage.slot("k", &plan(1.0, 5), 2, Nanos::ZERO, |_| made += 1);
        assert!(Arc::ptr_eq(&first, &again));
        let changed = usage.slot("k", &plan(2.0, 6), 3, Nanos::ZERO, |_| made += 1);
        assert_eq!(remaining(&changed), 6);
        assert!(Arc::ptr_eq(&first.meter, &changed.meter));
        assert_eq!(changed.meter.quota().unwrap().limit, 6);
        // A request of the snapshot before does not turn it back.
        let late = usage.slot("k", &plan(1.0, 5), 2, Nanos::ZERO, |_| made += 1);
        assert!(Arc::ptr_eq(&changed, &late));
        assert_eq!((made, usage.slots().len()), (1, 1));
    }
}
