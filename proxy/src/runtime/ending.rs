//! How a connection ends: whether what was written is a whole answer, whether the viewer may still be at its own words, and
//! what is said for a head that the flow never saw.

use std::fmt::Display;
use std::sync::atomic::{AtomicU8, Ordering};

/// The answer is not over, or cut off: nothing must say that this is its end (a body may end with its connection).
const OPEN: u8 = 0;
/// What is written from now on is the last of the answer. How it ends is as [`OPEN`].
const LAST: u8 = 1;
/// The answer is whole.
const WHOLE: u8 = 2;
/// As [`WHOLE`], and the viewer may still send: closing waits until it has read the answer (RFC 9112, 9.6).
const LINGERS: u8 = 3;

/// How the connection ends if it ended now. Shared by the connection and its requests.
#[derive(Debug, Default)]
pub struct Ending(AtomicU8);

impl Ending {
    /// A new request, or an answer that was cut off.
    pub fn reset(&self) {
        self.0.store(OPEN, Ordering::Relaxed);
    }

    /// Nothing of the answer is awaited any more: what is left of it is written now.
    pub fn last(&self) {
        self.0.fetch_max(LAST, Ordering::Relaxed);
    }

    /// Whether nothing is awaited any more, of the answer or of what was asked.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), LAST | WHOLE)
    }

    /// The answer was written to its end.
    pub fn whole(&self) {
        self.0.fetch_max(WHOLE, Ordering::Relaxed);
    }

    /// When the connection closes, it reads on for a moment, so that the viewer gets to read its answer.
    pub fn linger(&self) {
        self.0.fetch_max(LINGERS, Ordering::Relaxed);
    }

    /// Whether the answer is whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= WHOLE
    }

    /// Whether to linger.
    #[must_use]
    pub fn lingers(&self) -> bool {
        self.0.load(Ordering::Relaxed) == LINGERS
    }
}

/// The whole answer of a connection that closes over a head the flow never saw, without its body for `HEAD`.
#[must_use]
pub fn last_word<D: Display>(status: u16, date: impl FnOnce() -> D, of_head: bool) -> Option<Vec<u8>> {
    let reason = match status {
        400 => "Bad Request",
        408 => "Request Timeout",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        504 => "Gateway Timeout",
        _ => return None,
    };
    let date = date();
    let body = format!("{{\"message\":\"{reason}\"}}");
    let length = body.len();
    let body = if of_head { "" } else { &body };
    Some(
        format!(
            "HTTP/1.1 {status} {reason}\r\nServer: edgeweir\r\nDate: {date}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_whole_answers() {
        let word = |status, of_head| last_word(status, || "then", of_head).map(|word| String::from_utf8(word).unwrap());
        let said = word(408, false).unwrap();
        assert!(said.starts_with("HTTP/1.1 408 Request Timeout\r\n") && said.contains("\r\nDate: then\r\n"), "{said}");
        assert!(
            said.ends_with("Content-Length: 29\r\nConnection: close\r\n\r\n{\"message\":\"Request Timeout\"}"),
            "{said}"
        );
        assert!(word(408, true).unwrap().ends_with("Content-Length: 29\r\nConnection: close\r\n\r\n"));
        assert_eq!((word(0, false), word(200, false)), (None, None));
    }

    #[test]
    fn only_more_is_said_of_one_answer() {
        let ending = Ending::default();
        assert!(!ending.is_whole() && !ending.is_last());
        ending.last();
        assert!(!ending.is_whole() && ending.is_last());
        ending.whole();
        assert!(ending.is_whole() && ending.is_last());
        ending.linger();
        ending.last();
        assert!(ending.lingers() && ending.is_whole() && !ending.is_last());
        ending.reset();
        assert!(!ending.lingers() && !ending.is_whole());
    }
}
