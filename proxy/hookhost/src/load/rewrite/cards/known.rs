//! Which writes need no barrier, since one before them has marked their card: most code writes to a structure or to its frame
//! field by field, each at an offset from the same local.
//!
//! What is known is what has run for certain before: after a branch's end only what was known at its beginning, and at the
//! beginning of a loop nothing. Nothing is ever unmarked during a call, so calls and jumps take nothing away.

use wasmparser::{ContType, FrameKind, FuncType, ModuleArity, Operator, RefType, SubType};

/// One mark is enough for writes at offsets of the same group from the same address.
pub(super) const GROUP: u64 = 256;
/// So many of the last marks are looked through, so that the time for a function of many megabytes grows with its size only.
const RECENT: usize = 64;

/// A local's value: the local, and how often it was set before.
type Value = (u32, u32);

/// What is known at a place in a function.
#[derive(Default)]
pub(super) struct Known {
    /// The operands that lie on top of the stack; none for those that are no local's value.
    stack: Vec<Option<Value>>,
    /// How often each local was set so far.
    set: Vec<u32>,
    /// Marks that were made, by the address's value and the offset's group.
    marks: Vec<(Value, u64)>,
    /// Marks before this one do not hold, in a loop.
    from: usize,
    /// For each block that is open, how many marks there were at its beginning, and `from`.
    blocks: Vec<(usize, usize)>,
}

impl Known {
    /// The offset to mark for a write at `offset` from the operand below the value on top; none if that was marked.
    pub(super) fn mark(&mut self, offset: u64) -> Option<u64> {
        let address = self.stack.len().checked_sub(2).and_then(|nth| self.stack.get(nth).copied().flatten());
        let Some(address) = address else { return Some(offset) };
        let mark = (address, offset / GROUP);
        if self.marks.get(self.from..).unwrap_or_default().iter().rev().take(RECENT).any(|known| *known == mark) {
            return None;
        }
        self.marks.push(mark);
        Some(mark.1 * GROUP)
    }

    /// Goes past an instruction.
    pub(super) fn pass(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::LocalGet { local_index } => {
                let value = self.value(*local_index);
                self.stack.push(Some(value));
            }
            Operator::LocalSet { local_index } => {
                self.stack.pop();
                self.sets(*local_index);
            }
            Operator::LocalTee { local_index } => {
                self.stack.pop();
                self.sets(*local_index);
                let value = self.value(*local_index);
                self.stack.push(Some(value));
            }
            Operator::Block { .. } | Operator::If { .. } => {
                self.stack.clear();
                self.blocks.push((self.marks.len(), self.from));
            }
            Operator::Loop { .. } => {
                self.stack.clear();
                self.blocks.push((self.marks.len(), self.from));
                self.from = self.marks.len();
            }
            Operator::Else => {
                self.stack.clear();
                if let Some((marks, _)) = self.blocks.last() {
                    self.marks.truncate(*marks);
                }
            }
            Operator::End => {
                self.stack.clear();
                if let Some((marks, from)) = self.blocks.pop() {
                    self.marks.truncate(marks);
                    self.from = from;
                }
            }
            other => match other.operator_arity(&Alone) {
                Some((takes, gives)) => {
                    let left = self.stack.len().saturating_sub(takes as usize);
                    self.stack.truncate(left);
                    self.stack.resize(left + gives as usize, None);
                }
                // Calls and jumps.
                None => self.stack.clear(),
            },
        }
    }

    fn value(&self, local: u32) -> Value {
        (local, self.set.get(local as usize).copied().unwrap_or_default())
    }

    fn sets(&mut self, local: u32) {
        let local = local as usize;
        if self.set.len() <= local {
            self.set.resize(local + 1, 0);
        }
        if let Some(times) = self.set.get_mut(local) {
            *times += 1;
        }
    }
}

/// An instruction without its module: of those that depend on it the arity is not known.
struct Alone;

impl ModuleArity for Alone {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(wasmparser::BlockType, FrameKind)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(known: &mut Known, local: u32, offset: u64) -> Option<u64> {
        known.pass(&Operator::LocalGet { local_index: local });
        known.pass(&Operator::I32Const { value: 1 });
        let mark = known.mark(offset);
        known.pass(&Operator::Drop);
        known.pass(&Operator::Drop);
        mark
    }

    #[test]
    fn what_was_marked_long_ago_is_marked_again() {
        let mut known = Known::default();
        assert_eq!(store(&mut known, 0, 5), Some(0));
        assert_eq!(store(&mut known, 0, 255), None);
        for nth in 0..RECENT as u64 {
            assert_eq!(store(&mut known, 1, nth * GROUP + 7), Some(nth * GROUP));
        }
        assert_eq!(store(&mut known, 1, 7), None);
        assert_eq!(store(&mut known, 0, 5), Some(0));
    }
}
