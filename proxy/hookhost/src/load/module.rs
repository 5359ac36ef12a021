//! Core modules, as Rust makes them for wasm32-unknown-unknown, become components here. They carry a description of their
//! world in custom sections. wit-component trusts that: it panics on a cut module and recurses without end on packages that
//! depend on each other. So the module is validated first, and its world may name one package only: the contract.

use wasmparser::{
    ComponentExternName, ComponentType, ComponentTypeDeclaration, InstanceTypeDeclaration, Parser, Payload,
};
use wasmtime::{Engine, Module};
use wit_component::ComponentEncoder;

use super::LoadError;
use super::contract::of_contract;

/// The component of a core module.
pub(crate) fn to_component(engine: &Engine, module: &[u8]) -> Result<Vec<u8>, LoadError> {
    Module::validate(engine, module).map_err(|error| LoadError::Compile { detail: format!("{error:#}") })?;
    check(module)?;
    // Whatever else it may trust: it has no state that a panic could leave half done.
    let encoded = std::panic::catch_unwind(|| {
        ComponentEncoder::default().validate(true).module(module).and_then(|mut encoder| encoder.encode())
    });
    let encoded = encoded.map_err(|_panic| nested())?;
    encoded.map_err(|error| LoadError::Encode { detail: format!("{error:#}") })
}

/// Looks through all descriptions in the module.
fn check(module: &[u8]) -> Result<(), LoadError> {
    let mut names = Names::default();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload.map_err(|error| broken(&error))?
            && section.name().starts_with("component-type")
        {
            world(section.data(), &mut names)?;
        }
    }
    names.finish()
}

/// One description: a component whose only type is a component type that holds the world and gives it its name.
fn world<'a>(section: &'a [u8], names: &mut Names<'a>) -> Result<(), LoadError> {
    if !section.starts_with(b"\0asm") {
        return Err(malformed("its world is described in an outdated way"));
    }
    for payload in Parser::new(0).parse_all(section) {
        let Payload::ComponentTypeSection(types) = payload.map_err(|error| broken(&error))? else { continue };
        for outer in types {
            let ComponentType::Component(outer) = outer.map_err(|error| broken(&error))? else { return Err(nested()) };
            for declaration in outer {
                match declaration {
                    ComponentTypeDeclaration::Type(ComponentType::Component(world)) => names.world(&world)?,
                    ComponentTypeDeclaration::Export { .. } => {}
                    _ => return Err(nested()),
                }
            }
        }
    }
    Ok(())
}

/// The names in the worlds of one module.
#[derive(Default)]
struct Names<'a> {
    version: Option<&'a str>,
    stages: bool,
    /// Exports that are not of the contract.
    foreign: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn world(&mut self, world: &[ComponentTypeDeclaration<'a>]) -> Result<(), LoadError> {
        for declaration in world {
            match declaration {
                ComponentTypeDeclaration::Import(import) => {
                    if !self.contract(import.name)? {
                        return Err(LoadError::UnknownImport { import: import.name.name.into() });
                    }
                }
                ComponentTypeDeclaration::Export { name, .. } => {
                    if self.contract(*name)? {
                        self.stages = true;
                    } else {
                        self.foreign.push(name.name);
                    }
                }
                ComponentTypeDeclaration::Type(ty) => interface(ty)?,
                ComponentTypeDeclaration::CoreType(_) | ComponentTypeDeclaration::Alias(_) => {}
            }
        }
        Ok(())
    }

    /// Whether this is an interface of the contract. All have to be of one version: versions are packages of their own.
    fn contract(&mut self, name: ComponentExternName<'a>) -> Result<bool, LoadError> {
        let Some((_, version)) = of_contract(name.name) else { return Ok(false) };
        if name.implements.is_some() {
            return Err(nested());
        }
        if *self.version.get_or_insert(version) == version {
            Ok(true)
        } else {
            Err(LoadError::Mismatch { detail: "it mixes versions of the contract".into() })
        }
    }

    fn finish(self) -> Result<(), LoadError> {
        match self.foreign.first() {
            None => Ok(()),
            Some(export) if self.stages => Err(LoadError::UnknownExport { export: (*export).into() }),
            Some(_) => {
                let exports = self.foreign.iter().map(|name| format!("`{name}`")).collect();
                Err(LoadError::NoStage { exports })
            }
        }
    }
}

/// Interfaces hold plain names only.
fn interface(ty: &ComponentType<'_>) -> Result<(), LoadError> {
    match ty {
        ComponentType::Instance(declarations) => declarations.iter().try_for_each(|declaration| match declaration {
            InstanceTypeDeclaration::Type(ComponentType::Instance(_) | ComponentType::Component(_)) => Err(nested()),
            InstanceTypeDeclaration::Export { name, .. } if name.name.contains(':') || name.implements.is_some() => {
                Err(nested())
            }
            _ => Ok(()),
        }),
        ComponentType::Component(_) => Err(nested()),
        _ => Ok(()),
    }
}

fn nested() -> LoadError {
    malformed("its world is not described as WIT tools do")
}

fn malformed(detail: &str) -> LoadError {
    LoadError::Encode { detail: detail.into() }
}

fn broken(error: &wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Encode { detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module whose world has an interface that names a type which was there before without one: wit-parser 0.252 panics on it.
    fn named_late() -> Vec<u8> {
        let mut description = wat::parse_str(
            r#"(component
                (type (component
                    (type (component
                        (type (instance
                            (type (list u8))
                            (type (func (param "b" 0)))
                            (export "c" (func (type 1)))
                            (export (;2;) "a" (type (eq 0)))))
                        (import "edgeweir:hook/request@0.1.0" (instance (type 0)))))
                    (export "edgeweir:hook/hook@0.1.0" (component (type 0)))))
                (export "hook" (type 0)))"#,
        )
        .unwrap();
        // How strings are encoded, as wit-component notes it: version 4, UTF-8.
        let encoding = wasm_encoder::CustomSection { name: "wit-component-encoding".into(), data: (&[4, 0]).into() };
        let mut section = Vec::new();
        wasm_encoder::Section::append_to(&encoding, &mut section);
        description.splice(8..8, section);
        let mut module = wasm_encoder::Module::new();
        module.section(&wasm_encoder::CustomSection { name: "component-type:hook".into(), data: description.into() });
        module.finish()
    }

    #[test]
    fn a_description_that_wit_component_does_not_expect_is_an_error() {
        let engine = Engine::default();
        let error = to_component(&engine, &named_late()).unwrap_err().to_string();
        assert!(error.contains("its world is not described as WIT tools do"), "{error}");
    }
}
