//! What is wrong with a source, for whoever wrote it.

use std::fmt::Write as _;

use serde::Deserialize;

use super::MAX_SCRIPT;
use super::places::{self, Place, Places};

/// Largest source with its map, in bytes.
const MAX_WITH_MAP: usize = 8 << 20;
/// Longest line of an excerpt, in characters: bundles have longer ones.
const MAX_LINE: usize = 160;

/// Why a source is not a hook.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// This program was built without the engine.
    #[error(
        "this program was built without the JavaScript engine: run `make engine` in the checkout that it comes from, and \
         build it again"
    )]
    NoEngine,
    /// Over 1 MiB.
    #[error("`{file}` has {size} bytes; a function may have {MAX_SCRIPT}")]
    TooLarge {
        /// Name of the file.
        file: String,
        /// Its size in bytes.
        size: usize,
    },
    /// The source does not parse, or its top-level code fails.
    #[error("{text}")]
    Source {
        /// What is wrong and where, with an excerpt: several lines.
        text: String,
    },
    /// The top-level code asked for something that only a call has.
    #[error("`{file}`: its top-level code {what}: it runs once, when the hook is built; do that in the function")]
    TopLevel {
        /// Name of the file.
        file: String,
        /// What it did.
        what: &'static str,
    },
    /// The top-level code does not come to an end, or nests too deep.
    #[error("`{file}`: its top-level code {what}")]
    Limits {
        /// Name of the file.
        file: String,
        /// Which limit it reached.
        what: &'static str,
    },
    /// The engine itself failed.
    #[error("the JavaScript engine failed: {0}")]
    Engine(String),
}

/// What the engine says of a step.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    /// Whether the function is one of Lambda@Edge.
    #[serde(default)]
    lambda: bool,
    error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
    line: Option<u32>,
    column: Option<u32>,
}

impl Report {
    /// The error that it tells; or whether the function is one of Lambda@Edge.
    pub(super) fn check(self, file: &str, source: &str, places: Option<&Places>) -> Result<bool, ScriptError> {
        let Some(Problem { message, line, column }) = self.error else { return Ok(self.lambda) };
        let place = line.zip(column).or_else(|| import(&message, source));
        let original = places.zip(place).and_then(|(places, (line, column))| places.original(line, column));
        if let Some(Place { file, line, column, text }) = original {
            let text = excerpt(file, text.unwrap_or_default(), &message, Some((line, column)));
            return Err(ScriptError::Source { text });
        }
        Err(ScriptError::Source { text: excerpt(file, source, &message, place) })
    }
}

/// The text of a source, and its map.
pub(super) fn source<'a>(file: &str, source: &'a [u8]) -> Result<(&'a str, Option<Places>), ScriptError> {
    let wrong = |what: &str| ScriptError::Source { text: format!("`{file}` {what}") };
    if source.len() > MAX_WITH_MAP {
        return Err(ScriptError::TooLarge { file: file.into(), size: source.len() });
    }
    let text = std::str::from_utf8(source).map_err(|_| wrong("is not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\0') {
        return Err(wrong("has a NUL character"));
    }
    let (text, places) = places::split(file, text)
        .map_err(|error| wrong(&format!("ends with a source map that cannot be read: {error}")))?;
    if text.len() > MAX_SCRIPT {
        return Err(ScriptError::TooLarge { file: file.into(), size: text.len() });
    }
    Ok((text, places))
}

/// Where the module that a message starts with is named: the engine does not say.
fn import(message: &str, source: &str) -> Option<(u32, u32)> {
    let message = message.split_once(": ").map_or(message, |(_, rest)| rest);
    let name = message.strip_prefix('\'')?.split_once("' cannot be imported")?.0;
    for (nth, line) in (1..).zip(source.lines()) {
        for quote in ['\'', '"'] {
            if let Some((before, _)) = line.split_once(&format!("{quote}{name}{quote}")) {
                return Some((nth, u32::try_from(before.chars().count()).ok()? + 1));
            }
        }
    }
    None
}

/// The message with the line that it is about.
fn excerpt(file: &str, source: &str, message: &str, place: Option<(u32, u32)>) -> String {
    let Some((line, column)) = place else { return format!("`{file}`: {message}") };
    let mut text = format!("{file}:{line}:{column}: {message}");
    let shown = usize::try_from(line).ok().and_then(|nth| source.lines().nth(nth.saturating_sub(1)));
    if let Some(shown) = shown {
        let column = usize::try_from(column).unwrap_or(1).max(1);
        // Of a long line, what is around the place.
        let skip = column.saturating_sub(MAX_LINE / 2);
        let skip = if shown.chars().count() > MAX_LINE { skip } else { 0 };
        let part: String = shown.chars().skip(skip).take(MAX_LINE).collect();
        let blank: String = part.chars().take(column - 1 - skip).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let number = line.to_string();
        let gap = " ".repeat(number.len());
        // Writing to a string cannot fail.
        let _infallible = write!(text, "\n {gap} |\n {number} | {part}\n {gap} | {blank}^");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_its_line_and_a_caret() {
        let source = "a;\n\tb c;\n";
        assert_eq!(
            excerpt("fn.js", source, "SyntaxError: no", Some((2, 4))),
            "fn.js:2:4: SyntaxError: no\n   |\n 2 | \tb c;\n   | \t  ^"
        );
        assert_eq!(excerpt("fn.js", source, "no", None), "`fn.js`: no");
        let long = "x".repeat(1000);
        let text = excerpt("fn.js", &long, "no", Some((1, 500)));
        assert!(text.lines().all(|line| line.chars().count() <= MAX_LINE + 8), "{text}");
        assert!(text.ends_with(&format!("{}^", " ".repeat(79))), "{text}");
    }

    #[test]
    fn imports_are_found_by_name() {
        let source = "import a from 'a';\nimport fs from \"fs\";\n";
        assert_eq!(import("Error: 'fs' cannot be imported: no", source), Some((2, 16)));
        assert_eq!(import("Error: 'x' cannot be imported: no", source), None);
        assert_eq!(import("Error: something", source), None);
    }

    #[test]
    fn bytes_have_to_be_text() {
        assert!(source("a.js", b"\xff").unwrap_err().to_string().contains("UTF-8"));
        assert_eq!(source("a.js", "\u{feff}x".as_bytes()).unwrap().0, "x");
        let large = vec![b' '; MAX_SCRIPT + 1];
        assert!(source("a.js", &large).unwrap_err().to_string().contains("1048577"));
    }
}
