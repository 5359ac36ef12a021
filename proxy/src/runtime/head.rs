//! Looks at the bytes of an HTTP/1 request head as they come off the wire, before pingora parses them.
//!
//! pingora repairs some broken heads (a space in the target becomes `%20`, a bare line feed ends a line), and after its
//! repair the damage can no longer be seen. What is looked at here is only what gets lost there, and the size, so that a
//! head that is too large is refused before it is kept. It knows nothing of connections or answers.

use memchr::{memchr, memchr_iter, memrchr};

use super::chunks::ChunkCheck;
use crate::fault::Fault;

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFlaw {
    /// A line feed without a carriage return before it (RFC 9112, 2.2: may be accepted; it is how smuggling starts).
    BareLineFeed,
    /// The request line is not `method SP target SP version` (RFC 9112, 3).
    RequestLine,
    /// A byte in the request target that no URI may hold (RFC 3986, 2).
    Target,
    /// A `#` in the request target: fragments are never sent (RFC 9112, 3.2).
    Fragment,
    /// The request line is longer than the head may be.
    TargetTooLong,
    /// The head is larger than the limit.
    TooLarge,
    /// A chunk without a size (RFC 9112, 7.1).
    ChunkSize,
    /// A line of a trailer section that is no field (RFC 9112, 7.1.2).
    Trailer,
    /// pingora's parser refused it.
    Malformed,
}

impl HeadFlaw {
    /// All flaws.
    pub const ALL: [Self; 9] = [
        Self::BareLineFeed,
        Self::RequestLine,
        Self::Target,
        Self::Fragment,
        Self::TargetTooLong,
        Self::TooLarge,
        Self::ChunkSize,
        Self::Trailer,
        Self::Malformed,
    ];

    /// The status that answers it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BareLineFeed
            | Self::RequestLine
            | Self::Target
            | Self::Fragment
            | Self::ChunkSize
            | Self::Trailer
            | Self::Malformed => 400,
            Self::TargetTooLong => 414,
            Self::TooLarge => 431,
        }
    }

    /// The fault that it is counted as.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::BareLineFeed | Self::ChunkSize | Self::Trailer => Fault::BadFraming,
            Self::RequestLine | Self::Malformed => Fault::BadRequest,
            Self::Target | Self::Fragment => Fault::BadTarget,
            Self::TargetTooLong => Fault::UrlTooLong,
            Self::TooLarge => Fault::HeadersTooLarge,
        }
    }

    /// As logs name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare-line-feed",
            Self::RequestLine => "request-line",
            Self::Target => "target",
            Self::Fragment => "fragment",
            Self::TargetTooLong => "uri-too-long",
            Self::TooLarge => "headers-too-large",
            Self::ChunkSize => "chunk-size",
            Self::Trailer => "trailer",
            Self::Malformed => "malformed",
        }
    }
}

/// Progress through one head. Feed it each read; it stops looking after the empty line.
#[derive(Debug)]
pub struct HeadCheck {
    part: Part,
    /// Bytes of the head seen so far.
    seen: usize,
    /// Largest head in bytes.
    limit: usize,
    /// Fields seen so far.
    count: u16,
    /// The last byte of the read before, to pair CR and LF over reads.
    previous: u8,
    /// Spaces seen in the request line.
    spaces: u8,
    /// Bytes of the current line, without its end.
    line: usize,
    /// How many bytes of `HEAD ` the request line begins with.
    head: usize,
    /// How the current line begins, to know `Transfer-Encoding` by.
    name: [u8; CODING.len()],
    /// The head has that field: a chunked body follows, or the request is refused.
    coded: bool,
    chunks: ChunkCheck,
}

/// Fields that pingora reads (`MAX_HEADERS` of its HTTP/1 session); of more it says that they are malformed.
const MAX_FIELDS: u16 = 256;

/// With its colon: the names of other fields begin with these letters too.
const CODING: &[u8] = b"transfer-encoding:";
/// How the request line begins of a method whose answers have no body.
const HEAD: &[u8] = b"HEAD ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    RequestLine,
    Fields,
    Chunks,
    Done,
}

impl HeadCheck {
    /// A check that is done: it looks at nothing until [`HeadCheck::restart`].
    #[must_use]
    pub fn done() -> Self {
        Self {
            part: Part::Done,
            seen: 0,
            count: 0,
            limit: usize::MAX,
            previous: 0,
            spaces: 0,
            line: 0,
            head: 0,
            name: [0; CODING.len()],
            coded: false,
            chunks: ChunkCheck::default(),
        }
    }

    /// Starts over for the next head, of at most `limit` bytes.
    pub fn restart(&mut self, limit: usize) {
        *self = Self { part: Part::RequestLine, limit, ..Self::done() };
    }

    /// Whether bytes of a head, or of the chunks after it, are still expected.
    #[must_use]
    pub fn active(&self) -> bool {
        self.part != Part::Done
    }

    /// Whether bytes of a head are still expected.
    #[must_use]
    pub fn in_head(&self) -> bool {
        matches!(self.part, Part::RequestLine | Part::Fields)
    }

    /// Whether the last head that was begun is one of a `HEAD`: also when it was refused.
    #[must_use]
    pub fn is_of_head(&self) -> bool {
        self.head == HEAD.len()
    }

    /// Gives the head up: what follows is not looked at.
    pub fn give_up(&mut self) {
        self.part = Part::Done;
    }

    /// Bytes of the head seen so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.seen
    }

    /// Looks at the next bytes off the wire.
    ///
    /// # Errors
    /// The first flaw found.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), HeadFlaw> {
        while !bytes.is_empty() {
            match self.part {
                Part::Done => return Ok(()),
                Part::RequestLine => {
                    let used = self.request_line(bytes)?;
                    bytes = bytes.get(used..).unwrap_or_default();
                }
                Part::Fields => {
                    let used = self.fields(bytes)?;
                    bytes = bytes.get(used..).unwrap_or_default();
                }
                Part::Chunks => {
                    self.chunks.feed(bytes)?;
                    if !self.chunks.active() {
                        self.part = Part::Done;
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn grow(&mut self, by: usize) -> Result<(), HeadFlaw> {
        self.seen += by;
        if self.seen <= self.limit {
            Ok(())
        } else if self.part == Part::RequestLine {
            Err(HeadFlaw::TargetTooLong)
        } else {
            Err(HeadFlaw::TooLarge)
        }
    }

    /// Reads up to the end of the request line; returns the bytes used.
    fn request_line(&mut self, bytes: &[u8]) -> Result<usize, HeadFlaw> {
        if self.line == 0
            && self.previous != b'\r'
            && let Some(end) = memchr(b'\n', bytes)
            && let Some(line) = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r"))
            && is_request_line(line)
        {
            self.head = if line.starts_with(HEAD) { HEAD.len() } else { 0 };
            self.grow(end + 1)?;
            self.part = Part::Fields;
            self.previous = b'\n';
            return Ok(end + 1);
        }
        self.request_line_by_bytes(bytes)
    }

    /// Reads a request line that comes in pieces, or that has a flaw.
    fn request_line_by_bytes(&mut self, bytes: &[u8]) -> Result<usize, HeadFlaw> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.head == self.line && HEAD.get(self.line) == Some(&byte) {
                self.head += 1;
            }
            match byte {
                b'\n' if self.previous != b'\r' => return Err(HeadFlaw::BareLineFeed),
                // An empty line before the request line is skipped (RFC 9112, 2.2).
                b'\n' if self.line == 0 => {}
                b'\n' if self.spaces != 2 => return Err(HeadFlaw::RequestLine),
                b'\n' => {
                    self.grow(at + 1)?;
                    self.part = Part::Fields;
                    self.line = 0;
                    self.previous = byte;
                    return Ok(at + 1);
                }
                b'\r' => {}
                _ if self.previous == b'\r' => return Err(HeadFlaw::RequestLine),
                b' ' => {
                    self.spaces += 1;
                    self.line += 1;
                    if self.spaces > 2 || self.previous == b' ' {
                        return Err(HeadFlaw::RequestLine);
                    }
                }
                b'#' if self.spaces == 1 => return Err(HeadFlaw::Fragment),
                0x21..=0x7e => self.line += 1,
                _ => return Err(HeadFlaw::Target),
            }
            self.previous = byte;
        }
        self.grow(bytes.len())?;
        Ok(bytes.len())
    }

    /// Reads field lines up to the empty line; returns the bytes used.
    fn fields(&mut self, bytes: &[u8]) -> Result<usize, HeadFlaw> {
        let mut start = 0;
        for at in memchr_iter(b'\n', bytes) {
            let before = if at == 0 { self.previous } else { bytes.get(at - 1).copied().unwrap_or_default() };
            if before != b'\r' {
                return Err(HeadFlaw::BareLineFeed);
            }
            let line = bytes.get(start..at).unwrap_or_default();
            self.coded |= if self.line == 0 {
                line.get(..CODING.len()).is_some_and(|name| name.eq_ignore_ascii_case(CODING))
            } else {
                self.note_name(line);
                self.name.eq_ignore_ascii_case(CODING)
            };
            let length = self.line + line.len();
            self.line = 0;
            start = at + 1;
            // Only the carriage return: the empty line that ends the head.
            if length == 1 {
                self.grow(at + 1)?;
                self.part = if self.coded { Part::Chunks } else { Part::Done };
                return Ok(at + 1);
            }
            self.count += 1;
            if self.count > MAX_FIELDS {
                return Err(HeadFlaw::TooLarge);
            }
        }
        let rest = bytes.get(start..).unwrap_or_default();
        self.note_name(rest);
        self.line += rest.len();
        self.previous = bytes.last().copied().unwrap_or(self.previous);
        self.grow(bytes.len())?;
        Ok(bytes.len())
    }

    /// Keeps the first bytes of the current line, which goes on in the next read.
    fn note_name(&mut self, part: &[u8]) {
        if self.line == 0 {
            self.name = [0; CODING.len()];
        }
        if let Some(room) = self.name.get_mut(self.line..) {
            for (to, from) in room.iter_mut().zip(part) {
                *to = *from;
            }
        }
    }
}

/// Whether a whole line is `method SP target SP version`, of nothing but what may be in it. Of one that is not, only a look at
/// each byte says why.
fn is_request_line(line: &[u8]) -> bool {
    let (Some(first), Some(last)) = (memchr(b' ', line), memrchr(b' ', line)) else { return false };
    let target = line.get(first + 1..last).unwrap_or_default();
    let printable = |part: &[u8]| part.iter().fold(true, |all, byte| all & byte.is_ascii_graphic());
    let ends = [line.get(..first), line.get(last + 1..)];
    // A third space, or two side by side, would be in `target`, where none may be.
    !target.is_empty()
        && printable(target)
        && memchr(b'#', target).is_none()
        && ends.into_iter().flatten().all(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], step: usize) -> Result<bool, HeadFlaw> {
        let mut check = HeadCheck::done();
        check.restart(1024);
        for part in head.chunks(step) {
            check.feed(part)?;
        }
        Ok(!check.active())
    }

    #[test]
    fn verdicts_do_not_depend_on_how_the_bytes_are_cut() {
        let cases: [(&[u8], Result<bool, HeadFlaw>); 19] = [
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nx\r\n0\r\n\r\n", Ok(true)),
            (b"POST / HTTP/1.1\r\ntransfer-encodinG: chunked\r\n\r\n1;a\nb\r\nx\r\n", Err(HeadFlaw::BareLineFeed)),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding-X: 1\r\n\r\nno chunk\n", Ok(true)),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\nno chunk\r\n", Err(HeadFlaw::ChunkSize)),
            (b"POST / HTTP/1.1\r\nX: Transfer-Encoding\r\n\r\nanything\n", Ok(true)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(true)),
            (b"GET / HTTP/1.1\r\n\r\nbody \n# with anything", Ok(true)),
            (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(true)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", Ok(false)),
            (b"GET / HTTP/1.1\nHost: a\r\n\r\n", Err(HeadFlaw::BareLineFeed)),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", Err(HeadFlaw::BareLineFeed)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Err(HeadFlaw::BareLineFeed)),
            (b"GET  / HTTP/1.1\r\n\r\n", Err(HeadFlaw::RequestLine)),
            (b"GET /a b HTTP/1.1\r\n\r\n", Err(HeadFlaw::RequestLine)),
            (b"GET /\r HTTP/1.1\r\n\r\n", Err(HeadFlaw::RequestLine)),
            (b"GET /\r\n\r\n", Err(HeadFlaw::RequestLine)),
            (b"GET /a\tb HTTP/1.1\r\n\r\n", Err(HeadFlaw::Target)),
            (b"GET /a\0b HTTP/1.1\r\n\r\n", Err(HeadFlaw::Target)),
            (b"GET /a#b HTTP/1.1\r\n\r\n", Err(HeadFlaw::Fragment)),
        ];
        for (head, wanted) in cases {
            for step in 1..=head.len() {
                assert_eq!(check(head, step), wanted, "{} by {step}", head.escape_ascii());
            }
        }
    }

    #[test]
    fn a_head_is_known_as_one_of_head() {
        for (bytes, wanted) in [
            (&b"HEAD / HTTP/1.1\r\n\r\n"[..], true),
            (b"\r\n\r\nHEAD /a#b HTTP/1.1\r\n\r\n", true),
            (b"HEAD ", true),
            (b"HEAD", false),
            (b"GET /HEAD / HTTP/1.1\r\n", false),
            (b"HEADS / HTTP/1.1\r\n", false),
            (b"XHEAD / HTTP/1.1\r\n", false),
            (b"head / HTTP/1.1\r\n", false),
        ] {
            for step in 1..=bytes.len() {
                let mut check = HeadCheck::done();
                check.restart(1024);
                // Some are refused: that does not change what was asked.
                let _flaw = bytes.chunks(step).try_for_each(|part| check.feed(part));
                assert_eq!(check.is_of_head(), wanted, "{} by {step}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn size_is_refused_before_the_head_ends() {
        let mut long = b"GET /".to_vec();
        long.resize(2000, b'a');
        assert_eq!(check(&long, 100), Err(HeadFlaw::TargetTooLong));
        let mut many = b"GET / HTTP/1.1\r\n".to_vec();
        while many.len() < 2000 {
            many.extend_from_slice(b"x: y\r\n");
        }
        assert_eq!(check(&many, 100), Err(HeadFlaw::TooLarge));
    }
}
