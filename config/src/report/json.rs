//! Reports for machines: one JSON array, one object for each problem.

use serde::Serialize;

use super::Report;
use super::position::{Position, position};

#[derive(Serialize)]
struct Entry<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end: Position,
    severity: &'static str,
    code: &'static str,
    message: &'a str,
    label: &'a str,
    help: Option<&'a str>,
}

impl Report {
    /// The problems as a JSON array, with a line end. Lines and columns start at 1; `end` is exclusive.
    #[must_use]
    pub fn to_json(&self, file_name: &str, source: &str) -> String {
        let entries: Vec<Entry<'_>> = self
            .problems
            .iter()
            .map(|problem| {
                let start = position(source, problem.span.start);
                Entry {
                    file: file_name,
                    line: start.line,
                    column: start.column,
                    end: position(source, problem.span.end.max(problem.span.start)),
                    severity: problem.severity.as_str(),
                    code: problem.code,
                    message: &problem.message,
                    label: &problem.label,
                    help: problem.help.as_deref(),
                }
            })
            .collect();
        // Strings and numbers only: there is nothing that serde_json could refuse.
        let mut text = serde_json::to_string_pretty(&entries).unwrap_or_else(|_| "[]".to_owned());
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{Problem, Report};

    #[test]
    fn json_names_file_line_and_column() {
        let source = "a = 1\nbb = 2\n";
        let report = Report::of(Problem::error("unknown-key", 6..8, "unknown key `bb`").help("remove it"));
        let json: serde_json::Value = serde_json::from_str(&report.to_json("e.toml", source)).unwrap_or_default();
        assert_eq!(
            json,
            serde_json::json!([{
                "file": "e.toml", "line": 2, "column": 1, "end": { "line": 2, "column": 3 }, "severity": "error",
                "code": "unknown-key", "message": "unknown key `bb`", "label": "", "help": "remove it",
            }])
        );
    }
}
