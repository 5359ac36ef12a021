//! The addresses of an origin: names resolved again and again, off the data path, and kept over reloads.
//!
//! While an answer ages, requests use it and one of them starts a
//! new look-up; a look-up that fails keeps the last good answer of its name. An address that stays keeps its state.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::Outside;
use super::endpoint::Endpoint;
use crate::fault::chain;
use crate::runtime::clock::Clock;
use crate::runtime::resolver::Resolver;

/// After a failed look-up the next one waits this long.
const RETRY_LOOKUP: Duration = Duration::from_secs(1);
/// Addresses of a name that are kept; a name with more is cut.
const MAX_OF_NAME: usize = 64;
/// Addresses of an origin that are kept.
const MAX_OF_ORIGIN: usize = 256;

/// Why an origin has no address.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The system's answer.
    #[error("cannot resolve `{host}`")]
    Failed {
        /// The name asked for.
        host: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The name exists and has no address.
    #[error("`{0}` has no address")]
    Empty(String),
    /// The name has an address of this machine or of a private network, and may not.
    #[error("`{0}` has an address that is not of the public internet; list the host in full to allow that")]
    NotPublic(String),
    /// No answer within the connect timeout.
    #[error("no answer for `{0}` in time")]
    Timeout(String),
}

/// A name or address of the configuration, and a port.
#[derive(Debug)]
struct Place {
    host: String,
    port: u16,
    /// If the host is an address.
    literal: Option<SocketAddr>,
    /// The last answer for a name.
    last: Mutex<Vec<SocketAddr>>,
}

impl Place {
    async fn look_up(&self, resolver: &dyn Resolver) -> Result<Vec<SocketAddr>, LookupError> {
        if let Some(literal) = self.literal {
            return Ok(vec![literal]);
        }
        let looked = resolver.look_up(&self.host, self.port).await;
        let mut found = looked.map_err(|source| LookupError::Failed { host: self.host.clone(), source })?;
        found.truncate(MAX_OF_NAME);
        if found.is_empty() {
            return Err(LookupError::Empty(self.host.clone()));
        }
        self.last.lock().clone_from(&found);
        Ok(found)
    }
}

/// The log is told at most so often that an origin is down, in nanoseconds.
const TOLD_EVERY: u64 = 10_000_000_000;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Addresses {
    places: Box<[Place]>,
    known: ArcSwapOption<Vec<Arc<Endpoint>>>,
    /// When the next look-up is due, in nanoseconds of the clock.
    due: AtomicU64,
    looking: AtomicBool,
    /// Until when the origin counts as down, in nanoseconds of the clock.
    down_until: AtomicU64,
    /// When the log was last told that it is down, in nanoseconds of the clock; zero before the first time.
    told_at: AtomicU64,
    /// The log was told that it is down, and not yet that it answers.
    told: AtomicBool,
    /// Only one request at a time waits for the first answer with a look-up of its own; the others wait for it.
    first: tokio::sync::Mutex<()>,
}

impl Addresses {
    /// The addresses of these hosts and ports. What is in `old` too keeps its state.
    pub(super) fn new(places: &[(String, u16)], old: Option<&Self>) -> Self {
        let places: Box<[Place]> = places
            .iter()
            .map(|(host, port)| Place {
                host: host.clone(),
                port: *port,
                literal: host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, *port)),
                last: Mutex::default(),
            })
            .collect();
        let literals: Option<Vec<SocketAddr>> = places.iter().map(|place| place.literal).collect();
        let addresses = Self {
            due: AtomicU64::new(if literals.is_some() { u64::MAX } else { 0 }),
            places,
            known: ArcSwapOption::default(),
            looking: AtomicBool::new(false),
            down_until: AtomicU64::new(0),
            told_at: AtomicU64::new(0),
            told: AtomicBool::new(false),
            first: tokio::sync::Mutex::new(()),
        };
        let before = old.and_then(|old| old.known.load_full());
        if let Some(literals) = literals {
            addresses.known.store(Some(Arc::new(endpoints(literals, before.as_deref()))));
        }
        addresses
    }

    /// Whether these are their hosts and ports.
    pub(super) fn are_of(&self, places: &[(String, u16)]) -> bool {
        self.places.len() == places.len()
            && self.places.iter().zip(places).all(|(own, (host, port))| own.host == *host && own.port == *port)
    }

    /// The only address there will ever be.
    pub(super) fn literal(&self) -> Option<SocketAddr> {
        match &*self.places {
            [only] => only.literal,
            _ => None,
        }
    }

    /// Those that are known now.
    pub(super) fn known(&self) -> Option<Arc<Vec<Arc<Endpoint>>>> {
        self.known.load_full()
    }

    /// How many are known now.
    pub(super) fn count(&self) -> usize {
        self.known.load().as_ref().map_or(0, |known| known.len())
    }

    /// Looks all names up. Gives what there is, and what is wrong.
    async fn look_up(&self, resolver: &dyn Resolver) -> (Vec<SocketAddr>, Option<LookupError>) {
        let mut found = Vec::new();
        let mut wrong = None;
        for place in &self.places {
            match place.look_up(resolver).await {
                Ok(addresses) => found.extend(addresses),
                Err(error) => {
                    found.extend_from_slice(&place.last.lock());
                    wrong = Some(error);
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|address| seen.insert(*address));
        found.truncate(MAX_OF_ORIGIN);
        (found, wrong)
    }

    /// Looks the names up if it is time to, while requests go on with what is known.
    pub(super) fn refresh_if_due(self: &Arc<Self>, outside: &Outside, every: Duration) {
        if outside.clock.monotonic() < self.due.load(Ordering::Relaxed) || self.looking.swap(true, Ordering::Relaxed) {
            return;
        }
        let (addresses, outside) = (Arc::clone(self), outside.clone());
        tokio::spawn(async move {
            let (found, wrong) = addresses.look_up(&*outside.resolver).await;
            if !found.is_empty() {
                let before = addresses.known.load_full();
                addresses.known.store(Some(Arc::new(endpoints(found, before.as_deref()))));
            }
            let pause = match wrong {
                None => every,
                Some(error) => {
                    tracing::warn!(error = %chain(&error), "look-up failed, the last answer is kept");
                    RETRY_LOOKUP.min(every)
                }
            };
            addresses.due.store(after(&*outside.clock, pause), Ordering::Relaxed);
            addresses.looking.store(false, Ordering::Relaxed);
        });
    }

    /// Waits for the first answer.
    pub(super) async fn first(
        &self,
        outside: &Outside,
        every: Duration,
        limit: Duration,
    ) -> Result<Arc<Vec<Arc<Endpoint>>>, LookupError> {
        let looked = tokio::time::timeout(limit, async {
            let _one_at_a_time = self.first.lock().await;
            if let Some(known) = self.known.load_full() {
                return Ok(known);
            }
            let (found, wrong) = self.look_up(&*outside.resolver).await;
            match wrong {
                Some(error) if found.is_empty() => return Err(error),
                Some(error) => tracing::warn!(error = %chain(&error), "look-up failed, other addresses are used"),
                None => {}
            }
            let found = Arc::new(endpoints(found, None));
            self.known.store(Some(Arc::clone(&found)));
            self.due.store(after(&*outside.clock, every), Ordering::Relaxed);
            Ok(found)
        });
        let host = || self.places.first().map_or_else(String::new, |place| place.host.clone());
        looked.await.map_err(|_elapsed| LookupError::Timeout(host()))?
    }

    /// Notes that no connection came about. Whether the log is to be told: not while it knows, nor again and again of one that
    /// answers in between.
    pub(super) fn failed(&self, clock: &dyn Clock, memory: Duration) -> bool {
        self.down_until.store(after(clock, memory), Ordering::Relaxed);
        let (now, last) = (clock.monotonic().max(1), self.told_at.load(Ordering::Relaxed));
        if self.told.load(Ordering::Relaxed) || (last != 0 && now < last.saturating_add(TOLD_EVERY)) {
            return false;
        }
        self.told_at.store(now, Ordering::Relaxed);
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// Notes that it answered. Whether the log was told that it is down.
    pub(super) fn answered(&self) -> bool {
        if self.down_until.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.down_until.store(0, Ordering::Relaxed);
        self.told.swap(false, Ordering::Relaxed)
    }

    /// Whether no connection came about lately.
    pub(super) fn are_down(&self, clock: &dyn Clock) -> bool {
        let until = self.down_until.load(Ordering::Relaxed);
        until != 0 && clock.monotonic() < until
    }
}

/// The endpoints of these addresses; those that were known before keep their state.
fn endpoints(addresses: Vec<SocketAddr>, before: Option<&Vec<Arc<Endpoint>>>) -> Vec<Arc<Endpoint>> {
    let known = |address: SocketAddr| before?.iter().find(|endpoint| endpoint.address == address).map(Arc::clone);
    addresses.into_iter().map(|address| known(address).unwrap_or_else(|| Arc::new(Endpoint::new(address)))).collect()
}

fn after(clock: &dyn Clock, pause: Duration) -> u64 {
    clock.monotonic().saturating_add(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn monotonic(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
    }

    #[test]
    fn the_log_is_told_of_each_change_and_not_of_each_failure() {
        const SECOND: u64 = 1_000_000_000;
        let addresses = Addresses::new(&[("127.0.0.1".to_owned(), 1)], None);
        let clock = Hand(AtomicU64::new(SECOND));
        let memory = Duration::from_secs(1);
        assert!(!addresses.answered(), "it was not down");
        assert_eq!([addresses.failed(&clock, memory), addresses.failed(&clock, memory)], [true, false]);
        assert!(addresses.are_down(&clock));
        assert_eq!([addresses.answered(), addresses.answered()], [true, false]);
        assert!(!addresses.are_down(&clock));
        // One that fails now and then is told of every ten seconds.
        assert_eq!([addresses.failed(&clock, memory), addresses.answered()], [false, false]);
        clock.0.store(12 * SECOND, Ordering::Relaxed);
        assert_eq!([addresses.failed(&clock, memory), addresses.answered()], [true, true]);
    }
}
