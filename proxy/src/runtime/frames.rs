//! Looks at the headers of HTTP/2 frames as they pass, and says when a viewer asks for more work than it is worth.
//!
//! h2 bounds what a connection keeps (streams, heads, continuations, answers to PING and SETTINGS) and ends connections that
//! reset streams before they were looked at. What it lets pass is work without end over a long time: requests that are
//! started and reset (CVE-2023-44487), frames that are answered or cost something and carry nothing (CVE-2019-9512, 9513,
//! 9515, 9517). These have rates here. Knows no socket; the time is passed in.

/// Bytes of a frame header (RFC 9113, section 4.1).
const HEADER: usize = 9;
/// Bytes of the client's preface (RFC 9113, section 3.4).
const PREFACE: u32 = 24;
/// A grant of window that comes after fewer bytes than these were sent is counted.
const WORTH_A_GRANT: u64 = 256;
/// How many times a second's worth may come at once.
const BURST: u32 = 10;

/// What a second may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Streams that the viewer resets.
    pub resets: u32,
    /// PING, SETTINGS, PRIORITY, unknown frames, and grants of window that nothing was sent for.
    pub control: u32,
}

/// What there was too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Streams that were reset.
    Resets,
    /// Other frames.
    Control,
}

impl Flood {
    /// As metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resets => "http2-resets",
            Self::Control => "http2-control-frames",
        }
    }
}

/// GOAWAY with `ENHANCE_YOUR_CALM` (RFC 9113, sections 6.8 and 7). It names no stream: whatever was in work ends with the
/// connection.
pub const CALM_DOWN: [u8; HEADER + 8] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11];
/// The code in it.
const ENHANCE_YOUR_CALM: u32 = 11;
/// So many bytes of a GOAWAY are kept: stream, code, and the longest reason that is told apart.
const FAREWELL: usize = 8 + 24;
/// `GOAWAY` (RFC 9113, section 6).
const GOAWAY: u8 = 7;
/// `HEADERS`.
const HEADERS: u8 = 1;

/// What a walk comes by.
enum Seen<'a> {
    /// A frame of this type, on this stream.
    Frame(u8, u32),
    /// Some of the payload of a frame of this type.
    Payload(u8, &'a [u8]),
}

/// Finds the headers of frames in a stream of bytes.
#[derive(Debug, Default)]
struct Walker {
    header: [u8; HEADER],
    /// Bytes of the header that are there.
    have: usize,
    /// Bytes of the payload that are still to come.
    rest: u32,
}

impl Walker {
    fn walk(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Seen<'_>)) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skip = usize::try_from(self.rest).unwrap_or(usize::MAX).min(bytes.len());
                self.rest -= u32::try_from(skip).unwrap_or(self.rest);
                let (part, others) = bytes.split_at(skip);
                seen(Seen::Payload(self.header[3], part));
                bytes = others;
                continue;
            }
            let take = (HEADER - self.have).min(bytes.len());
            let (new, others) = bytes.split_at(take);
            if let Some(room) = self.header.get_mut(self.have..self.have + take) {
                room.copy_from_slice(new);
            }
            self.have += take;
            bytes = others;
            if self.have == HEADER {
                let [a, b, c, kind, _flags, stream @ ..] = self.header;
                self.rest = u32::from_be_bytes([0, a, b, c]);
                self.have = 0;
                seen(Seen::Frame(kind, u32::from_be_bytes(stream) & 0x7fff_ffff));
            }
        }
    }

    /// Whether a frame could begin here.
    fn between(&self) -> bool {
        self.rest == 0 && self.have == 0
    }
}

/// So many a second, ten times as many at once.
#[derive(Debug)]
struct Bucket {
    rate: u32,
    left: u32,
    /// When it was filled last, in milliseconds.
    filled: u64,
}

impl Bucket {
    fn new(rate: u32) -> Self {
        Self { rate, left: rate.saturating_mul(BURST), filled: 0 }
    }

    fn take(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.filled);
        if passed > 0 {
            let more = passed.saturating_mul(u64::from(self.rate)) / 1000;
            if more > 0 {
                self.filled = now;
                let full = self.rate.saturating_mul(BURST);
                self.left = self.left.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)).min(full);
            }
        }
        self.left.checked_sub(1).map(|left| self.left = left).is_some()
    }
}

/// The frames of one connection.
#[derive(Debug)]
pub struct Frames {
    read: Walker,
    written: Walker,
    /// Bytes sent since the last grant of window.
    sent: u64,
    /// The last stream that the viewer opened.
    last: u32,
    /// Something was written: the first must be the edge's SETTINGS (RFC 9113, section 3.4).
    greeted: bool,
    /// The viewer was told that the connection ends.
    told: bool,
    /// What it was told: the start of the last GOAWAY that was written.
    farewell: Vec<u8>,
    resets: Bucket,
    control: Bucket,
}

impl Frames {
    /// Of a connection whose preface has not been read.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            read: Walker { rest: PREFACE, ..Walker::default() },
            written: Walker::default(),
            sent: 0,
            last: 0,
            greeted: false,
            told: false,
            farewell: Vec::new(),
            resets: Bucket::new(limits.resets),
            control: Bucket::new(limits.control),
        }
    }

    /// Looks at what was read. `now` is in milliseconds of any clock that never goes back.
    ///
    /// # Errors
    /// What there is too much of.
    pub fn read(&mut self, bytes: &[u8], now: impl Fn() -> u64) -> Result<(), Flood> {
        let Self { read, resets, control, sent, last, .. } = self;
        let mut flood = None;
        read.walk(bytes, |seen| {
            let Seen::Frame(kind, stream) = seen else { return };
            let fits = match kind {
                // DATA, HEADERS, CONTINUATION: h2 counts them.
                HEADERS => {
                    *last = stream.max(*last);
                    return;
                }
                0 | 9 => return,
                3 => resets.take(now()),
                8 => std::mem::take(sent) >= WORTH_A_GRANT || control.take(now()),
                _ => control.take(now()),
            };
            if !fits {
                flood = Some(if kind == 3 { Flood::Resets } else { Flood::Control });
            }
        });
        flood.map_or(Ok(()), Err)
    }

    /// Looks at what is written.
    pub fn written(&mut self, bytes: &[u8]) {
        self.sent = self.sent.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let Self { written, greeted, told, farewell, .. } = self;
        written.walk(bytes, |seen| match seen {
            Seen::Frame(GOAWAY, _stream) => {
                (*greeted, *told) = (true, true);
                farewell.clear();
            }
            Seen::Frame(..) => *greeted = true,
            Seen::Payload(GOAWAY, part) => {
                let room = FAREWELL.saturating_sub(farewell.len()).min(part.len());
                farewell.extend_from_slice(part.get(..room).unwrap_or_default());
            }
            Seen::Payload(..) => {}
        });
    }

    /// Why h2 itself ended the connection, if the viewer asked too much of it (RFC 9113, section 7: `ENHANCE_YOUR_CALM`). Its
    /// reason is in the debug data: streams that were reset before anybody looked at them, or that it had to reset.
    #[must_use]
    pub fn calmed(&self) -> Option<Flood> {
        let (code, reason) = self.farewell.get(4..)?.split_first_chunk::<4>()?;
        let resets = reason.starts_with(b"too_many_resets") || reason.starts_with(b"too_many_internal_resets");
        (u32::from_be_bytes(*code) == ENHANCE_YOUR_CALM).then_some(if resets { Flood::Resets } else { Flood::Control })
    }

    /// What a connection says that closes without a fault: GOAWAY with `NO_ERROR` and the last stream that was seen, so that the
    /// viewer knows which requests it can send again (RFC 9113, section 6.8). None if it was said, or a frame is half written.
    #[must_use]
    pub fn goodbye(&self) -> Option<[u8; HEADER + 8]> {
        if !self.greeted || self.told || !self.between() {
            return None;
        }
        let mut frame = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        if let Some(last) = frame.get_mut(HEADER..HEADER + 4) {
            last.copy_from_slice(&self.last.to_be_bytes());
        }
        Some(frame)
    }

    /// Whether a frame of our own can be written now.
    #[must_use]
    pub fn between(&self) -> bool {
        self.written.between()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { resets: 5, control: 3 };

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn connected() -> Frames {
        let mut frames = Frames::new(LIMITS);
        frames.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || 0).unwrap();
        frames
    }

    /// So many of these frames pass.
    fn pass(frames: &mut Frames, bytes: &[u8], now: u64) -> usize {
        (0..1000).take_while(|_| frames.read(bytes, || now).is_ok()).count()
    }

    #[test]
    fn ten_seconds_worth_passes_at_once_and_then_the_rate() {
        let mut frames = connected();
        let (reset, ping) = (frame(3, &[0; 4]), frame(6, &[0; 8]));
        assert_eq!((pass(&mut frames, &reset, 0), pass(&mut frames, &ping, 0)), (50, 30));
        assert_eq!(frames.read(&reset, || 0), Err(Flood::Resets));
        assert_eq!(frames.read(&ping, || 0), Err(Flood::Control));
        assert_eq!((pass(&mut frames, &reset, 2_000), pass(&mut frames, &ping, 2_000)), (10, 6));
        assert_eq!(pass(&mut frames, &reset, 1_000_000), 50);
    }

    #[test]
    fn what_h2_ends_a_connection_for_is_told_apart() {
        let goaway = |code: u32, reason: &str| {
            frame(GOAWAY, &[&[0, 0, 0, 9], code.to_be_bytes().as_slice(), reason.as_bytes()].concat())
        };
        for (bytes, wanted) in [
            (goaway(11, "too_many_resets"), Some(Flood::Resets)),
            (goaway(11, "too_many_internal_resets"), Some(Flood::Resets)),
            (goaway(11, "too_many_data_frames"), Some(Flood::Control)),
            (goaway(11, ""), Some(Flood::Control)),
            (goaway(0, ""), None),
            (goaway(1, "too_many_resets"), None),
            (frame(0, &[11; 40]), None),
        ] {
            for step in 1..=bytes.len() {
                let mut frames = connected();
                bytes.chunks(step).for_each(|part| frames.written(part));
                assert_eq!(frames.calmed(), wanted, "{} by {step}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn time_in_small_steps_is_not_lost() {
        let mut frames = connected();
        let ping = frame(6, &[0; 8]);
        pass(&mut frames, &ping, 0);
        let passed: usize = (1..=1000_u64).map(|step| usize::from(frames.read(&ping, || step * 10).is_ok())).sum();
        assert!((29..=30).contains(&passed), "{passed} in ten seconds");
    }

    #[test]
    fn requests_and_bodies_are_not_counted() {
        let mut frames = connected();
        for kind in [0, 1, 9] {
            assert_eq!(pass(&mut frames, &frame(kind, &[7; 300]), 0), 1000);
        }
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for _ in 0..31 {
            bytes.extend(frame(0, &[6; 100]));
            bytes.extend(frame(6, &[3; 8]));
        }
        for size in [1, 2, 7, 9, 10, 64, 5000] {
            let mut frames = Frames::new(LIMITS);
            let refused = bytes.chunks(size).position(|part| frames.read(part, || 0).is_err());
            // The header of the 31st PING ends 8 bytes before the end.
            assert_eq!(refused, Some((bytes.len() - 9) / size), "in parts of {size}");
        }
    }

    #[test]
    fn a_grant_of_window_counts_unless_something_was_sent_for_it() {
        let mut frames = connected();
        let grant = frame(8, &[0, 0, 0, 1]);
        for _ in 0..1000 {
            frames.written(&frame(0, &[0; 300]));
            frames.read(&grant, || 0).unwrap();
        }
        let dribble = (0..1000).take_while(|_| {
            frames.written(&frame(0, &[0; 1]));
            frames.read(&grant, || 0).is_ok()
        });
        assert_eq!(dribble.count(), 30);
    }

    #[test]
    fn goodbye_is_said_once_between_frames_and_names_the_last_stream() {
        let mut frames = connected();
        assert_eq!(frames.goodbye(), None, "SETTINGS come first");
        frames.written(&frame(4, &[]));
        assert_eq!(frames.goodbye(), Some([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        let mut head = frame(HEADERS, &[7; 30]);
        head[7] = 2;
        head[8] = 5;
        frames.read(&head, || 0).unwrap();
        frames.read(&frame(HEADERS, &[7; 30]), || 0).unwrap();
        assert_eq!(frames.goodbye().expect("words")[9..], [0, 0, 2, 5, 0, 0, 0, 0]);
        frames.written(&frame(0, &[0; 9])[..4]);
        assert_eq!(frames.goodbye(), None);
        frames.written(&frame(0, &[0; 9])[4..]);
        assert!(frames.goodbye().is_some());
        frames.written(&frame(GOAWAY, &[0; 8]));
        assert_eq!(frames.goodbye(), None);
    }

    #[test]
    fn a_last_frame_is_written_between_frames_only() {
        let mut frames = connected();
        let data = frame(0, &[0; 20]);
        assert!(frames.between());
        frames.written(&data[..12]);
        assert!(!frames.between());
        frames.written(&data[12..]);
        assert!(frames.between());
        frames.written(&data[..4]);
        assert!(!frames.between());
    }
}
