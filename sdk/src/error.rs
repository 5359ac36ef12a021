//! Why a hook failed: a message for the edge's log. The viewer never sees it.

use std::fmt;

/// A hook's failure. Any error turns into it with `?`; [`Error::new`] makes one from text.
///
/// The edge logs the message and answers by the binding's failure policy: by default 503, and the request does not
/// reach the origin. An answer meant for the viewer (a 401, a redirect) is not an error but a
/// [`Verdict`](crate::Verdict).
///
/// It does not implement [`std::error::Error`], because then it could not be made from every other error.
pub struct Error(String);

/// [`std::result::Result`] with the error that [`Error`] is.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The same failure, its message led by what was being done: `context: message`.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        Self(format!("{context}: {}", self.0))
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bad limit")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn keeps_the_causes() {
        let cause = "x".parse::<u8>().expect_err("not a number");
        assert_eq!(Error::from(Outer(cause)).message(), "bad limit: invalid digit found in string");
    }

    #[test]
    fn context_comes_first() {
        assert_eq!(Error::new("missing").context("settings").to_string(), "settings: missing");
    }
}
