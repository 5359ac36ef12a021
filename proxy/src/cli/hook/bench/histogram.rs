//! Times of calls in buckets that are 1/16 wide: any number of calls in a few kilobytes.

use std::time::Duration;

/// Buckets for each power of two.
const STEPS: u64 = 16;
/// Buckets for 64 powers of two.
const BUCKETS: usize = 1024;

/// Counts of times.
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub(super) fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The time, in nanoseconds, that a share of all calls did not exceed; at most 1/16 too much. Zero without calls.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    pub(super) fn quantile(&self, share: f64) -> u64 {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && *count > 0 {
                return upper(at);
            }
        }
        0
    }
}

/// Up to 15 each value has its bucket; above, the four bits after the leading one choose it.
fn bucket(nanos: u64) -> usize {
    let index = if nanos < STEPS {
        nanos
    } else {
        let power = u64::from(nanos.ilog2());
        (power - 3) * STEPS + ((nanos >> (power - 4)) & (STEPS - 1))
    };
    usize::try_from(index).unwrap_or(BUCKETS)
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let index = u64::try_from(bucket).unwrap_or(u64::MAX);
    if index < STEPS {
        return index;
    }
    let (power, step) = (index / STEPS + 3, index % STEPS);
    ((STEPS + step + 1) << (power - 4)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_their_bucket() {
        for value in [0, 1, 15, 16, 17, 31, 32, 33, 1000, 123_456, 9_999_999_999] {
            let top = upper(bucket(value));
            assert!(top >= value && top <= value + value / 16, "{value}: {top}");
        }
    }

    #[test]
    fn quantiles() {
        let mut times = Histogram::new();
        assert_eq!(times.quantile(0.5), 0);
        for nanos in 1..=100 {
            times.add(Duration::from_nanos(nanos * 1000));
        }
        let (p50, p99) = (times.quantile(0.5), times.quantile(0.99));
        assert!((50_000..54_000).contains(&p50) && (99_000..106_000).contains(&p99), "{p50} {p99}");
    }
}
