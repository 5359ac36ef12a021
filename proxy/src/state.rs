//! What survives the process: API keys that come and go, what is left of quotas, and the ledger of usage.
//!
//! A thread of its own (the keeper) has the store and is the only one that waits for it. Requests take from leases in
//! memory ([`edgeweir_limits::Meter`]); the keeper gets the next lease while the last one is being used.

mod counter;
pub mod csv;
mod embedded;
mod keeper;
mod keys;
mod record;
mod redis;
mod store;
mod usage;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::UNIX_EPOCH;

use edgeweir_limits::{Found, LiveKeys, Meter, Nanos, PlanNames, SlotRef, UsagePlan};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use self::keeper::{Job, Keeper, Order, Tell};
pub(crate) use self::keys::unknown_plan;
pub use self::keys::{KeyChange, KeyError, KeyWish, Made, Wanted};
pub use self::record::KeyRecord;
pub use self::store::{Row, StoreError};
use self::store::{Store, guarded};
pub(crate) use self::usage::OF_CONFIG;
pub use self::usage::{UsageRow, days, export};
use crate::fault::chain;
use crate::runtime::clock::Clock;
use crate::runtime::random;

/// Characters of the name of an edge among others.
const NODE: usize = 16;

/// Opens the store, again and again until it works.
type Open = Box<dyn FnMut() -> Result<Box<dyn Store>, StoreError> + Send>;

/// See the module's text. One for each edge; lives as long as the process.
pub struct State {
    /// Numbers of plan names.
    pub names: PlanNames,
    /// Keys of the store.
    pub live: LiveKeys,
    clock: Arc<dyn Clock>,
    orders: mpsc::Sender<Order>,
    /// The keeper's end, until it is started.
    waiting: Mutex<Option<mpsc::Receiver<Order>>>,
    place: Place,
    news: Arc<News>,
}

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the state folder.
    Folder(PathBuf),
    /// On a server that several edges share.
    Server {
        /// The state folder.
        folder: PathBuf,
        /// `redis://…`; may hold a password.
        url: Arc<str>,
        /// Before each name.
        prefix: Arc<str>,
    },
}

/// What the keeper tells.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Leases have come, or will not come.
    leases: Notify,
    away: AtomicBool,
    detail: Mutex<Option<String>>,
    failures: AtomicU64,
    granted: AtomicU64,
    /// Edges that share the store.
    nodes: AtomicU64,
}

impl News {
    /// There is nobody to ask until the edge is started again.
    fn lose_keeper(&self, error: &str) {
        self.away.store(true, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.detail.lock() = Some(format!("there is no thread for the state store: {error}"));
        tracing::error!(error, "there is no thread for the state store");
        self.leases.notify_waiters();
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("keys", &self.live.len()).field("news", &self.news).finish_non_exhaustive()
    }
}

impl State {
    /// A state whose keeper is not started yet: for whoever only looks at a configuration, this is all of it.
    #[must_use]
    pub fn new(place: Place, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (orders, waiting) = mpsc::channel();
        Arc::new(Self {
            names: PlanNames::default(),
            live: LiveKeys::default(),
            clock,
            orders,
            waiting: Mutex::new(Some(waiting)),
            place,
            news: Arc::default(),
        })
    }

    /// Whether there may be something to keep from the last time.
    #[must_use]
    pub fn is_used(&self) -> bool {
        match &self.place {
            Place::Folder(folder) => folder.join(embedded::FILE).exists(),
            Place::Server { .. } => true,
        }
    }

    /// Edges that share the store now, this one among them: each has its part of every rate.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.news.nodes.load(Ordering::Relaxed).max(1)
    }

    /// Whether other edges may share the store.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.place, Place::Server { .. })
    }

    /// Starts the keeper, if it does not run; returns when the store was tried and its keys are read, so that a key of the
    /// store is never unknown at the start. Blocks. A store that does not open is told in the event log and tried again.
    pub fn start(self: &Arc<Self>) {
        let Some(orders) = self.waiting.lock().take() else { return };
        let open: Open = match self.place.clone() {
            Place::Folder(folder) => {
                Box::new(move || embedded::Embedded::open(&folder).map(|store| Box::new(store) as Box<dyn Store>))
            }
            Place::Server { folder, url, prefix } => {
                let node = random::id(NODE);
                let server = redis::Server {
                    url: url.to_string(),
                    prefix: prefix.to_string(),
                    folder,
                    node,
                    seen: RefCell::default(),
                };
                Box::new(move || server.open().map(|store| Box::new(store) as Box<dyn Store>))
            }
        };
        let (ready, done) = mpsc::sync_channel(1);
        let keeper = Keeper::new(Arc::downgrade(self), Arc::clone(&self.clock), Arc::clone(&self.news), open);
        let thread = std::thread::Builder::new().name("state".to_owned());
        let news = Arc::clone(&self.news);
        let keep = move || {
            let kept = guarded(|| {
                keeper.run(&orders, &ready);
                Ok(())
            });
            if let Err(error) = kept {
                // What a store does is caught before: this is the keeper's own, and nobody is left to try again.
                drop(orders);
                news.lose_keeper(&chain(&error));
            }
        };
        match thread.spawn(keep) {
            // An error says that the keeper ended, which it tells itself.
            Ok(_runs) => drop(done.recv()),
            Err(error) => self.news.lose_keeper(&error.to_string()),
        }
    }

    /// Whether the keeper runs.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.waiting.lock().is_none()
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn unix(&self) -> u64 {
        unix(&*self.clock)
    }

    /// A key's bucket and meter in a plan.
    #[must_use]
    pub fn slot(&self, found: &Found<'_>, plan: &UsagePlan, snapshot: u64) -> SlotRef {
        found.slot(plan, snapshot, Nanos(self.clock.monotonic()), |meter| {
            // Without a keeper nobody books it.
            let _kept = self.orders.send(Order::Track(Arc::clone(meter)));
        })
    }

    /// Asks for a lease; it comes by itself.
    pub fn ask(&self, meter: &Arc<Meter>) {
        if self.orders.send(Order::Lease(Arc::clone(meter))).is_err() {
            meter.not_granted();
        }
    }

    /// Resolves when leases have come or will not come; to be made before the meter is looked at.
    pub fn leases(&self) -> tokio::sync::futures::Notified<'_> {
        self.news.leases.notified()
    }

    /// Whether the store does not answer now.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.news.away.load(Ordering::Relaxed)
    }

    /// What is wrong with the store, for people.
    #[must_use]
    pub fn concern(&self) -> Option<String> {
        self.news.detail.lock().clone()
    }

    /// Times that the store failed, and leases that it gave.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.news.failures.load(Ordering::Relaxed), self.news.granted.load(Ordering::Relaxed))
    }

    /// Has the keeper do something with the store.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            let done = store.and_then(|store| guarded(|| job(store)));
            let failed = done.as_ref().is_err_and(StoreError::is_failure);
            // Whoever asked may be gone.
            let tell: Tell = Box::new(move || drop(answer.send(done)));
            (failed, tell)
        });
        self.orders.send(Order::Call(job)).map_err(|_ended| StoreError::Away)?;
        answered.await.unwrap_or(Err(StoreError::Away))
    }

    /// Books what was counted, gives back what is leased, and ends. Blocks.
    pub fn stop(&self) {
        if !self.is_started() {
            return;
        }
        let (done, stopped) = mpsc::sync_channel(1);
        if self.orders.send(Order::Stop(done)).is_ok() {
            // An error says that it ended before.
            let _ended = stopped.recv();
        }
    }
}

/// Seconds since 1970.
pub(crate) fn unix(clock: &dyn Clock) -> u64 {
    clock.wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
