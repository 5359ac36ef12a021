//! Clean traffic beside hooks that loop, trap, allocate, fill memory, flood the log, keep the host busy, and wait for an
//! origin that never answers.

use std::time::Duration;

use edgeweir_tests::origin::{Origin, Reply, Step};

use crate::load::{Times, steady};
use crate::site::Site;

/// What the guest `storm` does (and the guest `fetch`, of the last), each bound to a behavior of its own, as a hook of its
/// own: two calls at a time.
const BAD: [&str; 8] = ["loop", "trap", "allocate", "fill", "copy", "log", "hash", FETCH];
const FETCH: &str = "fetch";
/// Each of them gets this part of the storm's rate.
const SHARE: u32 = 8;

fn config(origin: &str, silent: &str) -> String {
    let mut text = format!(
        "[log]\naccess = \"off\"\nevents = {{ file = \"{{dir}}/events.log\" }}\n[origins.main]\nurl = \"http://{origin}\"\n\
         [origins.silent]\nurl = \"http://{silent}\"\n\
         [hooks.clean]\nfile = \"{{guest:header-edit}}\"\ntimeout = \"5s\"\n"
    );
    for bad in BAD {
        let guest = if bad == FETCH { FETCH } else { "storm" };
        text.push_str(&format!(
            "[hooks.{bad}]\nfile = \"{{guest:{guest}}}\"\ntimeout = \"20ms\"\nmax_concurrent = 2\n"
        ));
    }
    text.push_str("[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n");
    for bad in BAD {
        let granted = if bad == FETCH { ", fetch = [\"silent\"]" } else { "" };
        let binding = format!("{{ hook = \"{bad}\"{granted} }}");
        text.push_str(&format!(
            "[[distributions.site.behaviors]]\npath = \"/{bad}\"\nhooks = {{ viewer-request = [{binding}] }}\n"
        ));
    }
    text.push_str(
        "[[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n\
         hooks = { viewer-request = [\"clean\"] }\n",
    );
    text
}

/// Runs rounds of clean traffic alone and beside the storm. Returns both, and what the storm saw.
async fn rounds(site: &Site, rounds: usize, time: Duration, clean: u32, storm: u32) -> (Times, Times, Times, u64) {
    let (mut alone, mut beside, mut stormy) = (Times::default(), Times::default(), Times::default());
    let mut sent = 0;
    for _ in 0..rounds {
        alone.add(steady(site.address, "/clean", (clean, 20), time, 200).await);
        let mut storms = tokio::task::JoinSet::new();
        for bad in BAD {
            let target: &'static str = format!("/{bad}?do={bad}&origin=silent&target=/").leak();
            let address = site.address;
            // They share the rate: each gets a request every `SHARE / storm` seconds, on one connection of two.
            let each = async move { steady_of(address, target, (storm, SHARE), time).await };
            storms.spawn(each);
        }
        let clean = steady(site.address, "/clean", (clean, 20), time, 200);
        beside.add(clean.await);
        while let Some(storm) = storms.join_next().await {
            let storm = storm.expect("no panic");
            sent += storm.all.len() as u64;
            stormy.add(storm);
        }
    }
    (alone, beside, stormy, sent)
}

/// A share of a rate: `storm / share` requests a second over two connections.
async fn steady_of(
    address: std::net::SocketAddr,
    target: &'static str,
    (storm, share): (u32, u32),
    time: Duration,
) -> Times {
    // In the time of the load a rate of `storm` gives `storm * time`; of that one share.
    let count = (f64::from(storm) * time.as_secs_f64() / f64::from(share)).round().max(1.0);
    // Whole requests a minute keep the arithmetic exact.
    let scaled = time.as_secs_f64() / count;
    let mut times = Times::default();
    let mut all = tokio::task::JoinSet::new();
    for connection in 0..2_u32 {
        all.spawn(async move {
            let mut times = Times::default();
            let mut raw = edgeweir_tests::raw::Raw::connect(address).await;
            let bytes = edgeweir_tests::raw::request_bytes("GET", edgeweir_tests::edge::HOST, target, &[], b"");
            let start = std::time::Instant::now();
            let mut nth = f64::from(connection);
            while nth < count {
                let due = Duration::from_secs_f64(nth * scaled);
                tokio::time::sleep_until((start + due).into()).await;
                match raw.try_send(&bytes).await {
                    Ok(()) => match raw.try_response_to("GET").await {
                        Ok(response) => {
                            times.all.push(start.elapsed().saturating_sub(due));
                            times.wrong += usize::from(response.status != 503);
                            let close = response.header("connection").is_some_and(|value| value == "close");
                            times.lost += usize::from(close);
                            if close {
                                raw = edgeweir_tests::raw::Raw::connect(address).await;
                            }
                        }
                        Err(_) => times.lost += 1,
                    },
                    Err(_) => times.lost += 1,
                }
                nth += 2.0;
            }
            times
        });
    }
    while let Some(one) = all.join_next().await {
        times.add(one.expect("no panic"));
    }
    times
}

async fn faults(site: &Site) -> (u64, u64) {
    let mut faults = 0;
    for bad in BAD {
        let label = format!("hook=\"{bad}\"");
        for verdict in ["trap", "timeout", "out-of-memory", "overloaded"] {
            faults += site.metric("edgeweir_hook_calls_total", &[&label, &format!("verdict=\"{verdict}\"")]).await;
        }
    }
    let mut answered = 0;
    for fault in ["hook-failed", "hook-timeout", "hook-overloaded"] {
        answered += site.metric("edgeweir_faults_total", &[&format!("fault=\"{fault}\"")]).await;
    }
    (faults, answered)
}

async fn run(rounds_: usize, time: Duration, clean: u32, storm: u32) -> (Times, Times) {
    let origin = Origin::hello().await;
    let silent = Origin::start(|_| Reply::script([Step::Pause(Duration::from_secs(3600))])).await;
    let mut site = Site::new();
    site.serve(&config(&origin.address(), &silent.address())).await;
    // Connections to the origin, first instances.
    steady(site.address, "/clean", (200, 20), Duration::from_secs(1), 200).await;
    let (alone, beside, stormy, sent) = rounds(&site, rounds_, time, clean, storm).await;
    let show = |name: &str, times: &Times| {
        println!(
            "{name:<22} {:>6} answers  p50 {:>9.3?}  p90 {:>9.3?}  p99 {:>9.3?}  max {:>9.3?}  wrong {}  lost {}",
            times.all.len(),
            times.at(500),
            times.at(900),
            times.at(990),
            times.at(1000),
            times.wrong,
            times.lost
        );
    };
    show("clean, alone", &alone);
    show("clean, beside a storm", &beside);
    show("the storm", &stormy);
    let (counted, answered) = faults(&site).await;
    println!("faults: {sent} sent, {counted} counted by hook, {answered} counted by answer");
    for (name, times) in [("alone", &alone), ("beside", &beside), ("storm", &stormy)] {
        assert_eq!((times.wrong, times.lost), (0, 0), "{name}: wrong answers, lost connections");
    }
    assert_eq!((counted, answered), (sent, sent), "each fault is counted once");
    println!("the silent origin: {} requests, {} connections still open", silent.count(), silent.open_connections());
    assert!(silent.count() > 0, "hooks wait for it");
    (alone, beside)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_bad_hooks_loses_nothing_and_is_counted() {
    run(1, Duration::from_secs(2), 100, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute and a half at 550 requests a second; `make soak` runs it"]
async fn clean_traffic_does_not_notice_a_storm() {
    let (alone, beside) = run(3, Duration::from_secs(15), 500, 50).await;
    let moved = beside.at(990).saturating_sub(alone.at(990));
    println!("the clean p99 moved by {moved:.3?}");
    assert!(moved < Duration::from_millis(15), "{moved:?}");
}
