//! What the state of a bucket is counted with. Must not know whose the bucket is.
//!
//! Many buckets share one: all clients of a table, all keys of a plan. So what is each one's own is two numbers (`Cell`).

use super::cell::Cell;
use super::scale::Scale;
use super::{Charge, Wait};
use crate::throttle::Throttle;
use crate::time::Nanos;

/// Rate and burst, the unit of time that fits them, and since when time is counted.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) throttle: Throttle,
    scale: Scale,
    born: Nanos,
}

impl Measure {
    /// Counts from `born`, for 36 years.
    pub(crate) fn new(throttle: Throttle, born: Nanos) -> Self {
        Self { throttle, scale: Scale::new(&throttle), born }
    }

    /// Takes `cost` tokens, or none. A cost of 0 always succeeds.
    #[inline]
    pub(crate) fn reserve(&self, cell: &Cell, now: Nanos, cost: u32) -> Result<Charge, Wait> {
        if cost == 0 {
            return Ok(Charge::NOTHING);
        }
        let ticks = self.price(cost)?;
        cell.reserve(&self.scale, self.ticks(now), ticks).map_err(|short| Wait::For(self.scale.nanos(short)))
    }

    /// Whether `cost` tokens could be taken, without taking them.
    #[inline]
    pub(crate) fn probe(&self, cell: &Cell, now: Nanos, cost: u32) -> Result<(), Wait> {
        if cost == 0 {
            return Ok(());
        }
        let ticks = self.price(cost)?;
        match cell.short_of(&self.scale, self.ticks(now), ticks) {
            0 => Ok(()),
            short => Err(Wait::For(self.scale.nanos(short))),
        }
    }

    /// Makes a bucket of this measure, not yet in use, have no more than the tokens that `old` has.
    pub(crate) fn inherit(&self, cell: &Cell, old: (&Self, &Cell), now: Nanos) {
        let (measure, old) = old;
        cell.owe(self.ticks(now), self.converted(measure, measure.debt(old, now)));
    }

    /// Ticks that a bucket of this measure misses if one of `old` misses so many.
    pub(crate) fn converted(&self, old: &Self, ticks: u64) -> u64 {
        self.scale.converted(ticks, &old.scale)
    }

    /// Whole tokens that could be taken.
    pub(crate) fn remaining(&self, cell: &Cell, now: Nanos) -> u32 {
        self.scale.tokens_left(self.debt(cell, now))
    }

    /// Until there is one token more; zero when the bucket is full.
    pub(crate) fn next_after(&self, cell: &Cell, now: Nanos) -> Nanos {
        self.scale.next_after(self.debt(cell, now))
    }

    /// Until the bucket is full.
    pub(crate) fn reset_after(&self, cell: &Cell, now: Nanos) -> Nanos {
        self.scale.nanos(self.debt(cell, now))
    }

    /// Ticks until full.
    pub(crate) fn debt(&self, cell: &Cell, now: Nanos) -> u64 {
        cell.debt(&self.scale, self.ticks(now))
    }

    /// A moment in ticks.
    #[inline]
    pub(crate) fn ticks(&self, now: Nanos) -> u64 {
        self.scale.ticks(now.saturating_since(self.born))
    }

    /// A cost in ticks, if a full bucket could pay it.
    #[inline]
    fn price(&self, cost: u32) -> Result<u64, Wait> {
        if cost > self.throttle.burst() { Err(Wait::Never) } else { Ok(u64::from(cost) * self.scale.interval) }
    }
}
