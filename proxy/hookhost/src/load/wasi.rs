//! `wasi:*` imports, which Rust's std brings along on wasm32-wasip2 also where nothing uses them: linked, but calling one
//! traps. Only names of WASI: a missing function of the contract must stay an error.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

use super::contract::is_wasi;
use crate::fault::Refusal;
use crate::state::CallState;

/// Stands for all WASI resources; none is ever made.
struct Nothing;

/// Defines the component's WASI imports as traps.
pub(super) fn define_traps(
    linker: &mut Linker<CallState>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        if !is_wasi(name) {
            continue;
        }
        let mut instance = linker.instance(name)?;
        for (item, export) in interface.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => {
                    instance.func_new(item, |_, _, _, _| Err(Refusal("the edge provides no WASI").into()))?;
                }
                ComponentItem::Resource(_) => {
                    instance.resource(item, ResourceType::host::<Nothing>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}
