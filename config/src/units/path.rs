//! Path patterns, as CloudFront has them (Developer Guide, "Path pattern"): `*` is any number of characters and crosses
//! `/`, `?` is exactly one, upper and lower case differ, a leading `/` may be left out.
//!
//! A pattern is compiled to one of a few shapes; the common ones are one comparison. Matching never goes back over a
//! `*`: each piece between two `*` is taken at its first place, which is enough when `*` matches anything. The cost is
//! linear in the path; for pieces with `?`, the length of the path times that of the piece (at most 255).

use std::fmt;

use thiserror::Error;

/// Longest pattern in bytes (CloudFront's limit).
const MAX_LENGTH: usize = 255;

/// Why a text is not a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// Nothing there.
    #[error("a path pattern cannot be empty")]
    Empty,
    /// Longer than 255 bytes.
    #[error("a path pattern has at most 255 characters")]
    TooLong,
    /// A character that paths do not have.
    #[error("a path pattern cannot have the character `{0}`")]
    Character(char),
    /// `%` without two hexadecimal digits, or a plain letter in disguise.
    #[error("bad percent-encoding `{0}` in a path pattern")]
    Percent(String),
    /// `//`, `/./` or `/../`, which no normalised path has.
    #[error("a path pattern with `{0}` can never match: paths are normalised first")]
    NotNormal(&'static str),
}

impl PathError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Empty => Some("write `*` for all paths".to_owned()),
            Self::Character('#') => Some("a fragment never reaches a server".to_owned()),
            Self::Character(c) => {
                let mut utf8 = [0; 4];
                let encoded: String = c.encode_utf8(&mut utf8).bytes().map(|b| format!("%{b:02X}")).collect();
                Some(format!("write it percent-encoded: `{encoded}`"))
            }
            Self::Percent(_) => Some(
                "`%` is followed by two upper-case hexadecimal digits; letters, digits and `-._~` are written plainly"
                    .to_owned(),
            ),
            Self::TooLong | Self::NotNormal(_) => None,
        }
    }
}

/// A compiled path pattern. Compares and prints as it was written.
#[derive(Clone)]
pub struct PathPattern {
    text: Box<str>,
    shape: Shape,
}

#[derive(Clone)]
enum Shape {
    /// `*` or `/*`.
    Any,
    /// No wildcard.
    Exact(Box<str>),
    /// Text and one `*` at the end.
    Prefix(Box<str>),
    /// One `*` at the start and text.
    Suffix(Box<str>),
    /// Everything else: the pieces between `*`.
    Pieces { first: Piece, middle: Box<[Piece]>, last: Option<Piece> },
}

/// Text between two `*`; `?` in it is any one character.
#[derive(Clone)]
struct Piece {
    text: Box<str>,
    wild: bool,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it is empty, longer than 255 bytes, has a character that paths do not have, or can never match a normalised
    /// path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check(text)?;
        // A leading `*` matches the leading `/` too: `*/feeds/*` matches `/feeds/new`.
        let slash = if text.starts_with(['/', '*']) { "" } else { "/" };
        let full = format!("{slash}{text}");
        Ok(Self { text: text.into(), shape: Shape::compile(&full) })
    }

    /// Whether the whole `path` (with its leading `/`, normalised, without query) matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match &self.shape {
            Shape::Any => true,
            Shape::Exact(text) => path == &**text,
            Shape::Prefix(text) => path.starts_with(&**text),
            Shape::Suffix(text) => path.ends_with(&**text),
            Shape::Pieces { first, middle, last } => {
                let Some(rest) = first.strip_start(path) else { return false };
                let Some(last) = last else { return rest.is_empty() };
                // The end first: what is left between is free for the pieces in the middle.
                let Some(mut rest) = last.strip_end(rest) else { return false };
                for piece in middle {
                    match piece.strip_through(rest) {
                        Some(after) => rest = after,
                        None => return false,
                    }
                }
                true
            }
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every path matches.
    #[must_use]
    pub fn matches_all(&self) -> bool {
        matches!(self.shape, Shape::Any)
    }
}

/// Texts without wildcards that every path which matches a pattern has, for an index over many patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literals<'p> {
    /// The path begins with it; may be empty.
    pub prefix: &'p str,
    /// The path ends with it; may be empty. It may overlap with the prefix.
    pub suffix: &'p str,
    /// The longest text between wildcards, if there is one.
    pub middle: Option<&'p str>,
    /// There is no wildcard: the path is the prefix.
    pub whole: bool,
}

impl PathPattern {
    /// What every path that matches has.
    #[must_use]
    pub fn literals(&self) -> Literals<'_> {
        let of = |prefix, suffix, middle, whole| Literals { prefix, suffix, middle, whole };
        match &self.shape {
            Shape::Any => of("", "", None, false),
            Shape::Exact(text) => of(text, "", None, true),
            Shape::Prefix(text) => of(text, "", None, false),
            Shape::Suffix(text) => of("", text, None, false),
            Shape::Pieces { first, middle, last } => {
                let runs = [Some(first)].into_iter().flatten().chain(middle.iter()).chain(last.as_ref());
                let mut runs: Vec<&str> = runs.flat_map(|piece| piece.text.split('?')).collect();
                let suffix = if runs.len() > 1 { runs.pop().unwrap_or_default() } else { "" };
                let (prefix, between) = runs.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
                let longest = between.iter().copied().filter(|run| !run.is_empty()).max_by_key(|run| run.len());
                of(prefix, suffix, longest, false)
            }
        }
    }
}

impl Shape {
    fn compile(full: &str) -> Self {
        if full.contains('*') && full.strip_prefix('/').unwrap_or(full).chars().all(|c| c == '*') {
            return Self::Any;
        }
        let mut pieces = full.split('*');
        let first = pieces.next().unwrap_or_default();
        // `**` is `*`: empty pieces in the middle match anything.
        let rest: Vec<&str> = pieces.collect();
        let wild = full.contains('?');
        let Some((last, middle)) = rest.split_last() else {
            return if wild {
                Self::Pieces { first: Piece::new(first), middle: Box::default(), last: None }
            } else {
                Self::Exact(first.into())
            };
        };
        let middle: Box<[Piece]> = middle.iter().filter(|p| !p.is_empty()).map(|p| Piece::new(p)).collect();
        match (first.is_empty(), last.is_empty(), middle.is_empty(), wild) {
            (_, true, true, false) => Self::Prefix(first.into()),
            (true, _, true, false) => Self::Suffix((*last).into()),
            _ => Self::Pieces { first: Piece::new(first), middle, last: Some(Piece::new(last)) },
        }
    }
}

impl Piece {
    fn new(text: &str) -> Self {
        Self { text: text.into(), wild: text.contains('?') }
    }

    /// What follows the piece, if `path` starts with it.
    fn strip_start<'p>(&self, path: &'p str) -> Option<&'p str> {
        if !self.wild {
            return path.strip_prefix(&*self.text);
        }
        let mut rest = path.chars();
        for wanted in self.text.chars() {
            let found = rest.next()?;
            if wanted != '?' && wanted != found {
                return None;
            }
        }
        Some(rest.as_str())
    }

    /// What is before the piece, if `path` ends with it.
    fn strip_end<'p>(&self, path: &'p str) -> Option<&'p str> {
        if !self.wild {
            return path.strip_suffix(&*self.text);
        }
        let mut rest = path.chars();
        for wanted in self.text.chars().rev() {
            let found = rest.next_back()?;
            if wanted != '?' && wanted != found {
                return None;
            }
        }
        Some(rest.as_str())
    }

    /// What follows the first place of the piece in `path`.
    fn strip_through<'p>(&self, path: &'p str) -> Option<&'p str> {
        if !self.wild {
            return path.split_once(&*self.text).map(|(_, after)| after);
        }
        let mut rest = path.chars();
        loop {
            if let Some(after) = self.strip_start(rest.as_str()) {
                return Some(after);
            }
            rest.next()?;
        }
    }
}

fn check(text: &str) -> Result<(), PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(PathError::TooLong);
    }
    // `pchar` and `/` of RFC 3986 §3.3, the two wildcards, and `"`, which CloudFront allows.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?\"%".contains(c);
    if let Some(bad) = text.chars().find(|c| !plain(*c)) {
        return Err(PathError::Character(bad));
    }
    for part in text.split('%').skip(1) {
        let hex: String = part.chars().take(2).collect();
        let upper = hex.chars().all(|c| matches!(c, '0'..='9' | 'A'..='F'));
        let byte = u8::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == 2 && upper);
        // An unreserved character is never encoded in a normalised path (RFC 3986 §6.2.2.2).
        if byte.is_none_or(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) {
            return Err(PathError::Percent(format!("%{hex}")));
        }
    }
    let dots = |segment: &str| text.split('/').any(|s| s == segment);
    if text.contains("//") {
        Err(PathError::NotNormal("//"))
    } else if dots("..") {
        Err(PathError::NotNormal(".."))
    } else if dots(".") {
        Err(PathError::NotNormal("."))
    } else {
        Ok(())
    }
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PathPattern {}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathPattern({})", self.text)
    }
}

#[cfg(test)]
mod tests;
