//! A well-behaved HTTP/2 client, in plain text (prior knowledge) or over TLS.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::raw::Stream;
use crate::wait::deadline;

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Option<HeaderMap>,
}

impl Response {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection.
pub struct Client {
    sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    /// Connects with prior knowledge (h2c).
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = deadline("connect to the edge", TcpStream::connect(address)).await.expect("the edge accepts");
        Self::over(stream).await
    }

    /// Uses a stream that is connected already, for example TLS with ALPN `h2`.
    pub async fn over(stream: impl Stream + 'static) -> Self {
        let handshake = h2::client::Builder::new().initial_window_size(1 << 20).handshake(stream);
        let (sender, connection) = deadline("HTTP/2 handshake", handshake).await.expect("the edge speaks HTTP/2");
        Self { sender, connection: tokio::spawn(connection) }
    }

    /// Starts a request whose body the caller sends.
    ///
    /// # Panics
    /// When the connection takes no more requests.
    pub async fn start(&mut self, request: Request<()>, end: bool) -> (ResponseFuture, h2::SendStream<Bytes>) {
        let mut ready = deadline("room for a request", self.sender.clone().ready()).await.expect("connection open");
        ready.send_request(request, end).expect("a valid request")
    }

    /// Sends a request and waits for the whole response.
    ///
    /// # Errors
    /// When the stream or the connection is reset.
    pub async fn try_request(&mut self, request: Request<()>, body: &[u8]) -> Result<Response, h2::Error> {
        let exchange = async {
            let mut ready = self.sender.clone().ready().await?;
            let (response, mut stream) = ready.send_request(request, body.is_empty())?;
            if !body.is_empty() {
                send_all(&mut stream, body, true).await?;
            }
            read(response.await?).await
        };
        deadline("an HTTP/2 response", exchange).await
    }

    /// Sends a request and waits for the whole response.
    ///
    /// # Panics
    /// When the stream or the connection is reset.
    pub async fn request(&mut self, request: Request<()>, body: &[u8]) -> Response {
        self.try_request(request, body).await.expect("a whole HTTP/2 response")
    }

    /// `GET` of a path.
    ///
    /// # Panics
    /// When the stream or the connection is reset.
    pub async fn get(&mut self, host: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        self.request(get(host, path, headers), b"").await
    }

    /// Waits until the edge ends the connection.
    ///
    /// # Panics
    /// When it stays open.
    pub async fn closed(&mut self) {
        drop(deadline("the edge ends the HTTP/2 connection", &mut self.connection).await);
    }

    /// Whether the connection takes another request.
    pub async fn takes_requests(&mut self) -> bool {
        deadline("room for a request", self.sender.clone().ready()).await.is_ok()
    }
}

/// A `GET` request.
#[must_use]
pub fn get(host: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    request("GET", host, path, headers)
}

/// A request.
///
/// # Panics
/// When a part is not valid.
#[must_use]
pub fn request(method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(format!("http://{host}{path}"));
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a valid request")
}

/// Sends bytes as the windows allow.
///
/// # Errors
/// When the stream is reset.
pub async fn send_all(stream: &mut h2::SendStream<Bytes>, bytes: &[u8], end: bool) -> Result<(), h2::Error> {
    let mut left = Bytes::copy_from_slice(bytes);
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        let Some(room) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { break };
        let now = left.split_to(room?.min(left.len()));
        let last = end && left.is_empty();
        stream.send_data(now, last)?;
    }
    Ok(())
}

/// Reads a response to its end.
///
/// # Errors
/// When the stream is reset.
pub async fn read(response: http::Response<h2::RecvStream>) -> Result<Response, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await?;
    Ok(Response { status: parts.status.as_u16(), headers: parts.headers, body, trailers })
}
