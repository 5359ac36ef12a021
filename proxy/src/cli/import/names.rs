//! Names of a configuration made out of ids and names of AWS: up to 64 letters, digits, `_`, `.` and `-`, each once.

use std::collections::BTreeSet;

/// Longest name that is made, so that there is room for a number.
const LONGEST: usize = 48;

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

/// A text as a name; upper and lower case stay.
pub(super) fn name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() >= LONGEST {
            break;
        }
    }
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}

impl Names {
    /// This name, or with a number if it is taken.
    pub(super) fn take(&mut self, text: &str) -> String {
        let first = name(text);
        let mut wanted = first.clone();
        let mut number = 1;
        while !self.0.insert(wanted.clone()) {
            number += 1;
            wanted = format!("{first}-{number}");
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn readable() {
        assert_eq!(name("S3-my.bucket/site"), "S3-my-bucket-site");
        assert_eq!(name("  "), "unnamed");
        let mut names = Names::default();
        let taken = ["a b", "a-b", "a/b"].map(|text| names.take(text));
        assert_eq!(taken, ["a-b", "a-b-2", "a-b-3"]);
    }

    proptest! {
        #[test]
        fn always_names(text in any::<String>()) {
            let mut names = Names::default();
            names.take(&text);
            let second = names.take(&text);
            prop_assert!(second.len() <= 64 && second.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)));
            prop_assert!(second.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()));
        }
    }
}
