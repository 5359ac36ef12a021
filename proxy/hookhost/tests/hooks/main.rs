//! The hook host with real guests: each test loads WASM that proves one behaviour. `make guests` builds them.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod calls;
mod data;
mod edits;
mod grants;
mod inspecting;
mod lambda;
mod limits;
mod loading;
mod samples;
mod script_reads;
mod scripts;
mod settings;
mod support;
mod tools;
mod wasi;
