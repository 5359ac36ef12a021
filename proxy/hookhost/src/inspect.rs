//! What the bytes of a hook say about themselves, without compiling them. For people who ask why a hook is refused: what
//! can be read is told also of bytes that [`HookEngine::load`](crate::HookEngine::load) does not take.

use wasmparser::{Encoding, Parser, Payload};

use crate::Stage;
use crate::data::{MAX_NAMES, name_of};
use crate::load::{digest, interface_of};
use crate::script::is_marked;

/// Most imports that are listed; a component may declare any number.
const MAX_IMPORTS: usize = 256;
/// A WASM page, in bytes.
const PAGE: u64 = 64 << 10;

/// What kind of WASM the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A component.
    Component,
    /// A core module, which the edge makes a component of.
    Module,
    /// A core module that `edgeweir hook build` made of a function in JavaScript.
    Script,
    /// Neither.
    Unknown,
}

impl Kind {
    /// The name for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Module => "core module",
            Self::Script => "JavaScript",
            Self::Unknown => "not WASM",
        }
    }
}

/// What was read of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Size in bytes.
    pub size: usize,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// What kind of WASM it is.
    pub kind: Kind,
    /// Version of the contract that imports and exports name, for example `0.1.0`.
    pub contract: Option<String>,
    /// Stages that are exported, in the order of a request.
    pub stages: Vec<Stage>,
    /// Names of imported interfaces, each once, in order; at most 256.
    pub imports: Vec<String>,
    /// Size of the largest memory that an instance starts with, in bytes; none if it defines no memory.
    pub memory: Option<u64>,
    /// Data that it carries beside its code: names and sizes in bytes, in order; at most 64.
    pub data: Vec<(String, usize)>,
}

/// Reads what there is to read; stops at the first byte that is not WASM.
#[must_use]
pub fn inspect(wasm: &[u8]) -> Inspection {
    let mut found = Inspection {
        size: wasm.len(),
        sha256: digest(wasm),
        kind: Kind::Unknown,
        contract: None,
        stages: Vec::new(),
        imports: Vec::new(),
        memory: None,
        data: Vec::new(),
    };
    // Modules and components within the outermost one: their imports are wired up inside.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else { break };
        match payload {
            Payload::Version { encoding, .. } if depth == 0 => {
                found.kind = if encoding == Encoding::Module { Kind::Module } else { Kind::Component };
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if found.data.len() < MAX_NAMES => {
                found.data.extend(name_of(section.name()).map(|name| (name.to_owned(), section.data().len())));
            }
            Payload::MemorySection(memories) => memories.into_iter().flatten().for_each(|ty| {
                let bytes = ty.initial.saturating_mul(PAGE);
                found.memory = Some(found.memory.unwrap_or(0).max(bytes));
            }),
            Payload::ImportSection(imports) if depth == 0 => {
                imports.into_imports().flatten().for_each(|import| found.import(import.module));
            }
            Payload::ComponentImportSection(imports) if depth == 0 => {
                imports.into_iter().flatten().for_each(|import| found.import(import.name.name));
            }
            // `edgeweir:hook/viewer-request@0.1.0#handle`
            Payload::ExportSection(exports) if depth == 0 => exports
                .into_iter()
                .flatten()
                .for_each(|export| found.export(export.name.split_once('#').map_or("", |(interface, _)| interface))),
            Payload::ComponentExportSection(exports) if depth == 0 => {
                exports.into_iter().flatten().for_each(|export| found.export(export.name.name));
            }
            _ => {}
        }
    }
    if found.kind == Kind::Module && is_marked(wasm) {
        found.kind = Kind::Script;
    }
    found.stages.sort_unstable();
    found
}

impl Inspection {
    fn import(&mut self, name: &str) {
        self.version(name);
        if self.imports.len() < MAX_IMPORTS && !self.imports.iter().any(|known| known == name) {
            self.imports.push(name.to_owned());
        }
    }

    fn export(&mut self, name: &str) {
        self.version(name);
        let interface = interface_of(name);
        let stage = Stage::EXPORTS.into_iter().find(|stage| Some(stage.as_str()) == interface);
        if let Some(stage) = stage.filter(|stage| !self.stages.contains(stage)) {
            self.stages.push(stage);
        }
    }

    /// Also of contracts that this version does not know: that is what a person wants to see then.
    fn version(&mut self, name: &str) {
        if let (None, Some((_, version))) = (&self.contract, name.split_once('@'))
            && name.starts_with("edgeweir:hook/")
        {
            self.contract = Some(version.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_wasm_are_told_apart() {
        let found = inspect(b"not wasm at all");
        assert_eq!((found.kind, found.size, found.memory), (Kind::Unknown, 15, None));
        assert!(found.imports.is_empty() && found.stages.is_empty());
    }

    #[test]
    fn what_can_be_read_before_the_bytes_break_is_told() {
        // An empty module, then a section that has no end.
        let found = inspect(b"\0asm\x01\0\0\0\x02\xff");
        assert_eq!(found.kind, Kind::Module);
        assert_eq!(inspect(b"\0asm\x0d\0\x01\0").kind, Kind::Component);
    }
}
