//! Puts the JavaScript engine into this crate: the WASM that `make engine` built, or nothing where it did not. Then there
//! is an empty file in its place, which cargo watches: the engine is taken in by the next build after it was made.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=EDGEWEIR_JS_ENGINE");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let engine = match env::var_os("EDGEWEIR_JS_ENGINE").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => target(&out).join("js/engine.wasm"),
    };
    if !engine.exists() {
        let placed = engine.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&engine, b""));
        placed.unwrap_or_else(|error| panic!("cannot write {}: {error}", engine.display()));
    }
    println!("cargo:rerun-if-changed={}", engine.display());
    fs::copy(&engine, out.join("engine.wasm")).expect("the engine can be copied to OUT_DIR");
}

/// The target folder: `OUT_DIR` is `TARGET/[TRIPLE/]PROFILE/build/PACKAGE/out`.
fn target(out: &Path) -> PathBuf {
    let triple = env::var("TARGET").unwrap_or_default();
    let folder = out.ancestors().nth(4).unwrap_or(out);
    let has_triple = folder.file_name().is_some_and(|name| *name == *triple);
    if has_triple { folder.parent().unwrap_or(folder) } else { folder }.to_owned()
}
