//! Frees what hard purges took out of service, off the data path. A purge looks at no object; but one that is purged and not
//! asked for again would keep its room, and with TinyLFU also its rank: what comes in its place would not be let in.
//!
//! One sweep at a time, in steps of bounded work with pauses between. What is purged while one is at work is freed by its
//! next round. Softly purged objects stay: they may still answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{MokaStorage, Object};
use crate::purge::Judgement;

/// Objects that are looked at in one step, which takes about half a millisecond: it runs where requests do. On threads for work
/// that blocks, each step could begin another thread, and each thread keeps memory of its own.
const STEP: usize = 128;

/// The pauses of a sweep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses {
    /// Between two steps.
    pub(super) step: Duration,
    /// Before another round, for purges that came during the last one: many purges in a row make few rounds.
    pub(super) round: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { step: Duration::from_millis(1), round: Duration::from_secs(5) }
    }
}

/// The right to sweep a store. There is one at a time.
pub struct Sweep {
    storage: &'static MokaStorage,
    pauses: Pauses,
    /// It has the right still.
    holds: bool,
}

impl MokaStorage {
    /// Begins a sweep after a hard purge; none if one is at work, which then sees to this purge too.
    pub fn begin_sweep(&'static self) -> Option<Sweep> {
        self.begin_sweep_with(Pauses::default())
    }

    pub(super) fn begin_sweep_with(&'static self, pauses: Pauses) -> Option<Sweep> {
        // Who finds one at work has written its purge before: the swap at the end of that one's round reads this one.
        (!self.sweeping.swap(true, Ordering::AcqRel)).then_some(Sweep { storage: self, pauses, holds: true })
    }
}

impl Sweep {
    /// Sweeps until no purge has come meanwhile.
    pub async fn run(mut self) {
        loop {
            let generation = self.storage.purges.generation();
            self.round().await;
            self.release();
            // A purge that still saw this one at work relies on it; one that comes from now on begins its own.
            let taken = || self.storage.sweeping.swap(true, Ordering::AcqRel);
            if self.storage.purges.generation() == generation || taken() {
                return;
            }
            self.holds = true;
            tokio::time::sleep(self.pauses.round).await;
        }
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.holds) {
            self.storage.sweeping.swap(false, Ordering::AcqRel);
        }
    }

    /// Looks at each object once.
    async fn round(&self) {
        let storage = self.storage;
        let mut objects = storage.objects.iter();
        while step(storage, &mut objects) {
            tokio::time::sleep(self.pauses.step).await;
        }
    }
}

/// Looks at the next objects. Whether there may be more.
fn step(storage: &MokaStorage, objects: &mut impl Iterator<Item = (Arc<u128>, Arc<Object>)>) -> bool {
    for _ in 0..STEP {
        let Some((key, object)) = objects.next() else {
            // So that the room is there at once.
            storage.objects.run_pending_tasks();
            return false;
        };
        if object.judge(&storage.purges, storage.purges.generation()) == Judgement::Gone {
            storage.free(*key, &object);
        }
    }
    true
}

impl Drop for Sweep {
    fn drop(&mut self) {
        // The runtime ended before it did.
        self.release();
    }
}
