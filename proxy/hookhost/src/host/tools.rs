//! Interfaces `clock` and `random`, both asked from the embedder.

use crate::Fact;
use crate::bindings::imports::{clock, random};
use crate::fault::Refusal;
use crate::state::CallState;

/// Most random bytes in one call, as the contract says.
const MAX_RANDOM: u32 = 4096;

impl clock::Host for CallState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.frozen_now())
    }
}

impl CallState {
    /// Milliseconds of Unix time: the same in all of a call.
    pub(super) fn frozen_now(&mut self) -> u64 {
        self.read(Fact::Clock);
        let services = self.hook.services();
        *self.now.get_or_insert_with(|| services.now_ms())
    }
}

impl random::Host for CallState {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.read(Fact::Random);
        if length > MAX_RANDOM {
            return Err(Refusal("random: more than 4096 bytes in one call").into());
        }
        let mut out = vec![0; length as usize];
        self.hook.services().random(&mut out);
        Ok(out)
    }
}
