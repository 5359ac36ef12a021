//! All open viewer connections: their caps and their deadlines.
//!
//! The data path only touches atomics of its own connection. The table's lock is taken at accept, at close and by the
//! sweep that ends connections whose head does not arrive.

mod facts;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

pub use super::handshake::TlsFacts;
use facts::is_late;
pub use facts::{ConnFacts, Errand, TaskHandle};

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

    /// Ends the connections whose head has been awaited for too long, whose origin keeps silent, whose viewer does not take
    /// what is written, and those that idled too long; `now` is in milliseconds of any clock that never goes back. Returns how
    /// many of each. A deadline is late by up to twice the time between two sweeps.
    pub fn sweep(&self, now: u64, limits: &Patience) -> Swept {
        let millis = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let [head_limit, idle_limit, write_limit] = [limits.head, limits.idle, limits.write].map(millis);
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
                facts.look_at_write(now, write_limit);
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

/// How long a viewer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a head.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// To take a piece of an answer.
    pub write: Duration,
}

/// What a sweep ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Connections whose viewer did not send a head in time.
    pub heads: usize,
    /// Connections whose origin kept silent for too long.
    pub origins: usize,
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
        let facts = Arc::new(ConnFacts::new(id, (peer, local), tls, Arc::clone(&self.task)));
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
    use std::task::Waker;

    use super::*;

    const PATIENCE: Patience =
        Patience { head: Duration::from_secs(1), idle: Duration::from_secs(60), write: Duration::from_secs(5) };

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// A table with one connection, for as long as its place is kept.
    fn one() -> (Arc<Connections>, Place, Arc<ConnFacts>) {
        let table = Arc::new(Connections::default());
        let a = address("127.0.0.1:1");
        let mut place = table.admit(a.ip(), 3, 3, Arc::default()).expect("room");
        let facts = place.enter(a, a, None);
        (table, place, facts)
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
        let (table, _place, facts) = one();
        let heads = |now| table.sweep(now, &PATIENCE).heads;
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
        let (table, _place, facts) = one();
        let origins = |now| table.sweep(now, &PATIENCE).origins;
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

    #[test]
    fn a_viewer_that_does_not_take_a_write_is_late() {
        let (table, _place, facts) = one();
        let late = |now| {
            table.sweep(now, &PATIENCE);
            facts.write_is_late()
        };
        assert!(!late(100_000) && !late(200_000), "nothing is written");
        facts.write_begins(Waker::noop());
        assert!(!late(300_000) && !late(305_000) && late(305_001));
        facts.write_ends();
        assert!(!facts.write_is_late() && !late(400_000));
    }
}
