//! Interfaces `key-value` and `secrets`: reads of what the binding grants. Linked by hand: the names are read where they
//! are in the hook's memory, and a value goes there from where the embedder keeps it, without a copy between.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::Grants;
use crate::state::CallState;

/// What `key-value.get` returns.
pub(crate) type Got = Result<Option<Arc<[u8]>>, String>;

/// Adds both interfaces.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut key_value = linker.instance("edgeweir:hook/key-value@0.1.0")?;
    key_value.func_wrap("get", |mut store: StoreContextMut<'_, CallState>, (name, key): (WasmStr, WasmStr)| {
        let got: Got = look_up(&mut store, &name, &key)?;
        Ok((got,))
    })?;
    key_value.func_wrap("exists", |mut store: StoreContextMut<'_, CallState>, (name, key): (WasmStr, WasmStr)| {
        let found: Result<bool, String> = look_up(&mut store, &name, &key)?.map(|value| value.is_some());
        Ok((found,))
    })?;
    key_value.func_wrap("meta", |mut store: StoreContextMut<'_, CallState>, (name,): (String,)| {
        Ok((meta(store.data_mut(), name)?,))
    })?;
    let mut secrets = linker.instance("edgeweir:hook/secrets@0.1.0")?;
    secrets.func_wrap("get", |store: StoreContextMut<'_, CallState>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        Ok((secret(store.data(), &name),))
    })?;
    Ok(())
}

/// A secret that the binding grants.
pub(crate) fn secret(state: &CallState, name: &str) -> Option<Arc<[u8]>> {
    let granted = state.call.grants.as_deref().map_or(&[][..], |grants| &grants.secrets);
    granted.iter().find(|(known, _)| **known == *name).map(|(_, secret)| Arc::clone(secret))
}

/// What a store that the binding grants has under a key.
pub(crate) fn value(state: &mut CallState, store: &str, key: &str) -> Got {
    let granted = find(state.call.grants.as_deref(), store)?;
    Ok(state.call.pins.entries(&granted).get(key).map(Arc::clone))
}

/// How many keys a store has, and when it was changed last.
#[expect(clippy::needless_pass_by_value, reason = "as all functions of the contract")]
pub(crate) fn meta(state: &mut CallState, store: String) -> wasmtime::Result<Result<(u64, u64), String>> {
    Ok(find(state.call.grants.as_deref(), &store).map(|granted| {
        let keys = state.call.pins.entries(&granted).len();
        (u64::try_from(keys).unwrap_or(u64::MAX), granted.changed_ms())
    }))
}

fn look_up(store: &mut StoreContextMut<'_, CallState>, name: &WasmStr, key: &WasmStr) -> wasmtime::Result<Got> {
    let granted = {
        let name = name.to_str(&*store)?;
        match find(store.data().call.grants.as_deref(), &name) {
            Ok(granted) => granted,
            Err(message) => return Ok(Err(message)),
        }
    };
    let entries = store.data_mut().call.pins.entries(&granted);
    let key = key.to_str(&*store)?;
    Ok(Ok(entries.get(&*key).map(Arc::clone)))
}

fn find(grants: Option<&Grants>, name: &str) -> Result<Arc<dyn crate::KeyValueStore>, String> {
    let stores = grants.map_or(&[][..], |grants| &grants.stores);
    // Without a name, the only one (`cf.kvs()` of CloudFront Functions). A store of a config has a name.
    if let ("", [(_, only)]) = (name, stores) {
        return Ok(Arc::clone(only));
    }
    let found = stores.iter().find(|(known, _)| **known == *name);
    found.map(|(_, store)| Arc::clone(store)).ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        format!("the binding does not grant the key-value store {name:?}: add it to `key_value_stores` of the binding")
    })
}
