//! Instances that are kept for the next call of their hook: after a call each is put back to what it was when it was made, and
//! that is what it costs to make another one. What the call wrote to its memory the card table tells (`load::rewrite::cards`),
//! and for what the host wrote the host itself; globals are set, and nothing else of an instance can change.
//!
//! An instance is kept only after a call that ended by itself. One that trapped, ran out of time or was given up is gone, and
//! so is one whose memory has grown. A kept instance has a place in the pool, which it leaves to whoever finds none (`room`).

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use wasmtime::{Extern, Global, Instance, Memory, Module, ModuleExport, Store, Val};

use crate::load::rewrite::cards::{CARD, OVERHANG};
use crate::load::rewrite::{CARD_TABLE, GLOBAL};
use crate::state::CallState;

/// Most memory of all instances that are kept in an engine, in bytes.
const MOST_KEPT: usize = 128 << 20;
/// Most that is put back of an instance, in bytes: nobody counts that against the time of its call.
const MOST_WRITTEN: usize = 2 << 20;

/// An instance, ready for a call, in a store of its own.
pub(crate) struct Kept {
    pub(crate) store: Store<CallState>,
    pub(crate) ready: Ready,
}

/// An instance and its memory.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    pub(super) instance: Instance,
    pub(super) memory: Memory,
}

impl Ready {
    /// Size of its memory, in bytes.
    pub(crate) fn size(self, store: &Store<CallState>) -> usize {
        self.memory.data_size(store)
    }
}

/// What there is of a module to put its instances back, and those that are kept.
pub(crate) struct Keeping {
    table: ModuleExport,
    globals: Box<[ModuleExport]>,
    /// What instances start with; known from the first one.
    first: OnceLock<Image>,
    kept: Mutex<Vec<Kept>>,
    budget: Arc<Budget>,
}

/// For the instances that the hooks of an engine keep.
pub(crate) struct Budget {
    /// How much memory they have, in bytes.
    memory: AtomicUsize,
    /// How many a hook may have: as many calls as there are processors find one, also where some wait for something.
    each: usize,
}

impl Default for Budget {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { memory: AtomicUsize::new(0), each: (2 * processors).max(16) }
    }
}

impl Budget {
    /// Takes room for an instance, if there is some.
    fn take(&self, size: usize) -> bool {
        let more = |all: usize| all.checked_add(size).filter(|all| *all <= MOST_KEPT);
        self.memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, size: usize) {
        self.memory.fetch_sub(size, Ordering::Relaxed);
    }
}

/// An instance before its call.
struct Image {
    memory: Box<[u8]>,
    globals: Box<[Val]>,
}

impl Keeping {
    /// None if the module has no card table.
    pub(super) fn of(module: &Module, budget: &Arc<Budget>) -> Option<Self> {
        let table = module.get_export_index(CARD_TABLE)?;
        let globals = module.exports().filter(|export| export.name().starts_with(GLOBAL));
        let globals = globals.map(|export| module.get_export_index(export.name())).collect::<Option<_>>()?;
        Some(Self { table, globals, first: OnceLock::new(), kept: Mutex::default(), budget: Arc::clone(budget) })
    }

    /// Sees an instance that was just made.
    pub(super) fn made(&self, store: &mut Store<CallState>, ready: Ready) {
        self.first.get_or_init(|| {
            let globals = self.globals.iter().filter_map(|export| global(store, ready.instance, export));
            let globals = globals.collect::<Vec<_>>().into_iter().map(|global| global.get(&mut *store)).collect();
            Image { memory: ready.memory.data(&*store).into(), globals }
        });
    }

    /// One that is ready; none if a new one has to be made.
    pub(crate) fn take(&self) -> Option<Kept> {
        let kept = self.kept.lock().pop()?;
        self.budget.give_back(self.size());
        Some(kept)
    }

    /// An instance's memory, in bytes.
    fn size(&self) -> usize {
        self.first.get().map_or(0, |first| first.memory.len())
    }

    /// Keeps an instance whose call has ended by itself, if it can be put back. Its store has nothing of the call any more.
    pub(crate) fn keep(&self, mut store: Store<CallState>, ready: Ready) {
        if self.put_back(&mut store, ready).is_none() {
            return;
        }
        if !self.budget.take(self.size()) {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.len() < self.budget.each {
            kept.push(Kept { store, ready });
        } else {
            drop(kept);
            self.budget.give_back(self.size());
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.kept.lock().len()
    }

    /// Gives the one up that was not used for longest, so that others have room; whether there was any.
    pub(crate) fn give_up(&self) -> bool {
        let mut kept = self.kept.lock();
        let oldest = if kept.is_empty() { None } else { Some(kept.remove(0)) };
        // Taking it apart takes longer than anybody may wait for the lock.
        drop(kept);
        if oldest.is_some() {
            self.budget.give_back(self.size());
        }
        oldest.is_some()
    }

    /// None if it cannot be put back.
    fn put_back(&self, store: &mut Store<CallState>, Ready { instance, memory }: Ready) -> Option<()> {
        let Image { memory: first, globals } = self.first.get()?;
        if memory.data_size(&*store) != first.len() {
            return None;
        }
        for (export, value) in self.globals.iter().zip(globals) {
            global(store, instance, export)?.set(&mut *store, *value).ok()?;
        }
        let table = instance.get_module_export(&mut *store, &self.table).and_then(Extern::into_memory)?;
        let cards = first.len() / CARD;
        let mut written = store.data_mut().direct.lowering.written.take()?;
        let bytes = table.data_mut(&mut *store).get_mut(..cards)?;
        written.take(bytes);
        if written.size() > MOST_WRITTEN {
            return None;
        }
        let bytes = memory.data_mut(&mut *store);
        for range in written.ranges() {
            let range = range.start..range.end.min(first.len());
            bytes.get_mut(range.clone())?.copy_from_slice(first.get(range)?);
        }
        written.clear();
        store.data_mut().direct.lowering.written = Some(written);
        debug_assert!(memory.data(&*store) == &**first, "a write was not told");
        Some(())
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.budget.give_back(self.count() * self.size());
    }
}

fn global(store: &mut Store<CallState>, instance: Instance, export: &ModuleExport) -> Option<Global> {
    instance.get_module_export(&mut *store, export).and_then(Extern::into_global)
}

/// What was written to a hook's memory: a bit for each card that it begins with.
pub(crate) struct Written(Box<[u64]>);

impl Written {
    /// Nothing, of a memory of that many bytes.
    pub(super) fn of(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64 * CARD)].into())
    }

    /// The host has written there.
    pub(super) fn by_host(&mut self, at: usize, length: usize) {
        if length > 0 {
            (at / CARD..=(at + length - 1) / CARD).take(self.cards()).for_each(|card| self.set(card));
        }
    }

    fn cards(&self) -> usize {
        64 * self.0.len()
    }

    /// How much was written, in bytes.
    fn size(&self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize * CARD).sum()
    }

    fn set(&mut self, card: usize) {
        if let Some(bits) = self.0.get_mut(card / 64) {
            *bits |= 1 << (card % 64);
        }
    }

    /// Takes over a card table, which is all zeros then.
    fn take(&mut self, table: &mut [u8]) {
        for (nth, group) in table.chunks_mut(8).enumerate() {
            // Most cards are not written.
            if group != [0; 8] {
                for (at, card) in (nth * 8..).zip(group.iter()) {
                    if *card != 0 {
                        self.set(at);
                    }
                }
                group.fill(0);
            }
        }
    }

    /// Where in memory, in its order; may end past it.
    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let first = self.next(next, true)?;
            next = self.next(first, false).unwrap_or(self.cards());
            Some(first * CARD..next * CARD + OVERHANG)
        })
    }

    /// The first card from there on that was written, or that was not.
    fn next(&self, from: usize, written: bool) -> Option<usize> {
        let mut past = u64::MAX << (from % 64);
        for (nth, bits) in self.0.iter().enumerate().skip(from / 64) {
            let found = past & if written { *bits } else { !*bits };
            if found != 0 {
                return Some(nth * 64 + found.trailing_zeros() as usize);
            }
            past = u64::MAX;
        }
        None
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }
}
