//! Counters that hooks name themselves, and what is counted of key-value stores. Names come from hooks, so their form is
//! checked and their number is capped; a look-up takes no lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most counters of a hook.
const MAX_NAMES: usize = 64;
/// Longest name, in bytes.
const MAX_NAME: usize = 64;

/// The counters of one hook. Slots are filled in order and never emptied.
#[derive(Debug)]
pub struct HookCounters {
    slots: [OnceLock<(Box<str>, AtomicU64)>; MAX_NAMES],
    dropped: AtomicU64,
}

impl Default for HookCounters {
    fn default() -> Self {
        Self { slots: [const { OnceLock::new() }; MAX_NAMES], dropped: AtomicU64::new(0) }
    }
}

impl HookCounters {
    /// All counters in the order they came.
    pub(super) fn read(&self) -> impl Iterator<Item = (&str, u64)> {
        self.slots.iter().map_while(OnceLock::get).map(|(name, count)| (&**name, count.load(Ordering::Relaxed)))
    }

    /// How often a name was no name, or one too many.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl edgeweir_hookhost::Counters for HookCounters {
    fn add(&self, name: &str, by: u64) {
        for slot in &self.slots {
            let found = match slot.get() {
                Some(found) => found,
                None if !is_name(name) => break,
                // Another call may be quicker, with this name or with another one.
                None => slot.get_or_init(|| (name.into(), AtomicU64::new(0))),
            };
            if *found.0 == *name {
                // A counter never goes back, whatever a hook adds.
                let _before =
                    found.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.saturating_add(by)));
                return;
            }
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

/// What is counted of a key-value store, a key set or a geo database.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    pub(super) ok: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl StoreMetrics {
    /// A changed file was read, or an origin asked.
    pub fn loaded(&self, ok: bool) {
        let counter = if ok { &self.ok } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use edgeweir_hookhost::Counters as _;

    use super::*;

    #[test]
    fn names_are_checked_and_their_number_is_capped() {
        let counters = HookCounters::default();
        for name in ["", "Logins", "a b", "a\n", "é", &"x".repeat(65)] {
            counters.add(name, 1);
        }
        assert_eq!((counters.read().count(), counters.dropped()), (0, 6));
        for nth in 0..70 {
            counters.add(&format!("name_{nth}"), 2);
        }
        counters.add("name_63", 40);
        assert_eq!((counters.read().count(), counters.dropped()), (64, 12));
        assert_eq!(counters.read().last(), Some(("name_63", 42)));
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let counters = HookCounters::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|nth| counters.add(["a", "b", "c"][nth % 3], 1)));
            }
        });
        assert_eq!(counters.read().map(|(_, count)| count).sum::<u64>(), 40_000);
        assert_eq!(counters.read().count(), 3);
    }
}
