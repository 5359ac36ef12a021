//! A writer of one flat JSON object into a byte buffer: no value tree, no allocation besides the buffer.
//!
//! It writes valid JSON (RFC 8259) whatever bytes come in: what is not UTF-8 becomes U+FFFD, control characters are
//! escaped, so that a line stays a line and a terminal stays as it was.

use std::fmt::Display;
use std::io::Write as _;

/// Longest text of one field in bytes; the rest is cut and marked with `…`. A viewer cannot make lines of any size.
pub(super) const MAX_TEXT: usize = 8_192;

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object<'a> {
    buffer: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Opens an object at the end of `buffer`.
    pub(super) fn open(buffer: &'a mut Vec<u8>) -> Self {
        buffer.push(b'{');
        Self { buffer, empty: true }
    }

    /// Closes the object.
    pub(super) fn close(self) {
        self.buffer.push(b'}');
    }

    /// The key of the next field; `name` needs no escaping.
    pub(super) fn key(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !self.empty {
            self.buffer.push(b',');
        }
        self.empty = false;
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
        self.buffer
    }

    /// A text field of any bytes.
    pub(super) fn text(&mut self, name: &'static str, value: &[u8]) {
        text(self.key(name), value);
    }

    /// A text field, if there is one.
    pub(super) fn maybe(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value.as_bytes());
        }
    }

    /// A number.
    pub(super) fn number(&mut self, name: &'static str, value: u64) {
        number(self.key(name), value);
    }

    /// A text field of something whose text needs no escaping (addresses).
    pub(super) fn plain(&mut self, name: &'static str, value: impl Display) {
        let buffer = self.key(name);
        // Writing into a Vec cannot fail.
        let _infallible = write!(buffer, "\"{value}\"");
    }
}

/// Appends a JSON string.
pub(super) fn text(buffer: &mut Vec<u8>, value: &[u8]) {
    buffer.push(b'"');
    fragment(buffer, value);
    buffer.push(b'"');
}

/// Appends the inside of a JSON string, cut after [`MAX_TEXT`] bytes.
pub(super) fn fragment(buffer: &mut Vec<u8>, value: &[u8]) {
    let (kept, cut) = match value.get(..MAX_TEXT) {
        Some(kept) if value.len() > MAX_TEXT => (kept, true),
        _ => (value, false),
    };
    if kept.iter().all(|&byte| is_plain(byte)) {
        buffer.extend_from_slice(kept);
    } else {
        escape(buffer, kept);
    }
    if cut {
        buffer.extend_from_slice("…".as_bytes());
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn escape(buffer: &mut Vec<u8>, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => buffer.extend_from_slice(b"\\\""),
                '\\' => buffer.extend_from_slice(b"\\\\"),
                '\n' => buffer.extend_from_slice(b"\\n"),
                '\r' => buffer.extend_from_slice(b"\\r"),
                '\t' => buffer.extend_from_slice(b"\\t"),
                // C0, DEL and C1; the line separators U+2028/9 end lines for some readers.
                other if other.is_control() || matches!(other, '\u{2028}' | '\u{2029}') => {
                    let _infallible = write!(buffer, "\\u{:04x}", u32::from(other));
                }
                other => buffer.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            buffer.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Appends a number.
pub(super) fn number(buffer: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    for slot in digits.iter_mut().rev() {
        // A remainder of ten is one digit.
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    buffer.extend_from_slice(digits.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(value: &[u8]) -> String {
        let mut buffer = Vec::new();
        text(&mut buffer, value);
        serde_json::from_slice(&buffer).unwrap()
    }

    #[test]
    fn text_that_is_not_utf8_is_replaced() {
        assert_eq!(parsed(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(parsed("Zürich \"\\\n\u{85}\u{2028}".as_bytes()), "Zürich \"\\\n\u{85}\u{2028}");
    }

    #[test]
    fn long_text_is_cut() {
        let long = vec![b'a'; MAX_TEXT + 1];
        let cut = parsed(&long);
        assert_eq!(cut.len(), MAX_TEXT + '…'.len_utf8());
        assert_eq!(parsed(&long[..MAX_TEXT]).len(), MAX_TEXT);
        // The cut may fall into a character.
        assert!(parsed("ü".repeat(MAX_TEXT).as_bytes()).ends_with('…'));
        assert!(parsed(format!("a{}", "ü".repeat(MAX_TEXT)).as_bytes()).ends_with("\u{fffd}…"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_one_line_of_valid_json(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut buffer = Vec::new();
            text(&mut buffer, &value);
            prop_assert!(!buffer.iter().any(|&byte| byte < 0x20 || byte == 0x7f));
            let back: String = serde_json::from_slice(&buffer).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&value));
        }

        #[test]
        fn numbers(value in any::<u64>()) {
            let mut buffer = Vec::new();
            number(&mut buffer, value);
            prop_assert_eq!(buffer, value.to_string().into_bytes());
        }
    }
}
