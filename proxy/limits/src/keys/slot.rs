//! A key's tokens and requests in one plan, and who holds them where they lie. Must not know how slots come and go.

use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Weak};

use super::row::Row;
use crate::bucket::{Cell, Measure};
use crate::clients::Client;
use crate::meter::Meter;
use crate::plans::{PlanId, Terms, UsagePlan};
use crate::quota::Quota;

/// A key in one plan: all that a check reads of it is in one line of memory, and only that line is its own.
#[derive(Debug)]
pub struct Slot {
    terms: Arc<Terms>,
    tokens: Tokens,
    /// The snapshot whose terms these are, or [`SUPERSEDED`].
    since: AtomicU64,
    client: Client,
    /// The key's requests.
    pub meter: Arc<Meter>,
}

/// In the place of a snapshot's number: there is a newer slot.
const SUPERSEDED: u64 = u64::MAX;

/// The key's tokens in a plan.
#[derive(Debug)]
pub(super) enum Tokens {
    /// They are here.
    Here(Cell),
    /// They are those of a slot before, whose throttle was the same.
    Of(SlotRef),
}

/// A slot, held where it is: it stays valid across changes of the key, its plans and the snapshot.
#[derive(Debug, Clone)]
pub struct SlotRef(Home);

/// Where a slot is.
#[derive(Debug, Clone)]
enum Home {
    /// In a row that has one there.
    Row(Arc<Row>, u32),
    Alone(Arc<Slot>),
}

/// Where a slot is in another row, for who must not keep that row.
#[derive(Debug)]
pub(super) struct Elsewhere(Weak<Row>, u32);

impl Slot {
    pub(super) fn new(terms: Arc<Terms>, tokens: Tokens, snapshot: u64, client: Client, meter: Arc<Meter>) -> Self {
        Self { terms, tokens, since: AtomicU64::new(snapshot), client, meter }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> PlanId {
        self.terms.plan
    }

    /// The quota of the plan.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.terms.quota
    }

    /// Who the key is in tables of clients, whichever of its values was presented.
    #[must_use]
    #[inline]
    pub fn client(&self) -> Client {
        self.client
    }

    /// Whether its tokens are in itself: then it holds no other slot.
    pub(super) fn has_tokens(&self) -> bool {
        matches!(self.tokens, Tokens::Here(_))
    }

    /// The tokens, of a slot that has them in itself.
    #[inline]
    pub(crate) fn parts(&self) -> Option<(&Measure, &Cell)> {
        match &self.tokens {
            Tokens::Here(cell) => Some((self.terms.measure.as_ref()?, cell)),
            Tokens::Of(_) => None,
        }
    }

    /// Whether this is the slot of a plan, as the snapshot with this number has the plan. A newer snapshot's is.
    #[inline]
    pub(super) fn is_current(&self, plan: &UsagePlan, snapshot: u64) -> bool {
        let since = self.since.load(Acquire);
        since != SUPERSEDED && self.terms.plan == plan.id && (since >= snapshot || self.terms.agree(&plan.terms))
    }

    /// There is a newer one.
    pub(super) fn supersede(&self) {
        self.since.store(SUPERSEDED, Release);
    }
}

impl SlotRef {
    pub(super) fn alone(slot: Arc<Slot>) -> Self {
        Self(Home::Alone(slot))
    }

    /// That of a row at a place where it has one.
    #[inline]
    pub(super) fn in_row(row: Arc<Row>, at: u32) -> Self {
        Self(Home::Row(row, at))
    }

    /// The slot, if it is in no row.
    pub(super) fn as_alone(&self) -> Option<&Arc<Slot>> {
        match &self.0 {
            Home::Alone(slot) => Some(slot),
            Home::Row(..) => None,
        }
    }

    /// Its row, and where it is there.
    pub(super) fn place(&self) -> Option<(&Arc<Row>, u32)> {
        match &self.0 {
            Home::Row(row, at) => Some((row, *at)),
            Home::Alone(_) => None,
        }
    }

    /// Whether both are one slot.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(&**self, &**other)
    }

    /// The slot that has the tokens in itself, if the plan has a throttle.
    #[inline]
    pub(crate) fn with_tokens(&self) -> Option<&Self> {
        self.terms.measure.as_ref()?;
        match &self.tokens {
            Tokens::Here(_) => Some(self),
            Tokens::Of(holder) => Some(holder),
        }
    }
}

impl Deref for SlotRef {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        match &self.0 {
            Home::Row(row, at) => row.slot(*at).unwrap_or_else(|| unreachable!("a row keeps what it has")),
            Home::Alone(slot) => slot,
        }
    }
}

impl Elsewhere {
    pub(super) fn new(row: &Arc<Row>, at: u32) -> Self {
        Self(Arc::downgrade(row), at)
    }

    /// The slot, if it is still there.
    pub(super) fn slot(&self) -> Option<SlotRef> {
        Some(SlotRef::in_row(self.0.upgrade()?, self.1))
    }
}
