//! All or nothing over several levels: a request is charged at every level that applies to it, or at none.
//! Must not know how a bucket counts, nor where the buckets come from.

mod level;
mod source;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::bucket::{Bucket, Wait};
use crate::clients::{Client, ClientBuckets};
use crate::keys::Slot;
use crate::throttle::Throttle;
use crate::time::Nanos;
pub use level::LevelKind;
use source::{Source, Taken};

/// Levels that a ticket holds without an allocation: more than most requests have.
const USUAL: usize = 4;

/// The buckets that apply to one request: at most one for each [`LevelKind`].
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
    sources: [Option<Source<'a>>; LevelKind::COUNT],
}

/// A reservation at every level of a request.
///
/// Dropped without [`Ticket::commit`] or [`Ticket::refund`] it keeps the charge: a request that died half-way did happen.
/// The ticket holds the buckets themselves, so it stays valid across a reload.
#[must_use = "a ticket is committed or refunded"]
#[derive(Debug)]
pub struct Ticket {
    /// In the order of the levels.
    held: SmallVec<[(LevelKind, Taken); USUAL]>,
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
        Self { sources: [None; LevelKind::COUNT] }
    }

    /// Sets the bucket of one level, or with `None` leaves that level without a limit. The order of calls does not matter.
    #[must_use]
    pub fn with(mut self, level: LevelKind, bucket: impl Into<Option<&'a Arc<Bucket>>>) -> Self {
        self.sources[level.index()] = bucket.into().map(Source::One);
        self
    }

    /// As [`Levels::with`], for the bucket of a key in a plan; without one there is no limit.
    #[must_use]
    pub fn with_slot(mut self, level: LevelKind, slot: &'a Arc<Slot>) -> Self {
        let holder = slot.with_tokens();
        self.sources[level.index()] = holder.and_then(|holder| Some(Source::Key(holder, holder.bucket()?)));
        self
    }

    /// As [`Levels::with`], for a level whose bucket is one of many clients'.
    #[must_use]
    pub fn with_client(mut self, level: LevelKind, table: &'a Arc<ClientBuckets>, client: Client) -> Self {
        self.sources[level.index()] = Some(Source::Client(table, client));
        self
    }

    /// Whether no level applies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.iter().all(Option::is_none)
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
        // Reads all buckets before the first is charged: what is not in the processor's cache is fetched at once, not one
        // after the other, and most refusals have nothing to undo.
        let mut count = 0;
        for level in LevelKind::ALL {
            let Some(source) = self.sources[level.index()] else { continue };
            count += 1;
            if let Err(wait) = source.probe(now, cost) {
                return Err(self.refused(level, source, wait, now, cost));
            }
        }
        let mut ticket = Ticket { held: SmallVec::with_capacity(count) };
        for level in LevelKind::ALL {
            let Some(source) = self.sources[level.index()] else { continue };
            match source.reserve(now, cost) {
                Ok(taken) => ticket.held.push((level, taken)),
                Err(wait) => {
                    ticket.refund();
                    return Err(self.refused(level, source, wait, now, cost));
                }
            }
        }
        Ok(ticket)
    }

    #[cold]
    fn refused(&self, level: LevelKind, source: Source<'_>, wait: Wait, now: Nanos, cost: u32) -> Refused {
        let mut retry_after = Some(Nanos::ZERO);
        let others = self.sources.iter().skip(level.index() + 1).flatten();
        for wait in std::iter::once(Some(wait)).chain(others.map(|other| other.probe(now, cost).err())).flatten() {
            retry_after = match (retry_after, wait) {
                (Some(longest), Wait::For(span)) => Some(longest.max(span)),
                _ => None,
            };
        }
        Refused { level, retry_after, throttle: source.throttle(), remaining: source.remaining(now) }
    }
}

impl Ticket {
    /// The request counts: every level keeps its charge.
    pub fn commit(self) {
        drop(self);
    }

    /// The request does not count: every level gets its tokens back, as [`Bucket::refund`] says.
    pub fn refund(self) {
        for (_, taken) in self.held {
            taken.refund();
        }
    }

    /// Gives back what was taken at some levels and keeps the rest: a refused credential spends nothing of its plan.
    pub fn refund_at(&mut self, levels: impl Fn(LevelKind) -> bool) {
        let (back, kept) = self.held.drain(..).partition(|(level, _)| levels(*level));
        self.held = kept;
        Self { held: back }.refund();
    }

    /// Some levels keep their charge, whatever becomes of the rest: what the request was charged for has been done.
    pub fn commit_at(&mut self, levels: impl Fn(LevelKind) -> bool) {
        self.held.retain(|(level, _)| !levels(*level));
    }

    /// Holds what another ticket of the request holds besides.
    pub fn join(&mut self, other: Self) {
        self.held.extend(other.held);
        // Each has a level once: their order is that of the levels.
        self.held.sort_by_key(|(level, _)| *level);
    }

    /// How each level of the ticket stands at `now`, in the order of [`LevelKind`].
    pub fn standings(&self, now: Nanos) -> impl Iterator<Item = Standing> {
        self.held.iter().filter_map(move |(level, taken)| {
            let source = taken.source()?;
            Some(Standing {
                level: *level,
                throttle: source.throttle(),
                remaining: source.remaining(now),
                next_after: source.next_after(now),
                reset_after: source.reset_after(now),
            })
        })
    }

    /// The viewer's own level with the fewest tokens left; `None` if it has none.
    #[must_use]
    pub fn tightest_of_viewer(&self, now: Nanos) -> Option<Standing> {
        self.standings(now).filter(|standing| standing.level.is_personal()).min_by_key(|standing| standing.remaining)
    }

    /// The level with the fewest tokens left, the first of them in the order of [`LevelKind`]; `None` if no level applied.
    #[must_use]
    pub fn tightest(&self, now: Nanos) -> Option<Standing> {
        self.standings(now).min_by_key(|standing| standing.remaining)
    }
}
