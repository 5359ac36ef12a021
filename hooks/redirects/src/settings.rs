//! The binding's settings. All but the table are read at each call; the table is cut out before, because parsing thousands
//! of lines costs a hundred times as much as finding one.

use std::borrow::Cow;

use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Error, Result};
use serde::Deserialize;

use crate::table::Table;
use crate::target::{Found, Target};

/// Most prefix rules of a binding: they are tried one after the other.
const MAX_PREFIXES: usize = 256;

/// The binding's settings.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    rules: Rules,
    /// Whether the query of the request goes along.
    pub(crate) keep_query: bool,
    table: Table<'a>,
}

/// What the settings have besides a table that was cut out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rules {
    #[serde(default = "default_keep_query")]
    keep_query: bool,
    #[serde(default)]
    prefixes: Vec<Prefix>,
    #[serde(default = "default_status")]
    status: u16,
    /// Empty if it was cut out.
    #[serde(default)]
    table: String,
}

/// Everything below a path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prefix {
    from: String,
    to: String,
    status: Option<u16>,
}

impl<'a> Settings<'a> {
    /// Reads settings, all but the lines of the table.
    ///
    /// # Errors
    /// The message names the key or the rule that is wrong.
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        let (rest, table) = Table::cut(text);
        let mut rules: Rules = serde_json::from_str(&rest).map_err(|error| Error::from(error).context("settings"))?;
        let table = match table {
            Some(table) => table,
            None => Table::of(std::mem::take(&mut rules.table))?,
        };
        rules.check()?;
        Ok(Self { keep_query: rules.keep_query, rules, table })
    }

    /// Where a path is redirected to: by its line in the table, or else by the first prefix that it is below.
    ///
    /// # Errors
    /// If its line is wrong.
    pub(crate) fn find<'s>(&'s self, path: &'s str) -> Result<Option<Found<'s>>> {
        let line = self.table.find(path).map_err(|error| error.context(format_args!("settings: table: `{path}`")))?;
        if let Some((target, status)) = line {
            return Ok(Some(Found { target, rest: None, status: status.unwrap_or(self.rules.status) }));
        }
        for Prefix { from, to, status } in &self.rules.prefixes {
            if let Some(rest) = below(from, path) {
                let found =
                    Found { target: Target::parse(to)?, rest: Some(rest), status: status.unwrap_or(self.rules.status) };
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// An error of the setting that a JSON pointer names.
fn at(pointer: &str) -> impl Fn(Error) -> Problem {
    move |error| Problem::new(error.message()).at(pointer)
}

impl Rules {
    /// Checks all but the table.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        check_status(self.status).map_err(at("/status"))?;
        if self.prefixes.len() > MAX_PREFIXES {
            let message = format!("{} prefixes, at most {MAX_PREFIXES}", self.prefixes.len());
            return Err(Problem::new(message).at("/prefixes"));
        }
        for (number, prefix) in self.prefixes.iter().enumerate() {
            prefix.check().map_err(|problem| problem.at(format_args!("/prefixes/{number}")))?;
        }
        Ok(())
    }

    /// Goes through all lines of the table.
    ///
    /// # Errors
    /// The message has the number of the first line that is wrong.
    pub(crate) fn check_table(&self) -> Result<(), Problem> {
        Table::of(self.table.clone()).and_then(|table| table.check()).map_err(at("/table"))
    }
}

impl Prefix {
    fn check(&self) -> Result<(), Problem> {
        check_path(&self.from).map_err(at("/from"))?;
        let target = Target::parse(&self.to).map_err(at("/to"))?;
        if self.to.contains(['?', '#']) {
            let message = format!("`{}` has a query or a fragment: the rest of the path follows it", self.to);
            return Err(Problem::new(message).at("/to"));
        }
        if target.is_path() && below(&self.from, &self.to).is_some() {
            let message = format!("`{}` is below `{}`: viewers would go round for ever", self.to, self.from);
            return Err(Problem::new(message).at("/to"));
        }
        self.status.map_or(Ok(()), check_status).map_err(at("/status"))
    }
}

/// What of `path` follows `from`, if it is `from` itself or below it: empty, or starting with `/`.
fn below<'p>(from: &str, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(from.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// A path that a request can have.
///
/// # Errors
/// If it is none.
pub(crate) fn check_path(path: &str) -> Result<()> {
    let plain = |byte: u8| (0x21..0x7f).contains(&byte) && !matches!(byte, b'"' | b'\\' | b'?' | b'#');
    match path.starts_with('/') && path.bytes().all(plain) {
        true => Ok(()),
        false => {
            Err(Error::new(format!("`{path}` is no path: it starts with `/`, is percent-encoded and has no query")))
        }
    }
}

/// # Errors
/// If it is no redirect that browsers follow.
pub(crate) fn check_status(status: u16) -> Result<()> {
    match status {
        301 | 302 | 307 | 308 => Ok(()),
        other => Err(Error::new(format!("{other} is no redirect: choose 301, 302, 307 or 308"))),
    }
}

/// The text without what stands between two places.
pub(crate) fn without(text: &str, from: usize, to: usize) -> Option<Cow<'_, str>> {
    Some(Cow::Owned([text.get(..from)?, text.get(to..)?].concat()))
}

const fn default_keep_query() -> bool {
    true
}

const fn default_status() -> u16 {
    301
}

#[cfg(test)]
mod tests;
