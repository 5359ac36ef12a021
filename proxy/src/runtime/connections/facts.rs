//! What the way of a request may know of its viewer's connection, and what the sweep watches. Only atomics: the data path
//! neither locks nor looks at a clock. Must not know other connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::super::answer::Said;
use super::super::ending::Ending;
use super::super::frames::Flood;
use super::super::handshake::TlsFacts;
use super::super::head::HeadFlaw;

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
    pub(super) head_since: AtomicU64,
    /// Bytes of the head that was read last.
    head_size: AtomicUsize,
    /// As `head_since`, for the time between requests.
    pub(super) idle_since: AtomicU64,
    /// How long the origin may keep silent, in milliseconds; 0 while nothing is awaited of it.
    origin_limit: AtomicU64,
    /// As `head_since`, for what is awaited of the origin.
    origin_since: AtomicU64,
    /// Whether the connection is told when the origin is late; if not, it is only ended in the end.
    origin_tell: AtomicBool,
    /// The origin is late.
    origin_late: AtomicBool,
    /// As `head_since`, for the viewer to take what is written.
    write_since: AtomicU64,
    /// The viewer has not taken it in time.
    write_late: AtomicBool,
    /// No further request is wanted.
    pub(super) closing: AtomicBool,
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
    /// What the answer says that is written next.
    said: Mutex<Said>,
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
    /// Of a connection from its first to its second address; nothing is awaited of it yet.
    pub(super) fn new(
        id: u64,
        (peer, local): (SocketAddr, SocketAddr),
        tls: Option<TlsFacts>,
        task: Arc<TaskHandle>,
    ) -> Self {
        Self {
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
            write_since: AtomicU64::new(NO_HEAD),
            write_late: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            flood: AtomicU8::new(0),
            waiting: AtomicWaker::new(),
            gone: AtomicBool::new(false),
            flaw: AtomicU16::new(0),
            at_once: AtomicBool::new(false),
            said: Mutex::default(),
            errands: Mutex::default(),
            last_word: AtomicU16::new(0),
            met: AtomicBool::new(false),
            ending: Ending::default(),
            task,
        }
    }

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

    /// The viewer does not take all of a write: it has its time for that from now on. `waker` is woken if it is late.
    pub fn write_begins(&self, waker: &Waker) {
        self.write_since.store(UNSTAMPED, Ordering::Relaxed);
        self.tell(waker);
    }

    /// The viewer has taken all of it.
    pub fn write_ends(&self) {
        self.write_since.store(NO_HEAD, Ordering::Relaxed);
        self.write_late.store(false, Ordering::Relaxed);
    }

    /// Whether the viewer has not taken a write in time.
    #[must_use]
    pub fn write_is_late(&self) -> bool {
        self.write_late.load(Ordering::Acquire)
    }

    /// Acts on a viewer that does not take what is written.
    pub(super) fn look_at_write(&self, now: u64, limit: u64) {
        if is_late(&self.write_since, now, limit) && !self.write_late.swap(true, Ordering::Release) {
            self.wake();
        }
    }

    /// Acts on an origin that is late. Returns whether the connection was ended for it.
    pub(super) fn look_at_origin(&self, now: u64) -> bool {
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

    pub(super) fn wake(&self) {
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

    /// The answer that is written next says this, and not what was on its way before.
    pub fn say(&self, said: Said) {
        *self.said.lock() = said;
    }

    /// What the answer says that is written now.
    #[must_use]
    pub fn take_said(&self) -> Said {
        std::mem::take(&mut *self.said.lock())
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

/// Whether something has been awaited for too long. What has no stamp yet gets one.
pub(super) fn is_late(since: &AtomicU64, now: u64, limit: u64) -> bool {
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
