//! Guests from the target directory, an engine with an injected clock, and calls to make.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use edgeweir_hookhost::{
    Call, CallFacts, Counters, EngineLimits, Entries, GeoView, Hook, HookEngine, HookLimits, HostServices,
    KeyValueStore, LogLevel, Pins, RequestView, ResponseView, ViewerFacts, build_script,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// Limits that no guest should reach, except those that try.
pub(crate) const LIMITS: HookLimits =
    HookLimits { timeout: Duration::from_secs(10), memory: 4 << 20, concurrent: 1000 };

/// Those of functions in JavaScript.
pub(crate) const SCRIPT_LIMITS: HookLimits =
    HookLimits { timeout: Duration::from_secs(20), memory: 16 << 20, concurrent: 100 };

/// The bytes of a guest that was built for wasm32-wasip2.
pub(crate) fn wasip2(name: &str) -> Vec<u8> {
    built("wasm32-wasip2", name)
}

/// The bytes of a guest. Guests are built beside the tests, so they are looked for in the same target directory.
pub(crate) fn wasm(name: &str) -> Vec<u8> {
    built("wasm32-unknown-unknown", name)
}

fn built(target_name: &str, name: &str) -> Vec<u8> {
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap();
    let file = format!("{target_name}/hook/examples/{}.wasm", name.replace('-', "_"));
    let path: PathBuf = target.join(file);
    match std::fs::read(&path) {
        Ok(wasm) => wasm,
        Err(error) => panic!("{}: {error}; run `make guests`", path.display()),
    }
}

/// A clock that tests move, predictable "random" bytes and a log to look at.
#[derive(Default)]
pub(crate) struct Services {
    pub(crate) now: AtomicU64,
    pub(crate) lines: Mutex<Vec<(String, String, LogLevel, String)>>,
    pub(crate) counts: Arc<Counted>,
}

/// What hooks counted, in order.
#[derive(Default)]
pub(crate) struct Counted(pub(crate) Mutex<Vec<(String, u64)>>);

impl Counters for Counted {
    fn add(&self, name: &str, by: u64) {
        self.0.lock().unwrap().push((name.into(), by));
    }
}

impl HostServices for Services {
    fn now_ms(&self) -> u64 {
        // Moves at each read, so that a clock that is not frozen shows.
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    fn random(&self, out: &mut [u8]) {
        out.fill(7);
    }

    fn log(&self, hook: &str, request_id: &str, level: LogLevel, message: &str) {
        self.lines.lock().unwrap().push((hook.into(), request_id.into(), level, message.into()));
    }

    fn counters(&self, _hook: &str) -> Arc<dyn Counters> {
        Arc::<Counted>::clone(&self.counts)
    }
}

/// An engine of its own with a few slots.
pub(crate) fn engine(slots: u32) -> (HookEngine, Arc<Services>) {
    let services = Arc::new(Services::default());
    let limits = EngineLimits { slots, ..EngineLimits::default() };
    (HookEngine::new(limits, None, Arc::clone(&services) as _).unwrap(), services)
}

/// A function in JavaScript, in an engine of its own.
pub(crate) fn script(file: &str, source: &str) -> (Arc<Hook>, Arc<Services>) {
    let made = build_script(file, source.as_bytes()).unwrap();
    let (engine, services) = engine(64);
    (engine.load(file, &made.wasm, SCRIPT_LIMITS).unwrap(), services)
}

/// A key-value store that was written when 2026 began.
pub(crate) fn store<V: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = (impl Into<Box<str>>, V)>,
) -> Arc<dyn KeyValueStore> {
    struct Store(Arc<Entries>);

    impl KeyValueStore for Store {
        fn entries(&self) -> Arc<Entries> {
            Arc::clone(&self.0)
        }

        fn changed_ms(&self) -> u64 {
            1_767_225_600_000
        }
    }

    let entries = entries.into_iter().map(|(key, value)| (key.into(), value.as_ref().into()));
    Arc::new(Store(Arc::new(entries.collect())))
}

/// A guest in the engine that most tests share.
pub(crate) fn load(name: &str) -> Arc<Hook> {
    static SHARED: LazyLock<HookEngine> = LazyLock::new(|| engine(64).0);
    SHARED.load(name, &wasm(name), LIMITS).unwrap()
}

pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
}

impl RequestView for Request {
    fn method(&self) -> &str {
        "GET"
    }
    fn scheme(&self) -> &str {
        "https"
    }
    fn authority(&self) -> &str {
        "www.example:8443"
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

pub(crate) struct Response(pub(crate) u16, pub(crate) HeaderMap);

impl ResponseView for Response {
    fn status(&self) -> u16 {
        self.0
    }
    fn headers(&self) -> &HeaderMap {
        &self.1
    }
    fn cache_outcome(&self) -> Option<&str> {
        Some("hit")
    }
}

pub(crate) struct Bern;

impl GeoView for Bern {
    fn country(&self) -> Option<&str> {
        Some("CH")
    }
    fn asn(&self) -> Option<u32> {
        Some(64_496)
    }
    fn coordinates(&self) -> Option<(f64, f64)> {
        Some((46.95, 7.45))
    }
}

pub(crate) fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name, value);
    }
    map
}

/// A call with these settings.
pub(crate) fn call(settings: &str) -> Call {
    let headers = headers(&[
        ("x-many", "one"),
        ("x-many", "two"),
        ("connection", "close"),
        ("x-real-ip", "192.0.2.9"),
        ("cookie", "b=2; a=1"),
        ("accept", "*/*"),
    ]);
    let request = Request { path: "/a%20b".into(), query: Some("q=x%20y&r".into()), headers };
    let viewer = ViewerFacts {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        port: Some(4711),
        http_version: Version::HTTP_2,
        tls_version: Some("TLSv1.3"),
        geo: Some(Arc::new(Bern)),
    };
    let facts = CallFacts { viewer, distribution: "site".into(), behavior: "/a*".into(), request_id: "id-1".into() };
    Call {
        request: Box::new(request),
        response: None,
        facts: Arc::new(facts),
        origin: None,
        settings: settings.into(),
        body: None,
        grants: None,
        pins: Pins::default(),
        note: None,
        caller: None,
        record_reads: false,
    }
}

/// A call at a response stage.
pub(crate) fn response_call(settings: &str) -> Call {
    let response = Response(203, headers(&[("content-type", "text/plain"), ("connection", "close")]));
    Call { response: Some(Box::new(response)), ..call(settings) }
}

/// The request that was moved in.
pub(crate) fn request(call: Call) -> Box<Request> {
    let any: Box<dyn Any> = call.request;
    any.downcast().ok().unwrap()
}
