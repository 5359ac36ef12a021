//! The hook host with real guests: each test loads WASM that proves one behaviour. `make guests` builds them.
#![expect(clippy::unwrap_used, reason = "tests may panic")]
#![expect(clippy::print_stdout, reason = "the long ones print what they found")]

mod calls;
mod data;
mod edits;
mod grants;
mod inspecting;
mod lambda;
mod language;
mod limits;
mod loading;
mod million;
mod samples;
mod script_reads;
mod scripts;
mod settings;
mod support;
mod tools;
mod wasi;
