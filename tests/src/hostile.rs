//! Hostile and broken origins. Each is a [`Reply`] script, or does not even listen.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpSocket};

use crate::origin::{Origin, Reply, Step};

fn send(bytes: &str) -> Step {
    Step::Send(Bytes::from(bytes.as_bytes().to_vec()))
}

/// An address where nothing listens: connections are refused.
pub async fn refused() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    socket.local_addr().expect("the listener is bound").to_string()
}

/// A listener whose backlog is full, so that connecting hangs. Keep the value alive.
pub struct Unreachable {
    address: SocketAddr,
    _listener: TcpListener,
    _fillers: Vec<tokio::net::TcpStream>,
}

impl Unreachable {
    /// Fills the backlog.
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("sockets can be made");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a loopback port is free");
        let listener = socket.listen(1).expect("it can listen");
        let address = listener.local_addr().expect("the listener is bound");
        let mut fillers = Vec::new();
        for _ in 0..16 {
            let connect = tokio::net::TcpStream::connect(address);
            match tokio::time::timeout(Duration::from_millis(200), connect).await {
                Ok(Ok(stream)) => fillers.push(stream),
                _ => return Self { address, _listener: listener, _fillers: fillers },
            }
        }
        panic!("the backlog does not fill up: this kernel accepts without limit");
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

/// An origin with one reply to everything.
pub async fn always(reply: Reply) -> Origin {
    Origin::start(move |_| reply.clone()).await
}

/// Accepts and never answers.
#[must_use]
pub fn silent() -> Reply {
    Reply::script([Step::Pause(Duration::from_secs(3600))])
}

/// Sends the head a byte at a time, so slowly that it never ends.
#[must_use]
pub fn trickling_head() -> Reply {
    let mut steps = vec![send("HTTP/1.1 200 OK\r\nx-slow: ")];
    for _ in 0..10_000 {
        steps.push(Step::Pause(Duration::from_millis(100)));
        steps.push(send("a"));
    }
    Reply::script(steps)
}

/// Closes without a word.
#[must_use]
pub fn closes_at_once() -> Reply {
    Reply::script([Step::Close])
}

/// Resets without a word.
#[must_use]
pub fn resets_at_once() -> Reply {
    Reply::script([Step::Reset])
}

/// Resets inside the head.
#[must_use]
pub fn resets_in_head() -> Reply {
    Reply::script([send("HTTP/1.1 200 OK\r\ncontent-le"), Step::Pause(Duration::from_millis(50)), Step::Reset])
}

/// Closes inside the head.
#[must_use]
pub fn closes_in_head() -> Reply {
    Reply::script([send("HTTP/1.1 200 OK\r\ncontent-le"), Step::Close])
}

/// Resets inside the body.
#[must_use]
pub fn resets_in_body() -> Reply {
    Reply::script([
        send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
        Step::Pause(Duration::from_millis(50)),
        Step::Reset,
    ])
}

/// Fewer bytes than `Content-Length` says.
#[must_use]
pub fn short_body() -> Reply {
    Reply::script([send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"), Step::Close])
}

/// More bytes than `Content-Length` says: the start of a response that nobody asked for.
#[must_use]
pub fn long_body() -> Reply {
    Reply::script([send(
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    )])
}

/// A chunked body that is cut before its last chunk.
#[must_use]
pub fn cut_chunks() -> Reply {
    Reply::script([send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"), Step::Close])
}

/// A chunk size that is no number.
#[must_use]
pub fn bad_chunk() -> Reply {
    Reply::script([send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\nxyz\r\nevil\r\n0\r\n\r\n")])
}

/// Not HTTP.
#[must_use]
pub fn garbage() -> Reply {
    Reply::script([send("220 mail.example ESMTP\r\n\r\n"), Step::Close])
}

/// A status that is no number.
#[must_use]
pub fn bad_status() -> Reply {
    Reply::script([send("HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n"), Step::Close])
}

/// Two different lengths.
#[must_use]
pub fn two_lengths() -> Reply {
    Reply::script([send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 8\r\n\r\ngoodevil"), Step::Close])
}

/// A length and chunks (RFC 9112, section 6.3: the transfer coding wins).
#[must_use]
pub fn length_and_chunks() -> Reply {
    Reply::script([
        send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"),
        Step::Close,
    ])
}

/// A head of 2 MiB.
#[must_use]
pub fn huge_head() -> Reply {
    let line = format!("x-filler: {}\r\n", "a".repeat(8000));
    let mut steps = vec![send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n")];
    steps.extend((0..262).map(|_| send(&line)));
    steps.push(send("\r\nok"));
    Reply::script(steps)
}

/// Interim responses without end.
#[must_use]
pub fn endless_interim() -> Reply {
    let mut steps = Vec::new();
    for _ in 0..10_000 {
        steps.push(send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"));
        steps.push(Step::Pause(Duration::from_millis(20)));
    }
    Reply::script(steps)
}

/// Switches protocols although nobody asked.
#[must_use]
pub fn unasked_upgrade() -> Reply {
    Reply::script([
        send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw bytes"),
        Step::Close,
    ])
}

/// HTTP/1.0 without a length: the body ends with the connection.
#[must_use]
pub fn http10() -> Reply {
    Reply::script([send("HTTP/1.0 200 OK\r\n\r\nold but good"), Step::Close])
}

/// A status that has no body, with a body.
#[must_use]
pub fn body_after(status: u16) -> Reply {
    Reply::script([send(&format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\n\r\nevil")), Step::Close])
}

/// A bare CR and a NUL inside a header value.
#[must_use]
pub fn control_in_header() -> Reply {
    Reply::script([
        send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-bad: a\rset-cookie: evil=1\r\nx-nul: a\0b\r\n\r\nok"),
        Step::Close,
    ])
}

/// Headers that concern only one connection, one of them named by `Connection`.
#[must_use]
pub fn hop_by_hop() -> Reply {
    Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-secret, keep-alive\r\nx-secret: 1\r\n\
         keep-alive: timeout=9\r\nproxy-authenticate: Basic\r\nproxy-connection: keep-alive\r\nupgrade: h2c\r\n\
         cache-control: max-age=60\r\nx-kept: 1\r\n\r\nok",
    )
}

/// Chunks with trailers.
#[must_use]
pub fn trailers() -> Reply {
    Reply::raw(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n4\r\ngood\r\n0\r\nx-sum: 42\r\n\r\n",
    )
}
