//! Random numbers, all from the embedder's cryptographic generator: those that need not be good are good too.

use wasmtime::StoreContextMut;
use wasmtime::component::LinkerInstance;

use super::refuses;
use crate::Fact;
use crate::fault::Refusal;
use crate::state::CallState;

/// Most random bytes in one call.
const MAX_BYTES: u64 = 64 << 10;

type Store<'a> = StoreContextMut<'a, CallState>;

pub(super) fn define(linker: &mut LinkerInstance<'_, CallState>, name: &str) -> wasmtime::Result<()> {
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            linker.func_wrap(name, |mut store: Store<'_>, (length,): (u64,)| {
                if length > MAX_BYTES {
                    return Err(Refusal("random: more than 64 KiB in one call").into());
                }
                let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
                store.data_mut().fill(&mut bytes);
                Ok((bytes,))
            })
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            linker.func_wrap(name, |mut store: Store<'_>, (): ()| Ok((store.data_mut().random_u64(),)))
        }
        "insecure-seed" => linker.func_wrap(name, |mut store: Store<'_>, (): ()| {
            let state = store.data_mut();
            Ok(((state.random_u64(), state.random_u64()),))
        }),
        _ => refuses(linker, name, "the edge has no such random numbers"),
    }
}

impl CallState {
    fn fill(&mut self, out: &mut [u8]) {
        self.read(Fact::Random);
        self.hook.services().random(out);
    }

    fn random_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
