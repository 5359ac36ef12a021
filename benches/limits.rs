//! What throttling costs a request: one bucket, contended or not, and a ticket over all ten levels. In small pages, as the edge.
//! The clock is a counter, so the numbers hold no call to the system's.
#![expect(clippy::unwrap_used, reason = "a bench may panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group};
use std::hash::RandomState;

use edgeweir_limits::{
    Bucket, ClientBuckets, Counts, Found, Key, KeyHash, LevelKind, Levels, LiveKeys, Meter, Nanos, Period, PlanNames,
    PlanSet, Plans, Quota, Reach, Take, Throttle, UsagePlan, presented,
};
use edgeweir_proxy::runtime::pages;

/// As the edge has it: where a key's parts lie in memory is part of what a look-up costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: u64 = 4;

fn bucket(rate: f64, burst: u32) -> Arc<Bucket> {
    Arc::new(Bucket::new(Throttle::new(rate, burst).unwrap(), Nanos::ZERO))
}

/// The time that `THREADS` threads need for `turns` turns each, with the turn's number as the time.
fn on_threads(turns: u64, work: impl Fn(Nanos) + Sync) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..turns).for_each(|turn| work(Nanos(turn * 1000))));
        }
    });
    start.elapsed()
}

fn reserve(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bucket");
    group.throughput(Throughput::Elements(1));
    group.bench_function("admit", |bencher| {
        let bucket = bucket(1e9, 1_000_000);
        let mut now = 0;
        bencher.iter(|| {
            now += 1000;
            black_box(bucket.reserve(Nanos(now), 1)).is_ok()
        });
    });
    group.bench_function("refuse", |bencher| {
        let bucket = bucket(1e-9, 1);
        assert!(bucket.reserve(Nanos::ZERO, 1).is_ok());
        bencher.iter(|| black_box(bucket.reserve(black_box(Nanos::ZERO), 1)).is_ok());
    });
    group.throughput(Throughput::Elements(THREADS));
    group.bench_function("admit, 4 threads", |bencher| {
        let bucket = bucket(1e9, 1_000_000);
        bencher.iter_custom(|turns| on_threads(turns, |now| drop(black_box(bucket.reserve(now, 1)))));
    });
    group.bench_function("refuse, 4 threads", |bencher| {
        let bucket = bucket(1e-9, 1);
        assert!(bucket.reserve(Nanos::ZERO, 1).is_ok());
        bencher.iter_custom(|turns| on_threads(turns, |_| drop(black_box(bucket.reserve(Nanos::ZERO, 1)))));
    });
    group.finish();
}

fn ticket(criterion: &mut Criterion) {
    let buckets = LevelKind::ALL.map(|_| bucket(1e9, 1_000_000));
    let levels = LevelKind::ALL
        .into_iter()
        .zip(&buckets)
        .fold(Levels::new(), |levels, (kind, bucket)| levels.with(kind, bucket));
    let mut group = criterion.benchmark_group("ticket of 10 levels");
    group.throughput(Throughput::Elements(1));
    let mut now = 0;
    group.bench_function("commit", |bencher| {
        bencher.iter(|| {
            now += 1000;
            if let Ok(ticket) = levels.reserve(Nanos(now), 1) {
                black_box(ticket).commit();
            }
        });
    });
    group.bench_function("tightest, then refund", |bencher| {
        bencher.iter(|| {
            now += 1000;
            if let Ok(ticket) = levels.reserve(Nanos(now), 1) {
                black_box(ticket.tightest(Nanos(now)));
                ticket.refund();
            }
        });
    });
    group.bench_function("refused at the last", |bencher| {
        let edge = bucket(1e-9, 1);
        assert!(edge.reserve(Nanos::ZERO, 1).is_ok());
        let levels = levels.with(LevelKind::Edge, &edge);
        bencher.iter(|| {
            now += 1000;
            black_box(levels.reserve(Nanos(now), 1)).is_ok()
        });
    });
    group.throughput(Throughput::Elements(THREADS));
    group.bench_function("commit, 4 threads", |bencher| {
        bencher.iter_custom(|turns| on_threads(turns, |now| drop(black_box(levels.reserve(now, 1)))));
    });
    group.finish();
}

/// One read of memory that no cache of the processor holds and whose place nobody knew before: the measure for what comes
/// after, which at a million keys is mostly such reads.
fn memory(criterion: &mut Criterion) {
    const LINES: u32 = 4 << 20;
    // One cycle through all lines (Sattolo's shuffle): each says which is next.
    let mut order: Vec<u32> = (0..LINES).collect();
    for at in (1..LINES as usize).rev() {
        order.swap(at, fastrand::usize(0..at));
    }
    let lines: Vec<[u32; 16]> = order.into_iter().map(|next| [next; 16]).collect();
    let mut at = 0;
    criterion.bench_function("memory/one read at random of 256 MiB", |bencher| {
        bencher.iter(|| {
            at = lines[at][0] as usize;
            at
        });
    });
}

/// The value of a key.
fn name(number: u32) -> [u8; 40] {
    let mut name = *b"key-000000000000000000000000000000000000";
    let digits = number.to_string();
    name[40 - digits.len()..].copy_from_slice(digits.as_bytes());
    name
}

/// So many values in a row that when one comes again, the processor's caches have forgotten its key; in one piece, so that
/// they are there when they are wanted, as a request is.
fn drawn(of: u32) -> Vec<[u8; 40]> {
    (0..1 << 20).map(|_| name(fastrand::u32(0..of))).collect()
}

fn key(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("key");
    for count in [10_000_u32, 1_000_000] {
        let keys = LiveKeys::default();
        let plans = PlanSet::default();
        let key = |number: u32| {
            let id = number.to_string();
            Arc::new(Key::new(KeyHash::of(&name(number)), &id, &id, plans.clone()))
        };
        keys.change(&[], (0..count).map(key).collect());
        let known = drawn(count);
        let usable = |found: Option<Found<'_>>| found.is_some_and(|found| found.is_usable(1));
        let find = |value: &[u8]| presented(value).is_some_and(|hash| keys.see(&hash, usable));
        let mut at = 0;
        group.bench_function(format!("known, of {count}"), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % known.len();
                find(black_box(&known[at]))
            });
        });
        let unknown = name(count);
        group.bench_function(format!("unknown, of {count}"), |bencher| bencher.iter(|| find(black_box(&unknown))));
    }
    let quota = Quota { limit: Quota::MAX, offset: 0, period: Period::Day, lease: 1_000, counts: Counts::default() };
    let meter = Meter::new(&Arc::from("plan"), "key", Some(quota));
    let demand = meter.demand(1).unwrap();
    let lease = edgeweir_limits::Lease { period: 1, granted: Quota::MAX, limit: Quota::MAX, leased: Quota::MAX };
    meter.grant(lease, &demand);
    group.bench_function("quota: take and count", |bencher| {
        bencher.iter(|| {
            meter.count(black_box(86_400));
            meter.take(black_box(1)) == Take::Taken
        });
    });
    group.finish();
}

/// What a keyed request with every limit there is pays: its key is hashed and found among a million, drawn at random, and
/// tokens are taken at all ten levels; the table of addresses sees as many viewers.
fn all_levels(criterion: &mut Criterion) {
    const KEYS: u32 = 1_000_000;
    let keys = LiveKeys::default();
    let names = PlanNames::default();
    let throttle = Throttle::new(1e9, 1_000_000).unwrap();
    let plan = UsagePlan::new(names.id("plan"), "plan".into(), Some(throttle), None, Reach::All);
    let entry = |number: u32| {
        let id = number.to_string();
        Arc::new(Key::new(KeyHash::of(&name(number)), &id, &id, names.set(["plan"])))
    };
    keys.change(&[], (0..KEYS).map(entry).collect());
    let plans = Plans::new(vec![plan]);
    let shared = [(); 3].map(|()| bucket(1e9, 1_000_000));
    // One hasher for all tables, as in a registry.
    let hasher = RandomState::new();
    let table = |clients| Arc::new(ClientBuckets::new(throttle, clients, Nanos::ZERO, hasher.clone()));
    let (methods, addresses, callers) =
        (table(2_000_000), [(); 3].map(|()| table(65_536)), [(); 2].map(|()| table(65_536)));
    let mut random = 1_u64;
    let mut draw = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as u32
    };
    let sent = drawn(KEYS);
    // What the edge looks at and keeps of a keyed request.
    let taken = [0];
    let known = |value: &[u8], now: Nanos, ahead: Option<&ClientBuckets>| {
        let hash = presented(value)?;
        if let Some(methods) = ahead {
            methods.fetch(hash.client());
        }
        let seen = |found: Option<Found<'_>>| {
            let found = found.filter(|found| found.is_usable(1))?;
            let plan = plans.get(plans.plan_for(found.plans(), &taken)?)?;
            Some(found.slot(plan, 1, now, |_made| {}))
        };
        keys.see(&hash, seen)
    };
    // Each key was used.
    for number in 0..KEYS {
        known(&name(number), Nanos::ZERO, None).unwrap();
    }
    let mut at = 0;
    let mut now = 0;
    criterion.bench_function("all ten levels, 1,000,000 keys at random", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % sent.len();
            now += 1000;
            let slot = known(black_box(&sent[at]), Nanos(now), Some(&methods)).unwrap();
            let address = addresses[0].client(&(at as u32 % 30_000).to_be_bytes());
            let caller = callers[0].client(&(at as u32 % 30_000).to_be_bytes());
            let mut levels = Levels::new()
                .with_slot(LevelKind::Key, &slot)
                .with(LevelKind::Behavior, &shared[0])
                .with(LevelKind::Distribution, &shared[1])
                .with(LevelKind::Edge, &shared[2])
                .with_client(LevelKind::KeyMethod, &methods, slot.client());
            let kinds = [LevelKind::BehaviorAddress, LevelKind::DistributionAddress, LevelKind::EdgeAddress];
            for (kind, table) in kinds.into_iter().zip(&addresses) {
                levels = levels.with_client(kind, table, address);
            }
            for (kind, table) in [LevelKind::BehaviorCaller, LevelKind::DistributionCaller].into_iter().zip(&callers) {
                levels = levels.with_client(kind, table, caller);
            }
            levels.reserve(Nanos(now), 1).unwrap().commit();
        });
    });
    criterion.bench_function("key, behavior, distribution and edge, 1,000,000 keys at random", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % sent.len();
            now += 1000;
            let slot = known(black_box(&sent[at]), Nanos(now), None).unwrap();
            let levels = Levels::new()
                .with_slot(LevelKind::Key, &slot)
                .with(LevelKind::Behavior, &shared[0])
                .with(LevelKind::Distribution, &shared[1])
                .with(LevelKind::Edge, &shared[2]);
            levels.reserve(Nanos(now), 1).unwrap().commit();
        });
    });
    let mut group = criterion.benchmark_group("one client");
    let known = &addresses[0];
    group.bench_function("known", |bencher| {
        bencher.iter(|| {
            now += 1000;
            at = (at + 1) % 30_000;
            known.reserve(known.client(&(at as u32).to_be_bytes()), Nanos(now), 1).is_ok()
        });
    });
    group.bench_function("new, into a table that is full of idle ones", |bencher| {
        bencher.iter(|| {
            now += 1000;
            known.reserve(known.client(&draw().to_be_bytes()), Nanos(now), 1).is_ok()
        });
    });
    group.finish();
}

criterion_group!(benches, memory, reserve, ticket, key, all_levels);
fn main() {
    // As the edge does: with huge pages reads of memory would cost less than they do there.
    pages::keep_small();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
