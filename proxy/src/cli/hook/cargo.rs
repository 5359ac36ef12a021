//! Runs cargo for a hook's crate and finds the WASM that it made. Knows nothing of hooks.

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// What hooks are built for.
pub(in crate::cli) const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the crate in `folder` and gives the path of its WASM. cargo's own words go to standard error.
///
/// # Errors
/// Where cargo, the target or a crate is missing, or the build fails; the message says what helps.
pub(in crate::cli) fn build(folder: &Path, profile: &str) -> anyhow::Result<PathBuf> {
    if !folder.join("Cargo.toml").is_file() {
        bail!(
            "there is no crate in `{}`: no Cargo.toml. `edgeweir hook new NAME` makes one; a WASM file is named as it is",
            folder.display()
        );
    }
    target_is_there(folder)?;
    // In the crate's folder, so that its .cargo/config.toml and rust-toolchain.toml count.
    let output = Command::new(program("CARGO", "cargo"))
        .args(["build", "--lib", "--target", TARGET, "--profile", profile])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("cargo is not there: install Rust from https://rustup.rs")
        }
        output => output.context("cannot run cargo")?,
    };
    if !output.status.success() {
        bail!("the hook does not build: cargo says above why");
    }
    let manifest = folder.join("Cargo.toml").canonicalize().context("cannot resolve the crate's folder")?;
    match artefact(&String::from_utf8_lossy(&output.stdout), &manifest) {
        Some(path) => Ok(from_here(path)),
        None => bail!("the crate makes no WASM: it needs `crate-type = [\"cdylib\", \"rlib\"]` under `[lib]`"),
    }
}

/// The path as seen from the current folder, if it lies below.
fn from_here(path: PathBuf) -> PathBuf {
    let below = env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or(path)
}

/// The WASM among cargo's messages.
fn artefact(messages: &str, manifest: &Path) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        let files = message["filenames"].as_array().filter(|_| ours)?;
        files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
    })
}

/// Looks for the target's libraries, because the compiler's own message does not say what to do.
fn target_is_there(folder: &Path) -> anyhow::Result<()> {
    let output = Command::new(program("RUSTC", "rustc"))
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else { return Ok(()) };
    let libraries = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && !Path::new(libraries.trim()).is_dir() {
        bail!("Rust's WASM target is not installed: run `rustup target add {TARGET}`");
    }
    Ok(())
}

/// The program that the environment names, as cargo's own tools have it, or the usual one.
pub(in crate::cli) fn program(variable: &str, usual: &str) -> OsString {
    env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| usual.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_artefact_is_that_of_the_crate() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/dep/Cargo.toml","filenames":["/t/dep.wasm"]}
not json
{"reason":"compiler-artifact","manifest_path":"/hook/Cargo.toml","filenames":["/t/libhook.rlib","/t/hook.wasm"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(artefact(messages, Path::new("/hook/Cargo.toml")), Some(PathBuf::from("/t/hook.wasm")));
        assert_eq!(artefact(messages, Path::new("/other/Cargo.toml")), None);
    }

    #[test]
    fn a_folder_without_a_crate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = build(folder.path(), "release").unwrap_err().to_string();
        assert!(message.contains("no Cargo.toml") && message.contains("hook new"), "{message}");
    }
}
