//! Two lanes: a call starts on the worker that serves its request, and is done there as a rule. One that still computes at
//! the first tick of the epoch goes on in the slow lane: threads of lower priority, so that requests do not wait behind it.
//! A call that only waits (for a fetch) stays where it is. Single instructions (`memory.fill`) and functions of the host (a
//! hash) cannot be interrupted, and may hold a worker for longer than a tick; so a hook whose calls take long starts in the
//! slow lane for a while.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How much less the slow lane gets where processors are scarce (nice(2)): a third of what a worker gets.
const NICE: i32 = 5;

/// A call that takes longer is long: some ticks, so that a busy machine alone does not make one.
const LONG: Duration = Duration::from_millis(8);
/// After a long call so many start in the slow lane.
const SUSPECT: u32 = 32;

/// Where the calls of a program start.
#[derive(Default)]
pub(crate) struct Start(AtomicU32);

impl Start {
    fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Learns of a call in the slow lane. Calls at once may count wrongly by one; it does not matter.
    fn learn(&self, took: Duration) {
        let suspect = self.0.load(Ordering::Relaxed);
        if took > LONG {
            self.0.store(SUSPECT, Ordering::Relaxed);
        } else if suspect > 0 {
            self.0.store(suspect - 1, Ordering::Relaxed);
        }
    }
}

thread_local! {
    /// Whether the call that is polled on this thread was interrupted by a tick.
    static TICKED: Cell<bool> = const { Cell::new(false) };
}

/// Gives the thread back at a tick.
pub(crate) async fn give_way() {
    TICKED.set(true);
    // tokio's own yield lets the timers run before the hook goes on, so that the timeout is noticed even if this is the
    // only task.
    tokio::task::yield_now().await;
}

/// The slow lane's threads, made for the first call that needs them.
#[derive(Default)]
pub(crate) struct SlowLane(OnceLock<Option<Runtime>>);

impl SlowLane {
    fn runtime(&self) -> Option<&Runtime> {
        let made = self.0.get_or_init(|| {
            // With sockets and timers: a hook that has computed may still send requests.
            let mut builder = Builder::new_multi_thread();
            let made = builder.enable_all().thread_name("hook-slow").on_thread_start(step_back).build();
            made.inspect_err(|error| tracing::warn!(%error, "slow hooks stay on the workers: no threads for them")).ok()
        });
        made.as_ref()
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        // Not by waiting: this may be one of its own threads, or a worker.
        if let Some(runtime) = self.0.take().flatten() {
            runtime.shutdown_background();
        }
    }
}

/// On Linux a thread has a priority of its own, and none named means the calling one (setpriority(2), "C library/kernel
/// differences").
fn step_back() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "slow hooks run at the priority of requests");
    }
}

/// Tells how long a call took that was in the slow lane, also if nobody waits for it any more.
struct Learns<'a> {
    start: &'a Start,
    began: Instant,
}

impl Drop for Learns<'_> {
    fn drop(&mut self) {
        self.start.learn(self.began.elapsed());
    }
}

/// A call in the slow lane; dropped with the request it ends at the next tick.
struct Moved<T>(JoinHandle<T>);

impl<T> Drop for Moved<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a call: here until a tick interrupts it, then in the slow lane; in the slow lane at once if calls before were long.
pub(crate) async fn run<T: Send + 'static>(
    slow: &SlowLane,
    start: &Start,
    mut call: Pin<Box<dyn Future<Output = T> + Send>>,
) -> T {
    let began = Instant::now();
    let mut suspect = start.is_slow() && slow.runtime().is_some();
    let finished = poll_fn(|context| {
        if std::mem::take(&mut suspect) {
            return Poll::Ready(None);
        }
        TICKED.set(false);
        match call.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if TICKED.get() && slow.runtime().is_some() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    match (finished, slow.runtime()) {
        (Some(done), _) => done,
        (None, None) => call.await,
        (None, Some(runtime)) => {
            let _learns = Learns { start, began };
            let mut moved = Moved(runtime.spawn(call));
            match (&mut moved.0).await {
                Ok(done) => done,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // Only dropping this future aborts the call, and dropping the engine, which the call keeps alive.
                Err(_aborted) => std::future::pending().await,
            }
        }
    }
}
