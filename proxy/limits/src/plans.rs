//! Usage plans: what a key opens and how fast. Must not know distributions beyond their index, nor hold any bucket.

use std::collections::BTreeSet;

use crate::keys::{KeyEntry, KeyStore};
use crate::throttle::Throttle;

/// A usage plan, as API Gateway's
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html>).
#[derive(Debug, Clone, PartialEq)]
pub struct UsagePlan {
    /// Its name.
    pub name: String,
    /// For each of its keys by itself, over all distributions of the plan; `None`: no limit.
    pub throttle: Option<Throttle>,
    /// Which distributions its keys open.
    pub distributions: Reach,
}

/// Which distributions a plan covers, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every one.
    All,
    /// These.
    Only(BTreeSet<usize>),
}

/// All usage plans of a snapshot. Immutable.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plans {
    plans: Vec<UsagePlan>,
}

/// Why plans and keys do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlansError {
    /// A key names a plan that does not exist.
    #[error("key `{key}` belongs to plan number {plan}, which does not exist")]
    Unknown {
        /// Name of the key.
        key: String,
        /// The index it has.
        plan: usize,
    },
    /// A key may belong to several plans, but to one only that covers a given distribution: API Gateway's rule, so that it
    /// is clear which throttle applies.
    #[error("key `{key}` belongs to plans `{first}` and `{second}`, which cover the same distribution")]
    Overlap {
        /// Name of the key.
        key: String,
        /// Name of a plan of the key.
        first: String,
        /// Name of another plan of the key.
        second: String,
    },
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

    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::All, Self::Only(indices)) | (Self::Only(indices), Self::All) => !indices.is_empty(),
            (Self::Only(one), Self::Only(other)) => !one.is_disjoint(other),
        }
    }
}

impl Plans {
    /// Checks that the plans suit `keys`, disabled keys included: enabling one later must not bring up an error.
    ///
    /// # Errors
    /// [`PlansError`], for the first key that does not fit.
    pub fn new(plans: Vec<UsagePlan>, keys: &KeyStore) -> Result<Self, PlansError> {
        for key in keys.entries() {
            let mut seen: Vec<(usize, &UsagePlan)> = Vec::with_capacity(key.plans.len());
            for &index in &key.plans {
                let Some(plan) = plans.get(index) else {
                    return Err(PlansError::Unknown { key: key.name.clone(), plan: index });
                };
                // A plan that is named twice is still one plan.
                let overlapping = |(other, earlier): &&(usize, &UsagePlan)| {
                    *other != index && earlier.distributions.overlaps(&plan.distributions)
                };
                if let Some((_, earlier)) = seen.iter().find(overlapping) {
                    let (first, second) = (earlier.name.clone(), plan.name.clone());
                    return Err(PlansError::Overlap { key: key.name.clone(), first, second });
                }
                seen.push((index, plan));
            }
        }
        Ok(Self { plans })
    }

    /// The index of the key's plan that covers `distribution`. `None`: the key does not open it, which is answered as an
    /// unknown key is.
    #[must_use]
    pub fn plan_for(&self, key: &KeyEntry, distribution: usize) -> Option<usize> {
        let covers = |&index: &usize| self.get(index).is_some_and(|plan| plan.distributions.covers(distribution));
        key.plans.iter().copied().find(covers)
    }

    /// The plan at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&UsagePlan> {
        self.plans.get(index)
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
    use crate::keys::KeyHash;

    fn plan(name: &str, distributions: Reach) -> UsagePlan {
        UsagePlan { name: name.into(), throttle: None, distributions }
    }

    fn only(indices: &[usize]) -> Reach {
        Reach::Only(indices.iter().copied().collect())
    }

    fn keys(plans: &[usize]) -> KeyStore {
        let hash = KeyHash::of(b"key");
        KeyStore::new(vec![KeyEntry { name: "k".into(), hash, enabled: false, plans: plans.into() }]).unwrap()
    }

    #[test]
    fn the_plan_that_covers_the_distribution_applies() {
        let keys = keys(&[2, 0]);
        let plans = vec![plan("a", only(&[0, 1])), plan("b", Reach::All), plan("c", only(&[4]))];
        let plans = Plans::new(plans, &keys).unwrap();
        let key = &keys.entries()[0];
        assert_eq!(plans.plan_for(key, 1), Some(0));
        assert_eq!(plans.plan_for(key, 4), Some(2));
        assert_eq!(plans.plan_for(key, 2), None);
        assert_eq!(plans.as_slice().len(), 3);
        let none = KeyEntry { plans: vec![], ..key.clone() };
        assert_eq!(plans.plan_for(&none, 0), None);
        let unknown = KeyEntry { plans: vec![9], ..key.clone() };
        assert_eq!(plans.plan_for(&unknown, 0), None);
    }

    #[test]
    fn one_plan_for_each_distribution_of_a_key() {
        let plans = vec![plan("a", only(&[0, 1])), plan("b", only(&[1])), plan("c", Reach::All), plan("d", only(&[]))];
        let check = |indices: &[usize]| Plans::new(plans.clone(), &keys(indices)).map(drop);
        for fitting in [&[][..], &[0], &[0, 0], &[2, 3], &[3, 0], &[0, 3, 0]] {
            assert_eq!(check(fitting), Ok(()), "{fitting:?}");
        }
        for overlapping in [&[0, 1][..], &[0, 2], &[2, 1], &[0, 3, 1]] {
            assert!(matches!(check(overlapping), Err(PlansError::Overlap { .. })), "{overlapping:?}");
        }
        assert_eq!(
            check(&[0, 1]).unwrap_err().to_string(),
            "key `k` belongs to plans `a` and `b`, which cover the same distribution"
        );
        assert_eq!(check(&[4]).unwrap_err().to_string(), "key `k` belongs to plan number 4, which does not exist");
    }
}
