//! Where a level takes its tokens: a bucket for all, a key's in its slot, or a client's in a table. Must not know levels.

use std::sync::Arc;

use crate::bucket::{Bucket, Cell, Charge, Measure, Wait};
use crate::clients::{Client, ClientBuckets};
use crate::keys::SlotRef;
use crate::time::Nanos;

/// A bucket of one level.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    One(&'a Arc<Bucket>),
    /// A slot that has the tokens in itself.
    Key(&'a SlotRef, &'a Measure, &'a Cell),
    Client(&'a Arc<ClientBuckets>, Client),
}

/// What was taken from a source, and can be given back to it.
#[derive(Debug)]
pub(super) struct Taken {
    charge: Charge,
    /// Which bucket of the client's set, of a client.
    way: u8,
}

/// A source with its bucket, which so stays valid across a reload.
#[derive(Debug)]
pub(super) enum Held {
    One(Arc<Bucket>),
    Key(SlotRef),
    Client(Arc<ClientBuckets>, Client),
}

impl<'a> Source<'a> {
    /// The slot of a key, or of a slot before it that has its tokens. None if the plan has no throttle.
    pub(super) fn of(slot: &'a SlotRef) -> Option<Self> {
        let holder = slot.with_tokens()?;
        let (measure, cell) = holder.parts()?;
        Some(Self::Key(holder, measure, cell))
    }

    /// Has the processor fetch at once what would else be read bit by bit.
    #[inline]
    pub(super) fn fetch(self) {
        if let Self::Client(table, client) = self {
            table.fetch(client);
        }
    }

    #[inline(always)]
    pub(super) fn reserve(self, now: Nanos, cost: u32) -> Result<Taken, Wait> {
        let (charge, way) = match self {
            Self::One(bucket) => (bucket.reserve(now, cost)?, 0),
            Self::Key(_, measure, cell) => (measure.reserve(cell, now, cost)?, 0),
            Self::Client(table, client) => table.take(client, now, cost)?,
        };
        Ok(Taken { charge, way })
    }

    #[inline(always)]
    pub(super) fn probe(self, now: Nanos, cost: u32) -> Result<(), Wait> {
        let (measure, cell) = self.bucket();
        measure.probe(cell, now, cost)
    }

    /// Gives back what was taken here.
    pub(super) fn refund(self, taken: Taken) {
        match self {
            Self::One(_) | Self::Key(..) => self.bucket().1.refund(taken.charge),
            Self::Client(table, client) => table.give_back(client, taken.way, taken.charge),
        }
    }

    /// The bucket: of a client that has none, the one that it would get.
    #[inline]
    pub(super) fn bucket(self) -> (&'a Measure, &'a Cell) {
        match self {
            Self::One(bucket) => bucket.parts(),
            Self::Key(_, measure, cell) => (measure, cell),
            Self::Client(table, client) => table.bucket(client),
        }
    }

    pub(super) fn held(self) -> Held {
        match self {
            Self::One(bucket) => Held::One(Arc::clone(bucket)),
            Self::Key(slot, ..) => Held::Key(slot.clone()),
            Self::Client(table, client) => Held::Client(Arc::clone(table), client),
        }
    }
}

impl Held {
    /// None for a slot without tokens, which nobody holds.
    pub(super) fn source(&self) -> Option<Source<'_>> {
        match self {
            Self::One(bucket) => Some(Source::One(bucket)),
            Self::Key(slot) => Source::of(slot),
            Self::Client(table, client) => Some(Source::Client(table, *client)),
        }
    }
}
