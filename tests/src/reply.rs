//! What an origin answers: scripts of [`Step`]s, and whole responses built from them. The hostile origins use the same
//! engine.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gate::Gate;
use crate::wire::Wire;

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
