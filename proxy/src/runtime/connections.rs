//! All open viewer connections: their caps, their deadlines, and what the way of a request may know of its connection.
//!
//! The data path only touches atomics of its own connection. The table's lock is taken at accept, at close and by the
//! sweep that ends connections whose head does not arrive.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::ending::Ending;
use super::frames::Flood;
pub use super::handshake::TlsFacts;
use super::head::HeadFlaw;

/// The task of a connection, known once it is spawned. An abort costs the data path nothing, where a signal would be polled
/// each time that the connection wakes.
pub type TaskHandle = OnceLock<AbortHandle>;

/// What is known of a viewer connection. Shared by the connection, its requests and the table.
#[derive(Debug)]
pub struct ConnFacts {
    /// Counts up from 1 in this process.
    pub id: u64,
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// The other end's address as a field value, made once.
    pub peer_value: HeaderValue,
    /// Our end.
    pub local: SocketAddr,
    /// None for plain text.
    pub tls: Option<TlsFacts>,
    /// Milliseconds (of the sweep's clock) since when a head is awaited; [`NO_HEAD`] or [`UNSTAMPED`].
    head_since: AtomicU64,
    /// Bytes of the head that was read last.
    head_size: AtomicUsize,
    /// As `head_since`, for the time between requests.
    idle_since: AtomicU64,
    /// How long the origin may keep silent, in milliseconds; 0 while nothing is awaited of it.
    origin_limit: AtomicU64,
    /// As `head_since`, for what is awaited of the origin.
    origin_since: AtomicU64,
    /// Whether the connection is told when the origin is late; if not, it is only ended in the end.
    origin_tell: AtomicBool,
    /// The origin is late.
    origin_late: AtomicBool,
    /// No further request is wanted.
    closing: AtomicBool,
    /// Why its HTTP/2 frames were too many; 0 for nothing.
    flood: AtomicU8,
    /// The connection's task, where it waits to be told.
    waiting: AtomicWaker,
    /// The viewer left, or cannot be read or written any more.
    gone: AtomicBool,
    /// Why the head was refused before the flow saw it; an index into the flaws, 0 for none.
    flaw: AtomicU16,
    /// Send what is written without waiting for more.
    at_once: AtomicBool,
    /// The status that the connection says before it closes; 0 for none.
    last_word: AtomicU16,
    /// A request came.
    met: AtomicBool,
    /// How it is to close.
    pub ending: Ending,
    /// Ends the connection's task; it drops its future, and the connection with it.
    task: Arc<TaskHandle>,
    /// The `Date` of the answer that is written next.
    date: Mutex<Option<HeaderValue>>,
    /// What requests left for requests that pingora starts in the background, each with the head that they share.
    errands: Mutex<Vec<(Bytes, Errand)>>,
}

/// What a request leaves for one that is started in its name.
pub type Errand = Box<dyn std::any::Any + Send + Sync>;

/// So many are kept: on HTTP/2 there may be several at once.
const ERRANDS: usize = 64;

/// No head is awaited.
const NO_HEAD: u64 = 0;
/// A head is awaited since after the last sweep: the next one stamps it, so that the data path needs no clock.
const UNSTAMPED: u64 = u64::MAX;

impl ConnFacts {
    /// Ends the connection from outside. It says its last word, if it has one.
    pub fn end(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Notes that a request came. Whether one came before.
    pub fn meets(&self) -> bool {
        let before = self.met.load(Ordering::Relaxed);
        if !before {
            self.met.store(true, Ordering::Relaxed);
        }
        before
    }

    /// A head is awaited from now on, unless one is already.
    pub fn head_begins(&self) {
        self.idle_since.store(NO_HEAD, Ordering::Relaxed);
        if self.head_since.load(Ordering::Relaxed) == NO_HEAD {
            self.head_since.store(UNSTAMPED, Ordering::Relaxed);
        }
    }

    /// Whether a head is awaited: nothing that is written now is the flow's.
    #[must_use]
    pub fn awaits_head(&self) -> bool {
        self.head_since.load(Ordering::Relaxed) != NO_HEAD
    }

    /// The head is there.
    pub fn head_ends(&self) {
        self.head_since.store(NO_HEAD, Ordering::Relaxed);
    }

    /// Keeps the size of a head, in bytes, once its end was read.
    pub fn set_head_size(&self, size: usize) {
        self.head_size.store(size, Ordering::Relaxed);
    }

    /// The size of the head that was read last, in bytes. HTTP/1 only.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.head_size.load(Ordering::Relaxed)
    }

    /// A request is over and the next has not begun.
    pub fn idles(&self) {
        self.idle_since.store(UNSTAMPED, Ordering::Relaxed);
    }

    /// From now on the origin may keep silent for `limit` at most. If it does not: with `tell`, reading from the viewer fails,
    /// which ends the wait; without, or where that does not help, the connection is ended after twice the time.
    pub fn await_origin(&self, limit: Duration, tell: bool) {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        self.origin_limit.store(limit, Ordering::Relaxed);
        self.origin_tell.store(tell, Ordering::Relaxed);
        self.origin_since.store(UNSTAMPED, Ordering::Relaxed);
    }

    /// Nothing is awaited of the origin any more.
    pub fn origin_is_done(&self) {
        self.origin_limit.store(0, Ordering::Relaxed);
        self.origin_since.store(NO_HEAD, Ordering::Relaxed);
        self.origin_late.store(false, Ordering::Relaxed);
    }

    /// The origin said something, or can be heard again: its time starts anew, if anything is awaited of it.
    pub fn origin_restarts(&self) {
        if self.origin_limit.load(Ordering::Relaxed) != 0 {
            self.origin_since.store(UNSTAMPED, Ordering::Relaxed);
        }
    }

    /// The viewer takes nothing more for now: how long the origin keeps silent does not count.
    pub fn origin_rests(&self) {
        self.origin_since.store(NO_HEAD, Ordering::Relaxed);
    }

    /// Whether the connection wants to be told when the origin is late.
    #[must_use]
    pub fn watches_origin(&self) -> bool {
        self.origin_limit.load(Ordering::Relaxed) != 0 && self.origin_tell.load(Ordering::Relaxed)
    }

    /// Whether the origin is late.
    #[must_use]
    pub fn origin_is_late(&self) -> bool {
        self.origin_late.load(Ordering::Acquire)
    }

    /// Wakes `waker` when the origin is late.
    pub fn tell(&self, waker: &Waker) {
        self.waiting.register(waker);
    }

    /// Acts on an origin that is late. Returns whether the connection was ended for it.
    fn look_at_origin(&self, now: u64) -> bool {
        let limit = self.origin_limit.load(Ordering::Relaxed);
        if !is_late(&self.origin_since, now, limit) {
            return false;
        }
        if self.origin_tell.load(Ordering::Relaxed) && !self.origin_late.swap(true, Ordering::Release) {
            self.wake();
        }
        let ends = is_late(&self.origin_since, now, limit.saturating_mul(2));
        if ends {
            self.set_last_word(504);
            self.end();
        }
        ends
    }

    fn wake(&self) {
        // It stays registered: the connection does not say again whom to wake.
        if let Some(waker) = self.waiting.take() {
            waker.wake_by_ref();
            self.waiting.register(&waker);
        }
    }

    /// Whether no further request is wanted.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Its HTTP/2 frames were too many.
    pub fn set_flood(&self, flood: Flood) {
        self.flood.store(
            match flood {
                Flood::Resets => 1,
                Flood::Control => 2,
            },
            Ordering::Relaxed,
        );
    }

    /// Whether its HTTP/2 frames were too many, and which.
    #[must_use]
    pub fn flood(&self) -> Option<Flood> {
        match self.flood.load(Ordering::Relaxed) {
            1 => Some(Flood::Resets),
            2 => Some(Flood::Control),
            _ => None,
        }
    }

    /// What is written of the current answer is not held back to be sent together with more.
    pub fn send_at_once(&self) {
        self.at_once.store(true, Ordering::Relaxed);
    }

    /// Small writes are sent together again.
    pub fn hold_back(&self) {
        self.at_once.store(false, Ordering::Relaxed);
    }

    /// The answer that is written next has this `Date`, or, with none, one of now. pingora puts now in place of any other.
    pub fn set_date(&self, date: Option<HeaderValue>) {
        *self.date.lock() = date;
    }

    /// The `Date` of the answer that is written now, if it has one of its own.
    #[must_use]
    pub fn take_date(&self) -> Option<HeaderValue> {
        self.date.lock().take()
    }

    /// Leaves something for the request that is started next with this head. Whether there was room.
    pub fn leave_errand(&self, head: Bytes, errand: Errand) -> bool {
        let mut errands = self.errands.lock();
        let room = errands.len() < ERRANDS;
        if room {
            errands.push((head, errand));
        }
        room
    }

    /// Takes what was left for a request with this head.
    #[must_use]
    pub fn take_errand(&self, head: &[u8]) -> Option<Errand> {
        let mut errands = self.errands.lock();
        let at = errands.iter().position(|(known, _)| known == head)?;
        Some(errands.swap_remove(at).1)
    }

    /// The viewer cannot be reached any more.
    pub fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether the viewer cannot be reached any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// The head was refused for this flaw: it is the connection's last word.
    pub fn refuse(&self, flaw: HeadFlaw) {
        self.set_last_word(flaw.status());
        let number = HeadFlaw::ALL.iter().position(|&other| other == flaw).unwrap_or_default();
        self.flaw.store(u16::try_from(number + 1).unwrap_or(u16::MAX), Ordering::Relaxed);
    }

    /// The flaw that the head was refused for.
    #[must_use]
    pub fn flaw(&self) -> Option<HeadFlaw> {
        let number = usize::from(self.flaw.load(Ordering::Relaxed));
        HeadFlaw::ALL.get(number.checked_sub(1)?).copied()
    }

    /// Takes the flaw: whoever takes it answers for it, and counts it.
    #[must_use]
    pub fn take_flaw(&self) -> Option<HeadFlaw> {
        let flaw = self.flaw();
        if flaw.is_some() {
            self.flaw.store(0, Ordering::Relaxed);
        }
        flaw
    }

    /// Whether to hold nothing back.
    #[must_use]
    pub fn sends_at_once(&self) -> bool {
        self.at_once.load(Ordering::Relaxed)
    }

    /// The connection answers this status by itself when it closes.
    pub fn set_last_word(&self, status: u16) {
        self.last_word.store(status, Ordering::Relaxed);
    }

    /// The status to say at close; 0 for none.
    #[must_use]
    pub fn last_word(&self) -> u16 {
        self.last_word.load(Ordering::Relaxed)
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `server.max_connections` are open.
    Total,
    /// `server.max_connections_per_address` are open from its address.
    PerAddress,
}

impl Refusal {
    /// As metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::PerAddress => "per-address",
        }
    }
}

/// The table of open connections.
#[derive(Debug, Default)]
pub struct Connections {
    table: Mutex<Table>,
    next: AtomicU64,
    /// The time of the last sweep, in milliseconds: good enough for what needs no better clock.
    now: AtomicU64,
    /// Told whenever a connection ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<u64, Arc<ConnFacts>>,
    by_address: HashMap<IpAddr, usize>,
    /// Taken but not yet entered: in the handshake.
    pending: usize,
}

impl Table {
    /// A connection of an address is gone.
    fn leave(&mut self, peer: IpAddr) {
        if let Some(count) = self.by_address.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&peer);
            }
        }
    }
}

impl Connections {
    /// Takes a place for a connection from this address.
    ///
    /// # Errors
    /// Which cap is reached.
    pub fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        total: usize,
        per_address: usize,
        task: Arc<TaskHandle>,
    ) -> Result<Place, Refusal> {
        let mut table = self.table.lock();
        if table.open.len() + table.pending >= total {
            return Err(Refusal::Total);
        }
        let count = table.by_address.entry(peer).or_default();
        if *count >= per_address {
            return Err(Refusal::PerAddress);
        }
        *count += 1;
        table.pending += 1;
        Ok(Place { table: Arc::clone(self), peer, id: None, task })
    }

    /// Connections that are open, those in the handshake included.
    #[must_use]
    pub fn len(&self) -> usize {
        let table = self.table.lock();
        table.open.len() + table.pending
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the connections whose head has been awaited for too long, whose origin keeps silent, and those that idled too
    /// long; `now` is in milliseconds of any clock that never goes back. Returns how many of each. A deadline is late by up to the time between two sweeps.
    pub fn sweep(&self, now: u64, head_limit: Duration, idle_limit: Duration) -> Swept {
        let millis = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let (head_limit, idle_limit) = (millis(head_limit), millis(idle_limit));
        let mut swept = Swept::default();
        self.now.store(now, Ordering::Relaxed);
        for facts in self.table.lock().open.values() {
            if is_late(&facts.head_since, now, head_limit) {
                facts.set_last_word(408);
                facts.end();
                swept.heads += 1;
            } else if is_late(&facts.idle_since, now, idle_limit) {
                facts.end();
            } else {
                swept.origins += usize::from(facts.look_at_origin(now));
            }
        }
        swept
    }

    /// Tells connections that wait for a request that none is wanted.
    pub fn close_idle(&self) {
        for facts in self.table.lock().open.values() {
            facts.closing.store(true, Ordering::Release);
            facts.wake();
        }
    }

    /// Ends all connections, without a word.
    pub fn kill_all(&self) {
        for facts in self.table.lock().open.values() {
            facts.end();
        }
    }

    /// Waits until no connection is open.
    pub async fn drained(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.is_empty() {
                return;
            }
            ended.await;
        }
    }
}

/// What a sweep ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Connections whose viewer did not send a head in time.
    pub heads: usize,
    /// Connections whose origin kept silent for too long.
    pub origins: usize,
}

/// Whether something has been awaited for too long. What has no stamp yet gets one.
fn is_late(since: &AtomicU64, now: u64, limit: u64) -> bool {
    match since.load(Ordering::Relaxed) {
        NO_HEAD => false,
        UNSTAMPED => {
            let stamp = now.clamp(1, u64::MAX - 1);
            // Only if it has not ended meanwhile; if it has, there is nothing to do.
            let _ended = since.compare_exchange(UNSTAMPED, stamp, Ordering::Relaxed, Ordering::Relaxed);
            false
        }
        since => now.saturating_sub(since) > limit,
    }
}

/// A place in the table; freed when dropped.
#[derive(Debug)]
pub struct Place {
    table: Arc<Connections>,
    peer: IpAddr,
    id: Option<u64>,
    task: Arc<TaskHandle>,
}

impl Place {
    /// Counts the connection as one of another address: the one that a balancer says it is for.
    ///
    /// # Errors
    /// If that has `per_address` open already.
    pub fn move_to(&mut self, peer: IpAddr, per_address: usize) -> Result<(), Refusal> {
        if peer == self.peer {
            return Ok(());
        }
        let mut table = self.table.table.lock();
        let count = table.by_address.entry(peer).or_default();
        if *count >= per_address {
            return Err(Refusal::PerAddress);
        }
        *count += 1;
        table.leave(self.peer);
        self.peer = peer;
        Ok(())
    }

    /// The time of the table's last sweep, in milliseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.table.now.load(Ordering::Relaxed)
    }

    /// Enters the connection into the table, once its handshake is done.
    pub fn enter(&mut self, peer: SocketAddr, local: SocketAddr, tls: Option<TlsFacts>) -> Arc<ConnFacts> {
        let id = self.table.next.fetch_add(1, Ordering::Relaxed) + 1;
        let facts = Arc::new(ConnFacts {
            id,
            peer,
            peer_value: HeaderValue::from_str(&peer.ip().to_string())
                .unwrap_or_else(|_invalid| HeaderValue::from_static("unknown")),
            local,
            tls,
            head_since: AtomicU64::new(NO_HEAD),
            head_size: AtomicUsize::new(0),
            idle_since: AtomicU64::new(NO_HEAD),
            origin_limit: AtomicU64::new(0),
            origin_since: AtomicU64::new(NO_HEAD),
            origin_tell: AtomicBool::new(false),
            origin_late: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            flood: AtomicU8::new(0),
            waiting: AtomicWaker::new(),
            gone: AtomicBool::new(false),
            flaw: AtomicU16::new(0),
            at_once: AtomicBool::new(false),
            date: Mutex::default(),
            errands: Mutex::default(),
            last_word: AtomicU16::new(0),
            met: AtomicBool::new(false),
            ending: Ending::default(),
            task: Arc::clone(&self.task),
        });
        let mut table = self.table.table.lock();
        table.open.insert(id, Arc::clone(&facts));
        table.pending -= 1;
        self.id = Some(id);
        facts
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut table = self.table.table.lock();
            match self.id {
                Some(id) => drop(table.open.remove(&id)),
                None => table.pending -= 1,
            }
            table.leave(self.peer);
        }
        self.table.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn caps_hold_and_places_come_back() {
        let table = Arc::new(Connections::default());
        let (a, b) = (address("127.0.0.1:1"), address("127.0.0.2:1"));
        let mut first = table.admit(a.ip(), 3, 2, Arc::default()).expect("room");
        first.enter(a, b, None);
        let _second = table.admit(a.ip(), 3, 2, Arc::default()).expect("room");
        assert_eq!(table.admit(a.ip(), 3, 2, Arc::default()).expect_err("full"), Refusal::PerAddress);
        let _third = table.admit(b.ip(), 3, 2, Arc::default()).expect("room");
        assert_eq!(table.admit(b.ip(), 3, 2, Arc::default()).expect_err("full"), Refusal::Total);
        drop(first);
        assert!(table.admit(a.ip(), 3, 2, Arc::default()).is_ok());
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_place_counts_for_the_address_that_it_is_moved_to() {
        let table = Arc::new(Connections::default());
        let [balancer, viewer] = ["10.0.0.1", "192.0.2.1"].map(|text| text.parse().expect("an address"));
        let mut first = table.admit(balancer, 9, usize::MAX, Arc::default()).expect("room");
        let mut second = table.admit(balancer, 9, usize::MAX, Arc::default()).expect("room");
        first.move_to(viewer, 1).expect("room");
        assert_eq!(second.move_to(viewer, 1), Err(Refusal::PerAddress));
        drop(second);
        assert!(table.admit(balancer, 9, 1, Arc::default()).is_ok(), "none of the balancer's is left");
        drop(first);
        assert!(table.admit(viewer, 9, 1, Arc::default()).is_ok());
    }

    #[test]
    fn the_sweep_ends_only_late_heads() {
        let table = Arc::new(Connections::default());
        let a = address("127.0.0.1:1");
        let mut place = table.admit(a.ip(), 3, 3, Arc::default()).expect("room");
        let facts = place.enter(a, a, None);
        let heads = |now| table.sweep(now, Duration::from_secs(1), Duration::from_secs(60)).heads;
        assert_eq!(heads(50_000), 0, "no head is awaited");
        facts.head_begins();
        assert_eq!(heads(10_000), 0, "the first sweep stamps");
        assert_eq!(heads(10_900), 0);
        assert_eq!(heads(11_001), 1);
        assert_eq!(facts.last_word(), 408);
        facts.head_ends();
        assert_eq!(heads(99_000), 0);
    }

    #[test]
    fn a_late_origin_is_told_of_and_then_ended() {
        let table = Arc::new(Connections::default());
        let a = address("127.0.0.1:1");
        let mut place = table.admit(a.ip(), 3, 3, Arc::default()).expect("room");
        let facts = place.enter(a, a, None);
        let origins = |now| table.sweep(now, Duration::from_secs(1), Duration::from_secs(60)).origins;
        facts.await_origin(Duration::from_secs(5), true);
        assert_eq!((origins(100_000), origins(104_000), facts.origin_is_late()), (0, 0, false));
        assert_eq!((origins(105_001), facts.origin_is_late(), facts.last_word()), (0, true, 0));
        assert_eq!((origins(110_001), facts.last_word()), (1, 504));
        facts.origin_is_done();
        assert_eq!((origins(200_000), facts.origin_is_late()), (0, false));
        facts.await_origin(Duration::from_secs(5), false);
        assert_eq!((origins(300_000), origins(309_000), facts.origin_is_late()), (0, 0, false), "nobody is told");
        facts.origin_rests();
        assert_eq!(origins(400_000), 0, "a viewer that takes nothing is not the origin's fault");
        facts.origin_restarts();
        assert_eq!((origins(400_000), origins(410_001)), (0, 1));
    }
}
