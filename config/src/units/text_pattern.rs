//! Patterns for values of header fields, cookies and query parameters: `*` is any number of characters, everything else
//! stands for itself.

use std::fmt;

use memchr::memmem;
use thiserror::Error;

/// Longest pattern in bytes.
const MAX_LENGTH: usize = 255;

/// Why a text is not a pattern for values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextPatternError {
    /// Longer than 255 bytes.
    #[error("a pattern for a value has at most 255 bytes")]
    TooLong,
    /// Control characters never come in a value.
    #[error("a pattern for a value cannot have control characters")]
    Control,
}

impl TextPatternError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        None
    }
}

/// A pattern for values. Matching is linear in the value. Compares and prints as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct TextPattern {
    text: Box<str>,
    /// The texts between `*`; one if there is no `*`.
    pieces: Box<[Box<str>]>,
}

impl TextPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it is longer than 255 bytes or has control characters.
    pub fn parse(text: &str) -> Result<Self, TextPatternError> {
        if text.len() > MAX_LENGTH {
            return Err(TextPatternError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(TextPatternError::Control);
        }
        Ok(Self { text: text.into(), pieces: text.split('*').map(Box::from).collect() })
    }

    /// Whether the whole value matches. Upper and lower case differ.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return value == first.as_bytes() };
        let Some(value) = value.strip_prefix(first.as_bytes()) else { return false };
        // The end first: what is left between is free for the pieces in the middle, each at its first place.
        let Some(mut value) = value.strip_suffix(last.as_bytes()) else { return false };
        for piece in middle {
            match memmem::find(value, piece.as_bytes()).and_then(|at| value.get(at + piece.len()..)) {
                Some(after) => value = after,
                None => return false,
            }
        }
        true
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextPattern({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without cleverness.
    fn naive(pattern: &[u8], value: &[u8]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some((b'*', rest)) => (0..=value.len()).any(|at| naive(rest, &value[at..])),
            Some((byte, rest)) => value.first() == Some(byte) && naive(rest, &value[1..]),
        }
    }

    proptest! {
        #[test]
        fn as_the_definition_says(pattern in "[ab*]{0,8}", value in "[ab]{0,10}") {
            let compiled = TextPattern::parse(&pattern).unwrap();
            prop_assert_eq!(compiled.matches(value.as_bytes()), naive(pattern.as_bytes(), value.as_bytes()));
        }
    }

    #[test]
    fn values() {
        let matches = |pattern: &str, value: &[u8]| TextPattern::parse(pattern).unwrap().matches(value);
        assert!(matches("beta", b"beta") && !matches("beta", b"Beta") && !matches("beta", b"beta2"));
        assert!(matches("*", b"") && matches("", b"") && !matches("", b"x"));
        assert!(matches("Bearer *", b"Bearer \xff") && matches("*bot*", b"a Googlebot/2"));
        assert_eq!(TextPattern::parse(&"x".repeat(256)), Err(TextPatternError::TooLong));
        assert_eq!(TextPattern::parse("a\nb"), Err(TextPatternError::Control));
    }
}
