//! Many threads on the same buckets. The clock is a shared number that the threads themselves move.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use edgeweir_limits::{Bucket, LevelKind, Levels, Nanos, Throttle};

const THREADS: u64 = 4;

fn bucket(rate: f64, burst: u32) -> Arc<Bucket> {
    Arc::new(Bucket::new(Throttle::new(rate, burst).unwrap(), Nanos::ZERO))
}

/// Runs `work` on each thread and adds up what it returns.
fn sum(work: impl Fn(u64) -> u64 + Sync) -> u64 {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn while_the_clock_stands_exactly_the_burst_is_admitted() {
    let bucket = bucket(1.0, 10_000);
    let admitted = sum(|_| (0..20_000).filter(|_| bucket.reserve(Nanos::ZERO, 1).is_ok()).count() as u64);
    assert_eq!(admitted, 10_000);
    assert_eq!(bucket.remaining(Nanos::ZERO), 0);
}

#[test]
fn while_it_moves_never_more_than_burst_and_rate() {
    let bucket = bucket(100_000.0, 50);
    let clock = AtomicU64::new(0);
    let admitted = sum(|thread| {
        let mut admitted = 0;
        for turn in 0..50_000_u32 {
            let now = Nanos(clock.fetch_add(1000, Ordering::Relaxed));
            let cost = turn % 3 + 1;
            if let Ok(charge) = bucket.reserve(now, cost) {
                // Every fifth is refunded; a refund must never turn into more than it took.
                if (u64::from(turn) + thread) % 5 == 0 {
                    bucket.refund(charge);
                } else {
                    admitted += u64::from(cost);
                }
            }
        }
        admitted
    });
    // 200,000 turns of 1 us: 0.2 s, 20,000 tokens.
    let allowed = 50 + 20_000;
    assert!(admitted <= allowed, "{admitted} admitted, {allowed} allowed");
    assert!(admitted >= allowed * 9 / 10, "{admitted} admitted although {allowed} were asked for many times over");
}

#[test]
fn refunding_everything_leaves_a_full_bucket() {
    let bucket = bucket(1.0, 100);
    sum(|_| {
        for cost in (1..=30).cycle().take(30_000) {
            if let Ok(charge) = bucket.reserve(Nanos::ZERO, cost) {
                bucket.refund(charge);
            }
        }
        0
    });
    assert_eq!(bucket.remaining(Nanos::ZERO), 100);
    assert_eq!(bucket.reset_after(Nanos::ZERO), Nanos::ZERO);
}

#[test]
fn tickets_charge_all_levels_or_none() {
    let (key, edge) = (bucket(1.0, 50_000), bucket(1.0, 6000));
    let levels = Levels::new().with(LevelKind::Key, &key).with(LevelKind::Edge, &edge);
    let admitted = sum(|_| {
        let mut admitted = 0;
        for turn in 0..10_000 {
            if let Ok(ticket) = levels.reserve(Nanos::ZERO, 1) {
                if turn % 7 == 0 {
                    ticket.refund();
                } else {
                    ticket.commit();
                    admitted += 1;
                }
            }
        }
        admitted
    });
    assert_eq!(admitted, 6000);
    assert_eq!(edge.remaining(Nanos::ZERO), 0);
    assert_eq!(key.remaining(Nanos::ZERO), 50_000 - 6000);
}
