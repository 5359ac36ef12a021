//! From bytes to a program: size, kind, imports and exports are checked, then it is compiled or taken from the cache.

mod contract;
mod module;
pub(crate) mod rewrite;
mod wasi;

pub(crate) use contract::Shape;
pub(crate) use module::to_component;

use ring::digest::{SHA256, digest as ring_digest};
use wasmtime::Module;
use wasmtime::component::Component;

use crate::Grant;
use crate::artefact::{ArtefactCache, Verified, hex};
use crate::data::Held;
use crate::direct::Direct;
use crate::engine::Inner;
use crate::hook::{Code, Program};
use crate::precompiled;
use crate::script::Places;

pub(crate) use contract::interface as interface_of;
use rewrite::Plan;

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
    /// The data that it carries cannot be told apart, or is too much.
    #[error("the hook's data is not usable: {detail}")]
    Data {
        /// What is wrong with its names.
        detail: String,
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
    let held = Held::of(wasm)?;
    let compiled = compiled(engine, key, wasm)?;
    let component = match &compiled {
        Compiled::Component(component) | Compiled::Direct(component, _) => component,
    };
    let mut shape = contract::check(&engine.wasmtime, component)?;
    // Whether a function of JavaScript wants the body nobody can tell: without the grant it sees none, as with Lambda@Edge.
    if crate::script::is_marked(wasm) {
        shape.needs.retain(|need| *need != Grant::Body);
    }
    let demands = contract::demands(component)?;
    if demands.memory > engine.limits.max_memory {
        return Err(too_much_memory(demands.memory, engine.limits.max_memory));
    }
    let pre = if contract::imports_wasi(&engine.wasmtime, component) {
        let mut linker = engine.linker.clone();
        wasi::define(&mut linker, &engine.wasmtime, component).map_err(prepare)?;
        linker.instantiate_pre(component)
    } else {
        engine.linker.instantiate_pre(component)
    };
    let pre = pre.map_err(|error| LoadError::Mismatch { detail: format!("{error:#}") })?;
    // Of a core module's component only the types count: they are the contract's if this passes.
    let code = Code::component(pre, &shape)?;
    let code = match &compiled {
        Compiled::Component(_) => code,
        Compiled::Direct(_, module) => Code::Direct(Direct::new(&engine.direct, module, &engine.kept)?),
    };
    Ok(Program::new(code, shape, demands.memory, held, Places::of(wasm), hex(key)))
}

/// What the compiler makes of a hook.
enum Compiled {
    Component(Component),
    /// The component whose types stand for a core module's, and the module.
    Direct(Component, Module),
}

impl Compiled {
    fn of(engine: &Inner, direct: bool, artefact: &Verified) -> wasmtime::Result<Self> {
        if direct {
            let dir = engine.cache.as_ref().map(ArtefactCache::dir);
            precompiled::parts(&engine.wasmtime, artefact, dir).map(|(skeleton, module)| Self::Direct(skeleton, module))
        } else {
            precompiled::component(&engine.wasmtime, artefact).map(Self::Component)
        }
    }
}

/// Compiled, from the cache if it is there.
fn compiled(engine: &Inner, key: &[u8; 32], wasm: &[u8]) -> Result<Compiled, LoadError> {
    let direct = Plan::of(wasm).is_some();
    // What is compiled in another way has another name. The number changes with what `rewrite` does.
    let key = if direct { digest(&[b"direct-3".as_slice(), key].concat()) } else { *key };
    if let Some(artefact) = engine.cache.as_ref().and_then(|cache| cache.read(&key)) {
        match Compiled::of(engine, direct, &artefact) {
            Ok(compiled) => return Ok(compiled),
            Err(error) => tracing::warn!(%error, "a compiled hook does not fit this engine; it is compiled again"),
        }
    }
    let artefact = Verified::compiled(match &engine.compiler {
        Some(compiler) => compiler.compile(wasm)?,
        None => compile(&engine.wasmtime, wasm)?,
    });
    // Also refuses what needs more than the pool has.
    let compiled =
        Compiled::of(engine, direct, &artefact).map_err(|error| LoadError::Compile { detail: format!("{error:#}") })?;
    if let Some(cache) = &engine.cache {
        cache.write(&key, artefact.bytes());
    }
    Ok(compiled)
}

/// Checks and compiles WASM in this process.
pub(crate) fn compile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    let refused = |error: wasmtime::Error| LoadError::Compile { detail: format!("{error:#}") };
    // Magic number, then a layer and a version: a core module is version 1, a component layer 1.
    match wasm.first_chunk::<8>() {
        Some(b"\0asm\x01\0\0\0") => match Plan::of(wasm) {
            Some(plan) => {
                Module::validate(engine, wasm).map_err(refused)?;
                let skeleton = to_component(engine, &plan.skeleton())?;
                let module = plan.rewritten().map_err(|detail| LoadError::Compile { detail })?;
                let skeleton = engine.precompile_component(&skeleton).map_err(refused)?;
                let module = engine.precompile_module(&module).map_err(refused)?;
                Ok(precompiled::join(&skeleton, &module))
            }
            None => engine.precompile_component(&to_component(engine, wasm)?).map_err(refused),
        },
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => engine.precompile_component(wasm).map_err(refused),
        _ => Err(LoadError::NotWasm),
    }
}

pub(crate) fn too_much_memory(needs: usize, allows: usize) -> LoadError {
    LoadError::Demands { needs: format!("{needs} bytes of memory"), allows: format!("{allows} bytes") }
}

pub(crate) fn prepare(error: wasmtime::Error) -> LoadError {
    LoadError::Prepare(error.into_boxed_dyn_error())
}
