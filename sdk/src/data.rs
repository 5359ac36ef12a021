//! Data of the hook's own, beside its memory: tables and lists of any size up to that of an artefact (10 MiB). The edge keeps them once for all
//! calls, and a call pays for what it reads.
//!
//! ```
//! edgeweir_sdk::data! {
//!     /// Old and new numbers, four bytes each, ascending.
//!     static NUMBERS = b"\0\0\0\x01\0\0\0\x05\0\0\0\x07\0\0\0\x02";
//! }
//!
//! fn new_number(old: u32) -> Option<u32> {
//!     let record = NUMBERS.search(8, |record| record[..4].cmp(&old.to_be_bytes())).ok()?;
//!     Some(u32::from_be_bytes(*record.last_chunk()?))
//! }
//!
//! assert_eq!(new_number(7), Some(2));
//! assert_eq!(new_number(8), None);
//! assert_eq!(NUMBERS.read(0..4), 1_u32.to_be_bytes());
//! ```
//!
//! A `static` counts in the hook's memory, and each loaded hook that has one keeps it twice; data here is kept once for all. A
//! read here is a call into the edge, a fraction of a microsecond, and copies the part that is asked for. Data of a few
//! kilobytes is best left an ordinary `static`.
//!
//! In unit tests, as plain Rust, the data is read where it is.

use std::cmp::Ordering;
use std::ops::{Bound, Range, RangeBounds};

#[cfg(target_arch = "wasm32")]
use std::sync::atomic::{self, AtomicBool};

#[cfg(target_arch = "wasm32")]
use crate::bindings::optional::edgeweir::hook::data as host;

/// Declares data: one or more `static NAME = BYTES;`, where `BYTES` is a constant of type `&[u8]` or `&[u8; N]`, as
/// `include_bytes!` gives it. Each becomes a static of type [`Data`](crate::data::Data).
///
/// ```
/// edgeweir_sdk::data! {
///     /// Blocked networks, sorted.
///     pub static NETWORKS = include_bytes!("data.rs");
///     static AGENTS = include_bytes!("data.rs");
/// }
/// # assert!(NETWORKS.len() > AGENTS.len() / 2);
/// ```
///
/// For WASM the bytes go into a custom section of the module, named after the static and its modules, and not into the hook's
/// memory. Declare data in the crate that is the hook: of other crates the linker may leave it out, and then reads panic.
#[macro_export]
macro_rules! data {
    ($($(#[$meta:meta])* $visibility:vis static $name:ident = $bytes:expr);+ $(;)?) => {$(
        $(#[$meta])*
        $visibility static $name: $crate::data::Data = {
            const BYTES: &[u8] = $bytes;
            #[cfg(target_arch = "wasm32")]
            #[unsafe(link_section = concat!("edgeweir:data/", module_path!(), "::", stringify!($name)))]
            static SECTION: [u8; BYTES.len()] = $crate::data::__copy(BYTES);
            $crate::data::Data::__new(concat!(module_path!(), "::", stringify!($name)), BYTES)
        };
    )+};
}

/// Data that [`data!`](crate::data!) declares.
#[derive(Debug)]
pub struct Data {
    name: &'static str,
    length: usize,
    #[cfg(not(target_arch = "wasm32"))]
    bytes: &'static [u8],
    /// Whether this call knows that the edge has the same data.
    #[cfg(target_arch = "wasm32")]
    found: AtomicBool,
}

/// Records are searched by single reads until so many bytes of them are left, which are then read at once: by about there a copy
/// costs as much as another call into the edge.
const BLOCK: usize = 1024;

impl Data {
    /// For [`data!`](crate::data!) only.
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(name: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            name,
            length: bytes.len(),
            #[cfg(not(target_arch = "wasm32"))]
            bytes,
            #[cfg(target_arch = "wasm32")]
            found: AtomicBool::new(false),
        }
    }

    /// Its name in the artefact, as `edgeweir hook inspect` shows it: the static's, with its modules.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Size in bytes. Known without asking the edge.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A part of it, copied into the hook's memory.
    ///
    /// # Panics
    /// As indexing of a slice does, when the range begins after its end or ends after the data. Also when the artefact has not the
    /// data that it was built with: another tool took its custom sections out, or the linker left out or put together those of other crates.
    #[must_use]
    pub fn read(&self, range: impl RangeBounds<usize>) -> Vec<u8> {
        let Range { start, end } = self.part(&range);
        if start == end { Vec::new() } else { self.bytes(start, end - start) }
    }

    /// Looks for a record, where the data is records of `width` bytes each and ascending, as
    /// [`binary_search_by`](slice::binary_search_by) does: `compare` says whether a record is less than, equal to or greater than
    /// what is looked for. Returns the record, or where it would be: the number of records before it. Bytes after the last whole
    /// record are left out.
    ///
    /// Reads as often as the records can be halved until 1 KiB is left.
    ///
    /// # Errors
    /// The number of records that are less, if none is equal.
    ///
    /// # Panics
    /// If `width` is 0; and as [`Data::read`] where the artefact has not the data.
    pub fn search(&self, width: usize, mut compare: impl FnMut(&[u8]) -> Ordering) -> Result<Vec<u8>, usize> {
        assert!(width > 0, "records have a width");
        let (mut low, mut high) = (0, self.length / width);
        while (high - low) * width > BLOCK.max(width) {
            let middle = low.midpoint(high);
            let record = self.read(middle * width..(middle + 1) * width);
            match compare(&record) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(record),
                Ordering::Greater => high = middle,
            }
        }
        let block = self.read(low * width..high * width);
        for (nth, record) in (low..).zip(block.chunks_exact(width)) {
            match compare(record) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(record.to_vec()),
                Ordering::Greater => return Err(nth),
            }
        }
        Err(high)
    }

    fn part(&self, range: &impl RangeBounds<usize>) -> Range<usize> {
        let start = match range.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.checked_add(1),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => Some(self.length),
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end && end <= self.length => start..end,
            _ => panic!(
                "`{}` has {} bytes, not {:?} to {:?}",
                self.name,
                self.length,
                range.start_bound(),
                range.end_bound()
            ),
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn bytes(&self, start: usize, length: usize) -> Vec<u8> {
        // The range was looked at.
        self.bytes.get(start..start + length).unwrap_or_default().to_vec()
    }

    /// Sizes are compared once a call: the linker puts sections of one name together, and then what is read would be another's.
    #[cfg(target_arch = "wasm32")]
    fn bytes(&self, start: usize, length: usize) -> Vec<u8> {
        // Offsets of this target have 32 bits.
        let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        if !self.found.load(atomic::Ordering::Relaxed) {
            let found = host::size(self.name);
            if found != Some(word(self.length)) {
                panic!("`{}` was built with {} bytes, the artefact has {found:?}", self.name, self.length);
            }
            self.found.store(true, atomic::Ordering::Relaxed);
        }
        match host::read(self.name, word(start), word(length)) {
            Ok(part) => part,
            Err(error) => panic!("`{}`: {error}", self.name),
        }
    }
}

/// The bytes as an array, whose length is theirs. For [`data!`](crate::data!) only.
#[doc(hidden)]
#[must_use]
pub const fn __copy<const N: usize>(bytes: &[u8]) -> [u8; N] {
    match bytes.first_chunk() {
        Some(all) => *all,
        None => panic!("as many bytes as there are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::data! {
        static DIGITS = b"0123456789";
        static NOTHING = b"";
        static LARGE = &records();
    }

    const WIDTH: usize = 6;
    const COUNT: usize = 5000;

    /// Every third number from 1 on, in four bytes, and two that mean nothing; at the end half a record.
    const fn records() -> [u8; COUNT * WIDTH + 3] {
        let mut all = [0xff; COUNT * WIDTH + 3];
        let mut nth = 0;
        while nth < COUNT {
            #[expect(clippy::cast_possible_truncation, reason = "small, and `try_from` is not const")]
            let number = (nth * 3 + 1) as u32;
            let (_, rest) = all.split_at_mut(nth * WIDTH);
            let (record, _) = rest.split_at_mut(4);
            record.copy_from_slice(&number.to_be_bytes());
            nth += 1;
        }
        all
    }

    fn find(number: u32) -> Result<Vec<u8>, usize> {
        LARGE.search(WIDTH, |record| record.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)).cmp(&number))
    }

    #[test]
    fn parts() {
        assert_eq!((DIGITS.len(), DIGITS.is_empty(), NOTHING.is_empty()), (10, false, true));
        assert_eq!(DIGITS.name(), "edgeweir_sdk::data::tests::DIGITS");
        assert_eq!(DIGITS.read(..), b"0123456789");
        assert_eq!(DIGITS.read(3..5), b"34");
        assert_eq!(DIGITS.read(8..), b"89");
        assert_eq!(DIGITS.read(..=0), b"0");
        assert_eq!(DIGITS.read((Bound::Excluded(8), Bound::Unbounded)), b"9");
        assert_eq!(DIGITS.read(10..), b"");
        assert_eq!(NOTHING.read(..), b"");
    }

    #[test]
    fn a_range_outside_of_the_data_panics() {
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tried")]
        for range in [0..11, 11..11, 5..4, 0..usize::MAX] {
            let read = std::panic::catch_unwind(|| DIGITS.read(range.clone()));
            let said = *read.expect_err("a panic").downcast::<String>().expect("a text");
            assert!(said.starts_with("`edgeweir_sdk::data::tests::DIGITS` has 10 bytes, not Included("), "{said}");
        }
        assert!(std::panic::catch_unwind(|| DIGITS.read(..=usize::MAX)).is_err());
    }

    #[test]
    fn all_records_are_found_and_no_others() {
        for nth in 0..COUNT {
            let number = u32::try_from(nth * 3 + 1).expect("small");
            assert_eq!(find(number).expect("a record")[..4], number.to_be_bytes(), "{number}");
            assert_eq!(find(number - 1), Err(nth), "{number} - 1");
            assert_eq!(find(number + 1), Err(nth + 1), "{number} + 1");
        }
        assert_eq!(find(u32::MAX), Err(COUNT));
    }

    #[test]
    fn records_of_other_widths() {
        for (width, count) in [(1, 10), (3, 3), (10, 1), (11, 0), (usize::MAX, 0)] {
            assert_eq!(DIGITS.search(width, |_| Ordering::Less), Err(count), "{width}");
            assert_eq!(DIGITS.search(width, |_| Ordering::Greater), Err(0), "{width}");
        }
        // Wider than what is read at once.
        assert_eq!(LARGE.search(2048, |record| record[..4].cmp(&[0, 0, 4, 2])).map_err(|nth| nth > 0), Err(true));
        assert_eq!(NOTHING.search(4, |_| Ordering::Equal), Err(0));
    }
}
