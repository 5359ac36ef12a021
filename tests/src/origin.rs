//! A polite origin: a small HTTP/1.1 server that records every byte it gets and answers by script.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::reply::run;
pub use crate::reply::{Reply, Step, pattern, pattern_bytes};
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

type Answer = dyn Fn(&Received) -> Reply + Send + Sync;

struct State {
    answer: Mutex<Arc<Answer>>,
    requests: Mutex<Vec<Received>>,
    heads: AtomicUsize,
    broken: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
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
        Self::start_at("127.0.0.1:0", answer).await
    }

    /// As [`Origin::start`], at this address: in the place of one that has ended.
    pub async fn start_at(address: &str, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gate::Gate;
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
