//! The bucket against the governor crate: for intervals of whole nanoseconds every decision and every wait is the same.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::num::NonZeroU32;
use std::time::Duration;

use edgeweir_limits::{Bucket, Nanos, Throttle, Wait};
use governor::clock::{Clock, FakeRelativeClock};
use governor::{Quota, RateLimiter};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_governor(
        interval in prop_oneof![1_u64..1000, 1_u64..10_000_000_000, Just(1_000_000_000)],
        burst in 1_u32..1000,
        steps in prop::collection::vec((0.0..3.0, 1_u32..12), 1..200),
    ) {
        let quota = Quota::with_period(Duration::from_nanos(interval)).unwrap();
        let clock = FakeRelativeClock::default();
        let governor = RateLimiter::direct_with_clock(
            quota.allow_burst(NonZeroU32::new(burst).unwrap()),
            clock.clone(),
        );
        let bucket = Bucket::new(Throttle::new(1e9 / interval as f64, burst).unwrap(), Nanos::ZERO);
        let mut now = Nanos::ZERO;
        for (intervals, cost) in steps {
            let pass = Nanos((interval as f64 * intervals) as u64);
            clock.advance(pass.into());
            now = now.saturating_add(pass);
            let expected = match governor.check_n(NonZeroU32::new(cost).unwrap()) {
                Ok(Ok(())) => Ok(()),
                Ok(Err(until)) => Err(Wait::For(until.wait_time_from(clock.now()).into())),
                Err(_) => Err(Wait::Never),
            };
            prop_assert_eq!(bucket.reserve(now, cost).map(drop), expected, "at {}", now);
        }
    }
}
