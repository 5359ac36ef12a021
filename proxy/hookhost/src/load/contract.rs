//! Whether a component keeps to the contract: its imports are provided, a stage is exported, its demands are modest.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::LoadError;
use crate::{Grant, Stage};

/// Interfaces of the contract that this version provides.
const PROVIDED: [&str; 17] = [
    "types",
    "request",
    "response",
    "viewer",
    "context",
    "clock",
    "random",
    "log",
    "crypto",
    "key-value",
    "jwks",
    "secrets",
    "metrics",
    "fetch",
    "body",
    "data",
    "origins",
];
/// A WASM page.
const PAGE: u64 = 64 << 10;

/// What a component of the contract uses and offers.
pub(crate) struct Shape {
    /// The stages that it exports, in order; at least one.
    pub(crate) stages: Vec<Stage>,
    /// Whether it exports `settings-check`.
    pub(crate) checks_settings: bool,
    /// The imports that a binding has to grant.
    pub(crate) needs: Vec<Grant>,
}

/// Looks at imports and exports.
pub(super) fn check(engine: &Engine, component: &Component) -> Result<Shape, LoadError> {
    let types = component.component_type();
    let mut needs = Vec::new();
    for (import, _) in types.imports(engine) {
        imported(import)?;
        needs.extend(Grant::ALL.into_iter().find(|grant| interface(import) == Some(grant.as_str())));
    }
    let exported = |wanted: &str| {
        types.exports(engine).any(|(name, export)| {
            interface(name) == Some(wanted) && matches!(export.ty, ComponentItem::ComponentInstance(_))
        })
    };
    let stages: Vec<Stage> = Stage::EXPORTS.into_iter().filter(|stage| exported(stage.as_str())).collect();
    if stages.is_empty() {
        let exports = types.exports(engine).map(|(name, _)| format!("`{name}`")).collect();
        return Err(LoadError::NoStage { exports });
    }
    Ok(Shape { stages, checks_settings: exported("settings-check"), needs })
}

fn imported(import: &str) -> Result<(), LoadError> {
    if is_wasi(import) {
        return Ok(());
    }
    match interface(import) {
        Some(name) if PROVIDED.contains(&name) => Ok(()),
        _ => Err(LoadError::UnknownImport { import: import.into() }),
    }
}

/// The interface's name, if it is one of `edgeweir:hook@0.1.*`.
pub(crate) fn interface(name: &str) -> Option<&str> {
    of_contract(name).map(|(interface, _)| interface)
}

/// The interface's name and version, if it is one of `edgeweir:hook@0.1.*`.
pub(super) fn of_contract(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.strip_prefix("edgeweir:hook/")?.split_once('@')?;
    let patch = version.strip_prefix("0.1.")?;
    (!patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit())).then_some((interface, version))
}

pub(super) fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:")
}

pub(super) fn imports_wasi(engine: &Engine, component: &Component) -> bool {
    component.component_type().imports(engine).any(|(name, _)| is_wasi(name))
}

/// What an instance needs.
pub(super) struct Demands {
    /// Initial memory in bytes.
    pub(super) memory: usize,
}

/// What an instance of this component needs at the least.
pub(super) fn demands(component: &Component) -> Result<Demands, LoadError> {
    let Some(resources) = component.resources_required() else {
        return Err(LoadError::Demands { needs: "modules from outside".into(), allows: "none".into() });
    };
    if resources.num_memories > 1 {
        return Err(LoadError::Demands { needs: format!("{} memories", resources.num_memories), allows: "one".into() });
    }
    let memory = resources.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE);
    Ok(Demands { memory: usize::try_from(memory).unwrap_or(usize::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_0_1_interface_is_the_contract() {
        assert_eq!(interface("edgeweir:hook/log@0.1.0"), Some("log"));
        assert_eq!(interface("edgeweir:hook/log@0.1.17"), Some("log"));
        for other in [
            "edgeweir:hook/log@0.2.0",
            "edgeweir:hook/log",
            "edgeweir:hook/log@0.1.",
            "edgeweir:hook/log@0.1.0-rc",
            "acme:hook/log@0.1.0",
        ] {
            assert_eq!(interface(other), None, "{other}");
        }
    }

    #[test]
    fn imports_are_named_when_refused() {
        assert!(imported("edgeweir:hook/crypto@0.1.0").is_ok());
        assert!(imported("wasi:cli/environment@0.2.6").is_ok());
        let unknown = imported("acme:db/query@1.0.0").expect_err("not of the contract");
        assert_eq!(
            unknown.to_string(),
            "the hook imports `acme:db/query@1.0.0`, which is not part of the contract edgeweir:hook@0.1"
        );
    }
}
