//! Reports for people, in rustc's look.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::position::clamp;
use super::{Problem, Report, Severity};

impl Report {
    /// All problems with source lines and carets, and a last line that counts them. Ends with a line end; empty if
    /// there is no problem. `color` adds ANSI escapes.
    #[must_use]
    pub fn render(&self, file_name: &str, source: &str, color: bool) -> String {
        if self.is_empty() {
            return String::new();
        }
        let source = self.mask(source);
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&render_one(problem, file_name, &source, &renderer));
            text.push_str("\n\n");
        }
        text.push_str(&self.count(file_name));
        text.push('\n');
        text
    }

    /// The source with `*` for each byte of a secret, so that all places stay where they are.
    fn mask<'s>(&self, source: &'s str) -> Cow<'s, str> {
        if self.hidden.is_empty() {
            return Cow::Borrowed(source);
        }
        let mut masked = source.as_bytes().to_vec();
        for span in &self.hidden {
            let span = clamp(source, span);
            // Quotes and line ends stay.
            for byte in masked.get_mut(span).into_iter().flatten().filter(|b| !b"\"'\r\n".contains(b)) {
                *byte = b'*';
            }
        }
        // Whole characters were replaced by ASCII, so this is UTF-8; if not, nothing is shown at all.
        Cow::Owned(String::from_utf8(masked).unwrap_or_default())
    }

    fn count(&self, file_name: &str) -> String {
        let plural = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
        match (self.errors(), self.warnings()) {
            (errors, 0) => format!("{file_name}: {}", plural(errors, "error")),
            (0, warnings) => format!("{file_name}: {}", plural(warnings, "warning")),
            (errors, warnings) => {
                format!("{file_name}: {}, {}", plural(errors, "error"), plural(warnings, "warning"))
            }
        }
    }
}

fn render_one(problem: &Problem, file_name: &str, source: &str, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let primary = AnnotationKind::Primary.span(clamp(source, &problem.span));
    let primary = if problem.label.is_empty() { primary } else { primary.label(problem.label.as_str()) };
    let others = problem
        .also
        .iter()
        .map(|(span, label)| AnnotationKind::Context.span(clamp(source, span)).label(label.as_str()));
    let snippet = Snippet::source(source).path(file_name).annotation(primary).annotations(others);
    let mut group = level.primary_title(problem.message.as_str()).id(problem.code).element(snippet);
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}
