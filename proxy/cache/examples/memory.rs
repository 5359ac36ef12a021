//! How much real memory a full store takes: `cargo run --workspace --example memory -- CAPACITY_MIB OBJECTS BODY_BYTES`.
//!
//! Fills the store with as many objects as asked for, under keys and headers as sites have them, and compares what it
//! weighs with the resident memory of the process.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use edgeweir_cache::purge::{Label, Tags};
use edgeweir_cache::{KeyBuilder, MethodClass, MokaStorage, Selection};
use pingora::cache::trace::Span;
use pingora::cache::{CacheMeta, Storage as _};
use pingora::http::ResponseHeader;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let &[capacity, objects, body] = numbers.as_slice() else {
        println!("usage: memory CAPACITY_MIB OBJECTS BODY_BYTES");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let storage = MokaStorage::leak(capacity << 20, 64 << 20);
    let before = resident();
    runtime.block_on(async {
        for number in 0..objects {
            put(storage, number, body).await;
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
}

async fn put(storage: &'static MokaStorage, number: u64, body: u64) {
    let mut header = ResponseHeader::build(200, None).expect("200");
    for (name, value) in [
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Content-Length", body.to_string()),
        ("Cache-Control", "public, max-age=3600".to_owned()),
        ("ETag", format!("\"{number:016x}\"")),
        ("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT".to_owned()),
        ("Date", "Sat, 21 Nov 2026 09:00:00 GMT".to_owned()),
        ("Server", "origin".to_owned()),
    ] {
        header.append_header(name, value).expect("a field");
    }
    let now = SystemTime::now();
    let mut meta = CacheMeta::new(now + Duration::from_secs(3600), now, 0, 0, header);
    meta.extensions_mut().insert(Label { generation: 0, tags: Tags::default() });
    let mut key = KeyBuilder::new("shop", MethodClass::Read);
    key.scheme("https").host("www.example.com").path(format!("/articles/2026/11/item-{number}").as_bytes());
    key.query(None, &Selection::All);
    let (key, trace) = (key.into_key(), Span::inactive().handle());
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
