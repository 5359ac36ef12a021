//! Where the built hooks and test guests are.

use std::path::PathBuf;

/// The target folder that this test binary was built into.
///
/// # Panics
/// When the binary is not in a target folder.
#[must_use]
pub fn target_folder() -> PathBuf {
    // target/PROFILE/deps/TEST: this honours CARGO_TARGET_DIR and configs without reading either.
    let exe = std::env::current_exe().expect("a running binary has a path");
    exe.ancestors().nth(3).expect("the test runs from its target folder").to_owned()
}

/// A hook that Edgeweir ships, for example `jwt-auth`.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn hook(name: &str) -> PathBuf {
    built(&format!("edgeweir_hook_{}.wasm", name.replace('-', "_")))
}

/// A test guest, for example `trap`.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    built(&format!("examples/{}.wasm", name.replace('-', "_")))
}

fn built(file: &str) -> PathBuf {
    let path = target_folder().join("wasm32-unknown-unknown/hook").join(file);
    assert!(path.is_file(), "{} is missing: run `make hooks`", path.display());
    path
}
