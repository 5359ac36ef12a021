//! Random numbers from the edge's cryptographic generator.

use crate::bindings::imports::edgeweir::hook::random as host;

/// `length` random bytes, at most 4,096: more ends the call.
#[must_use]
pub fn bytes(length: u32) -> Vec<u8> {
    host::bytes(length)
}

/// A random number over the whole range.
#[must_use]
pub fn u64() -> u64 {
    host::bytes(8).iter().fold(0, |number, &byte| (number << 8) | u64::from(byte))
}
