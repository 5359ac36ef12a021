//! Problems of a configuration: what is wrong, where, and what helps. All problems of a run are collected; nothing here
//! decides what is a problem.
//!
//! Rendered like rustc's by [`Report::render`] and for machines by [`Report::to_json`].

mod json;
mod position;
mod render;

use std::ops::Range;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably does not do what was meant.
    Warning,
}

impl Severity {
    /// As it is written in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable name of the kind of problem, such as `unknown-key`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong: lower case, without full stop.
    pub message: String,
    /// Where, as bytes of the source.
    pub span: Range<usize>,
    /// Short text at the caret; may be empty.
    pub label: String,
    /// Other places that matter, such as where a name was first used.
    pub also: Vec<(Range<usize>, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// An error at `span`.
    #[must_use]
    pub fn error(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span,
            label: String::new(),
            also: Vec::new(),
            help: None,
        }
    }

    /// A warning at `span`.
    #[must_use]
    pub fn warning(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Sets the text at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Points at another place too.
    #[must_use]
    pub fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, if anything is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        if help.is_some() {
            self.help = help;
        }
        self
    }
}

/// All problems of one run, in the order of the source after [`Report::sort`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The problems.
    pub problems: Vec<Problem>,
    /// Places of secrets: [`Report::render`] does not show them, because reports of a reload are logged.
    hidden: Vec<Range<usize>>,
    /// Keys from the root to the value that is being read. Empty before and after.
    path: Vec<String>,
}

impl Report {
    /// A report with one problem.
    #[must_use]
    pub fn of(problem: Problem) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Other problems of the same text: what this report does not show, the new one does not show either.
    #[must_use]
    pub fn with(&self, problems: Vec<Problem>) -> Self {
        Self { problems, hidden: self.hidden.clone(), path: Vec::new() }
    }

    /// The text at `span` is a secret.
    pub(crate) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// Hides what `other` hides.
    pub(crate) fn hide_as(&mut self, other: &Self) {
        self.hidden.extend_from_slice(&other.hidden);
    }

    /// Does `read` for the value of `key`, one level below.
    pub(crate) fn below<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        self.path.push(if bare { key.to_owned() } else { format!("\"{}\"", key.escape_debug()) });
        let value = read(self);
        self.path.pop();
        value
    }

    /// Where the value that is being read is, as a header of a table has it: `distributions.site.behaviors`.
    pub(crate) fn path(&self) -> String {
        self.path.join(".")
    }

    /// No problem at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// At least one problem is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// Number of errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|p| p.severity == Severity::Error).count()
    }

    /// Number of warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.problems.len() - self.errors()
    }

    /// Puts problems in the order of the source; problems of one place stay in the order they were found.
    pub fn sort(&mut self) {
        self.problems.sort_by_key(|p| (p.span.start, p.span.end));
    }
}
