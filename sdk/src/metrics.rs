//! Counters in the edge's metrics: `edgeweir_hook_counter_total{hook="…",name="…"}`.
//!
//! ```
//! use edgeweir_sdk::metrics;
//!
//! metrics::count("logins");
//! metrics::add("cart_items", 3);
//! ```
//!
//! A counter adds at once, also if the call fails later. Outside of the edge, as in unit tests, nothing is counted.

/// Longest name, in bytes.
pub const MAX_NAME: usize = 64;
/// Most names of a hook; further ones are dropped by the edge, and counted as dropped.
pub const MAX_NAMES: usize = 64;

/// Adds one to a counter of this hook.
///
/// # Panics
/// In unit tests, for a name that the edge would drop: see [`is_name`].
pub fn count(name: &str) {
    add(name, 1);
}

/// Adds to a counter of this hook.
///
/// # Panics
/// In unit tests, for a name that the edge would drop: see [`is_name`].
pub fn add(name: &str, by: u64) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::optional::edgeweir::hook::metrics::count(name, by);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _nowhere = by;
        assert!(is_name(name), "{name:?} is no name of a counter: use 1 to 64 of a-z, 0-9 and _");
    }
}

/// Whether a counter can have this name: 1 to 64 of `a`-`z`, `0`-`9` and `_`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "cart_items_2", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Logins", "a-b", "a b", "é", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    #[should_panic(expected = "no name of a counter")]
    fn a_wrong_name_shows_in_tests() {
        count("Logins");
    }
}
