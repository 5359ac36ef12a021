//! Core modules without a component around them: hooks of the SDK for wasm32-unknown-unknown. A component of such a module
//! is three core instances, two more tables and an instance of its own; here it is one, and a call finds
//! one that was kept, or makes one (`kept`). The types of
//! imports and exports were checked before, on a component (`load`); what crosses the border is checked here, at each
//! access (`abi`).

mod abi;
mod imports;
mod kept;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;

use wasmtime::{Instance, InstancePre, Linker, Memory, Module, ModuleExport, Result, Store, TypedFunc};

use crate::bindings::stages::settings_check::Problem;
use crate::engine::room::Room;
use crate::fault::Broken;
use crate::load::rewrite::{MEMORY, REALLOC, entry};
use crate::state::CallState;
use crate::{LoadError, Stage};

use abi::{Lift, Load, Lowering};
pub(crate) use imports::by_memory;
use kept::Written;
pub(crate) use kept::{Budget, Keeping, Kept, Ready};

/// What a hook returned, of the type that was expected.
type Output = Box<dyn Any + Send>;

/// Whether the hook may call imported functions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Gate {
    /// It may.
    #[default]
    Open,
    /// It allocates for a result of the host: the canonical ABI lets nothing else happen.
    Allocating,
    /// It has returned.
    Closed,
}

/// What a call of a core module has besides the call itself.
#[derive(Default)]
pub(crate) struct State {
    /// The hook's memory.
    memory: Option<Memory>,
    gate: Gate,
    lowering: Lowering,
    /// Takes what the called function returns, by its type.
    take: Option<fn(&mut Lift<'_>, u32) -> Result<Output>>,
    output: Option<Output>,
}

impl State {
    /// For another call of the same instance; what is kept of the last one is room.
    pub(crate) fn again(self) -> Self {
        Self { memory: self.memory, lowering: self.lowering, ..Self::default() }
    }

    /// What the hook has to allocate for the host, or 0.
    fn wants(&mut self) -> Result<u64> {
        let wants = self.lowering.wants()?;
        self.gate = if wants == 0 { Gate::Open } else { Gate::Allocating };
        Ok(wants)
    }

    fn take_output(&mut self, memory: &[u8], at: u32) -> Result<()> {
        let take = self.take.ok_or(Broken("nothing was called"))?;
        self.output = Some(take(&mut Lift::new(memory), at)?);
        Ok(())
    }
}

/// A linker with everything that this version provides.
pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    imports::define(&mut linker)?;
    Ok(linker)
}

/// A compiled core module.
pub(crate) struct Direct {
    pre: InstancePre<CallState>,
    memory: ModuleExport,
    realloc: Option<ModuleExport>,
    stages: [Option<ModuleExport>; Stage::EXPORTS.len()],
    check: Option<ModuleExport>,
    /// None if each call makes an instance.
    keeping: Option<Keeping>,
}

impl Direct {
    /// Links a module that `load::rewrite` made. `budget` is for instances that are kept.
    pub(crate) fn new(
        linker: &Linker<CallState>,
        module: &Module,
        budget: &Arc<Budget>,
    ) -> std::result::Result<Self, LoadError> {
        let mismatch = |detail: String| LoadError::Mismatch { detail };
        let pre = linker.instantiate_pre(module).map_err(|error| mismatch(format!("{error:#}")))?;
        let memory = module.get_export_index(MEMORY).ok_or_else(|| mismatch("it exports no memory".into()))?;
        let realloc = module.get_export_index(REALLOC);
        let stages = Stage::EXPORTS.map(|stage| module.get_export_index(&entry(stage.as_str())));
        let check = module.get_export_index(&entry("settings-check"));
        Ok(Self { pre, memory, realloc, stages, check, keeping: Keeping::of(module, budget) })
    }

    /// The instances that are kept; none if each call makes one.
    pub(crate) fn keeping(&self) -> Option<&Keeping> {
        self.keeping.as_ref()
    }

    /// Calls a stage; none if the module does not export it. Makes an instance if none is `ready`.
    pub(crate) async fn stage<T: Load + Send + 'static>(
        &self,
        stage: Stage,
        store: &mut Store<CallState>,
        ready: &mut Option<Ready>,
    ) -> Result<Option<T>> {
        let nth = Stage::EXPORTS.iter().position(|known| *known == stage);
        let Some(function) = nth.and_then(|nth| self.stages.get(nth)?.as_ref()) else { return Ok(None) };
        let instance = match ready {
            Some(ready) => {
                store.data_mut().memory = ready.size(store);
                ready.instance
            }
            None => ready.insert(self.instance(store).await?).instance,
        };
        let function: TypedFunc<(), ()> = typed(store, instance, function)?;
        expect::<T>(store);
        run(&function, store, ()).await?;
        output(store).map(Some)
    }

    /// Calls `settings-check`.
    pub(crate) async fn check(
        &self,
        settings: &str,
        store: &mut Store<CallState>,
    ) -> Result<std::result::Result<(), Vec<Problem>>> {
        let (Some(function), Some(realloc)) = (&self.check, &self.realloc) else {
            return Err(Broken("no `settings-check`").into());
        };
        let instance = self.instance(store).await?.instance;
        let function: TypedFunc<(u32, u32), ()> = typed(store, instance, function)?;
        let realloc: TypedFunc<(u32, u32, u32, u32), u32> = typed(store, instance, realloc)?;
        let length = u32::try_from(settings.len()).map_err(|_| Broken("the settings are too long"))?;
        store.data_mut().direct.gate = Gate::Closed;
        let at = run(&realloc, store, (0, 0, 1, length)).await?;
        store.data_mut().direct.gate = Gate::Open;
        let memory = store.data().direct.memory.ok_or(Broken("no memory"))?;
        let room = memory.data_mut(&mut *store).get_mut(at as usize..).and_then(|rest| rest.get_mut(..settings.len()));
        room.ok_or(Broken("realloc return: beyond end of memory"))?.copy_from_slice(settings.as_bytes());
        expect::<std::result::Result<(), Vec<Problem>>>(store);
        run(&function, store, (at, length)).await?;
        output(store)
    }

    async fn instance(&self, store: &mut Store<CallState>) -> Result<Ready> {
        let mut room = Room::for_one();
        let instance = loop {
            match self.pre.instantiate_async(&mut *store).await {
                Err(error) if room.again(&error, store.data()) => {}
                made => break made?,
            }
        };
        let memory = instance.get_module_export(&mut *store, &self.memory).and_then(wasmtime::Extern::into_memory);
        let ready = Ready { instance, memory: memory.ok_or(Broken("no memory"))? };
        store.data_mut().direct.memory = memory;
        if let Some(keeping) = &self.keeping {
            keeping.made(store, ready);
            let written = Written::of(ready.size(store));
            store.data_mut().direct.lowering.written = Some(written);
        }
        Ok(ready)
    }
}

fn typed<P: wasmtime::WasmParams, R: wasmtime::WasmResults>(
    store: &mut Store<CallState>,
    instance: Instance,
    export: &ModuleExport,
) -> Result<TypedFunc<P, R>> {
    let export = instance.get_module_export(&mut *store, export).and_then(wasmtime::Extern::into_func);
    export.ok_or(Broken("an export is missing"))?.typed(store)
}

/// Calls. An instance may have a place where its call has no stack.
async fn run<P: wasmtime::WasmParams + Copy + Sync, R: wasmtime::WasmResults + Sync>(
    function: &TypedFunc<P, R>,
    store: &mut Store<CallState>,
    params: P,
) -> Result<R> {
    let mut room = Room::for_one();
    loop {
        match function.call_async(&mut *store, params).await {
            Err(error) if room.again(&error, store.data()) => {}
            ended => return ended,
        }
    }
}

/// Says what is returned.
fn expect<T: Load + Send + 'static>(store: &mut Store<CallState>) {
    store.data_mut().direct.take = Some(|lift, at| {
        let value: T = lift.returned(at)?;
        Ok(Box::new(value))
    });
}

/// What was returned.
fn output<T: 'static>(store: &mut Store<CallState>) -> Result<T> {
    let output = store.data_mut().direct.output.take().and_then(|output| output.downcast().ok());
    Ok(*output.ok_or(Broken("nothing was returned"))?)
}
