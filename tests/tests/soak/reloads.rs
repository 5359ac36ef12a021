//! Reload after reload, each with another version of a hook, under load: nothing fails, and memory comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edgeweir_tests::edge::HOST;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::{Raw, request_bytes};
use edgeweir_tests::wasm;

use crate::site::Site;

const CONFIG: &str = r#"
    [log]
    access = "off"
    events = "off"
    [origins.main]
    url = "http://{origin}"
    [hooks.changing]
    file = "{dir}/changing.wasm"
    timeout = "5s"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
    hooks = { viewer-request = [{ hook = "changing", on_failure = "last-good" }] }
"#;

/// A version of the hook: the same code with another custom section, so that it is compiled again.
fn version(number: usize) -> Vec<u8> {
    let mut module = std::fs::read(wasm::guest("header-edit")).expect("it is built");
    let text = format!("\x07version{number:08}");
    module.push(0);
    module.push(u8::try_from(text.len()).expect("short"));
    module.extend_from_slice(text.as_bytes());
    module
}

async fn viewer(address: std::net::SocketAddr, stop: Arc<AtomicBool>) -> Result<usize, String> {
    let mut raw = Raw::connect(address).await;
    let bytes = request_bytes("GET", HOST, "/t", &[], b"");
    let mut answered = 0;
    while !stop.load(Ordering::SeqCst) {
        raw.try_send(&bytes).await.map_err(|error| format!("after {answered} answers: {error}"))?;
        let response =
            raw.try_response_to("GET").await.map_err(|error| format!("after {answered} answers: {error}"))?;
        if response.status != 200 {
            return Err(format!("{} after {answered} answers", response.status));
        }
        answered += 1;
        // The edge has more to do than this.
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    Ok(answered)
}

/// Resident memory after each reload, in KiB.
async fn run(reloads: usize) -> Vec<u64> {
    let origin = Origin::hello().await;
    let mut site = Site::new();
    let replace = |site: &Site, number: usize| {
        let path = site.folder.path().join("changing.wasm");
        std::fs::write(path.with_extension("new"), version(number)).expect("a writable folder");
        std::fs::rename(path.with_extension("new"), path).expect("a writable folder");
    };
    replace(&site, 0);
    site.serve(&CONFIG.replace("{origin}", &origin.address())).await;
    let stop = Arc::new(AtomicBool::new(false));
    let viewers: Vec<_> = (0..4).map(|_| tokio::spawn(viewer(site.address, Arc::clone(&stop)))).collect();
    let start = Instant::now();
    let mut resident = Vec::with_capacity(reloads);
    for number in 1..=reloads {
        replace(&site, number);
        let answer = site.process().admin("POST", "/v1/reload").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        resident.push(site.process().resident() >> 10);
        if number % 50 == 0 {
            println!("after {number:>5} reloads: {:>7} KiB resident", resident[number - 1]);
        }
    }
    let took = start.elapsed();
    stop.store(true, Ordering::SeqCst);
    let mut answered = 0;
    for viewer in viewers {
        answered += viewer.await.expect("no panic").expect("no request fails");
    }
    println!("{reloads} reloads in {took:.1?}, {answered} requests meanwhile, none failed");
    assert_eq!(site.metric("edgeweir_reloads_total", &["result=\"ok\""]).await, reloads as u64);
    assert_eq!(site.metric("edgeweir_snapshot_number", &[]).await, reloads as u64 + 1);
    resident
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_that_change_a_hook_fail_no_request() {
    assert_eq!(run(10).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes; `make soak` runs it"]
async fn a_thousand_reloads_keep_memory_flat() {
    let resident = run(1000).await;
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len() as u64;
    let (early, late) = (mean(&resident[50..150]), mean(&resident[900..]));
    println!("mean of reloads 51 to 150: {early} KiB; of 901 to 1000: {late} KiB");
    assert!(late <= early + early / 10, "it grew from {early} to {late} KiB");
}
