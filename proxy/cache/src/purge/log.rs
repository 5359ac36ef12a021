//! The log of purges: for each thing that was ever purged, the generation of the last time. Bounded.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::SystemTime;

use super::identity::{self, Identity};
use super::tags::{self, Tags};
use super::{Fnv, Item, Judgement, Mode, Target};

const EXACT: u8 = 1;
const PREFIX: u8 = 2;
const TAG: u8 = 3;

#[derive(Debug)]
pub(super) struct Log {
    latest: u64,
    /// What was last compared with the log before this generation counts as purged.
    floor: u64,
    entries: HashMap<u64, Entry>,
    /// Generations and keys of `entries` in the order they were added.
    order: VecDeque<(u64, u64)>,
    /// Lengths of the prefixes that were purged.
    lengths: BTreeSet<usize>,
    /// Of the last purge of any tag, hard or soft.
    last_tag: u64,
    room: usize,
    folds: u64,
}

/// When something was purged last.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hard: u64,
    soft: u64,
    soft_at: SystemTime,
    /// Length of the prefix, if it is one.
    prefix: Option<usize>,
}

impl Entry {
    fn newest(&self) -> u64 {
        self.hard.max(self.soft)
    }
}

impl Log {
    pub(super) fn new(room: usize) -> Self {
        Self {
            latest: 0,
            floor: 0,
            entries: HashMap::new(),
            order: VecDeque::new(),
            lengths: BTreeSet::new(),
            last_tag: 0,
            room,
            folds: 0,
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn folds(&self) -> u64 {
        self.folds
    }

    pub(super) fn add(&mut self, items: &[Item], mode: Mode, generation: u64, now: SystemTime) {
        self.latest = generation;
        for item in items {
            for scope in identity::of_scope(&item.scope).into_iter().flatten() {
                let (key, prefix) = match &item.target {
                    Target::Exact(text) => (scope.byte(EXACT).bytes(text.as_bytes()), None),
                    Target::Prefix(text) => (of_prefix(scope.byte(PREFIX).bytes(text.as_bytes())), Some(text.len())),
                    Target::Tag(tag) => {
                        self.last_tag = generation;
                        (of_tag(scope, tags::hash(tag.trim().as_bytes())), None)
                    }
                };
                self.put(key.0, prefix, mode, generation, now);
            }
        }
        if self.order.len() > self.room {
            self.fold();
        }
    }

    fn put(&mut self, key: u64, prefix: Option<usize>, mode: Mode, generation: u64, now: SystemTime) {
        let entry = self.entries.entry(key).or_insert(Entry { hard: 0, soft: 0, soft_at: now, prefix });
        match mode {
            Mode::Hard => entry.hard = generation,
            Mode::Soft => (entry.soft, entry.soft_at) = (generation, now),
        }
        self.lengths.extend(prefix);
        self.order.push_back((generation, key));
    }

    /// Makes the older half of the log one generation.
    fn fold(&mut self) {
        let keep = self.room / 2;
        while self.order.len() > keep {
            let Some((generation, key)) = self.order.pop_front() else { break };
            self.floor = generation;
            // A later purge of the same thing has its own place in the order.
            if self.entries.get(&key).is_some_and(|entry| entry.newest() <= generation) {
                self.entries.remove(&key);
            }
        }
        self.lengths = self.entries.values().filter_map(|entry| entry.prefix).collect();
        self.folds += 1;
    }

    pub(super) fn judge(&self, identity: &Identity, tags: &Tags, since: u64) -> Judgement {
        if since >= self.latest {
            return Judgement::Untouched(self.latest);
        }
        if since < self.floor || (tags.too_many() && since < self.last_tag) {
            return Judgement::Gone;
        }
        let mut stale = None;
        for key in self.keys(identity, tags) {
            let Some(entry) = self.entries.get(&key) else { continue };
            if entry.hard > since {
                return Judgement::Gone;
            }
            if entry.soft > since {
                stale = Some(stale.map_or(entry.soft_at, |first: SystemTime| first.min(entry.soft_at)));
            }
        }
        stale.map_or(Judgement::Untouched(self.latest), Judgement::Stale)
    }

    /// The keys of all purges that would be about an object.
    fn keys(&self, identity: &Identity, tags: &Tags) -> impl Iterator<Item = u64> {
        let text = identity.text();
        let [everything, distribution, host] = identity.scopes();
        let exact = [everything, distribution, host].map(|scope| scope.byte(EXACT).bytes(text).0);
        let prefixes = [everything, distribution, host].into_iter().flat_map(move |scope| {
            let mut state = scope.byte(PREFIX);
            let mut read = 0;
            self.lengths.iter().map_while(move |&length| {
                state = state.bytes(text.get(read..length)?);
                read = length;
                Some(of_prefix(state).0)
            })
        });
        let tags = [everything, distribution, host]
            .into_iter()
            .flat_map(|scope| tags.hashes().iter().map(move |tag| of_tag(scope, *tag).0));
        exact.into_iter().chain(prefixes).chain(tags)
    }
}

/// Ends the hash of a prefix, so that it differs from that of a longer one on its way.
fn of_prefix(state: Fnv) -> Fnv {
    state.byte(PREFIX)
}

fn of_tag(scope: Fnv, tag: u64) -> Fnv {
    scope.byte(TAG).bytes(&tag.to_le_bytes())
}
