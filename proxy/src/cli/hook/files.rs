//! Which case files a pattern names. `*` in the last part stands for any characters; a folder stands for all in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Ends the names of files that hold what is expected of an event.
const EXPECTED: &str = ".expected.json";

/// The case files (`.toml`, and `.json` for events) of a pattern, by name.
///
/// # Errors
/// If there is none, or the folder cannot be read.
pub(super) fn cases(pattern: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if pattern.is_file() {
        return Ok(vec![pattern.to_owned()]);
    }
    let (folder, names) = if pattern.is_dir() {
        (pattern, "*".to_owned())
    } else {
        let names = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (pattern.parent().unwrap_or(Path::new("")), names)
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if folder.to_string_lossy().contains('*') {
        bail!("`*` may stand in the last part of `{}` only", pattern.display());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("there are no cases in `{}`", folder.display()))? {
        let path = entry.with_context(|| format!("cannot read `{}`", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_case(&name) && matches(&names, &name) {
            found.push(path);
        }
    }
    if found.is_empty() {
        bail!("there are no cases in `{}`: a case is a .toml file, or an AWS event in a .json file", pattern.display());
    }
    found.sort();
    Ok(found)
}

/// Where the expected result of an event is: `a.json` has `a.expected.json`.
pub(super) fn expected_of(event: &Path) -> PathBuf {
    event.with_extension("expected.json")
}

fn is_case(name: &str) -> bool {
    name.ends_with(".toml") || (name.ends_with(".json") && !name.ends_with(EXPECTED))
}

/// Whether `name` is of the pattern: each part between stars comes after the one before.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name) in
            [("*", "a.toml"), ("*.toml", "a.toml"), ("a*", "a.toml"), ("a*b*c", "a-b-b-c"), ("a", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.toml", "a.json"), ("a*", "b"), ("a*b*c", "a-c-b"), ("a", "ab"), ("a*a", "a")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn folders_patterns_and_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.json", "a.expected.json", "notes.md"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |pattern: PathBuf| -> Vec<String> {
            let found = cases(&pattern).unwrap();
            found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(folder.path().to_owned()), ["a.json", "b.toml"]);
        assert_eq!(names(folder.path().join("*.toml")), ["b.toml"]);
        assert_eq!(names(folder.path().join("b.toml")), ["b.toml"]);
        assert_eq!(expected_of(Path::new("x/a.json")), Path::new("x/a.expected.json"));
        assert!(cases(&folder.path().join("*.yaml")).is_err());
        assert!(cases(&folder.path().join("none/*.toml")).is_err());
        assert!(cases(&folder.path().join("*/b.toml")).unwrap_err().to_string().contains("last part"));
    }
}
