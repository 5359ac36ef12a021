//! Names of new hooks: each is the name of a crate, of a folder and of a hook in the configuration.

use anyhow::bail;

/// Longest name, in bytes.
const MAX: usize = 64;
/// Names that cargo refuses, or that would shadow a crate that every hook uses.
const TAKEN: [&str; 12] = [
    "alloc",
    "core",
    "edgeweir-sdk",
    "http",
    "proc-macro",
    "self",
    "serde",
    "serde-json",
    "std",
    "super",
    "test",
    "wasm",
];
/// Keywords of Rust that the rules for names would let through.
const KEYWORDS: [&str; 37] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move",
    "mut", "pub", "ref", "return", "static", "struct", "trait", "type", "use",
];

/// Checks a name.
///
/// # Errors
/// The message says what a name may be.
pub(super) fn check(name: &str) -> anyhow::Result<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.ends_with(|last: char| last.is_ascii_alphanumeric())
        && name.len() <= MAX
        && name.bytes().all(allowed);
    if !good {
        bail!(
            "`{name}` cannot be the name of a hook: a name has lower-case letters, digits, `-` and `_`, starts with a \
             letter, ends with a letter or digit, and has at most {MAX} characters"
        );
    }
    if TAKEN.contains(&name.replace('_', "-").as_str()) || KEYWORDS.contains(&name) {
        bail!("`{name}` cannot be the name of a hook: Rust has another use for that name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_good_and_bad() {
        for good in ["a", "hello-hook", "geo_2", "x1"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "Hello", "2fast", "a b", "../up", "a/b", "-a", "a-", "é", "fn", "serde_json", "std", &long] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
