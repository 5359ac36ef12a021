//! A hook's call from end to end: fresh instance, call, checked verdict, instance dropped. Core modules, as the SDK makes
//! them, the same as components, and functions in JavaScript. Needs `make engine guests`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use edgeweir_hookhost::{
    Call, CallFacts, Counters, EngineLimits, GeoView, Hook, HookEngine, HookLimits, HostServices, LogLevel, Pins,
    RequestView, ViewerFacts, build_script,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use tokio::runtime::Runtime;

/// Nothing that a bench measures: no log, and a clock that goes on by a millisecond at each look, so that calls can differ.
#[derive(Default)]
struct Silent(AtomicU64);

impl HostServices for Silent {
    fn now_ms(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
    fn random(&self, out: &mut [u8]) {
        out.fill(0);
    }
    fn log(&self, _: &str, _: &str, _: LogLevel, _: &str) {}
    fn counters(&self, _: &str) -> Arc<dyn Counters> {
        Arc::new(Self::default())
    }
}

impl Counters for Silent {
    fn add(&self, _: &str, _: u64) {}
}

struct Swiss;

impl GeoView for Swiss {
    fn country(&self) -> Option<&str> {
        Some("CH")
    }
}

/// A request with the twelve header fields of a usual browser.
struct Request(HeaderMap);

impl RequestView for Request {
    fn method(&self) -> &str {
        "GET"
    }
    fn scheme(&self) -> &str {
        "https"
    }
    fn authority(&self) -> &str {
        "www.example"
    }
    fn path(&self) -> &str {
        "/assets/app.js"
    }
    fn query(&self) -> Option<&str> {
        Some("v=3")
    }
    fn headers(&self) -> &HeaderMap {
        &self.0
    }
}

fn call() -> Call {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "www.example"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-language", "de-CH,de;q=0.8,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("referer", "https://www.example/"),
        ("cookie", "theme=dark; id=0123456789abcdef; lang=de; consent=1"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("if-none-match", "\"5f3c-60a1\""),
        ("cache-control", "max-age=0"),
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let viewer = ViewerFacts {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        port: Some(4711),
        http_version: Version::HTTP_11,
        tls_version: None,
        geo: Some(Arc::new(Swiss)),
    };
    let facts = CallFacts { viewer, distribution: "site".into(), behavior: "/*".into(), request_id: "id".into() };
    Call {
        request: Box::new(Request(headers)),
        response: None,
        facts: Arc::new(facts),
        origin: None,
        settings: "{}".into(),
        body: None,
        grants: None,
        pins: Pins::default(),
        note: None,
        caller: None,
        record_reads: false,
    }
}

/// A test guest, from the target directory that this bench was built into.
fn guest(engine: &HookEngine, name: &str, component: bool) -> Arc<Hook> {
    let exe = std::env::current_exe().expect("a running binary has a path");
    let target = exe.ancestors().nth(3).expect("the bench runs from its target directory");
    let path = target.join(format!("wasm32-unknown-unknown/hook/examples/{}.wasm", name.replace('-', "_")));
    let wasm = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make guests`", path.display()));
    let wasm = if component {
        let encoder = wit_component::ComponentEncoder::default().module(&wasm);
        encoder.and_then(|mut encoder| encoder.encode()).expect("the guest describes its world")
    } else {
        wasm
    };
    let limits = HookLimits { timeout: Duration::from_secs(5), memory: 16 << 20, concurrent: 1000 };
    engine.load(name, &wasm, limits).expect("the guest loads")
}

/// One call after the other. Each comes back and goes in again, as between the stages of a request.
fn calls(bencher: &mut Bencher<'_>, runtime: &Runtime, hook: &Arc<Hook>) {
    let mut waiting = Some(call());
    bencher.iter(|| {
        let call = waiting.take().expect("the call comes back");
        let done = runtime.block_on(hook.viewer_request(call));
        waiting = Some(done.call);
        done.verdict.expect("a verdict")
    });
}

fn fresh_call(c: &mut Criterion) {
    // As the edge has one: large modules are mapped from there.
    let kept = tempfile::tempdir().expect("a folder");
    let engine =
        HookEngine::new(EngineLimits::default(), Some(kept.path()), Arc::new(Silent::default())).expect("an engine");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = c.benchmark_group("hook_call");
    // `big-data` and `held-data` are `header-edit` with 8 MiB of data: in the memory, with one read, and beside it, with four.
    for name in ["no-op", "header-edit", "typical", "big-data", "held-data"] {
        for (kind, component) in [("", false), ("/component", true)] {
            let hook = guest(&engine, name, component);
            group.bench_function(format!("{name}{kind}"), |b| calls(b, &runtime, &hook));
        }
    }
    group.finish();
}

/// Functions in JavaScript, by what they do: nothing, one header, a redirect by a header, a token by HMAC.
const SCRIPTS: [(&str, &str); 4] = [
    ("no-op", "function handler(event) { return event.request; }"),
    (
        "header",
        "function handler(event) { const r = event.request; r.headers['x-country'] = { value: 'CH' }; return r; }",
    ),
    (
        "redirect",
        "function handler(event) { const h = event.request.headers; if (h['accept-language'].value.startsWith('de')) \
         return { statusCode: 302, statusDescription: 'Found', headers: { location: { value: '/de' + event.request.uri } } }; \
         return event.request; }",
    ),
    (
        "hmac",
        "const crypto = require('crypto'); function handler(event) { \
         const text = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0'; \
         const sign = crypto.createHmac('sha256', 'secret').update(text).digest('base64url'); \
         const payload = JSON.parse(Buffer.from(text.split('.')[1], 'base64url').toString()); \
         if (sign.length !== 43) throw new Error('no'); \
         event.request.headers['x-sub'] = { value: payload.sub }; return event.request; }",
    ),
];

fn script_call(c: &mut Criterion) {
    // As the edge has one: large modules are mapped from there.
    let kept = tempfile::tempdir().expect("a folder");
    let engine =
        HookEngine::new(EngineLimits::default(), Some(kept.path()), Arc::new(Silent::default())).expect("an engine");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = c.benchmark_group("script_call");
    for (name, source) in SCRIPTS {
        let made = build_script("fn.js", source.as_bytes()).expect("the function builds");
        let limits = HookLimits { timeout: Duration::from_secs(5), memory: 16 << 20, concurrent: 1000 };
        let hook = engine.load(name, &made.wasm, limits).expect("the function loads");
        group.bench_function(name, |b| calls(b, &runtime, &hook));
    }
    group.finish();
}

criterion_group!(benches, fresh_call, script_call);
criterion_main!(benches);
