//! Interface `data`: what the hook's own artefact carries.

use crate::bindings::imports::data;
use crate::state::CallState;

impl data::Host for CallState {
    fn size(&mut self, name: String) -> wasmtime::Result<Option<u32>> {
        Ok(self.hook.held().size(&name))
    }

    /// Copied once more than for a core module (`direct::imports`): wasmtime lowers no `Bytes`.
    fn read(&mut self, name: String, offset: u32, length: u32) -> wasmtime::Result<Result<Vec<u8>, String>> {
        Ok(self.hook.held().read(&name, offset, length).map(|part| part.to_vec()))
    }
}
