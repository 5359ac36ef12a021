//! The buckets of the process by name: what a reload keeps. Must not be asked by a request; snapshots hold the buckets.
//!
//! A reload writes a [`Draft`] and commits it when, and only when, all the rest of the new configuration is accepted. So a
//! refused configuration changes nothing, one with new rates forgets no charge, and buckets that are no longer named go.

mod shared;

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::bucket::Bucket;
use crate::throttle::Throttle;
use crate::time::Nanos;
use shared::Shared;

type Named = BTreeMap<String, Arc<Bucket>>;

/// All named buckets; one for each process. Holds at most `capacity` of them.
#[derive(Debug)]
pub struct BucketRegistry {
    capacity: usize,
    buckets: Mutex<Named>,
    shared: Mutex<Shared>,
    /// One for all tables of clients: a client is hashed once for all its levels, and found again after a reload.
    hasher: RandomState,
}

/// The buckets of a configuration that is not in force yet. Dropped, it changes nothing.
#[must_use = "a draft takes effect when it is committed"]
#[derive(Debug)]
pub struct Draft<'a> {
    registry: &'a BucketRegistry,
    now: Nanos,
    buckets: Named,
    shared: Shared,
}

/// Why a bucket could not be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The registry's capacity is used up.
    #[error("more than {capacity} throttles")]
    Full {
        /// The capacity.
        capacity: usize,
    },
    /// One name with two throttles in one draft.
    #[error("two different throttles are called `{id}`")]
    Conflict {
        /// The name.
        id: String,
    },
}

impl BucketRegistry {
    /// An empty registry that will hold at most `capacity` buckets.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, buckets: Mutex::default(), shared: Mutex::default(), hasher: RandomState::new() }
    }

    /// Starts the buckets of a new configuration. If several drafts are open at once, the one committed last is in force.
    pub fn draft(&self, now: Nanos) -> Draft<'_> {
        Draft { registry: self, now, buckets: BTreeMap::new(), shared: Shared::default() }
    }

    /// How many buckets are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.lock().len()
    }

    /// Whether no bucket is in force.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many buckets it can hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Draft<'_> {
    /// The bucket called `id`: the one in force if it has the same throttle, else a new one that takes over what was spent
    /// when the draft is committed. Asked again with the same throttle, it gives the same bucket.
    ///
    /// # Errors
    /// [`DraftError`] if the registry would overflow, or the draft has that name with another throttle.
    pub fn bucket(&mut self, id: &str, throttle: Throttle) -> Result<Arc<Bucket>, DraftError> {
        if let Some(bucket) = self.buckets.get(id) {
            if bucket.throttle() == throttle {
                return Ok(Arc::clone(bucket));
            }
            return Err(DraftError::Conflict { id: id.to_owned() });
        }
        let capacity = self.registry.capacity;
        if self.buckets.len() >= capacity {
            return Err(DraftError::Full { capacity });
        }
        let in_force = self.registry.buckets.lock().get(id).filter(|bucket| bucket.throttle() == throttle).cloned();
        let bucket = in_force.unwrap_or_else(|| Arc::new(Bucket::new(throttle, self.now)));
        self.buckets.insert(id.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }

    /// Puts the draft's buckets in force and forgets all others. To be called right before requests see them: what is
    /// charged to a replaced bucket later than this is not carried over.
    pub fn commit(self, now: Nanos) {
        let mut in_force = self.registry.buckets.lock();
        for (id, bucket) in &self.buckets {
            if let Some(old) = in_force.get(id).filter(|old| !Arc::ptr_eq(old, bucket)) {
                bucket.inherit(old, now);
            }
        }
        *in_force = self.buckets;
        self.shared.commit(&mut self.registry.shared.lock(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanos = Nanos::ZERO;

    fn throttle(rate: f64, burst: u32) -> Throttle {
        Throttle::new(rate, burst).unwrap()
    }

    fn registry() -> (BucketRegistry, Arc<Bucket>) {
        let registry = BucketRegistry::new(2);
        let mut draft = registry.draft(START);
        let bucket = draft.bucket("a", throttle(1.0, 10)).unwrap();
        draft.commit(START);
        (registry, bucket)
    }

    #[test]
    fn an_unchanged_bucket_is_the_same_bucket() {
        let (registry, bucket) = registry();
        let mut draft = registry.draft(START);
        assert!(Arc::ptr_eq(&draft.bucket("a", throttle(1.0, 10)).unwrap(), &bucket));
        draft.commit(START);
        let mut draft = registry.draft(START);
        assert!(Arc::ptr_eq(&draft.bucket("a", throttle(1.0, 10)).unwrap(), &bucket));
    }

    #[test]
    fn a_changed_bucket_remembers_what_was_spent_until_the_commit() {
        let (registry, bucket) = registry();
        let _before = bucket.reserve(START, 3).unwrap();
        let mut draft = registry.draft(START);
        let changed = draft.bucket("a", throttle(1.0, 20)).unwrap();
        let _while_drafting = bucket.reserve(START, 4).unwrap();
        draft.commit(START);
        assert_eq!(changed.remaining(START), 3);
    }

    #[test]
    fn a_dropped_draft_changes_nothing() {
        let (registry, bucket) = registry();
        let mut draft = registry.draft(START);
        let _new = draft.bucket("a", throttle(2.0, 20)).unwrap();
        let _other = draft.bucket("b", throttle(2.0, 20)).unwrap();
        drop(draft);
        assert_eq!(registry.len(), 1);
        assert!(Arc::ptr_eq(&registry.draft(START).bucket("a", throttle(1.0, 10)).unwrap(), &bucket));
    }

    #[test]
    fn what_is_no_longer_named_goes() {
        let (registry, bucket) = registry();
        registry.draft(START).commit(START);
        assert!(registry.is_empty());
        assert_eq!(Arc::strong_count(&bucket), 1);
    }

    #[test]
    fn capacity_and_names_are_checked() {
        let (registry, _) = registry();
        let mut draft = registry.draft(START);
        assert!(draft.bucket("a", throttle(1.0, 10)).is_ok());
        assert!(draft.bucket("b", throttle(1.0, 10)).is_ok());
        assert!(draft.bucket("b", throttle(1.0, 10)).is_ok());
        assert_eq!(
            draft.bucket("c", throttle(1.0, 10)).unwrap_err(),
            DraftError::Full { capacity: registry.capacity() }
        );
        assert_eq!(draft.bucket("a", throttle(1.0, 11)).unwrap_err(), DraftError::Conflict { id: "a".into() });
    }
}
