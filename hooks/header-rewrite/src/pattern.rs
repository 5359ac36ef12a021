//! Path patterns with captures: `*` stands for any number of characters, `/` among them.

/// What each `*` of the pattern stands for, or `None` if the path does not match. Each takes as little as it can, the
/// last one what is left.
pub(crate) fn captures<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut literals = pattern.split('*');
    let mut rest = path.strip_prefix(literals.next()?)?;
    let mut captures = Vec::new();
    let mut literals = literals.peekable();
    while let Some(literal) = literals.next() {
        let (capture, after) =
            if literals.peek().is_none() { (rest.strip_suffix(literal)?, "") } else { rest.split_once(literal)? };
        captures.push(capture);
        rest = after;
    }
    rest.is_empty().then_some(captures)
}

/// How many captures a pattern has.
pub(crate) fn count(pattern: &str) -> usize {
    pattern.matches('*').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn captures_what_the_stars_stand_for() {
        let cases: [(&str, &str, Option<&[&str]>); 13] = [
            ("/a", "/a", Some(&[])),
            ("/a", "/ab", None),
            ("/a", "/", None),
            ("*", "/a/b", Some(&["/a/b"])),
            ("/rewrite/*", "/rewrite/", Some(&[""])),
            ("/rewrite/*", "/rewrite", None),
            ("/rewrite/*/*", "/rewrite/a/b/c", Some(&["a", "b/c"])),
            ("/rewrite/*/*", "/rewrite/a", None),
            ("/*.jpg", "/x/y.jpg.jpg", Some(&["x/y.jpg"])),
            ("/*.jpg", "/x.jpeg", None),
            ("/a*b*c", "/abbc", Some(&["", "b"])),
            ("/**", "/x", Some(&["", "x"])),
            ("/x*x", "/x", None),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(captures(pattern, path).as_deref(), expected, "{pattern} {path}");
        }
    }

    proptest! {
        /// Put back into the pattern, the captures give the path.
        #[test]
        fn captures_put_back_give_the_path(pattern in "[ab/*]{0,8}", path in "[ab/]{0,12}") {
            if let Some(captures) = captures(&pattern, &path) {
                prop_assert_eq!(captures.len(), count(&pattern));
                let mut captures = captures.into_iter();
                let rebuilt: String = pattern
                    .chars()
                    .map(|c| if c == '*' { captures.next().expect("one for each star").to_owned() } else { c.to_string() })
                    .collect();
                prop_assert_eq!(rebuilt, path);
            }
        }

        /// A path made from a pattern matches it.
        #[test]
        fn what_is_made_from_a_pattern_matches(parts in prop::collection::vec(("[ab/]{0,3}", "[abc]{0,3}"), 0..4)) {
            let pattern: Vec<_> = parts.iter().map(|(literal, _)| literal.as_str()).collect();
            let path: String = parts
                .iter()
                .enumerate()
                .map(|(nth, (literal, capture))| if nth + 1 == parts.len() { literal.clone() } else { format!("{literal}{capture}") })
                .collect();
            prop_assert!(captures(&pattern.join("*"), &path).is_some());
        }
    }
}
