//! Settings that are checked before any request: at `edgeweir check`, at the start and at each reload.
//!
//! ```
//! use edgeweir_sdk::serde::Deserialize;
//! use edgeweir_sdk::validate::Problem;
//!
//! #[derive(Deserialize)]
//! #[serde(crate = "edgeweir_sdk::serde", deny_unknown_fields)]
//! struct Settings {
//!     limit: u32,
//! }
//!
//! #[edgeweir_sdk::validate]
//! fn check(settings: &Settings) -> Result<(), Problem> {
//!     if settings.limit == 0 {
//!         return Err(Problem::new("must be at least 1").at("/limit"));
//!     }
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! Settings that do not fit the type are refused before the function runs. There is no request yet: of the functions that
//! read one, none works.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::bindings::settings_check::exports::edgeweir::hook::settings_check as contract;
use crate::error::Error;

/// Something that is wrong with a binding's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    path: String,
    message: String,
}

impl Problem {
    /// A problem of the settings as a whole. The message is for whoever writes the config: what is wrong and how to mend
    /// it, lower case, without full stop, and without the value of a secret.
    pub fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    /// The same, of one setting: a JSON pointer (RFC 6901) such as `/rules/0/name`. Put before a pointer that is already
    /// there, so that who checks a part need not know where it stands. A first `/` that is missing is added.
    #[must_use]
    pub fn at(mut self, pointer: impl fmt::Display) -> Self {
        let pointer = pointer.to_string();
        // `at("limit")` is clear enough.
        let slash = if pointer.is_empty() || pointer.starts_with('/') { "" } else { "/" };
        self.path = format!("{slash}{pointer}{}", self.path);
        self
    }

    /// Which setting, as a JSON pointer; empty for all.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// As an error of a call: `settings: rules[0].name: message`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings: ")?;
        for (nth, token) in self.path.split('/').skip(1).enumerate() {
            let token = token.replace("~1", "/").replace("~0", "~");
            match (token.bytes().all(|byte| byte.is_ascii_digit()), nth) {
                (true, _) => write!(f, "[{token}]")?,
                (false, 0) => f.write_str(&token)?,
                (false, _) => write!(f, ".{token}")?,
            }
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// The stage of the binding that is checked, for example `viewer-request`: a hook with several stages may want settings at
/// one of them only. For functions with the attribute; outside of the edge, as in unit tests, it aborts.
#[must_use]
pub fn stage() -> String {
    crate::bindings::imports::edgeweir::hook::context::stage()
}

/// What a check may fail with: a [`Problem`], several, or an [`Error`].
pub struct Problems(Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        Self(problems)
    }
}

impl From<Error> for Problems {
    fn from(error: Error) -> Self {
        Problem::new(error.message()).into()
    }
}

/// What the contract's function returns.
pub type Reply = Result<(), Vec<contract::Problem>>;

/// Runs the function of the attribute on JSON text.
///
/// # Errors
/// What the function says, or how the text does not fit its type.
pub fn entry<T: DeserializeOwned, E: Into<Problems>>(
    check: impl FnOnce(&T) -> Result<(), E>,
    settings: &str,
) -> Result<(), Vec<Problem>> {
    crate::log::catch_panics();
    let settings = serde_json::from_str::<T>(settings).map_err(|error| vec![misfit(settings, &error)])?;
    check(&settings).map_err(|problems| problems.into().0)
}

/// The problem, with a pointer instead of its place in the JSON text, which nobody wrote.
fn misfit(text: &str, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    let end = message.rfind(" at line ").unwrap_or(message.len());
    let line_start = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let read = text.as_bytes().get(..line_start + error.column()).unwrap_or(text.as_bytes());
    Problem::new(message.get(..end).unwrap_or_default()).at(pointer(read))
}

/// A table or an array that is being read.
enum Open {
    /// With the key whose value is read, as JSON has it.
    Object(Option<(usize, usize)>),
    /// With the number of the element that is read.
    Array(usize),
}

/// Where in a JSON text (that is JSON so far) the reader was after these bytes, as a JSON pointer.
fn pointer(read: &[u8]) -> String {
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = read.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' => open.push(Open::Object(None)),
            b'[' => open.push(Open::Array(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Open::Object(key)) => *key = None,
                Some(Open::Array(number)) => *number += 1,
                None => {}
            },
            b'"' => {
                while let Some(&inner) = read.get(at) {
                    at += if inner == b'\\' { 2 } else { 1 };
                    if inner == b'"' {
                        break;
                    }
                }
                if let Some(Open::Object(key @ None)) = open.last_mut() {
                    *key = Some((start, at));
                }
            }
            _ => {}
        }
    }
    let mut pointer = String::new();
    for open in open {
        let token = match open {
            Open::Object(None) => break,
            Open::Object(Some((start, end))) => {
                let text = read.get(start..end).and_then(|key| serde_json::from_slice::<String>(key).ok());
                text.unwrap_or_default().replace('~', "~0").replace('/', "~1")
            }
            Open::Array(number) => number.to_string(),
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

/// From the typed world to the contract's.
///
/// # Errors
/// The same problems.
pub fn reply(checked: Result<(), Vec<Problem>>) -> Reply {
    let problem = |Problem { path, message }| contract::Problem { path, message };
    checked.map_err(|problems| problems.into_iter().map(problem).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        limit: u8,
    }

    fn limit(settings: &Settings) -> Result<(), Problem> {
        if settings.limit == 0 { Err(Problem::new("must be at least 1").at("/limit")) } else { Ok(()) }
    }

    #[test]
    fn good_settings_pass_and_bad_ones_are_named() {
        assert_eq!(entry(limit, r#"{"limit":1}"#), Ok(()));
        assert_eq!(entry(limit, r#"{"limit":0}"#), Err(vec![Problem::new("must be at least 1").at("/limit")]));
        let misfit = entry(limit, r#"{"limits":1}"#).expect_err("unknown key");
        assert_eq!(misfit, [Problem::new("unknown field `limits`, expected `limit`").at("/limits")]);
    }

    #[test]
    fn what_does_not_fit_is_pointed_at() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Rules {
            #[serde(rename = "a/b", default)]
            _rules: Vec<Rule>,
        }
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Rule {
            #[serde(rename = "n", default)]
            _n: u8,
            #[serde(rename = "t")]
            _t: String,
        }
        let fine = |_: &Rules| Ok::<(), Problem>(());
        for (text, path) in [
            (r#"{"a/b":[{"t":"x"},{"t":"\"]}","n":300}]}"#, "/a~1b/1/n"),
            (r#"{"a/b":[{"t":7}]}"#, "/a~1b/0/t"),
            (r#"{"a/b":[{"t":"x","u":7}]}"#, "/a~1b/0/u"),
            (r#"{"a/b":[{"t":"x"}, {"n":1}]}"#, "/a~1b/1"),
            ("{\"a/b\":\n [{\"t\":\"x\"},\n {\"t\": [1]}]}", "/a~1b/1/t"),
            (r#"{"a/b":"x"}"#, "/a~1b"),
            ("7", ""),
        ] {
            let problems = entry(fine, text).expect_err(text);
            assert_eq!(problems[0].path(), path, "{text}: {}", problems[0].message());
        }
    }

    #[test]
    fn errors_and_lists_are_problems_too() {
        let error = |_: &Settings| Err(Error::new("no"));
        assert_eq!(entry(error, r#"{"limit":1}"#), Err(vec![Problem::new("no")]));
        let list = |_: &Settings| Err(vec![Problem::new("a"), Problem::new("b")]);
        assert_eq!(entry(list, r#"{"limit":1}"#).expect_err("two").len(), 2);
    }

    #[test]
    fn a_problem_reads_like_the_config() {
        let problem = Problem::new("no name").at("/name").at("/rules/3");
        assert_eq!((problem.path(), problem.message()), ("/rules/3/name", "no name"));
        assert_eq!(problem.to_string(), "settings: rules[3].name: no name");
        assert_eq!(Problem::new("empty").to_string(), "settings: empty");
        assert_eq!(Problem::new("x").at("name").at("rules").path(), "/rules/name");
        assert_eq!(Error::from(Problem::new("x").at("/a~1b")).message(), "settings: a/b: x");
    }
}
