//! What helps where a hook's file is not one: it was not built yet, or the source or the folder of its crate is named. Looks at
//! names, and at what is there.

use std::path::Path;

/// Where cargo puts what it builds, below its `target` folder.
const TARGET: &str = "wasm32-unknown-unknown";

/// What to do, if that can be told from the path.
pub(super) fn help(path: &Path) -> Option<String> {
    if path.is_dir() {
        return Some(match path.join("Cargo.toml").is_file() {
            true => format!("that is the folder of a crate: {}, and name that file", build(path, "makes its WASM", "")),
            false => "name a `.wasm` file, or a function in JavaScript".to_owned(),
        });
    }
    if path.extension().is_some_and(|extension| extension == "rs") {
        let folder = path.ancestors().skip(1).find(|folder| folder.join("Cargo.toml").is_file());
        return Some(format!(
            "that is the source: {}, and name that file",
            build(folder.unwrap_or_else(|| Path::new("DIR")), "makes the WASM of its crate", "")
        ));
    }
    if path.extension().is_none_or(|extension| extension != "wasm") || path.exists() {
        return None;
    }
    let above = |nth: usize| path.ancestors().nth(nth);
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let cargos = above(2).and_then(name).is_some_and(|name| name == TARGET) && above(3).and_then(name).is_some();
    let (Some(profile), Some(folder), true) = (above(1).and_then(name), above(4), cargos) else {
        return Some(format!(
            "is it built? {}",
            build(Path::new("DIR"), "makes the WASM of a crate, and says where it is", "")
        ));
    };
    let profile = match profile.as_str() {
        "release" => String::new(),
        "debug" => " --profile dev".to_owned(),
        other => format!(" --profile {other}"),
    };
    Some(build(folder, "builds it", &profile))
}

fn build(folder: &Path, does: &str, profile: &str) -> String {
    let folder = match folder.to_string_lossy() {
        here if here.is_empty() => String::new(),
        folder => format!(" {folder}"),
    };
    format!("`edgeweir hook build{folder}{profile}` {does}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_hook_is_told_how_to_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let krate = folder.path().join("hello");
        std::fs::create_dir_all(krate.join("src")).unwrap();
        std::fs::write(krate.join("Cargo.toml"), "").unwrap();
        let said = |path: &Path| help(path).unwrap_or_default();
        let shown = krate.display();
        for (path, expected) in [
            (
                "",
                format!(
                    "that is the folder of a crate: `edgeweir hook build {shown}` makes its WASM, and name that file"
                ),
            ),
            ("src", "name a `.wasm` file, or a function in JavaScript".to_owned()),
            (
                "src/lib.rs",
                format!(
                    "that is the source: `edgeweir hook build {shown}` makes the WASM of its crate, and name that file"
                ),
            ),
            ("target/wasm32-unknown-unknown/release/hello.wasm", format!("`edgeweir hook build {shown}` builds it")),
            (
                "target/wasm32-unknown-unknown/debug/hello.wasm",
                format!("`edgeweir hook build {shown} --profile dev` builds it"),
            ),
            (
                "hello.wasm",
                "is it built? `edgeweir hook build DIR` makes the WASM of a crate, and says where it is".to_owned(),
            ),
            ("hello.js", String::new()),
        ] {
            let at = if path.is_empty() { krate.clone() } else { krate.join(path) };
            assert_eq!(said(&at), expected, "{path}");
        }
        assert_eq!(said(Path::new("target/wasm32-unknown-unknown/release/a.wasm")), "`edgeweir hook build` builds it");
        std::fs::write(krate.join("hello.wasm"), "").unwrap();
        assert_eq!(said(&krate.join("hello.wasm")), "", "it is there");
    }
}
