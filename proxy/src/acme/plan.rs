//! When a certificate is fetched: at once if there is none, at two thirds of its life, and after failures later and later.

use crate::tls::pem::Validity;

/// How long to wait after so many failures in a row, in seconds. Let's Encrypt refuses after five failures of a name in an
/// hour.
const PAUSES: [i64; 6] = [60, 240, 900, 3_600, 4 * 3_600, 12 * 3_600];

/// When to renew, in seconds since 1970: from two thirds of its life on, spread over a twenty-fourth of it. `spread` is the
/// certificate's own number from 0 to 65,535, so that many edges do not come at once, and one edge does not change its mind.
pub(super) fn renewal(validity: Validity, spread: u16) -> i64 {
    let life = validity.life();
    let jitter = (life / 24).saturating_mul(i64::from(spread)) / i64::from(u16::MAX);
    validity.not_before.saturating_add(life / 3 * 2).saturating_add(jitter)
}

/// How long to wait after `failures` in a row (1 or more), in seconds: up to a quarter longer by `spread`.
pub(super) fn pause(failures: u32, spread: u16) -> i64 {
    let at = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let pause = PAUSES[at];
    pause + pause * i64::from(spread) / (4 * i64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_after_two_thirds() {
        const DAY: i64 = 86_400;
        let validity = Validity { not_before: 1000 * DAY, not_after: 1090 * DAY };
        assert_eq!(renewal(validity, 0), 1060 * DAY);
        let latest = renewal(validity, u16::MAX);
        assert!(latest > 1063 * DAY && latest < 1064 * DAY, "{latest}");
        let never = Validity { not_before: 5, not_after: 1 };
        assert_eq!(renewal(never, u16::MAX), 5);
    }

    #[test]
    fn pauses_grow_up_to_half_a_day() {
        assert_eq!((pause(1, 0), pause(2, 0), pause(6, 0), pause(1_000, 0)), (60, 240, 43_200, 43_200));
        assert_eq!(pause(1, u16::MAX), 75);
        let first_hour = (1..).map(|n| pause(n, 0)).scan(0, |at, pause| {
            *at += pause;
            Some(*at)
        });
        assert!(first_hour.take_while(|at| *at < 3_600).count() < 4, "with the first: under five an hour");
    }
}
