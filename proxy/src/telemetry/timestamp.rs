//! RFC 3339 time stamps in UTC with milliseconds, written without a calendar crate.

use std::time::SystemTime;

/// Appends `time` as `2026-11-21T02:43:30.000Z`. Times before 1970 are written as 1970, times after 9999 as their year.
pub(crate) fn write(buffer: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), u64::from(since.subsec_millis()));
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    digits(buffer, year, 4);
    for (separator, value, width) in [
        (b'-', month, 2),
        (b'-', day, 2),
        (b'T', of_day / 3_600, 2),
        (b':', of_day / 60 % 60, 2),
        (b':', of_day % 60, 2),
        (b'.', millis, 3),
    ] {
        buffer.push(separator);
        digits(buffer, value, width);
    }
    buffer.push(b'Z');
}

/// Year, month and day of a day since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Appends `value` with leading zeros to at least `width` digits.
fn digits(buffer: &mut Vec<u8>, value: u64, width: u32) {
    let mut place = 10_u64.pow(width - 1);
    while value / place >= 10 {
        place *= 10;
    }
    while place > 0 {
        buffer.push(b'0' + u8::try_from(value / place % 10).unwrap_or(0));
        place /= 10;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(millis: u64) -> String {
        let mut buffer = Vec::new();
        write(&mut buffer, SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        String::from_utf8_lossy(&buffer).into_owned()
    }

    #[test]
    fn known_moments() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800_001, "2024-02-29T00:00:00.001Z"),
            (1_795_228_995_042, "2026-11-21T02:43:15.042Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_800_000, "10000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(text(millis), expected);
        }
    }

    #[test]
    fn before_1970_is_1970() {
        let mut buffer = Vec::new();
        write(&mut buffer, SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(buffer, b"1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(0);
        for day in 1..200_000 {
            let next = civil(day);
            let same_month = next == (last.0, last.1, last.2 + 1);
            let same_year = next == (last.0, last.1 + 1, 1) && last.2 >= 28;
            assert!(same_month || same_year || next == (last.0 + 1, 1, 1) && last.1 == 12 && last.2 == 31, "{next:?}");
            last = next;
        }
    }
}
