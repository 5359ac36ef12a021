//! An HTTP/2 client that writes frames byte for byte, so that it can say what a well-behaved client cannot.
//!
//! Header blocks are written as literals without indexing and without Huffman codes (RFC 7541, section 6.2.2).

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::deadline;

/// `END_STREAM`.
pub const END_STREAM: u8 = 0x1;
/// `END_HEADERS`.
pub const END_HEADERS: u8 = 0x4;

/// A frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Type: 0 DATA, 1 HEADERS, 3 RST_STREAM, 4 SETTINGS, 6 PING, 7 GOAWAY, 8 WINDOW_UPDATE, 9 CONTINUATION.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Stream id.
    pub stream: u32,
    /// Payload.
    pub payload: Vec<u8>,
}

/// How the edge dealt with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A response with this status.
    Status(u16),
    /// `RST_STREAM` with this code.
    Reset(u32),
    /// `GOAWAY` with this code.
    GoAway(u32),
    /// The connection was closed.
    Closed,
}

impl Outcome {
    /// Whether the edge refused: a 4xx or 501 answer, a reset stream, or a connection error.
    #[must_use]
    pub fn refused(self) -> bool {
        match self {
            Self::Status(status) => (400..500).contains(&status) || status == 501,
            Self::Reset(_) | Self::Closed => true,
            Self::GoAway(code) => code != 0,
        }
    }
}

/// A connection.
pub struct RawH2 {
    stream: TcpStream,
    settings: Vec<u8>,
}

impl RawH2 {
    /// Connects, sends the preface and empty settings, and acknowledges the edge's.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = deadline("connect to the edge", TcpStream::connect(address)).await.expect("the edge accepts");
        drop(stream.set_nodelay(true));
        let mut raw = Self { stream, settings: Vec::new() };
        raw.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        raw.frame(4, 0, 0, &[]).await;
        loop {
            let frame = raw.read_frame().await.expect("the edge sends its settings");
            if frame.kind == 4 && frame.flags & 1 == 0 {
                raw.frame(4, 1, 0, &[]).await;
                raw.settings = frame.payload;
                return raw;
            }
        }
    }

    /// What the edge said first of a setting (RFC 9113, section 6.5.2).
    #[must_use]
    pub fn setting(&self, id: u8) -> Option<u32> {
        let found = self.settings.chunks_exact(6).find(|setting| setting.get(..2) == Some(&[0, id]))?;
        Some(number(found, 2))
    }

    /// Writes bytes; a closed connection is no error here.
    pub async fn write(&mut self, bytes: &[u8]) {
        drop(deadline("send to the edge", self.stream.write_all(bytes)).await);
    }

    /// Writes a frame.
    ///
    /// # Panics
    /// When the payload is 16 MiB or more.
    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
        assert_eq!(length[0], 0, "a small frame");
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
        self.write(&bytes).await;
    }

    /// Writes a `HEADERS` frame with `END_HEADERS`.
    pub async fn headers(&mut self, stream: u32, fields: &[(&str, &str)], end: bool) {
        let flags = END_HEADERS | if end { END_STREAM } else { 0 };
        self.frame(1, flags, stream, &block(fields)).await;
    }

    /// Writes a `DATA` frame.
    pub async fn data(&mut self, stream: u32, bytes: &[u8], end: bool) {
        self.frame(0, if end { END_STREAM } else { 0 }, stream, bytes).await;
    }

    /// The next frame; none when the connection is closed.
    pub async fn read_frame(&mut self) -> Option<Frame> {
        deadline("a frame of the edge", async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, flags, d, e, f, g] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some(Frame { kind, flags, stream: u32::from_be_bytes([d, e, f, g]) & 0x7fff_ffff, payload })
        })
        .await
    }

    /// Reads frames until it is clear what became of a stream.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            let Some(frame) = self.read_frame().await else { return Outcome::Closed };
            match frame.kind {
                1 if frame.stream == stream => return Outcome::Status(status(&frame.payload)),
                3 if frame.stream == stream => return Outcome::Reset(number(&frame.payload, 0)),
                7 if number(&frame.payload, 4) != 0 => return Outcome::GoAway(number(&frame.payload, 4)),
                4 if frame.flags & 1 == 0 => self.frame(4, 1, 0, &[]).await,
                _ => {}
            }
        }
    }
}

fn number(payload: &[u8], at: usize) -> u32 {
    payload.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(u32::MAX, u32::from_be_bytes)
}

/// A header block of literals. Names and values may be anything: nothing is checked.
#[must_use]
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a 7-bit prefix and a zero first bit (RFC 7541, section 5.1).
fn integer(bytes: &mut Vec<u8>, value: usize) {
    if value < 127 {
        bytes.push(u8::try_from(value).unwrap_or_default());
        return;
    }
    bytes.push(127);
    let mut left = value - 127;
    while left >= 128 {
        bytes.push(u8::try_from(left % 128).unwrap_or_default() | 128);
        left /= 128;
    }
    bytes.push(u8::try_from(left).unwrap_or_default());
}

/// The status of a response block, which must come first: indexed, or a literal for the name `:status`.
///
/// # Panics
/// When the block starts with anything else.
fn status(block: &[u8]) -> u16 {
    // Size updates of the dynamic table may come first.
    let start = block.iter().position(|byte| byte >> 5 != 1).unwrap_or_default();
    let block = block.get(start..).unwrap_or_default();
    match block {
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        [0x08..=0x0e | 0x18..=0x1e | 0x48..=0x4e, length, rest @ ..] => {
            let text = rest.get(..usize::from(length & 0x7f)).unwrap_or_default();
            let digits = if length & 0x80 == 0 { text.to_vec() } else { huffman_digits(text) };
            String::from_utf8_lossy(&digits).parse().expect("a status of three digits")
        }
        _ => panic!("a response starts with {:02x?}", block.get(..8.min(block.len()))),
    }
}

/// Decodes digits (RFC 7541, appendix B: 0 to 2 have five bits, 3 to 9 have six).
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let value =
        |from: usize, count: usize| bits.get(from..from + count).map(|b| b.iter().fold(0, |v, bit| v << 1 | bit));
    let mut digits = Vec::new();
    let mut at = 0;
    while digits.len() < 3 {
        if let Some(code @ 0..=2) = value(at, 5) {
            digits.push(b'0' + code);
            at += 5;
        } else if let Some(code @ 0x19..=0x1f) = value(at, 6) {
            digits.push(b'3' + code - 0x19);
            at += 6;
        } else {
            break;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_all_forms() {
        assert_eq!(status(&[0x8c]), 400);
        assert_eq!(status(&[0x20, 0x88]), 200);
        assert_eq!(status(&[0x48, 3, b'4', b'2', b'9']), 429);
        // RFC 7541, C.6.1: 302 as 0x6402.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), 302);
    }

    #[test]
    fn long_literals_have_continued_lengths() {
        let block = block(&[("a", &"x".repeat(1337 + 127))]);
        assert_eq!(block.get(..6), Some([0, 1, b'a', 127, 0xb9, 10].as_slice()));
    }
}
