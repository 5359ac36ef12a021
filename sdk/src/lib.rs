//! Write hooks for Edgeweir in Rust
