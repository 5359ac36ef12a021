//! The table of exact paths: a line for each, `FROM TO [STATUS]`, as JSON has it (a line break is `\` and `n`). It is
//! searched in that form, because unescaping it would cost more than the search.

use std::borrow::Cow;
use std::collections::HashSet;

use edgeweir_sdk::{Error, Result};
use memchr::{memchr, memmem};

use crate::settings::{check_path, check_status, without};
use crate::target::Target;

/// The key in the settings, and the start of its value.
const KEY: &str = "\"table\":\"";

/// How much of the end of the settings is looked at for a key behind the table, in bytes.
const NEAR_END: usize = 4096;

/// A line break in JSON.
const BREAK: &[u8] = b"\\n";

/// Lines of redirects in JSON's escapes.
#[derive(Debug)]
pub(crate) struct Table<'a>(Cow<'a, str>);

impl<'a> Table<'a> {
    /// Takes the table out of settings as the edge writes them: the settings with an empty table, and the table. None if
    /// it is not there in this form.
    pub(crate) fn cut(text: &'a str) -> (Cow<'a, str>, Option<Self>) {
        let cut = || {
            let key = memmem::find_iter(text.as_bytes(), KEY)
                .find(|&at| text.get(..at).is_some_and(|before| before.ends_with(['{', ','])))?;
            let start = key + KEY.len();
            let end = end_of_table(text.as_bytes(), start)?;
            Some((without(text, start, end)?, Self(Cow::Borrowed(text.get(start..end)?))))
        };
        match cut() {
            Some((rest, table)) => (rest, Some(table)),
            None => (Cow::Borrowed(text), None),
        }
    }

    /// A table of plain lines.
    ///
    /// # Errors
    /// Never, as text can be written as JSON.
    pub(crate) fn of(lines: String) -> Result<Self> {
        let json = serde_json::Value::String(lines).to_string();
        let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        inner.map(|inner| Self(Cow::Owned(inner.to_owned()))).ok_or_else(|| Error::new("table: no text"))
    }

    /// Target and status of the first line of this path.
    ///
    /// # Errors
    /// If the line is wrong.
    pub(crate) fn find(&self, path: &str) -> Result<Option<(Target<'_>, Option<u16>)>> {
        // No line has such a path, and the search must not meet escapes.
        if check_path(path).is_err() {
            return Ok(None);
        }
        match self.rest_of_line(path) {
            Some(rest) => entry(path, rest).map(Some),
            None => Ok(None),
        }
    }

    /// What follows a path at the start of a line.
    fn rest_of_line(&self, path: &str) -> Option<&str> {
        let bytes = self.0.as_bytes();
        let wanted = [BREAK, path.as_bytes(), b" "].concat();
        let start = match wanted.get(BREAK.len()..).is_some_and(|first| bytes.starts_with(first)) {
            true => wanted.len() - BREAK.len(),
            // A backslash of somebody's own is two in JSON, so an even number before the `n` is no line break.
            false => {
                let mut hits = memmem::find_iter(bytes, &wanted);
                hits.find(|&at| backslashes_before(bytes, at).is_multiple_of(2))? + wanted.len()
            }
        };
        let rest = self.0.get(start..)?;
        // A target has no escapes: the first one is the end of the line.
        let end = memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        rest.get(..end)
    }

    /// Reads all lines.
    ///
    /// # Errors
    /// The message has the number of the first line that is wrong.
    pub(crate) fn check(&self) -> Result<()> {
        let lines: String = serde_json::from_str(&format!("\"{}\"", self.0))?;
        let mut seen = HashSet::new();
        for (at, line) in lines.lines().enumerate() {
            check_line(line, &mut seen).map_err(|error| error.context(format_args!("line {}", at + 1)))?;
        }
        Ok(())
    }
}

fn check_line<'l>(line: &'l str, seen: &mut HashSet<&'l str>) -> Result<()> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let Some((from, rest)) = line.split_once(' ') else {
        return Err(Error::new("a path, spaces and a target are wanted; lines of comments start with `#`"));
    };
    check_path(from)?;
    entry(from, rest)?;
    if !seen.insert(from) {
        return Err(Error::new(format!("`{from}` is there already; the first line counts")));
    }
    Ok(())
}

/// Target and status of what follows the path in a line.
fn entry<'l>(from: &str, rest: &'l str) -> Result<(Target<'l>, Option<u16>)> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let target = words.next().ok_or_else(|| Error::new("there is no target"))?;
    if target == from {
        return Err(Error::new(format!("`{from}` is sent to itself")));
    }
    let status = words.next().map(|word| {
        let status = word.parse().map_err(|_| Error::new(format!("`{word}` is no status")))?;
        check_status(status).map(|()| status)
    });
    match words.next() {
        Some(word) => Err(Error::new(format!("`{word}`: nothing may follow the status"))),
        None => Ok((Target::parse(target)?, status.transpose()?)),
    }
}

/// Where the table ends that starts at `start`: its closing quote.
///
/// The edge writes keys in alphabetical order, so that the table comes last: a look at the end of the text is enough to see
/// that no other (unknown, so short) key follows it. Otherwise all of it is looked at.
fn end_of_table(text: &[u8], start: usize) -> Option<usize> {
    if let Some(inside) = text.strip_suffix(b"\"}") {
        let near = start.max(inside.len().saturating_sub(NEAR_END));
        if closing_quote(text, near) == Some(inside.len()) {
            return Some(inside.len());
        }
    }
    closing_quote(text, start)
}

/// The first quote from `at` on that no backslash escapes.
fn closing_quote(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'"', text.get(at..)?)?;
        if backslashes_before(text, at).is_multiple_of(2) {
            return Some(at);
        }
        at += 1;
    }
}

fn backslashes_before(text: &[u8], at: usize) -> usize {
    text.get(..at).unwrap_or_default().iter().rev().take_while(|&&byte| byte == b'\\').count()
}

#[cfg(test)]
mod tests;
