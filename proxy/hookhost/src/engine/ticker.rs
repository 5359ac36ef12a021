//! The epoch ticker: one thread that advances the engine's epoch while hooks run, and sleeps while none does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::EngineWeak;

/// Between two ticks: a spinning hook gives the worker back this often.
const TICK: Duration = Duration::from_millis(2);

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// Owns the thread; dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// While one lives, the epoch advances.
pub(crate) struct Ticking<'a>(&'a Shared);

impl Ticker {
    pub(crate) fn start(engine: EngineWeak) -> Result<Self, std::io::Error> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new().name("hook-epoch".into()).spawn(move || run(&seen, &engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Has the epoch advance until the guard is dropped.
    pub(crate) fn tick(&self) -> Ticking<'_> {
        // Sequential consistency on `running` and `parked`, here and in `run`: either the thread sees this call, or this
        // sees that the thread parks and wakes it. A wake-up before the parking is not lost: `unpark` leaves a token.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Ticking(&self.shared)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // Waits one tick at most. The thread cannot panic: it only sleeps and counts.
            drop(thread.join());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the thread is this loop's own; sleeping is what it is for")]
fn run(shared: &Shared, engine: &EngineWeak) {
    /// Ticks without a call before the thread parks, so that a steady trickle of calls does not wake it each time.
    const IDLE: u32 = 100;
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        if shared.running.load(Ordering::SeqCst) > 0 {
            idle = 0;
        } else {
            idle += 1;
        }
        if idle > IDLE {
            shared.parked.store(true, Ordering::SeqCst);
            if shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
            idle = 0;
        }
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => break,
        }
    }
}
