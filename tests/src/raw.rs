//! A client that sends exactly the bytes it is given and shows what came back.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::deadline;
use crate::wire::{Body, Framing, Head, Wire};

/// What a client can talk over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Debug> Stream for T {}

/// A response as it came.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Status line and header lines.
    pub head: Head,
    /// The body.
    pub body: Body,
    /// Interim responses (1xx) that came before.
    pub interim: Vec<Head>,
}

impl Response {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// All values of a header.
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        self.head.header_all(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }
}

/// A connection to the edge.
#[derive(Debug)]
pub struct Raw {
    wire: Wire<Box<dyn Stream>>,
    sent: Vec<u8>,
}

impl Raw {
    /// Connects in plain text.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = deadline("connect to the edge", TcpStream::connect(address)).await.expect("the edge accepts");
        drop(stream.set_nodelay(true));
        Self::over(stream)
    }

    /// Uses a stream that is connected already.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self { wire: Wire::new(Box::new(stream)), sent: Vec::new() }
    }

    /// Sends bytes. A connection that the edge has closed is no error here: what matters is what it answered.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.sent.extend_from_slice(bytes.get(..bytes.len().min(4096)).unwrap_or_default());
        drop(deadline("send to the edge", self.try_send(bytes)).await);
    }

    /// Sends bytes, without a deadline.
    ///
    /// # Errors
    /// What the stream says, for example that the edge closed it.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.stream.write_all(bytes).await?;
        self.wire.stream.flush().await
    }

    /// Sends pieces with a pause between them, so that each is a segment of its own.
    pub async fn send_fragments(&mut self, fragments: &[&[u8]], pause: Duration) {
        for fragment in fragments {
            self.send(fragment).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Ends the sending side.
    pub async fn finish(&mut self) {
        drop(deadline("end the sending side", self.wire.stream.shutdown()).await);
    }

    /// The next response to a request of this method.
    ///
    /// # Panics
    /// When none comes, or it breaks off.
    pub async fn response_to(&mut self, method: &str) -> Response {
        match deadline("a response of the edge", self.try_response_to(method)).await {
            Ok(response) => response,
            Err(error) => panic!("no whole response: {error}; sent: {}", String::from_utf8_lossy(&self.sent)),
        }
    }

    /// The next response to a `GET`.
    ///
    /// # Panics
    /// When none comes, or it breaks off.
    pub async fn response(&mut self) -> Response {
        self.response_to("GET").await
    }

    /// The next response, without a deadline.
    ///
    /// # Errors
    /// When the connection breaks off before its end.
    pub async fn try_response_to(&mut self, method: &str) -> io::Result<Response> {
        let (status, head, interim) = self.try_head().await?;
        let mut body = Body::default();
        self.wire.body(framing(method, status, &head), &mut body).await?;
        Ok(Response { status, head, body, interim })
    }

    /// The next final head: its status, itself, and the interim heads before it. The body is left on the wire.
    ///
    /// # Errors
    /// When the connection breaks off before its end.
    pub async fn try_head(&mut self) -> io::Result<(u16, Head, Vec<Head>)> {
        let mut interim = Vec::new();
        loop {
            let head = self.wire.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = head.start_line.split(' ').nth(1).and_then(|code| code.parse().ok());
            let status = status.ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("status line {:?}", head.start_line))
            })?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(head);
            } else {
                return Ok((status, head, interim));
            }
        }
    }

    /// Reads a body by its framing, with whatever came of it and how it ended.
    pub async fn body(&mut self, framing: Framing) -> (Body, io::Result<()>) {
        let mut body = Body::default();
        let result = deadline("a response body", self.wire.body(framing, &mut body)).await;
        (body, result)
    }

    /// Reads until at least so many bytes are there, and gives what is there without consuming it.
    pub async fn peek_at_least(&mut self, count: usize) -> Vec<u8> {
        deadline("bytes of the edge", async {
            while self.wire.ahead().len() < count {
                match self.wire.fill().await {
                    Ok(true) => {}
                    _ => break,
                }
            }
            self.wire.ahead().to_vec()
        })
        .await
    }

    /// Everything until the edge closes the connection.
    ///
    /// # Panics
    /// When it stays open.
    pub async fn rest(&mut self) -> Vec<u8> {
        let (body, result) = self.body_until_close().await;
        drop(result);
        body.raw
    }

    async fn body_until_close(&mut self) -> (Body, io::Result<()>) {
        let mut body = Body::default();
        let what = format!("the edge closes the connection after {:?}", String::from_utf8_lossy(&self.sent));
        let result = deadline(&what, self.wire.body(Framing::Close, &mut body)).await;
        (body, result)
    }

    /// Nothing more comes and the connection is closed.
    ///
    /// # Panics
    /// When it stays open or more bytes come.
    pub async fn assert_closed(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "after the response came {:?}", String::from_utf8_lossy(&rest));
    }

    /// The stream and what was read ahead.
    pub fn into_parts(self) -> (Box<dyn Stream>, Vec<u8>) {
        self.wire.into_parts()
    }
}

/// How the end of a response's body is known (RFC 9112, section 6.3).
#[must_use]
pub fn framing(method: &str, status: u16, head: &Head) -> Framing {
    if method == "HEAD" || matches!(status, 101 | 204 | 304) {
        return Framing::None;
    }
    if head.header("transfer-encoding").is_some() {
        return Framing::Chunked;
    }
    match head.header("content-length").and_then(|value| value.parse().ok()) {
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    }
}

/// Sends one request on a connection of its own and returns the response. The connection is closed after it.
pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    let mut raw = Raw::connect(address).await;
    let bytes = bytes.as_ref();
    raw.send(bytes).await;
    let head = bytes.starts_with(b"HEAD ");
    raw.response_to(if head { "HEAD" } else { "GET" }).await
}

/// A `GET` with `Host` and these header lines.
pub async fn get(address: SocketAddr, host: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    request(address, "GET", host, target, headers, b"").await
}

/// A request with `Host`, these header lines and a body by `Content-Length` (none when it is empty).
pub async fn request(
    address: SocketAddr,
    method: &str,
    host: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut raw = Raw::connect(address).await;
    raw.send(request_bytes(method, host, target, headers, body)).await;
    raw.response_to(method).await
}

/// The bytes of a request.
#[must_use]
pub fn request_bytes(method: &str, host: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
