//! The JavaScript engine of hooks: QuickJS-ng compiled to WASM, with the event shapes of CloudFront Functions and
//! Lambda@Edge.
//!
//! Built once, by `make engine`. `edgeweir hook build` runs it up to the point where a function is defined and keeps that
//! state as a module of its own (hookhost's `script`); each call starts from there, in a fresh instance.
//!
//! - `setup` is what runs when a hook is built: the language, the library, the function's top-level code.
//! - `stages` is what runs in a call: the event, the function, and what it returned as edits of the contract.
//! - `library/*.js` is what functions find beside the language; it asks `native` for all that is not JavaScript.
//! - `asked` is the request, of which the edge learns what the function looked at.
//! - `system` has the only `unsafe` code: allocator, clock, and the export that `setup` is reached by.
#![cfg(target_arch = "wasm32")]

mod asked;
mod digests;
mod errors;
mod facts;
mod headers;
mod modules;
mod native;
mod outcome;
mod outgoing;
mod records;
mod setup;
mod stages;
mod system;
