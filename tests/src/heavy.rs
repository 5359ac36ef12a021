//! Hooks made large: built modules with code that nobody calls, for what depends on the size of code.

use wasm_encoder::{
    CodeSection, Encode as _, Function, FunctionSection, Instruction, MemArg, Module, RawSection, ValType,
};
use wasmparser::{Parser, Payload};

/// A core module with some `bytes` of code more. The functions differ, read and write memory, and are called by nobody.
///
/// # Panics
/// When it is no core module with types, functions and code.
#[must_use]
pub fn with_code(module: &[u8], bytes: usize) -> Vec<u8> {
    let count = bytes.div_ceil(filler(0).byte_len());
    let mut out = Module::new();
    let mut extra = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.expect("a valid module");
        match &payload {
            Payload::TypeSection(types) => {
                extra = types.count();
                let mut all = module[types.range()].to_vec();
                // One more type: (i32) -> i32.
                all = counted(&all, extra + 1);
                all.extend([0x60, 1, 0x7f, 1, 0x7f]);
                out.section(&RawSection { id: 1, data: &all });
            }
            Payload::FunctionSection(functions) => {
                let mut all = FunctionSection::new();
                for ty in functions.clone() {
                    all.function(ty.expect("a valid module"));
                }
                for _ in 0..count {
                    all.function(extra);
                }
                out.section(&all);
            }
            Payload::CodeSectionStart { count: has, range, .. } => {
                let mut all = CodeSection::new();
                for body in wasmparser::CodeSectionReader::new(wasmparser::BinaryReader::new(&module[range.clone()], 0))
                    .expect("a valid module")
                {
                    all.raw(body.expect("a valid module").as_bytes());
                }
                assert_eq!(all.len(), *has);
                for number in 0..count {
                    all.function(&filler(u32::try_from(number).expect("few functions")));
                }
                out.section(&all);
            }
            Payload::CodeSectionEntry(_) => {}
            other => {
                if let Some((id, range)) = other.as_section() {
                    out.section(&RawSection { id, data: &module[range] });
                }
            }
        }
    }
    out.finish()
}

/// A section's content with another count before its entries.
fn counted(section: &[u8], count: u32) -> Vec<u8> {
    let old = section.iter().position(|byte| byte & 0x80 == 0).expect("a count") + 1;
    let mut out = Vec::new();
    count.encode(&mut out);
    out.extend_from_slice(&section[old..]);
    out
}

/// Some 2 KiB of arithmetic, loads, stores and branches.
fn filler(number: u32) -> Function {
    let mut function = Function::new([(2, ValType::I32)]);
    let memory = MemArg { offset: 0, align: 2, memory_index: 0 };
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    for _ in 0..64 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let constant = i32::from_ne_bytes(state.to_ne_bytes());
        function
            .instructions()
            .local_get(0)
            .i32_const(constant)
            .i32_mul()
            .i32_const(constant >> 7)
            .i32_add()
            .local_tee(1);
        function.instruction(&Instruction::I32Const(0xfffc)).instructions().i32_and().i32_load(memory);
        function.instructions().local_get(1).i32_xor().local_set(2).local_get(1).i32_const(0xfff0).i32_and();
        function.instructions().local_get(2).i32_store(memory);
        function
            .instructions()
            .local_get(2)
            .i32_eqz()
            .if_(wasm_encoder::BlockType::Empty)
            .local_get(1)
            .local_set(0)
            .end();
    }
    function.instructions().local_get(0).end();
    function
}
