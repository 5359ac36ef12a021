//! `edgeweir import`: a configuration out of what the AWS CLI prints, with a list of all that does not carry over. What is
//! written passes `edgeweir check` once the user has brought the files that the list names.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Subcommand;
use serde_json::Value;

use super::output;
use crate::files;

mod apigateway;
mod cloudfront;
mod fits;
mod json;
mod names;
mod notes;
mod write;

use notes::Notes;

/// Largest document, in bytes: a distribution has 100 origins and 75 behaviors at most; lists of API keys are longer.
const MAX_FILE: u64 = 64 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Distributions: what `aws cloudfront get-distribution-config --id ID` or `get-distribution` prints
    Cloudfront(Cloudfront),
    /// Usage plans and API keys: what `aws apigateway get-usage-plans` and `get-api-keys --include-values` print
    Apigateway(Apigateway),
}

#[derive(Debug, clap::Args)]
pub(super) struct Cloudfront {
    /// JSON files, one distribution each; `/dev/stdin` is one too
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Apigateway {
    /// JSON files with usage plans or API keys
    #[arg(required_unless_present = "plan_keys", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The keys of a usage plan: what `aws apigateway get-usage-plan-keys --usage-plan-id PLANID` prints; several times
    #[arg(long, value_name = "PLANID=FILE", value_parser = plan_keys)]
    plan_keys: Vec<(String, PathBuf)>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Target {
    /// Write the configuration to this file, readable by its owner only [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "output")]
    force: bool,
}

fn plan_keys(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((plan, file)) if !plan.is_empty() && !file.is_empty() => Ok((plan.to_owned(), PathBuf::from(file))),
        _ => Err("write it as in `abc123=keys-of-abc123.json`".to_owned()),
    }
}

pub(super) fn run(verb: &Verb) -> anyhow::Result<ExitCode> {
    let notes = Notes::default();
    let (command, target, files, body) = match verb {
        Verb::Cloudfront(args) => {
            let documents = args.files.iter().map(|file| Ok((root(file, args.files.len()), read(file)?)));
            let documents: Vec<(String, Value)> = documents.collect::<anyhow::Result<_>>()?;
            ("cloudfront", &args.target, args.files.clone(), cloudfront::convert(&documents, &notes)?)
        }
        Verb::Apigateway(args) => {
            let plain = args.files.iter().map(|file| (None, file));
            let of_plans = args.plan_keys.iter().map(|(plan, file)| (Some(plan.clone()), file));
            let all: Vec<(Option<String>, &PathBuf)> = plain.chain(of_plans).collect();
            let count = all.len();
            let document = |(plan, file): (Option<String>, &PathBuf)| {
                anyhow::Ok(apigateway::Document { root: root(file, count), value: read(file)?, plan })
            };
            let files = all.iter().map(|(_, file)| (*file).clone()).collect();
            let documents = all.into_iter().map(document).collect::<anyhow::Result<Vec<_>>>()?;
            ("apigateway", &args.target, files, apigateway::convert(&documents, &notes)?)
        }
    };
    let list = notes.render();
    let text = whole(command, &files, &list, &body);
    check(&text)?;
    match &target.output {
        None => output::out(&text),
        Some(path) => save(path, &text, target.force)?,
    }
    output::err(&list);
    Ok(ExitCode::SUCCESS)
}

/// How paths into a document begin: with its file where there are several.
fn root(file: &Path, count: usize) -> String {
    if count == 1 { "$".to_owned() } else { format!("{}: $", file.display()) }
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let name = file.display().to_string();
    let bytes = files::read_stream(file, MAX_FILE).with_context(|| format!("cannot read `{name}`"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| anyhow!("`{name}` is not UTF-8 text\n  help: Windows' PowerShell writes UTF-16 with `>`: use `| Out-File -Encoding utf8`"))?;
    json::parse(&text, &name)
}

/// The file: what is to know as comments, then the tables.
fn whole(command: &str, files: &[PathBuf], list: &str, body: &str) -> String {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let about = format!("Made by `edgeweir import {command}` from {}.", files.join(", "));
    format!("{}#\n{}\n{body}", write::comment(&notes::shown(&about)), write::comment(list))
}

/// What is written has to be a configuration. Whatever a document says, it is the import's own fault if it is not.
fn check(text: &str) -> anyhow::Result<()> {
    let Err(report) = edgeweir_config::parse(text, Path::new("")) else { return Ok(()) };
    bail!(
        "the configuration that was made of it is not valid; nothing was written. This is a mistake of `edgeweir import`, please \
         report it:\n{}",
        report.render("import.toml", text, false)
    )
}

/// Writes a new file; one that exists only if that is wanted.
fn save(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    // Origin headers are often secrets.
    options.write(true).mode(0o600);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("`{}` exists already\n  help: name another file, or write over it with `--force`", path.display())
        }
        result => result.with_context(|| format!("cannot write `{}`", path.display()))?,
    };
    // One that was there before may be readable by others.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot make `{}` private", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests;
