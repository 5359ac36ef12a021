//! Keys that come and go while the edge runs. A look-up takes no lock; a change copies one of many small tables and swaps
//! it in, so that it costs the same with ten keys and with a million.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::{Found, Key, KeyHash, KeyTable};

/// Tables; a power of two. So few that what leads to them stays in the processor's caches, so many that a copy of one is
/// small: with a million keys about 4,000 in each.
const SHARDS: usize = 256;

/// See the module's text.
#[derive(Debug)]
pub struct LiveKeys {
    shards: Box<[ArcSwap<KeyTable>]>,
    len: AtomicUsize,
    /// One change at a time.
    turn: Mutex<()>,
}

impl Default for LiveKeys {
    fn default() -> Self {
        let none = Arc::new(KeyTable::default());
        Self {
            shards: (0..SHARDS).map(|_| ArcSwap::new(Arc::clone(&none))).collect(),
            len: AtomicUsize::new(0),
            turn: Mutex::default(),
        }
    }
}

impl LiveKeys {
    /// The key with a hash, enabled or not.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<Arc<Key>> {
        self.see(hash, |found| found.map(|found| Arc::clone(found.key())))
    }

    /// Has somebody look at the key with a hash, if there is one, where it is.
    #[inline]
    pub fn see<T>(&self, hash: &KeyHash, look: impl FnOnce(Option<Found<'_>>) -> T) -> T {
        match self.shard(hash) {
            Some(shard) if !self.is_empty() => look(shard.load().find(hash)),
            _ => look(None),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes keys out and puts keys in, those with the same hash replaced: each key as a whole, all of them in a moment.
    pub fn change(&self, gone: &[KeyHash], mut come: Vec<Arc<Key>>) {
        let _turn = self.turn.lock();
        let mut goes: Vec<KeyHash> = gone.iter().copied().chain(come.iter().map(|key| key.hash)).collect();
        goes.sort_unstable_by_key(|hash| (place(hash), hash.into_bytes()));
        // Stable and from the end, so that of two with one hash the last one counts.
        come.reverse();
        come.sort_by_key(|key| (place(&key.hash), key.hash.into_bytes()));
        come.dedup_by_key(|key| key.hash);
        let mut come = come.into_iter().peekable();
        for goes in goes.chunk_by(|one, other| place(one) == place(other)) {
            let Some((at, shard)) = goes.first().and_then(|hash| Some((place(hash), self.shard(hash)?))) else {
                continue;
            };
            let old = shard.load();
            let table = old.changed(goes, std::iter::from_fn(|| come.next_if(|key| place(&key.hash) == at)).collect());
            let len = self.len.load(Relaxed);
            self.len.store(len + table.len() - old.len(), Relaxed);
            shard.store(Arc::new(table));
        }
    }

    /// These keys and no others: for when nobody knows what has changed.
    pub fn replace(&self, keys: Vec<Arc<Key>>) {
        let mut gone = Vec::new();
        self.for_each(|key| gone.push(key.hash));
        self.change(&gone, keys);
    }

    /// All keys at about this moment, in no order.
    pub fn for_each(&self, mut see: impl FnMut(&Arc<Key>)) {
        for shard in &self.shards {
            shard.load().iter().for_each(&mut see);
        }
    }

    fn shard(&self, hash: &KeyHash) -> Option<&ArcSwap<KeyTable>> {
        self.shards.get(place(hash))
    }
}

/// The shard of a hash.
fn place(hash: &KeyHash) -> usize {
    hash.shard() % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::PlanSet;

    fn key(name: &str, value: &str) -> Arc<Key> {
        Arc::new(Key::new(KeyHash::of(value.as_bytes()), name, name, PlanSet::default()))
    }

    fn name(keys: &LiveKeys, value: &str) -> Option<String> {
        keys.find(&KeyHash::of(value.as_bytes())).map(|key| key.name.to_string())
    }

    #[test]
    fn keys_come_change_and_go() {
        let keys = LiveKeys::default();
        assert_eq!((name(&keys, "1"), keys.is_empty()), (None, true));
        keys.change(&[], vec![key("a", "1"), key("b", "2")]);
        assert_eq!((name(&keys, "1").as_deref(), name(&keys, "2").as_deref()), (Some("a"), Some("b")));
        // A rotation: one value goes, another comes.
        keys.change(&[KeyHash::of(b"1")], vec![key("a", "3"), key("c", "2")]);
        assert_eq!(name(&keys, "1"), None);
        assert_eq!((name(&keys, "3").as_deref(), name(&keys, "2").as_deref()), (Some("a"), Some("c")));
        assert_eq!(keys.len(), 2);
        keys.change(&[KeyHash::of(b"2"), KeyHash::of(b"9")], Vec::new());
        assert_eq!(keys.len(), 1);
        let mut seen = Vec::new();
        keys.for_each(|key| seen.push(key.name.to_string()));
        assert_eq!(seen, ["a"]);
        // Out and in again in one go.
        keys.change(&[KeyHash::of(b"3")], vec![key("d", "3")]);
        assert_eq!((name(&keys, "3").as_deref(), keys.len()), (Some("d"), 1));
    }

    #[test]
    fn many_keys_are_all_found() {
        let keys = LiveKeys::default();
        keys.change(&[], (0..20_000).map(|n| key(&n.to_string(), &format!("key-{n}"))).collect());
        assert_eq!(keys.len(), 20_000);
        for n in (0..20_000).step_by(37) {
            assert_eq!(name(&keys, &format!("key-{n}")), Some(n.to_string()));
        }
        assert_eq!(name(&keys, "key-20000"), None);
    }
}
