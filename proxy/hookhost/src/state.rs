//! The data of one instance: the call, what it used of its limits, and the limiter that wasmtime asks.

use std::sync::Arc;

use tokio::time::Instant;
use wasmtime::ResourceLimiter;

use crate::direct;
use crate::fault::{MemoryLimit, Refusal};
use crate::hook::HookContext;
use crate::host::wasi::Wasi;
use crate::{Call, Fact, ReadSet, RequestEdit, RequestView, ResponseView, Stage, ViewerFacts};

/// Most elements of a table; the pool has room for no more.
pub(crate) const MAX_TABLE: usize = 20_000;

/// What one instance carries.
pub(crate) struct CallState {
    pub(crate) call: Call,
    /// None while settings are checked: there is no request then.
    pub(crate) stage: Option<Stage>,
    /// While settings are checked, the stage of their binding.
    pub(crate) bound_at: Option<Stage>,
    pub(crate) hook: Arc<HookContext>,
    /// When the call has to have ended.
    pub(crate) deadline: Instant,
    /// The frozen time, once the hook asked.
    pub(crate) now: Option<u64>,
    /// The origin that it chose by a function.
    pub(crate) chosen: Option<RequestEdit>,
    pub(crate) log_lines: u32,
    pub(crate) log_bytes: usize,
    pub(crate) log_dropped: u32,
    /// The last line that it logged as an error: of a hook that panics, why.
    pub(crate) last_error: Option<Box<str>>,
    pub(crate) reads: Option<Box<ReadSet>>,
    /// Most linear memory so far, in bytes.
    pub(crate) memory: usize,
    /// Of a core module, how values come and go.
    pub(crate) direct: direct::State,
    /// None unless the hook uses WASI.
    pub(crate) wasi: Option<Box<Wasi>>,
}

impl CallState {
    pub(crate) fn new(hook: Arc<HookContext>, stage: Option<Stage>, call: Call, deadline: Instant) -> Self {
        let reads = call.record_reads.then(Box::default);
        Self {
            call,
            stage,
            bound_at: None,
            hook,
            deadline,
            now: None,
            chosen: None,
            log_lines: 0,
            log_bytes: 0,
            log_dropped: 0,
            last_error: None,
            reads,
            memory: 0,
            direct: direct::State::default(),
            wasi: None,
        }
    }

    /// Records that the hook read a fact.
    pub(crate) fn read(&mut self, fact: Fact) {
        if let Some(reads) = &mut self.reads {
            reads.fact(fact);
        }
    }

    /// The stage.
    pub(crate) fn current_stage(&self) -> wasmtime::Result<Stage> {
        self.stage.ok_or_else(|| Refusal("there is no request while settings are checked").into())
    }

    /// The request.
    pub(crate) fn request(&self) -> wasmtime::Result<&dyn RequestView> {
        self.current_stage()?;
        Ok(&*self.call.request)
    }

    /// Who asks.
    pub(crate) fn viewer(&self) -> wasmtime::Result<&ViewerFacts> {
        self.current_stage()?;
        Ok(&self.call.facts.viewer)
    }

    /// The response, where the stage has one.
    pub(crate) fn response(&self) -> wasmtime::Result<&dyn ResponseView> {
        if !self.current_stage()?.has_response() {
            return Err(Refusal("there is no response at this stage").into());
        }
        self.call.response.as_deref().ok_or_else(|| Refusal("the edge gave no response").into())
    }
}

impl ResourceLimiter for CallState {
    fn memory_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let limit = self.hook.limits().memory;
        // An error ends the call with a clear fault. A refused growth would come back as an abort in the hook.
        if desired > limit {
            return Err(MemoryLimit(limit).into());
        }
        // Also asked for the first memory, when the instance is made. A hook has one memory; the table that may be with it
        // (`load::rewrite`) is as small as any.
        self.memory = self.memory.max(desired);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE)
    }
}
