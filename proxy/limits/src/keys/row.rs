//! Slots side by side, in the order of a table's places. Must not know keys.
//!
//! A slot that is allocated by itself can be found only by who has read where it is. Here the place of the key says it, so
//! both are fetched at once. A slot must stay where it is as long as anybody may charge it: a row grows by no seat, and no seat is
//! given to a second key.

use std::sync::{Arc, OnceLock};

use super::slot::{Elsewhere, Slot, SlotRef};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Row {
    seats: Box<[Seat]>,
    /// Whether slots may be put here.
    open: bool,
}

/// A line of memory for the slot of one key.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Seat(OnceLock<Seated>);

#[derive(Debug)]
enum Seated {
    /// One that has its tokens in itself: rows hold no other rows, so none can hold each other for ever.
    Slot(Slot),
    Elsewhere(Elsewhere),
}

impl Row {
    /// With so many seats; if not `open`, for those only who sit elsewhere.
    pub(super) fn new(seats: usize, open: bool) -> Self {
        Self { seats: (0..seats).map(|_| Seat::default()).collect(), open }
    }

    /// Has the processor fetch a seat, while what is asked first is still on its way.
    #[inline]
    pub(super) fn fetch(&self, at: u32) {
        std::hint::black_box(self.seated(at).is_some());
    }

    #[inline]
    fn seated(&self, at: u32) -> Option<&Seated> {
        self.seats.get(at as usize)?.0.get()
    }

    /// The slot that is here.
    #[inline]
    pub(super) fn slot(&self, at: u32) -> Option<&Slot> {
        match self.seated(at)? {
            Seated::Slot(slot) => Some(slot),
            Seated::Elsewhere(_) => None,
        }
    }

    /// The slot that the seat has or tells of, if it is what is wanted.
    #[inline]
    pub(super) fn find(self: &Arc<Self>, at: u32, wanted: impl Fn(&Slot) -> bool) -> Option<SlotRef> {
        match self.seated(at)? {
            Seated::Slot(slot) => wanted(slot).then(|| SlotRef::in_row(Arc::clone(self), at)),
            Seated::Elsewhere(elsewhere) => elsewhere.slot().filter(|slot| wanted(slot)),
        }
    }

    /// Puts a slot into its seat, or gives it a place of its own if the seat is taken.
    pub(super) fn seat(self: &Arc<Self>, at: u32, slot: Slot) -> SlotRef {
        let alone = |slot| SlotRef::alone(Arc::new(slot));
        let Some(seat) = self.seats.get(at as usize).filter(|_| self.open && slot.has_tokens()) else {
            return alone(slot);
        };
        match seat.0.set(Seated::Slot(slot)) {
            Ok(()) => SlotRef::in_row(Arc::clone(self), at),
            Err(Seated::Slot(slot)) => alone(slot),
            Err(Seated::Elsewhere(_)) => unreachable!("it is given back as it came"),
        }
    }

    /// Lets an empty seat tell where the slot of its key is, which is in another row.
    pub(super) fn tell(&self, at: u32, slot: &SlotRef) {
        if let (Some((row, there)), Some(seat)) = (slot.place(), self.seats.get(at as usize))
            && seat.0.get().is_none()
        {
            // Who is there already stays.
            let _first = seat.0.set(Seated::Elsewhere(Elsewhere::new(row, there)));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_a_line() {
        assert_eq!(size_of::<Seat>(), 64);
    }
}
