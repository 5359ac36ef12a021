//! Takes out of a snapshot what the function does not use: the export that it was made by, the stages that its kind does
//! not run at, imports that a binding would have to grant, and names of functions.
//!
//! An imported function that is taken out becomes one of the module's own, which traps: code refers to functions by their
//! number, and only numbers change.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, CustomSection, ExportSection, Function, FunctionSection, ImportSection, Instruction, Module,
};
use wasmparser::{Parser, Payload, TypeRef};

use super::places;
use super::run::SETUP;
use crate::load::interface_of;

/// A section that says what the module is.
pub(super) const MARK: &str = "edgeweir-script";
/// Interfaces that a binding has to grant.
const STORES: &str = "key-value";
const FETCH: &str = "fetch";
/// What only Lambda@Edge has: the request's body.
const OF_LAMBDA: [&str; 1] = ["body"];
/// Stages that CloudFront Functions do not run at.
const OTHER_STAGES: [&str; 2] = ["origin-request", "origin-response"];

/// What a function uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uses {
    /// Key-value stores.
    pub(super) stores: bool,
    /// Requests of its own.
    pub(super) fetch: bool,
    /// It is one of Lambda@Edge, which run at all four stages.
    pub(super) lambda: bool,
}

/// The module without what the function does not use, with the source's map if there is one.
pub(super) fn trim(wasm: &[u8], uses: Uses, map: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let mut trimmer = Trimmer { uses, imports: Vec::new(), functions: 0 };
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|error| error.to_string())? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(|error| error.to_string())?;
                    let TypeRef::Func(ty) = import.ty else { return Err("an import is not a function".into()) };
                    trimmer.imports.push((trimmer.keeps(import.module), ty));
                }
            }
            Payload::FunctionSection(functions) => trimmer.functions = functions.count(),
            _ => {}
        }
    }
    let mut module = Module::new();
    trimmer.parse_core_module(&mut module, Parser::new(0), wasm).map_err(|error| error.to_string())?;
    module.section(&CustomSection { name: MARK.into(), data: (&[]).into() });
    if let Some(map) = map {
        module.section(&CustomSection { name: places::SECTION.into(), data: map.into() });
    }
    Ok(module.finish())
}

struct Trimmer {
    uses: Uses,
    /// Whether each imported function stays, and its type.
    imports: Vec<(bool, u32)>,
    /// How many functions the module defines.
    functions: u32,
}

impl Trimmer {
    fn keeps(&self, interface: &str) -> bool {
        match interface_of(interface) {
            Some(STORES) => self.uses.stores,
            Some(FETCH) => self.uses.fetch,
            Some(name) if OF_LAMBDA.contains(&name) => self.uses.lambda,
            _ => true,
        }
    }

    /// Whether the hook does not have the export.
    fn drops(&self, name: &str) -> bool {
        let stage =
            name.strip_prefix("cabi_post_").unwrap_or(name).split_once('#').and_then(|(name, _)| interface_of(name));
        let is_gone = !self.uses.lambda && stage.is_some_and(|stage| OTHER_STAGES.contains(&stage));
        name == SETUP || name.starts_with("__rquickjs") || is_gone
    }

    fn kept(&self, below: usize) -> u32 {
        count(self.imports.iter().take(below).filter(|(kept, _)| *kept).count())
    }

    fn removed(&self) -> impl Iterator<Item = u32> {
        self.imports.iter().filter(|(kept, _)| !kept).map(|(_, ty)| *ty)
    }
}

/// Numbers of functions are far below 2³².
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

type Written = Result<(), Error<Infallible>>;

impl Reencode for Trimmer {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        let nth = function as usize;
        let kept = self.kept(self.imports.len());
        Ok(match self.imports.get(nth) {
            Some((true, _)) => self.kept(nth),
            Some((false, _)) => {
                let before = function - self.kept(nth);
                kept + self.functions + before
            }
            None => function - count(self.imports.len()) + kept,
        })
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Written {
        for import in section.into_imports() {
            let import = import?;
            if self.keeps(import.module) {
                let ty = self.entity_type(import.ty)?;
                imports.import(import.module, import.name, ty);
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Written {
        utils::parse_function_section(self, functions, section)?;
        for ty in self.removed() {
            functions.function(ty);
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: wasmparser::CodeSectionReader<'_>) -> Written {
        utils::parse_code_section(self, code, section)?;
        for _ in self.removed() {
            let mut trap = Function::new([]);
            trap.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
            code.function(&trap);
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Written {
        for export in section {
            let export = export?;
            if export.kind != wasmparser::ExternalKind::Func || !self.drops(export.name) {
                utils::parse_export(self, exports, export)?;
            }
        }
        Ok(())
    }

    /// The descriptions of the world stay, less those of stages that are gone.
    fn parse_custom_section(&mut self, module: &mut Module, section: wasmparser::CustomSectionReader<'_>) -> Written {
        let name = section.name();
        let is_gone = !self.uses.lambda && OTHER_STAGES.iter().any(|stage| name.contains(&format!(":{stage}-hook:")));
        if name.starts_with("component-type") && !is_gone {
            module.section(&CustomSection { name: name.into(), data: section.data().into() });
        }
        Ok(())
    }
}
