//! The accept loop: takes connections, keeps the caps and deadlines, shakes hands, and hands requests to pingora one by
//! one. It knows nothing of what a request means.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::conn::{Conn, Transport};
use super::connections::{Connections, Place, TaskHandle, TlsFacts};
use super::frames::FrameLimits;
use super::head::HeadFlaw;
use super::{hello, proxy_protocol};
use crate::tls::{ACME_PROTOCOL, Termination};

/// Connections that wait in the kernel for an accept.
const BACKLOG: i32 = 1024;
/// Pause after the kernel refuses to give a connection (no descriptors left), so that the loop does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// What a listener needs to know, read afresh for every connection so that a reload takes effect at once.
#[derive(Debug, Clone)]
pub struct AcceptLimits {
    /// Open connections in all.
    pub total: usize,
    /// Open connections from one address.
    pub per_address: usize,
    /// The TLS handshake.
    pub handshake_timeout: Duration,
    /// Largest request head in bytes.
    pub max_head: usize,
    /// What HTTP/2 viewers may send that carries nothing.
    pub frames: FrameLimits,
    /// Whether anybody wants to know how a viewer begins its handshake.
    pub fingerprints: bool,
}

/// Where the accept loop gets its limits and counts what it does.
pub trait AcceptContext: Send + Sync + 'static {
    /// The limits that hold now.
    fn limits(&self) -> AcceptLimits;
    /// Whether an address is a proxy that is believed when it says who asks.
    fn trusts(&self, address: IpAddr) -> bool;
    /// A connection was taken.
    fn opened(&self);
    /// A head was refused before it became a request.
    fn head_refused(&self, flaw: HeadFlaw);
    /// A connection was not taken, or lost before its first request.
    fn refused(&self, why: &'static str);
}

/// What can change about a listener without closing it.
#[derive(Debug, Default)]
pub struct ListenerState {
    /// TLS settings; none for plain text.
    pub tls: ArcSwapOption<Termination>,
    /// Whether HTTP/2 is spoken without TLS.
    pub h2c: AtomicBool,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: AtomicBool,
}

/// Binds a listener. Another process may listen on the same address at the same time (`SO_REUSEPORT`): that is how a new
/// binary takes over a port. Also says whether one does.
///
/// # Errors
/// What the system says, for example that the port is in use by a process that does not share it.
pub fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, bool)> {
    let socket = |share: bool| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_port(share)?;
        socket.bind(&address.into())?;
        Ok::<_, std::io::Error>(socket)
    };
    let shared = address.port() != 0 && socket(false).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    let socket = socket(address.port() != 0)?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok((TcpListener::from_std(socket.into())?, shared))
}

/// Accepts until `stop` says true, then closes the listener. Connections already taken go on.
pub async fn run<A, C>(
    listener: TcpListener,
    state: Arc<ListenerState>,
    app: Arc<A>,
    context: Arc<C>,
    connections: Arc<Connections>,
    mut stop: watch::Receiver<bool>,
    shutdown: watch::Receiver<bool>,
) where
    A: HttpServerApp + Send + Sync + 'static,
    C: AcceptContext,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error means that the sender is gone: then nobody wants the listener any more.
            _changed = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                context.refused("accept");
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let limits = context.limits();
        let task = Arc::new(TaskHandle::new());
        let address = peer.ip().to_canonical();
        // Behind a balancer they are not its own: they are counted for whom it says.
        let own = if state.proxy_protocol.load(Ordering::Relaxed) { usize::MAX } else { limits.per_address };
        let place = match connections.admit(address, limits.total, own, Arc::clone(&task)) {
            Ok(place) => place,
            Err(refusal) => {
                context.refused(refusal.as_str());
                continue;
            }
        };
        let (state, app, context) = (Arc::clone(&state), Arc::clone(&app), Arc::clone(&context));
        let shutdown = shutdown.clone();
        let spawned = tokio::spawn(async move {
            context.opened();
            connection(stream, peer, place, &state, app, &*context, limits, shutdown).await;
        });
        // Only this sets it.
        let _once = task.set(spawned.abort_handle());
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one thing that the loop above has at hand")]
async fn connection<A, C>(
    mut stream: TcpStream,
    peer: SocketAddr,
    mut place: Place,
    state: &ListenerState,
    app: Arc<A>,
    context: &C,
    limits: AcceptLimits,
    shutdown: watch::Receiver<bool>,
) where
    A: HttpServerApp + Send + Sync + 'static,
    C: AcceptContext,
{
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let Ok(local) = stream.local_addr() else { return };
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let peer = if state.proxy_protocol.load(Ordering::Relaxed) {
        match announced(&mut stream, peer, &mut place, context, &limits).await {
            Ok(peer) => peer,
            Err(why) => {
                context.refused(why);
                tracing::debug!(%peer, why, "connection refused");
                return;
            }
        }
    } else {
        peer
    };
    let (transport, facts) = match state.tls.load_full() {
        None => (Transport::Plain(stream), None),
        // Boxed: it is over long before the connection is.
        Some(tls) => match Box::pin(shake_hands(stream, &tls, peer, context, &limits)).await {
            Some((transport, facts)) => (transport, Some(facts)),
            None => return,
        },
    };
    let facts = place.enter(peer, local, facts);
    let Ok(conn) = Conn::new(transport, Arc::clone(&facts), place).map(Box::new) else { return };
    facts.head_begins();
    let h2c = facts.tls.is_none() && state.h2c.load(Ordering::Relaxed);
    serve(conn, h2c, app, context, &limits, &shutdown).await;
    if let Some(flaw) = facts.flaw() {
        context.head_refused(flaw);
    }
    if let Some(flood) = facts.flood() {
        context.refused(flood.as_str());
        tracing::info!(%peer, reason = flood.as_str(), "HTTP/2 connection ended");
    }
}

/// Shakes hands within its time. None if there is nothing to serve then.
async fn shake_hands<C: AcceptContext>(
    stream: TcpStream,
    tls: &Termination,
    peer: SocketAddr,
    context: &C,
    limits: &AcceptLimits,
) -> Option<(Transport, TlsFacts)> {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    let handshake = async {
        match limits.fingerprints {
            true => hello::accept(&acceptor, stream).await,
            false => Ok((acceptor.accept(stream).await?, None)),
        }
    };
    match tokio::time::timeout(limits.handshake_timeout, handshake).await {
        Ok(Ok((mut stream, _))) if stream.get_ref().1.alpn_protocol() == Some(ACME_PROTOCOL) => {
            // RFC 8737, section 3: the handshake is all that the authority wants.
            let _gone = stream.shutdown().await;
            None
        }
        Ok(Ok((stream, fingerprints))) => {
            let facts = TlsFacts::of(stream.get_ref().1, tls, fingerprints);
            Some((Transport::Tls(Box::new(stream)), facts))
        }
        Ok(Err(error)) => {
            context.refused("tls-handshake");
            tracing::debug!(%peer, %error, "TLS handshake failed");
            None
        }
        Err(_elapsed) => {
            context.refused("tls-handshake-timeout");
            None
        }
    }
}

/// Who a balancer says it is for, counted from now on as a connection of that address.
///
/// # Errors
/// Why the connection is not taken, as metrics name it.
async fn announced(
    stream: &mut TcpStream,
    peer: SocketAddr,
    place: &mut Place,
    context: &impl AcceptContext,
    limits: &AcceptLimits,
) -> Result<SocketAddr, &'static str> {
    if !context.trusts(peer.ip()) {
        return Err("proxy-protocol-untrusted");
    }
    let said = tokio::time::timeout(limits.handshake_timeout, proxy_protocol::read(stream)).await;
    let said = said.map_err(|_elapsed| "proxy-protocol-timeout")?.map_err(|_error| "proxy-protocol")?;
    let Some(viewer) = said else { return Ok(peer) };
    place.move_to(viewer.ip(), limits.per_address).map_err(|refusal| refusal.as_str())?;
    Ok(viewer)
}

async fn serve<A, C>(
    mut conn: Box<Conn>,
    h2c: bool,
    app: Arc<A>,
    context: &C,
    limits: &AcceptLimits,
    shutdown: &watch::Receiver<bool>,
) where
    A: HttpServerApp + Send + Sync + 'static,
    C: AcceptContext,
{
    let http2 = if conn.is_http2() {
        true
    } else if h2c {
        match conn.detect_http2().await {
            Ok(http2) => http2,
            // The viewer left, or its first bytes were refused.
            Err(_gone) => return,
        }
    } else {
        false
    };
    if http2 {
        conn.watch_frames(limits.frames);
        drop(app.process_new(conn, shutdown).await);
        return;
    }
    conn.await_head(limits.max_head);
    if !conn.awakes().await {
        return;
    }
    let mut next = request(&app, conn, None, shutdown).await;
    while let Some(reused) = next {
        let (stream, settings) = reused.consume();
        let Some(stream) = next_head(stream, context).await else { return };
        next = request(&app, stream, settings, shutdown).await;
    }
}

/// One request of a connection. Not async: what pingora wants is in the box that it makes, and not also in the connection's
/// own task, where it would stay.
fn request<'a, A: HttpServerApp + Send + Sync + 'static>(
    app: &'a Arc<A>,
    stream: Stream,
    settings: Option<HttpPersistentSettings>,
    shutdown: &'a watch::Receiver<bool>,
) -> Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'a>> {
    let mut session = ServerSession::new_http1(stream);
    match settings {
        Some(settings) => settings.apply_to_session(&mut session),
        // For ever, as far as pingora knows: the sweep ends idle connections without a timer for each request.
        None => session.set_keepalive(if *shutdown.borrow() { None } else { Some(0) }),
    }
    app.process_new_http(session, shutdown)
}

/// Sends what is left of the answer, then waits for the next head of a connection that is used again, with nothing of
/// pingora's in memory. Its deadline starts with its first byte: until then the keep-alive timeout holds. None if the
/// connection is to close.
async fn next_head<C: AcceptContext>(stream: Stream, context: &C) -> Option<Stream> {
    let mut conn = own(stream);
    if !conn.send().await {
        return None;
    }
    conn.await_head(context.limits().max_head);
    conn.idles();
    conn.awakes().await.then_some(conn as Stream)
}

fn own(stream: Stream) -> Box<Conn> {
    match stream.into_any().downcast::<Conn>() {
        Ok(conn) => conn,
        Err(_other) => unreachable!("every stream of this loop is a Conn"),
    }
}
