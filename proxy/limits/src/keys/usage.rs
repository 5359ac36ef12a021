//! What a key has used, plan by plan. Made when it is first used, so that keys nobody uses cost nothing; kept when the key
//! or its plans change.
//!
//! With a million keys each look at another piece of memory waits for it. So a slot has its tokens in itself, and a key
//! knows the slot that it used first (`Key::slot`), not only the list of all.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::bucket::Bucket;
use crate::meter::Meter;
use crate::plans::{PlanId, UsagePlan};
use crate::quota::Quota;
use crate::throttle::Throttle;
use crate::time::Nanos;

/// A key in one plan.
#[derive(Debug)]
pub struct Slot {
    /// The plan.
    pub plan: PlanId,
    /// The snapshot whose parameters these are.
    since: u64,
    throttle: Option<Throttle>,
    /// The quota of the plan.
    pub quota: Option<Quota>,
    tokens: Tokens,
    /// There is a newer one.
    superseded: AtomicBool,
    /// The key's requests.
    pub meter: Arc<Meter>,
}

/// The key's tokens in a plan.
#[derive(Debug)]
enum Tokens {
    /// The plan has no throttle.
    Unlimited,
    /// They are here.
    Here(Bucket),
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
        match slots.iter().find(|slot| slot.plan == plan.id) {
            Some(slot) if slot.since >= snapshot || slot.fits(plan) => Arc::clone(slot),
            _ => self.renew(key, plan, snapshot, now, made),
        }
    }

    /// Whether a slot is what [`KeyUsage::slot`] would find.
    pub(super) fn is_current(slot: &Slot, plan: &UsagePlan, snapshot: u64) -> bool {
        slot.plan == plan.id && !slot.superseded.load(Acquire) && (slot.since >= snapshot || slot.fits(plan))
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
        let old = slots.iter().find(|slot| slot.plan == plan.id);
        if let Some(slot) = old.filter(|slot| slot.since >= snapshot || slot.fits(plan)) {
            return Arc::clone(slot);
        }
        let tokens = match (plan.throttle, old.and_then(Slot::with_tokens)) {
            (None, _) => Tokens::Unlimited,
            (Some(throttle), Some(holder)) => match holder.bucket() {
                Some(bucket) if bucket.throttle() != throttle => {
                    Tokens::Here(Bucket::carry_over(bucket, throttle, now))
                }
                _ => Tokens::Of(Arc::clone(holder)),
            },
            (Some(throttle), None) => Tokens::Here(Bucket::new(throttle, now)),
        };
        let meter = match old {
            Some(old) => {
                old.meter.set_quota(plan.quota);
                Arc::clone(&old.meter)
            }
            None => {
                let meter = Arc::new(Meter::new(&plan.name, key, plan.quota));
                made(&meter);
                meter
            }
        };
        let (throttle, quota) = (plan.throttle, plan.quota);
        let superseded = AtomicBool::new(false);
        let slot = Arc::new(Slot { plan: plan.id, since: snapshot, throttle, quota, tokens, superseded, meter });
        let mut next: Vec<_> = slots.iter().filter(|slot| slot.plan != plan.id).cloned().collect();
        next.push(Arc::clone(&slot));
        self.slots.store(Arc::new(next));
        if let Some(old) = old {
            old.superseded.store(true, Release);
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
    /// The key's tokens, if the plan has a throttle.
    #[must_use]
    pub fn bucket(&self) -> Option<&Bucket> {
        match &self.tokens {
            Tokens::Unlimited => None,
            Tokens::Here(bucket) => Some(bucket),
            Tokens::Of(holder) => holder.bucket(),
        }
    }

    /// The slot that has the tokens in itself, if the plan has a throttle.
    #[must_use]
    pub fn with_tokens(self: &Arc<Self>) -> Option<&Arc<Self>> {
        match &self.tokens {
            Tokens::Unlimited => None,
            Tokens::Here(_) => Some(self),
            Tokens::Of(holder) => Some(holder),
        }
    }

    fn fits(&self, plan: &UsagePlan) -> bool {
        self.throttle == plan.throttle && self.quota == plan.quota
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Key, KeyHash};
    use crate::period::Period;
    use crate::plans::Reach;
    use crate::quota::Counts;

    fn plan(rate: f64, limit: u64) -> UsagePlan {
        UsagePlan {
            id: PlanId(3),
            name: "p".into(),
            throttle: Throttle::new(rate, 10).ok(),
            quota: Some(Quota { limit, offset: 0, period: Period::Day, lease: 1, counts: Counts::default() }),
            distributions: Reach::All,
        }
    }

    #[test]
    fn two_values_of_a_key_have_one_bucket_over_changes() {
        let of = |value: &[u8]| Key::new(KeyHash::of(value), "k", "k", Arc::from([]));
        let earlier = of(b"earlier");
        let later = of(b"later").that_continues(&earlier);
        let slot = |key: &Key, plan: &UsagePlan, snapshot| key.slot(plan, snapshot, Nanos::ZERO, |_| {});
        let first = slot(&earlier, &plan(1.0, 5), 1);
        let _kept = first.bucket().unwrap().reserve(Nanos::ZERO, 10).unwrap();
        // The plan changes and changes back, and only one of the values is used meanwhile.
        assert_eq!(slot(&later, &plan(2.0, 5), 2).bucket().unwrap().remaining(Nanos::ZERO), 0);
        let back = slot(&later, &plan(1.0, 5), 3);
        let known = slot(&earlier, &plan(1.0, 5), 3);
        assert!(Arc::ptr_eq(&back, &known) && !Arc::ptr_eq(&first, &known));
        assert_eq!(known.bucket().unwrap().remaining(Nanos::ZERO), 0);
        // Another quota is another slot with the same tokens.
        let quota = slot(&earlier, &plan(1.0, 6), 4);
        assert!(!Arc::ptr_eq(&quota, &known) && std::ptr::eq(quota.bucket().unwrap(), known.bucket().unwrap()));
        assert!(Arc::ptr_eq(&quota, &slot(&later, &plan(1.0, 6), 4)));
        assert_eq!(quota.quota.unwrap().limit, 6);
    }

    #[test]
    fn a_slot_stays_and_remembers() {
        let usage = KeyUsage::default();
        let mut made = 0;
        let first = usage.slot("k", &plan(1.0, 5), 1, Nanos::ZERO, |_| made += 1);
        let _kept = first.bucket().unwrap().reserve(Nanos::ZERO, 4).unwrap();
        let again = usage.slot("k", &plan(1.0, 5), 2, Nanos::ZERO, |_| made += 1);
        assert!(Arc::ptr_eq(&first, &again));
        let changed = usage.slot("k", &plan(2.0, 6), 3, Nanos::ZERO, |_| made += 1);
        assert_eq!(changed.bucket().unwrap().remaining(Nanos::ZERO), 6);
        assert!(Arc::ptr_eq(&first.meter, &changed.meter));
        assert_eq!(changed.meter.quota().unwrap().limit, 6);
        // A request of the snapshot before does not turn it back.
        let late = usage.slot("k", &plan(1.0, 5), 2, Nanos::ZERO, |_| made += 1);
        assert!(Arc::ptr_eq(&changed, &late));
        assert_eq!((made, usage.slots().len()), (1, 1));
    }
}
