//! Links the engine with more stack than hooks have by default, since an interpreter nests deep, and with just the first
//! memory that stack and data need: the heap begins behind it, and what lies between would be cleared for nothing after each
//! call.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size=262144");
        println!("cargo:rustc-link-arg-cdylib=--initial-memory=524288");
    }
}
