//! How much real memory a full store takes, and how long a look-up takes then:
//! `cargo run --release --workspace --example memory -- CAPACITY_MIB OBJECTS BODY_BYTES FIELDS`.
//!
//! Fills the store with as many objects as asked for, under keys as sites have them, with so many header fields (the usual
//! ones first, then `X-…`), and compares what it weighs with the resident memory of the process. Then it looks them up in
//! random order, body included, and tells percentiles; what many objects cost there is what a processor's caches miss.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use edgeweir_cache::purge::{Label, Mark, Tags};
use edgeweir_cache::{KeyBuilder, MethodClass, MokaStorage, Selection};
use pingora::cache::trace::Span;
use pingora::cache::{CacheKey, CacheMeta, Storage as _};
use pingora::http::ResponseHeader;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let &[capacity, objects, body, fields] = numbers.as_slice() else {
        println!("usage: memory CAPACITY_MIB OBJECTS BODY_BYTES FIELDS");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let storage = MokaStorage::leak(capacity << 20, 64 << 20);
    let before = resident();
    runtime.block_on(async {
        for number in 0..objects {
            put(storage, number, body, fields).await;
            if number % 10_000 == 0 {
                storage.settle();
            }
        }
    });
    storage.settle();
    let (stats, grown) = (storage.stats(), resident() - before);
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    println!("objects {} of {objects}, evicted {}", stats.entries, stats.evicted);
    println!("weighed {} bytes, {} an object", stats.weighted_bytes, stats.weighted_bytes / stats.entries.max(1));
    println!("resident {grown} bytes, {} an object", grown / stats.entries.max(1));
    println!("resident is {:.1} % of what is weighed", percent(grown, stats.weighted_bytes));
    println!("resident is {:.1} % of the capacity", percent(grown, capacity << 20));
    let mut nanos = runtime.block_on(hits(storage, objects));
    nanos.sort_unstable();
    let at = |part: f64| nanos.get((nanos.len() as f64 * part) as usize).copied().unwrap_or_default();
    println!("{} hits: p50 {} ns, p99 {} ns, p99.9 {} ns", nanos.len(), at(0.5), at(0.99), at(0.999));
}

/// Nanoseconds of hits on random objects: key, look-up and body.
async fn hits(storage: &'static MokaStorage, objects: u64) -> Vec<u64> {
    let (trace, mut random, mut nanos) = (Span::inactive().handle(), 42_u64, Vec::with_capacity(HITS));
    while nanos.len() < HITS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let started = Instant::now();
        let key = key(random % objects);
        let Ok(Some((_meta, mut hit))) = storage.lookup(&key, &trace).await else { continue };
        while hit.read_body().await.is_ok_and(|piece| piece.is_some()) {}
        nanos.push(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    nanos
}

const HITS: usize = 2_000_000;

fn key(number: u64) -> CacheKey {
    let mut key = KeyBuilder::new("shop", MethodClass::Read);
    key.scheme("https").path(format!("/articles/2026/11/item-{number}").as_bytes());
    key.query(None, &Selection::All).host("www.example.com");
    key.into_key()
}

async fn put(storage: &'static MokaStorage, number: u64, body: u64, fields: u64) {
    let mut header = ResponseHeader::build(200, None).expect("200");
    let usual = [
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Content-Length", body.to_string()),
        ("Cache-Control", "public, max-age=3600".to_owned()),
        ("ETag", format!("\"{number:016x}\"")),
        ("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT".to_owned()),
        ("Date", "Sat, 21 Nov 2026 09:00:00 GMT".to_owned()),
        ("Server", "origin".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let more = (0..).map(|at| (format!("X-Of-The-Site-{at}"), format!("value {at} of object {number}")));
    for (name, value) in usual.into_iter().chain(more).take(usize::try_from(fields).expect("a number")) {
        header.append_header(name, value).expect("a field");
    }
    let now = SystemTime::now();
    let mut meta = CacheMeta::new(now + Duration::from_secs(3600), now, 0, 0, header);
    meta.extensions_mut().insert(Label { mark: Mark::default(), tags: Tags::default() });
    let (key, trace) = (key(number), Span::inactive().handle());
    let mut miss = storage.get_miss_handler(&key, &meta, &trace).await.expect("a writer");
    // As it comes from a socket: a slice of a read buffer that is much larger.
    let body = usize::try_from(body).expect("a size");
    let mut read = vec![b'x'; body.max(64 << 10)];
    read.truncate(body);
    miss.write_body(Bytes::from(read), true).await.expect("written");
    miss.finish().await.expect("stored");
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
