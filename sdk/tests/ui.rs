//! What the compiler says of hooks that are written wrongly: `ui/NAME.rs` gives `ui/NAME.err`. One `rustc` for each, against
//! the SDK that this test was built with; no cargo and no network. `UPDATE=1` writes the `.err` files anew.
#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The SDK that cargo built last, beside this test.
fn sdk(folder: &Path) -> PathBuf {
    let built = fs::read_dir(folder).expect("a folder of dependencies").flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libedgeweir_sdk-") && name.ends_with(".rlib")
    });
    let age =
        |entry: &fs::DirEntry| entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    built.max_by_key(age).expect("the SDK is built").path()
}

/// The compiler's words without places outside of the file and without what differs between machines.
fn words(file: &Path, sdk: &Path, folder: &Path) -> String {
    let output = Command::new("rustc")
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=human", "--color=never"])
        .arg("-Adead_code")
        .arg(format!("--extern=edgeweir_sdk={}", sdk.display()))
        .arg(format!("-Ldependency={}", folder.display()))
        .args(["--out-dir"])
        .arg(std::env::temp_dir())
        .arg(file)
        .output()
        .expect("rustc runs");
    assert!(!output.status.success(), "{} compiles", file.display());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut kept = String::new();
    // Only errors of the file itself: notes on the SDK's own lines change with them.
    for part in text.split("\n\n") {
        let first = part.trim_start_matches('\n');
        if first.starts_with("error: aborting") || first.starts_with("For more") || first.starts_with("Some errors") {
            continue;
        }
        // Which other types fit depends on the features that serde was built with.
        let others = |line: &str| line.trim_start().trim_start_matches("= ").starts_with("help: the following other");
        let lines = first.lines().take_while(|line| !line.starts_with("note: ") && !others(line));
        let part: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
        kept.push_str(&part.replace(&file.display().to_string(), "$FILE"));
        kept.push('\n');
    }
    format!("{}\n", kept.trim_end())
}

#[test]
fn wrong_hooks_are_explained() {
    let exe = std::env::current_exe().expect("a test has a path");
    let folder = exe.parent().expect("it is in a folder").to_owned();
    let sdk = sdk(&folder);
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut files: Vec<PathBuf> =
        fs::read_dir(ui).expect("the cases").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    assert!(files.len() >= 8, "only {} cases", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let words = words(&file, &sdk, &folder);
        let committed = file.with_extension("err");
        #[expect(clippy::disallowed_methods, reason = "the environment of a test run")]
        if std::env::var("UPDATE").is_ok() {
            fs::write(&committed, &words).expect("a writable folder");
        }
        let expected = fs::read_to_string(&committed).unwrap_or_default();
        if words != expected {
            wrong.push(format!("== {}\n-- expected\n{expected}-- actual\n{words}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
