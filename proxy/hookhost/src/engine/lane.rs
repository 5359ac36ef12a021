//! Two lanes: a call starts on the worker that serves its request, and is done there as a rule. One that a tick of the epoch
//! finds computing, and that computes on to another, goes on in the slow lane: threads of lower priority, so that requests do
//! not wait behind it. A tick alone says little, nor do two: on a busy machine they also find calls that the system stopped
//! while they computed next to nothing.
//! A call that only waits (for a fetch) stays where it is. Single instructions (`memory.fill`) and functions of the host (a
//! hash) cannot be interrupted, and may hold a worker for longer than a tick; so a hook whose calls take long starts in the
//! slow lane for a while.
//!
//! In the slow lane calls that went on computing take turns, as many at once as there are threads, so that nobody waits behind
//! all of them; first those of one hook among themselves, so that none waits behind all those of another. They are judged
//! by the processor's time, not by how long they waited.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How much less the slow lane gets where processors are scarce (nice(2)): a third of what a worker gets.
const NICE: i32 = 5;

/// A call that takes so much of the processor's time after a tick, up to another, leaves the worker.
const ENOUGH: Duration = Duration::from_micros(500);
/// A call that computes longer in the slow lane is long.
const LONG: Duration = Duration::from_millis(1);
/// How much a hook is suspected after a long call: its calls start in the slow lane. Each that is not long halves it. The first
/// call of a hook finds nothing warm, and can be long too.
const SUSPECT: u32 = 2;
/// How much after another one.
const PROVEN: u32 = 32;

/// Where the calls of a program start.
pub(crate) struct Start {
    suspect: AtomicU32,
    /// Its calls that may wait for a turn among those of all programs.
    turns: Arc<Semaphore>,
}

impl Default for Start {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { suspect: AtomicU32::new(0), turns: Arc::new(Semaphore::new(threads)) }
    }
}

impl Start {
    fn is_slow(&self) -> bool {
        self.suspect.load(Ordering::Relaxed) > 0
    }

    /// Learns of a call in the slow lane. Calls at once may count wrongly by one; it does not matter.
    fn learn(&self, computed: Duration) {
        let suspect = self.suspect.load(Ordering::Relaxed);
        if computed > LONG {
            self.suspect.store(if suspect > 0 { PROVEN } else { SUSPECT }, Ordering::Relaxed);
        } else if suspect > 0 {
            self.suspect.store(suspect / 2, Ordering::Relaxed);
        }
    }
}

thread_local! {
    /// Whether the call that is polled on this thread was interrupted by a tick.
    static TICKED: Cell<bool> = const { Cell::new(false) };
    /// Whether the call that is polled on this thread had no turn before its deadline.
    static LATE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the call that is polled had no turn in time: one that has not begun does not begin.
pub(crate) fn is_late() -> bool {
    LATE.get()
}

/// Gives the thread back at a tick. After the deadline the hook does not go on: its call ends by its timeout.
pub(crate) async fn give_way(deadline: Instant) {
    TICKED.set(true);
    // tokio's own yield lets the timers run before the hook goes on, so that the timeout is noticed even if this is the
    // only task.
    tokio::task::yield_now().await;
    if Instant::now() >= deadline {
        std::future::pending::<()>().await;
    }
}

/// The slow lane's threads, made for the first call that needs them.
#[derive(Default)]
pub(crate) struct SlowLane(OnceLock<Option<Threads>>);

struct Threads {
    runtime: Runtime,
    /// One for each thread, for calls that were found computing.
    turns: Arc<Semaphore>,
}

impl SlowLane {
    fn threads(&self) -> Option<&Threads> {
        let made = self.0.get_or_init(|| {
            // With sockets and timers: a hook that has computed may still send requests.
            let mut builder = Builder::new_multi_thread();
            let made = builder.enable_all().thread_name("hook-slow").on_thread_start(step_back).build();
            let made =
                made.inspect_err(|error| tracing::warn!(%error, "slow hooks stay on the workers: no threads for them"));
            let runtime = made.ok()?;
            let turns = Arc::new(Semaphore::new(runtime.metrics().num_workers()));
            Some(Threads { runtime, turns })
        });
        made.as_ref()
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        // Not by waiting: this may be one of its own threads, or a worker.
        if let Some(threads) = self.0.take().flatten() {
            threads.runtime.shutdown_background();
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

/// Tells what a call computed in the slow lane, also if nobody waits for it any more.
struct Learns<'a> {
    start: &'a Start,
    computed: Arc<Computed>,
}

impl Drop for Learns<'_> {
    fn drop(&mut self) {
        let computed = Duration::from_nanos(self.computed.nanos.load(Ordering::Relaxed));
        // One that ended waiting for a turn, or was given up there, does not say that the hook is quick.
        if computed > LONG || !self.computed.late.load(Ordering::Relaxed) {
            self.start.learn(computed);
        }
    }
}

/// What a call did in the slow lane.
struct Computed {
    nanos: AtomicU64,
    /// Whether it has no turn, and needs one.
    late: AtomicBool,
}

/// A call in the slow lane; dropped with the request it ends at the next tick.
struct Moved<T>(JoinHandle<T>);

impl<T> Drop for Moved<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a call: here until it was seen computing for long, then in the slow lane; in the slow lane at once if calls before
/// were long.
pub(crate) async fn run<T: Send + 'static>(
    slow: &SlowLane,
    start: &Start,
    deadline: Instant,
    mut call: Pin<Box<dyn Future<Output = T> + Send>>,
) -> T {
    let suspect = start.is_slow() && slow.threads().is_some();
    // What it computed since a tick found it; before, nobody looks at the clock.
    let (mut leaves, mut computed) = (suspect, None);
    let finished = poll_fn(|context| {
        if std::mem::take(&mut leaves) {
            return Poll::Ready(None);
        }
        TICKED.set(false);
        let began = computed.map(|_found| computed_by_thread());
        if let Poll::Ready(done) = call.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        if let (Some(computed), Some(began)) = (&mut computed, began) {
            *computed += computed_by_thread().saturating_sub(began);
        } else if TICKED.get() {
            computed = Some(Duration::ZERO);
        }
        let long = TICKED.get() && computed.is_some_and(|computed| computed >= ENOUGH);
        if long && slow.threads().is_some() { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    match (finished, slow.threads()) {
        (Some(done), _) => done,
        (None, None) => call.await,
        (None, Some(threads)) => {
            let computed = Arc::new(Computed { nanos: AtomicU64::new(0), late: AtomicBool::new(suspect) });
            let learns = Learns { start, computed: Arc::clone(&computed) };
            let turns = [Arc::clone(&start.turns), Arc::clone(&threads.turns)];
            let turns = Turns { turns, waits: suspect, deadline, computed };
            let mut moved = Moved(threads.runtime.spawn(turns.take(call)));
            let ended = (&mut moved.0).await;
            drop(learns);
            match ended {
                Ok(done) => done,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // Only dropping this future aborts the call, and dropping the engine, which the call keeps alive.
                Err(_aborted) => std::future::pending().await,
            }
        }
    }
}

/// How a call in the slow lane goes on.
struct Turns {
    /// Of its program, and of all.
    turns: [Arc<Semaphore>; 2],
    /// Whether it waits for a turn before it computes.
    waits: bool,
    deadline: Instant,
    computed: Arc<Computed>,
}

impl Turns {
    async fn take<T>(mut self, mut call: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
        loop {
            let mut turn = match self.waits {
                // None after the deadline: it ends without computing.
                true => tokio::time::timeout_at(self.deadline, turn(&self.turns)).await.ok().flatten(),
                false => None,
            };
            let late = self.waits && turn.is_none();
            self.computed.late.store(late, Ordering::Relaxed);
            let done = poll_fn(|context| {
                TICKED.set(false);
                LATE.set(late);
                let began = computed_by_thread();
                let polled = call.as_mut().poll(context);
                LATE.set(false);
                let nanos = computed_by_thread().saturating_sub(began).as_nanos();
                self.computed.nanos.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
                match polled {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending if TICKED.get() => Poll::Ready(None),
                    Poll::Pending => {
                        // It waits for something else.
                        turn = None;
                        Poll::Pending
                    }
                }
            })
            .await;
            match done {
                Some(done) => return done,
                None => self.waits = true,
            }
        }
    }
}

/// In this order: who waits among the calls of its program takes no turn of others.
async fn turn([own, all]: &[Arc<Semaphore>; 2]) -> Option<[SemaphorePermit<'_>; 2]> {
    Some([own.acquire().await.ok()?, all.acquire().await.ok()?])
}

/// Processor's time that this thread took so far.
fn computed_by_thread() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
