//! Where the next block goes: arithmetic on addresses, without memory. It does not know WASM.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A range of addresses that is given out from its start to its end.
///
/// The fields are atomic only so that the arena can be a `static`; it is not meant for several threads.
pub(super) struct Arena {
    /// First free address. 0: nothing is known yet.
    next: AtomicUsize,
    /// End of the range.
    end: AtomicUsize,
}

impl Arena {
    /// An arena that does not know its range yet: it asks for it with the first block.
    pub(super) const fn new() -> Self {
        Self { next: AtomicUsize::new(0), end: AtomicUsize::new(0) }
    }

    /// End of the range; 0 if none was handed over yet.
    pub(super) fn end(&self) -> usize {
        self.end.load(Relaxed)
    }

    /// A block of `size` bytes at a multiple of `align` (a power of two), or `None`.
    ///
    /// `more(bytes)` is asked when the range is used up: it gives a further range of at least that many bytes. If the
    /// range does not start where the old one ended, the rest of the old one is given up.
    pub(super) fn allocate(
        &self,
        size: usize,
        align: usize,
        more: impl FnOnce(usize) -> Option<(usize, usize)>,
    ) -> Option<usize> {
        let mut end = self.end();
        let (mut start, mut stop) = place(self.next.load(Relaxed), size, align)?;
        if end == 0 || stop > end {
            let (from, to) = more(size.checked_add(align)?)?;
            if from != end {
                (start, stop) = place(from, size, align)?;
            }
            end = to;
            if stop > end {
                return None;
            }
            self.end.store(end, Relaxed);
        }
        self.next.store(stop, Relaxed);
        Some(start)
    }

    /// Takes a block back if it is the last one; otherwise it stays used until the call ends.
    pub(super) fn free(&self, start: usize, size: usize) {
        if self.is_last(start, size) {
            self.next.store(start, Relaxed);
        }
    }

    /// Whether a block can have another size where it is: any if it is the last one and the range holds it, a smaller one
    /// otherwise.
    pub(super) fn resize(&self, start: usize, size: usize, new_size: usize) -> bool {
        if !self.is_last(start, size) {
            return new_size <= size;
        }
        match start.checked_add(new_size) {
            Some(stop) if stop <= self.end() => {
                self.next.store(stop, Relaxed);
                true
            }
            _ => false,
        }
    }

    fn is_last(&self, start: usize, size: usize) -> bool {
        start.checked_add(size) == Some(self.next.load(Relaxed))
    }
}

fn place(next: usize, size: usize, align: usize) -> Option<(usize, usize)> {
    let start = next.checked_next_multiple_of(align)?;
    Some((start, start.checked_add(size)?))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// What a hook does with memory: allocate (size, log2 of align), free or resize the n-th block that is in use.
    #[derive(Debug, Clone)]
    enum Step {
        Allocate(usize, u32),
        Free(usize),
        Resize(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1_usize..5000, 0_u32..7).prop_map(|(size, align)| Step::Allocate(size, align)),
            any::<usize>().prop_map(Step::Free),
            (any::<usize>(), 1_usize..5000).prop_map(|(nth, size)| Step::Resize(nth, size)),
        ]
    }

    proptest! {
        /// Blocks in use never overlap, are aligned, and lie inside what was handed over.
        #[test]
        fn blocks_never_overlap(steps in prop::collection::vec(step(), 0..200), gap in any::<bool>()) {
            let arena = Arena::new();
            let top = Cell::new(1000_usize);
            let ranges = std::cell::RefCell::new(Vec::new());
            let more = |bytes: usize| {
                // With a gap, as if someone else had grown the memory meanwhile.
                let from = if gap { top.get() + 64 } else { top.get() };
                let to = from + bytes.max(4096);
                top.set(to);
                ranges.borrow_mut().push((from, to));
                (to < 300_000).then_some((from, to))
            };
            let mut used: Vec<(usize, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Allocate(size, align) => {
                        if let Some(start) = arena.allocate(size, 1 << align, more) {
                            prop_assert_eq!(start % (1 << align), 0);
                            used.push((start, size));
                        }
                    }
                    Step::Free(nth) if !used.is_empty() => {
                        let (start, size) = used.swap_remove(nth % used.len());
                        arena.free(start, size);
                    }
                    Step::Resize(nth, size) if !used.is_empty() => {
                        let nth = nth % used.len();
                        let (start, old) = used[nth];
                        if arena.resize(start, old, size) {
                            used[nth] = (start, size);
                        }
                    }
                    Step::Free(_) | Step::Resize(..) => {}
                }
                let mut sorted = used.clone();
                sorted.sort_unstable();
                for pair in sorted.windows(2) {
                    prop_assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{:?}", pair);
                }
                let ranges = ranges.borrow();
                for &(start, size) in &used {
                    // Ranges without a gap are one range.
                    let first = ranges.iter().map(|range| range.0).min().unwrap_or(0);
                    prop_assert!(start >= first && start + size <= top.get());
                    if gap {
                        prop_assert!(ranges.iter().any(|&(from, to)| from <= start && start + size <= to));
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_block_grows_where_it_is() {
        let arena = Arena::new();
        let first = arena.allocate(10, 8, |_| Some((4096, 8192))).expect("room");
        assert_eq!(first, 4096);
        assert!(arena.resize(first, 10, 4096));
        assert!(!arena.resize(first, 4096, 4097), "the range ends there");
        assert!(arena.resize(first, 4096, 16));
        assert_eq!(arena.allocate(8, 8, |_| None), Some(4112));
        assert!(!arena.resize(first, 16, 17), "not the last block any more");
        assert!(arena.resize(first, 16, 4), "smaller always fits");
    }

    #[test]
    fn huge_sizes_are_refused() {
        let arena = Arena::new();
        assert_eq!(arena.allocate(usize::MAX, 1, |_| Some((16, 32))), None);
        assert_eq!(arena.allocate(usize::MAX - 8, 16, |_| Some((16, 32))), None);
        assert_eq!(arena.allocate(8, 8, |_| Some((16, 32))), Some(16), "and leave the arena as it was");
    }
}
