//! Instances that are kept for the next call of their hook: after a call each is put back to what it was when it was made, and
//! that is what it costs to make another one. What the call wrote to its memory the card table tells (`load::rewrite::cards`),
//! and for what the host wrote the host itself; globals are set, and nothing else of an instance can change.
//!
//! An instance is kept only after a call that ended by itself. One that trapped, ran out of time or was given up is gone, and
//! so is one whose memory has grown. A kept instance has a place in the pool, which it leaves to whoever finds none (`room`).

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use parking_lot::Mutex;
use wasmtime::{Extern, Global, Instance, Memory, Module, ModuleExport, Store, Val};

use crate::load::rewrite::cards::{CARD, OVERHANG};
use crate::load::rewrite::{CARD_TABLE, GLOBAL, MOST_MEMORY};
use crate::state::CallState;

/// Most instances that a hook keeps: as many calls may be at work on that many processors, and find one.
const MOST: usize = 16;
/// Cards of the largest memory of an instance that is kept.
const KEPT_CARDS: usize = MOST_MEMORY / CARD;

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
}

/// An instance before its call.
struct Image {
    memory: Box<[u8]>,
    globals: Box<[Val]>,
}

impl Keeping {
    /// None if the module has no card table.
    pub(super) fn of(module: &Module) -> Option<Self> {
        let table = module.get_export_index(CARD_TABLE)?;
        let globals = module.exports().filter(|export| export.name().starts_with(GLOBAL));
        let globals = globals.map(|export| module.get_export_index(export.name())).collect::<Option<_>>()?;
        Some(Self { table, globals, first: OnceLock::new(), kept: Mutex::default() })
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
        self.kept.lock().pop()
    }

    /// Keeps an instance whose call has ended by itself, if it can be put back. Its store has nothing of the call any more.
    pub(crate) fn keep(&self, mut store: Store<CallState>, ready: Ready) {
        if self.put_back(&mut store, ready).is_none() {
            return;
        }
        let mut all = self.kept.lock();
        if all.len() < MOST {
            all.push(Kept { store, ready });
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.kept.lock().len()
    }

    /// Gives the one up that was not used for longest, so that others have room; whether there was any.
    pub(crate) fn give_up(&self) -> bool {
        let mut all = self.kept.lock();
        let oldest = if all.is_empty() { None } else { Some(all.remove(0)) };
        // Taking it apart takes longer than anybody may wait for the lock.
        drop(all);
        oldest.is_some()
    }

    /// None if it cannot be put back.
    fn put_back(&self, store: &mut Store<CallState>, Ready { instance, memory }: Ready) -> Option<()> {
        let Image { memory: first, globals } = self.first.get()?;
        if memory.data_size(&*store) != first.len() || first.len() > MOST_MEMORY {
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

fn global(store: &mut Store<CallState>, instance: Instance, export: &ModuleExport) -> Option<Global> {
    instance.get_module_export(&mut *store, export).and_then(Extern::into_global)
}

/// What was written to a hook's memory: a bit for each card. Of one with more memory than is kept nobody asks.
#[derive(Default)]
pub(crate) struct Written([u64; KEPT_CARDS / 64]);

impl Written {
    /// The host has written there.
    pub(super) fn by_host(&mut self, at: usize, length: usize) {
        if length > 0 {
            (at / CARD..=(at + length - 1) / CARD).take(KEPT_CARDS).for_each(|card| self.set(card));
        }
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
            next = self.next(first, false).unwrap_or(KEPT_CARDS);
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
