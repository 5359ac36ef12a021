//! The crate behind a hook's file, by where cargo puts what it builds: `TARGET/wasm32-unknown-unknown/PROFILE/NAME.wasm`.
//! Which files it is made of is said by cargo too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli::hook::cargo;

/// Most files of one crate that are watched.
const MAX_FILES: usize = 4096;

/// A crate whose build makes a hook's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crate {
    /// Where its manifest is.
    folder: PathBuf,
    profile: String,
    /// What the build makes.
    artefact: PathBuf,
}

impl Crate {
    /// The crate that makes this file; none if nothing says that cargo made it.
    pub(super) fn of(artefact: &Path) -> Option<Self> {
        let profile = artefact.parent()?.file_name()?.to_str()?;
        let triple = artefact.ancestors().nth(2)?.file_name()?;
        if triple != cargo::TARGET || artefact.extension()? != "wasm" {
            return None;
        }
        let target = artefact.ancestors().nth(3)?;
        let root = match target.parent()? {
            here if here.as_os_str().is_empty() => Path::new("."),
            root => root,
        };
        let folder = package(root, artefact.file_stem()?.to_str()?)?;
        let profile = if profile == "debug" { "dev" } else { profile };
        Some(Self { folder, profile: profile.to_owned(), artefact: artefact.to_owned() })
    }

    /// Builds it. cargo's own words go to standard error.
    ///
    /// # Errors
    /// Why there is no new file.
    pub(super) fn build(&self) -> anyhow::Result<()> {
        let made = cargo::build(&self.folder, &self.profile)?;
        let same = made.canonicalize().ok() == self.artefact.canonicalize().ok();
        anyhow::ensure!(
            same,
            "the build made `{}`, but the configuration names `{}`",
            made.display(),
            self.artefact.display()
        );
        Ok(())
    }

    /// Its manifests and sources, also those of crates in other folders that it is built from.
    pub(super) fn sources(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        for name in ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo/config.toml", "rust-toolchain.toml"] {
            files.insert(self.folder.join(name));
        }
        let listed = std::fs::read_to_string(self.artefact.with_extension("d")).unwrap_or_default();
        files.extend(dependencies(&listed).into_iter().take(MAX_FILES));
        // A crate that was never built has no list, and a new module is in none.
        walk(&self.folder.join("src"), &mut files);
        files
    }

    /// Where it is, for messages.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The folder of the package in the workspace at `root` whose library becomes `NAME.wasm`.
fn package(root: &Path, name: &str) -> Option<PathBuf> {
    if !root.join("Cargo.toml").is_file() {
        return None;
    }
    let output = Command::new(cargo::program("CARGO", "cargo"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).ok()?;
    let makes = |package: &Value| {
        let targets = package["targets"].as_array().into_iter().flatten();
        let library = |target: &&Value| {
            target["name"].as_str().is_some_and(|found| found.replace('-', "_") == name)
                && target["crate_types"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"))
        };
        targets.filter(library).count() > 0
    };
    let package = metadata["packages"].as_array()?.iter().find(|package| makes(package))?;
    Some(Path::new(package["manifest_path"].as_str()?).parent()?.to_owned())
}

/// The files in cargo's dep-info: `made: file file`, spaces in names escaped as in a Makefile.
fn dependencies(listed: &str) -> Vec<PathBuf> {
    let files = listed.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, files)| {
        let mut names = vec![String::new()];
        let mut chars = files.chars();
        while let Some(c) = chars.next() {
            match (c, names.last_mut()) {
                ('\\', Some(name)) => name.extend(chars.next()),
                (' ', _) => names.push(String::new()),
                (c, Some(name)) => name.push(c),
                (_, None) => {}
            }
        }
        names
    });
    files.filter(|name| !name.is_empty()).map(PathBuf::from).collect()
}

fn walk(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if files.len() >= MAX_FILES {
            return;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, files),
            Ok(_) if path.extension().is_some_and(|extension| extension == "rs") => drop(files.insert(path)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_found_by_what_they_build() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[workspace]\nmembers = [\"my-hook\"]\nresolver = \"3\"\n");
        write("my-hook/Cargo.toml", "[package]\nname = \"my-hook\"\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n");
        write("my-hook/src/lib.rs", "mod inner;\n");
        write("my-hook/src/inner/deep.rs", "");
        let at = |path: &str| Crate::of(&folder.path().join(path));
        let found = at("target/wasm32-unknown-unknown/debug/my_hook.wasm").unwrap();
        assert_eq!(found.profile, "dev");
        assert!(found.folder().ends_with("my-hook"));
        let sources = found.sources();
        for file in ["Cargo.toml", "src/lib.rs", "src/inner/deep.rs"] {
            assert!(sources.iter().any(|path| path.ends_with(Path::new("my-hook").join(file))), "{file}: {sources:?}");
        }
        for path in [
            "target/wasm32-unknown-unknown/release/other.wasm",
            "target/wasm32-wasip2/release/my_hook.wasm",
            "my_hook.wasm",
            "nowhere/target/wasm32-unknown-unknown/release/my_hook.wasm",
        ] {
            assert_eq!(at(path), None, "{path}");
        }
    }

    #[test]
    fn dep_info_is_read() {
        let listed = "/t/hello.wasm: /a/src/lib.rs /b\\ c/src/lib.rs\n\n/a/src/lib.rs:\n";
        assert_eq!(dependencies(listed), [PathBuf::from("/a/src/lib.rs"), PathBuf::from("/b c/src/lib.rs")]);
    }
}
