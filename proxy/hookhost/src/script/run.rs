//! Runs the engine up to where a function is defined, and keeps its state. What it may ask for meanwhile is decided here:
//! nothing of a request, no clock and no randomness, so that a snapshot holds what the source says and no more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wasmtime::{
    Caller, Config, Engine, Extern, Instance, Linker, Memory, Module, OptLevel, Store, StoreLimits, StoreLimitsBuilder,
    Trap, Val,
};
use wasmtime_wizer::{InstanceState, ModuleContext, SnapshotVal, ValType, Wizer};

use super::library::{self, Library};
use super::places::Places;
use super::report::Report;
use super::{ENGINE, ScriptError};
use crate::load::interface_of;

/// The engine's export for this.
pub(super) const SETUP: &str = "edgeweir_setup";
/// Most memory of the top-level code, in bytes.
const MAX_MEMORY: usize = 64 << 20;
/// Its time: one look at the limit each of these.
const TICK: Duration = Duration::from_millis(50);
/// The time of the top-level code, in ticks: 10 s, also on a busy machine.
const TICKS: u64 = 200;
/// Most lines of its log that are kept, and their bytes.
const MAX_LINES: usize = 64;
const MAX_BYTES: usize = 10 << 10;

/// What came of a run.
pub(super) struct Snapshot {
    pub(super) wasm: Vec<u8>,
    pub(super) log: Vec<String>,
    /// Whether the function is one of Lambda@Edge.
    pub(super) lambda: bool,
}

/// The engine, made ready to be run and read: once in a process.
struct Prepared {
    engine: Engine,
    module: Module,
    wizer: Wizer,
    context: ModuleContext<'static>,
    /// The library's parts, compiled, in the order in which they are made.
    library: Library<Vec<u8>>,
}

fn prepared() -> Result<&'static Prepared, ScriptError> {
    static PREPARED: OnceLock<Result<Prepared, String>> = OnceLock::new();
    let made = PREPARED.get_or_init(|| prepare().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|error| ScriptError::Engine(error.clone()))
}

fn prepare() -> wasmtime::Result<Prepared> {
    let mut wizer = Wizer::new();
    wizer.init_func(SETUP);
    let (context, instrumented) = wizer.instrument(ENGINE)?;
    let mut config = Config::new();
    // It is run for milliseconds: compiling it costs more.
    config.cranelift_opt_level(OptLevel::None).epoch_interruption(true).concurrency_support(false);
    config.max_wasm_stack(512 << 10);
    let engine = Engine::new(&config)?;
    let module = Module::new(&engine, instrumented)?;
    let text = library::text(ENGINE).map_err(wasmtime::Error::msg)?;
    let mut prepared = Prepared { engine, module, wizer, context, library: Library::default() };
    prepared.library = compiled(&prepared, text)?;
    Ok(prepared)
}

/// Compiles the library, in an instance of its own: the text and what compiling leaves behind would be part of each hook.
fn compiled(prepared: &Prepared, text: Library<(String, String)>) -> wasmtime::Result<Library<Vec<u8>>> {
    let _ticking = Ticking::start(prepared.engine.clone()).map_err(|error| wasmtime::Error::msg(error.to_string()))?;
    // What of it goes into the result does not depend on the seed.
    let mut guest = Guest::new(prepared, 1)?;
    guest.report(0)?;
    let mut compile = |(name, text): (String, String)| {
        guest.give(serde_json::json!({ "file": name, "text": text }).to_string().as_bytes())?;
        let code = guest.run(3)?.to_vec();
        if code.is_empty() {
            return Err(wasmtime::Error::msg(format!("the library's `{name}` does not compile")));
        }
        Ok(code)
    };
    let mut all = |parts: Vec<(String, String)>| parts.into_iter().map(&mut compile).collect::<wasmtime::Result<_>>();
    Ok(Library { all: all(text.all)?, node: all(text.node)? })
}

/// What the engine's imports see.
struct State {
    limits: StoreLimits,
    /// Until the language is made, the clock gives this: what its tables are seeded with.
    seed: Option<u64>,
    log: Vec<String>,
    log_bytes: usize,
}

/// An import that top-level code may not use.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Forbidden(&'static str);

/// Runs the engine with a source. `places` are its own, `key` is what it is known by.
pub(super) fn snapshot(
    file: &str,
    source: &str,
    places: Option<&Places>,
    key: [u8; 32],
) -> Result<Snapshot, ScriptError> {
    let prepared = prepared()?;
    let failed = |error: &wasmtime::Error| fault(file, error);
    let [a, b, c, d, e, ..] = key;
    // As many bits as the engine's clock carries. Another seed for each source, the same for the same.
    let seed = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]) | 1;
    let _ticking = Ticking::start(prepared.engine.clone())?;
    let mut guest = Guest::new(prepared, seed).map_err(|error| failed(&error))?;

    guest.report(0).map_err(|error| failed(&error))?.check(file, "", None)?;
    // A source that exports nothing is none of Lambda@Edge: its image stays without their part.
    let of_node = if source.contains("export") { &*prepared.library.node } else { &[] };
    for part in prepared.library.all.iter().chain(of_node) {
        let made = guest.give(part).and_then(|()| guest.report(4));
        made.map_err(|error| failed(&error))?.check(file, "", None)?;
    }
    guest.report(5).map_err(|error| failed(&error))?.check(file, "", None)?;
    guest.store.data_mut().seed = None;
    let given = serde_json::json!({ "file": file, "text": source }).to_string();
    guest.give(given.as_bytes()).map_err(|error| failed(&error))?;
    let defined = guest.report(2).map_err(|error| failed(&error))?;
    let lambda = defined.check(file, source, places)?;

    // Nothing in it waits: memory and globals are there.
    let mut taken = Box::pin(prepared.wizer.snapshot(&prepared.context, &mut guest));
    let wasm = match taken.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(wasm) => wasm.map_err(|error| failed(&error))?,
        Poll::Pending => return Err(ScriptError::Engine("the snapshot waits".into())),
    };
    drop(taken);
    Ok(Snapshot { wasm, log: std::mem::take(&mut guest.store.data_mut().log), lambda })
}

fn fault(file: &str, error: &wasmtime::Error) -> ScriptError {
    let file = file.to_owned();
    if let Some(Forbidden(what)) = error.downcast_ref() {
        return ScriptError::TopLevel { file, what };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => ScriptError::Limits { file, what: "does not come to an end within 10 s" },
        Some(Trap::StackOverflow) => ScriptError::Limits { file, what: "nests too deep" },
        // What the engine does when memory ends.
        Some(Trap::UnreachableCodeReached) => {
            ScriptError::Limits { file, what: "ends the engine: it may need more than 64 MiB of memory" }
        }
        _ => ScriptError::Engine(format!("{error:#}")),
    }
}

/// An instance of the engine.
struct Guest {
    store: Store<State>,
    instance: Instance,
    memory: Memory,
    setup: wasmtime::TypedFunc<(u32, u32), u64>,
}

impl Guest {
    fn new(prepared: &Prepared, seed: u64) -> wasmtime::Result<Self> {
        let limits = StoreLimitsBuilder::new().memory_size(MAX_MEMORY).instances(1).memories(1).tables(1).build();
        let state = State { limits, seed: Some(seed), log: Vec::new(), log_bytes: 0 };
        let mut store = Store::new(&prepared.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(TICKS);
        let instance = linker(prepared)?.instantiate(&mut store, &prepared.module)?;
        let memory = instance.get_memory(&mut store, "memory");
        let memory = memory.ok_or_else(|| wasmtime::Error::msg("the engine has no memory"))?;
        let setup = instance.get_typed_func(&mut store, SETUP)?;
        Ok(Self { store, instance, memory, setup })
    }

    /// Runs a step and reads its report.
    fn report(&mut self, step: u32) -> wasmtime::Result<Report> {
        serde_json::from_slice(self.run(step)?).map_err(|error| wasmtime::Error::msg(error.to_string()))
    }

    /// Runs a step; what it returns.
    fn run(&mut self, step: u32) -> wasmtime::Result<&[u8]> {
        let at = self.setup.call(&mut self.store, (step, 0))?;
        let (start, length) = (at >> 32, at & u64::from(u32::MAX));
        let bytes = usize::try_from(start)
            .ok()
            .zip(usize::try_from(length).ok())
            .and_then(|(start, length)| self.memory.data(&self.store).get(start..)?.get(..length));
        bytes.ok_or_else(|| wasmtime::Error::msg("what the engine returns is outside of its memory"))
    }

    /// Puts bytes where the next step finds them.
    fn give(&mut self, bytes: &[u8]) -> wasmtime::Result<()> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let at = self.setup.call(&mut self.store, (1, length))? >> 32;
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        self.memory.write(&mut self.store, at, bytes).map_err(|error| wasmtime::Error::msg(error.to_string()))
    }
}

impl InstanceState for Guest {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name);
        match global.map(|global| global.get(&mut self.store)) {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(value)) => SnapshotVal::F32(value),
            Some(Val::F64(value)) => SnapshotVal::F64(value),
            // The engine has the stack's pointer and no more.
            _ => SnapshotVal::I32(0),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        if let Some(memory) = self.instance.get_memory(&mut self.store, name) {
            contents(memory.data(&self.store));
        }
    }
}

/// The engine's imports: a clock that stands, a log, and refusals.
fn linker(prepared: &Prepared) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(&prepared.engine);
    for import in prepared.module.imports() {
        let wasmtime::ExternType::Func(ty) = import.ty() else { continue };
        let (module, name) = (import.module(), import.name());
        match (interface_of(module).unwrap_or_default(), name) {
            ("clock", "now") => {
                linker.func_wrap(module, name, |caller: Caller<'_, State>| -> wasmtime::Result<u64> {
                    caller.data().seed.ok_or_else(|| Forbidden("reads the clock (`Date`)").into())
                })?;
            }
            ("log", "write") => {
                linker.func_wrap(module, name, |caller: Caller<'_, State>, _: u32, at: u32, length: u32| {
                    write(caller, at, length);
                })?;
            }
            (interface, _) => {
                let what = forbidden(interface);
                linker.func_new(module, name, ty, move |_, _, _| Err(Forbidden(what).into()))?;
            }
        }
    }
    Ok(linker)
}

/// What the use of an interface amounts to.
fn forbidden(interface: &str) -> &'static str {
    match interface {
        "random" => "asks for random numbers",
        "crypto" => "computes a hash (`crypto`)",
        "key-value" => "reads a key-value store",
        "fetch" => "sends a request",
        _ => "reads a request",
    }
}

fn write(mut caller: Caller<'_, State>, at: u32, length: u32) {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return };
    let (data, state) = memory.data_and_store_mut(&mut caller);
    let line = data.get(at as usize..).and_then(|rest| rest.get(..length as usize)).unwrap_or_default();
    if state.log.len() < MAX_LINES && state.log_bytes + line.len() <= MAX_BYTES {
        state.log_bytes += line.len();
        state.log.push(String::from_utf8_lossy(line).into_owned());
    }
}

/// Moves the epoch on, so that the top-level code is looked at.
struct Ticking(Arc<AtomicBool>);

impl Ticking {
    fn start(engine: Engine) -> Result<Self, ScriptError> {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::Builder::new().name("script-ticker".into()).spawn(move || tick(&engine, &seen));
        thread.map(|_| Self(over)).map_err(|error| ScriptError::Engine(format!("no thread: {error}")))
    }
}

#[expect(clippy::disallowed_methods, reason = "the thread is this loop's own; sleeping is what it is for")]
fn tick(engine: &Engine, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(TICK);
        engine.increment_epoch();
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
