//! Edgeweir's hook host: runs WASM hooks in wasmtime
