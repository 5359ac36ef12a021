//! Tickets over several levels: all or nothing, and what is told about them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use edgeweir_limits::fields::{Item, Limit, Policy, retry_after};
use edgeweir_limits::{Bucket, LevelKind, Levels, Nanos, Throttle};
use proptest::prelude::*;

const START: Nanos = Nanos::ZERO;

fn bucket(rate: f64, burst: u32) -> Arc<Bucket> {
    Arc::new(Bucket::new(Throttle::new(rate, burst).unwrap(), START))
}

#[test]
fn without_levels_everything_passes() {
    let levels = Levels::new();
    let ticket = levels.reserve(START, u32::MAX).unwrap();
    assert!(ticket.tightest(START).is_none());
    ticket.commit();
}

#[test]
fn the_first_level_in_order_refuses() {
    let (key, behavior, edge) = (bucket(1.0, 1), bucket(10.0, 1), bucket(0.5, 1));
    let levels =
        Levels::new().with(LevelKind::Edge, &edge).with(LevelKind::Behavior, &behavior).with(LevelKind::Key, &key);
    levels.reserve(START, 1).unwrap().commit();

    let refused = levels.reserve(START, 1).unwrap_err();
    assert_eq!(refused.level, LevelKind::Key);
    assert_eq!(refused.to_string(), "the key limit is reached");
    assert_eq!((refused.throttle, refused.remaining), (key.throttle(), 0));
    // The key has room after 1 s, but the edge only after 2.
    assert_eq!(refused.retry_after, Some(Nanos::from_secs(2)));
    assert!(levels.reserve(Nanos(1_999_999_999), 1).is_err());
    levels.reserve(Nanos::from_secs(2), 1).unwrap().commit();
}

#[test]
fn a_cost_above_a_burst_never_passes() {
    let (key, edge) = (bucket(1.0, 5), bucket(1.0, 3));
    let levels = Levels::new().with(LevelKind::Key, &key).with(LevelKind::Edge, &edge);
    let refused = levels.reserve(START, 4).unwrap_err();
    assert_eq!((refused.level, refused.retry_after), (LevelKind::Edge, None));
    assert!(Limit::refused("edge", &refused).is_none());
    assert_eq!(key.remaining(START), 5);

    levels.reserve(START, 2).unwrap().commit();
    let refused = levels.reserve(START, 4).unwrap_err();
    assert_eq!((refused.level, refused.retry_after), (LevelKind::Key, None));
}

#[test]
fn a_dropped_ticket_keeps_the_charge() {
    let key = bucket(1.0, 5);
    let levels = Levels::new().with(LevelKind::Key, &key);
    drop(levels.reserve(START, 2).unwrap());
    assert_eq!(key.remaining(START), 3);
    levels.reserve(START, 2).unwrap().refund();
    assert_eq!(key.remaining(START), 3);
    assert_eq!(Arc::strong_count(&key), 1);
}

#[test]
fn the_fields_of_an_answer() {
    let (key, behavior) = (bucket(1.0, 2), bucket(100.0, 50));
    let levels = Levels::new().with(LevelKind::Key, &key).with(LevelKind::Behavior, &behavior);
    let ticket = levels.reserve(START, 1).unwrap();
    let tightest = ticket.tightest(START).unwrap();
    assert_eq!(tightest.level, LevelKind::Key);
    assert_eq!(tightest.reset_after, Nanos::from_secs(1));
    assert_eq!(Limit::of(tightest.level.as_str(), &tightest).text().to_string(), r#""key";r=1;t=1"#);
    assert_eq!(Policy::new(tightest.level.as_str(), &tightest.throttle).text().to_string(), r#""key";q=2;w=2"#);
    let remaining: Vec<_> = ticket.standings(START).map(|standing| (standing.level, standing.remaining)).collect();
    assert_eq!(remaining, [(LevelKind::Key, 1), (LevelKind::Behavior, 49)]);

    levels.reserve(START, 1).unwrap().commit();
    let refused = levels.reserve(START, 1).unwrap_err();
    assert_eq!(Limit::refused("key", &refused).unwrap().text().to_string(), r#""key";r=0;t=1"#);
    assert_eq!(refused.retry_after.map(retry_after), Some(1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The ticket passes exactly if each level alone would have; a refusal leaves no trace at any level; the wait it tells
    /// is enough for all.
    #[test]
    fn all_or_nothing(
        throttles in prop::collection::vec(prop::option::of((0.1..1000.0, 1_u32..20)), LevelKind::COUNT),
        steps in prop::collection::vec((0_u64..500, 0_u32..22, any::<bool>()), 1..80),
    ) {
        let buckets: Vec<_> = throttles.iter().map(|at| at.map(|(rate, burst)| bucket(rate, burst))).collect();
        let levels = LevelKind::ALL.into_iter().zip(&buckets).fold(Levels::new(), |levels, (kind, bucket)| {
            levels.with(kind, bucket.as_ref())
        });
        let state = |now| -> Vec<_> {
            buckets.iter().flatten().map(|bucket| (bucket.remaining(now), bucket.reset_after(now))).collect()
        };
        let mut now = START;
        for (millis, cost, refund) in steps {
            now = now.saturating_add(Nanos::from_millis(millis));
            let before = state(now);
            let each: Vec<bool> = buckets.iter().flatten().map(|bucket| bucket.probe(now, cost).is_ok()).collect();
            match levels.reserve(now, cost) {
                Ok(ticket) => {
                    prop_assert!(each.iter().all(|passes| *passes));
                    let left: Vec<u32> = ticket.standings(now).map(|standing| standing.remaining).collect();
                    let expected: Vec<u32> = before.iter().map(|(remaining, _)| remaining - cost).collect();
                    prop_assert_eq!(&left, &expected);
                    let tightest = ticket.tightest(now).map(|standing| standing.remaining);
                    prop_assert_eq!(tightest, left.iter().min().copied());
                    if refund {
                        ticket.refund();
                        prop_assert_eq!(state(now), before);
                    }
                }
                Err(refused) => {
                    prop_assert!(!each.iter().all(|passes| *passes));
                    prop_assert_eq!(state(now), before);
                    prop_assert!(refused.remaining < cost);
                    let first = LevelKind::ALL.into_iter().zip(&buckets).find(|(_, bucket)| {
                        bucket.as_ref().is_some_and(|bucket| bucket.probe(now, cost).is_err())
                    });
                    prop_assert_eq!(Some(refused.level), first.map(|(kind, _)| kind));
                    match refused.retry_after {
                        Some(wait) => {
                            let then = now.saturating_add(wait);
                            prop_assert!(buckets.iter().flatten().all(|bucket| bucket.probe(then, cost).is_ok()));
                        }
                        None => prop_assert!(buckets.iter().flatten().any(|bucket| bucket.throttle().burst() < cost)),
                    }
                }
            }
        }
    }
}
