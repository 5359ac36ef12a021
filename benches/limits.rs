//! What throttling costs a request: one bucket, contended or not, and a ticket over all five levels.
//! The clock is a counter, so the numbers hold no call to the system's.
#![expect(clippy::unwrap_used, reason = "a bench may panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hash::RandomState;

use edgeweir_limits::{Bucket, Client, ClientBuckets, KeyEntry, KeyHash, KeyStore, LevelKind, Levels, Nanos, Throttle};

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
    let mut group = criterion.benchmark_group("ticket of 5 levels");
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

fn key(criterion: &mut Criterion) {
    let entry = |number: u32| {
        let name = format!("key-{number:036}");
        KeyEntry { hash: KeyHash::of(name.as_bytes()), name, enabled: true, plans: vec![0] }
    };
    let store = KeyStore::new((0..10_000).map(entry).collect()).unwrap();
    let known = store.get(1234).unwrap().name.clone();
    let mut group = criterion.benchmark_group("key of 10,000");
    group.bench_function("known", |bencher| bencher.iter(|| store.lookup(black_box(known.as_bytes())).is_some()));
    let unknown = known.replace("key", "yek");
    group.bench_function("unknown", |bencher| bencher.iter(|| store.lookup(black_box(unknown.as_bytes())).is_some()));
    group.finish();
}

/// What a keyed request with every limit there is pays: its key is hashed and found among a million, drawn at random, and
/// tokens are taken at all ten levels; the table of addresses sees as many viewers.
fn all_levels(criterion: &mut Criterion) {
    const KEYS: u32 = 1_000_000;
    let name = |number: u32| format!("key-{number:036}");
    let entry = |number: u32| {
        let name = name(number);
        KeyEntry { hash: KeyHash::of(name.as_bytes()), name, enabled: true, plans: vec![0] }
    };
    let store = KeyStore::new((0..KEYS).map(entry).collect()).unwrap();
    let throttle = Throttle::new(1e9, 1_000_000).unwrap();
    let of_keys: Vec<Arc<Bucket>> = (0..KEYS).map(|_| bucket(1e9, 1_000_000)).collect();
    let shared = [(); 3].map(|()| bucket(1e9, 1_000_000));
    let table = |clients| Arc::new(ClientBuckets::new(throttle, clients, Nanos::ZERO, RandomState::new()));
    let (methods, addresses, callers) =
        (table(2_000_000), [(); 3].map(|()| table(65_536)), [(); 2].map(|()| table(65_536)));
    let mut random = 1_u64;
    let mut draw = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as u32
    };
    // Made before, so that only what the edge does is measured: the cache misses are its own.
    let presented: Vec<String> = (0..65_536).map(|_| name(draw() % KEYS)).collect();
    let mut at = 0;
    let mut now = 0;
    criterion.bench_function("all ten levels, 1,000,000 keys at random", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % presented.len();
            now += 1000;
            let key = store.lookup_index(black_box(presented[at].as_bytes())).unwrap();
            let client = Client::of(store.get(key).unwrap().hash.prefix());
            let address = (at as u32 % 30_000).to_be_bytes();
            let mut levels = Levels::new()
                .with(LevelKind::Key, &of_keys[key])
                .with(LevelKind::Behavior, &shared[0])
                .with(LevelKind::Distribution, &shared[1])
                .with(LevelKind::Edge, &shared[2])
                .with_client(LevelKind::KeyMethod, &methods, client);
            let kinds = [LevelKind::BehaviorAddress, LevelKind::DistributionAddress, LevelKind::EdgeAddress];
            for (kind, table) in kinds.into_iter().zip(&addresses) {
                levels = levels.with_client(kind, table, table.client(&address));
            }
            for (kind, table) in [LevelKind::BehaviorCaller, LevelKind::DistributionCaller].into_iter().zip(&callers) {
                levels = levels.with_client(kind, table, table.client(&address));
            }
            levels.reserve(Nanos(now), 1).unwrap().commit();
        });
    });
    criterion.bench_function("key, behavior, distribution and edge, 1,000,000 keys at random", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % presented.len();
            now += 1000;
            let key = store.lookup_index(black_box(presented[at].as_bytes())).unwrap();
            let levels = Levels::new()
                .with(LevelKind::Key, &of_keys[key])
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

criterion_group!(benches, reserve, ticket, key, all_levels);
criterion_main!(benches);
