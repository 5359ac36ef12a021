//! Many threads on the same buckets. The clock is a shared number that the threads themselves move; at the end of the file
//! it is the system's, and the count is exact.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "the soak form is asked for its numbers")]

use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edgeweir_limits::{
    Bucket, Client, ClientBuckets, Key, KeyHash, LevelKind, Levels, LiveKeys, Nanos, PlanNames, Reach, Throttle,
    UsagePlan,
};

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

/// 16 threads ask as fast as they can for `time`. Returns how many were admitted, and the latest moment that was asked for.
fn hammer(time: Duration, ask: impl Fn(Nanos, u64) -> bool + Sync) -> (u64, Nanos) {
    let start = Instant::now();
    let latest = AtomicU64::new(0);
    let admitted = thread::scope(|scope| {
        let (ask, latest) = (&ask, &latest);
        let threads: Vec<_> = (0..16_u64)
            .map(|thread| {
                scope.spawn(move || {
                    let (mut admitted, mut last) = (0, 0);
                    for turn in 0.. {
                        let now = start.elapsed();
                        if now >= time {
                            break;
                        }
                        last = now.as_nanos() as u64;
                        admitted += u64::from(ask(Nanos(last), thread + turn));
                    }
                    latest.fetch_max(last, Ordering::Relaxed);
                    admitted
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    (admitted, Nanos(latest.into_inner()))
}

/// What was admitted by the end is what the bucket allows: never more, and at most one less.
fn assert_exact(what: &str, admitted: u64, throttle: Throttle, end: Nanos) {
    let allowed = f64::from(throttle.burst()) + throttle.rate() * end.0 as f64 / 1e9;
    println!("{what}: {admitted} admitted of {allowed:.3} in {end}");
    assert!(admitted as f64 <= allowed, "{what}: {admitted} admitted, {allowed} allowed");
    assert!(admitted as f64 >= allowed - 1.0, "{what}: {admitted} admitted, {allowed} allowed");
}

fn exact_to_the_request(time: Duration) {
    // Bursts of many seconds: on a busy machine all threads may stand still for a while, and a full bucket refills nothing.
    let throttle = Throttle::new(1234.5, 20_000).unwrap();
    let one = Arc::new(Bucket::new(throttle, Nanos::ZERO));
    // The burst goes first: while a bucket is full, what would refill is lost.
    let burst = (0..30_000).filter(|_| one.reserve(Nanos::ZERO, 1).is_ok()).count() as u64;
    let (admitted, end) = hammer(time, |now, _| one.reserve(now, 1).is_ok());
    assert_exact("one bucket", burst + admitted, throttle, end);

    let four = [(9000.0, 90_000), (1234.5, 20_000), (1300.0, 25_000), (5000.0, 50_000)]
        .map(|(rate, burst)| bucket(rate, burst));
    let kinds = [LevelKind::Key, LevelKind::Behavior, LevelKind::Distribution, LevelKind::Edge];
    let levels = kinds.into_iter().zip(&four).fold(Levels::new(), |levels, (kind, bucket)| levels.with(kind, bucket));
    let burst = (0..30_000).filter(|_| levels.reserve(Nanos::ZERO, 1).is_ok()).count() as u64;
    let (mut admitted, end) = hammer(time, |now, _| levels.reserve(now, 1).is_ok());
    // What was being undone when the threads stopped.
    admitted += burst + (0..16).filter(|_| levels.reserve(end, 1).is_ok()).count() as u64;
    assert_exact("four levels", admitted, throttle, end);

    let throttle = Throttle::new(3.7, 100).unwrap();
    let table = ClientBuckets::new(throttle, 16_384, Nanos::ZERO, RandomState::new());
    let counts: Vec<AtomicU64> = (0..1000).map(|_| AtomicU64::new(0)).collect();
    let clients: Vec<Client> = (0..1000_u32).map(|number| table.client(&number.to_be_bytes())).collect();
    for (client, count) in clients.iter().zip(&counts) {
        let burst = (0..120).filter(|_| table.reserve(*client, Nanos::ZERO, 1).is_ok()).count();
        count.fetch_add(burst as u64, Ordering::Relaxed);
    }
    let (_, end) = hammer(time, |now, turn| {
        let at = (turn % 1000) as usize;
        let passed = table.reserve(clients[at], now, 1).is_ok();
        counts[at].fetch_add(u64::from(passed), Ordering::Relaxed);
        passed
    });
    assert_eq!(table.taken_over(), 0);
    let mut least = f64::MAX;
    for (client, count) in clients.iter().zip(&counts) {
        let last = u64::from(table.reserve(*client, end, 1).is_ok());
        let admitted = (count.load(Ordering::Relaxed) + last) as f64;
        let allowed = f64::from(throttle.burst()) + throttle.rate() * end.0 as f64 / 1e9;
        assert!(admitted <= allowed && admitted >= allowed - 1.0, "{admitted} admitted of {allowed}");
        least = least.min(admitted);
    }
    println!("1,000 clients: at least {least} admitted each in {end}");
}

#[test]
fn sixteen_threads_get_exactly_what_there_is() {
    exact_to_the_request(Duration::from_millis(300));
}

#[test]
#[ignore = "half a minute; `make soak` runs it"]
fn sixteen_threads_get_exactly_what_there_is_in_ten_seconds() {
    exact_to_the_request(Duration::from_secs(10));
}

/// Keys are used for the first time, and then on, while their tables are copied and made anew, and they themselves change.
#[test]
fn keys_that_change_while_they_are_used_give_exactly_their_tokens() {
    const KEYS: u32 = 40;
    const BURST: u32 = 5;
    let names = PlanNames::default();
    let plan = UsagePlan::new(names.id("p"), "p".into(), Throttle::new(1e-9, BURST).ok(), None, Reach::All);
    let hash = |number: u32| KeyHash::of(&number.to_be_bytes());
    let key = |number: u32, name: &str| Key::new(hash(number), &number.to_string(), name, names.set(["p"]));
    for _round in 0..20 {
        let keys = LiveKeys::default();
        keys.change(&[], (0..KEYS).map(|number| Arc::new(key(number, "first"))).collect());
        let counts: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
        let ask = |number: u32| {
            let slot = keys.see(&hash(number), |found| found.unwrap().slot(&plan, 1, Nanos::ZERO, |_made| {}));
            let passed = Levels::new().with_slot(LevelKind::Key, &slot).reserve(Nanos::ZERO, 1).is_ok();
            counts[number as usize].fetch_add(u64::from(passed), Ordering::Relaxed);
        };
        thread::scope(|scope| {
            for thread in 0..3 {
                scope.spawn(move || (0..KEYS * BURST * 2).for_each(|turn| ask((turn / 3 + thread) % KEYS)));
            }
            let mut others = KEYS;
            for number in 0..KEYS {
                let known = keys.find(&hash(number)).unwrap();
                keys.change(&[], vec![Arc::new(key(number, "second").that_continues(&known))]);
                keys.change(
                    &[],
                    (0..200)
                        .map(|_| {
                            Arc::new(key(
                                {
                                    others += 1;
                                    others
                                },
                                "other",
                            ))
                        })
                        .collect(),
                );
            }
        });
        (0..KEYS).for_each(|number| (0..BURST).for_each(|_| ask(number)));
        for count in &counts {
            assert_eq!(count.load(Ordering::Relaxed), u64::from(BURST));
        }
    }
}
