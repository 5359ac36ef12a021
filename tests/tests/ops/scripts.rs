//! Functions in JavaScript at the command line, with the real binary: `make build` has put the engine into it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use edgeweir_tests::process::binary;

const REDIRECT: &str =
    "function handler(event) {\n  return { statusCode: 302, headers: { location: { value: '/new' } } };\n}\n";
const CASE: &str = "stage = \"viewer-request\"\n[request]\nuri = \"/old\"\n[expect]\nverdict = \"respond\"\nstatus = 302\nheaders = { location = \"/new\" }\n";

fn edgeweir(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("in a folder")).expect("a writable folder");
    std::fs::write(path, text).expect("a writable folder");
}

#[test]
fn a_function_is_built_tested_and_checked_without_other_tools() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    write(folder, "fn.js", REDIRECT);
    write(folder, "cases/moved.toml", CASE);

    let built = edgeweir(folder, &["hook", "build", "fn.js"]);
    assert_eq!(built.status.code(), Some(0), "{}", words(&built));
    assert!(words(&built).contains("viewer-request, viewer-response"), "{}", words(&built));
    assert!(words(&built).contains("kind      JavaScript\n"), "{}", words(&built));
    assert!(!words(&built).contains("hint"), "flags of Rust's linker are nothing to it: {}", words(&built));
    let size = std::fs::metadata(folder.join("fn.wasm")).expect("beside the source").len();
    assert!((100_000..10 << 20).contains(&size), "{size}");
    let other = edgeweir(folder, &["hook", "build", "fn.js", "-o", "other.wasm"]);
    assert_eq!(other.status.code(), Some(0), "{}", words(&other));
    let read = |name: &str| std::fs::read(folder.join(name)).expect("written");
    assert!(read("fn.wasm") == read("other.wasm"), "equal sources give equal files");

    let tested = edgeweir(folder, &["hook", "test", "fn.js"]);
    assert_eq!(tested.status.code(), Some(0), "{}", words(&tested));
    assert!(words(&tested).contains("1 passed, 0 failed"), "{}", words(&tested));
}

#[test]
fn what_is_wrong_with_a_source_is_shown_where_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    write(folder, "fn.js", "function handler(event) {\n  return even t;\n}\n");
    let built = edgeweir(folder, &["hook", "build", "fn.js"]);
    assert_eq!(built.status.code(), Some(1));
    let shown = "fn.js:2:15: SyntaxError";
    assert!(words(&built).contains(shown) && words(&built).contains("\n 2 |   return even t;\n"), "{}", words(&built));
    assert!(!folder.join("fn.wasm").exists());

    let config = "state_dir = \"state\"\n[origins.a]\nurl = \"http://127.0.0.1:9\"\n[hooks.fn]\nfile = \"fn.js\"\n\
                  [distributions.site]\nhosts = [\"*\"]\norigin = \"a\"\n[[distributions.site.behaviors]]\npath = \"*\"\n\
                  hooks = { viewer-request = [\"fn\"] }\n";
    write(folder, "edgeweir.toml", config);
    let checked = edgeweir(folder, &["check", "edgeweir.toml"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(words(&checked).contains(shown), "{}", words(&checked));

    // At a stage that CloudFront Functions do not have.
    write(folder, "fn.js", REDIRECT);
    write(folder, "edgeweir.toml", &config.replace("viewer-request", "origin-request"));
    let checked = edgeweir(folder, &["check", "edgeweir.toml"]);
    assert_eq!(checked.status.code(), Some(1), "{}", words(&checked));
    assert!(words(&checked).contains("origin-request"), "{}", words(&checked));
}
