//! Tests of path patterns, with a slow oracle.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, path: &str) -> bool {
    PathPattern::parse(pattern).unwrap().matches(path)
}

#[test]
fn the_examples_of_cloudfront() {
    assert!(matches("images/*.jpg", "/images/a/b.jpg"));
    assert!(matches("/images/*.jpg", "/images/.jpg"));
    assert!(!matches("images/*.jpg", "/Images/a.jpg"));
    assert!(matches("a??.jpg", "/ant.jpg"));
    assert!(matches("a??.jpg", "/abe.jpg"));
    assert!(!matches("a??.jpg", "/at.jpg"));
    assert!(matches("*.gif", "/a/b.gif"));
    assert!(matches("*/feeds/*", "/feeds/new"));
    assert!(matches("*/feeds/*", "/a/feeds/new"));
    assert!(matches("*", "/"));
    assert!(matches("/*", "/x"));
}

#[test]
fn shapes_compare_whole_paths() {
    assert!(matches("/a", "/a"));
    assert!(matches("a", "/a"));
    assert!(!matches("/a", "/a/"));
    assert!(!matches("/a", "/ab"));
    assert!(matches("/private/*", "/private/"));
    assert!(!matches("/private/*", "/private"));
    assert!(!matches("/a*a", "/a"));
    assert!(matches("/a**b", "/ab"));
    assert!(matches("/?", "/é"));
}

#[test]
fn refused() {
    assert_eq!(PathPattern::parse(""), Err(PathError::Empty));
    assert_eq!(PathPattern::parse(&"a".repeat(256)), Err(PathError::TooLong));
    assert_eq!(PathPattern::parse("/a b"), Err(PathError::Character(' ')));
    assert_eq!(PathError::Character(' ').help().as_deref(), Some("write it percent-encoded: `%20`"));
    assert_eq!(PathPattern::parse("/a%2"), Err(PathError::Percent("%2".to_owned())));
    assert_eq!(PathPattern::parse("/%c3"), Err(PathError::Percent("%c3".to_owned())));
    assert_eq!(PathPattern::parse("/%61"), Err(PathError::Percent("%61".to_owned())));
    assert_eq!(PathPattern::parse("/a//b"), Err(PathError::NotNormal("//")));
    assert_eq!(PathPattern::parse("/a/../b"), Err(PathError::NotNormal("..")));
    assert!(PathPattern::parse("/caf%C3%A9/*").is_ok());
}

#[test]
fn a_hostile_path_costs_no_more_than_a_long_one() {
    let pattern = PathPattern::parse("/*a*a*a*a*a?a*a*a*a*a*a*a*a?b*c").unwrap();
    let path = format!("/{}", "a".repeat(8_000));
    let start = Instant::now();
    for _ in 0..100 {
        assert!(!pattern.matches(&path));
    }
    // A matcher that goes back over each `*` would not end before the sun does.
    assert!(start.elapsed().as_secs() < 5);
}

/// The definition, written down: recursion over both texts.
fn oracle(pattern: &[char], path: &[char]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=path.len()).any(|skip| oracle(rest, path.split_at(skip).1)),
        (['?', p @ ..], [_, s @ ..]) => oracle(p, s),
        ([a, p @ ..], [b, s @ ..]) if a == b => oracle(p, s),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn matches_as_the_oracle(pattern in "[ab/*?é]{1,8}", path in "[ab/é]{0,10}") {
        // Only the matcher is under test here: the characters are not checked.
        let path: Vec<char> = format!("/{path}").chars().collect();
        let slash = if pattern.starts_with(['/', '*']) { "" } else { "/" };
        let full = format!("{slash}{pattern}");
        let compiled = PathPattern { text: pattern.clone().into(), shape: Shape::compile(&full) };
        let text: String = path.iter().collect();
        let full: Vec<char> = full.chars().collect();
        prop_assert_eq!(compiled.matches(&text), oracle(&full, &path), "{} on {}", pattern, text);
    }

    #[test]
    fn no_text_panics(pattern in ".{0,40}", path in ".{0,40}") {
        match PathPattern::parse(&pattern) {
            Ok(pattern) => drop(pattern.matches(&path)),
            Err(error) => drop(error.help()),
        }
    }
}
