//! The store of a call: a new one, or that of an instance that was kept.

use std::sync::Arc;

use tokio::time::Instant;
use wasmtime::{Store, UpdateDeadline};

use super::settings::no_request;
use super::{Hook, MAX_HANDOVER};
use crate::direct::{Keeping, Kept, Ready};
use crate::engine::lane;
use crate::state::CallState;
use crate::{Call, Stage};

impl Hook {
    /// A store for a call, and an instance in it if one was kept.
    pub(super) fn begin(
        self: &Arc<Self>,
        stage: Stage,
        call: Call,
        deadline: Instant,
    ) -> (Store<CallState>, Option<Ready>, Option<CallState>) {
        let Some(Kept { mut store, ready }) = self.program.code.keeping().and_then(Keeping::take) else {
            return (self.store(Some(stage), call, deadline), None, None);
        };
        let mut state = CallState::new(Arc::clone(&self.context), Some(stage), call, deadline);
        state.direct = std::mem::take(&mut store.data_mut().direct).again();
        let idle = std::mem::replace(store.data_mut(), state);
        store.set_epoch_deadline(1);
        (store, Some(ready), Some(idle))
    }

    /// Keeps an instance whose call has ended by itself, where that is done; what its call leaves.
    pub(super) fn end(&self, mut store: Store<CallState>, ready: Ready, idle: Option<CallState>) -> CallState {
        let Some(keeping) = self.program.code.keeping() else { return store.into_data() };
        let deadline = store.data().deadline;
        let mut idle = idle.unwrap_or_else(|| {
            let call = no_request("", "", "{}", None);
            CallState::new(Arc::clone(&self.context), None, call, deadline)
        });
        idle.direct = std::mem::take(&mut store.data_mut().direct);
        let state = std::mem::replace(store.data_mut(), idle);
        keeping.keep(store, ready);
        state
    }

    /// A store with all its limits, before anything of the hook runs.
    pub(super) fn store(self: &Arc<Self>, stage: Option<Stage>, call: Call, deadline: Instant) -> Store<CallState> {
        let state = CallState::new(Arc::clone(&self.context), stage, call, deadline);
        let mut store = Store::new(&self.context.engine.wasmtime, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(MAX_HANDOVER);
        store.set_epoch_deadline(1);
        // A spinning hook gives its thread back at each tick.
        store.epoch_deadline_callback(|store| {
            if Instant::now() >= store.data().deadline {
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(lane::give_way(store.data().deadline))))
        });
        store
    }
}
