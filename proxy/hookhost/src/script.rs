//! Hooks in JavaScript: a source becomes a WASM hook like any other. The engine that is built into this program runs up to
//! where the function is defined (`stage`), its state is kept as a module (wasmtime-wizer), and what the function does not
//! use is taken out (`trim`). Equal sources give equal bytes.

mod library;
mod places;
mod report;
mod run;
mod trim;

use std::path::Path;

pub(crate) use places::Places;
pub use report::ScriptError;

use crate::load::digest;

/// The engine (`sdk/js`); empty where it was not there when this program was built.
const ENGINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/engine.wasm"));
/// Largest source without its source map, in bytes: bundles are larger than the 10 KiB of CloudFront Functions.
pub const MAX_SCRIPT: usize = 1 << 20;
/// Changes with what is done to a snapshot here.
const EDITION: &str = "script-4";

/// A hook made of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The hook: a core module.
    pub wasm: Vec<u8>,
    /// What its top-level code wrote to the log.
    pub log: Vec<String>,
}

/// Whether a file is named as JavaScript is: `.js`, `.mjs` or `.cjs`.
#[must_use]
pub fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["js", "mjs", "cjs"].iter().any(|known| extension == *known))
}

/// Builds a hook. `file` is what errors call the source. Takes seconds the first time in a process, and a fraction of one
/// after that: call it where blocking is allowed.
///
/// # Errors
/// What is wrong with the source, and where.
pub fn build_script(file: &str, source: &[u8]) -> Result<Script, ScriptError> {
    if ENGINE.is_empty() {
        return Err(ScriptError::NoEngine);
    }
    let (text, places) = report::source(file, source)?;
    let run::Snapshot { wasm, log, lambda } = run::snapshot(file, text, places.as_ref(), key(file, source))?;
    // Whoever wants a store by another way than by name gets an error that says so.
    let uses = trim::Uses { stores: text.contains("kvs"), fetch: lambda && text.contains("fetch"), lambda };
    let map = places.map(|places| places.section());
    let wasm = trim::trim(&wasm, uses, map.as_deref()).map_err(ScriptError::Engine)?;
    Ok(Script { wasm, log })
}

/// Whether these bytes say that they are a hook in JavaScript: then they run with other instances (`engine`).
pub(crate) fn is_marked(wasm: &[u8]) -> bool {
    let sections = wasmparser::Parser::new(0).parse_all(wasm);
    let mut customs = sections.map_while(Result::ok).filter_map(|section| match section {
        wasmparser::Payload::CustomSection(section) => Some(section.name() == trim::MARK),
        _ => None,
    });
    customs.any(|is_it| is_it)
}

/// What a source is known by, with the engine that runs it.
pub(crate) fn key(file: &str, source: &[u8]) -> [u8; 32] {
    digest(&[EDITION.as_bytes(), &digest(ENGINE), &digest(file.as_bytes()), source].concat())
}
