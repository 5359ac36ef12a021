//! What the settings say, and what they make of a request. It asks for facts by variable and does not know the edge.

use edgeweir_sdk::http::{HeaderName, HeaderValue};
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Error, Result};
use serde::Deserialize;

use crate::pattern;
use crate::template::{Template, Variable};

/// Most rules of one list.
const MAX_RULES: usize = 128;

/// The binding's settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Only requests with such a path; its `*` are the captures. All requests if not given.
    path: Option<String>,
    /// Applied to the request, at the request stages.
    #[serde(default)]
    pub(crate) request: Vec<Rule>,
    /// Applied to the response, at the response stages.
    #[serde(default)]
    pub(crate) response: Vec<Rule>,
    /// The path that the request gets, at the request stages.
    rewrite_path: Option<Template>,
}

/// One change to a header.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    op: Operation,
    /// Header name; case does not matter.
    pub(crate) name: String,
    value: Option<Template>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Set,
    Append,
    Remove,
}

/// What a rule comes to for one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// One line with this value, instead of all that are there.
    Set(Vec<u8>),
    /// One more line.
    Append(Vec<u8>),
    /// No line.
    Remove,
    /// As it was.
    Nothing,
}

impl Settings {
    /// What serde cannot check.
    ///
    /// # Errors
    /// The message names the rule and what is wrong.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let captures = self.path.as_deref().map_or(0, pattern::count);
        let lists = [("request", &self.request), ("response", &self.response)];
        for (list, rules) in lists {
            if rules.len() > MAX_RULES {
                let message = format!("{} rules, at most {MAX_RULES}", rules.len());
                return Err(Problem::new(message).at(format_args!("/{list}")));
            }
            for (index, rule) in rules.iter().enumerate() {
                rule.check(captures).map_err(|problem| problem.at(format_args!("/{list}/{index}")))?;
            }
        }
        if let Some(template) = &self.rewrite_path {
            check_captures(template, captures).map_err(|problem| problem.at("/rewrite_path"))?;
        }
        Ok(())
    }

    /// What the `*` of the path pattern stand for; `None` if the rules are not for this path.
    pub(crate) fn captures<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        match &self.path {
            Some(pattern) => pattern::captures(pattern, path),
            None => Some(Vec::new()),
        }
    }

    /// The path that the request gets. Captures and `${path}` are put in as they are; other values come from whoever
    /// sent the request and are percent-encoded, so that each stays one segment.
    ///
    /// # Errors
    /// If the outcome does not start with `/` or has a `.` or `..` segment: it would name another place than it seems to.
    pub(crate) fn new_path(
        &self,
        captures: &[&str],
        fact: impl Fn(&Variable) -> Option<Vec<u8>>,
    ) -> Result<Option<String>> {
        let Some(template) = &self.rewrite_path else { return Ok(None) };
        let path = template.fill(|variable| match variable {
            Variable::Capture(_) => value(variable, captures, &fact),
            Variable::Path => fact(variable),
            _ => fact(variable).map(|value| percent_encode(&value)),
        });
        let path = String::from_utf8(path)?;
        if !path.starts_with('/') {
            return Err(Error::new("settings: rewrite_path: the new path does not start with `/`"));
        }
        if path.split('/').any(is_dot_segment) {
            return Err(Error::new("settings: rewrite_path: the new path has a `.` or `..` segment"));
        }
        Ok(Some(path))
    }
}

impl Rule {
    fn check(&self, captures: usize) -> Result<(), Problem> {
        if HeaderName::from_bytes(self.name.as_bytes()).is_err() {
            return Err(Problem::new(format!("`{}` is no header name", self.name)).at("/name"));
        }
        match (self.op, &self.value) {
            (Operation::Remove, None) => Ok(()),
            (Operation::Remove, Some(_)) => Err(Problem::new("`remove` takes no value").at("/value")),
            (Operation::Set | Operation::Append, Some(template)) => {
                check_captures(template, captures).map_err(|problem| problem.at("/value"))
            }
            (Operation::Set | Operation::Append, None) => Err(Problem::new("`value` is missing")),
        }
    }

    /// What the rule comes to. A value that comes out empty, or as no header value, is none: `set` then removes the
    /// header, so that what the other side sent does not stay in its place, and `append` does nothing.
    pub(crate) fn change(&self, captures: &[&str], fact: impl Fn(&Variable) -> Option<Vec<u8>>) -> Change {
        let filled = self.value.as_ref().map(|template| template.fill(|variable| value(variable, captures, &fact)));
        let filled = filled.filter(|text| !text.is_empty() && HeaderValue::from_bytes(text).is_ok());
        match (self.op, filled) {
            (Operation::Set, Some(text)) => Change::Set(text),
            (Operation::Append, Some(text)) => Change::Append(text),
            (Operation::Append, None) => Change::Nothing,
            (Operation::Set, None) | (Operation::Remove, _) => Change::Remove,
        }
    }
}

fn value(variable: &Variable, captures: &[&str], fact: impl Fn(&Variable) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    match variable {
        Variable::Capture(nth) => captures.get(nth.checked_sub(1)?).map(|capture| capture.as_bytes().to_vec()),
        other => fact(other),
    }
}

fn check_captures(template: &Template, captures: usize) -> Result<(), Problem> {
    match template.highest_capture() {
        highest if highest > captures => {
            Err(Problem::new(format!("`${{{highest}}}` asks for a capture, but `path` has {captures} `*`")))
        }
        _ => Ok(()),
    }
}

/// RFC 3986, 3.3, with the dots spelled as they are or percent-encoded.
fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// Leaves the unreserved characters of RFC 3986, 2.3.
fn percent_encode(value: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
