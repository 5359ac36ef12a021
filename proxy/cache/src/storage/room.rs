//! What things take of real memory: what was asked for, rounded up as the allocator does.

/// Bytes of an `Arc` beside its content.
pub(super) const ARC: usize = 16;

/// Bytes that an allocation takes. mimalloc, which the binary uses, has sizes in steps of an eighth at least and a quarter at
/// most of the power of two below; others are not far from it.
pub(super) fn allocated(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=64 => bytes.next_multiple_of(8),
        _ => bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::allocated;

    #[test]
    fn sizes_are_rounded_up_to_the_classes_of_the_allocator() {
        for (bytes, class) in [
            (0, 0),
            (1, 8),
            (64, 64),
            (65, 80),
            (728, 768),
            (1_024, 1_024),
            (1_025, 1_280),
            (2_080, 2_560),
            (10_240, 10_240),
            (102_400, 114_688),
        ] {
            assert_eq!(allocated(bytes), class, "{bytes}");
        }
    }
}
