//! From bytes to a TOML document with spans. Knows TOML's syntax only, no key (but asks `schema` where secrets are).

use std::collections::HashSet;
use std::ops::Range;

use thiserror::Error;
use toml::Spanned;
use toml::de::DeTable;

use crate::decode::speaks_of_secret;
use crate::report::{Problem, Report};
use crate::schema::File;

/// Largest configuration in bytes: 4 MiB.
pub const MAX_BYTES: usize = 4 << 20;

/// Most syntax errors shown: one mistake can make many.
const MAX_SYNTAX_ERRORS: usize = 5;

/// A file that is no text to be parsed.
#[derive(Debug, Clone, Error)]
#[error("not a text of at most 4 MiB in UTF-8")]
pub struct BadText {
    /// What is wrong with it.
    pub report: Report,
    /// The text with replacement characters, for [`Report::render`].
    pub text: String,
}

/// The bytes of a file as text for [`crate::parse`].
///
/// # Errors
/// If it is over [`MAX_BYTES`] or not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Box<BadText>> {
    if bytes.len() > MAX_BYTES {
        let problem = Problem::error("too-large", 0..0, "the file is over 4 MiB: not a configuration");
        return Err(Box::new(BadText { report: Report::of(problem), text: String::new() }));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let (valid, _) = bytes.split_at(error.valid_up_to());
        let at = valid.len();
        let bad = bytes.get(at).copied().unwrap_or_default();
        let problem = Problem::error("not-utf8", at..at + 1, "the file is not UTF-8")
            .label(format!("the byte 0x{bad:02X} is not UTF-8 here"))
            .help("save the file as UTF-8");
        // Up to the bad byte nothing changes, so that the span fits.
        Box::new(BadText { report: Report::of(problem), text: String::from_utf8_lossy(bytes).into_owned() })
    })
}

/// Reads the syntax of the text. With an error in the syntax nothing else is looked at: what follows it may be read
/// wrongly.
pub(crate) fn read(source: &str) -> Result<Spanned<DeTable<'_>>, Report> {
    if source.len() > MAX_BYTES {
        return Err(Report::of(Problem::error("too-large", 0..0, "the text is over 4 MiB: not a configuration")));
    }
    let (document, errors) = DeTable::parse_recoverable(source);
    if errors.is_empty() {
        return Ok(document);
    }
    let mut report = Report::default();
    let mut lines = HashSet::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // What follows on the same line is an echo of the first error.
        let line = source.get(..span.start).map(|before| before.matches('\n').count());
        if !lines.insert(line) || lines.len() > MAX_SYNTAX_ERRORS {
            continue;
        }
        report.hide(guess_secret(source, span.start));
        report.push(Problem::error("syntax", span, error.message().trim_end().replace('\n', ", ")));
    }
    report.sort();
    // Only to learn where secrets are: the rest of what it finds may be wrong.
    let mut rest = Report::default();
    drop(File::read(document, &mut rest));
    report.hide_as(&rest);
    Err(report)
}

/// What may be a secret on the line of a syntax error: all after the first quote, if the line speaks of a secret. The
/// parser gives up on such a line, so `schema` does not see it.
fn guess_secret(source: &str, offset: usize) -> Range<usize> {
    let Some((before, after)) = source.split_at_checked(offset) else { return 0..0 };
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = offset + after.find('\n').unwrap_or(after.len());
    let line = source.get(start..end).unwrap_or_default();
    if !speaks_of_secret(line) {
        return 0..0;
    }
    line.find(['"', '\'']).map_or(0..0, |quote| start + quote..end)
}
