//! A ticket that outlives the moment of its reservation: who decides later whether a request counts. Must not reserve.

use smallvec::SmallVec;

use super::source::{Held, Source, Taken};
use super::{LevelKind, Standing};
use crate::time::Nanos;

/// Levels that a kept ticket holds without an allocation: more than most requests have.
const USUAL: usize = 4;

/// See [`Ticket`](super::Ticket); this one holds the buckets themselves, so it stays valid across a reload.
#[must_use = "a ticket is committed or refunded"]
#[derive(Debug)]
pub struct KeptTicket {
    /// In the order of the levels.
    held: SmallVec<[(LevelKind, Held, Taken); USUAL]>,
}

impl KeptTicket {
    pub(super) fn of<'a>(taken: impl Iterator<Item = ((LevelKind, Source<'a>), Taken)>) -> Self {
        Self { held: taken.map(|((level, source), taken)| (level, source.held(), taken)).collect() }
    }

    /// The request counts: every level keeps its charge.
    pub fn commit(self) {
        drop(self);
    }

    /// The request does not count: every level gets its tokens back, as [`Bucket::refund`](crate::Bucket::refund) says.
    pub fn refund(self) {
        for (_, held, taken) in self.held {
            if let Some(source) = held.source() {
                source.refund(taken);
            }
        }
    }

    /// Gives back what was taken at some levels and keeps the rest: a refused credential spends nothing of its plan.
    pub fn refund_at(&mut self, levels: impl Fn(LevelKind) -> bool) {
        let (back, kept) = self.held.drain(..).partition(|(level, ..)| levels(*level));
        self.held = kept;
        Self { held: back }.refund();
    }

    /// Some levels keep their charge, whatever becomes of the rest: what the request was charged for has been done.
    pub fn commit_at(&mut self, levels: impl Fn(LevelKind) -> bool) {
        self.held.retain(|(level, ..)| !levels(*level));
    }

    /// Holds what another ticket of the request holds besides.
    pub fn join(&mut self, other: Self) {
        self.held.extend(other.held);
        // Each has a level once: their order is that of the levels.
        self.held.sort_by_key(|(level, ..)| *level);
    }

    /// How each level of the ticket stands at `now`, in the order of [`LevelKind`].
    pub fn standings(&self, now: Nanos) -> impl Iterator<Item = Standing> {
        self.held.iter().filter_map(move |(level, held, _)| Some(Standing::of(*level, held.source()?, now)))
    }
}
