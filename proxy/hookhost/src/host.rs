//! The imported functions, one file for each group of interfaces. They read the call and never change it.

mod body;
mod crypto;
mod data;
mod device;
mod facts;
mod fetch;
pub(crate) mod grants;
mod jwks;
mod log;
mod message;
mod metrics;
mod origins;
mod tools;
pub(crate) mod wasi;

pub use device::{Device, device};
pub use message::{cookie_value, query_value};
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::imports;
use crate::state::CallState;

/// A linker with everything that this version provides.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<CallState>> {
    type Own = HasSelf<CallState>;
    let mut linker = Linker::new(engine);
    fn same(state: &mut CallState) -> &mut CallState {
        state
    }
    imports::types::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::request::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::response::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::viewer::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::context::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::clock::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::random::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::log::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::crypto::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::metrics::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::jwks::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::fetch::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::body::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::data::add_to_linker::<CallState, Own>(&mut linker, same)?;
    imports::origins::add_to_linker::<CallState, Own>(&mut linker, same)?;
    grants::add_to_linker(&mut linker)?;
    Ok(linker)
}
