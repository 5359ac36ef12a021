//! The values of `RateLimit-Policy`, `RateLimit` and `Retry-After`. Must not know an HTTP library, nor choose what is told.
//!
//! The first two follow draft-ietf-httpapi-ratelimit-headers-11 (May 2026): each is a list of items, so several levels can
//! be joined with `, `. What the viewer is told is a hint (section 8.3), and shared levels disclose the site's capacity
//! (section 8.2): the caller chooses which levels it names. All numbers are integers; `Retry-After` and `t` say the same
//! when both come from one refusal, because the former may not be the earlier (section 6).

use std::fmt::{self, Write};

use smallvec::SmallVec;

use crate::throttle::Throttle;
use crate::ticket::{Refused, Standing};
use crate::time::Nanos;

/// The largest Integer of structured fields (RFC 9651 section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// One item of `RateLimit-Policy` (draft section 3): `"name";q=100;w=60`.
///
/// `q` is the burst and `w` the seconds (at least 1, rounded up) in which an empty bucket fills, so that `q` per `w` is
/// the rate. A bucket that fills faster than once in a second is told as its rate: `q` requests in `w=1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy<'a> {
    name: &'a str,
    quota: u64,
    window: u64,
}

impl<'a> Policy<'a> {
    /// `name` is shown to viewers; see [`Limit::new`] for what it may hold.
    #[must_use]
    pub fn new(name: &'a str, throttle: &Throttle) -> Self {
        let (rate, burst) = (throttle.rate(), f64::from(throttle.burst()));
        // Just below 1, so that the noise of the division (49 / 0.49) adds no second.
        let window = (burst / rate * (1.0 - 1e-12)).ceil();
        let quota = if rate > burst { rate.floor() } else { burst };
        // `as` saturates, also for an infinite window.
        Self { name, quota: (quota as u64).min(MAX_INTEGER), window: (window as u64).clamp(1, MAX_INTEGER) }
    }
}

impl Item for Policy<'_> {
    fn write(&self, text: &mut Text) {
        text.string(self.name);
        text.parameter(b";q=", self.quota);
        text.parameter(b";w=", self.window);
    }
}

/// One item of `RateLimit-Policy` for requests at once: `"name";q=10;qu="concurrent-requests"` (draft section 3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtOnce<'a> {
    /// Shown to viewers; see [`Limit::new`] for what it may hold.
    pub name: &'a str,
    /// How many at once.
    pub limit: u32,
}

impl Item for AtOnce<'_> {
    fn write(&self, text: &mut Text) {
        text.string(self.name);
        text.parameter(b";q=", u64::from(self.limit));
        text.0.extend_from_slice(b";qu=\"concurrent-requests\"");
    }
}

/// One item of `RateLimit` (draft section 4): `"name";r=50;t=30`.
///
/// `t` is the time until more tokens than `r` can be used: seconds, rounded up, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<'a> {
    name: &'a str,
    remaining: u32,
    window: u64,
}

impl<'a> Limit<'a> {
    /// `remaining` tokens can be used until `window` has passed.
    ///
    /// `name` becomes a String of structured fields, which is printable ASCII (RFC 9651 section 3.3.3); any other character
    /// is written as `?`.
    #[must_use]
    pub fn new(name: &'a str, remaining: u32, window: Nanos) -> Self {
        Self { name, remaining, window: retry_after(window) }
    }

    /// For the answer to a request that was let through.
    #[must_use]
    pub fn of(name: &'a str, standing: &Standing) -> Self {
        Self::new(name, standing.remaining, standing.next_after)
    }

    /// For a refusal; `None` if there will never be room, as no `t` would be true.
    #[must_use]
    pub fn refused(name: &'a str, refused: &Refused) -> Option<Self> {
        Some(Self::new(name, refused.remaining, refused.retry_after?))
    }
}

impl Item for Limit<'_> {
    fn write(&self, text: &mut Text) {
        text.string(self.name);
        text.parameter(b";r=", u64::from(self.remaining));
        text.parameter(b";t=", self.window);
    }
}

/// The value of `Retry-After` in its delay-seconds form (RFC 9110 section 10.2.3): rounded up, at least 1.
#[must_use]
pub const fn retry_after(wait: Nanos) -> u64 {
    let seconds = wait.as_secs_ceil();
    if seconds == 0 { 1 } else { seconds }
}

/// An item of one of the fields.
pub trait Item {
    /// Appends it.
    fn write(&self, text: &mut Text);

    /// It alone: printable ASCII. Each answer to a keyed viewer has two, so they are written without `fmt`.
    fn text(&self) -> Text {
        let mut text = Text::default();
        self.write(&mut text);
        text
    }
}

/// The value of a field as it is written. Values of usual length need no allocation.
#[derive(Debug, Default)]
pub struct Text(SmallVec<[u8; 96]>);

impl Text {
    /// The bytes, all of them printable ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Serialises a String (RFC 9651 section 4.1.6).
    fn string(&mut self, text: &str) {
        self.0.push(b'"');
        for char in text.chars() {
            match char {
                '"' | '\\' => self.0.extend_from_slice(&[b'\\', char as u8]),
                ' '..='~' => self.0.push(char as u8),
                _ => self.0.push(b'?'),
            }
        }
        self.0.push(b'"');
    }

    fn parameter(&mut self, name: &[u8], mut value: u64) {
        self.0.extend_from_slice(name);
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] += (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[first..]);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| f.write_char(char::from(byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(rate: f64, burst: u32) -> String {
        Policy::new("plan", &Throttle::new(rate, burst).unwrap()).text().to_string()
    }

    #[test]
    fn policies_tell_the_rate() {
        assert_eq!(policy(10.0, 100), r#""plan";q=100;w=10"#);
        assert_eq!(policy(1.0, 2), r#""plan";q=2;w=2"#);
        assert_eq!(policy(0.5, 1), r#""plan";q=1;w=2"#);
        assert_eq!(policy(0.49, 49), r#""plan";q=49;w=100"#);
        assert_eq!(policy(10_000.0, 5000), r#""plan";q=10000;w=1"#);
        assert_eq!(policy(3.0, 10), r#""plan";q=10;w=4"#);
        assert_eq!(policy(2.5, 2), r#""plan";q=2;w=1"#);
        assert_eq!(policy(f64::MAX, 1), r#""plan";q=999999999999999;w=1"#);
        assert_eq!(policy(0.0, 0), r#""plan";q=0;w=1"#);
        assert_eq!(policy(5e-324, u32::MAX), r#""plan";q=4294967295;w=999999999999999"#);
    }

    #[test]
    fn requests_at_once_have_their_unit() {
        let policy = AtOnce { name: "behavior", limit: 7 };
        assert_eq!(policy.text().to_string(), r#""behavior";q=7;qu="concurrent-requests""#);
    }

    #[test]
    fn limits_are_whole_seconds() {
        assert_eq!(Limit::new("key", 50, Nanos::from_secs(30)).text().to_string(), r#""key";r=50;t=30"#);
        assert_eq!(Limit::new("key", 0, Nanos(1)).text().to_string(), r#""key";r=0;t=1"#);
        assert_eq!(Limit::new("key", 9, Nanos::ZERO).text().to_string(), r#""key";r=9;t=1"#);
    }

    #[test]
    fn retry_after_rounds_up_and_is_never_zero() {
        assert_eq!(retry_after(Nanos::ZERO), 1);
        assert_eq!(retry_after(Nanos::from_millis(999)), 1);
        assert_eq!(retry_after(Nanos::from_millis(1001)), 2);
        assert_eq!(retry_after(Nanos::MAX), 18_446_744_074);
    }

    #[test]
    fn names_cannot_break_out_of_their_string() {
        let limit = Limit::new("a\"b\\c\r\né", 1, Nanos::ZERO).text().to_string();
        assert_eq!(limit, r#""a\"b\\c???";r=1;t=1"#);
    }

    proptest! {
        #[test]
        fn any_name_gives_visible_ascii_and_two_bare_quotes(name in any::<String>()) {
            let field = Limit::new(&name, 1, Nanos::ZERO).text().to_string();
            prop_assert!(field.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            let mut escaped = false;
            let bare = field.chars().filter(|&char| {
                let bare = char == '"' && !escaped;
                escaped = char == '\\' && !escaped;
                bare
            });
            prop_assert_eq!(bare.count(), 2);
        }
    }
}
