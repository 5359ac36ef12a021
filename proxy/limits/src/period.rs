//! The periods of quotas: days, weeks and months of the UTC calendar. Must not know any clock.
//!
//! API Gateway does not say when its periods begin. Here a day begins at 00:00 UTC, a week on Monday (ISO 8601), a month on
//! its first day, whenever a key was made.

use std::fmt;

/// Seconds of a day. Unix time has no leap seconds.
pub const DAY: u64 = 86_400;

/// How long a quota lasts (API Gateway, `QuotaSettings.period`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// From 00:00 UTC.
    Day,
    /// From Monday, 00:00 UTC.
    Week,
    /// From the first of the month, 00:00 UTC.
    Month,
}

impl Period {
    /// As API Gateway writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Week => "WEEK",
            Self::Month => "MONTH",
        }
    }

    /// The number of the period that holds a moment, in seconds since 1970: they count up by one. Below 2^24 until the
    /// year 47,000.
    #[must_use]
    pub fn number(self, unix: u64) -> u32 {
        let day = unix / DAY;
        let number = match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday.
            Self::Week => (day + 3) / 7,
            Self::Month => {
                let (year, month, _) = civil(day);
                (year - 1970) * 12 + u64::from(month) - 1
            }
        };
        u32::try_from(number).unwrap_or(u32::MAX) & LAST
    }

    /// When a period begins, in seconds since 1970.
    #[must_use]
    pub fn start(self, number: u32) -> u64 {
        let number = u64::from(number);
        let day = match self {
            Self::Day => number,
            Self::Week => (number * 7).saturating_sub(3),
            Self::Month => day_of(1970 + number / 12, number % 12 + 1),
        };
        day * DAY
    }

    /// Seconds until the period after this moment's begins; at least 1.
    #[must_use]
    pub fn left(self, unix: u64) -> u64 {
        self.start(self.number(unix) + 1).saturating_sub(unix).max(1)
    }
}

/// The largest number of a period.
pub(crate) const LAST: u32 = (1 << 24) - 1;

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
#[must_use]
pub fn civil(day: u64) -> (u64, u32, u32) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(1), u32::try_from(date).unwrap_or(1))
}

/// The day since 1970 that is the first of a month.
fn day_of(year: u64, month: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era).saturating_sub(719_468)
}

/// A day since 1970 as `2026-11-21`.
#[must_use]
pub fn date(day: u64) -> String {
    let (year, month, date) = civil(day);
    format!("{year:04}-{month:02}-{date:02}")
}

/// Reads `2026-11-21` as a day since 1970; none for anything that is no date of the calendar.
#[must_use]
pub fn parse_date(text: &str) -> Option<u64> {
    let mut parts =
        text.splitn(3, '-').map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?);
    let (year, month, day): (u64, u64, u64) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let found = day_of(year, month) + day - 1;
    (date(found) == format!("{year:04}-{month:02}-{day:02}")).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-21, a Saturday, 12:34:56 UTC.
    const MOMENT: u64 = 1_795_264_496;

    #[test]
    fn known_dates() {
        assert_eq!(date(MOMENT / DAY), "2026-11-21");
        for (period, start) in
            [(Period::Day, "2026-11-21"), (Period::Week, "2026-11-16"), (Period::Month, "2026-11-01")]
        {
            let begins = period.start(period.number(MOMENT));
            assert_eq!((date(begins / DAY).as_str(), begins % DAY), (start, 0), "{period}");
        }
        for (period, next) in [(Period::Day, "2026-11-22"), (Period::Week, "2026-11-23"), (Period::Month, "2026-12-01")]
        {
            assert_eq!(date((MOMENT + period.left(MOMENT)) / DAY), next, "{period}");
        }
        for (text, day) in
            [("1970-01-01", Some(0)), ("2000-02-29", Some(11_016)), ("1999-02-29", None), ("2026-1-1", None)]
        {
            assert_eq!(parse_date(text).filter(|day| date(*day) == text), day, "{text}");
        }
        for wrong in ["", "2026", "2026-13-01", "2026-02-30", "-1-1-1", "2026-11-21x", "10000-01-01"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn periods_follow_each_other(unix in 0_u64..100_000_000_000) {
            for period in [Period::Day, Period::Week, Period::Month] {
                let number = period.number(unix);
                let (start, next) = (period.start(number), period.start(number + 1));
                prop_assert!((start <= unix || number == 0) && unix < next, "{}", period);
                prop_assert_eq!(period.number(next), number + 1);
                prop_assert_eq!(period.number(next - 1), number);
                prop_assert_eq!(period.left(unix), next - unix);
            }
        }

        #[test]
        fn dates_are_read_as_they_are_written(day in 0_u64..2_900_000) {
            prop_assert_eq!(parse_date(&date(day)), Some(day));
        }
    }
}
