//! From bytes to a TOML document with spans. Knows TOML's syntax only, no key (but asks `schema` where secrets are, and
//! reads `state_dir` out of a text that is no configuration).

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::decode::speaks_of_secret;
use crate::report::{Problem, Report};
use crate::resolve::DEFAULT_STATE_DIR;
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
        let message = error.message().trim_end().replace('\n', ", ");
        let first = if message == "duplicate key" { first_place(source, &span) } else { None };
        let mut problem = Problem::error("syntax", span, message);
        if let Some(first) = first {
            report.hide(guess_secret(source, first.start));
            problem = problem.label("again here").also(first, "first here");
        }
        report.push(problem);
    }
    report.sort();
    // Only to learn where secrets are: the rest of what it finds may be wrong.
    let mut rest = Report::default();
    drop(File::read(document, &mut rest));
    report.hide_as(&rest);
    Err(report)
}

/// Where the key at `again` is written before: the parser knows, but does not say. Headers and lines of their own only,
/// not keys within `{ … }`.
fn first_place(source: &str, again: &Range<usize>) -> Option<Range<usize>> {
    let line_start = source.get(..again.start)?.rfind('\n').map_or(0, |at| at + 1);
    let (before, written) = (source.get(..line_start)?, source.get(line_start..again.end)?.trim_start());
    let path = if written.starts_with('[') {
        keys(&format!("{} = 0", written.trim_start_matches('[')))?
    } else {
        let header = before.lines().rev().find(|line| line.trim_start().starts_with('['));
        let mut path = header.map_or(Some(Vec::new()), keys)?;
        path.extend(keys(&format!("{written} = 0"))?);
        path
    };
    let (document, _) = DeTable::parse_recoverable(before);
    let mut table = document.get_ref();
    let mut place = None;
    for key in &path {
        let (key, value) = table.get_key_value(key.as_str())?;
        place = Some(key.span());
        table = match value.get_ref() {
            DeValue::Table(inner) => inner,
            DeValue::Array(items) => items.iter().last().and_then(|item| item.get_ref().as_table()).unwrap_or(table),
            _ => table,
        };
    }
    place
}

/// The keys of one line, from the outermost in: `[a.b]`, `[[a.b]]`, `a.b = 0`.
fn keys(line: &str) -> Option<Vec<String>> {
    let document = DeTable::parse(line).ok()?;
    let mut table = document.get_ref();
    let mut path = Vec::new();
    while let Some((key, value)) = table.iter().next() {
        path.push(key.get_ref().clone().into_owned());
        table = match value.get_ref() {
            DeValue::Table(inner) => inner,
            DeValue::Array(items) => items.iter().next()?.get_ref().as_table()?,
            _ => break,
        };
    }
    Some(path)
}

/// The state folder of a text that is no configuration, as far as it can be read: the edge that runs with an earlier
/// text of the file is still to be found.
#[must_use]
pub fn state_dir(source: &str, base_dir: &Path) -> PathBuf {
    let (document, _) = DeTable::parse_recoverable(source);
    let written = document.get_ref().get("state_dir").and_then(|value| value.get_ref().as_str());
    base_dir.join(written.filter(|text| !text.is_empty()).unwrap_or(DEFAULT_STATE_DIR))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_of_a_broken_text() {
        for (source, folder) in [
            ("", ".edgeweir"),
            ("state_dir = \"state\"\n[origins.app\nurl", "state"),
            ("state_dir = \"/var/lib/edge\"\nurll = 1", "/var/lib/edge"),
            ("state_dir = 7", ".edgeweir"),
            ("state_dir = \"\"", ".edgeweir"),
        ] {
            assert_eq!(state_dir(source, Path::new("/base")), Path::new("/base").join(folder), "{source}");
        }
    }

    #[test]
    fn the_first_of_two_keys() {
        for (source, again, first) in [
            ("[a.b]\n[a.c]\n[a.b]", 15, Some(3)),
            ("[a]\nx = 1\n[b]\nx = 1\nx = 1", 20, Some(14)),
            ("x = 1\n[a]\nx = 1\ny = 2", 16, None),
            ("x.y = 1\nx.y = 2", 10, Some(2)),
            ("x = { a = 1, a = 2 }", 13, None),
            ("x = 1", 99, None),
        ] {
            let found = first_place(source, &(again..again + 1));
            assert_eq!(found.map(|span| span.start), first, "{source}");
        }
    }
}
