//! Links the engine with more stack than hooks have by default, since an interpreter nests deep, and with just the first
//! memory that stack and data need: the heap begins behind it, and what lies between would be cleared for nothing after each
//! call. For the same reason the library goes in without comments and indents: its text is part of that data.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]

use std::path::Path;
use std::{env, fs};

const LIBRARY: &str = "src/library";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={LIBRARY}");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    for entry in fs::read_dir(LIBRARY).expect("the library is there") {
        let path = entry.expect("a readable folder").path();
        let text = fs::read_to_string(&path).expect("a text");
        let name = path.file_name().expect("a file");
        fs::write(Path::new(&out).join(name), bare(&text)).expect("OUT_DIR is writable");
    }
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size=241664");
        println!("cargo:rustc-link-arg-cdylib=--initial-memory=458752");
    }
}

/// A source without comments that have a line of their own, and without indents. No text of the library goes over lines.
fn bare(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}
