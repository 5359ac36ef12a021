//! What a key uses of a plan: requests left of its lease, and counts for the ledger. Lock-free; must not know where leases
//! come from.
//!
//! A quota is kept by a store that survives the process. From there comes a lease, so many requests at once, and requests
//! take theirs out of it: one compare-and-swap. The store has counted all of the lease when it gave it, so whatever
//! happens to this process, no more is admitted than the limit; what was left of the lease is lost with the process.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::period::{DAY, LAST};
use crate::quota::Quota;

/// Bits of a count; the number of its period or day is above them.
const COUNT_BITS: u32 = 40;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// One key in one plan. Lives as long as the process, over reloads.
#[derive(Debug)]
pub struct Meter {
    /// Name of the plan.
    pub plan: Arc<str>,
    /// What the key is counted under.
    pub key: Box<str>,
    label: Label,
    /// Number of the period, and requests left of the lease for it.
    lease: AtomicU64,
    /// Below this many left, more is asked for.
    low: AtomicU64,
    /// Number of the period, plus one, in which the store has no more; 0 for none.
    spent: AtomicU32,
    /// Somebody has asked the store and waits.
    asked: AtomicBool,
    counted: Days,
    refused: Days,
    /// Admitted without a lease, while the store was gone and the policy is to go on.
    owed: AtomicU64,
    books: Mutex<Books>,
}

/// The name of a key, which may change: one for all that it has used.
#[derive(Debug, Clone)]
pub(crate) struct Label(Arc<ArcSwap<Box<str>>>);

impl Label {
    pub(crate) fn new(name: &str) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(name.into())))
    }

    pub(crate) fn set(&self, name: &str) {
        if &***self.0.load() != name {
            self.0.store(Arc::new(name.into()));
        }
    }
}

/// What only those look at who keep the books.
#[derive(Debug, Default)]
struct Books {
    quota: Option<Quota>,
    /// The limit of the period of the lease, and what of it is leased, here and elsewhere.
    standing: Option<(u32, u64, u64)>,
    /// Left of a lease for a limit that has changed since: it goes back.
    returned: Option<(u32, u64)>,
}

impl Books {
    /// Remembers what is to be given back, with what there is of the same period already.
    fn keep(&mut self, period: u32, count: u64) {
        if count > 0 {
            let before = self.returned.filter(|(of, _)| *of == period).map_or(0, |(_, count)| count);
            self.returned = Some((period, before + count));
        }
    }
}

/// What a take from the lease comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Taken.
    Taken,
    /// Taken, and more should be leased: the caller is the one to ask.
    Low,
    /// There is no lease, or too little of it: ask if `ask`, then wait.
    Empty {
        /// Nobody has asked yet, the caller is the one to do it.
        ask: bool,
    },
    /// The store has no more for this period.
    Spent,
}

/// What the books say of a meter, for whoever asks the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The quota as it is now.
    pub quota: Quota,
    /// Left of the lease for the period.
    pub left: u64,
    /// Admitted without a lease.
    pub owed: u64,
    /// Leased for another limit, and not used.
    pub returned: u64,
}

/// A lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Number of the period that it is for.
    pub period: u32,
    /// Requests.
    pub granted: u64,
    /// The limit of that period.
    pub limit: u64,
    /// What of it is leased now, here and elsewhere.
    pub leased: u64,
}

/// How a meter stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterStanding {
    /// Number of the period.
    pub period: u32,
    /// The limit of that period.
    pub limit: u64,
    /// Requests that were admitted, those that are still under way among them. With a store that several edges share, what
    /// the others have leased counts as used.
    pub used: u64,
}

/// Counts since they were last booked, by day since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Requests.
    pub requests: Vec<(u32, u64)>,
    /// Requests that the quota refused.
    pub refused: Vec<(u32, u64)>,
}

/// Counts by day.
#[derive(Debug, Default)]
struct Days {
    /// Number of the day, and what was counted on it.
    today: AtomicU64,
    /// Counts of days that are over.
    earlier: Mutex<Vec<(u32, u64)>>,
}

impl Days {
    fn add(&self, unix: u64) {
        let day = u32::try_from(unix / DAY).unwrap_or(LAST) & LAST;
        let mut packed = self.today.load(Relaxed);
        loop {
            let (of, count) = unpack(packed);
            let next = if of == day { pack(day, count + 1) } else { pack(day, 1) };
            match self.today.compare_exchange_weak(packed, next, Relaxed, Relaxed) {
                Ok(_) if of != day && count > 0 => {
                    // Once a day.
                    add_to(&mut self.earlier.lock(), of, count);
                    return;
                }
                Ok(_) => return,
                Err(current) => packed = current,
            }
        }
    }

    fn take(&self) -> Vec<(u32, u64)> {
        let mut days = std::mem::take(&mut *self.earlier.lock());
        let mut packed = self.today.load(Relaxed);
        while unpack(packed).1 > 0 {
            let (day, count) = unpack(packed);
            match self.today.compare_exchange_weak(packed, pack(day, 0), Relaxed, Relaxed) {
                Ok(_) => {
                    add_to(&mut days, day, count);
                    break;
                }
                Err(current) => packed = current,
            }
        }
        days
    }

    fn is_empty(&self) -> bool {
        unpack(self.today.load(Relaxed)).1 == 0 && self.earlier.lock().is_empty()
    }
}

/// One entry for each day.
fn add_to(days: &mut Vec<(u32, u64)>, day: u32, count: u64) {
    match days.iter_mut().find(|(of, _)| *of == day) {
        Some((_, sum)) => *sum += count,
        None => days.push((day, count)),
    }
}

const fn pack(number: u32, count: u64) -> u64 {
    ((number & LAST) as u64) << COUNT_BITS | count & COUNT
}

const fn unpack(packed: u64) -> (u32, u64) {
    ((packed >> COUNT_BITS) as u32, packed & COUNT)
}

impl Meter {
    /// A meter without a lease; without a quota it only counts.
    #[must_use]
    pub fn new(plan: &Arc<str>, key: &str, quota: Option<Quota>) -> Self {
        let meter = Self {
            plan: Arc::clone(plan),
            key: key.into(),
            label: Label::new(key),
            lease: AtomicU64::new(0),
            low: AtomicU64::new(0),
            spent: AtomicU32::new(0),
            asked: AtomicBool::new(false),
            counted: Days::default(),
            refused: Days::default(),
            owed: AtomicU64::new(0),
            books: Mutex::default(),
        };
        meter.set_quota(quota);
        meter
    }

    /// The same meter of a key with a name.
    pub(crate) fn with_label(mut self, label: &Label) -> Self {
        self.label.clone_from(label);
        self
    }

    /// The name of the key in logs, as it is now.
    #[must_use]
    pub fn key_name(&self) -> Arc<Box<str>> {
        self.label.0.load_full()
    }

    /// Another quota is in force. What is left of the lease goes back with the next demand: it may be more than the new
    /// limit has.
    pub fn set_quota(&self, quota: Option<Quota>) {
        let mut books = self.books.lock();
        if books.quota == quota {
            return;
        }
        // Where periods have other numbers, nothing can be given back.
        let same_periods = books.quota.zip(quota).is_some_and(|(old, new)| old.period == new.period);
        let (period, left) = unpack(self.lease.swap(0, AcqRel));
        books.keep(period, left);
        if !same_periods {
            books.returned = None;
        }
        books.quota = quota;
        books.standing = None;
        self.low.store(quota.map_or(0, |quota| quota.lease.div_ceil(2)), Relaxed);
        self.spent.store(0, Relaxed);
    }

    /// Takes one request out of the lease for a period.
    pub fn take(&self, period: u32) -> Take {
        let mut packed = self.lease.load(Acquire);
        loop {
            let (of, left) = unpack(packed);
            if of != period || left == 0 {
                if self.spent.load(Acquire) == period + 1 {
                    return Take::Spent;
                }
                return Take::Empty { ask: !self.asked.swap(true, AcqRel) };
            }
            match self.lease.compare_exchange_weak(packed, pack(of, left - 1), AcqRel, Acquire) {
                Ok(_) => {
                    // The lease that was the last one is used up to its end.
                    let low = left - 1 < self.low.load(Relaxed) && self.spent.load(Relaxed) != period + 1;
                    return if low && !self.asked.swap(true, AcqRel) { Take::Low } else { Take::Taken };
                }
                Err(current) => packed = current,
            }
        }
    }

    /// Gives back one request of a period: it did not count. Nothing, if the period is over.
    pub fn give_back(&self, period: u32) {
        self.add(period, 1);
    }

    fn add(&self, period: u32, count: u64) {
        let mut packed = self.lease.load(Acquire);
        loop {
            let (of, left) = unpack(packed);
            if of != period {
                return;
            }
            match self.lease.compare_exchange_weak(packed, pack(of, left + count), AcqRel, Acquire) {
                Ok(_) => return,
                Err(current) => packed = current,
            }
        }
    }

    /// A request was admitted without a lease: the next demand books it.
    pub fn owe(&self) {
        self.owed.fetch_add(1, Relaxed);
    }

    /// What the store is asked for, in a period. None without a quota. What goes back and what is owed is in this question
    /// from now on and in no other one, whatever happens to the quota while the store is asked: so it is booked once.
    #[must_use]
    pub fn demand(&self, period: u32) -> Option<Demand> {
        let (quota, returned) = {
            let mut books = self.books.lock();
            let quota = books.quota?;
            (quota, books.returned.take().filter(|(of, _)| *of == period).map_or(0, |(_, count)| count))
        };
        let (of, left) = unpack(self.lease.load(Acquire));
        Some(Demand { quota, left: if of == period { left } else { 0 }, owed: self.owed.swap(0, Relaxed), returned })
    }

    /// The store has booked what the demand says, and granted this. A lease of nothing says that the limit is reached.
    pub fn grant(&self, lease: Lease, demand: &Demand) {
        let mut books = self.books.lock();
        if books.quota != Some(demand.quota) {
            // Another limit came while the store was asked: this lease is not for it, and nobody takes from it.
            if books.quota.is_some_and(|quota| quota.period == demand.quota.period) {
                books.keep(lease.period, lease.granted);
            }
            self.asked.store(false, Relaxed);
            return;
        }
        let mut packed = self.lease.load(Acquire);
        loop {
            let (of, left) = unpack(packed);
            // What is left for another period is for nobody.
            let next = if of == lease.period { left + lease.granted } else { lease.granted };
            match self.lease.compare_exchange_weak(packed, pack(lease.period, next), AcqRel, Acquire) {
                Ok(_) => break,
                Err(current) => packed = current,
            }
        }
        books.standing = Some((lease.period, lease.limit, lease.leased));
        // Half of it: the next one comes while the other half is used. After a lease of nothing the rest is used up first.
        let left = unpack(self.lease.load(Relaxed)).1;
        self.low.store(if lease.granted > 0 { left.div_ceil(2) } else { 0 }, Relaxed);
        let spent = if lease.leased >= lease.limit { lease.period + 1 } else { 0 };
        self.spent.store(spent, Relaxed);
        self.asked.store(false, Relaxed);
    }

    /// The store has not answered: whoever comes next asks again.
    pub fn not_granted(&self) {
        self.asked.store(false, Relaxed);
    }

    /// The store may have heard the question or not: what was to be given back with it is lost, what is owed is booked with
    /// the next one, and whoever comes next asks again.
    pub fn lost_question(&self, demand: &Demand) {
        self.owed.fetch_add(demand.owed, Relaxed);
        self.asked.store(false, Relaxed);
    }

    /// Whether somebody waits for the store's answer.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// Takes all that is left of leases, to give it back to the store.
    #[must_use]
    pub fn surrender(&self) -> Option<(u32, u64)> {
        let mut books = self.books.lock();
        let returned = books.returned.take();
        let mut packed = self.lease.load(Acquire);
        loop {
            let (of, left) = unpack(packed);
            if left == 0 {
                return returned;
            }
            match self.lease.compare_exchange_weak(packed, pack(of, 0), AcqRel, Acquire) {
                Ok(_) => {
                    // It is somebody else's now; whether there is more is the store's to say.
                    self.spent.store(0, Relaxed);
                    let kept = returned.filter(|(period, _)| *period == of).map_or(0, |(_, count)| count);
                    return Some((of, left + kept));
                }
                Err(current) => packed = current,
            }
        }
    }

    /// What is spent here may have come back elsewhere: the next request asks the store again.
    pub fn ask_again(&self) {
        self.spent.store(0, Relaxed);
    }

    /// Whether the store has said that a period's limit is reached.
    #[must_use]
    pub fn is_spent(&self, period: u32) -> bool {
        self.spent.load(Relaxed) == period + 1
    }

    /// Counts a request for the ledger, at a moment in seconds since 1970.
    pub fn count(&self, unix: u64) {
        self.counted.add(unix);
    }

    /// Counts a refusal for the ledger, at a moment in seconds since 1970.
    pub fn count_refused(&self, unix: u64) {
        self.refused.add(unix);
    }

    /// Takes the counts, to book them. None if there are none.
    #[must_use]
    pub fn counted(&self) -> Option<Counted> {
        let counted = Counted { requests: self.counted.take(), refused: self.refused.take() };
        (counted != Counted::default()).then_some(counted)
    }

    /// Whether there are counts to book.
    #[must_use]
    pub fn has_counted(&self) -> bool {
        !self.counted.is_empty() || !self.refused.is_empty()
    }

    /// How the quota stands; none without a quota or before the first lease.
    #[must_use]
    pub fn standing(&self) -> Option<MeterStanding> {
        let (period, limit, leased) = self.books.lock().standing?;
        let (of, left) = unpack(self.lease.load(Acquire));
        let left = if of == period { left } else { 0 };
        Some(MeterStanding { period, limit, used: leased.saturating_sub(left) })
    }

    /// The quota in force.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.books.lock().quota
    }
}

#[cfg(test)]
mod tests;
