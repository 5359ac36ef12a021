//! Times: `250ms`, `5s`, `1m30s`, `2h`, `1d`. A bare number is refused: nobody can tell seconds from milliseconds.

use std::time::Duration;

use thiserror::Error;

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("a time cannot be empty")]
    Empty,
    /// A number without unit.
    #[error("the time `{0}` has no unit")]
    NoUnit(String),
    /// A unit that is not known.
    #[error("unknown unit of time `{0}`")]
    UnknownUnit(String),
    /// A fraction, a sign, or no number at all.
    #[error("`{0}` is not a time: each part is a whole number and a unit")]
    NotANumber(String),
    /// `1s1m` or `1s1s`.
    #[error("parts of a time go from the largest unit to the smallest, each once")]
    Order,
    /// More than can be counted.
    #[error("the time is too long")]
    TooLong,
}

impl DurationError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoUnit(number) => Some(format!("write `{number}s` for seconds or `{number}ms` for milliseconds")),
            Self::TooLong => None,
            _ => Some("units are `ms`, `s`, `m`, `h` and `d`, as in `250ms`, `1m30s` or `1d`".to_owned()),
        }
    }
}

/// Milliseconds of each unit, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a time, in whole milliseconds.
///
/// # Errors
/// If the text is not a sequence of whole numbers with units, from the largest unit to the smallest.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(DurationError::NotANumber(text.to_owned()));
        }
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(if after.is_empty() {
                DurationError::NoUnit(text.to_owned())
            } else {
                DurationError::NotANumber(text.to_owned())
            });
        }
        let Some(at) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(DurationError::UnknownUnit(unit.to_owned()));
        };
        if at < next_unit {
            return Err(DurationError::Order);
        }
        next_unit = at + 1;
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let part = UNITS.get(at).and_then(|(_, ms)| number.checked_mul(*ms)).ok_or(DurationError::TooLong)?;
        total = total.checked_add(part).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// The shortest text that [`parse_duration`] reads as `duration` (cut to milliseconds).
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, ms) in UNITS {
        if left >= ms {
            text.push_str(&format!("{}{unit}", left / ms));
            left %= ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_and_combinations() {
        for (text, ms) in [
            ("250ms", 250),
            ("5s", 5_000),
            ("0s", 0),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1d2h3m4s5ms", 93_784_005),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn refused() {
        assert_eq!(parse_duration(""), Err(DurationError::Empty));
        assert_eq!(parse_duration("5"), Err(DurationError::NoUnit("5".to_owned())));
        assert_eq!(parse_duration("5sec"), Err(DurationError::UnknownUnit("sec".to_owned())));
        assert_eq!(parse_duration("1.5s"), Err(DurationError::NotANumber("1.5s".to_owned())));
        assert_eq!(parse_duration("-1s"), Err(DurationError::NotANumber("-1s".to_owned())));
        assert_eq!(parse_duration("1 s"), Err(DurationError::NotANumber("1 s".to_owned())));
        assert_eq!(parse_duration("1s1m"), Err(DurationError::Order));
        assert_eq!(parse_duration("1s1s"), Err(DurationError::Order));
        assert_eq!(parse_duration("99999999999999999999s"), Err(DurationError::TooLong));
        assert_eq!(parse_duration("18446744073709551615d"), Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_read_again(ms in any::<u64>()) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,24}") {
            drop(parse_duration(&text));
        }
    }
}
