//! The canonical ABI of the component model (CanonicalABI.md: alignment, element size, loading, storing, flattening), as
//! far as the contract needs it: values that lie in a hook's memory become Rust's and back. Strings are UTF-8; there are
//! no handles, flags or characters.
//!
//! Nothing here trusts the hook: every access is checked against the memory as it is then, pointers have to be aligned,
//! and what one call may hand over is bounded.

mod load;
mod lower;
mod shapes;
#[cfg(test)]
pub(super) mod tests;

pub(super) use load::{Flat, Lift, Load, Param};
pub(super) use lower::{Lowering, Store};

/// How a type lies in memory.
pub(crate) trait Abi {
    /// Size in bytes.
    const SIZE: usize;
    /// Alignment in bytes, a power of two.
    const ALIGN: usize;
    /// The type in the words of WIT, with sizes and alignments; compared with the contract.
    #[cfg(test)]
    fn describe() -> String;
}

/// `offset` moved up to a multiple of `align`.
const fn align_up(offset: usize, align: usize) -> usize {
    offset.next_multiple_of(align)
}

/// Size and alignment of a record with fields of these sizes and alignments.
const fn record(fields: &[(usize, usize)]) -> (usize, usize) {
    let (mut size, mut align, mut nth) = (0, 1, 0);
    while nth < fields.len() {
        let (field_size, field_align) = fields[nth];
        size = align_up(size, field_align) + field_size;
        if field_align > align {
            align = field_align;
        }
        nth += 1;
    }
    (align_up(size, align), align)
}

/// Size, alignment and the payload's offset of a variant with cases of these sizes and alignments. Its discriminant is one
/// byte: none has over 256 cases.
const fn variant(cases: &[(usize, usize)]) -> (usize, usize, usize) {
    let (mut size, mut align, mut nth) = (0, 1, 0);
    while nth < cases.len() {
        let (case_size, case_align) = cases[nth];
        if case_size > size {
            size = case_size;
        }
        if case_align > align {
            align = case_align;
        }
        nth += 1;
    }
    let payload = align_up(1, align);
    (align_up(payload + size, align), align, payload)
}
