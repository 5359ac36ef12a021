//! What unsafe methods have invalidated (RFC 9111 §4.4): URLs, with all that is stored for them, in a table of fixed size.
//!
//! Anybody whose requests an origin accepts can invalidate, so this must not cost memory for each time. A URL has two cells,
//! chosen by a hash with a key of its own. To invalidate it is to write a number into both, each greater than all before; it
//! is invalidated for an object whose fetch began at a lesser number than that of both. So what was invalidated never counts
//! as good, and what was not is fetched once too often only if both its cells were written for others.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::{self, RawPart};

/// Cells; a power of two. They take 2 MiB.
const CELLS: usize = 1 << 18;
const MASK: u32 = CELLS as u32 - 1;

/// The cells of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place([u32; 2]);

#[derive(Debug)]
pub(super) struct Touched<S> {
    hasher: S,
    /// The greatest number that was given out.
    given: AtomicU64,
    /// How many were written into their cells.
    written: AtomicU64,
    cells: Box<[AtomicU64]>,
}

impl<S: BuildHasher> Touched<S> {
    pub(super) fn new(hasher: S) -> Self {
        Self {
            hasher,
            given: AtomicU64::new(0),
            written: AtomicU64::new(0),
            cells: std::iter::repeat_with(AtomicU64::default).take(CELLS).collect(),
        }
    }

    /// The place of the URL in a key: of its variants by headers, cookies and hooks all have the same.
    pub(super) fn place(&self, bytes: &[u8]) -> Place {
        let mut hasher = self.hasher.build_hasher();
        for (part, value) in key::raw_parts(bytes).filter(|(part, _)| *part != RawPart::Other) {
            hasher.write_u8(part as u8);
            hasher.write_usize(value.len());
            hasher.write(value);
        }
        let hash = hasher.finish();
        Place([hash as u32 & MASK, (hash >> 32) as u32 & MASK])
    }

    /// The number for what is fetched from now on.
    pub(super) fn number(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// Changes with each invalidation. Who saw the same before and after a look at a place need not look again.
    pub(super) fn version(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(super) fn touch(&self, place: Place) {
        let number = self.given.fetch_add(1, Ordering::AcqRel) + 1;
        for cell in self.cells(place) {
            cell.fetch_max(number, Ordering::AcqRel);
        }
        // After the cells: a version that was seen has all its numbers in their cells.
        self.written.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a place was touched after this number.
    pub(super) fn is_touched(&self, place: Place, since: u64) -> bool {
        self.cells(place).iter().all(|cell| cell.load(Ordering::Acquire) > since)
    }

    fn cells(&self, place: Place) -> [&AtomicU64; 2] {
        place.0.map(|at| &self.cells[(at & MASK) as usize])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::DefaultHasher;
    use std::hash::BuildHasherDefault;

    use http::HeaderMap;

    use super::*;
    use crate::{KeyBuilder, MethodClass, Selection};

    fn table() -> Touched<BuildHasherDefault<DefaultHasher>> {
        Touched::new(BuildHasherDefault::default())
    }

    fn key(scheme: &str, host: &str, path: &str) -> KeyBuilder {
        let mut key = KeyBuilder::new("site", MethodClass::Read);
        key.scheme(scheme).path(path.as_bytes()).query(Some("x=1"), &Selection::All).host(host);
        key
    }

    #[test]
    fn all_variants_of_a_url_and_no_other_url() {
        let table = table();
        let of = |scheme, host, path| table.place(key(scheme, host, path).as_bytes());
        let plain = of("https", "a.test", "/a");
        let mut variant = key("https", "a.test", "/a");
        let headers: HeaderMap = [("cookie", "a=1"), ("x-a", "1")]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>();
        variant.header(&"x-a".parse().unwrap(), &headers).cookies(&headers, &Selection::All).extra("hook", b"b");
        assert_eq!(table.place(variant.as_bytes()), plain);
        for other in [of("http", "a.test", "/a"), of("https", "a.test:8443", "/a"), of("https", "a.test", "/b")] {
            assert_ne!(other, plain);
        }
    }

    #[test]
    fn what_was_fetched_before_is_touched_and_what_came_after_is_not() {
        let table = table();
        let (place, other) = (Place([1, 2]), Place([2, 3]));
        let before = table.number();
        assert!(!table.is_touched(place, before));
        let version = table.version();
        table.touch(place);
        assert_ne!(version, table.version());
        assert!(table.is_touched(place, before));
        assert!(!table.is_touched(place, table.number()), "fetched since");
        assert!(!table.is_touched(other, before), "one of its cells is another's");
    }

    #[test]
    fn many_touched_urls_take_few_others_along() {
        let table = table();
        for number in 0..5_000 {
            table.touch(table.place(key("https", "a.test", &format!("/post/{number}")).as_bytes()));
        }
        let touched = (0..10_000).filter(|number| {
            table.is_touched(table.place(key("https", "a.test", &format!("/get/{number}")).as_bytes()), 0)
        });
        let touched = touched.count();
        assert!(touched < 400, "{touched} of 10,000 after 5,000 touches");
    }
}
