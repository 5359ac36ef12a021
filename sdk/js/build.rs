//! Links the engine with more stack than hooks have by default, since an interpreter nests deep, and with just the first
//! memory that stack and data need: the heap begins behind it, and what lies between would be cleared for nothing after each
//! call. For the same reason the library's text is no data but a section of its own, which only a hook's build reads.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]

use std::path::Path;
use std::{env, fs};

const LIBRARY: &str = "src/library";
/// What all functions need, in the order in which it is made: each part is a function of the object that `native` makes and of
/// the parts before it.
const ALL: [&str; 7] = ["buffer", "globals", "crypto", "querystring", "helpers", "watched", "events"];
/// What those of Lambda@Edge need besides.
const NODE: [&str; 4] = ["url", "fetch", "node", "lambda"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={LIBRARY}");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let library = format!("{{\"all\":{},\"node\":{}}}", parts(&ALL), parts(&NODE));
    fs::write(Path::new(&out).join("library.json"), library).expect("OUT_DIR is writable");
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size=241664");
        println!("cargo:rustc-link-arg-cdylib=--initial-memory=393216");
    }
}

/// The parts as a JSON array of names and modules.
fn parts(names: &[&str]) -> String {
    let part = |name: &&str| {
        let text = fs::read_to_string(Path::new(LIBRARY).join(format!("{name}.js"))).expect("the part is there");
        format!("[\"{name}\",\"{}\"]", escaped(&format!("export default {}", bare(&text))))
    };
    format!("[{}]", names.iter().map(part).collect::<Vec<_>>().join(","))
}

/// As it is in a JSON string. Sources have no other control characters than line ends.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t")
}

/// A source without comments that have a line of their own, and without indents. No text of the library goes over lines.
fn bare(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}
