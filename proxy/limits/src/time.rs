//! Time as the limits see it: whole nanoseconds handed in by the caller. Must not know any clock.

use std::fmt;
use std::time::Duration;

/// Nanoseconds: a point of the caller's monotonic clock, or a span between two such points.
///
/// 64 bits hold 584 years, so arithmetic saturates instead of wrapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The start of the clock; an empty span.
    pub const ZERO: Self = Self(0);
    /// The largest value; as a span it stands for "584 years or more".
    pub const MAX: Self = Self(u64::MAX);

    const PER_SECOND: u64 = 1_000_000_000;

    /// A span of whole seconds, at most [`Nanos::MAX`].
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(Self::PER_SECOND))
    }

    /// A span of whole milliseconds, at most [`Nanos::MAX`].
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Whole seconds, rounded up: who waits that long has waited long enough.
    #[must_use]
    pub const fn as_secs_ceil(self) -> u64 {
        self.0.div_ceil(Self::PER_SECOND)
    }

    /// The later point `span` after this one, at most [`Nanos::MAX`].
    #[must_use]
    pub const fn saturating_add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The span since `earlier`; zero when `earlier` is not earlier.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Nanos {
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Duration {
    fn from(span: Nanos) -> Self {
        Self::from_nanos(span.0)
    }
}

/// As [`Duration`] prints itself: `1.5s`, `20ms`.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_up() {
        assert_eq!(Nanos(0).as_secs_ceil(), 0);
        assert_eq!(Nanos(1).as_secs_ceil(), 1);
        assert_eq!(Nanos::from_secs(1).as_secs_ceil(), 1);
        assert_eq!(Nanos(1_000_000_001).as_secs_ceil(), 2);
        assert_eq!(Nanos::MAX.as_secs_ceil(), 18_446_744_074);
    }

    #[test]
    fn long_durations_saturate() {
        assert_eq!(Nanos::from(Duration::MAX), Nanos::MAX);
        assert_eq!(Nanos::from_secs(u64::MAX), Nanos::MAX);
        assert_eq!(Nanos::MAX.saturating_add(Nanos(1)), Nanos::MAX);
        assert_eq!(Nanos(1).saturating_since(Nanos(2)), Nanos::ZERO);
        assert_eq!(Nanos::from_millis(1500).to_string(), "1.5s");
    }
}
