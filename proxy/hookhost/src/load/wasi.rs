//! `wasi:*` imports, which Rust's std brings along on wasm32-wasip2: linked as `host::wasi` says. Only names of WASI: a
//! missing function of the contract must stay an error.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

use super::contract::is_wasi;
use crate::host::wasi::{self, InputStream, IoError, Nothing, OutputStream, Pollable};
use crate::state::CallState;

/// Defines the component's WASI imports.
pub(super) fn define(linker: &mut Linker<CallState>, engine: &Engine, component: &Component) -> wasmtime::Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(types) = import.ty else { continue };
        if !is_wasi(name) {
            continue;
        }
        // Of WASI 0.2 all versions; of others nothing is provided, and their functions are refused when they are called.
        let interface = match name.split_once('@') {
            Some((interface, version)) if version.starts_with("0.2.") => interface,
            _ => "",
        };
        let mut instance = linker.instance(name)?;
        for (item, export) in types.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(ty) => wasi::define(&mut instance, interface, item, &ty)?,
                // An interface that uses another one's resource has it under the same name.
                ComponentItem::Resource(_) => match item {
                    "pollable" => instance.resource(item, ResourceType::host::<Pollable>(), |mut store, rep| {
                        store.data_mut().forget_moment(rep);
                        Ok(())
                    })?,
                    "output-stream" => {
                        instance.resource(item, ResourceType::host::<OutputStream>(), |_, _| Ok(()))?;
                    }
                    "input-stream" => instance.resource(item, ResourceType::host::<InputStream>(), |_, _| Ok(()))?,
                    "error" => instance.resource(item, ResourceType::host::<IoError>(), |_, _| Ok(()))?,
                    _ => instance.resource(item, ResourceType::host::<Nothing>(), |_, _| Ok(()))?,
                },
                _ => {}
            }
        }
    }
    Ok(())
}
