//! Structure-aware fuzzing without special tools: what hooks return, and what is given to the edge as a hook. Mutations know
//! the shapes that they break; everything comes from a seed, which a failure prints. `cargo test` runs a short form,
//! `make soak` a million of each.
#![expect(clippy::print_stdout, reason = "how many got how far is what a run is for")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Version};

use crate::{Call, CallFacts, Pins, RequestView, ResponseView, ViewerFacts};

mod artefacts;
mod mutate;
mod outputs;

/// The longest single step of a run: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The seed: `FUZZ_SEED`, or the same each time.
#[expect(clippy::disallowed_methods, reason = "the environment of a test run")]
fn seed() -> u64 {
    std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x0ed9_e3e1)
}

/// Runs one step; one that takes too long or panics names the seed that repeats it.
fn step<T>(slowest: &mut Duration, seed: u64, run: impl FnOnce() -> T) -> T {
    struct Note(u64);
    impl Drop for Note {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("to repeat: FUZZ_SEED={} and one step", self.0);
            }
        }
    }
    let note = Note(seed);
    let start = Instant::now();
    let done = run();
    let took = start.elapsed();
    assert!(took < PATIENCE, "a step took {took:?}");
    *slowest = (*slowest).max(took);
    drop(note);
    done
}

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
        "/a"
    }
    fn query(&self) -> Option<&str> {
        Some("b=c")
    }
    fn headers(&self) -> &HeaderMap {
        &self.0
    }
}

struct Response(HeaderMap);

impl ResponseView for Response {
    fn status(&self) -> u16 {
        200
    }
    fn headers(&self) -> &HeaderMap {
        &self.0
    }
    fn cache_outcome(&self) -> Option<&str> {
        None
    }
}

/// A call with a request and a response.
pub(crate) fn call() -> Call {
    let viewer = ViewerFacts {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: None,
        http_version: Version::HTTP_11,
        tls_version: None,
        geo: None,
    };
    let facts = CallFacts { viewer, distribution: "site".into(), behavior: "*".into(), request_id: "id".into() };
    Call {
        request: Box::new(Request(HeaderMap::new())),
        response: Some(Box::new(Response(HeaderMap::new()))),
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
