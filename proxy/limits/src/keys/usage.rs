//! What a key has used, plan by plan. Made when it is first used, so that keys nobody uses cost nothing; kept when the key
//! or its plans change.

use std::sync::Arc;

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
    /// The key's tokens, if the plan has a throttle.
    pub bucket: Option<Arc<Bucket>>,
    /// The key's requests.
    pub meter: Arc<Meter>,
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
        let bucket = plan.throttle.map(|throttle| match old.and_then(|old| old.bucket.as_ref()) {
            Some(bucket) if bucket.throttle() == throttle => Arc::clone(bucket),
            Some(bucket) => Arc::new(Bucket::carry_over(bucket, throttle, now)),
            None => Arc::new(Bucket::new(throttle, now)),
        });
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
        let slot = Arc::new(Slot { plan: plan.id, since: snapshot, throttle, quota, bucket, meter });
        let mut next: Vec<_> = slots.iter().filter(|slot| slot.plan != plan.id).cloned().collect();
        next.push(Arc::clone(&slot));
        self.slots.store(Arc::new(next));
        slot
    }

    /// The slots that there are.
    #[must_use]
    pub fn slots(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }
}

impl Slot {
    fn fits(&self, plan: &UsagePlan) -> bool {
        self.throttle == plan.throttle && self.quota == plan.quota
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn a_slot_stays_and_remembers() {
        let usage = KeyUsage::default();
        let mut made = 0;
        let first = usage.slot("k", &plan(1.0, 5), 1, Nanos::ZERO, |_| made += 1);
        let _kept = first.bucket.as_ref().unwrap().reserve(Nanos::ZERO, 4).unwrap();
        let again = usage.slot("k", &plan(1.0, 5), 2, Nanos::ZERO, |_| made += 1);
        assert!(Arc::ptr_eq(&first, &again));
        let changed = usage.slot("k", &plan(2.0, 6), 3, Nanos::ZERO, |_| made += 1);
        assert_eq!(changed.bucket.as_ref().unwrap().remaining(Nanos::ZERO), 6);
        assert!(Arc::ptr_eq(&first.meter, &changed.meter));
        assert_eq!(changed.meter.quota().unwrap().limit, 6);
        // A request of the snapshot before does not turn it back.
        let late = usage.slot("k", &plan(1.0, 5), 2, Nanos::ZERO, |_| made += 1);
        assert!(Arc::ptr_eq(&changed, &late));
        assert_eq!((made, usage.slots().len()), (1, 1));
    }
}
