//! A viewer connection as pingora sees it: one stream type for plain text and TLS.
//!
//! It collects writes until a flush, so that a small header and body leave in one system call; it looks at heads as they
//! arrive ([`HeadCheck`]); and when it closes it can still say why (a bare status line for a head that never got as far as
//! the flow) and linger until the viewer has read it. It knows nothing of requests.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use httpdate::HttpDate;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{ALPN, SslDigest};
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::answer::{Said, is_interim};
use super::connections::{ConnFacts, Place};
use super::ending::last_word;
use super::frames::{CALM_DOWN, FrameLimits, Frames};
use super::head::{HeadCheck, HeadFlaw};

/// Bytes collected before a write goes out without a flush.
const WRITE_BUFFER: usize = 16 * 1024;
/// First size of that buffer: most answers' heads fit.
const FIRST_BUFFER: usize = 2048;
/// How long a closing connection waits for the viewer to read its answer.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that a lingering connection reads and throws away.
const LINGER_BYTES: usize = 256 * 1024;
/// Connections that may linger at once; over that they close at once.
const LINGERING: usize = 1024;

static LINGERING_NOW: AtomicUsize = AtomicUsize::new(0);

/// What carries the bytes.
#[derive(Debug)]
pub enum Transport {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// Taken away at close.
    Gone,
}

/// A viewer connection. See the module's text.
#[derive(Debug)]
pub struct Conn {
    transport: Transport,
    /// Bytes that wait for a flush, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    /// Bytes read while finding out the protocol.
    peeked: Bytes,
    head: HeadCheck,
    /// Bytes that arrived since a head is awaited.
    arrived: usize,
    /// Something of an answer to the current request was written.
    answered: bool,
    /// Who is woken when the origin is late: almost always the same task.
    told: Option<Waker>,
    /// The viewer did not take all that was to be written.
    blocked: bool,
    /// The viewer has its time to take it.
    timed: bool,
    /// The other tasks that are ready were let through before what waits is written.
    gave_way: bool,
    /// The viewer was told that nothing more comes.
    shut: bool,
    http2: bool,
    facts: Arc<ConnFacts>,
    digest: Arc<ProxyDigest>,
    socket: Arc<SocketDigest>,
    tls: Option<Arc<SslDigest>>,
    /// What passes of HTTP/2.
    frames: Option<Box<Frames>>,
    /// The place in the table of connections, freed with the connection.
    place: Place,
}

/// What pingora carries from the connection to its requests.
#[derive(Debug)]
pub struct ConnHandle(pub Arc<ConnFacts>);

impl Conn {
    /// Wraps an accepted connection.
    ///
    /// # Errors
    /// If pingora refuses to make the carrier of the facts, which it does not.
    pub fn new(transport: Transport, facts: Arc<ConnFacts>, place: Place) -> pingora::Result<Self> {
        let fd = match &transport {
            Transport::Plain(stream) => stream.as_raw_fd(),
            Transport::Tls(stream) => stream.get_ref().0.as_raw_fd(),
            Transport::Gone => -1,
        };
        let socket = SocketDigest::from_raw_fd(fd);
        // Filled now: asking the kernel later costs a call, and the descriptor may be another's by then.
        drop(socket.peer_addr.set(Some(facts.peer.into())));
        drop(socket.local_addr.set(Some(facts.local.into())));
        let tls = facts
            .tls
            .as_ref()
            .map(|tls| Arc::new(SslDigest::new(tls.cipher.clone(), tls.version.to_owned(), None, None, Vec::new())));
        let http2 = matches!(&transport, Transport::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2"));
        let header = Box::new(ResponseHeader::build_no_case(200, None)?);
        let digest = Arc::new(ProxyDigest::new(header, Some(Box::new(ConnHandle(Arc::clone(&facts))))));
        Ok(Self {
            transport,
            out: Vec::new(),
            sent: 0,
            peeked: Bytes::new(),
            head: HeadCheck::done(),
            arrived: 0,
            answered: false,
            told: None,
            blocked: false,
            timed: false,
            gave_way: false,
            shut: false,
            http2,
            facts,
            digest,
            socket: Arc::new(socket),
            tls,
            frames: None,
            place,
        })
    }

    /// Whether this connection speaks HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.http2
    }

    /// Finds out whether the viewer speaks HTTP/2 by prior knowledge (RFC 9113, 3.3). Reads no further than the first byte
    /// that differs from the preface. What was read is read again by the next reader.
    ///
    /// # Errors
    /// What the socket says; an end of stream is `UnexpectedEof`.
    pub async fn detect_http2(&mut self) -> io::Result<bool> {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let mut read = Vec::with_capacity(PREFACE.len());
        while PREFACE.starts_with(&read) && read.len() < PREFACE.len() {
            let room = PREFACE.len() - read.len();
            if (&mut *self).take(room as u64).read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.http2 = read == PREFACE;
        self.peeked = read.into();
        Ok(self.http2)
    }

    /// A new head is awaited, of at most `limit` bytes.
    pub fn await_head(&mut self, limit: usize) {
        self.answered = false;
        self.arrived = 0;
        self.facts.ending.reset();
        self.facts.say(Said::default());
        self.facts.hold_back();
        self.head.restart(limit);
    }

    /// Looks at the frames of HTTP/2 from now on.
    pub fn watch_frames(&mut self, limits: FrameLimits) {
        self.frames = Some(Box::new(Frames::new(limits)));
    }

    /// Waits, without a buffer, until the viewer says something or leaves. False if no request is wanted any more.
    pub async fn awakes(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_awakes(cx)).await
    }

    fn poll_awakes(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if !self.peeked.is_empty() {
            return Poll::Ready(true);
        }
        let ready = match &mut self.transport {
            Transport::Plain(stream) => stream.poll_read_ready(cx),
            Transport::Tls(stream) => {
                let (socket, tls) = stream.get_mut();
                match tls.process_new_packets() {
                    Ok(state) if state.plaintext_bytes_to_read() == 0 => socket.poll_read_ready(cx),
                    // What is wrong shows when it is read.
                    _ => Poll::Ready(Ok(())),
                }
            }
            Transport::Gone => Poll::Ready(Ok(())),
        };
        if ready.is_ready() {
            return Poll::Ready(true);
        }
        self.idle(cx);
        self.facts.tell(cx.waker());
        if self.facts.is_closing() { Poll::Ready(false) } else { Poll::Pending }
    }

    /// Ends an HTTP/2 connection whose viewer asks for too much.
    fn look_at_frames(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        let Err(flood) = frames.read(bytes, || self.place.now()) else { return Ok(()) };
        if self.facts.flood().is_none() {
            self.facts.set_flood(flood);
            if frames.between() {
                self.out.extend_from_slice(&CALM_DOWN);
                // The viewer is at its work still: a reset must not take the word from it.
                self.facts.ending.linger();
            }
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, flood.as_str()))
    }

    /// Nothing is asked until the next head.
    pub fn idles(&self) {
        self.facts.idles();
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let rest = self.out.get(self.sent..).unwrap_or_default();
            let wrote = match &mut self.transport {
                Transport::Plain(stream) => ready!(Pin::new(stream).poll_write(cx, rest)),
                Transport::Tls(stream) => ready!(Pin::new(stream).poll_write(cx, rest)),
                Transport::Gone => Err(io::ErrorKind::NotConnected.into()),
            };
            let wrote = wrote.inspect_err(|_error| self.facts.set_gone())?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += wrote;
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Whether these bytes are pingora's own refusal of a head that never came to the flow: the last word is said instead,
    /// so that all refusals look the same and are counted.
    fn refused_by_pingora(&mut self, bytes: &[u8]) -> bool {
        if self.http2 || self.answered || !self.facts.awaits_head() {
            return false;
        }
        // What follows a refusal is its body.
        if bytes.starts_with(b"HTTP/1.1 400") {
            self.facts.refuse(HeadFlaw::Malformed);
        }
        self.facts.last_word() != 0
    }

    /// Writes the answer of a connection that closes over a head the flow never saw.
    fn say_last_word(&mut self) {
        if self.http2 || self.answered {
            return;
        }
        let now = || HttpDate::from(SystemTime::now());
        if let Some(word) = last_word(self.facts.last_word(), now, self.head.is_of_head()) {
            self.out.extend_from_slice(&word);
            self.answered = true;
            self.facts.ending.linger();
        }
    }

    /// The viewer has nothing to say now, and pingora nothing to do but wait: what is written goes out.
    fn idle(&mut self, cx: &mut Context<'_>) {
        if !self.out.is_empty() {
            // An error shows at the next write; a full socket wakes this task when it has room.
            let _waiting = self.poll_out(cx);
        } else if self.head.in_head() {
            // Between requests: an idle connection holds no buffer.
            self.out = Vec::new();
        }
    }

    /// Looks at what was just read as part of a head.
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.head.active() || bytes.is_empty() {
            return Ok(());
        }
        let in_head = self.head.in_head();
        if in_head {
            self.facts.head_begins();
        }
        if let Err(flaw) = self.head.feed(bytes) {
            self.head.give_up();
            self.facts.refuse(flaw);
            tracing::debug!(peer = %self.facts.peer, flaw = flaw.as_str(), "request head refused");
            return Err(io::Error::new(io::ErrorKind::InvalidData, flaw.as_str()));
        }
        if in_head && !self.head.in_head() {
            self.facts.set_head_size(self.head.size());
        }
        Ok(())
    }
}

impl AsyncRead for Conn {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let watches = this.facts.watches_origin();
        if watches && this.facts.origin_is_late() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the origin keeps silent")));
        }
        let before = buf.filled().len();
        if this.peeked.is_empty() {
            let read = match &mut this.transport {
                Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
                Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
                Transport::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            };
            if read.is_pending() {
                this.idle(cx);
                if watches && this.told.as_ref().is_none_or(|told| !told.will_wake(cx.waker())) {
                    this.told = Some(cx.waker().clone());
                    this.facts.tell(cx.waker());
                }
            }
            let read = ready!(read);
            if read.is_err() || (buf.filled().len() == before && buf.remaining() > 0) {
                this.facts.set_gone();
            }
            read?;
        } else {
            let take = this.peeked.len().min(buf.remaining());
            buf.put_slice(&this.peeked.split_to(take));
        }
        let read = buf.filled().get(before..).unwrap_or_default();
        this.arrived = this.arrived.wrapping_add(read.len());
        if this.frames.is_some() {
            return Poll::Ready(this.look_at_frames(read));
        }
        Poll::Ready(this.look(read))
    }
}

impl Conn {
    /// Of HTTP/1, each write has its time, which the sweep watches: a timer would cost every answer. (HTTP/2 has windows, which
    /// are waited for where they are: `patient`.)
    ///
    /// # Errors
    /// If the viewer has not taken in time what is being written.
    fn in_time(&self) -> io::Result<()> {
        if self.timed && self.facts.write_is_late() {
            self.facts.set_gone();
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the viewer does not take its answer"));
        }
        Ok(())
    }

    /// Keeps note of how long a write takes that did not go out at once. `is_over`: nothing of it is left.
    fn timed(&mut self, cx: &Context<'_>, is_pending: bool, is_over: bool) {
        if is_pending && !self.timed && !self.http2 {
            self.timed = true;
            self.facts.write_begins(cx.waker());
        } else if is_over && self.timed {
            self.timed = false;
            self.facts.write_ends();
        }
    }

    /// Keeps note of a viewer that takes nothing more: meanwhile the origin is not heard.
    fn noted<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() != self.blocked {
            self.blocked = written.is_pending();
            if self.blocked {
                self.facts.origin_rests();
            } else {
                self.facts.origin_restarts();
            }
        }
        written
    }

    fn poll_write_now(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self;
        if this.refused_by_pingora(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        // A head as a whole, whatever its size.
        if !this.answered || this.out.len() + bytes.len() <= WRITE_BUFFER {
            if this.out.capacity() == 0 {
                this.out.reserve(FIRST_BUFFER.max(bytes.len()));
            }
            let begins = this.out.len();
            this.out.extend_from_slice(bytes);
            if !this.answered && !is_interim(bytes) {
                this.answered = true;
                if !this.http2 {
                    this.facts.take_said().put(&mut this.out, begins);
                }
            }
            if this.facts.sends_at_once() {
                // What does not go out now goes with the next write or flush.
                let _waiting = this.poll_out(cx);
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        if let Transport::Plain(stream) = &mut this.transport
            && !this.out.is_empty()
        {
            // What waits and what is new, in one call.
            let waiting = this.out.get(this.sent..).unwrap_or_default();
            let length = waiting.len();
            let slices = [IoSlice::new(waiting), IoSlice::new(bytes)];
            let wrote = ready!(Pin::new(stream).poll_write_vectored(cx, &slices))?;
            if wrote > length {
                this.out.clear();
                this.sent = 0;
                return Poll::Ready(Ok(wrote - length));
            }
            this.sent += wrote;
        }
        ready!(this.poll_out(cx))?;
        match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Whether the other tasks that are ready go first, once for what waits. Requests that have arrived go first, then the
    /// answers go out together: so caches stay warm with one kind of work, and a peer on the same machine is woken once and
    /// not for each answer (a fifth to a quarter of the time of a request with hooks).
    fn gives_way(&mut self, cx: &Context<'_>) -> bool {
        let gives = !self.gave_way && self.sent < self.out.len();
        self.gave_way = gives;
        if gives {
            cx.waker().wake_by_ref();
        }
        gives
    }

    /// Whether what waits is the last of an answer whose connection goes on: somebody sends it then. After bytes that came too
    /// early pingora drops the connection, and while there is a body to send it may wait for the origin.
    fn may_send_later(&self) -> bool {
        let asked = !self.http2 && self.facts.ending.is_last() && self.arrived == self.head.size();
        asked && !self.gave_way && self.sent < self.out.len()
    }

    /// Sends what is left of an answer that is over for pingora. False if the viewer does not take it.
    pub async fn send(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_send(cx)).await.is_ok()
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gives_way(cx) { Poll::Pending } else { self.poll_send_now(cx) }
    }

    fn poll_send_now(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time()?;
        let flushed = self.poll_flush_now(cx);
        self.timed(cx, flushed.is_pending(), flushed.is_ready());
        self.noted(flushed)
    }

    fn poll_flush_now(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.in_time()?;
        let written = self.poll_write_now(cx, bytes);
        let all = matches!(&written, Poll::Ready(Ok(count)) if *count == bytes.len());
        self.timed(cx, written.is_pending(), all);
        if let (Some(frames), Poll::Ready(Ok(count))) = (&mut self.frames, &written) {
            frames.written(bytes.get(..*count).unwrap_or_default());
        }
        self.noted(written)
    }

    /// The last of an answer waits for [`Conn::send`]: until then it is given back what the request had in memory, tens of
    /// kilobytes that the next request finds warm. Whoever reads next, or closes, sends it as well.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.may_send_later() { Poll::Ready(Ok(())) } else { self.poll_send(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_last_word();
        // In its time, as any write: pingora has none for this.
        ready!(self.poll_send(cx))?;
        if self.facts.ending.lingers() {
            // The drop closes gently.
            return Poll::Ready(Ok(()));
        }
        self.shut = true;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl Conn {
    /// Tells an HTTP/2 viewer which requests were seen, unless it was told already (RFC 9113, 6.8).
    fn say_goodbye(&mut self) {
        let Some(frames) = &self.frames else { return };
        if let (Some(flood), None) = (frames.calmed(), self.facts.flood()) {
            self.facts.set_flood(flood);
        }
        let goodbye = frames.goodbye();
        if let (Some(goodbye), None, false) = (goodbye, self.facts.flood(), self.facts.is_gone()) {
            self.out.extend_from_slice(&goodbye);
        }
    }

    /// Whether closing now would reset the connection, or could, and so take from the viewer what it has not read yet.
    fn should_linger(&self) -> bool {
        if self.facts.ending.lingers() {
            return true;
        }
        if self.facts.is_gone() || self.blocked || !(self.shut || self.may_end()) {
            return false;
        }
        // A whole answer that pingora does not close after: it found bytes that come too early.
        (self.facts.ending.is_whole() && !self.shut) || self.has_unread()
    }

    /// Whether the viewer may be told that nothing more comes: no answer is cut off by it. A body can end with its connection
    /// (RFC 9112, 9.8: a TLS closure is what tells it from one that was cut). HTTP/2 has its own ends.
    fn may_end(&self) -> bool {
        self.http2 || !self.answered || self.facts.ending.is_whole()
    }

    /// Whether the viewer has sent what nobody has read.
    fn has_unread(&self) -> bool {
        self.socket().is_some_and(|socket| socket.peek(&mut [MaybeUninit::uninit()]).is_ok_and(|there| there > 0))
    }

    /// The answer is cut off anyway: its bytes that the viewer does not take need not stay with the kernel, which would keep
    /// megabytes of them, for as long as the viewer likes, for a connection that the edge counts as closed.
    fn reset_at_close(&self) {
        if let Some(Err(error)) = self.socket().map(|socket| socket.set_linger(Some(Duration::ZERO))) {
            tracing::trace!(%error, "the connection ends without a reset");
        }
    }

    fn socket(&self) -> Option<SockRef<'_>> {
        match &self.transport {
            Transport::Plain(stream) => Some(SockRef::from(stream)),
            Transport::Tls(stream) => Some(SockRef::from(stream.get_ref().0)),
            Transport::Gone => None,
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.say_last_word();
        self.say_goodbye();
        // Most often there is room in the socket's buffer, so this does not wait. Nor does it let others through: it is
        // asked once.
        self.gave_way = true;
        // A write past the buffer waits: a flush knows nothing of it.
        let is_cut = self.blocked && self.sent >= self.out.len();
        let _flushed = self.flush().now_or_never();
        if (is_cut || self.blocked) && !self.facts.ending.lingers() {
            self.reset_at_close();
            return;
        }
        if !self.should_linger() || LINGERING_NOW.load(Ordering::Relaxed) >= LINGERING {
            if !self.shut && !self.blocked && !self.facts.is_gone() && self.may_end() {
                // TLS says so itself (RFC 8446, 6.1). As above, it most often need not wait.
                let _shut = AsyncWriteExt::shutdown(self).now_or_never();
            }
            return;
        }
        let transport = std::mem::replace(&mut self.transport, Transport::Gone);
        let rest = std::mem::take(&mut self.out).split_off(self.sent);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            LINGERING_NOW.fetch_add(1, Ordering::Relaxed);
            runtime.spawn(async move {
                let closing = async {
                    match transport {
                        Transport::Plain(stream) => close_gently(stream, &rest).await,
                        Transport::Tls(stream) => close_gently(*stream, &rest).await,
                        Transport::Gone => Ok(()),
                    }
                };
                // However it ends, the socket is closed.
                let _ended = tokio::time::timeout(LINGER, closing).await;
                LINGERING_NOW.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

/// Sends the rest, says that no more comes, and reads until the viewer stops (RFC 9112, 9.6: closing at once could reset
/// the connection and take the answer with it).
async fn close_gently<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, rest: &[u8]) -> io::Result<()> {
    stream.write_all(rest).await?;
    stream.shutdown().await?;
    let mut scratch = [0; 4096];
    let mut read = 0;
    while read < LINGER_BYTES {
        match stream.read(&mut scratch).await? {
            0 => break,
            n => read += n,
        }
    }
    Ok(())
}

#[async_trait]
impl Shutdown for Conn {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(self).await {
            tracing::trace!(%error, "closing a viewer connection");
        }
    }
}

impl UniqueID for Conn {
    fn id(&self) -> UniqueIDType {
        match &self.transport {
            Transport::Plain(stream) => stream.as_raw_fd(),
            Transport::Tls(stream) => stream.get_ref().0.as_raw_fd(),
            Transport::Gone => -1,
        }
    }
}

impl Ssl for Conn {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.http2.then_some(ALPN::H2)
    }
}

impl GetTimingDigest for Conn {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Conn {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl GetSocketDigest for Conn {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket))
    }
}

// pingora's own look at the first bytes waits for as many as the preface has, which a short request never sends:
// `detect_http2` does it instead.
impl Peek for Conn {}
