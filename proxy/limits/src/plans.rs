//! Usage plans: what a key opens, how fast and how often. Must not know distributions and behaviors beyond their index, nor
//! hold any bucket.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::bucket::Measure;
use crate::quota::Quota;
use crate::throttle::Throttle;
use crate::time::Nanos;

/// The name of a plan, by number: the same as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanId(pub u32);

/// Usage plans that keys have, in the order of preference. Shared by all keys with the same ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanSet(Arc<SmallVec<[PlanId; 4]>>);

impl Deref for PlanSet {
    type Target = [PlanId];

    #[inline]
    fn deref(&self) -> &[PlanId] {
        &self.0
    }
}

impl FromIterator<PlanId> for PlanSet {
    fn from_iter<I: IntoIterator<Item = PlanId>>(plans: I) -> Self {
        Self(Arc::new(plans.into_iter().collect()))
    }
}

/// Numbers for the names of plans. Keys outlive configurations, and plans may be named by keys before a configuration has
/// them.
#[derive(Debug, Default)]
pub struct PlanNames {
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    ids: HashMap<Arc<str>, PlanId>,
    names: Vec<Arc<str>>,
    /// Sets of plans that keys have: few, shared by many keys.
    sets: HashMap<Box<[PlanId]>, PlanSet>,
}

impl PlanNames {
    /// The number of a name.
    pub fn id(&self, name: &str) -> PlanId {
        self.names.lock().id(name)
    }

    /// The name of a number that was given out.
    #[must_use]
    pub fn name(&self, id: PlanId) -> Arc<str> {
        let names = self.names.lock();
        usize::try_from(id.0).ok().and_then(|at| names.names.get(at)).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// The numbers of names, in their order.
    pub fn set<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> PlanSet {
        let mut known = self.names.lock();
        let ids: Box<[PlanId]> = names.into_iter().map(|name| known.id(name)).collect();
        if let Some(set) = known.sets.get(&ids) {
            return set.clone();
        }
        let set: PlanSet = ids.iter().copied().collect();
        known.sets.insert(ids, set.clone());
        set
    }
}

impl Names {
    fn id(&mut self, name: &str) -> PlanId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = PlanId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }
}

/// A usage plan, as API Gateway's
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html>).
#[derive(Debug, Clone)]
pub struct UsagePlan {
    /// The number of its name.
    pub id: PlanId,
    /// Its name.
    pub name: Arc<str>,
    /// Which distributions its keys open.
    pub distributions: Reach,
    /// What each of its keys may use. One for all keys: a check of each of them reads it, so it is in the processor's cache.
    pub(crate) terms: Arc<Terms>,
}

/// What each key of a plan may use, over all distributions of the plan. Does not change.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) plan: PlanId,
    /// How fast; `None`: no limit.
    pub(crate) measure: Option<Measure>,
    /// How often; `None`: no limit.
    pub(crate) quota: Option<Quota>,
}

impl Terms {
    /// The throttle.
    #[inline]
    pub(crate) fn throttle(&self) -> Option<Throttle> {
        self.measure.as_ref().map(|measure| measure.throttle)
    }

    /// Whether both say the same.
    #[inline]
    pub(crate) fn agree(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.throttle() == other.throttle() && self.quota == other.quota
    }
}

impl UsagePlan {
    /// A plan with a throttle and a quota for each of its keys by itself; `None`: no limit.
    ///
    /// The keys' tokens are counted for 36 years from the start of the clock on.
    #[must_use]
    pub fn new(
        id: PlanId,
        name: Arc<str>,
        throttle: Option<Throttle>,
        quota: Option<Quota>,
        distributions: Reach,
    ) -> Self {
        let measure = throttle.map(|throttle| Measure::new(throttle, Nanos::ZERO));
        Self { id, name, distributions, terms: Arc::new(Terms { plan: id, measure, quota }) }
    }

    /// Rate and burst of each of its keys.
    #[must_use]
    pub fn throttle(&self) -> Option<Throttle> {
        self.terms.throttle()
    }

    /// The quota of each of its keys.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.terms.quota
    }
}

/// Which distributions a plan covers, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every one.
    All,
    /// These.
    Only(BTreeSet<usize>),
}

impl Reach {
    /// Whether a distribution is covered.
    #[must_use]
    pub fn covers(&self, distribution: usize) -> bool {
        match self {
            Self::All => true,
            Self::Only(indices) => indices.contains(&distribution),
        }
    }
}

/// All usage plans of a snapshot, in the order of the configuration. Immutable.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    plans: Vec<UsagePlan>,
}

impl Plans {
    /// These plans.
    #[must_use]
    pub const fn new(plans: Vec<UsagePlan>) -> Self {
        Self { plans }
    }

    /// The index of the first of the key's plans that is among those a behavior takes (their indices). `None`: the key
    /// does not open it, which is answered as an unknown key is.
    #[must_use]
    pub fn plan_for(&self, key: &[PlanId], taken: &[usize]) -> Option<usize> {
        key.iter().find_map(|id| taken.iter().copied().find(|&at| self.get(at).is_some_and(|plan| plan.id == *id)))
    }

    /// The plan at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&UsagePlan> {
        self.plans.get(index)
    }

    /// The plan with a name's number.
    #[must_use]
    pub fn find(&self, id: PlanId) -> Option<&UsagePlan> {
        self.plans.iter().find(|plan| plan.id == id)
    }

    /// All plans, in the order given.
    #[must_use]
    pub fn as_slice(&self) -> &[UsagePlan] {
        &self.plans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers_and_sets_are_shared() {
        let names = PlanNames::default();
        let (a, b) = (names.id("a"), names.id("b"));
        assert!(a != b && names.id("a") == a);
        assert_eq!((&*names.name(b), &*names.name(PlanId(9))), ("b", ""));
        let set = names.set(["b", "c"]);
        assert_eq!(*set, [b, names.id("c")]);
        assert!(Arc::ptr_eq(&set.0, &names.set(["b", "c"]).0));
        assert!(!Arc::ptr_eq(&set.0, &names.set(["c", "b"]).0));
    }

    #[test]
    fn the_plan_that_the_behavior_takes_applies() {
        let names = PlanNames::default();
        let plan = |name: &str| UsagePlan::new(names.id(name), name.into(), None, None, Reach::All);
        let plans = Plans::new(vec![plan("a"), plan("b"), plan("c")]);
        let key = names.set(["c", "a", "gone"]);
        assert_eq!(plans.plan_for(&key, &[0, 1]), Some(0));
        assert_eq!(plans.plan_for(&key, &[0, 1, 2]), Some(2));
        assert_eq!(plans.plan_for(&key, &[1, 7]), None);
        assert_eq!(plans.plan_for(&[], &[0]), None);
        assert_eq!(plans.find(names.id("b")).map(|plan| &*plan.name), Some("b"));
        assert_eq!(plans.as_slice().len(), 3);
    }

    #[test]
    fn what_a_plan_reaches() {
        assert!(Reach::All.covers(7));
        let some = Reach::Only([1].into());
        assert!(some.covers(1) && !some.covers(0));
    }
}
