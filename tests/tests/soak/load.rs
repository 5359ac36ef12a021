//! Requests at a steady rate, whatever the answers take: times count from when a request was due, so that a stall shows in
//! all requests that it held up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use edgeweir_tests::edge::HOST;
use edgeweir_tests::raw::{Raw, request_bytes};
use tokio::task::JoinSet;

/// What came of a steady load.
#[derive(Default)]
pub(crate) struct Times {
    /// One for each answer, in order when sorted.
    pub(crate) all: Vec<Duration>,
    /// Answers with another status than the wanted.
    pub(crate) wrong: usize,
    /// Connections that broke.
    pub(crate) lost: usize,
}

impl Times {
    pub(crate) fn add(&mut self, other: Self) {
        self.all.extend(other.all);
        self.wrong += other.wrong;
        self.lost += other.lost;
        self.all.sort_unstable();
    }

    /// The time that so many of a thousand answers did not exceed.
    pub(crate) fn at(&self, permille: usize) -> Duration {
        let index = (self.all.len() * permille / 1000).min(self.all.len().saturating_sub(1));
        self.all.get(index).copied().unwrap_or_default()
    }
}

/// `rate` requests a second to `target` for `time`, over as many connections that are kept; answers have to have the status.
pub(crate) async fn steady(
    address: SocketAddr,
    target: &'static str,
    (rate, connections): (u32, u32),
    time: Duration,
    status: u16,
) -> Times {
    let mut tasks = JoinSet::new();
    let start = Instant::now() + Duration::from_millis(20);
    for connection in 0..connections {
        tasks.spawn(async move {
            let mut times = Times::default();
            let mut raw = Raw::connect(address).await;
            let bytes = request_bytes("GET", HOST, target, &[], b"");
            for nth in 0.. {
                let due = Duration::from_secs(1) * (nth * connections + connection) / rate;
                if due >= time {
                    break;
                }
                tokio::time::sleep_until((start + due).into()).await;
                let answer = match raw.try_send(&bytes).await {
                    Ok(()) => raw.try_response_to("GET").await,
                    Err(error) => Err(error),
                };
                match answer {
                    Ok(response) => {
                        times.all.push(start.elapsed().saturating_sub(due));
                        times.wrong += usize::from(response.status != status);
                        if response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                            times.lost += 1;
                            raw = Raw::connect(address).await;
                        }
                    }
                    Err(_) => {
                        times.lost += 1;
                        raw = Raw::connect(address).await;
                    }
                }
            }
            times
        });
    }
    let mut times = Times::default();
    while let Some(one) = tasks.join_next().await {
        times.add(one.expect("no panic"));
    }
    times
}
