//! All or nothing over several levels: a request is charged at every level that applies to it, or at none.
//! Must not know how a bucket counts, nor where the buckets come from.

mod kept;
mod level;
mod source;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::bucket::{Bucket, Wait};
use crate::clients::{Client, ClientBuckets};
use crate::keys::SlotRef;
use crate::throttle::Throttle;
use crate::time::Nanos;
pub use kept::KeptTicket;
pub use level::LevelKind;
use source::{Source, Taken};

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
    /// Which of them there are, by bits: most requests have few.
    present: u32,
}

/// A reservation at every level of a request.
///
/// Dropped without [`Ticket::commit`] or [`Ticket::refund`] it keeps the charge: a request that died half-way did happen.
/// It borrows the levels, so that who counts at once pays for nothing else; [`Ticket::keep`] is for who decides later.
#[must_use = "a ticket is committed, refunded or kept"]
#[derive(Debug)]
pub struct Ticket<'l> {
    levels: &'l Levels<'l>,
    /// In the order of the levels.
    taken: AllTaken,
}

type AllTaken = SmallVec<[Taken; LevelKind::COUNT]>;

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
        Self { sources: [None; LevelKind::COUNT], present: 0 }
    }

    /// Sets the bucket of one level, or with `None` leaves that level without a limit. The order of calls does not matter.
    #[must_use]
    #[inline]
    pub fn with(mut self, level: LevelKind, bucket: impl Into<Option<&'a Arc<Bucket>>>) -> Self {
        self.set(level, bucket.into().map(Source::One));
        self
    }

    /// As [`Levels::with`], for the bucket of a key in a plan; without one there is no limit.
    #[must_use]
    #[inline]
    pub fn with_slot(mut self, level: LevelKind, slot: &'a SlotRef) -> Self {
        self.set(level, Source::of(slot));
        self
    }

    /// As [`Levels::with`], for a level whose bucket is one of many clients'.
    #[must_use]
    #[inline]
    pub fn with_client(mut self, level: LevelKind, table: &'a Arc<ClientBuckets>, client: Client) -> Self {
        self.set(level, Some(Source::Client(table, client)));
        self
    }

    #[inline]
    fn set(&mut self, level: LevelKind, source: Option<Source<'a>>) {
        let bit = 1 << level.index();
        self.present = if source.is_some() { self.present | bit } else { self.present & !bit };
        self.sources[level.index()] = source;
    }

    /// Whether no level applies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// Takes `cost` tokens at every level, or none at all. The levels are asked in the order of [`LevelKind`], the first
    /// that has no room refuses.
    ///
    /// While a refusal is being undone, another thread may for an instant see fewer tokens than there are at the levels
    /// before it.
    ///
    /// # Errors
    /// [`Refused`] when a level has no room.
    #[inline]
    pub fn reserve(&self, now: Nanos, cost: u32) -> Result<Ticket<'_>, Refused> {
        let mut ticket = Ticket { levels: self, taken: SmallVec::new() };
        match self.take(now, cost, &mut ticket.taken) {
            Ok(()) => Ok(ticket),
            Err((level, source, wait)) => {
                // Most refusals have taken nothing yet.
                if !ticket.taken.is_empty() {
                    ticket.refund();
                }
                Err(self.refused(level, source, wait, now, cost))
            }
        }
    }

    /// Takes at each level, until one refuses.
    fn take(&self, now: Nanos, cost: u32, into: &mut AllTaken) -> Result<(), (LevelKind, Source<'a>, Wait)> {
        // Reads all buckets before the first is charged: what is not in the processor's cache is fetched at once, not one
        // after the other, and most refusals have nothing to undo.
        self.levels().for_each(|(_, source)| source.fetch());
        for (level, source) in self.levels() {
            source.probe(now, cost).map_err(|wait| (level, source, wait))?;
        }
        for (level, source) in self.levels() {
            into.push(source.reserve(now, cost).map_err(|wait| (level, source, wait))?);
        }
        Ok(())
    }

    #[inline]
    fn levels(&self) -> impl Iterator<Item = (LevelKind, Source<'a>)> {
        let mut left = self.present;
        std::iter::from_fn(move || {
            let at = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            Some((*LevelKind::ALL.get(at)?, (*self.sources.get(at)?)?))
        })
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
        let (measure, cell) = source.bucket();
        Refused { level, retry_after, throttle: measure.throttle, remaining: measure.remaining(cell, now) }
    }
}

impl Ticket<'_> {
    /// The request counts: every level keeps its charge.
    #[inline]
    pub fn commit(self) {
        drop(self);
    }

    /// The request does not count: every level gets its tokens back, as [`Bucket::refund`] says.
    pub fn refund(self) {
        for ((_, source), taken) in self.levels.levels().zip(self.taken) {
            source.refund(taken);
        }
    }

    /// The same ticket with the buckets themselves: it stays valid across a reload.
    pub fn keep(self) -> KeptTicket {
        KeptTicket::of(self.levels.levels().zip(self.taken))
    }

    /// How each level of the ticket stands at `now`, in the order of [`LevelKind`].
    pub fn standings(&self, now: Nanos) -> impl Iterator<Item = Standing> {
        self.levels.levels().map(move |(level, source)| Standing::of(level, source, now))
    }

    /// The level with the fewest tokens left, the first of them in the order of [`LevelKind`]; `None` if no level applied.
    #[must_use]
    pub fn tightest(&self, now: Nanos) -> Option<Standing> {
        self.tightest_of(now, |_| true)
    }

    /// The viewer's own level with the fewest tokens left; `None` if it has none.
    #[must_use]
    pub fn tightest_of_viewer(&self, now: Nanos) -> Option<Standing> {
        self.tightest_of(now, LevelKind::is_personal)
    }

    fn tightest_of(&self, now: Nanos, wanted: impl Fn(LevelKind) -> bool) -> Option<Standing> {
        let left = |source: Source<'_>| {
            let (measure, cell) = source.bucket();
            measure.remaining(cell, now)
        };
        let levels = self.levels.levels().filter(|(level, _)| wanted(*level));
        let (level, source) = levels.min_by_key(|(_, source)| left(*source))?;
        Some(Standing::of(level, source, now))
    }
}

impl Standing {
    fn of(level: LevelKind, source: Source<'_>, now: Nanos) -> Self {
        let (measure, cell) = source.bucket();
        Self {
            level,
            throttle: measure.throttle,
            remaining: measure.remaining(cell, now),
            next_after: measure.next_after(cell, now),
            reset_after: measure.reset_after(cell, now),
        }
    }
}
