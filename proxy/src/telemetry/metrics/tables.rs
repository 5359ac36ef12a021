//! Tables of counters whose size is known: fixed labels, and label sets of the config under a cap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::MAX_LABEL_SETS;

/// Counters for a fixed list of labels; what is not on the list counts as `other`.
#[derive(Debug)]
pub struct Labelled {
    labels: &'static [&'static str],
    counts: Box<[AtomicU64]>,
    other: AtomicU64,
}

impl Labelled {
    /// One counter for each label.
    #[must_use]
    pub fn new(labels: &'static [&'static str]) -> Self {
        Self { labels, counts: labels.iter().map(|_| AtomicU64::new(0)).collect(), other: AtomicU64::new(0) }
    }

    /// Adds one.
    pub fn add(&self, label: &str) {
        let index = self.labels.iter().position(|&known| known == label);
        let counter = index.and_then(|index| self.counts.get(index)).unwrap_or(&self.other);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// All labels and their counts; `other` only if it was used.
    pub(super) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known = self.labels.iter().zip(&self.counts).map(|(&label, count)| (label, count.load(Ordering::Relaxed)));
        let other = self.other.load(Ordering::Relaxed);
        known.chain((other > 0).then_some(("other", other)))
    }
}

/// The entry of `key`, made if there is room. A full table first forgets what no snapshot uses any more; if that frees
/// nothing, the entry of `overflow` is shared.
pub(super) fn capped<K: Ord, M>(
    table: &mut BTreeMap<K, Arc<M>>,
    key: K,
    overflow: K,
    fresh: impl FnOnce() -> M,
) -> Arc<M> {
    if let Some(found) = table.get(&key) {
        return Arc::clone(found);
    }
    if table.len() >= MAX_LABEL_SETS {
        table.retain(|known, metrics| *known == overflow || Arc::strong_count(metrics) > 1);
    }
    let key = if table.len() >= MAX_LABEL_SETS { overflow } else { key };
    Arc::clone(table.entry(key).or_insert_with(|| Arc::new(fresh())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_forgets_the_unused_and_then_shares() {
        let mut table = BTreeMap::new();
        let other = usize::MAX;
        let mut used: Vec<_> = (0..MAX_LABEL_SETS).map(|key| capped(&mut table, key, other, || ())).collect();
        let shared = capped(&mut table, MAX_LABEL_SETS, other, || ());
        assert!(Arc::ptr_eq(&shared, &capped(&mut table, MAX_LABEL_SETS + 1, other, || ())));
        assert_eq!(table.len(), MAX_LABEL_SETS + 1);
        used.truncate(10);
        let own = capped(&mut table, MAX_LABEL_SETS + 2, other, || ());
        assert!(!Arc::ptr_eq(&own, &shared));
        assert_eq!(table.len(), 12);
    }

    #[test]
    fn unknown_labels_are_counted_together() {
        let labelled = Labelled::new(&["a", "b"]);
        assert_eq!(labelled.read().collect::<Vec<_>>(), [("a", 0), ("b", 0)]);
        for label in ["a", "x", "y"] {
            labelled.add(label);
        }
        assert_eq!(labelled.read().collect::<Vec<_>>(), [("a", 1), ("b", 0), ("other", 2)]);
    }
}
