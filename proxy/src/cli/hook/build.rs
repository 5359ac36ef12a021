//! `edgeweir hook build`: cargo for the WASM target, or the built-in engine for a function in JavaScript; then what an
//! operator asks about the result.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use edgeweir_hookhost::is_script;

use super::host::read_wasm;
use super::{NOT_GOOD, cargo, inspect};
use crate::cli::output;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Folder of the hook's crate, or a function in JavaScript
    #[arg(value_name = "DIR|FILE.js", default_value = ".")]
    path: PathBuf,
    /// Where to write the WASM of a function in JavaScript [default: beside it, with the ending `.wasm`]
    #[arg(short, long, value_name = "FILE.wasm")]
    output: Option<PathBuf>,
    /// Profile of cargo
    #[arg(long, default_value = "release")]
    profile: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    there(&args.path)?;
    let path = match (is_script(&args.path), &args.output) {
        (true, Some(output)) => output.clone(),
        (true, None) => args.path.with_extension("wasm"),
        (false, None) => cargo::build(&args.path, &args.profile)?,
        (false, Some(_)) => bail!("`--output` is for functions in JavaScript: cargo says where a crate's WASM is"),
    };
    let wasm = if is_script(&args.path) {
        let wasm = read_wasm(&args.path)?;
        std::fs::write(&path, &wasm).with_context(|| format!("cannot write `{}`", path.display()))?;
        wasm
    } else {
        read_wasm(&path)?
    };
    let facts = inspect::Facts::of(&path, &wasm)?;
    output::out(&facts.text());
    Ok(if facts.is_taken() { ExitCode::SUCCESS } else { NOT_GOOD })
}

/// The WASM that an argument means: the file itself, or what the crate in a folder builds to.
///
/// # Errors
/// If there is neither file nor folder, or the crate does not build.
pub(super) fn artefact(path: &Path, profile: &str) -> anyhow::Result<PathBuf> {
    there(path)?;
    if path.is_dir() { cargo::build(path, profile) } else { Ok(path.to_owned()) }
}

/// Refuses an argument that names nothing.
///
/// # Errors
/// What a hook is named by.
pub(super) fn there(path: &Path) -> anyhow::Result<()> {
    if let Err(error) = std::fs::metadata(path) {
        bail!(
            "cannot read `{}`: {error}: name a .wasm file, or the folder of a hook's crate, or a function in JavaScript",
            path.display()
        );
    }
    Ok(())
}
