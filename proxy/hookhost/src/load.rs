//! From bytes to a program: size, kind, imports and exports are checked, then it is compiled or taken from the cache.

mod contract;
mod module;
mod wasi;

pub(crate) use contract::Shape;
pub(crate) use module::to_component;

use ring::digest::{SHA256, digest as ring_digest};
use wasmtime::component::Component;

use crate::artefact::{Verified, hex};
use crate::engine::Inner;
use crate::hook::Program;
use crate::precompiled;

pub(crate) use contract::interface as interface_of;

/// Largest hook, in bytes, as uploaded: not compressed.
pub const MAX_WASM: usize = 10 << 20;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why bytes are not a hook.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Over 10 MiB.
    #[error("the hook has {size} bytes; at most {MAX_WASM} are allowed")]
    TooLarge {
        /// Size in bytes.
        size: usize,
    },
    /// Neither a WASM module nor a component.
    #[error("the hook is not a WASM module or component")]
    NotWasm,
    /// A core module that does not describe itself as a component, or does so wrongly.
    #[error("the core module cannot be made a component: {detail}")]
    Encode {
        /// What is wrong, from wit-component.
        detail: String,
    },
    /// An import that the contract does not have.
    #[error("the hook imports `{import}`, which is not part of the contract edgeweir:hook@0.1")]
    UnknownImport {
        /// The import's name.
        import: String,
    },
    /// A function of the contract is missing here or has another type.
    #[error("the hook was built against another version of the contract: {detail}")]
    Mismatch {
        /// What does not fit, from wasmtime.
        detail: String,
    },
    /// A core module's export that the contract does not have.
    #[error("the hook exports `{export}`, which is not part of the contract edgeweir:hook@0.1")]
    UnknownExport {
        /// The export's name.
        export: String,
    },
    /// No stage is exported.
    #[error("the hook exports none of the four stages and no authorizer; it exports {}", list(exports))]
    NoStage {
        /// What it exports.
        exports: Vec<String>,
    },
    /// The hook needs more than its limits give.
    #[error("the hook needs {needs}; its limits allow {allows}")]
    Demands {
        /// What the hook needs.
        needs: String,
        /// What is allowed.
        allows: String,
    },
    /// Invalid WASM, an unsupported feature, or more than the engine's pool can hold.
    #[error("the hook does not compile: {detail}")]
    Compile {
        /// What is wrong, from wasmtime.
        detail: String,
    },
    /// The process that compiles crashed, or reached its limits of time or memory.
    #[error("the compiler failed: {detail}")]
    Compiler {
        /// How it ended.
        detail: String,
    },
    /// The hook's own limits are out of range.
    #[error("hook limits out of range: {0}")]
    Limits(&'static str),
    /// wasmtime refuses for a reason that is not the hook's.
    #[error("the hook cannot be prepared")]
    Prepare(#[source] Source),
}

fn list(exports: &[String]) -> String {
    if exports.is_empty() { "nothing".into() } else { exports.join(", ") }
}

/// The SHA-256 that a program is known by.
pub(crate) fn digest(wasm: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(ring_digest(&SHA256, wasm).as_ref());
    key
}

/// Checks and compiles a hook.
pub(crate) fn program(engine: &Inner, key: &[u8; 32], wasm: &[u8]) -> Result<Program, LoadError> {
    if wasm.len() > MAX_WASM {
        return Err(LoadError::TooLarge { size: wasm.len() });
    }
    let component = component(engine, key, wasm)?;
    let shape = contract::check(&engine.wasmtime, &component)?;
    let demands = contract::demands(&component)?;
    if demands.memory > engine.limits.max_memory {
        return Err(too_much_memory(demands.memory, engine.limits.max_memory));
    }
    let pre = if contract::imports_wasi(&engine.wasmtime, &component) {
        let mut linker = engine.linker.clone();
        wasi::define(&mut linker, &engine.wasmtime, &component).map_err(prepare)?;
        linker.instantiate_pre(&component)
    } else {
        engine.linker.instantiate_pre(&component)
    };
    let pre = pre.map_err(|error| LoadError::Mismatch { detail: format!("{error:#}") })?;
    Program::new(pre, shape, demands.memory, hex(key))
}

/// Compiled, from the cache if it is there.
fn component(engine: &Inner, key: &[u8; 32], wasm: &[u8]) -> Result<Component, LoadError> {
    if let Some(artefact) = engine.cache.as_ref().and_then(|cache| cache.read(key)) {
        match precompiled::component(&engine.wasmtime, &artefact) {
            Ok(component) => return Ok(component),
            Err(error) => tracing::warn!(%error, "a compiled hook does not fit this engine; it is compiled again"),
        }
    }
    let artefact = Verified::compiled(match &engine.compiler {
        Some(compiler) => compiler.compile(wasm)?,
        None => compile(&engine.wasmtime, wasm)?,
    });
    // Also refuses what needs more than the pool has.
    let component = precompiled::component(&engine.wasmtime, &artefact)
        .map_err(|error| LoadError::Compile { detail: format!("{error:#}") })?;
    if let Some(cache) = &engine.cache {
        cache.write(key, artefact.bytes());
    }
    Ok(component)
}

/// Checks and compiles WASM in this process.
pub(crate) fn compile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    let encoded;
    // Magic number, then a layer and a version: a core module is version 1, a component layer 1.
    let wasm = match wasm.first_chunk::<8>() {
        Some(b"\0asm\x01\0\0\0") => {
            encoded = to_component(engine, wasm)?;
            &encoded
        }
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => wasm,
        _ => return Err(LoadError::NotWasm),
    };
    engine.precompile_component(wasm).map_err(|error| LoadError::Compile { detail: format!("{error:#}") })
}

pub(crate) fn too_much_memory(needs: usize, allows: usize) -> LoadError {
    LoadError::Demands { needs: format!("{needs} bytes of memory"), allows: format!("{allows} bytes") }
}

pub(crate) fn prepare(error: wasmtime::Error) -> LoadError {
    LoadError::Prepare(error.into_boxed_dyn_error())
}
