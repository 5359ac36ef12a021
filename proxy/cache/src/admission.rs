//! Which objects are worth storing at all: those that were asked for often enough of late. Off unless a policy says so.
//!
//! Requests for what is not stored are counted in a sketch of fixed size: each key has two counters, which it shares with
//! others, and the lesser one counts. So a key is never counted less than it was asked for; with very many keys it may be
//! counted more, and is stored earlier. This module must not know policies by name, and reads no clock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pingora::cache::CacheKey;
use pingora::cache::admission::{AdmissionPolicy, Decision};
use pingora::cache::key::CacheHashKey as _;

/// Counters; a power of two. They take 4 MiB.
const COUNTERS: usize = 1 << 20;
/// Low bits of a counter: how often. The rest is the second of its first request.
const COUNT_BITS: u32 = 4;

/// When what was asked for is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admit {
    /// From this request on, the first being 1; at most [`Admit::MOST`].
    pub after: u8,
    /// The requests count that came within this time, in whole seconds.
    pub within: Duration,
}

impl Admit {
    /// The most requests that can be asked for.
    pub const MOST: u8 = (1 << COUNT_BITS) - 1;
}

/// What a request brings along in the extensions of its cache key.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    /// Its policy's.
    pub admit: Admit,
    /// The time of the request.
    pub now: SystemTime,
}

/// The counters of a cache.
#[derive(Debug, Default)]
pub struct Sketch {
    /// Made when the first key is counted: most caches need none.
    counters: OnceLock<Box<[AtomicU32]>>,
}

impl Sketch {
    /// Counts a request for a key; how many came within the time, this one included.
    fn count(&self, hash: u128, asking: &Asking) -> u32 {
        let seconds = asking.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // Wraps after eight years; whose counter is as old as that is counted once too often.
        let second = (seconds as u32) & (u32::MAX >> COUNT_BITS);
        let window = u32::try_from(asking.admit.within.as_secs()).unwrap_or(u32::MAX);
        let counters =
            self.counters.get_or_init(|| std::iter::repeat_with(AtomicU32::default).take(COUNTERS).collect());
        let slots = [hash as usize, (hash >> 64) as usize].map(|at| &counters[at % COUNTERS]);
        let so_far = |slot: &AtomicU32| {
            let value = slot.load(Ordering::Relaxed);
            let (first, count) = (value >> COUNT_BITS, value & u32::from(Admit::MOST));
            let age = second.wrapping_sub(first) & (u32::MAX >> COUNT_BITS);
            if count > 0 && age < window { (first, count) } else { (second, 0) }
        };
        let now = slots.iter().map(|slot| so_far(slot).1).min().unwrap_or(0) + 1;
        for slot in slots {
            let (first, count) = so_far(slot);
            // Only the lesser ones go up. If two requests do this at once, one may be lost.
            let next = count.max(now).min(u32::from(Admit::MOST));
            slot.store(first << COUNT_BITS | next, Ordering::Relaxed);
        }
        now
    }
}

impl AdmissionPolicy for Sketch {
    fn observe(&self, key: &CacheKey) -> Decision {
        let Some(asking) = key.extensions.get::<Asking>() else { return Decision::Ready { observed: 1 } };
        let observed = self.count(u128::from_be_bytes(key.combined_bin()), asking);
        if observed >= u32::from(asking.admit.after) {
            Decision::Ready { observed }
        } else {
            Decision::Defer { observed }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyBuilder, MethodClass};

    const START: Duration = Duration::from_secs(1_800_000_000);

    fn asked(sketch: &Sketch, path: &str, second: u64) -> Decision {
        let mut key = KeyBuilder::new("site", MethodClass::Read);
        key.path(path.as_bytes());
        let mut key = key.into_key();
        let admit = Admit { after: 3, within: Duration::from_secs(60) };
        key.extensions.insert(Asking { admit, now: UNIX_EPOCH + START + Duration::from_secs(second) });
        sketch.observe(&key)
    }

    #[test]
    fn the_nth_request_within_the_time_is_let_in() {
        let sketch = Sketch::default();
        let outcomes = [(0, 1), (59, 2), (61, 1), (62, 2), (63, 3), (64, 4)].map(|(second, observed)| {
            let decision = asked(&sketch, "/a", second);
            assert_eq!(decision.observed(), observed, "second {second}");
            decision.is_deferred()
        });
        assert_eq!(outcomes, [true, true, true, true, false, false]);
        assert_eq!(asked(&sketch, "/b", 64).observed(), 1, "others have their own count");
    }

    #[test]
    fn many_others_do_not_let_a_key_in() {
        let sketch = Sketch::default();
        let let_in = (0..50_000).filter(|number| !asked(&sketch, &format!("/{number}"), 1).is_deferred()).count();
        assert!(let_in < 50, "{let_in} of 50,000 keys asked for once were let in");
    }

    #[test]
    fn keys_that_do_not_ask_are_let_in_at_once() {
        let key = KeyBuilder::new("site", MethodClass::Read).into_key();
        assert!(!Sketch::default().observe(&key).is_deferred());
    }
}
