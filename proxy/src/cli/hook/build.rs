//! `edgeweir hook build`: cargo for the WASM target, then what an operator asks about the result.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;

use super::host::read_wasm;
use super::{NOT_GOOD, cargo, inspect};
use crate::cli::output;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Folder of the hook's crate
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Profile of cargo
    #[arg(long, default_value = "release")]
    profile: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = cargo::build(&args.dir, &args.profile)?;
    let wasm = read_wasm(&path)?;
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
        bail!("cannot read `{}`: {error}: name a .wasm file, or the folder of a hook's crate", path.display());
    }
    Ok(())
}
