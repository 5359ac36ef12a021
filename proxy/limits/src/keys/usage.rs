//! What a key has used, plan by plan. Made when it is first used, so that keys nobody uses cost nothing; kept when the key
//! or its plans change.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::Key;
use super::row::Row;
use super::slot::{Slot, SlotRef, Tokens};
use crate::bucket::Cell;
use crate::clients::Client;
use crate::meter::{Label, Meter};
use crate::plans::UsagePlan;
use crate::time::Nanos;

/// See the module's text.
#[derive(Debug)]
pub struct KeyUsage {
    /// Who the key is in tables of clients.
    client: Client,
    label: Label,
    slots: ArcSwap<Vec<SlotRef>>,
    turn: Mutex<()>,
}

/// A seat for a new slot, where a key has one.
pub(super) type Seat<'a> = Option<(&'a Arc<Row>, u32)>;

impl KeyUsage {
    /// Nothing, of a key that has no usage yet. Its values are one client: that of the value it had first, so that who has
    /// only that knows it before the key is found.
    pub(super) fn of(key: &Key) -> Self {
        Self {
            client: key.hash.client(),
            label: Label::new(&key.name),
            slots: ArcSwap::default(),
            turn: Mutex::default(),
        }
    }

    /// The key has this name now.
    pub(super) fn rename(&self, name: &str) {
        self.label.set(name);
    }

    /// The slot of a plan, as the snapshot with this number has the plan. Without a lock, but for the first time and the
    /// first time after the plan has changed: then `made` is called with a meter that is new.
    ///
    /// A request that still has an older snapshot gets what a newer one has made of the slot.
    pub(super) fn slot(
        &self,
        (key, seat): (&Key, Seat<'_>),
        plan: &UsagePlan,
        snapshot: u64,
        now: Nanos,
        made: impl FnOnce(&Arc<Meter>),
    ) -> SlotRef {
        let slots = self.slots.load();
        match slots.iter().find(|slot| slot.is_current(plan, snapshot)) {
            Some(slot) => slot.clone(),
            None => self.renew((key, seat), plan, snapshot, now, made),
        }
    }

    #[cold]
    fn renew(
        &self,
        (key, seat): (&Key, Seat<'_>),
        plan: &UsagePlan,
        snapshot: u64,
        now: Nanos,
        made: impl FnOnce(&Arc<Meter>),
    ) -> SlotRef {
        let _turn = self.turn.lock();
        let slots = self.slots.load();
        let old = slots.iter().find(|slot| slot.plan() == plan.id);
        if let Some(slot) = old.filter(|slot| slot.is_current(plan, snapshot)) {
            return slot.clone();
        }
        let tokens = match (&plan.terms.measure, old.and_then(SlotRef::with_tokens)) {
            (Some(measure), Some(holder)) => match holder.parts() {
                Some(old) if old.0.throttle != measure.throttle => {
                    let cell = Cell::full();
                    measure.inherit(&cell, old, now);
                    Tokens::Here(cell)
                }
                _ => Tokens::Of(holder.clone()),
            },
            _ => Tokens::Here(Cell::full()),
        };
        let meter = match old {
            Some(old) => {
                old.meter.set_quota(plan.terms.quota);
                Arc::clone(&old.meter)
            }
            None => {
                let meter = Arc::new(Meter::new(&plan.name, &key.id, plan.terms.quota).with_label(&self.label));
                made(&meter);
                meter
            }
        };
        let slot = Slot::new(Arc::clone(&plan.terms), tokens, snapshot, self.client, meter);
        let slot = match seat {
            Some((row, at)) => row.seat(at, slot),
            None => SlotRef::alone(Arc::new(slot)),
        };
        let mut next: Vec<_> = slots.iter().filter(|slot| slot.plan() != plan.id).cloned().collect();
        next.push(slot.clone());
        self.slots.store(Arc::new(next));
        if let Some(old) = old {
            old.supersede();
        }
        slot
    }

    /// The slots that there are.
    #[must_use]
    pub fn slots(&self) -> Arc<Vec<SlotRef>> {
        self.slots.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyHash;
    use crate::period::Period;
    use crate::plans::{PlanId, PlanSet, Reach};
    use crate::quota::{Counts, Quota};
    use crate::throttle::Throttle;
    use crate::ticket::{LevelKind, Levels};

    fn plan(rate: f64, limit: u64) -> UsagePlan {
        let quota = Quota { limit, offset: 0, period: Period::Day, lease: 1, counts: Counts::default() };
        UsagePlan::new(PlanId(3), "p".into(), Throttle::new(rate, 10).ok(), Some(quota), Reach::All)
    }

    fn remaining(slot: &SlotRef) -> u32 {
        let (measure, cell) = slot.with_tokens().unwrap().parts().unwrap();
        measure.remaining(cell, Nanos::ZERO)
    }

    fn spend(slot: &SlotRef, cost: u32) {
        Levels::new().with_slot(LevelKind::Key, slot).reserve(Nanos::ZERO, cost).unwrap().commit();
    }

    #[test]
    fn two_values_of_a_key_have_one_bucket_over_changes() {
        let of = |value: &[u8]| Key::new(KeyHash::of(value), "k", "k", PlanSet::default());
        let earlier = of(b"earlier");
        let later = of(b"later").that_continues(&earlier);
        let slot = |key: &Key, plan: &UsagePlan, snapshot| key.slot(plan, snapshot);
        let first = slot(&earlier, &plan(1.0, 5), 1);
        spend(&first, 10);
        // The plan changes and changes back, and only one of the values is used meanwhile.
        assert_eq!(remaining(&slot(&later, &plan(2.0, 5), 2)), 0);
        let back = slot(&later, &plan(1.0, 5), 3);
        let known = slot(&earlier, &plan(1.0, 5), 3);
        assert!(back.is(&known) && !first.is(&known));
        assert_eq!(remaining(&known), 0);
        // Another quota is another slot with the same tokens.
        let quota = slot(&earlier, &plan(1.0, 6), 4);
        assert!(!quota.is(&known) && quota.with_tokens().unwrap().is(known.with_tokens().unwrap()));
        assert!(quota.is(&slot(&later, &plan(1.0, 6), 4)));
        assert_eq!(quota.quota().unwrap().limit, 6);
    }

    #[test]
    fn a_slot_stays_and_remembers() {
        let key = Key::new(KeyHash::of(b"value"), "k", "k", PlanSet::default());
        let (usage, of) = (KeyUsage::of(&key), (&key, None));
        let mut made = 0;
        let first = usage.slot(of, &plan(1.0, 5), 1, Nanos::ZERO, |_| made += 1);
        spend(&first, 4);
        let again = usage.slot(of, &plan(1.0, 5), 2, Nanos::ZERO, |_| made += 1);
        assert!(first.is(&again));
        let changed = usage.slot(of, &plan(2.0, 6), 3, Nanos::ZERO, |_| made += 1);
        assert_eq!(remaining(&changed), 6);
        assert!(Arc::ptr_eq(&first.meter, &changed.meter));
        assert_eq!(changed.meter.quota().unwrap().limit, 6);
        // A request of the snapshot before does not turn it back.
        let late = usage.slot(of, &plan(1.0, 5), 2, Nanos::ZERO, |_| made += 1);
        assert!(changed.is(&late));
        assert_eq!((made, usage.slots().len()), (1, 1));
    }
}
