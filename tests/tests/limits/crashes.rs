//! Quotas and the real binary: killed with -9 again and again, replaced while it serves, on a disk that is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::{Process, free_port};
use edgeweir_tests::raw;
use edgeweir_tests::redis::Redis;

use crate::support::{KEY, keyed_site};

const VIEWERS: usize = 8;

/// A site with one key, whose edge is a process.
struct Site {
    folder: tempfile::TempDir,
    address: std::net::SocketAddr,
}

impl Site {
    fn new(origin: &Origin, plan: &str) -> Self {
        Self::with(origin, plan, "")
    }

    /// With lines of `[state]`.
    fn with(origin: &Origin, plan: &str, state: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
        let edge = format!(
            r#"
    state_dir = {:?}
    log = {{ access = "off", events = "stderr" }}
    server.threads = 2
    [state]
    {state}
    [[listeners]]
    address = "{address}"
    "#,
            folder.path().join("state")
        );
        let text = edge + &keyed_site(&origin.address(), plan);
        std::fs::write(folder.path().join("edgeweir.toml"), text).expect("a writable folder");
        Self { folder, address }
    }

    async fn serve(&self) -> Process {
        Process::serve(&self.folder.path().join("edgeweir.toml"), &self.folder.path().join("state")).await
    }
}

/// Viewers that ask as fast as they can, also where nobody answers.
struct Crowd {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Crowd {
    fn start(address: std::net::SocketAddr) -> Self {
        Self::of(address, VIEWERS)
    }

    fn of(address: std::net::SocketAddr, viewers: usize) -> Self {
        let (stop, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let viewer = |stop: Arc<AtomicBool>, refused: Arc<AtomicUsize>| async move {
            let request =
                raw::request_bytes("GET", "site.test", "/t", &[("X-Api-Key", KEY), ("Connection", "close")], b"");
            while !stop.load(Ordering::Relaxed) {
                match status(address, &request).await {
                    Some(429) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                    Some(_) => {}
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let tasks = (0..viewers).map(|_| tokio::spawn(viewer(Arc::clone(&stop), Arc::clone(&refused)))).collect();
        Self { stop, refused, tasks }
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    async fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a viewer");
        }
    }
}

/// The status of one request on a connection of its own; none if the edge died on the way.
async fn status(address: std::net::SocketAddr, request: &[u8]) -> Option<u16> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let asked = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        stream.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
    };
    tokio::time::timeout(Duration::from_secs(5), asked).await.ok().flatten()
}

/// What comes to the origin is what was admitted, whoever has seen the answer.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_never_admits_more_and_loses_no_more_than_stated() {
    const LIMIT: usize = 3_000;
    const LEASE: usize = 30;
    let origin = Origin::hello().await;
    let site = Site::new(&origin, &format!("quota = {{ limit = {LIMIT}, period = \"MONTH\", lease = {LEASE} }}"));
    let crowd = Crowd::start(site.address);
    let mut kills = 0;
    let mut edge = site.serve().await;
    while crowd.refused() == 0 && kills < 40 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..150))).await;
        if crowd.refused() > 0 {
            break;
        }
        edge.signal("KILL");
        edge.ended(Duration::from_secs(5)).await;
        kills += 1;
        edge = site.serve().await;
    }
    for _ in 0..400 {
        if crowd.refused() > 50 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(crowd.refused() > 50, "the quota is used up after {} requests", origin.heads());
    // Used up stays used up, over one more crash.
    edge.signal("KILL");
    edge.ended(Duration::from_secs(5)).await;
    let edge = site.serve().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    crowd.finish().await;
    drop(edge);
    let admitted = origin.heads();
    // What was leased and not used, and what was on its way to the origin when the edge died.
    let lost = (kills + 1) * (LEASE + VIEWERS);
    assert!(kills >= 3, "{kills} kills");
    assert!(admitted <= LIMIT, "{admitted} admitted");
    assert!(admitted + lost >= LIMIT, "{admitted} admitted after {kills} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_takes_over_shares_the_quota_with_the_old_one() {
    const LIMIT: usize = 4_000;
    let origin = Origin::hello().await;
    let site = Site::new(&origin, &format!("quota = {{ limit = {LIMIT}, period = \"MONTH\", lease = 40 }}"));
    let mut old = site.serve().await;
    let crowd = Crowd::start(site.address);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let new = site.serve().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        old.signal("TERM");
        assert_eq!(old.ended(Duration::from_secs(20)).await.code(), Some(0), "{}", old.errors());
        assert!(!new.errors().contains("state store"), "{}", new.errors());
        old = new;
    }
    for _ in 0..600 {
        if crowd.refused() > 50 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    crowd.finish().await;
    let admitted = origin.heads();
    // Nothing is lost: who stops gives back. Connections that Linux resets at the take-over never were requests.
    assert!(admitted <= LIMIT && admitted + VIEWERS >= LIMIT, "{admitted}");
    drop(old);
}

/// Three edges, one server, kills at random: together they admit no more than the limit, and no fewer than what crashes lose.
#[expect(clippy::print_stdout, reason = "the numbers are what a soak test is for")]
async fn three_edges(limit: usize, lease: usize, time: Duration, viewers: usize) {
    let (origin, redis) = (Origin::hello().await, Redis::start().await);
    let plan = format!("quota = {{ limit = {limit}, period = \"MONTH\", lease = {lease} }}");
    let state = format!("backend = \"redis\"\nurl = \"{}\"", redis.url());
    let sites: Vec<Site> = (0..3).map(|_| Site::with(&origin, &plan, &state)).collect();
    let mut edges = Vec::new();
    for site in &sites {
        edges.push(site.serve().await);
    }
    let crowds: Vec<Crowd> = sites.iter().map(|site| Crowd::of(site.address, viewers)).collect();
    let start = std::time::Instant::now();
    let mut kills = 0;
    while start.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..400))).await;
        let at = fastrand::usize(..sites.len());
        if let (Some(edge), Some(site)) = (edges.get_mut(at), sites.get(at)) {
            edge.signal("KILL");
            edge.ended(Duration::from_secs(5)).await;
            kills += 1;
            *edge = site.serve().await;
        }
    }
    let refused = || crowds.iter().map(Crowd::refused).min().unwrap_or(0);
    for _ in 0..600 {
        if refused() > 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(refused() > 20, "the quota is used up after {} requests", origin.heads());
    for crowd in crowds {
        crowd.finish().await;
    }
    let admitted = origin.heads();
    // Each crash loses a lease and what was on its way; what the living have left is a lease each.
    let lost = kills * (lease + viewers) + sites.len() * lease;
    println!("{kills} kills, {admitted} of {limit} admitted; at least {} are promised", limit.saturating_sub(lost));
    assert!(admitted <= limit, "{admitted} admitted");
    assert!(admitted + lost >= limit, "{admitted} admitted after {kills} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_edges_that_share_a_server() {
    three_edges(1_500, 10, Duration::from_secs(4), 4).await;
}

/// `make soak SOAK=quota`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn quota_of_three_edges_for_a_minute() {
    three_edges(10_000, 20, Duration::from_secs(60), 20).await;
}
