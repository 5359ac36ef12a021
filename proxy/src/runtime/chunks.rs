//! Looks at the lines of a chunked body as they come off the wire (RFC 9112, 7.1): sizes, extensions and trailers.
//!
//! pingora takes a bare line feed in an extension for part of it; some servers take it for the end of the line, which is how
//! a request is hidden in a chunk. Sizes themselves are pingora's to check: what is not understood here is left to it.
//! pingora drops trailers without a look, so theirs is here: what is no field is no trailer either.

use super::head::HeadFlaw;

/// Longest line of a size and its extensions, or of a trailer, in bytes.
const MAX_LINE: usize = 4096;
/// Largest trailer section, in bytes: nobody gets it.
const MAX_TRAILERS: usize = 16 * 1024;

/// Progress through one chunked body.
#[derive(Debug)]
pub struct ChunkCheck {
    part: Part,
    /// The size that the current line has said so far.
    size: u64,
    /// The size's digits are over: an extension, or the end of the line.
    sized: bool,
    previous: u8,
    line: usize,
    /// The name of the trailer field is over.
    named: bool,
    /// Bytes of the trailer section.
    trailers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Size,
    /// So many bytes of data, then the end of its line.
    Data(u64),
    Trailer,
    Done,
}

impl Default for ChunkCheck {
    fn default() -> Self {
        Self { part: Part::Size, size: 0, sized: false, previous: 0, line: 0, named: false, trailers: 0 }
    }
}

impl ChunkCheck {
    /// Whether more of the body is expected.
    #[must_use]
    pub fn active(&self) -> bool {
        self.part != Part::Done
    }

    /// Looks at the next bytes off the wire.
    ///
    /// # Errors
    /// A line feed without a carriage return before it, a line that is too long, a chunk without a size, a trailer that is no
    /// field.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), HeadFlaw> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.part {
                Part::Done => return Ok(()),
                Part::Data(left) if left > 0 => {
                    let skip = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.part = Part::Data(left - u64::try_from(skip).unwrap_or(left));
                    bytes = bytes.get(skip..).unwrap_or_default();
                    continue;
                }
                Part::Data(_) => match byte {
                    b'\r' => {}
                    b'\n' => *self = Self::default(),
                    // Not what was announced: pingora refuses it.
                    _ => self.part = Part::Done,
                },
                Part::Size | Part::Trailer => self.line_byte(byte)?,
            }
            bytes = rest;
        }
        Ok(())
    }

    fn line_byte(&mut self, byte: u8) -> Result<(), HeadFlaw> {
        if byte == b'\n' {
            if self.previous != b'\r' {
                return Err(HeadFlaw::BareLineFeed);
            }
            // The carriage return is part of the line.
            let empty = self.line == 1;
            self.part = match self.part {
                Part::Size if self.size == 0 => Part::Trailer,
                Part::Size => Part::Data(self.size),
                Part::Trailer if empty => Part::Done,
                Part::Trailer if !self.named => return Err(HeadFlaw::Trailer),
                other => other,
            };
            (self.line, self.previous, self.named) = (0, byte, false);
            return Ok(());
        }
        self.line += 1;
        if self.line > MAX_LINE {
            return Err(HeadFlaw::TooLarge);
        }
        if self.part == Part::Size && !self.sized {
            match char::from(byte).to_digit(16) {
                None if self.line == 1 => return Err(HeadFlaw::ChunkSize),
                Some(digit) => self.size = self.size.saturating_mul(16).saturating_add(u64::from(digit)),
                None => self.sized = true,
            }
        }
        if self.part == Part::Trailer {
            self.trailer_byte(byte)?;
        }
        self.previous = byte;
        Ok(())
    }

    /// A byte of a trailer's line: `name: value`, as in a head (RFC 9112, section 5).
    fn trailer_byte(&mut self, byte: u8) -> Result<(), HeadFlaw> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS {
            return Err(HeadFlaw::TooLarge);
        }
        let fits = match byte {
            _ if self.previous == b'\r' => false,
            b'\r' => self.named || self.line == 1,
            b':' if !self.named => {
                self.named = true;
                self.line > 1
            }
            _ if self.named => matches!(byte, b'\t' | 0x20..=0x7e | 0x80..),
            _ => is_token(byte),
        };
        if fits { Ok(()) } else { Err(HeadFlaw::Trailer) }
    }
}

/// Whether names of fields have it (RFC 9110, 5.6.2: `tchar`).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8], step: usize) -> Result<bool, HeadFlaw> {
        let mut check = ChunkCheck::default();
        for part in body.chunks(step) {
            check.feed(part)?;
        }
        Ok(!check.active())
    }

    #[test]
    fn trailers_have_an_end() {
        let mut body = b"0\r\n".to_vec();
        while body.len() < 2 * MAX_TRAILERS {
            body.extend_from_slice(b"x: y\r\n");
        }
        assert_eq!(check(&body, 100), Err(HeadFlaw::TooLarge));
    }

    #[test]
    fn rfc9112_7_1_lines_end_with_both_bytes_however_they_are_cut() {
        let cases: [(&[u8], Result<bool, HeadFlaw>); 20] = [
            (b"\r\ndata\r\n0\r\n\r\n", Err(HeadFlaw::ChunkSize)),
            (b";x\r\n\r\n", Err(HeadFlaw::ChunkSize)),
            (b"0\r\n\r\n", Ok(true)),
            (b"4\r\na\nb\r\r\n0\r\n\r\n", Ok(true)),
            (b"1A;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx: y\r\n\r\n", Ok(true)),
            (b"4\r\nabcd\r\n", Ok(false)),
            (b"4;a\nb\r\ndata\r\n0\r\n\r\n", Err(HeadFlaw::BareLineFeed)),
            (b"4\ndata\r\n0\r\n\r\n", Err(HeadFlaw::BareLineFeed)),
            (b"0\r\nx: y\n\r\n", Err(HeadFlaw::BareLineFeed)),
            (b"0\r\nx:y\r\nx-b:\r\nX!1: \xe4: \t;\r\n\r\n", Ok(true)),
            (b"0\r\nx y\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\nxy\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\n: y\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\nx : y\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\nx: y\r\n z\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\n x: y\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\nx: y\rz: a\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\nx: a\0b\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\n\rx: y\r\n\r\n", Err(HeadFlaw::Trailer)),
            (b"0\r\nGET /evil HTTP/1.1\r\n\r\n", Err(HeadFlaw::Trailer)),
        ];
        for (body, wanted) in cases {
            for step in 1..=body.len() {
                assert_eq!(check(body, step), wanted, "{} by {step}", body.escape_ascii());
            }
        }
    }
}
