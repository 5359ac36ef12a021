//! How many connections to an origin may lie idle. pingora's pool has one limit for all origins, and tells nobody what it holds:
//! connections to an origin with a limit of its own are made here, with a [`Line`] that lives as long as they do.
//!
//! Whether a connection is kept is settled at the end of its answer, before pingora has it back. One over the limit is shut
//! down then, so that pingora finds it closed; who is handed one that pingora has not found out about yet takes another.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::http::ResponseHeader;
use pingora::protocols::GetProxyDigest as _;
use pingora::protocols::l4::ext;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::{Error, ErrorType};
use socket2::{SockRef, Socket};

/// Connections of origins with a limit are kept apart from all others, and from each other.
const FIRST_GROUP: u64 = 1 << 33;

static NEXT_GROUP: AtomicU64 = AtomicU64::new(FIRST_GROUP);

/// The connections of one origin that are idle. Kept over reloads; what the limit is, the origin knows.
#[derive(Debug)]
pub struct Kept {
    idle: Arc<AtomicU32>,
    group: u64,
}

impl Kept {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { idle: Arc::default(), group: NEXT_GROUP.fetch_add(1, Ordering::Relaxed) }
    }

    /// How many are idle now.
    #[must_use]
    pub fn idle(&self) -> u32 {
        self.idle.load(Ordering::Relaxed)
    }

    /// Keeps them apart in pingora's pool.
    pub(super) fn group(&self) -> u64 {
        self.group
    }
}

#[async_trait]
impl Connect for Kept {
    async fn connect(&self, address: &SocketAddr) -> pingora::Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Error::e_explain(ErrorType::InternalError, "an origin without an IP address");
        };
        let stream = ext::connect(address, None).await?;
        let socket = SockRef::from(&stream)
            .try_clone()
            .map_err(|error| Error::because(ErrorType::ConnectError, "no descriptor for a connection", error))?;
        let line = Arc::new(Line { socket, state: AtomicU8::new(WORKING), idle: Arc::clone(&self.idle) });
        // The only place of pingora's where something of ours stays with a connection.
        let head = Box::new(ResponseHeader::build_no_case(200, None)?);
        let mut stream: Stream = stream.into();
        stream.set_proxy_digest(ProxyDigest::new(head, Some(Box::new(line))));
        Ok(stream)
    }
}

const WORKING: u8 = 0;
const IDLE: u8 = 1;
const OVER: u8 = 2;

/// A connection to an origin with a limit.
#[derive(Debug)]
pub struct Line {
    /// A second descriptor of the same connection.
    socket: Socket,
    state: AtomicU8,
    idle: Arc<AtomicU32>,
}

/// What becomes of a connection whose answer is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It waits for the next request.
    Idle,
    /// There are enough that wait: it is closed.
    Closed,
}

impl Line {
    /// The one of a connection, if its origin has a limit.
    #[must_use]
    pub fn of(digest: &ProxyDigest) -> Option<&Arc<Self>> {
        let data: &(dyn Any + Send + Sync) = &**digest.user_data.as_ref()?;
        data.downcast_ref()
    }

    /// A request goes over it. False if it is closed already.
    #[must_use]
    pub fn works(&self) -> bool {
        match self.state.compare_exchange(IDLE, WORKING, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_idle) => {
                self.idle.fetch_sub(1, Ordering::Relaxed);
                true
            }
            Err(state) => state == WORKING,
        }
    }

    /// Its answer is over, and `most` connections of the origin may be idle.
    pub fn rests(&self, most: u32) -> Rest {
        let one_more = |idle: u32| (idle < most).then_some(idle + 1);
        if self.idle.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok() {
            self.state.store(IDLE, Ordering::Release);
            return Rest::Idle;
        }
        self.state.store(OVER, Ordering::Release);
        if let Err(error) = self.socket.shutdown(std::net::Shutdown::Both) {
            tracing::trace!(%error, "closing a connection to an origin");
        }
        Rest::Closed
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if *self.state.get_mut() == IDLE {
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kept: &Kept) -> Line {
        let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        Line { socket, state: AtomicU8::new(WORKING), idle: Arc::clone(&kept.idle) }
    }

    #[test]
    fn so_many_are_idle_and_the_rest_is_closed() {
        let kept = Kept::new();
        let [one, two, three] = [line(&kept), line(&kept), line(&kept)];
        assert_eq!((one.rests(2), two.rests(2), three.rests(2)), (Rest::Idle, Rest::Idle, Rest::Closed));
        assert_eq!(kept.idle(), 2);
        assert!(!three.works(), "it is closed");
        assert!(one.works());
        assert_eq!(kept.idle(), 1);
        assert!(one.works(), "one that nobody saw become idle");
        assert_eq!((one.rests(2), kept.idle()), (Rest::Idle, 2));
        drop((one, three));
        assert_eq!(kept.idle(), 1, "an idle one is gone, and one that was not counted");
        assert!(two.works());
        drop(two);
        assert_eq!(kept.idle(), 0);
        assert_eq!(line(&kept).rests(0), Rest::Closed);
    }
}
