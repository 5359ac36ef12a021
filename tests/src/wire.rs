//! HTTP/1.1 as bytes: reading heads and bodies off a stream without interpreting more than the framing.
//!
//! Used by the clients and by the origins. It is deliberately literal: header lines keep their order, case and
//! duplicates, and the raw bytes of everything read can be had.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest head that is read, in bytes.
const MAX_HEAD: usize = 4 << 20;

/// Most body bytes that are kept; longer bodies are only counted and summed.
pub const MAX_KEPT: usize = 2 << 20;

/// A start line and header lines.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// All bytes, the empty line included.
    pub raw: Vec<u8>,
    /// The first line without its line end.
    pub start_line: String,
    /// Name as sent and value without surrounding blanks, in order.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// Parses the bytes of a head; broken lines become headers with an empty name.
    #[must_use]
    pub fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw);
        let mut lines = text.split("\r\n");
        let start_line = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once(':') {
                Some((name, value)) => (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()),
                None => (String::new(), line.to_owned()),
            })
            .collect();
        Self { raw: raw.to_vec(), start_line, headers }
    }
}

/// How the end of a body is known (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body at all.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Until the connection is closed.
    Close,
}

/// A body that was read.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Content, the first [`MAX_KEPT`] bytes of it.
    pub bytes: Vec<u8>,
    /// Bytes of content in all.
    pub length: u64,
    /// Sum of the content, as [`Sum`] makes it.
    pub sum: u64,
    /// As on the wire, chunk lines included; the first [`MAX_KEPT`] bytes of it.
    pub raw: Vec<u8>,
    /// Trailer fields of a chunked body.
    pub trailers: Vec<(String, String)>,
}

/// FNV-1a over a stream of bytes, to compare bodies that are too large to keep.
#[derive(Debug, Clone, Copy)]
pub struct Sum(pub u64);

impl Default for Sum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Sum {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A stream with what was read ahead.
#[derive(Debug)]
pub struct Wire<S> {
    /// The stream itself, for writing.
    pub stream: S,
    ahead: Vec<u8>,
    start: usize,
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Nothing read yet.
    pub fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new(), start: 0 }
    }

    /// Bytes read but not consumed.
    pub fn ahead(&self) -> &[u8] {
        self.ahead.get(self.start..).unwrap_or_default()
    }

    /// Gives the stream back, with the bytes that were read ahead.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        let ahead = self.ahead().to_vec();
        (self.stream, ahead)
    }

    /// Reads once more; false at the end of the stream.
    ///
    /// # Errors
    /// What the stream says.
    pub async fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.ahead.drain(..self.start);
            self.start = 0;
        }
        self.ahead.reserve(16 * 1024);
        Ok(self.stream.read_buf(&mut self.ahead).await? > 0)
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.ahead().get(..count).unwrap_or_default().to_vec();
        self.start += count;
        taken
    }

    /// The next head, or none if the stream ended before its first byte.
    ///
    /// # Errors
    /// `UnexpectedEof` when the stream ends inside the head, `InvalidData` when it is too long, and what the stream says.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        let mut searched = 0_usize;
        loop {
            let found = self.ahead().windows(4).skip(searched).position(|four| four == b"\r\n\r\n");
            if let Some(at) = found {
                return Ok(Some(Head::parse(&self.take(searched + at + 4))));
            }
            let have = self.ahead().len();
            searched = have.saturating_sub(3);
            if have > MAX_HEAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "head too long"));
            }
            if !self.fill().await? {
                return if have == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// A line without its CRLF.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.ahead().windows(2).position(|two| two == b"\r\n") {
                let mut line = self.take(at + 2);
                line.truncate(at);
                return Ok(line);
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn content(&mut self, count: u64, sum: &mut Sum, body: &mut Body) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            if self.ahead().is_empty() && !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(self.ahead().len());
            let bytes = self.take(now);
            left -= now as u64;
            sum.add(&bytes);
            body.length += now as u64;
            keep(&mut body.bytes, &bytes);
            keep(&mut body.raw, &bytes);
        }
        Ok(())
    }

    /// Reads a body into `body`, which shows how far it came when this fails.
    ///
    /// # Errors
    /// `UnexpectedEof` when it is cut short, `InvalidData` when chunks are broken, and what the stream says.
    pub async fn body(&mut self, framing: Framing, body: &mut Body) -> io::Result<()> {
        let mut sum = Sum::default();
        let result = self.body_inner(framing, &mut sum, body).await;
        body.sum = sum.0;
        result
    }

    async fn body_inner(&mut self, framing: Framing, sum: &mut Sum, body: &mut Body) -> io::Result<()> {
        match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.content(length, sum, body).await,
            Framing::Close => loop {
                let have = self.ahead().len() as u64;
                self.content(have, sum, body).await?;
                if !self.fill().await? {
                    return Ok(());
                }
            },
            Framing::Chunked => loop {
                let line = self.line().await?;
                keep(&mut body.raw, &line);
                keep(&mut body.raw, b"\r\n");
                let text = String::from_utf8_lossy(&line).into_owned();
                let size = text.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(size, 16)
                    .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("chunk size {size:?}")))?;
                if size == 0 {
                    return self.trailers(body).await;
                }
                self.content(size, sum, body).await?;
                let end = self.line().await?;
                keep(&mut body.raw, b"\r\n");
                if !end.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "chunk does not end where it should"));
                }
            },
        }
    }

    async fn trailers(&mut self, body: &mut Body) -> io::Result<()> {
        loop {
            let line = self.line().await?;
            keep(&mut body.raw, &line);
            keep(&mut body.raw, b"\r\n");
            if line.is_empty() {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line);
            let (name, value) = text.split_once(':').unwrap_or((&text, ""));
            body.trailers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_KEPT.saturating_sub(kept.len()).min(bytes.len());
    kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
}
