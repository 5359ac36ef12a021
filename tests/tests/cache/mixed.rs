//! Everything at once: many URLs by Zipf's law, misses, and purges by URL, prefix and tag. Each body says which URL it is of
//! and when it was made, so that each viewer knows whether it got the right one, and none from before a purge it knew of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::{Process, admin_with, free_port};
use edgeweir_tests::raw::Raw;
use serde_json::json;
use tokio::task::JoinSet;

const TAGS: usize = 100;
/// Bytes of a body.
const BODY: usize = 1_000;

struct World {
    /// Counts up before each purge; bodies carry it.
    version: AtomicU64,
    /// By URL: what every answer that is asked for from now on is at least.
    least: Vec<AtomicU64>,
    /// Shares of the URLs, summed up.
    shares: Vec<f64>,
    ended: AtomicBool,
    misses: AtomicU64,
}

impl World {
    fn new(urls: usize) -> Arc<Self> {
        let mut sum = 0.0;
        let shares = (1..=urls).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Arc::new(Self {
            version: AtomicU64::new(1),
            shares: shares.collect(),
            least: (0..urls).map(|_| AtomicU64::new(0)).collect(),
            ended: AtomicBool::new(false),
            misses: AtomicU64::new(0),
        })
    }

    fn pick(&self) -> usize {
        let at = fastrand::f64() * self.shares.last().copied().unwrap_or_default();
        self.shares.partition_point(|sum| *sum < at).min(self.least.len() - 1)
    }
}

/// The folder of a URL has ten of them.
fn target(url: usize) -> String {
    format!("/f{}/u{url}", url / 10)
}

fn body(target: &str, version: u64) -> String {
    let mut text = format!("{target} {version} ");
    text.extend(std::iter::repeat_n('x', BODY.saturating_sub(text.len())));
    text
}

async fn view(world: Arc<World>, address: SocketAddr) -> u64 {
    let mut raw = Raw::connect(address).await;
    let mut asked = 0;
    while !world.ended.load(Ordering::SeqCst) {
        let miss = fastrand::u8(..10) < 2;
        let url = world.pick();
        let target = match miss {
            true => format!("/miss/{}", world.misses.fetch_add(1, Ordering::Relaxed)),
            false => target(url),
        };
        let least = if miss { 0 } else { world.least[url].load(Ordering::SeqCst) };
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n\r\n")).await;
        let response = raw.response_to("GET").await;
        let text = response.text();
        let mut words = text.split(' ');
        assert_eq!((response.status, words.next()), (200, Some(target.as_str())), "the body of another URL");
        let version: u64 = words.next().and_then(|word| word.parse().ok()).expect("a version");
        assert!(version >= least, "{target}: {version}, but {least} was purged before it was asked for");
        assert_eq!(text.len(), body(&target, version).len());
        asked += 1;
    }
    asked
}

async fn purge(world: Arc<World>, socket: std::path::PathBuf) -> u64 {
    let mut purges = 0;
    while !world.ended.load(Ordering::SeqCst) {
        let url = world.pick();
        let version = world.version.fetch_add(1, Ordering::SeqCst) + 1;
        let soft = fastrand::bool();
        let (order, purged): (_, Vec<usize>) = match fastrand::u8(..20) {
            0 => (json!({ "tags": [format!("t{}", url % TAGS)], "soft": soft }), {
                (url % TAGS..world.least.len()).step_by(TAGS).collect()
            }),
            1..10 => (json!({ "paths": [format!("/f{}/*", url / 10)], "soft": soft }), {
                (url / 10 * 10..(url / 10 * 10 + 10).min(world.least.len())).collect()
            }),
            _ => (json!({ "paths": [target(url)], "soft": soft }), vec![url]),
        };
        let answer = admin_with(&socket, "POST", "/v1/purge", order.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        for url in purged {
            world.least[url].fetch_max(version, Ordering::SeqCst);
        }
        purges += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    purges
}

/// Gives requests, fetches, purges, the resident memory at the end of each tenth, and the most threads then.
async fn run(urls: usize, viewers: usize, time: Duration, capacity_mib: u64) -> (u64, usize, u64, Vec<u64>, usize) {
    let world = World::new(urls);
    let making = Arc::clone(&world);
    let origin = Origin::start(move |request| {
        // The version before anything else: what is purged from here on is newer.
        let version = making.version.load(Ordering::SeqCst);
        let target = request.target();
        let number: usize = target.rsplit(['u', '/']).next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let tag = format!("t{}", number % TAGS);
        let headers = [("cache-control", "max-age=600"), ("cache-tag", tag.as_str())];
        Reply::new(200, &headers, body(target, version))
    })
    .await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (port, state) = (free_port(), folder.path().join("state"));
    let config = format!(
        "state_dir = {state:?}\n[log]\naccess = \"off\"\nevents = \"off\"\n[cache]\ncapacity = \"{capacity_mib}MiB\"\n\
         [[listeners]]\naddress = \"127.0.0.1:{port}\"\n[origins.main]\nurl = \"http://{}\"\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n",
        origin.address()
    );
    let file = folder.path().join("edgeweir.toml");
    std::fs::write(&file, config).expect("a writable folder");
    let process = Process::serve(&file, &state).await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut tasks = JoinSet::new();
    (0..viewers).for_each(|_| drop(tasks.spawn(view(Arc::clone(&world), address))));
    let purging = tokio::spawn(purge(Arc::clone(&world), state.join("admin.sock")));
    let (start, mut memory, mut threads) = (Instant::now(), Vec::new(), 0);
    while start.elapsed() < time && !purging.is_finished() {
        tokio::time::sleep(time / 10).await;
        memory.push(process.resident());
        threads = threads.max(process.threads());
    }
    world.ended.store(true, Ordering::SeqCst);
    let purges = purging.await.expect("no panic");
    (tasks.join_all().await.into_iter().sum(), origin.count(), purges, memory, threads)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wrong_body_and_none_from_before_a_purge() {
    let (requests, fetches, purges, _, threads) = run(2_000, 8, Duration::from_secs(4), 8).await;
    assert!(threads < 20, "{threads} threads: what sweeps behind purges begins none");
    assert!(requests > 200 && fetches > 50 && purges > 20, "{requests} requests, {fetches} fetches, {purges} purges");
}

/// Run it by name, with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
#[expect(clippy::print_stdout, reason = "numbers for whoever runs it")]
async fn a_minute_of_100_000_urls() {
    let (requests, fetches, purges, memory, threads) = run(100_000, 32, Duration::from_secs(60), 64).await;
    println!("{requests} requests, {fetches} fetches, {purges} purges, {threads} threads");
    println!("resident MiB: {:?}", memory.iter().map(|bytes| bytes >> 20).collect::<Vec<_>>());
    let most = memory.iter().max().copied().unwrap_or_default();
    assert!(most < 200 << 20, "{} MiB resident with a cache of 64", most >> 20);
}
