//! A write barrier with a card table: after a call it tells which parts of the memory the call wrote, so that just these have to
//! be put back before the next one (`direct::kept`).
//!
//! The table is a second memory, which no code of the hook can name: it has a byte for each card of the first. Before each
//! instruction that writes, instructions of ours set the byte of the card that it writes to:
//!
//! ```text
//! cards[(address + offset) >> CARD_BITS & (CARDS - 1)] = 1
//! ```
//!
//! Not each has its own: one stands for all that write near to it (`known`). So over the end of a card up to [`OVERHANG`] bytes
//! may be written that no other byte tells of; a set byte stands for them too. Memory past the
//! table's reach shares bytes with what lies before: cards are then put back that were not written, which changes nothing.
//!
//! A hook's code can change more than its memory: its globals, which are exported for whoever puts them back, and its tables and
//! passive segments, which nobody puts back. So a module that changes those is left alone, and one with instructions of which
//! this file does not know whether they do.

mod known;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{BlockType, Function, Instruction, MemArg, ValType};
use wasmparser::{FunctionBody, Operator};

use super::body;
use known::{GROUP, Known};

/// A card has 2 to the power of this many bytes.
const CARD_BITS: i32 = 10;
/// A card's size in bytes.
pub(crate) const CARD: usize = 1 << CARD_BITS;
/// Cards that the table tells apart: one page of memory.
pub(crate) const CARDS: usize = 1 << 16;
/// How far over the end of a card may be written what its byte stands for: an instruction writes at most eight bytes.
pub(crate) const OVERHANG: usize = GROUP as usize + 8;
/// The table's memory.
pub(super) const TABLE: u32 = 1;

/// Proposals whose instructions are known here, by their names in wasmparser.
const KNOWN: [&str; 6] =
    ["mvp", "sign_extension", "saturating_float_to_int", "bulk_memory", "reference_types", "tail_call"];

macro_rules! proposals {
    ($(@$proposal:ident $operator:ident $({ $($field:ident: $type:ty),* })? => $visit:ident ($($more:tt)*))*) => {
        /// The proposal that an instruction comes from.
        fn proposal(operator: &Operator<'_>) -> &'static str {
            match operator {
                $(Operator::$operator { .. } => stringify!($proposal),)*
                _ => "",
            }
        }
    };
}
wasmparser::for_each_operator!(proposals);

/// Whether all that the instruction changes can be told or put back.
pub(super) fn covers(operator: &Operator<'_>) -> bool {
    let changes_more = matches!(
        operator,
        Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. }
    );
    !changes_more && KNOWN.contains(&proposal(operator))
}

/// What an instruction writes.
enum Write {
    /// One value of a type at an address and an offset.
    Value(ValType, u64),
    /// As many bytes as the last of its three operands says, from the address that the first is.
    Range,
}

impl Write {
    fn of(operator: &Operator<'_>) -> Option<Self> {
        Some(match operator {
            Operator::I32Store { memarg } | Operator::I32Store8 { memarg } | Operator::I32Store16 { memarg } => {
                Self::Value(ValType::I32, memarg.offset)
            }
            Operator::I64Store { memarg }
            | Operator::I64Store8 { memarg }
            | Operator::I64Store16 { memarg }
            | Operator::I64Store32 { memarg } => Self::Value(ValType::I64, memarg.offset),
            Operator::F32Store { memarg } => Self::Value(ValType::F32, memarg.offset),
            Operator::F64Store { memarg } => Self::Value(ValType::F64, memarg.offset),
            Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => Self::Range,
            _ => return None,
        })
    }
}

/// What the barrier keeps operands in, behind a function's own locals.
struct Scratch(u32);

impl Scratch {
    const TYPES: [(u32, ValType); 4] = [(3, ValType::I32), (1, ValType::I64), (1, ValType::F32), (1, ValType::F64)];

    fn address(&self) -> u32 {
        self.0
    }

    fn length(&self) -> u32 {
        self.0 + 1
    }

    fn value(&self, ty: ValType) -> u32 {
        let nth = match ty {
            ValType::I64 => 3,
            ValType::F32 => 4,
            ValType::F64 => 5,
            // No instruction that is known here writes a value of another type.
            _ => 2,
        };
        self.0 + nth
    }
}

/// Sets the byte of the card whose number is on the stack.
fn set() -> [Instruction<'static>; 4] {
    let last = i32::try_from(CARDS - 1).unwrap_or(i32::MAX);
    let byte = MemArg { offset: 0, align: 0, memory_index: TABLE };
    [Instruction::I32Const(last), Instruction::I32And, Instruction::I32Const(1), Instruction::I32Store8(byte)]
}

/// The function with the barrier before what it writes. `params` are how many it takes, `range` is the index of [`mark_range`].
pub(super) fn with_barrier<R: Reencode>(
    reencoder: &mut R,
    function: &FunctionBody<'_>,
    params: u32,
    range: u32,
) -> Result<Function, Error<R::Error>> {
    let (mut locals, mut own) = (Vec::new(), params);
    for group in function.get_locals_reader()? {
        let (count, ty) = group?;
        own += count;
        locals.push((count, reencoder.val_type(ty)?));
    }
    locals.extend(Scratch::TYPES);
    let (mut written, scratch) = (Function::new(locals), Scratch(own));
    let address = scratch.address();
    let (mut known, mut barrier) = (Known::default(), Vec::new());
    let mut reader = function.get_operators_reader()?;
    while !reader.eof() {
        let operator = reader.read()?;
        let write = match Write::of(&operator) {
            // What was marked needs nothing.
            Some(Write::Value(ty, offset)) => known.mark(offset).map(|offset| Write::Value(ty, offset)),
            other => other,
        };
        match write {
            Some(Write::Value(ty, offset)) => {
                let value = scratch.value(ty);
                barrier.extend([Instruction::LocalSet(value), Instruction::LocalTee(address)]);
                if offset != 0 {
                    // No instruction of a 32-bit memory has a larger one.
                    let offset = u32::try_from(offset).unwrap_or(u32::MAX).cast_signed();
                    barrier.extend([Instruction::I32Const(offset), Instruction::I32Add]);
                }
                barrier.extend([Instruction::I32Const(CARD_BITS), Instruction::I32ShrU]);
                barrier.extend(set());
                barrier.extend([address, value].map(Instruction::LocalGet));
            }
            Some(Write::Range) => {
                let (length, other) = (scratch.length(), scratch.value(ValType::I32));
                barrier.extend([length, other, address].map(Instruction::LocalSet));
                barrier.extend([address, length].map(Instruction::LocalGet));
                barrier.push(Instruction::Call(range));
                barrier.extend([address, other, length].map(Instruction::LocalGet));
            }
            None => {}
        }
        for instruction in barrier.drain(..) {
            written.instruction(&instruction);
        }
        known.pass(&operator);
        written.instruction(&reencoder.instruction(operator)?);
    }
    Ok(written)
}

/// A function that marks a range: its address and its length in bytes. One that ends past 4 GiB is none, and is not marked
/// whole: what writes it traps.
pub(super) fn mark_range() -> Function {
    let (at, length, card, last) = (0, 1, 2, 3);
    let shift = [Instruction::I32Const(CARD_BITS), Instruction::I32ShrU];
    let mut code = vec![
        Instruction::LocalGet(length),
        Instruction::I32Eqz,
        Instruction::If(BlockType::Empty),
        Instruction::Return,
        Instruction::End,
        Instruction::LocalGet(at),
    ];
    code.extend(shift.clone());
    code.extend([
        Instruction::LocalSet(card),
        Instruction::LocalGet(at),
        Instruction::LocalGet(length),
        Instruction::I32Add,
        Instruction::I32Const(1),
        Instruction::I32Sub,
    ]);
    code.extend(shift);
    code.extend([Instruction::LocalSet(last), Instruction::Loop(BlockType::Empty), Instruction::LocalGet(card)]);
    code.extend(set());
    code.extend([
        Instruction::LocalGet(card),
        Instruction::LocalGet(last),
        Instruction::I32GeU,
        Instruction::If(BlockType::Empty),
        Instruction::Return,
        Instruction::End,
        Instruction::LocalGet(card),
        Instruction::I32Const(1),
        Instruction::I32Add,
        Instruction::LocalSet(card),
        Instruction::Br(0),
        Instruction::End,
    ]);
    body([(2, ValType::I32)], &code)
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! names {
        ($(@$proposal:ident $operator:ident $({ $($field:ident: $type:ty),* })? => $visit:ident ($($more:tt)*))*) => {
            const OPERATORS: &[(&str, &str)] = &[$((stringify!($proposal), stringify!($operator))),*];
        };
    }
    wasmparser::for_each_operator!(names);

    /// All instructions of the known proposals that may change anything but locals and the stack, by what their names say.
    #[test]
    fn nothing_that_changes_an_instance_is_passed_over() {
        let known = OPERATORS.iter().filter(|(proposal, _)| KNOWN.contains(proposal)).map(|(_, name)| *name);
        let changing: Vec<&str> = known
            .filter(|name| {
                ["Store", "Memory", "Table", "Drop", "Global", "Init"].iter().any(|part| name.contains(part))
            })
            .collect();
        assert_eq!(
            changing,
            [
                "BrTable",
                "Drop", // of a value
                "GlobalGet",
                "GlobalSet", // put back
                "I32Store",
                "I64Store",
                "F32Store",
                "F64Store",
                "I32Store8",
                "I32Store16",
                "I64Store8",
                "I64Store16",
                "I64Store32",
                "MemorySize",
                "MemoryGrow", // an instance that has grown is not kept
                "MemoryInit",
                "DataDrop", // refused, as those of tables
                "MemoryCopy",
                "MemoryFill",
                "TableInit",
                "ElemDrop",
                "TableCopy",
                "TableFill",
                "TableGet",
                "TableSet",
                "TableGrow",
                "TableSize",
            ]
        );
    }
}
