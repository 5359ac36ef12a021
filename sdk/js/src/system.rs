//! What the language's runtime wants from a system: memory, a clock, and bytes of its arrays; and the export by which a
//! hook's build reaches [`setup`](crate::setup).
//!
//! # Memory
//!
//! A call's garbage may be many times its memory, so blocks have to be used again; and most blocks are small and are
//! wanted often. So blocks of up to 512 bytes have lists of free ones by size, in steps of 16 bytes, filled from chunks of
//! nearly 16 KiB; larger ones, and the chunks, are left to the standard library's allocator (dlmalloc). Chunks are never given
//! back: an instance lives for one call.
//!
//! # Why this is sound
//!
//! 1. *Blocks in use do not overlap.* A block comes from a list, to which it was given when its last user freed it, or
//!    from the unused rest of a chunk, which moves on by the block's size. Each block is of its class's size, which is at
//!    least the size asked for; a block goes back to the list of the class that it came from, since class and lists
//!    follow from the layout's size alone, which the caller has to repeat.
//! 2. *Alignment.* Chunks are aligned to 16 and classes are multiples of 16; layouts that want more go to dlmalloc.
//! 3. *Links.* A free block's first word is the link to the next one. Nobody else may touch a block that is free; blocks
//!    have at least 16 bytes and are aligned to 16.
//! 4. *Threads.* There is one: without the `atomics` feature WASM has no other, and with it this file does not compile.
//! 5. *`bytes`* copies out of an array before any JavaScript can run again, so that nothing moves or frees it meanwhile.
//! 6. *Compiled parts.* What `module` is given is what the same engine made of a part of the library, in another instance: the
//!    hook's build takes it from there and hands it over as it is. What is loaded is a copy: QuickJS-ng reads all of it at once.
//! 7. *Exports.* `no_mangle` names collide with nothing: no C code defines `__rquickjs_host_now_us` (it is what QuickJS's
//!    port asks its embedder for), and `edgeweir_setup` is ours. The library's section is bytes that nothing refers to.
#![expect(unsafe_code, reason = "an allocator, names for C code, and the bytes of arrays; the argument is above")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

use edgeweir_sdk::clock;
use rquickjs::module::Declared;
use rquickjs::{Ctx, Module, TypedArray};

#[cfg(target_feature = "atomics")]
compile_error!("the allocator of the JavaScript engine is for one thread");

/// Classes are multiples of this, in bytes.
const STEP: usize = 16;
/// Largest block that has a class, in bytes.
const LARGEST: usize = 512;
const CLASSES: usize = LARGEST / STEP;
/// What small blocks are cut from, in bytes: with what dlmalloc keeps beside them, four fit one step of the memory's growth.
const CHUNK: usize = (16 << 10) - 64;

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Lists { free: [ptr::null_mut(); CLASSES], next: ptr::null_mut(), left: 0 }));

struct Heap(UnsafeCell<Lists>);

struct Lists {
    /// Free blocks of each class, linked by their first word.
    free: [*mut u8; CLASSES],
    /// The unused rest of the newest chunk.
    next: *mut u8,
    left: usize,
}

// SAFETY: point 4: nothing is shared, since there is one thread.
unsafe impl Sync for Heap {}

/// The class of a layout; none for dlmalloc's.
fn class(layout: Layout) -> Option<usize> {
    (layout.size() <= LARGEST && layout.align() <= STEP).then(|| layout.size().saturating_sub(1) / STEP)
}

// SAFETY: points 1 to 4. Nothing here panics: indices are classes, which are below `CLASSES`.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's layout is passed on.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: one thread, and nothing below calls back: this is the only reference.
        let lists = unsafe { &mut *self.0.get() };
        let head = lists.free[class];
        if !head.is_null() {
            // SAFETY: point 3: a free block holds its link.
            lists.free[class] = unsafe { head.cast::<*mut u8>().read() };
            return head;
        }
        let size = (class + 1) * STEP;
        if lists.left < size {
            // SAFETY: the size is not zero and the alignment is a power of two.
            let chunk = unsafe { System.alloc(Layout::from_size_align_unchecked(CHUNK, STEP)) };
            if chunk.is_null() {
                return chunk;
            }
            (lists.next, lists.left) = (chunk, CHUNK);
        }
        let block = lists.next;
        // SAFETY: `left` bytes follow `next` in the chunk, and `size` is not more.
        lists.next = unsafe { block.add(size) };
        lists.left -= size;
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else {
            // SAFETY: a block of this layout came from there.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: as in `alloc`; the block is the caller's to give, and large enough for a link.
        unsafe {
            let lists = &mut *self.0.get();
            block.cast::<*mut u8>().write(lists.free[class]);
            lists.free[class] = block;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, is a valid size.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (class(layout), class(new_layout)) {
            (Some(old), Some(new)) if old == new => return block,
            // SAFETY: both are dlmalloc's.
            (None, None) => return unsafe { System.realloc(block, layout, new_size) },
            _ => {}
        }
        // SAFETY: the layout has the caller's size, which is not zero.
        let new_block = unsafe { self.alloc(new_layout) };
        if !new_block.is_null() {
            // SAFETY: both blocks hold that many bytes and are in use, so they do not overlap; the old one ends here.
            unsafe {
                ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
        }
        new_block
    }
}

/// A copy of an array's bytes; empty for one that is detached.
pub(crate) fn bytes(array: &TypedArray<'_, u8>) -> Vec<u8> {
    // SAFETY: point 5.
    unsafe { array.as_bytes() }.unwrap_or_default().to_vec()
}

/// A part of the library, of what the language made of it.
pub(crate) fn module<'js>(ctx: &Ctx<'js>, code: &[u8]) -> rquickjs::Result<Module<'js, Declared>> {
    // SAFETY: point 6.
    unsafe { Module::load(ctx.clone(), code) }
}

/// The library's text, for the hook's build: no data of the module, so no instance has it.
// SAFETY: point 7.
#[expect(dead_code, reason = "it is for the section; `#[used]` would make data of it too")]
#[unsafe(link_section = "edgeweir-library")]
static LIBRARY: [u8; include_bytes!(concat!(env!("OUT_DIR"), "/library.json")).len()] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/library.json"));

/// Microseconds since 1970, for the language's `Date`. The edge's clock stands still during a call.
// SAFETY: point 7.
#[unsafe(no_mangle)]
extern "C" fn __rquickjs_host_now_us() -> f64 {
    clock::now().as_secs_f64() * 1e6
}

/// See [`setup::step`](crate::setup::step).
// SAFETY: point 7.
#[unsafe(no_mangle)]
extern "C" fn edgeweir_setup(step: u32, length: u32) -> u64 {
    crate::setup::step(step, length)
}
