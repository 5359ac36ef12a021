//! The hook's allocator: memory is given out from the start of the heap to its end, and only the last block is taken
//! back. A call lives for microseconds, and all that it has allocated goes with it, so there is nothing to reuse memory for; and because the heap
//! lies inside the initial memory, a usual call never grows it (which would cost the edge a system call).
//!
//! # Why this is sound
//!
//! This is the only hand-written `unsafe` of the SDK. [`GlobalAlloc`] asks for four things.
//!
//! 1. *Blocks in use do not overlap and lie in memory that is ours.* [`Arena`] only hands out addresses between a lower
//!    and an upper end. It starts at `__heap_base`, which the linker (`wasm-ld`) puts behind the stack and all static
//!    data; the linker leaves what follows, up to the end of the memory, to the allocator. Where the hook is linked with a
//!    `--global-base` above the stack, what lies between the two is nobody's, and comes first (with the arena's own two
//!    numbers at its start, which are zero at first as all memory is). Later ranges come from
//!    `memory.grow`, which gives pages that nobody had before. If somebody else grew the memory in between, the new pages
//!    do not follow ours; the arena sees that (the range starts elsewhere) and never touches what lies between. No other
//!    allocator uses the memory from `__heap_base` on: this file is compiled for `wasm32-unknown-unknown` only, where
//!    there is no libc, and Rust has one global allocator. That the arena's arithmetic keeps blocks apart is a property
//!    test in `arena.rs`, which runs on the machine that builds.
//! 2. *Alignment.* The arena rounds every start up to the layout's alignment.
//! 3. *No unwinding.* Nothing here panics: arithmetic is checked and answers `None`, which becomes a null pointer.
//! 4. *Threads.* `GlobalAlloc` must be usable from several threads; the arena reads and writes its two numbers one after
//!    the other, which would race. WASM without the `atomics` feature has one thread, and with it this file refuses to
//!    compile.
//!
//! Addresses become pointers by exposed provenance: linear memory is one allocation that the instance owns as a whole.
#![expect(unsafe_code, reason = "implementing GlobalAlloc is unsafe; the argument is above")]

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32;
use std::ptr;

mod arena;

use arena::Arena;

#[cfg(target_feature = "atomics")]
compile_error!("the allocator of edgeweir-sdk is for one thread: build it without the feature `allocator`");

/// Size of a WASM memory page.
const PAGE: usize = 65_536;

/// A smaller gap before the static data, in bytes, is none.
const LEAST_GAP: usize = 1024;

/// Pages that the memory grows by at least, so that a hook with a big heap grows it a few times only.
const STEP: usize = 4;

#[global_allocator]
static BUMP: Bump = Bump(Arena::new());

struct Bump(Arena);

unsafe extern "C" {
    /// First address behind the stack and the static data; the linker sets it. Only its address means something.
    safe static __heap_base: u8;
    /// First address behind the stack, in the same way.
    safe static __stack_high: u8;
    /// Where static data starts, in the same way.
    safe static __global_base: u8;
}

/// What lies between a stack that comes first and the static data, if there is room for the arena and more.
fn gap() -> Option<(usize, usize)> {
    let start = (&raw const __stack_high).expose_provenance().checked_next_multiple_of(align_of::<Arena>())?;
    let end = (&raw const __global_base).expose_provenance();
    (end.checked_sub(start)? >= LEAST_GAP).then_some((start, end))
}

impl Bump {
    fn arena(&self) -> &Arena {
        match gap() {
            // SAFETY: point 1: the linker gave these bytes to nobody, `LEAST_GAP` of them are enough for an arena, they are
            // aligned, and zero is an arena that is new. Nobody but this function makes references to them, all shared.
            Some((start, _)) => unsafe { &*ptr::with_exposed_provenance::<Arena>(start) },
            None => &self.0,
        }
    }
}

/// A range for an arena whose own one ends there (0: it is new): the gap, then what follows `__heap_base`, then more pages.
fn more(end_of_arena: usize, bytes: usize) -> Option<(usize, usize)> {
    let gap = gap();
    if let (0, Some((start, end))) = (end_of_arena, gap) {
        let start = start + size_of::<Arena>();
        if end.checked_sub(start)? >= bytes {
            return Some((start, end));
        }
    }
    if end_of_arena == 0 || gap.is_some_and(|(_, end)| end == end_of_arena) {
        let start = (&raw const __heap_base).expose_provenance();
        let end = wasm32::memory_size(0).checked_mul(PAGE)?;
        if end.checked_sub(start)? >= bytes {
            return Some((start, end));
        }
    }
    let pages = bytes.div_ceil(PAGE);
    let mut before = wasm32::memory_grow(0, pages.max(STEP));
    let mut grown = pages.max(STEP);
    if before == usize::MAX {
        // Near the memory limit: what is needed and no more.
        before = wasm32::memory_grow(0, pages);
        grown = pages;
    }
    if before == usize::MAX {
        return None;
    }
    let start = before.checked_mul(PAGE)?;
    Some((start, start.checked_add(grown.checked_mul(PAGE)?)?))
}

// SAFETY: see the module's documentation, points 1 to 4.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let arena = self.arena();
        let end = arena.end();
        match arena.allocate(layout.size(), layout.align(), |bytes| more(end, bytes)) {
            Some(address) => ptr::with_exposed_provenance_mut(address),
            None => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.arena().free(block.addr(), layout.size());
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.arena().resize(block.addr(), layout.size(), new_size) {
            return block;
        }
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, is a valid size.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the layout has the caller's size, which is not zero.
        let new_block = unsafe { self.alloc(new_layout) };
        if !new_block.is_null() {
            // SAFETY: both blocks hold that many bytes, and they do not overlap: the old one is still in use.
            unsafe { ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size)) };
        }
        new_block
    }
}
