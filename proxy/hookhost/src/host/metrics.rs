//! Interface `metrics`: counters that the embedder keeps for each hook.

use crate::bindings::imports::metrics;
use crate::state::CallState;

impl metrics::Host for CallState {
    fn count(&mut self, name: String, by: u64) -> wasmtime::Result<()> {
        self.hook.counters().add(&name, by);
        Ok(())
    }
}
