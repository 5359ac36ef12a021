//! The engine: compiler, instance pool, linker and ticker, once per process. Does not know single hooks.

pub(crate) mod config;
pub(crate) mod lane;
pub(crate) mod room;
mod ticker;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use wasmtime::component::Linker;

use crate::artefact::ArtefactCache;
use crate::compiler::Compiler;
use crate::direct::{self, Budget};
use crate::hook::{Hook, HookLimits, Program};
use crate::host;
use crate::keys::Keys;
use crate::load::{self, LoadError};
use crate::script::{self, Script, ScriptError, build_script};
use crate::services::HostServices;
use crate::state::CallState;

use config::Resident;
use lane::SlowLane;
use ticker::Ticker;

/// What all hooks of the process share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Hook calls at once; more are [`Overloaded`](crate::HookFault::Overloaded). Each slot reserves 8 GiB of address
    /// space and keeps at most 256 KiB resident. 1 to 10,000. Hooks in JavaScript have slots of their own, as many but at most
    /// 256, which keep at most 1,152 KiB each; they are made with the first such hook. Instances that are kept for the next call
    /// keep besides what of their memory is more than that, at most 128 MiB in all, and their tables of functions, at most
    /// 157 KiB each; each program whose instances are kept has what they start with. The stacks of calls come on top of that, in
    /// as many slots: what the deepest call of each has used.
    pub slots: u32,
    /// Most memory that any hook's limit may allow, in bytes. 64 KiB to 1 GiB.
    pub max_memory: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { slots: 1000, max_memory: 64 << 20 }
    }
}

/// Why the engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A limit out of its range.
    #[error("engine limits out of range: slots must be 1 to 10000, max_memory 64 KiB to 1 GiB")]
    Limits,
    /// wasmtime refuses, for example because the address space is limited.
    #[error("wasmtime cannot be set up")]
    Wasmtime(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The ticker's thread cannot be started.
    #[error("the epoch thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Loads hooks. Once per process; cheap to clone, ends with its last hook.
#[derive(Clone)]
pub struct HookEngine {
    inner: Arc<Inner>,
    /// For hooks in JavaScript; made with the first one.
    scripts: Arc<Mutex<Option<Arc<Inner>>>>,
    made: Arc<Made>,
}

/// What an engine is made from.
struct Made {
    limits: EngineLimits,
    cache_dir: Option<PathBuf>,
    compiler: Option<Arc<Compiler>>,
    services: Arc<dyn HostServices>,
    /// One for both engines: what it leaves to requests holds for all hooks together.
    slow: Arc<SlowLane>,
}

/// Most calls of hooks in JavaScript at once: they never wait for anything, and each slot keeps more than a MiB.
const SCRIPT_SLOTS: u32 = 256;

/// What hooks keep of their engine.
pub(crate) struct Inner {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<CallState>,
    /// For core modules.
    pub(crate) direct: wasmtime::Linker<CallState>,
    pub(crate) limits: EngineLimits,
    pub(crate) services: Arc<dyn HostServices>,
    pub(crate) keys: Keys,
    pub(crate) ticker: Ticker,
    pub(crate) slow: Arc<SlowLane>,
    pub(crate) kept: Arc<Budget>,
    pub(crate) cache: Option<ArtefactCache>,
    /// None: in this process.
    pub(crate) compiler: Option<Arc<Compiler>>,
    /// Loaded programs by the SHA-256 of their bytes, so that a reload compiles nothing twice. Bounded by what lives:
    /// entries of dropped programs go with the next load.
    programs: Mutex<HashMap<[u8; 32], Weak<Program>>>,
    turn: room::Turn,
}

impl HookEngine {
    /// Makes an engine that compiles in this process. `cache_dir` keeps compiled hooks over restarts; it is created with
    /// mode 0700. A directory that cannot be used is a warning in the log, not an error.
    ///
    /// # Errors
    ///
    /// When limits are out of range or the operating system does not give the address space or the thread.
    pub fn new(
        limits: EngineLimits,
        cache_dir: Option<&Path>,
        services: Arc<dyn HostServices>,
    ) -> Result<Self, EngineError> {
        Self::with_compiler(limits, cache_dir, None, services)
    }

    /// As [`HookEngine::new`]; with a `compiler`, hooks are compiled in a process of their own.
    ///
    /// # Errors
    ///
    /// When limits are out of range or the operating system does not give the address space or the thread.
    pub fn with_compiler(
        limits: EngineLimits,
        cache_dir: Option<&Path>,
        compiler: Option<Compiler>,
        services: Arc<dyn HostServices>,
    ) -> Result<Self, EngineError> {
        if !(1..=10_000).contains(&limits.slots) || !(64 << 10..=1 << 30).contains(&limits.max_memory) {
            return Err(EngineError::Limits);
        }
        let compiler = compiler.map(Arc::new);
        let slow = Arc::default();
        let made = Made { limits, cache_dir: cache_dir.map(Path::to_owned), compiler, services, slow };
        let inner = Arc::new(Inner::new(&made, Resident::Compiled)?);
        Ok(Self { inner, scripts: Arc::default(), made: Arc::new(made) })
    }

    /// The engine for these bytes.
    fn inner(&self, wasm: &[u8]) -> Result<Arc<Inner>, LoadError> {
        if !script::is_marked(wasm) {
            return Ok(Arc::clone(&self.inner));
        }
        let mut scripts = self.scripts.lock();
        if let Some(inner) = &*scripts {
            return Ok(Arc::clone(inner));
        }
        let made = Inner::new(&self.made, Resident::Script).map_err(|error| LoadError::Prepare(Box::new(error)))?;
        Ok(Arc::clone(scripts.insert(Arc::new(made))))
    }

    /// Loads a hook: a component, or a core module that becomes one. Compiles unless the same bytes are loaded or cached
    /// already, and so may block for seconds: call it where that is allowed.
    ///
    /// # Errors
    ///
    /// When the bytes are not a hook that this version can run within its limits; the error names what is wrong.
    pub fn load(&self, name: &str, wasm: &[u8], limits: HookLimits) -> Result<Arc<Hook>, LoadError> {
        limits.check(self.inner.limits)?;
        let inner = self.inner(wasm)?;
        let key = load::digest(wasm);
        let known = inner.programs.lock().get(&key).and_then(Weak::upgrade);
        let program = match known {
            Some(program) => program,
            None => {
                let program = Arc::new(load::program(&inner, &key, wasm)?);
                let mut programs = inner.programs.lock();
                programs.retain(|_, program| program.strong_count() > 0);
                programs.insert(key, Arc::downgrade(&program));
                program
            }
        };
        Hook::new(name, program, limits, inner)
    }

    /// A hook in JavaScript, as [`build_script`] makes it, from the cache if it was built before: only with a `cache_dir`,
    /// and then without its log. Blocks.
    ///
    /// # Errors
    ///
    /// What is wrong with the source, and where.
    pub fn script(&self, file: &str, source: &[u8]) -> Result<Script, ScriptError> {
        let key = script::key(file, source);
        // A folder of their own: what is made of sources never comes where code is looked for (`precompiled`).
        let cache = self.made.cache_dir.as_deref();
        let cache = cache.and_then(|dir| ArtefactCache::open(&dir.join("scripts"), &self.inner.wasmtime));
        if let Some(kept) = cache.as_ref().and_then(|cache| cache.read(&key)) {
            return Ok(Script { wasm: kept.bytes().to_vec(), log: Vec::new() });
        }
        let made = build_script(file, source)?;
        if let Some(cache) = cache {
            cache.write(&key, &made.wasm);
        }
        Ok(made)
    }
}

impl Inner {
    fn new(made: &Made, resident: Resident) -> Result<Self, EngineError> {
        let limits = match resident {
            Resident::Compiled => made.limits,
            Resident::Script => EngineLimits { slots: made.limits.slots.min(SCRIPT_SLOTS), ..made.limits },
        };
        let wasmtime = wasmtime::Engine::new(&config::wasmtime(limits, resident)).map_err(set_up)?;
        Ok(Self {
            linker: host::linker(&wasmtime).map_err(set_up)?,
            direct: direct::linker(&wasmtime).map_err(set_up)?,
            limits,
            services: Arc::clone(&made.services),
            keys: Keys::default(),
            ticker: Ticker::start(wasmtime.weak()).map_err(EngineError::Thread)?,
            slow: Arc::clone(&made.slow),
            kept: Arc::default(),
            cache: made.cache_dir.as_deref().and_then(|dir| ArtefactCache::open(dir, &wasmtime)),
            compiler: made.compiler.clone(),
            programs: Mutex::default(),
            turn: room::Turn::default(),
            wasmtime,
        })
    }
}

fn set_up(error: wasmtime::Error) -> EngineError {
    EngineError::Wasmtime(error.into_boxed_dyn_error())
}
