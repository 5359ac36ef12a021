//! The cache on the hit path: building a key, hashing it, and finding and reading an object. No sockets.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use edgeweir_cache::{KeyBuilder, MethodClass, MokaStorage, Selection};
use http::header::{ACCEPT_ENCODING, COOKIE};
use http::{HeaderMap, HeaderValue};
use pingora::cache::key::CacheHashKey;
use pingora::cache::trace::{Span, SpanHandle};
use pingora::cache::{CacheKey, CacheMeta, Storage};
use pingora::http::ResponseHeader;

fn plain_key(path: &str) -> KeyBuilder {
    let mut key = KeyBuilder::new("example", MethodClass::Read);
    key.host("www.example.com").path(path.as_bytes());
    key
}

fn key(c: &mut Criterion) {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br, zstd"));
    headers.insert(COOKIE, HeaderValue::from_static("theme=dark; id=0123456789abcdef; lang=de; consent=1"));
    let query = Some("utm_source=a&page=2&sort=name&utm_medium=b");
    let (wanted, cookies) = (Selection::except(["utm_source", "utm_medium"]), Selection::only(["lang", "theme"]));

    let mut group = c.benchmark_group("cache_key");
    group.bench_function("host_and_path", |b| b.iter(|| plain_key(black_box("/assets/app.js"))));
    group.bench_function("query_header_cookies", |b| {
        b.iter(|| {
            let mut key = plain_key(black_box("/list"));
            key.query(query, &wanted).header(&ACCEPT_ENCODING, &headers).cookies(&headers, &cookies);
            key
        });
    });
    group.bench_function("hash", |b| {
        let key = plain_key("/assets/app.js").into_key();
        b.iter(|| black_box(&key).combined_bin());
    });
    group.finish();
}

fn span() -> SpanHandle {
    Span::inactive().handle()
}

/// A response header as origins send it.
fn response(length: usize) -> ResponseHeader {
    let length = length.to_string();
    let fields = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", length.as_str()),
        ("Cache-Control", "public, max-age=3600"),
        ("ETag", "\"5f3c-60a1\""),
        ("Last-Modified", "Tue, 03 Nov 2026 10:00:00 GMT"),
        ("Server", "origin"),
        ("Vary", "Accept-Encoding"),
        ("X-Request-Id", "0123456789abcdef0123456789abcdef"),
    ];
    let mut header = ResponseHeader::build(200, Some(fields.len())).expect("200 is a status");
    for (name, value) in fields {
        header.append_header(name, value).expect("the fields are valid");
    }
    header
}

async fn store(storage: &'static MokaStorage, key: &CacheKey, length: usize) {
    let start = SystemTime::UNIX_EPOCH;
    let meta = CacheMeta::new(start + Duration::from_secs(3_600), start, 0, 0, response(length));
    let mut miss = storage.get_miss_handler(key, &meta, &span()).await.expect("the store takes it");
    for piece in vec![b'x'; length].chunks(64 << 10) {
        miss.write_body(piece.to_vec().into(), false).await.expect("the store takes it");
    }
    miss.finish().await.expect("the length is right");
}

async fn read(storage: &'static MokaStorage, key: &CacheKey, trace: &SpanHandle) -> usize {
    let (meta, mut hit) = storage.lookup(key, trace).await.expect("no error").expect("a hit");
    let mut length = meta.headers().len();
    while let Some(piece) = hit.read_body().await.expect("a whole body") {
        length += piece.len();
    }
    length
}

fn hit(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let storage = MokaStorage::leak(64 << 20, 8 << 20);
    let mut group = c.benchmark_group("cache_hit");
    for (name, length) in [("1k", 1 << 10), ("100k", 100 << 10), ("1m", 1 << 20)] {
        let key = plain_key(name).into_key();
        runtime.block_on(store(storage, &key, length));
        let trace = span();
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| b.iter(|| runtime.block_on(read(storage, black_box(&key), &trace))));
    }
    let missing = plain_key("/missing").into_key();
    let trace = span();
    group.bench_function("nothing_there", |b| {
        b.iter(|| runtime.block_on(storage.lookup(black_box(&missing), &trace)).is_ok());
    });
    group.bench_function("fill_1k", |b| {
        b.iter_batched(
            || plain_key("/fill").into_key(),
            |key| runtime.block_on(store(storage, &key, 1 << 10)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, key, hit);
criterion_main!(benches);
