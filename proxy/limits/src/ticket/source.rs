//! Where a level takes its tokens: a bucket for all, a key's in its slot, or a client's in a table. Must not know levels.

use std::sync::Arc;

use crate::bucket::{Bucket, Charge, Wait};
use crate::clients::{Client, ClientBuckets, ClientCharge};
use crate::keys::Slot;
use crate::throttle::Throttle;
use crate::time::Nanos;

/// A bucket of one level.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    One(&'a Arc<Bucket>),
    Key(&'a Arc<Slot>, &'a Bucket),
    Client(&'a Arc<ClientBuckets>, Client),
}

/// What a ticket holds of one level. It keeps the bucket itself, so it stays valid across a reload.
#[derive(Debug)]
pub(super) enum Taken {
    One(Arc<Bucket>, Charge),
    Key(Arc<Slot>, Charge),
    Client(Arc<ClientBuckets>, ClientCharge),
}

impl Source<'_> {
    pub(super) fn reserve(self, now: Nanos, cost: u32) -> Result<Taken, Wait> {
        match self {
            Self::One(bucket) => bucket.reserve(now, cost).map(|charge| Taken::One(Arc::clone(bucket), charge)),
            Self::Key(slot, bucket) => bucket.reserve(now, cost).map(|charge| Taken::Key(Arc::clone(slot), charge)),
            Self::Client(table, client) => {
                table.reserve(client, now, cost).map(|charge| Taken::Client(Arc::clone(table), charge))
            }
        }
    }

    pub(super) fn probe(self, now: Nanos, cost: u32) -> Result<(), Wait> {
        match self {
            Self::One(bucket) => bucket.probe(now, cost),
            Self::Key(_, bucket) => bucket.probe(now, cost),
            Self::Client(table, client) => table.probe(client, now, cost),
        }
    }

    pub(super) fn throttle(self) -> Throttle {
        match self {
            Self::One(bucket) => bucket.throttle(),
            Self::Key(_, bucket) => bucket.throttle(),
            Self::Client(table, _) => table.throttle(),
        }
    }

    pub(super) fn remaining(self, now: Nanos) -> u32 {
        match self {
            Self::One(bucket) => bucket.remaining(now),
            Self::Key(_, bucket) => bucket.remaining(now),
            Self::Client(table, client) => table.remaining(client, now),
        }
    }

    pub(super) fn next_after(self, now: Nanos) -> Nanos {
        match self {
            Self::One(bucket) => bucket.next_after(now),
            Self::Key(_, bucket) => bucket.next_after(now),
            Self::Client(table, client) => table.next_after(client, now),
        }
    }

    pub(super) fn reset_after(self, now: Nanos) -> Nanos {
        match self {
            Self::One(bucket) => bucket.reset_after(now),
            Self::Key(_, bucket) => bucket.reset_after(now),
            Self::Client(table, client) => table.reset_after(client, now),
        }
    }
}

impl Taken {
    pub(super) fn refund(self) {
        match self {
            Self::One(bucket, charge) => bucket.refund(charge),
            Self::Key(slot, charge) => {
                if let Some(bucket) = slot.bucket() {
                    bucket.refund(charge);
                }
            }
            Self::Client(table, charge) => table.refund(charge),
        }
    }

    /// Where it was taken; a slot of which something was taken always has a bucket.
    pub(super) fn source(&self) -> Option<Source<'_>> {
        match self {
            Self::One(bucket, _) => Some(Source::One(bucket)),
            Self::Key(slot, _) => slot.bucket().map(|bucket| Source::Key(slot, bucket)),
            Self::Client(table, charge) => Some(Source::Client(table, charge.client())),
        }
    }
}
