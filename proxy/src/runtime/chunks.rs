//! Looks at the lines of a chunked body as they come off the wire (RFC 9112, 7.1): sizes, extensions and trailers.
//!
//! pingora takes a bare line feed in an extension for part of it; some servers take it for the end of the line, which is how
//! a request is hidden in a chunk. Sizes themselves are pingora's to check: what is not understood here is left to it.

use super::head::HeadFlaw;

/// Longest line of a size and its extensions, or of a trailer, in bytes.
const MAX_LINE: usize = 4096;

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
        Self { part: Part::Size, size: 0, sized: false, previous: 0, line: 0 }
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
    /// A line feed without a carriage return before it, a line that is too long, a chunk without a size.
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
                other => other,
            };
            (self.line, self.previous) = (0, byte);
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
        self.previous = byte;
        Ok(())
    }
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
    fn rfc9112_7_1_lines_end_with_both_bytes_however_they_are_cut() {
        let cases: [(&[u8], Result<bool, HeadFlaw>); 9] = [
            (b"\r\ndata\r\n0\r\n\r\n", Err(HeadFlaw::ChunkSize)),
            (b";x\r\n\r\n", Err(HeadFlaw::ChunkSize)),
            (b"0\r\n\r\n", Ok(true)),
            (b"4\r\na\nb\r\r\n0\r\n\r\n", Ok(true)),
            (b"1A;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx: y\r\n\r\n", Ok(true)),
            (b"4\r\nabcd\r\n", Ok(false)),
            (b"4;a\nb\r\ndata\r\n0\r\n\r\n", Err(HeadFlaw::BareLineFeed)),
            (b"4\ndata\r\n0\r\n\r\n", Err(HeadFlaw::BareLineFeed)),
            (b"0\r\nx: y\n\r\n", Err(HeadFlaw::BareLineFeed)),
        ];
        for (body, wanted) in cases {
            for step in 1..=body.len() {
                assert_eq!(check(body, step), wanted, "{} by {step}", body.escape_ascii());
            }
        }
    }
}
