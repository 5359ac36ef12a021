//! An origin that speaks HTTP/2, in plain text (prior knowledge) or over TLS, with trailers as gRPC has them.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::http2::send_all;
use crate::raw::Stream;

/// A request as the origin got it.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method.
    pub method: String,
    /// `:authority`, if any.
    pub authority: Option<String>,
    /// `:scheme`, if any.
    pub scheme: Option<String>,
    /// Path and query.
    pub target: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Option<HeaderMap>,
}

/// What a handler gets: the request, and where the response goes.
pub type Exchange = (Request<RecvStream>, SendResponse<Bytes>);
type Handler = dyn Fn(Exchange) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// The origin. It ends when this is dropped.
pub struct H2Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl H2Origin {
    /// Answers each request with its own body, 200, `x-h2: yes`, and the trailer `grpc-status: 0`.
    pub async fn echo(tls: Option<TlsAcceptor>) -> Self {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let log = Arc::clone(&received);
        let mut origin = Self::start(tls, move |exchange| Box::pin(echo(exchange, Arc::clone(&log)))).await;
        origin.received = received;
        origin
    }

    /// Answers with this handler. Requests are not recorded.
    pub async fn start(
        tls: Option<TlsAcceptor>,
        handler: impl Fn(Exchange) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let handler: Arc<Handler> = Arc::new(handler);
        let task = tokio::spawn(accept(listener, tls, handler, Arc::clone(&connections)));
        Self { address, connections, received: Arc::default(), task }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests of [`H2Origin::echo`] that came whole.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.received.lock().expect("no panic while locked").clone()
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, handler: Arc<Handler>, count: Arc<AtomicUsize>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::SeqCst);
        let (handler, tls) = (Arc::clone(&handler), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, handler).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, handler).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: impl Stream, handler: Arc<Handler>) {
    let Ok(mut connection) = h2::server::Builder::new().initial_window_size(1 << 20).handshake(stream).await else {
        return;
    };
    let mut streams = tokio::task::JoinSet::new();
    while let Some(Ok(exchange)) = connection.accept().await {
        streams.spawn(handler(exchange));
        while streams.try_join_next().is_some() {}
    }
}

async fn echo((request, mut respond): Exchange, log: Arc<Mutex<Vec<Received>>>) {
    let (parts, mut stream) = request.into_parts();
    let response = Response::builder().status(200).header("x-h2", "yes").header("content-type", "application/grpc");
    let Ok(mut out) = respond.send_response(response.body(()).expect("a valid response"), false) else { return };
    let mut body = Vec::new();
    while let Some(Ok(data)) = stream.data().await {
        // The window is given back whatever happens next.
        drop(stream.flow_control().release_capacity(data.len()));
        body.extend_from_slice(&data);
        if send_all(&mut out, &data, false).await.is_err() {
            return;
        }
    }
    let trailers = stream.trailers().await.unwrap_or_default();
    log.lock().expect("no panic while locked").push(Received {
        method: parts.method.to_string(),
        authority: parts.uri.authority().map(ToString::to_string),
        scheme: parts.uri.scheme_str().map(ToOwned::to_owned),
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers,
        body,
        trailers,
    });
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    drop(out.send_trailers(trailers));
}
