//! Sizes in bytes: `10MiB`, `64 KiB`, `1GB`, `512`. `KiB` is 1,024 bytes, `KB` is 1,000.

use thiserror::Error;

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SizeError {
    /// Not a whole number at the start.
    #[error("`{0}` is not a size: it is a whole number and a unit")]
    NotANumber(String),
    /// A unit that is not known.
    #[error("unknown unit of size `{0}`")]
    UnknownUnit(String),
    /// More than 2^64 - 1 bytes.
    #[error("the size is too large")]
    TooLarge,
}

impl SizeError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotANumber(_) => Some("write a size as in `512`, `64KiB` or `10MiB`".to_owned()),
            Self::UnknownUnit(unit) => {
                let near = UNITS.iter().rev().find(|(name, _)| {
                    name.eq_ignore_ascii_case(unit) || name.replace("iB", "").eq_ignore_ascii_case(unit)
                });
                Some(match near {
                    Some((name, _)) => format!("did you mean `{name}`?"),
                    None => "units are `B`, `KB`, `MB`, `GB`, `TB` and `KiB`, `MiB`, `GiB`, `TiB`".to_owned(),
                })
            }
            Self::TooLarge => None,
        }
    }
}

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads a size in bytes.
///
/// # Errors
/// If the text is not a whole number with an optional unit.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if number.is_empty() || !unit.chars().all(char::is_alphabetic) {
        return Err(SizeError::NotANumber(text.to_owned()));
    }
    let factor = if unit.is_empty() {
        1
    } else {
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        known.ok_or_else(|| SizeError::UnknownUnit(unit.to_owned()))?.1
    };
    let number: u64 = number.parse().map_err(|_| SizeError::TooLarge)?;
    number.checked_mul(factor).ok_or(SizeError::TooLarge)
}

/// The size in the unit that leaves the smallest whole number: `64KiB`, `1GB`.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let whole = UNITS.iter().filter(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match whole.min_by_key(|(_, factor)| bytes / factor) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64 KiB", 65_536),
            ("10MiB", 10_485_760),
            ("1GB", 1_000_000_000),
            ("2TiB", 1 << 41),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn formatted_in_the_unit_people_would_write() {
        for text in ["0B", "512B", "1KB", "64KiB", "1GB", "1500MB", "256MiB", "2TiB", "1000000001B"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
    }

    #[test]
    fn refused_with_help() {
        assert_eq!(parse_size("10mb").map_err(|e| e.help()), Err(Some("did you mean `MB`?".to_owned())));
        assert_eq!(parse_size("10M").map_err(|e| e.help()), Err(Some("did you mean `MiB`?".to_owned())));
        assert!(matches!(parse_size(""), Err(SizeError::NotANumber(_))));
        assert!(matches!(parse_size("1.5GiB"), Err(SizeError::NotANumber(_))));
        assert!(matches!(parse_size("-1"), Err(SizeError::NotANumber(_))));
        assert_eq!(parse_size("99999999TiB"), Err(SizeError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_read_again(bytes in any::<u64>()) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in ".{0,24}") {
            drop(parse_size(&text).map_err(|e| e.help()));
        }
    }
}
