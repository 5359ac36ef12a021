//! All or nothing over several levels: a request is charged at every level that applies to it, or at none.
//! Must not know how a bucket counts, nor where the buckets come from.

mod level;

use std::sync::Arc;

use crate::bucket::{Bucket, Charge, Wait};
use crate::throttle::Throttle;
use crate::time::Nanos;
pub use level::LevelKind;

/// The buckets that apply to one request: at most one for each [`LevelKind`]. Nothing is allocated.
///
/// ```
/// # use std::sync::Arc;
/// # use edgeweir_limits::{Bucket, LevelKind, Levels, Nanos, Throttle};
/// let now = Nanos::ZERO;
/// let key = Arc::new(Bucket::new(Throttle::new(1.0, 2)?, now));
/// let no_behavior_limit: Option<&Arc<Bucket>> = None;
/// let levels = Levels::new().with(LevelKind::Key, &key).with(LevelKind::Behavior, no_behavior_limit);
///
/// levels.reserve(now, 1)?.commit();
/// let ticket = levels.reserve(now, 1)?;
/// let refused = levels.reserve(now, 1).unwrap_err();
/// assert_eq!((refused.level, refused.retry_after), (LevelKind::Key, Some(Nanos::from_secs(1))));
/// ticket.refund();
/// assert_eq!(key.remaining(now), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Levels<'a> {
    buckets: [Option<&'a Arc<Bucket>>; LevelKind::COUNT],
}

/// A reservation at every level of a request.
///
/// Dropped without [`Ticket::commit`] or [`Ticket::refund`] it keeps the charge: a request that died half-way did happen.
/// The ticket holds the buckets themselves, so it stays valid across a reload.
#[must_use = "a ticket is committed or refunded"]
#[derive(Debug)]
pub struct Ticket {
    held: [Option<Held>; LevelKind::COUNT],
}

#[derive(Debug)]
struct Held {
    bucket: Arc<Bucket>,
    charge: Charge,
}

/// The first level, in API Gateway's order, that had no room. No level was charged.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the {level} limit is reached")]
pub struct Refused {
    /// Which level refused.
    pub level: LevelKind,
    /// When all levels of the request, this one and those after it, will have room, if nobody else takes it. `None`: never,
    /// the cost is above a burst.
    pub retry_after: Option<Nanos>,
    /// Rate and burst of the level that refused.
    pub throttle: Throttle,
    /// Whole tokens left at that level; below the request's cost.
    pub remaining: u32,
}

/// How one level stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Which level.
    pub level: LevelKind,
    /// Its rate and burst.
    pub throttle: Throttle,
    /// Whole tokens left.
    pub remaining: u32,
    /// Until one token more is left; zero when the bucket is full.
    pub next_after: Nanos,
    /// Until the bucket is full; zero when it is.
    pub reset_after: Nanos,
}

impl<'a> Levels<'a> {
    /// No level at all: everything passes.
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: [None; LevelKind::COUNT] }
    }

    /// Sets the bucket of one level, or with `None` leaves that level without a limit. The order of calls does not matter.
    #[must_use]
    pub fn with(mut self, level: LevelKind, bucket: impl Into<Option<&'a Arc<Bucket>>>) -> Self {
        self.buckets[level.index()] = bucket.into();
        self
    }

    /// Takes `cost` tokens at every level, or none at all. The levels are asked in the order of [`LevelKind`], the first
    /// that has no room refuses.
    ///
    /// While a refusal is being undone, another thread may for an instant see fewer tokens than there are at the levels
    /// before it.
    ///
    /// # Errors
    /// [`Refused`] when a level has no room.
    pub fn reserve(&self, now: Nanos, cost: u32) -> Result<Ticket, Refused> {
        let mut ticket = Ticket { held: [const { None }; LevelKind::COUNT] };
        for level in LevelKind::ALL {
            let Some(bucket) = self.buckets[level.index()] else { continue };
            match bucket.reserve(now, cost) {
                Ok(charge) => ticket.held[level.index()] = Some(Held { bucket: Arc::clone(bucket), charge }),
                Err(wait) => {
                    ticket.refund();
                    return Err(self.refused(level, bucket, wait, now, cost));
                }
            }
        }
        Ok(ticket)
    }

    #[cold]
    fn refused(&self, level: LevelKind, bucket: &Bucket, wait: Wait, now: Nanos, cost: u32) -> Refused {
        let mut retry_after = Some(Nanos::ZERO);
        let others = self.buckets.iter().skip(level.index() + 1).flatten();
        for wait in std::iter::once(Some(wait)).chain(others.map(|bucket| bucket.probe(now, cost).err())).flatten() {
            retry_after = match (retry_after, wait) {
                (Some(longest), Wait::For(span)) => Some(longest.max(span)),
                _ => None,
            };
        }
        Refused { level, retry_after, throttle: bucket.throttle(), remaining: bucket.remaining(now) }
    }
}

impl Ticket {
    /// The request counts: every level keeps its charge.
    pub fn commit(self) {
        drop(self);
    }

    /// The request does not count: every level gets its tokens back, as [`Bucket::refund`] says.
    pub fn refund(self) {
        for Held { bucket, charge } in self.held.into_iter().flatten() {
            bucket.refund(charge);
        }
    }

    /// How each level of the ticket stands at `now`, in the order of [`LevelKind`].
    pub fn standings(&self, now: Nanos) -> impl Iterator<Item = Standing> {
        LevelKind::ALL.into_iter().zip(&self.held).filter_map(move |(level, held)| {
            let bucket = &held.as_ref()?.bucket;
            Some(Standing {
                level,
                throttle: bucket.throttle(),
                remaining: bucket.remaining(now),
                next_after: bucket.next_after(now),
                reset_after: bucket.reset_after(now),
            })
        })
    }

    /// The level with the fewest tokens left, the first of them in the order of [`LevelKind`]; `None` if no level applied.
    #[must_use]
    pub fn tightest(&self, now: Nanos) -> Option<Standing> {
        self.standings(now).min_by_key(|standing| standing.remaining)
    }
}
