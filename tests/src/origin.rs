//! A polite origin: a small HTTP/1.1 server that records every byte it gets and answers by script.
//!
//! Scripts are lists of [`Step`]s, so that the hostile origins use the same engine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::gate::Gate;
use crate::wire::{Body, Framing, Head, Wire};

/// A request as the origin got it.
#[derive(Debug, Clone)]
pub struct Received {
    /// Request line and header lines.
    pub head: Head,
    /// The body.
    pub body: Body,
    /// Number of the connection it came on, from 0.
    pub connection: usize,
}

impl Received {
    fn word(&self, index: usize) -> &str {
        self.head.start_line.split(' ').nth(index).unwrap_or_default()
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// The target, as on the wire.
    #[must_use]
    pub fn target(&self) -> &str {
        self.word(1)
    }

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

    fn framing(head: &Head) -> Framing {
        if head.header_all("transfer-encoding").iter().any(|value| value.to_ascii_lowercase().contains("chunked")) {
            return Framing::Chunked;
        }
        let length = head.header("content-length").and_then(|value| value.trim().parse().ok());
        length.map_or(Framing::None, Framing::Length)
    }
}

/// One thing that an origin does when it answers.
#[derive(Debug, Clone)]
pub enum Step {
    /// Write these bytes.
    Send(Bytes),
    /// Write so many bytes of a pattern.
    Fill(u64),
    /// Write so many bytes of a pattern as chunks of a chunked body, without the last chunk.
    FillChunks(u64),
    /// Do nothing for a while.
    Pause(Duration),
    /// Wait until a test opens the gate.
    Hold(Gate),
    /// Echo whatever comes, until the other side ends.
    Echo,
    /// Close the connection in order.
    Close,
    /// Close with a TCP reset.
    Reset,
}

/// Builds scripts for whole responses.
#[derive(Debug, Clone)]
pub struct Reply(pub Vec<Step>);

impl Reply {
    /// Only these steps.
    #[must_use]
    pub fn script(steps: impl Into<Vec<Step>>) -> Self {
        Self(steps.into())
    }

    /// These bytes, as they are.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Step::Send(Bytes::from(bytes.into()))])
    }

    /// A response with `Content-Length`.
    #[must_use]
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = head(status, headers);
        if !matches!(status, 204 | 304) {
            bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self::raw(bytes)
    }

    /// 200 with this body.
    #[must_use]
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::new(200, &[], body)
    }

    /// A chunked response.
    #[must_use]
    pub fn chunked(status: u16, headers: &[(&str, &str)], chunks: &[&str]) -> Self {
        let mut bytes = head(status, headers);
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        for chunk in chunks {
            bytes.extend_from_slice(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        Self::raw(bytes)
    }

    /// A large response of the pattern, with `Content-Length`.
    #[must_use]
    pub fn large(headers: &[(&str, &str)], length: u64) -> Self {
        let mut bytes = head(200, headers);
        bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        Self(vec![Step::Send(bytes.into()), Step::Fill(length)])
    }

    /// This reply, after the gate was opened.
    #[must_use]
    pub fn after(mut self, gate: &Gate) -> Self {
        self.0.insert(0, Step::Hold(gate.clone()));
        self
    }

    /// This reply, and then the connection is closed.
    #[must_use]
    pub fn then_close(mut self) -> Self {
        self.0.push(Step::Close);
        self
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// The byte at a place of the pattern that [`Step::Fill`] writes.
#[must_use]
pub fn pattern(position: u64) -> u8 {
    // A prime period, so that a shifted or repeated block shows.
    u8::try_from(position % 251).unwrap_or_default()
}

/// So many bytes of the pattern.
#[must_use]
pub fn pattern_bytes(length: u64) -> Vec<u8> {
    (0..length).map(pattern).collect()
}

type Answer = dyn Fn(&Received) -> Reply + Send + Sync;

pub(crate) struct State {
    pub(crate) answer: Mutex<Arc<Answer>>,
    pub(crate) requests: Mutex<Vec<Received>>,
    pub(crate) heads: AtomicUsize,
    pub(crate) broken: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    pub(crate) open: AtomicUsize,
}

/// The origin. It ends when this is dropped.
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Origin {
    /// An origin that answers each request as `answer` says.
    pub async fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let state = Arc::new(State {
            answer: Mutex::new(Arc::new(answer)),
            requests: Mutex::default(),
            heads: AtomicUsize::new(0),
            broken: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// An origin that says 200 with `hello` to everything.
    pub async fn hello() -> Self {
        Self::start(|_| Reply::ok("hello")).await
    }

    /// An origin that sends each request's head and body back, as text.
    pub async fn mirror() -> Self {
        Self::start(|request| {
            let mut text = request.head.raw.clone();
            text.extend_from_slice(&request.body.bytes);
            Reply::new(200, &[("content-type", "text/plain")], text)
        })
        .await
    }

    /// Answers differently from now on.
    pub fn answer(&self, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *self.state.answer.lock().expect("no panic while locked") = Arc::new(answer);
    }

    /// Where it listens, `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// All requests that came whole, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.state.requests.lock().expect("no panic while locked").clone()
    }

    /// The only request so far.
    ///
    /// # Panics
    /// When there was none or more than one.
    #[must_use]
    pub fn only_request(&self) -> Received {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "requests at the origin: {requests:#?}");
        requests.remove(0)
    }

    /// Requests that came whole.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.requests.lock().expect("no panic while locked").len()
    }

    /// Request heads that came, whether their bodies did or not.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.state.heads.load(Ordering::SeqCst)
    }

    /// Requests that broke off: in the head, or in the body.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.state.broken.load(Ordering::SeqCst)
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Connections end with the origin: the set aborts its tasks when it is dropped.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = state.connections.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            state.open.fetch_add(1, Ordering::SeqCst);
            let open = Opened(Arc::clone(&state));
            // Without Nagle, as servers are.
            drop(stream.set_nodelay(true));
            serve(stream, number, &state).await;
            drop(open);
        });
        while connections.try_join_next().is_some() {}
    }
}

struct Opened(Arc<State>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(stream: TcpStream, connection: usize, state: &State) {
    let mut wire = Wire::new(stream);
    loop {
        let head = match wire.head().await {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(_) => {
                state.broken.fetch_add(1, Ordering::SeqCst);
                return;
            }
        };
        state.heads.fetch_add(1, Ordering::SeqCst);
        let mut body = Body::default();
        if wire.body(Received::framing(&head), &mut body).await.is_err() {
            state.broken.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let received = Received { head, body, connection };
        let answer = Arc::clone(&state.answer.lock().expect("no panic while locked"));
        let last = received.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        state.requests.lock().expect("no panic while locked").push(received.clone());
        let reply = answer(&received);
        if !run(&mut wire, reply).await || last {
            return;
        }
    }
}

/// Runs a script; false when the connection is over.
pub(crate) async fn run(wire: &mut Wire<TcpStream>, reply: Reply) -> bool {
    for step in reply.0 {
        let written = match step {
            Step::Send(bytes) => wire.stream.write_all(&bytes).await,
            Step::Fill(length) => fill(&mut wire.stream, length, false).await,
            Step::FillChunks(length) => fill(&mut wire.stream, length, true).await,
            Step::Pause(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Step::Hold(gate) => {
                gate.passed().await;
                Ok(())
            }
            Step::Echo => {
                let ahead = wire.ahead().to_vec();
                if wire.stream.write_all(&ahead).await.is_ok() {
                    let (mut read, mut write) = wire.stream.split();
                    drop(tokio::io::copy(&mut read, &mut write).await);
                }
                return false;
            }
            Step::Close => {
                drop(wire.stream.shutdown().await);
                // Reads what is on the way, so that closing does not become a reset.
                let mut sink = [0; 1024];
                let drain = async { while matches!(wire.stream.read(&mut sink).await, Ok(1..)) {} };
                drop(tokio::time::timeout(Duration::from_millis(200), drain).await);
                return false;
            }
            Step::Reset => {
                drop(wire.stream.set_zero_linger());
                return false;
            }
        };
        if written.is_err() {
            return false;
        }
    }
    true
}

async fn fill(stream: &mut TcpStream, length: u64, chunks: bool) -> std::io::Result<()> {
    // A whole number of periods, so that one block serves again and again.
    const BLOCK: u64 = 251 * 256;
    let block = pattern_bytes(BLOCK);
    let mut left = length;
    while left > 0 {
        let now = left.min(BLOCK);
        let bytes = block.get(..usize::try_from(now).unwrap_or_default()).unwrap_or_default();
        if chunks {
            stream.write_all(format!("{now:x}\r\n").as_bytes()).await?;
        }
        stream.write_all(bytes).await?;
        if chunks {
            stream.write_all(b"\r\n").await?;
        }
        left -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Raw, get, request};

    #[tokio::test]
    async fn the_origin_records_and_the_client_reads() {
        let origin = Origin::mirror().await;
        let response = request(origin.address, "POST", "a.test", "/x?y", &[("X-One", "1")], b"body").await;
        assert_eq!(response.status, 200);
        assert_eq!(response.text(), "POST /x?y HTTP/1.1\r\nHost: a.test\r\nX-One: 1\r\nContent-Length: 4\r\n\r\nbody");
        let received = origin.only_request();
        assert_eq!((received.method(), received.target(), received.header("x-one")), ("POST", "/x?y", Some("1")));
        assert_eq!(received.body.bytes, b"body");
    }

    #[tokio::test]
    async fn chunks_and_trailers_are_read_on_both_sides() {
        let origin = Origin::start(|_| Reply::chunked(200, &[], &["one", "two"])).await;
        let mut raw = Raw::connect(origin.address).await;
        raw.send("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n").await;
        assert_eq!(raw.response().await.text(), "onetwo");
        let received = origin.only_request();
        assert_eq!(received.body.bytes, b"abc");
        assert_eq!(received.body.raw, b"3;x=y\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n");
        assert_eq!(received.body.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    }

    #[tokio::test]
    async fn a_gate_holds_a_reply_and_large_bodies_are_summed() {
        let gate = Gate::new();
        let reply = Reply::large(&[], 3 << 20).after(&gate);
        let origin = Origin::start(move |_| reply.clone()).await;
        let fetch = tokio::spawn(get(origin.address, "a.test", "/", &[]));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!fetch.is_finished());
        gate.open();
        let response = fetch.await.expect("no panic");
        let mut sum = crate::wire::Sum::default();
        sum.add(&pattern_bytes(3 << 20));
        assert_eq!((response.body.length, response.body.sum), (3 << 20, sum.0));
    }
}
