//! The accept loop of an admin listener: few connections, short deadlines, a graceful end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use super::access::Gate;
use super::socket::Guard;

/// Connections at once; more wait in the backlog.
const MAX_CONNECTIONS: usize = 64;
/// A request head must be whole after this, an idle connection is closed after it.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Largest request head in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Request fields.
const MAX_HEADERS: usize = 64;
/// What calls in flight get when the listener stops.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running admin listener. Dropping it stops it at once, [`AdminServer::stop`] lets calls in flight finish.
#[derive(Debug)]
pub struct AdminServer {
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    permits: Arc<Semaphore>,
    gate: Option<AdminToken>,
}

/// The bearer token of a TCP listener, to be changed while it serves.
#[derive(Clone)]
pub struct AdminToken(pub(super) Arc<Gate>);

impl AdminToken {
    /// Another token counts from now on; with `None` calls that change state are refused.
    pub fn set(&self, token: Option<&str>) {
        self.0.set_token(token);
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl AdminServer {
    pub(super) fn start(listener: Listener, router: Router, guard: Option<Guard>, gate: Option<AdminToken>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let accepting = tokio::spawn(accept(listener, router, guard, stopped, Arc::clone(&permits)));
        Self { stop, accepting, permits, gate }
    }

    /// The token of a TCP listener; the Unix socket has none.
    #[must_use]
    pub fn token(&self) -> Option<AdminToken> {
        self.gate.clone()
    }

    /// Closes the listener (and removes the socket, if it is still ours), then waits a few seconds for calls in flight.
    pub async fn stop(mut self) {
        // The loop may have ended by itself.
        let _ended = self.stop.send(true);
        let _closed = (&mut self.accepting).await;
        let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
        let _late = tokio::time::timeout(STOP_DEADLINE, self.permits.acquire_many(all)).await;
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        // Connections hear of the dropped channel and end gracefully; the loop drops its guard.
        self.accepting.abort();
    }
}

async fn accept(
    listener: Listener,
    router: Router,
    guard: Option<Guard>,
    mut stopped: watch::Receiver<bool>,
    permits: Arc<Semaphore>,
) {
    let _removed_at_the_end = guard;
    loop {
        let next = tokio::select! {
            _ = stopped.changed() => return,
            next = next(&listener, &permits) => next,
        };
        let Some((stream, permit)) = next else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (router, stopped) = (router.clone(), stopped.clone());
        match stream {
            Stream::Unix(stream) => tokio::spawn(serve(stream, router, stopped, permit)),
            Stream::Tcp(stream) => tokio::spawn(serve(stream, router, stopped, permit)),
        };
    }
}

enum Stream {
    Unix(tokio::net::UnixStream),
    Tcp(tokio::net::TcpStream),
}

async fn next(listener: &Listener, permits: &Arc<Semaphore>) -> Option<(Stream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    let stream = match listener {
        Listener::Unix(listener) => Stream::Unix(listener.accept().await.ok()?.0),
        Listener::Tcp(listener) => Stream::Tcp(listener.accept().await.ok()?.0),
    };
    Some((stream, permit))
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // Errors are the caller's: it hung up, or sent no HTTP.
    let _served = tokio::select! {
        served = connection.as_mut() => served,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(STOP_DEADLINE, connection).await.unwrap_or(Ok(()))
        }
    };
    drop(permit);
}

/// A listener that a new edge can share with the one it takes over from (`SO_REUSEPORT`, socket(7)).
pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(128)
}
