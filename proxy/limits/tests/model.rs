//! The bucket against a plain token bucket that counts tokens as a fraction and refills them step by step, and the
//! promises that hold for any history.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use edgeweir_limits::{Bucket, Charge, Nanos, Throttle, Wait};
use proptest::prelude::*;

/// How far decisions may differ at the very edge, in tokens: the model's own rounding.
const EDGE: f64 = 1e-5;
/// The bucket counts in 1/16 ns and rounds a token up to it; so much it may be behind the model for each token taken.
const TICK: f64 = 1.0 / 16e9;

struct Model {
    rate: f64,
    burst: f64,
    tokens: f64,
    last: f64,
}

impl Model {
    fn new(throttle: Throttle) -> Self {
        let burst = f64::from(throttle.burst());
        Self { rate: throttle.rate(), burst, tokens: burst, last: 0.0 }
    }

    fn advance(&mut self, now: Nanos) {
        let now = now.0 as f64 / 1e9;
        self.tokens = (self.tokens + (now - self.last) * self.rate).min(self.burst);
        self.last = now;
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(Nanos),
    Reserve(u32),
    /// The charge to refund, counted from the newest still open.
    Refund(usize),
}

/// Rates from one in a minute to a million in a second, with spans that refill some tokens of it.
fn case() -> impl Strategy<Value = (Throttle, Vec<Step>)> {
    let rate = (-1.8..6.0).prop_map(|exponent| 10_f64.powf(exponent));
    (rate, 1_u32..60).prop_flat_map(|(rate, burst)| {
        let interval = 1e9 / rate;
        let step = prop_oneof![
            3 => (0.0..4.0).prop_map(move |tokens| Step::Pass(Nanos((interval * tokens) as u64))),
            1 => (0.0..1.5).prop_map(move |fills| Step::Pass(Nanos((interval * fills * f64::from(burst)) as u64))),
            6 => (0..=burst.min(8) + 1).prop_map(Step::Reserve),
            2 => (0_usize..6).prop_map(Step::Refund),
        ];
        (Just(Throttle::new(rate, burst).unwrap()), prop::collection::vec(step, 1..120))
    })
}

fn any_throttle() -> impl Strategy<Value = Throttle> {
    let rate = prop_oneof![
        any::<f64>().prop_map(f64::abs).prop_filter("a rate", |rate| rate.is_finite() && *rate > 0.0),
        prop_oneof![Just(5e-324), Just(1e-300), Just(0.001), Just(1.0), Just(1e9), Just(1e12), Just(f64::MAX)],
        0.001..1e6,
    ];
    let burst = prop_oneof![Just(1), Just(u32::MAX), 1..100_u32, 1..u32::MAX];
    (rate, burst).prop_map(|(rate, burst)| Throttle::new(rate, burst).unwrap())
}

fn any_time() -> impl Strategy<Value = Nanos> {
    prop_oneof![Just(0), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>(), 0..10_000_000_000_u64].prop_map(Nanos)
}

/// No files with failing cases beside the tests: a regression becomes a test with a name.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() }
}

fn pick<T>(open: &mut Vec<T>, from_newest: usize) -> Option<T> {
    let at = open.len().checked_sub(from_newest + 1)?;
    Some(open.remove(at))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn decides_as_a_plain_token_bucket((throttle, steps) in case()) {
        let mut now = Nanos::from_secs(7);
        let bucket = Bucket::new(throttle, now);
        let mut model = Model::new(throttle);
        model.last = 7.0;
        let mut open: Vec<(Charge, u32)> = Vec::new();
        let mut edge = EDGE;
        for step in steps {
            match step {
                Step::Pass(span) => {
                    now = now.saturating_add(span);
                    model.advance(now);
                    // A charge older than a full bucket has come back by itself.
                    if model.tokens >= model.burst {
                        open.clear();
                    }
                }
                Step::Reserve(cost) => {
                    let spare = model.tokens - f64::from(cost);
                    let probe = bucket.probe(now, cost);
                    match bucket.reserve(now, cost) {
                        Ok(charge) => {
                            prop_assert!(spare > -edge, "admitted {cost} with {} tokens", model.tokens);
                            prop_assert_eq!(probe, Ok(()));
                            edge += f64::from(cost) * throttle.rate() * TICK;
                            model.tokens = spare.max(0.0);
                            open.push((charge, cost));
                        }
                        Err(wait) => {
                            prop_assert!(spare < edge, "refused {cost} with {} tokens", model.tokens);
                            prop_assert_eq!(wait == Wait::Never, cost > throttle.burst());
                            prop_assert_eq!(probe, Err(wait));
                        }
                    }
                }
                Step::Refund(which) => {
                    if let Some((charge, cost)) = pick(&mut open, which) {
                        bucket.refund(charge);
                        model.tokens = (model.tokens + f64::from(cost)).min(model.burst);
                        if model.tokens >= model.burst {
                            open.clear();
                        }
                    }
                }
            }
            let remaining = f64::from(bucket.remaining(now));
            prop_assert!(remaining <= model.tokens + edge && remaining + 1.0 > model.tokens - edge,
                "{remaining} remaining, {} in the model", model.tokens);
            let reset = bucket.reset_after(now).0 as f64 / 1e9 * throttle.rate();
            prop_assert!((model.burst - model.tokens - reset).abs() <= edge + 2e-9 * throttle.rate());
        }
    }

    /// Counted from any moment at which the bucket is full.
    #[test]
    fn never_admits_more_than_burst_and_rate((throttle, steps) in case()) {
        let mut now = Nanos::ZERO;
        let bucket = Bucket::new(throttle, now);
        let mut full_moments: Vec<(Nanos, f64)> = Vec::new();
        let mut open: Vec<(Charge, u32, usize)> = Vec::new();
        for step in steps {
            now = now.saturating_add(Nanos(1));
            if bucket.reset_after(now) == Nanos::ZERO {
                full_moments.push((now, 0.0));
            }
            match step {
                Step::Pass(span) => now = now.saturating_add(span),
                Step::Reserve(cost) => {
                    if let Ok(charge) = bucket.reserve(now, cost) {
                        full_moments.iter_mut().for_each(|(_, net)| *net += f64::from(cost));
                        open.push((charge, cost, full_moments.len()));
                    }
                }
                Step::Refund(which) => {
                    if let Some((charge, cost, moments)) = pick(&mut open, which) {
                        bucket.refund(charge);
                        full_moments.iter_mut().take(moments).for_each(|(_, net)| *net -= f64::from(cost));
                    }
                }
            }
            for (since, net) in &full_moments {
                let allowed = f64::from(throttle.burst()) + throttle.rate() * now.saturating_since(*since).0 as f64 / 1e9;
                prop_assert!(*net <= allowed + EDGE, "{net} since {since}, allowed {allowed}");
            }
        }
    }

    /// To wait as told is enough, and (where a tick is at most a nanosecond) no longer than needed.
    #[test]
    fn the_wait_is_exact((throttle, steps) in case(), cost in 1_u32..60) {
        let mut now = Nanos::ZERO;
        let bucket = Bucket::new(throttle, now);
        for step in steps {
            match step {
                Step::Pass(span) => now = now.saturating_add(span),
                Step::Reserve(cost) => drop(bucket.reserve(now, cost)),
                Step::Refund(_) => {}
            }
        }
        let (left, next) = (bucket.remaining(now), bucket.next_after(now));
        if next > Nanos::ZERO {
            prop_assert_eq!(bucket.remaining(now.saturating_add(Nanos(next.0 - 1))), left);
            prop_assert_eq!(bucket.remaining(now.saturating_add(next)), left + 1);
        } else {
            prop_assert_eq!(left, throttle.burst());
        }
        if let Err(Wait::For(wait)) = bucket.probe(now, cost) {
            prop_assert!(wait > Nanos::ZERO);
            prop_assert!(bucket.probe(now.saturating_add(Nanos(wait.0 - 1)), cost).is_err());
            prop_assert!(bucket.reserve(now.saturating_add(wait), cost).is_ok());
        }
    }

    /// What is refunded at once leaves no trace.
    #[test]
    fn an_immediate_refund_restores_the_bucket((throttle, steps) in case(), cost in 0_u32..60) {
        let mut now = Nanos::ZERO;
        let bucket = Bucket::new(throttle, now);
        for step in steps {
            match step {
                Step::Pass(span) => now = now.saturating_add(span),
                Step::Reserve(cost) => drop(bucket.reserve(now, cost)),
                Step::Refund(_) => {
                    let before = (bucket.remaining(now), bucket.reset_after(now));
                    if let Ok(charge) = bucket.reserve(now, cost) {
                        bucket.refund(charge);
                    }
                    prop_assert_eq!((bucket.remaining(now), bucket.reset_after(now)), before);
                }
            }
        }
    }

    #[test]
    fn carry_over_keeps_what_is_left(
        (throttle, steps) in case(),
        (rate, burst) in (0.01..1e6, 1_u32..100),
        reloads in 1_usize..20,
    ) {
        let mut now = Nanos::ZERO;
        let mut bucket = Bucket::new(throttle, now);
        for step in steps {
            match step {
                Step::Pass(span) => now = now.saturating_add(span),
                Step::Reserve(cost) => drop(bucket.reserve(now, cost)),
                Step::Refund(_) => {}
            }
        }
        let before = bucket.remaining(now);
        let other = Bucket::carry_over(&bucket, Throttle::new(rate, burst).unwrap(), now);
        let expected = burst.min(before);
        // A part of a token may be lost to rounding.
        prop_assert!(other.remaining(now) == expected || other.remaining(now) + 1 == expected);
        let back = Bucket::carry_over(&other, throttle, now).remaining(now);
        prop_assert!(back <= expected && back + 2 >= expected);

        for _ in 0..reloads {
            bucket = Bucket::carry_over(&bucket, throttle, now);
        }
        prop_assert!(bucket.remaining(now) <= before && bucket.remaining(now) + 1 >= before);
    }

    /// No rate, burst, cost or time, in any order, panics or admits more than the burst at one moment.
    #[test]
    fn extremes_are_safe(
        throttle in any_throttle(),
        other in any_throttle(),
        born in any_time(),
        steps in prop::collection::vec((any_time(), prop_oneof![Just(u32::MAX), any::<u32>(), 0_u32..10], any::<bool>()), 1..40),
        last in any_time(),
    ) {
        let bucket = Bucket::new(throttle, born);
        prop_assert_eq!(bucket.remaining(born), throttle.burst());
        for (now, cost, refund) in steps {
            match bucket.reserve(now, cost) {
                Ok(charge) if refund => bucket.refund(charge),
                Ok(_) => {}
                Err(wait) => prop_assert_eq!(wait == Wait::Never, cost > throttle.burst()),
            }
            prop_assert!(bucket.remaining(now) <= throttle.burst());
            prop_assert!(bucket.next_after(now) <= bucket.reset_after(now));
            let carried = Bucket::carry_over(&bucket, other, now);
            prop_assert!(carried.remaining(now) <= other.burst());
        }
        let left = bucket.remaining(last);
        prop_assert!(left == 0 || bucket.reserve(last, left).is_ok());
        prop_assert_eq!(bucket.remaining(last), 0);
        prop_assert!(bucket.reserve(last, 1).is_err());
    }

    /// A clock that steps to and fro admits no more than burst and rate allow until the latest time it showed.
    #[test]
    fn steps_back_in_time_give_no_tokens(
        (throttle, _) in case(),
        steps in prop::collection::vec((0_u64..20_000, 1_u32..4), 1..100),
    ) {
        let interval = 1e9 / throttle.rate();
        let bucket = Bucket::new(throttle, Nanos::ZERO);
        let (mut latest, mut admitted) = (Nanos::ZERO, 0);
        for (thousandths, cost) in steps {
            let now = Nanos((interval * thousandths as f64 / 1000.0) as u64);
            latest = latest.max(now);
            admitted += if bucket.reserve(now, cost).is_ok() { cost } else { 0 };
            let allowed = f64::from(throttle.burst()) + throttle.rate() * latest.0 as f64 / 1e9;
            prop_assert!(f64::from(admitted) <= allowed + EDGE, "{admitted} admitted, {allowed} allowed");
        }
    }
}
