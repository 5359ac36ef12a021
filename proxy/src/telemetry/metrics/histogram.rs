//! A histogram of times that only adds to atomics (prometheus-client's own takes a lock for each observation).

use std::sync::atomic::{AtomicU64, Ordering};

/// Times in microseconds, in buckets with fixed upper bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is above the last.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// Microseconds in a second.
const MICROS: f64 = 1e6;

impl Histogram {
    /// `bounds` are inclusive upper bounds in microseconds, rising.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a time of `us` microseconds.
    pub fn observe(&self, us: u64) {
        let index = self.bounds.partition_point(|&bound| bound < us);
        if let Some(count) = self.counts.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(us, Ordering::Relaxed);
    }

    /// Sum in seconds, count, and the (not cumulative) buckets by their upper bound in seconds.
    pub(super) fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = self.bounds.iter().map(|&bound| seconds(bound)).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (seconds(self.sum.load(Ordering::Relaxed)), count, buckets)
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / MICROS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let histogram = Histogram::new(&[10, 100]);
        for us in [0, 10, 11, 100, 101, 5_000_000] {
            histogram.observe(us);
        }
        let (sum, count, buckets) = histogram.read();
        assert_eq!(buckets, [(1e-5, 2), (1e-4, 2), (f64::INFINITY, 2)]);
        assert_eq!(count, 6);
        assert!((sum - 5.000_222).abs() < 1e-9, "{sum}");
    }
}
