//! wasmtime's configuration, as measured: pooled instances, copy-on-write images, epochs, nothing that hooks do not need.

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, OptLevel, PoolingAllocationConfig, Strategy, WasmFeatures};

use super::EngineLimits;
use crate::state::MAX_TABLE;

/// Core instances of one component: a componentized module with imports needs three, other languages a few more.
const CORE_INSTANCES: u32 = 16;
const TABLES: u32 = 8;
/// Memories of a core module: its own, and the table that tells what was written (`load::rewrite`).
const MEMORIES: u32 = 2;

/// What an instance keeps of its memory for the next one, where it is not put back and used again: it is cleared in place instead
/// of being given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resident {
    /// The SDK's layout dirties less than 128 KiB. More would only be cleared for nothing.
    Compiled,
    /// A JavaScript engine's objects are all over its first MiB.
    Script,
}

impl Resident {
    fn bytes(self) -> usize {
        match self {
            Self::Compiled => 128 << 10,
            Self::Script => 1 << 20,
        }
    }
}

/// One of so many slots may lie warm, with the pages of a hook that is not at work, before a new hook gets one of these in place
/// of one that was never used. What reloads leave behind is so bounded; with more hooks than that in turn each call would have its
/// slot made ready anew.
const WARM: u32 = 8;

/// For an engine that runs hooks.
pub(super) fn wasmtime(limits: EngineLimits, resident: Resident) -> Config {
    let mut config = compiler();
    if resident == Resident::Script {
        // A function of JavaScript is some frames of the interpreter: so its own limit of depth comes first.
        config.max_wasm_stack(1 << 20).async_stack_size(3 << 19);
    }
    config.allocation_strategy(pool(limits, resident));
    config
}

/// For an engine that compiles only. What it compiles is for the engine above too: where instances get their memory does
/// not show in the code, and a pool would need more address space than a compiler may have.
pub(crate) fn compiler() -> Config {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed);
    config.epoch_interruption(true).consume_fuel(false);
    config.wasm_component_model(true).concurrency_support(false);
    let unneeded = WasmFeatures::GC | WasmFeatures::THREADS | WasmFeatures::MEMORY64 | WasmFeatures::EXCEPTIONS;
    config.wasm_features(unneeded, false);
    // 4 GiB and guards around each memory: bounds checks cost nothing and a stray access cannot reach a neighbour.
    config.memory_init_cow(true).memory_reservation(4 << 30).memory_guard_size(32 << 20);
    config.guard_before_linear_memory(true).memory_may_move(false);
    config.signals_based_traps(true).table_lazy_init(true);
    config.max_wasm_stack(512 << 10).async_stack_size(1 << 20).async_stack_zeroing(false);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(16));
    config
}

fn pool(limits: EngineLimits, resident: Resident) -> PoolingAllocationConfig {
    let slots = limits.slots;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots).total_core_instances(slots.saturating_mul(8));
    pool.total_memories(slots.saturating_mul(MEMORIES)).total_tables(slots.saturating_mul(4)).total_stacks(slots);
    pool.max_component_instance_size(1 << 20).max_core_instance_size(1 << 20);
    pool.max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(1)
        .max_tables_per_component(TABLES);
    pool.max_memory_size(limits.max_memory).max_memories_per_module(MEMORIES).max_tables_per_module(1);
    pool.table_elements(MAX_TABLE);
    // Tables too: a component with imports has two, and giving them back costs more than the call.
    pool.linear_memory_keep_resident(resident.bytes()).table_keep_resident(64 << 10).async_stack_keep_resident(0);
    // Never in wasmtime 48: a page that is swapped out keeps its old content (bytecodealliance/wasmtime#14357).
    pool.pagemap_scan(Enabled::No);
    // Not in batches: wasmtime 48 puts also regions of no bytes into the queue, so that the slots of hooks that give nothing
    // back would wait there, with a system call for nothing, and the next call would get one that no processor cache knows.
    pool.max_unused_warm_slots(slots / WARM).decommit_batch_size(1);
    pool
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use super::*;

    #[test]
    fn what_the_compiler_makes_fits_the_engine() {
        let compat = |config: &Config| {
            let mut hasher = DefaultHasher::new();
            wasmtime::Engine::new(config).unwrap().precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let limits = EngineLimits { slots: 2, ..EngineLimits::default() };
        for resident in [Resident::Compiled, Resident::Script] {
            assert_eq!(compat(&compiler()), compat(&wasmtime(limits, resident)));
        }
    }
}
