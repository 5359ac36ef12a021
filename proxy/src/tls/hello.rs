//! The first message of a handshake, as the viewer wrote it (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2): what fingerprints are made of.
//! The TLS library reads it too, and refuses what it does not like; here nothing is refused, only not understood. Knows bytes, no sockets.

/// Most bytes of a message that is looked at. Browsers with post-quantum keys send under 2 KiB; the library takes up to 64 KiB.
const MOST: usize = 16 * 1024;
/// Most bytes of records that are kept for it: one that is cut into pieces of a few bytes is not looked at.
const MOST_RAW: usize = 2 * MOST;
/// Largest record in plain text (RFC 8446, 5.1).
const RECORD: usize = 1 << 14;
/// Records of handshake messages.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// What is known after some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The message is not whole yet.
    More,
    /// It is whole, or there is none that is looked at.
    Done,
}

/// Puts the message together from the records that it comes in.
#[derive(Debug, Default)]
pub struct Assembly {
    /// All that was read.
    raw: Vec<u8>,
    /// Where the next record begins in it.
    next: usize,
    message: Vec<u8>,
    hopeless: bool,
}

impl Assembly {
    /// Where the next bytes are to be put.
    pub fn room(&mut self) -> &mut Vec<u8> {
        &mut self.raw
    }

    /// Looks at what was put there.
    pub fn look(&mut self) -> Progress {
        while !self.hopeless && !self.is_whole() {
            let Some(rest) = self.raw.get(self.next..) else { break };
            let &[kind, major, _minor, high, low, ref body @ ..] = rest else {
                self.hopeless = rest.first().is_some_and(|&kind| kind != HANDSHAKE) || self.raw.len() > MOST_RAW;
                break;
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            self.hopeless = kind != HANDSHAKE || major != 3 || length == 0 || length > RECORD;
            // A part of a record tells already what cannot become one.
            let there = body.get(..length.min(body.len())).unwrap_or_default();
            if self.message.is_empty() && there.first().is_some_and(|&kind| kind != CLIENT_HELLO) {
                self.hopeless = true;
            }
            if self.hopeless {
                break;
            }
            if there.len() < length {
                self.hopeless = self.raw.len() > MOST_RAW;
                break;
            }
            self.message.extend_from_slice(there);
            self.next += 5 + length;
            self.hopeless = self.length().is_some_and(|length| length > MOST) || self.raw.len() > MOST_RAW;
        }
        if self.hopeless || self.is_whole() { Progress::Done } else { Progress::More }
    }

    /// The bytes as they came, and what they say.
    #[must_use]
    pub fn finish(self) -> (Vec<u8>, Option<ClientHello>) {
        let hello = if self.hopeless { None } else { self.length().and_then(|end| self.message.get(4..end)) };
        let hello = hello.and_then(ClientHello::parse);
        (self.raw, hello)
    }

    /// How long the message is, with its own head, once it says so.
    fn length(&self) -> Option<usize> {
        let &[_kind, a, b, c, ..] = self.message.as_slice() else { return None };
        usize::try_from(u32::from_be_bytes([0, a, b, c])).ok().map(|length| length + 4)
    }

    fn is_whole(&self) -> bool {
        self.length().is_some_and(|length| self.message.len() >= length)
    }
}

/// What of it makes a fingerprint, in the viewer's order. Values that viewers make up to keep servers tolerant (GREASE,
/// RFC 8701) are left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// `legacy_version`.
    pub version: u16,
    /// Cipher suites.
    pub suites: Vec<u16>,
    /// Extensions by type.
    pub extensions: Vec<u16>,
    /// `supported_groups`.
    pub groups: Vec<u16>,
    /// `ec_point_formats`.
    pub formats: Vec<u8>,
    /// `signature_algorithms`.
    pub signatures: Vec<u16>,
    /// `supported_versions`, if that extension is there.
    pub versions: Option<Vec<u16>>,
    /// First and last byte of the first protocol in ALPN.
    pub protocol: Option<(u8, u8)>,
}

impl ClientHello {
    /// `server_name` (RFC 6066, 3).
    pub const SERVER_NAME: u16 = 0;
    /// `application_layer_protocol_negotiation` (RFC 7301, 3.1).
    pub const ALPN: u16 = 16;

    /// Reads a message without its head. None if its lengths do not fit.
    fn parse(message: &[u8]) -> Option<Self> {
        let mut rest = Cursor(message);
        let mut hello = Self { version: rest.short()?, ..Self::default() };
        let _random = rest.take(32)?;
        let _session = rest.list8()?;
        hello.suites = shorts(rest.list16()?)?;
        let _compressions = rest.list8()?;
        if rest.0.is_empty() {
            return Some(hello);
        }
        let mut extensions = Cursor(rest.list16()?);
        while !extensions.0.is_empty() {
            let kind = extensions.short()?;
            let body = Cursor(extensions.list16()?);
            if !is_grease(kind) {
                hello.extensions.push(kind);
                hello.extension(kind, body)?;
            }
        }
        rest.0.is_empty().then_some(hello)
    }

    fn extension(&mut self, kind: u16, mut body: Cursor<'_>) -> Option<()> {
        match kind {
            // RFC 8422, 5.1.1 and 5.1.2; RFC 8446, 4.2.3 and 4.2.1.
            10 => self.groups = shorts(body.list16()?)?,
            11 => self.formats = body.list8()?.to_vec(),
            13 => self.signatures = shorts(body.list16()?)?,
            43 => self.versions = Some(shorts(body.list8()?)?),
            Self::ALPN => {
                let first = Cursor(body.list16()?).list8().unwrap_or_default();
                self.protocol = first.first().copied().zip(first.last().copied());
            }
            _ => {}
        }
        Some(())
    }
}

/// Whether a value means nothing (RFC 8701, section 2): both bytes are the same and end in `a`.
fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

fn shorts(bytes: &[u8]) -> Option<Vec<u16>> {
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    let values = pairs.map(|pair| pair.iter().fold(0, |value, &byte| value << 8 | u16::from(byte)));
    Some(values.filter(|&value| !is_grease(value)).collect())
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// Bytes after one that says how many.
    fn list8(&mut self) -> Option<&'a [u8]> {
        let &[length] = self.take(1)? else { return None };
        self.take(length.into())
    }

    /// Bytes after two that say how many.
    fn list16(&mut self) -> Option<&'a [u8]> {
        let length = self.short()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests;
