//! The thread that has the store: gets leases, books usage, follows changes of keys, opens the store again when it failed.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};

use edgeweir_limits::{Key, KeyHash, Meter, period};

use super::store::{Ask, Changes, Return, Row, Store, StoreError, guarded};
use super::{News, Open, State, unix};
use crate::fault::chain;
use crate::runtime::clock::Clock;
use crate::runtime::random;

/// How often counts are written to the ledger: what a crash can lose of them.
const BOOK: Duration = Duration::from_secs(2);
/// How often changes of keys by other processes are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// How often a quota that is used up is looked at again: another edge may have given back what it had.
const DOUBT: Duration = Duration::from_secs(1);
/// Between two attempts to open the store: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The longest where it broke down: it is looked at as a whole before it is used again.
const RETRY_BROKEN: Duration = Duration::from_secs(30);
/// Orders that are taken at once, so that one write does for many leases.
const BATCH: usize = 1_024;
/// Rows and keys that are written or read at once.
const PAGE: usize = 5_000;
/// How far a clock may step back, in seconds, before that is told.
const STEP: u64 = 3_600;
/// How long the clock is watched before old rows of the ledger are dropped: one that is wrong at the start of a machine is
/// put right soon after it.
const SETTLED: Duration = Duration::from_secs(600);
/// Days that the ledger goes back.
pub(super) const LEDGER_DAYS: u64 = 400;

/// What the keeper is to do with the store, or without one; says whether the store failed, and how whoever asked is told.
pub(super) type Job = Box<dyn FnOnce(Result<&mut dyn Store, StoreError>) -> (bool, Tell) + Send>;
/// Tells whoever asked.
pub(super) type Tell = Box<dyn FnOnce() + Send>;

/// What the keeper is told.
pub(super) enum Order {
    /// Get a lease.
    Lease(Arc<Meter>),
    /// A meter that counts from now on.
    Track(Arc<Meter>),
    /// Do something.
    Call(Job),
    /// Book, give back, end.
    Stop(mpsc::SyncSender<()>),
}

/// See the module's text.
pub(super) struct Keeper {
    state: Weak<State>,
    clock: Arc<dyn Clock>,
    news: Arc<News>,
    open: Open,
    store: Option<Box<dyn Store>>,
    /// When the store is opened again, and how long it is waited after that.
    retry: (Instant, Duration),
    /// It broke down and has leased nothing since.
    broken: bool,
    meters: Vec<Arc<Meter>>,
    queue: Vec<Arc<Meter>>,
    /// Up to where changes of keys are known.
    revision: u64,
    /// Rows that are to be booked before all others, and their name.
    batch: Option<(String, Vec<Row>)>,
    booked: Instant,
    looked: Instant,
    doubted: Instant,
    forgot: Option<u64>,
    /// When it began, in seconds since 1970 and by a clock that nobody sets.
    started: (u64, Instant),
    /// Ids of keys that the store has lost: they stay in use.
    kept: HashSet<Box<str>>,
    /// The latest time that the clock said, in seconds since 1970.
    latest: u64,
}

impl Keeper {
    pub(super) fn new(state: Weak<State>, clock: Arc<dyn Clock>, news: Arc<News>, open: Open) -> Self {
        let now = Instant::now();
        let started = (unix(&*clock), now);
        Self {
            started,
            state,
            clock,
            news,
            open,
            store: None,
            retry: (now, RETRY.0),
            broken: false,
            meters: Vec::new(),
            queue: Vec::new(),
            revision: 0,
            batch: None,
            booked: now,
            looked: now,
            doubted: now,
            forgot: None,
            kept: HashSet::new(),
            latest: 0,
        }
    }

    /// Until it is told to stop, or nobody is left who could.
    pub(super) fn run(mut self, orders: &mpsc::Receiver<Order>, ready: &mpsc::SyncSender<()>) {
        self.look();
        // Whoever started this may be gone.
        let _told = ready.send(());
        loop {
            let mut stop = None;
            match orders.recv_timeout(LOOK) {
                Ok(order) => {
                    stop = self.take(order);
                    for order in orders.try_iter().take(BATCH) {
                        stop = stop.or(self.take(order));
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.end(),
            }
            self.lease();
            if let Some(done) = stop {
                self.end();
                drop(done);
                return;
            }
            if self.looked.elapsed() >= LOOK {
                self.look();
            }
            if self.doubted.elapsed() >= DOUBT {
                self.doubted = Instant::now();
                self.meters.iter().for_each(|meter| meter.ask_again());
            }
            if self.booked.elapsed() >= BOOK {
                self.book();
                self.forget();
            }
        }
    }

    fn take(&mut self, order: Order) -> Option<mpsc::SyncSender<()>> {
        match order {
            Order::Lease(meter) => self.queue.push(meter),
            Order::Track(meter) => self.meters.push(meter),
            Order::Call(job) => {
                // What was asked for before is there, and what was counted is in the ledger.
                self.lease();
                self.book();
                let tell = self.call(job);
                // A change is in force before it is answered.
                self.look();
                tell();
            }
            Order::Stop(done) => return Some(done),
        }
        None
    }

    fn call(&mut self, job: Job) -> Tell {
        let (failed, tell) = match self.store() {
            Ok(store) => job(Ok(store)),
            Err(error) => job(Err(error)),
        };
        if failed && self.store.is_some() {
            self.failed(&StoreError::Away);
        }
        tell
    }

    /// Runs something on the store; once more on a new one, if the store failed: a connection may have been closed in the
    /// meantime.
    fn with<T>(&mut self, mut job: impl FnMut(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.store().and_then(|store| guarded(|| job(store))) {
            Err(error @ StoreError::BrokeDown(_)) => {
                self.failed(&error);
                Err(error)
            }
            Err(error) if error.is_failure() && self.store.is_some() => {
                self.close();
                self.retry.0 = Instant::now();
                let again = self.store().and_then(|store| guarded(|| job(store)));
                if let Err(error) = &again {
                    self.failed(error);
                }
                again
            }
            done => done,
        }
    }

    fn store(&mut self) -> Result<&mut dyn Store, StoreError> {
        if self.store.is_none() {
            if Instant::now() < self.retry.0 {
                return Err(StoreError::Away);
            }
            let (open, broken) = (&mut self.open, self.broken);
            let opened = guarded(|| {
                let mut store = open()?;
                if broken {
                    store.check()?;
                }
                Ok(store)
            });
            match opened {
                Ok(store) => self.opened(store),
                Err(error) => {
                    self.failed(&error);
                    return Err(error);
                }
            }
        }
        match &mut self.store {
            Some(store) => Ok(&mut **store),
            None => Err(StoreError::Away),
        }
    }

    fn opened(&mut self, store: Box<dyn Store>) {
        if store.has_forgotten()
            && let Some(state) = self.state.upgrade()
        {
            // An emptied server takes no key from those who are known: that would be worse than what it lost.
            let mut known = Vec::with_capacity(state.live.len());
            state.live.for_each(|key| known.push(key.id.clone()));
            self.kept = known.into_iter().collect();
            tracing::error!(
                keys = self.kept.len(),
                "the state store has lost its API keys: those that are known stay in use"
            );
        }
        self.store = Some(store);
        if !self.broken {
            self.retry = (Instant::now(), RETRY.0);
        }
        if self.news.away.swap(false, Relaxed) {
            tracing::warn!("the state store is back");
        }
        self.tell_concern();
    }

    /// The store's own words of warning.
    fn tell_concern(&mut self) {
        let concern = self.store.as_ref().and_then(|store| store.concern());
        let mut detail = self.news.detail.lock();
        if *detail != concern {
            if let Some(concern) = &concern {
                tracing::error!("the state store cannot be relied on: {concern}");
            }
            *detail = concern;
        }
    }

    /// Lets go of the store. What broke down may do so once more at its end.
    fn close(&mut self) {
        let store = self.store.take();
        if let Err(error) = guarded(|| {
            drop(store);
            Ok(())
        }) {
            tracing::debug!(error = chain(&error), "closing the state store");
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.close();
        self.broken |= matches!(error, StoreError::BrokeDown(_));
        let pause = self.retry.1;
        let longest = if self.broken { RETRY_BROKEN } else { RETRY.1 };
        self.retry = (Instant::now() + pause, (pause * 2).min(longest));
        self.news.failures.fetch_add(1, Relaxed);
        let text = chain(error);
        *self.news.detail.lock() = Some(text.clone());
        if !self.news.away.swap(true, Relaxed) {
            tracing::error!(error = text, "the state store failed: quotas go by `state.on_store_failure`");
        }
    }

    /// Gets leases for all that wait.
    fn lease(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.queue);
        // Whoever gave up while the store was away may have asked again: one question for each meter.
        waiting.sort_unstable_by_key(Arc::as_ptr);
        waiting.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let unix = unix(&*self.clock);
        self.watch_clock(unix);
        for meters in waiting.chunks(BATCH) {
            let mut asking = Vec::with_capacity(meters.len());
            let mut asks = Vec::with_capacity(meters.len());
            for meter in meters {
                let number = meter.quota().map(|quota| quota.period.number(unix));
                let Some((number, demand)) = number.and_then(|number| Some((number, meter.demand(number)?))) else {
                    meter.not_granted();
                    continue;
                };
                asks.push(Ask {
                    plan: meter.plan.to_string(),
                    key: meter.key.to_string(),
                    number,
                    quota: demand.quota,
                    left: demand.left,
                    owed: demand.owed,
                    returned: demand.returned,
                });
                asking.push((meter, demand));
            }
            if asks.is_empty() {
                continue;
            }
            let leased = self.with(|store| {
                let leased = store.lease(&asks);
                // Whether a failed question was answered nobody knows: what is given back is given back once.
                asks.iter_mut().for_each(|ask| ask.returned = 0);
                leased
            });
            match leased {
                Ok(leases) => {
                    if std::mem::take(&mut self.broken) {
                        self.retry = (Instant::now(), RETRY.0);
                    }
                    for ((meter, demand), lease) in asking.iter().zip(leases) {
                        meter.grant(lease, demand);
                        self.news.granted.fetch_add(1, Relaxed);
                    }
                }
                Err(_told) => asking.iter().for_each(|(meter, demand)| meter.lost_question(demand)),
            }
        }
        self.tell_concern_if_open();
        self.news.leases.notify_waiters();
    }

    /// Tells of a clock that was ahead. Periods later than now have counts of their own, which do no harm to the present one.
    fn watch_clock(&mut self, unix: u64) {
        let back = self.latest.saturating_sub(unix);
        if back > STEP {
            let (was, is) = (period::date(self.latest / period::DAY), period::date(unix / period::DAY));
            tracing::error!(
                was,
                is,
                seconds = back,
                "the clock stepped back: check it; quotas count on in the periods of now"
            );
        }
        self.latest = if back > STEP { unix } else { self.latest.max(unix) };
    }

    fn tell_concern_if_open(&mut self) {
        if self.store.is_some() {
            self.tell_concern();
        }
    }

    /// Books what was counted, after the batch of before if that was not taken.
    fn book(&mut self) {
        self.booked = Instant::now();
        for _round in 0..2 {
            let Some((name, rows)) = self.batch.take().or_else(|| self.batch()) else { return };
            if self.with(|store| store.book(&name, &rows)).is_err() {
                // Perhaps it was booked and only the answer got lost: the name tells when it is booked again.
                self.batch = Some((name, rows));
                return;
            }
        }
    }

    /// What was counted since the last batch.
    fn batch(&mut self) -> Option<(String, Vec<Row>)> {
        // Who is held by nobody else counts no more.
        self.meters.retain(|meter| Arc::strong_count(meter) > 1 || meter.has_counted());
        let mut rows = Vec::new();
        for meter in &self.meters {
            let Some(counts) = meter.counted() else { continue };
            let row = |day: u32, requests, refused| Row {
                day,
                plan: meter.plan.to_string(),
                key: meter.key.to_string(),
                requests,
                refused,
            };
            rows.extend(counts.requests.iter().map(|(day, count)| row(*day, *count, 0)));
            rows.extend(counts.refused.iter().map(|(day, count)| row(*day, 0, *count)));
        }
        (!rows.is_empty()).then(|| (random::id(16), rows))
    }

    /// Drops old rows of the ledger, once a day; not if the clock was set meanwhile, as all of them would be old for one that
    /// is years ahead.
    fn forget(&mut self) {
        let (now, run) = (unix(&*self.clock), self.started.1.elapsed());
        let today = now / period::DAY;
        if self.forgot == Some(today) || run < SETTLED || now.abs_diff(self.started.0 + run.as_secs()) > period::DAY {
            return;
        }
        let before = u32::try_from(today.saturating_sub(LEDGER_DAYS)).unwrap_or(u32::MAX);
        if self.with(|store| store.forget(before)).is_ok() {
            self.forgot = Some(today);
        }
    }

    /// Follows changes of keys; opens the store, if it is to be tried again.
    fn look(&mut self) {
        self.looked = Instant::now();
        if let Ok(nodes) = self.with(|store| store.nodes()) {
            self.news.nodes.store(nodes, Relaxed);
        }
        let since = self.revision;
        let Ok(changes) = self.with(|store| store.changes(since)) else { return };
        let Some(state) = self.state.upgrade() else { return };
        if changes.revision == since {
            return;
        }
        if changes.all {
            let Ok(records) = self.all_keys() else { return };
            let mut keys = self.lost_keys(&state, &records);
            for record in &records {
                let earlier = record.secrets.iter().find_map(|secret| {
                    state.live.find(&KeyHash::from_hex(&secret.sha256).ok()?).filter(|key| *key.id == *record.id)
                });
                keys.extend(record.keys(&state.names, earlier.as_deref()));
            }
            tracing::info!(keys = keys.len(), "API keys read from the state store");
            state.live.replace(keys);
        } else {
            apply(&state, &changes);
        }
        self.revision = changes.revision;
    }

    /// Keys that the store has lost and that are not there again.
    fn lost_keys(&self, state: &State, records: &[super::KeyRecord]) -> Vec<Arc<Key>> {
        let mut lost = Vec::with_capacity(records.len());
        if !self.kept.is_empty() {
            let there: HashSet<&str> = records.iter().map(|record| &*record.id).collect();
            state.live.for_each(|key| {
                if self.kept.contains(&key.id) && !there.contains(&*key.id) {
                    lost.push(Arc::clone(key));
                }
            });
        }
        lost
    }

    fn all_keys(&mut self) -> Result<Vec<super::KeyRecord>, StoreError> {
        let mut records: Vec<super::KeyRecord> = Vec::new();
        loop {
            let after = records.last().map(|record| record.id.clone()).unwrap_or_default();
            let page = self.with(|store| store.keys(&after, PAGE))?;
            if page.is_empty() {
                return Ok(records);
            }
            records.extend(page);
        }
    }

    /// Gives everything back and ends.
    fn end(&mut self) {
        self.book();
        let returns: Vec<Return> = self
            .meters
            .iter()
            .filter_map(|meter| {
                let period = meter.quota()?.period;
                let (number, count) = meter.surrender()?;
                Some(Return { plan: meter.plan.to_string(), key: meter.key.to_string(), period, number, count })
            })
            .collect();
        if !returns.is_empty()
            // Once: who gives back twice lets through too much.
            && let Err(error) = self.store().and_then(|store| guarded(|| store.give_back(&returns)))
        {
            tracing::warn!(error = chain(&error), "what is left of leases could not be given back: it is lost");
        }
        self.close();
    }
}

/// Puts changes in force.
fn apply(state: &State, changes: &Changes) {
    let gone: Vec<KeyHash> = changes.gone.iter().filter_map(|hash| KeyHash::from_hex(hash).ok()).collect();
    let mut come = Vec::with_capacity(changes.put.len());
    for record in &changes.put {
        // What a key has used stays with it, whichever of its values was known before.
        let known = |hash: &KeyHash| state.live.find(hash).filter(|key| *key.id == *record.id);
        let own = record.secrets.iter().filter_map(|secret| KeyHash::from_hex(&secret.sha256).ok());
        let earlier = own.chain(gone.iter().copied()).find_map(|hash| known(&hash));
        come.extend(record.keys(&state.names, earlier.as_deref()));
    }
    state.live.change(&gone, come);
}
