//! A configuration file on its way from the disk to a typed configuration, or to a report that a person reads.

use std::path::{Path, PathBuf};

use edgeweir_config::{Config, Parsed, Problem, Report, Severity};

use super::output;
use crate::files;
use crate::snapshot::build::BuildError;

/// Where the configuration is when nobody says.
pub(super) const DEFAULT: &str = "edgeweir.toml";

/// The file argument of a verb: `FILE`, `-c FILE` or the default.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FileArg {
    /// The configuration [default: edgeweir.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same, as an option
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl FileArg {
    /// For verbs whose arguments are something else.
    pub(super) fn option(config: Option<PathBuf>) -> Self {
        Self { file: None, config }
    }

    #[cfg(test)]
    pub(super) fn of(path: &Path) -> Self {
        Self { file: Some(path.to_owned()), config: None }
    }

    pub(super) fn path(&self) -> &Path {
        self.file.as_deref().or(self.config.as_deref()).unwrap_or(Path::new(DEFAULT))
    }
}

/// A configuration file as it was read; the text is kept for reports.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) result: Result<Parsed, Report>,
}

impl File {
    /// Reads and parses. Everything that can be wrong is in the result's report. `usage` is how the file is named on the
    /// command line, for whoever did not.
    pub(super) fn read(path: &Path, usage: &str) -> Self {
        let name = path.display().to_string();
        let (source, result) = match files::read(path, edgeweir_config::MAX_BYTES as u64) {
            Ok(bytes) => match edgeweir_config::text(&bytes) {
                Ok(source) => {
                    let base = path.parent().unwrap_or(Path::new(""));
                    (source.to_owned(), edgeweir_config::parse(source, base))
                }
                Err(bad) => (bad.text, Err(bad.report)),
            },
            Err(error) => {
                let problem = Problem::error("unreadable", 0..0, format!("cannot read `{name}`: {error}"));
                let missing = error.kind() == std::io::ErrorKind::NotFound;
                let help = missing.then(|| format!("name the file: `{usage}`"));
                (String::new(), Err(Report::of(problem.maybe_help(help))))
            }
        };
        Self { name, source, result }
    }

    /// The report (errors, or the warnings of a good file) for people.
    pub(super) fn render(&self, colour: bool) -> String {
        match &self.result {
            Ok(parsed) => parsed.warnings.render(&self.name, &self.source, colour),
            // There is no line to point at.
            Err(report) if self.is_unreadable() => report.problems.iter().map(|p| plain(p, colour)).collect(),
            Err(report) => report.render(&self.name, &self.source, colour),
        }
    }

    /// Problems that were found later, for people.
    pub(super) fn render_more(&self, problems: Vec<Problem>, colour: bool) -> String {
        let (Ok(Parsed { warnings: first, .. }) | Err(first)) = &self.result;
        let mut report = first.with(problems);
        report.sort();
        report.render(&self.name, &self.source, colour)
    }

    /// The file itself could not be read.
    pub(super) fn is_unreadable(&self) -> bool {
        let unreadable = |report: &Report| report.problems.iter().any(|problem| problem.code == "unreadable");
        self.source.is_empty() && self.result.as_ref().is_err_and(unreadable)
    }

    /// Why an edge does not start with this configuration, for people.
    pub(super) fn render_build(&self, error: &BuildError, colour: bool) -> String {
        let (Ok(Parsed { warnings: first, .. }) | Err(first)) = &self.result;
        error.render(&self.name, &self.source, first, colour)
    }

    /// The configuration; without one the report goes to standard error. Warnings go there too.
    pub(super) fn usable(&self) -> Option<Config> {
        output::err(&self.render(output::colour_on_stderr()));
        self.result.as_ref().ok().map(|parsed| parsed.config.clone())
    }
}

/// A problem without a place in the text.
pub(super) fn plain(problem: &Problem, colour: bool) -> String {
    let (paint, reset) = match (colour, problem.severity) {
        (false, _) => ("", ""),
        (true, Severity::Error) => ("\u{1b}[1;31m", "\u{1b}[0m"),
        (true, Severity::Warning) => ("\u{1b}[1;33m", "\u{1b}[0m"),
    };
    let help = problem.help.as_ref().map(|help| format!("  help: {help}\n")).unwrap_or_default();
    format!("{paint}{}{reset}: {}\n{help}", problem.severity.as_str(), problem.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "[origins.app]\nurl = \"http://127.0.0.1:3000\"\n\n[distributions.site]\nhosts = [\"*\"]\norigin = \"app\"\n";

    #[test]
    fn files_good_and_bad() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let good = File::read(&write("good.toml", GOOD.as_bytes()), "edgeweir check FILE");
        let parsed = good.result.unwrap();
        assert_eq!(parsed.config.state_dir, folder.path().join(".edgeweir"));

        let bad = File::read(&write("bad.toml", b"[origins.app]\nurll = 1\n"), "edgeweir check FILE");
        assert!(bad.render(false).contains("urll"), "{}", bad.render(false));
        let binary = File::read(&write("binary.toml", b"a = \xff"), "edgeweir check FILE");
        assert!(binary.render(false).contains("UTF-8"), "{}", binary.render(false));
        let missing = File::read(&folder.path().join("none.toml"), "edgeweir check FILE");
        let text = missing.render(false);
        assert!(
            text.starts_with("error: cannot read `")
                && text.contains("none.toml")
                && text.contains("help: name the file: `edgeweir check FILE`"),
            "{text}"
        );
    }
}
