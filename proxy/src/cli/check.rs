//! `edgeweir check`: parses a configuration and tries everything it names, without serving: certificates, databases,
//! hooks, secrets. What passes here will start.

use std::process::ExitCode;

use edgeweir_config::{Problem, Report};

use super::file::{File, FileArg, plain};
use super::{output, serve};
use crate::edge;
use crate::snapshot::build::has_place;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: FileArg,
    /// Print the problems as a JSON array
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut file = File::read(args.file.path(), "edgeweir check FILE");
    let beyond = beyond_the_text(&file);
    let good = file.result.is_ok() && !beyond.has_errors();
    if args.json {
        output::out(&json(&mut file, beyond));
    } else {
        output::err(&file.render(output::colour_on_stderr()));
        let (placed, others): (Vec<_>, Vec<_>) = beyond.problems.into_iter().partition(has_place);
        for problem in &others {
            output::err(&plain(problem, output::colour_on_stderr()));
        }
        output::err(&file.render_more(placed, output::colour_on_stderr()));
        if let (Ok(parsed), true) = (&file.result, good) {
            output::out(&edgeweir_config::summary(&parsed.config));
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong with the things that the configuration names. Most of it has no place in the text to point at.
fn beyond_the_text(file: &File) -> Report {
    let mut report = Report::default();
    let Ok(parsed) = &file.result else { return report };
    let options = serve::options(None);
    if let Err(problems) = edge::check(parsed.config.clone(), &options) {
        report.problems = problems;
    }
    for warning in serve::certificate_warnings(&parsed.config, options.clock.wall()) {
        report.push(Problem::warning("certificate", 0..0, warning));
    }
    report
}

/// All problems; those that the text does not show stand at its start.
fn json(file: &mut File, beyond: Report) -> String {
    let report = match &mut file.result {
        Ok(parsed) => &mut parsed.warnings,
        Err(report) => report,
    };
    report.problems.extend(beyond.problems);
    report.to_json(&file.name, &file.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.toml");
        let text = "[geo]\ndatabases = [\"none.mmdb\"]\n\n[origins.app]\nurl = \"http://127.0.0.1:3000\"\n\n\
                    [distributions.site]\nhosts = [\"*\"]\norigin = \"app\"\n";
        std::fs::write(&path, text).unwrap();
        let mut file = File::read(&path, "edgeweir check FILE");
        let beyond = beyond_the_text(&file);
        assert!(beyond.has_errors(), "{beyond:?}");
        let json: serde_json::Value = serde_json::from_str(&json(&mut file, beyond)).unwrap();
        let message = json[0]["message"].as_str().unwrap();
        assert!(message.contains("none.mmdb"), "{message}");
        assert_eq!(json[0]["code"], "unusable");
    }
}
