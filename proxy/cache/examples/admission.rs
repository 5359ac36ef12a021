//! Hit ratios of the two eviction policies on made traces: `cargo run --release --workspace --example admission`.
//!
//! Requests follow Zipf's law over many objects; in one trace a crawler asks for objects once each in between, in another
//! what is popular changes. Sizes are all the same, or as sites have them: log-normal with a median of 8 KiB and a long
//! tail. Hits by requests and by bytes.
#![expect(clippy::print_stdout, reason = "a program for people")]

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

const OBJECTS: u64 = 100_000;
const REQUESTS: u64 = 2_000_000;

/// xorshift64*: the same trace on each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Cumulated probabilities of Zipf's law.
fn zipf(exponent: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let mut cumulated: Vec<f64> = (1..=OBJECTS)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect();
    cumulated.iter_mut().for_each(|part| *part /= sum);
    cumulated
}

/// Bytes of an object: the same on each request for it.
fn size(object: u64, mixed: bool) -> u32 {
    if !mixed {
        return 10_000;
    }
    let mut random = Random(object.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (one, two) = (random.next().max(1e-12), random.next());
    let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos();
    (8_192.0 * (1.6 * normal).exp()).clamp(200.0, 64e6) as u32
}

fn main() {
    println!("{:<32} {:>9} {:>9} {:>9} {:>9}", "trace, room", "lfu hits", "lru hits", "lfu bytes", "lru bytes");
    for (sizes, mixed) in [("same sizes", false), ("mixed sizes", true)] {
        let all: u64 = (0..OBJECTS).map(|object| u64::from(size(object, mixed))).sum();
        for (trace, crawled, moving) in
            [("zipf", 0.0, false), ("zipf, crawler", 0.3, false), ("zipf, moving", 0.0, true)]
        {
            for percent in [1, 5, 20] {
                let room = all * percent / 100;
                let [lfu, lru] = [EvictionPolicy::tiny_lfu(), EvictionPolicy::lru()]
                    .map(|policy| run(policy, room, mixed, crawled, moving));
                println!(
                    "{:<32} {:>8.1}% {:>8.1}% {:>8.1}% {:>8.1}%",
                    format!("{trace}, {sizes}, {percent} %"),
                    lfu.0,
                    lru.0,
                    lfu.1,
                    lru.1
                );
            }
        }
    }
}

/// Percent of requests and of bytes that were hits, after a tenth of the trace.
fn run(policy: EvictionPolicy, room: u64, mixed: bool, crawled: f64, moving: bool) -> (f64, f64) {
    let cache: Cache<u64, u32> =
        Cache::builder().max_capacity(room).weigher(|_, size: &u32| *size).eviction_policy(policy).build();
    let (cumulated, mut random) = (zipf(0.9), Random(42));
    let (mut asked, mut hit) = ((0_u64, 0_u64), (0_u64, 0_u64));
    for request in 0..REQUESTS {
        let point = random.next();
        let rank = cumulated.partition_point(|part| *part < point) as u64;
        let object = match random.next() < crawled {
            // Never asked for again.
            true => OBJECTS + request,
            // Every tenth of the trace, a part of what is popular is new.
            false if moving => (rank + request / (REQUESTS / 10) * (OBJECTS / 50)) % OBJECTS,
            false => rank,
        };
        let bytes = size(object, mixed);
        let found = cache.get(&object).is_some();
        if !found {
            cache.insert(object, bytes);
        }
        if request > REQUESTS / 10 && object < OBJECTS {
            asked = (asked.0 + 1, asked.1 + u64::from(bytes));
            hit = (hit.0 + u64::from(found), hit.1 + u64::from(found) * u64::from(bytes));
        }
    }
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    (percent(hit.0, asked.0), percent(hit.1, asked.1))
}
