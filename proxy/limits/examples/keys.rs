//! Memory of API keys and the cost of looking them up: `cargo run --release -p edgeweir-limits --example keys`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "it is there to print")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use edgeweir_limits::{Found, Key, KeyHash, LiveKeys, PlanNames, presented};

/// As the edge has it: what a key takes is as much as the allocator makes of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn value(number: usize) -> String {
    format!("key-{number:036}")
}

fn main() {
    let names = PlanNames::default();
    println!(
        "{:>9}  {:>10}  {:>9}  {:>11}  {:>11}  {:>9}",
        "keys", "bytes/key", "known", "unknown", "hash alone", "change"
    );
    // All stay: what one gives back would be what the next one takes.
    let mut kept = Vec::new();
    for count in [1_000, 10_000, 100_000, 1_000_000] {
        let before = resident();
        let keys = LiveKeys::default();
        for part in (0..count).collect::<Vec<_>>().chunks(5_000) {
            let key = |number: &usize| {
                let (id, name) = (format!("{number:010}"), format!("customer number {number:08}"));
                Arc::new(Key::new(KeyHash::of(value(*number).as_bytes()), &id, &name, names.set(["basic"])))
            };
            keys.change(&[], part.iter().map(key).collect());
        }
        let bytes = resident().saturating_sub(before) / count;
        let mut state = 7_usize;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % count
        };
        let drawn: Vec<String> = (0..200_000).map(|_| value(random())).collect();
        let unknown: Vec<String> = drawn.iter().map(|key| key.replace("key", "yek")).collect();
        let time = |look: &dyn Fn(&str) -> bool, values: &[String]| {
            let start = Instant::now();
            let found = values.iter().filter(|value| look(black_box(value))).count();
            (start.elapsed().as_nanos() / values.len() as u128, found)
        };
        let usable = |found: Option<Found<'_>>| found.is_some_and(|found| found.is_usable(1));
        let find = |value: &str| presented(value.as_bytes()).is_some_and(|hash| keys.see(&hash, usable));
        let (known, found) = time(&find, &drawn);
        let (absent, none) = time(&find, &unknown);
        let (hash, _) = time(&|value| presented(value.as_bytes()).is_some(), &drawn);
        assert_eq!((found, none), (drawn.len(), 0));
        let start = Instant::now();
        for number in 0..100 {
            let key = Key::new(KeyHash::of(value(number).as_bytes()), "0000000000", "changed", names.set(["basic"]));
            keys.change(&[], vec![Arc::new(key)]);
        }
        let change = start.elapsed().as_micros() / 100;
        println!("{count:>9}  {bytes:>10}  {known:>6} ns  {absent:>8} ns  {hash:>8} ns  {change:>6} us");
        kept.push(keys);
    }
}
