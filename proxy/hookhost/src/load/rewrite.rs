//! Core modules are changed a little before they are compiled by themselves, so that host and hook need not call into each
//! other: wasmtime lets a host function call back only on a stack of its own, which costs more than all the rest.
//!
//! - An imported function that returns by memory may have to allocate there, by the hook's `cabi_realloc`. It is wrapped:
//!   the host says what it needs, the wrapper allocates it and tells the host where, until nothing is needed any more.
//!
//!   ```text
//!   wants = import(parameters…)
//!   while wants != 0: wants = allocated(cabi_realloc(0, 0, wants >> 32, wants))
//!   ```
//! - An exported function is called by a wrapper, which hands its result to the host and then calls its `cabi_post_…`.
//! - A table tells what a call has written (`cards`), and globals get exports, so that the instance can be put back.
//! - Imports get the names of their interfaces without package and version: `load` has checked both.
//!
//! All else stays as it is. A module that this file does not know through and through is left to the component's way.

pub(crate) mod cards;

use std::collections::BTreeMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, Instruction,
    MemorySection, MemoryType, Module, NameMap, NameSection, RawSection, SectionId, TypeSection, ValType,
};
use wasmparser::{CompositeInnerType, ExternalKind, FuncType, KnownCustom, Name, Parser, Payload, TypeRef};

use super::contract::of_contract;
use crate::Stage;
use crate::direct::by_memory;

/// The module of the functions that wrappers call.
pub(crate) const MACHINERY: &str = "edgeweir";
/// Says where the hook has allocated what was wanted, and asks what else is.
pub(crate) const ALLOCATED: &str = "allocated";
/// Says where the hook's result is.
pub(crate) const RETURNED: &str = "returned";
pub(crate) const MEMORY: &str = "memory";
pub(crate) const REALLOC: &str = "cabi_realloc";
/// The memory that is the card table.
pub(crate) const CARD_TABLE: &str = "[edgeweir] cards";
/// What the names of exported globals start with; their numbers follow.
pub(crate) const GLOBAL: &str = "[edgeweir] global ";
/// Most memory that a hook whose instances are kept begins with, in bytes: the table tells no more apart.
const MOST_MEMORY: usize = cards::CARD * cards::CARDS;
/// Most mutable globals of one.
const MOST_GLOBALS: usize = 256;
/// How the names of wrappers start, for backtraces, which leave them out.
pub(crate) const WRAPPER: &str = "[edgeweir]";
/// How many functions are imported besides those of the hook.
const ADDED: u32 = 2;
/// The name of the world's string encoding, and what it says for UTF-8 (wit-component, `metadata.rs`).
const ENCODING: (&str, &[u8]) = ("wit-component-encoding", &[4, 0]);

/// The name of an entry's wrapper: a stage or `settings-check`.
pub(crate) fn entry(interface: &str) -> String {
    format!("{WRAPPER} {interface}")
}

struct Import<'a> {
    interface: &'a str,
    function: &'a str,
    ty: u32,
    by_memory: bool,
}

struct Entry<'a> {
    interface: &'a str,
    function: u32,
    post: Option<u32>,
}

/// A core module that can be compiled by itself.
pub(crate) struct Plan<'a> {
    wasm: &'a [u8],
    types: Vec<Option<FuncType>>,
    imports: Vec<Import<'a>>,
    /// Types of the functions that it defines.
    functions: Vec<u32>,
    realloc: Option<u32>,
    entries: Vec<Entry<'a>>,
    /// The mutable globals, if what a call changes is to be told: all of it can be put back then, in a bounded time, since
    /// nobody counts that against the time of a call.
    told: Option<Vec<u32>>,
}

impl<'a> Plan<'a> {
    /// Looks whether this is such a module. It need not be valid.
    pub(crate) fn of(wasm: &'a [u8]) -> Option<Self> {
        let mut plan = Self {
            wasm,
            types: Vec::new(),
            imports: Vec::new(),
            functions: Vec::new(),
            realloc: None,
            entries: Vec::new(),
            told: Some(Vec::new()),
        };
        let (mut memories, mut has_code, mut exports) = (0, false, BTreeMap::new());
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::Version { encoding: wasmparser::Encoding::Component, .. } => return None,
                Payload::TypeSection(types) => {
                    for group in types {
                        plan.types.extend(group.ok()?.into_types().map(|ty| match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => Some(ty),
                            _ => None,
                        }));
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.ok()?;
                        let TypeRef::Func(ty) = import.ty else { return None };
                        let (interface, _version) = of_contract(import.module)?;
                        let by_memory = by_memory(interface, import.name)?;
                        plan.imports.push(Import { interface, function: import.name, ty, by_memory });
                    }
                }
                Payload::FunctionSection(functions) => {
                    plan.functions = functions.into_iter().collect::<Result<_, _>>().ok()?;
                }
                Payload::MemorySection(section) => {
                    memories = section.count();
                    let small = |memory: &wasmparser::MemoryType| memory.initial << 16 <= MOST_MEMORY as u64;
                    let all_small = section.into_iter().all(|memory| memory.is_ok_and(|memory| small(&memory)));
                    plan.told = plan.told.filter(|_| all_small);
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.ok()?;
                        exports.insert(export.name, (export.kind, export.index));
                    }
                }
                // What a component does at its start differs in small things.
                Payload::StartSection { .. } => return None,
                Payload::CodeSectionStart { .. } => has_code = true,
                Payload::GlobalSection(globals) => plan.told = plan.told.and_then(|_| mutable(globals)),
                Payload::CodeSectionEntry(function) if plan.told.is_some() && !is_covered(&function) => {
                    plan.told = None;
                }
                Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                    utf8(section.data())?;
                }
                _ => {}
            }
        }
        plan.exported(&exports)?;
        (memories == 1 && has_code && plan.is_whole()).then_some(plan)
    }

    fn exported(&mut self, exports: &BTreeMap<&'a str, (ExternalKind, u32)>) -> Option<()> {
        if !matches!(exports.get(MEMORY)?, (ExternalKind::Memory, 0)) {
            return None;
        }
        let function = |name: &str| match exports.get(name) {
            Some((ExternalKind::Func, index)) => Some(*index),
            _ => None,
        };
        self.realloc = function(REALLOC);
        for (&name, &(kind, index)) in exports {
            // Names of ours, and of other ways to be a component's module.
            if name.starts_with(WRAPPER) || name.starts_with("cm32p2") {
                return None;
            }
            if kind != ExternalKind::Func || name == REALLOC || name.starts_with("cabi_realloc_wit_bindgen_") {
                continue;
            }
            match name.strip_prefix("cabi_post_") {
                Some(of) => drop(function(of)?),
                None => {
                    let (interface, post) = (entry_of(name)?, function(&format!("cabi_post_{name}")));
                    self.entries.push(Entry { interface, function: index, post });
                }
            }
        }
        Some(())
    }

    /// Whether all types and functions that wrappers need are there, and are what they have to be.
    fn is_whole(&self) -> bool {
        let i32s = |count| vec![wasmparser::ValType::I32; count];
        let is = |function, params: usize, results: usize| {
            self.type_of(function).is_some_and(|ty| ty.params() == i32s(params) && ty.results() == i32s(results))
        };
        let allocates = self.imports.iter().any(|import| import.by_memory);
        let takes = |interface: &str| if interface == SETTINGS_CHECK { 2 } else { 0 };
        let entries = &self.entries;
        !entries.is_empty()
            && entries.iter().all(|entry| is(entry.function, takes(entry.interface), 1))
            && entries.iter().filter_map(|entry| entry.post).all(|post| is(post, 1, 0))
            && entries
                .iter()
                .enumerate()
                .all(|(nth, one)| entries.iter().skip(nth + 1).all(|other| other.interface != one.interface))
            && self.imports.iter().all(|import| {
                self.types.get(import.ty as usize).and_then(Option::as_ref).is_some_and(|ty| {
                    !import.by_memory || (ty.results().is_empty() && ty.params().iter().all(|ty| *ty == I32))
                })
            })
            && match self.realloc {
                Some(realloc) => is(realloc, 4, 1),
                None => !allocates && entries.iter().all(|entry| entry.interface != SETTINGS_CHECK),
            }
    }

    fn type_of(&self, function: u32) -> Option<&FuncType> {
        let function = function as usize;
        let ty = match self.imports.get(function) {
            Some(import) => import.ty,
            None => *self.functions.get(function - self.imports.len())?,
        };
        self.types.get(ty as usize)?.as_ref()
    }

    /// The module without what it does: the same imports, exports and world. A component of it is checked in place of one
    /// of the module, and costs next to nothing to compile.
    pub(crate) fn skeleton(&self) -> Vec<u8> {
        /// Sections of types, imports, functions, tables, memories, globals and exports.
        const KEPT: [u8; 7] = [1, 2, 3, 4, 5, 6, 7];
        let mut module = Module::new();
        for payload in Parser::new(0).parse_all(self.wasm).flatten() {
            match &payload {
                Payload::CodeSectionStart { .. } => {
                    let mut code = CodeSection::new();
                    for _ in &self.functions {
                        code.function(&body([], &[Instruction::Unreachable]));
                    }
                    module.section(&code);
                }
                Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                    let (name, data) = (section.name().into(), section.data().into());
                    module.section(&wasm_encoder::CustomSection { name, data });
                }
                other => {
                    if let Some((id, range)) = other.as_section().filter(|(id, _)| KEPT.contains(id)) {
                        let data = self.wasm.get(range).unwrap_or_default();
                        module.section(&RawSection { id, data });
                    }
                }
            }
        }
        module.finish()
    }

    /// The module with its wrappers.
    pub(crate) fn rewritten(&self) -> Result<Vec<u8>, String> {
        let mut module = Module::new();
        let mut writer = Writer { plan: self, written: 0, names: BTreeMap::new() };
        writer.parse_core_module(&mut module, Parser::new(0), self.wasm).map_err(|error| error.to_string())?;
        let mut names = NameMap::new();
        writer.names.iter().for_each(|(index, name)| names.append(*index, name));
        let mut section = NameSection::new();
        section.functions(&names);
        module.section(&section);
        Ok(module.finish())
    }

    fn count(&self) -> u32 {
        index(self.imports.len())
    }

    /// The index of `allocated`; that of `returned` follows.
    fn allocated(&self) -> u32 {
        self.count()
    }

    fn first_wrapper(&self) -> u32 {
        self.count() + ADDED + index(self.functions.len())
    }

    /// The imports that have a wrapper, in the order of those.
    fn wrapped(&self) -> impl Iterator<Item = (u32, &Import<'a>)> {
        (0..).zip(&self.imports).filter(|(_, import)| import.by_memory)
    }

    /// The index that a function of the hook has after the change.
    fn moved(&self, function: u32) -> u32 {
        match self.imports.get(function as usize) {
            None => function + ADDED,
            Some(import) if import.by_memory => {
                let before = self.wrapped().take_while(|(nth, _)| *nth < function).count();
                self.first_wrapper() + index(before)
            }
            Some(_) => function,
        }
    }

    fn first_entry(&self) -> u32 {
        self.first_wrapper() + index(self.wrapped().count())
    }

    /// The index of what marks ranges, if there is a card table.
    fn mark_range(&self) -> u32 {
        self.first_entry() + index(self.entries.len())
    }

    fn params(&self, ty: u32) -> &[wasmparser::ValType] {
        self.types.get(ty as usize).and_then(Option::as_ref).map_or(&[], FuncType::params)
    }

    /// Wants, allocates and tells, until nothing is wanted any more.
    fn import_wrapper(&self, nth: u32, import: &Import<'_>) -> Function {
        let realloc = self.moved(self.realloc.unwrap_or_default());
        let params = index(self.params(import.ty).len());
        let wants = params;
        let mut code: Vec<Instruction<'_>> = (0..params).map(Instruction::LocalGet).collect();
        code.extend([
            Instruction::Call(nth),
            Instruction::LocalTee(wants),
            Instruction::I64Eqz,
            Instruction::If(wasm_encoder::BlockType::Empty),
            Instruction::Return,
            Instruction::End,
            Instruction::Loop(wasm_encoder::BlockType::Empty),
            Instruction::I32Const(0),
            Instruction::I32Const(0),
            Instruction::LocalGet(wants),
            Instruction::I64Const(32),
            Instruction::I64ShrU,
            Instruction::I32WrapI64,
            Instruction::LocalGet(wants),
            Instruction::I32WrapI64,
            Instruction::Call(realloc),
            Instruction::Call(self.allocated()),
            Instruction::LocalTee(wants),
            Instruction::I64Const(0),
            Instruction::I64Ne,
            Instruction::BrIf(0),
            Instruction::End,
        ]);
        body([(1, ValType::I64)], &code)
    }

    /// Calls, hands the result over, and has the hook clean up.
    fn entry_wrapper(&self, entry: &Entry<'_>) -> Function {
        let params = index(self.type_of(entry.function).map_or(0, |ty| ty.params().len()));
        let result = params;
        let mut code: Vec<Instruction<'_>> = (0..params).map(Instruction::LocalGet).collect();
        code.extend([
            Instruction::Call(self.moved(entry.function)),
            Instruction::LocalTee(result),
            Instruction::Call(self.allocated() + 1),
        ]);
        if let Some(post) = entry.post {
            code.extend([Instruction::LocalGet(result), Instruction::Call(self.moved(post))]);
        }
        body([(1, ValType::I32)], &code)
    }
}

const SETTINGS_CHECK: &str = "settings-check";
const I32: wasmparser::ValType = wasmparser::ValType::I32;

/// The interface of an exported function that the host calls.
fn entry_of(export: &str) -> Option<&str> {
    let (interface, function) = export.split_once('#')?;
    let (interface, _version) = of_contract(interface)?;
    let is_stage = Stage::EXPORTS.iter().any(|stage| stage.as_str() == interface);
    ((is_stage && function == "handle") || (interface == SETTINGS_CHECK && function == "validate")).then_some(interface)
}

/// Whether a description of a world says that strings are UTF-8.
fn utf8(world: &[u8]) -> Option<()> {
    let mut found = false;
    for payload in Parser::new(0).parse_all(world) {
        if let Payload::CustomSection(section) = payload.ok()?
            && section.name() == ENCODING.0
        {
            found = section.data() == ENCODING.1;
        }
    }
    found.then_some(())
}

/// The mutable globals; none if one cannot be put back, or there are too many.
fn mutable(globals: wasmparser::GlobalSectionReader<'_>) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for (nth, global) in (0..).zip(globals) {
        let ty = global.ok()?.ty;
        if ty.mutable {
            if ty.content_type.is_reference_type() || ty.shared {
                return None;
            }
            found.push(nth);
        }
    }
    (found.len() <= MOST_GLOBALS).then_some(found)
}

/// Whether all that a function changes can be told, and there is room for what tells it: with that it is some times as large, and
/// no function may have more than 7,654,321 bytes or 50,000 locals (wasmparser, `limits.rs`).
fn is_covered(function: &wasmparser::FunctionBody<'_>) -> bool {
    const MOST_BYTES: usize = 1 << 20;
    const MOST_LOCALS: u64 = 48_000;
    let locals = function.get_locals_reader().map(|locals| {
        locals.into_iter().map(|group| group.map_or(u64::MAX, |(count, _)| count.into())).fold(0, u64::saturating_add)
    });
    if function.as_bytes().len() > MOST_BYTES || locals.is_ok_and(|locals| locals > MOST_LOCALS) {
        return false;
    }
    let operators = function.get_operators_reader();
    operators.is_ok_and(|operators| operators.into_iter().all(|operator| operator.is_ok_and(|one| cards::covers(&one))))
}

fn body(
    locals: impl IntoIterator<Item = (u32, ValType), IntoIter: ExactSizeIterator>,
    code: &[Instruction<'_>],
) -> Function {
    let mut function = Function::new(locals);
    code.iter().for_each(|instruction| {
        function.instruction(instruction);
    });
    function.instruction(&Instruction::End);
    function
}

/// Numbers of functions and types are far below 2³².
fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

struct Writer<'p, 'a> {
    plan: &'p Plan<'a>,
    /// How many of the hook's functions are written.
    written: usize,
    /// Names of functions, by their new index.
    names: BTreeMap<u32, String>,
}

impl Writer<'_, '_> {
    fn import(&self, imports: &mut ImportSection) {
        let added = index(self.plan.types.len());
        let mut wrapped = added + ADDED;
        for import in &self.plan.imports {
            let ty = if import.by_memory {
                wrapped += 1;
                wrapped - 1
            } else {
                import.ty
            };
            imports.import(import.interface, import.function, EntityType::Function(ty));
        }
        imports.import(MACHINERY, ALLOCATED, EntityType::Function(added));
        imports.import(MACHINERY, RETURNED, EntityType::Function(added + 1));
    }
}

type Written = Result<(), Error<Infallible>>;

impl Reencode for Writer<'_, '_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.plan.moved(function))
    }

    fn parse_type_section(&mut self, types: &mut TypeSection, section: wasmparser::TypeSectionReader<'_>) -> Written {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], [ValType::I64]);
        types.ty().function([ValType::I32], []);
        for (_, import) in self.plan.wrapped() {
            types.ty().function(self.plan.params(import.ty).iter().map(|_| ValType::I32), [ValType::I64]);
        }
        for entry in &self.plan.entries {
            let params = self.plan.type_of(entry.function).map_or(0, |ty| ty.params().len());
            types.ty().function(std::iter::repeat_n(ValType::I32, params), []);
        }
        if self.plan.told.is_some() {
            types.ty().function([ValType::I32; 2], []);
        }
        Ok(())
    }

    fn parse_import_section(&mut self, imports: &mut ImportSection, _: wasmparser::ImportSectionReader<'_>) -> Written {
        self.import(imports);
        Ok(())
    }

    /// A module without imports gets a section for them.
    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Written {
        if after == Some(SectionId::Type) && before != Some(SectionId::Import) {
            let mut imports = ImportSection::new();
            self.import(&mut imports);
            module.section(&imports);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Written {
        utils::parse_function_section(self, functions, section)?;
        for (nth, (_, import)) in (self.plan.first_wrapper()..).zip(self.plan.wrapped()) {
            functions.function(import.ty);
            self.names.insert(nth, format!("{WRAPPER} {}", import.function));
        }
        let wrapped = index(self.plan.wrapped().count());
        let types = index(self.plan.types.len()) + ADDED + wrapped;
        for (nth, entry) in (0..).zip(&self.plan.entries) {
            functions.function(types + nth);
            self.names.insert(self.plan.first_entry() + nth, self::entry(entry.interface));
        }
        if self.plan.told.is_some() {
            functions.function(types + index(self.plan.entries.len()));
            self.names.insert(self.plan.mark_range(), format!("{WRAPPER} mark range"));
        }
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: wasmparser::MemorySectionReader<'_>,
    ) -> Written {
        utils::parse_memory_section(self, memories, section)?;
        if self.plan.told.is_some() {
            let (minimum, maximum) = (1, Some(1));
            memories.memory(MemoryType { minimum, maximum, memory64: false, shared: false, page_size_log2: None });
        }
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, function: wasmparser::FunctionBody<'_>) -> Written {
        let plan = self.plan;
        let ty = plan.functions.get(self.written).copied().unwrap_or_default();
        self.written += 1;
        if plan.told.is_none() {
            return utils::parse_function_body(self, code, function);
        }
        let params = index(plan.params(ty).len());
        code.function(&cards::with_barrier(self, &function, params, plan.mark_range())?);
        Ok(())
    }

    /// The exports stay, since code may refer to functions only because they are exported.
    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Written {
        utils::parse_export_section(self, exports, section)?;
        for (nth, entry) in (self.plan.first_entry()..).zip(&self.plan.entries) {
            exports.export(&self::entry(entry.interface), ExportKind::Func, nth);
        }
        if let Some(globals) = &self.plan.told {
            exports.export(CARD_TABLE, ExportKind::Memory, cards::TABLE);
            for global in globals {
                exports.export(&format!("{GLOBAL}{global}"), ExportKind::Global, *global);
            }
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: wasmparser::CodeSectionReader<'_>) -> Written {
        utils::parse_code_section(self, code, section)?;
        for (nth, import) in self.plan.wrapped() {
            code.function(&self.plan.import_wrapper(nth, import));
        }
        for entry in &self.plan.entries {
            code.function(&self.plan.entry_wrapper(entry));
        }
        if self.plan.told.is_some() {
            code.function(&cards::mark_range());
        }
        Ok(())
    }

    /// Of the custom sections only the names of functions are of use. Broken ones are left out.
    fn parse_custom_section(&mut self, _: &mut Module, section: wasmparser::CustomSectionReader<'_>) -> Written {
        let KnownCustom::Name(names) = section.as_known() else { return Ok(()) };
        for names in names {
            let Ok(Name::Function(map)) = names else { continue };
            let functions = self.plan.imports.len() + self.plan.functions.len();
            for name in map.into_iter().flatten().filter(|name| (name.index as usize) < functions) {
                self.names.entry(self.plan.moved(name.index)).or_insert_with(|| name.name.to_owned());
            }
        }
        Ok(())
    }
}
