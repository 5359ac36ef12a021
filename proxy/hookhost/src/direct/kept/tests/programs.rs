//! Programs of any shape: all that they write is told. What says so is the assertion in `put_back`.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// One statement of a function. It leaves the operands as they are, so it may stand between those of another.
#[derive(Debug, Clone)]
enum Statement {
    Store {
        kind: usize,
        offset: u32,
        address: Address,
        between: Vec<Statement>,
    },
    /// Addresses first, then as many writes, with something before each.
    Stacked {
        locals: Vec<usize>,
        offset: u32,
        between: Vec<Statement>,
    },
    Set(usize, usize, u32),
    /// A local gets what a function says that also writes: by itself, by a table, or one of two values.
    Call(usize, usize, usize),
    Global(usize, bool),
    Fill(usize, u32),
    Copy(usize, usize, u32),
    Init(usize, u32),
    If(usize, Vec<Statement>, Vec<Statement>),
    Block(usize, Vec<Statement>, Vec<Statement>),
    Loop(Vec<Statement>),
    /// A block that takes an address and gives one, and may be left with another; a loop and a condition too.
    Through {
        from: usize,
        to: usize,
        how: u8,
        inner: Vec<Statement>,
    },
    /// Out of three blocks by a table, and perhaps further.
    Table {
        by: usize,
        far: usize,
        parts: [Vec<Statement>; 3],
    },
    /// Leaves as many blocks, or begins a loop again, where a bit of the local is set.
    Leave(usize, usize),
    /// Code behind a jump, with operands that are not there.
    Dead(u8, Vec<Statement>),
    Return(usize, bool),
}

/// How an address comes about, and the locals that have to do with it.
#[derive(Debug, Clone, Copy)]
struct Address(u8, usize, usize);

const STORES: [(&str, &str); 9] = [
    ("i32.store", "i32.const -1"),
    ("i32.store8", "i32.const -1"),
    ("i32.store16", "i32.const -1"),
    ("i64.store", "i64.const -1"),
    ("i64.store8", "i64.const -1"),
    ("i64.store16", "i64.const -1"),
    ("i64.store32", "i64.const -1"),
    ("f32.store", "f32.const -1"),
    ("f64.store", "f64.const -1"),
];
/// Few, so that one thing often meets another.
const LOCALS: usize = 2;
/// Deepest nesting; each loop has a counter of its own.
const DEEP: usize = 24;

const FUNCTIONS: &str = r#"
    (global $g (mut i32) (i32.const 4000))
    (table 2 2 funcref)
    (elem (i32.const 0) $one $one)
    (data $some "some bytes that are not in memory")
    (func $one (param $a i32) (result i32)
      (i32.store offset=700 (local.get $a) (i32.const 77))
      (local.set $a (i32.and (i32.add (local.get $a) (i32.const 1500)) (i32.const 0x3ffff)))
      (i32.store16 offset=100 (local.get $a) (i32.const 7))
      (local.get $a))
    (func $two (param $a i32) (result i32 i32) (call $one (local.get $a)) (i32.const 5))
    (func $last (param $a i32) (i64.store (local.get $a) (i64.const -1)))"#;

fn statements() -> impl Strategy<Value = Vec<Statement>> {
    let offset =
        || prop_oneof![10 => 0..20_u32, 1 => 240..280_u32, 1 => 500..530_u32, 1 => 1000..1040_u32, 1 => 0..3000_u32];
    let address = || {
        prop_oneof![5 => Just(0_u8), 3 => 0..10_u8]
            .prop_flat_map(|how| (0..LOCALS, 0..LOCALS).prop_map(move |(one, other)| Address(how, one, other)))
    };
    let store =
        move |between: BoxedStrategy<Vec<Statement>>| {
            (0..STORES.len(), offset(), address(), between)
                .prop_map(|(kind, offset, address, between)| Statement::Store { kind, offset, address, between })
        };
    let by = || prop_oneof![1 => 0..16_u32, 1 => 1000..1040_u32, 2 => 0..60_000_u32];
    let leaf = prop_oneof![
        16 => store(Just(Vec::new()).boxed()),
        5 => (0..LOCALS, 0..LOCALS, by()).prop_map(|(to, from, by)| Statement::Set(to, from, by)),
        1 => (0..LOCALS, 0..LOCALS, 0..3_usize).prop_map(|(to, from, how)| Statement::Call(to, from, how)),
        1 => (0..LOCALS, any::<bool>()).prop_map(|(local, set)| Statement::Global(local, set)),
        1 => (0..LOCALS, 0..3000_u32).prop_map(|(at, length)| Statement::Fill(at, length)),
        1 => (0..LOCALS, 0..LOCALS, 0..3000_u32).prop_map(|(to, from, length)| Statement::Copy(to, from, length)),
        1 => (0..LOCALS, 0..33_u32).prop_map(|(at, length)| Statement::Init(at, length)),
        2 => (0..LOCALS, 0..6_usize).prop_map(|(local, far)| Statement::Leave(local, far)),
        1 => (0..LOCALS, any::<bool>()).prop_map(|(local, call)| Statement::Return(local, call)),
    ];
    let one = leaf.prop_recursive(4, 50, 6, move |inner| {
        let some = move || proptest::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            3 => store(some().boxed()),
            1 => (proptest::collection::vec(0..LOCALS, 1..4), offset(), some())
                .prop_map(|(locals, offset, between)| Statement::Stacked { locals, offset, between }),
            3 => (0..LOCALS, some(), some()).prop_map(|(local, then, other)| Statement::If(local, then, other)),
            2 => (0..LOCALS, some(), some()).prop_map(|(local, before, after)| Statement::Block(local, before, after)),
            4 => some().prop_map(Statement::Loop),
            3 => (0..LOCALS, 0..LOCALS, 0..4_u8, some())
                .prop_map(|(from, to, how, inner)| Statement::Through { from, to, how, inner }),
            1 => (0..LOCALS, 0..6_usize, some(), some(), some())
                .prop_map(|(by, far, a, b, c)| Statement::Table { by, far, parts: [a, b, c] }),
            1 => (0..5_u8, some()).prop_map(|(how, inner)| Statement::Dead(how, inner)),
        ]
    });
    proptest::collection::vec(one, 1..12)
}

/// What a jump to a label needs.
#[derive(Clone, Copy, PartialEq)]
enum Label {
    Block,
    Loop,
    /// An address.
    Value,
}

/// Statements in WAT. Addresses stay below 2^18, so that all writes are in bounds and away from the result.
#[derive(Default)]
struct Wat {
    text: String,
    labels: Vec<Label>,
}

/// Sets a local to another address.
fn moved(local: usize) -> String {
    format!("(i32.and (i32.add (local.get $l{local}) (i32.const 3077)) (i32.const 0x3ffff))")
}

fn bit(local: usize) -> String {
    format!("(i32.and (local.get $l{local}) (i32.const 1))")
}

impl Address {
    fn wat(self) -> String {
        let Self(how, one, other) = self;
        let (get, set, bit) = (format!("(local.get $l{one})"), moved(one), bit(other));
        match how {
            0 => get,
            1 => format!("(local.tee $l{one} {set})"),
            2 => format!("(i32.add {get} (i32.const 3))"),
            3 => format!("(select {get} (local.get $l{other}) {bit})"),
            4 => format!("(local.tee $l{one} (local.tee $l{other} {set}))"),
            5 => "(global.get $g)".into(),
            6 => format!("(call $one {get})"),
            7 => format!("(block (result i32) (drop (br_if 0 {get} {bit})) (local.tee $l{one} {set}))"),
            8 => format!("(if (result i32) {bit} (then {get}) (else (local.tee $l{one} {set})))"),
            _ => format!("(loop (result i32) (local.tee $l{one} {set}))"),
        }
    }
}

impl Wat {
    fn line(&mut self, line: impl std::fmt::Display) {
        writeln!(self.text, "{line}").unwrap();
    }

    fn within(&mut self, label: Label, statements: &[Statement]) {
        self.labels.push(label);
        self.all(statements);
        self.labels.pop();
    }

    /// A label, from the inside: the one as far out as that, or the last.
    fn label(&self, far: usize) -> Option<(usize, Label)> {
        let far = far.min(self.labels.len().checked_sub(1)?);
        Some((far, self.labels[self.labels.len() - 1 - far]))
    }

    /// Whether a bit is set; no longer after some times, so that all ends.
    fn while_fuel(local: usize) -> String {
        let fuel = "(i32.gt_s (local.tee $fuel (i32.sub (local.get $fuel) (i32.const 1))) (i32.const 0))";
        format!("(i32.and (i32.shr_u (local.get $l{local}) (i32.const 1)) {fuel})")
    }

    fn all(&mut self, statements: &[Statement]) {
        // What is nested deeper has no counter.
        if self.labels.len() + 4 < DEEP {
            statements.iter().for_each(|statement| self.one(statement));
        }
    }

    fn one(&mut self, statement: &Statement) {
        match statement {
            Statement::Store { kind, offset, address, between } => {
                let (store, value) = STORES[*kind];
                self.line(format_args!("{} {value}", address.wat()));
                self.all(between);
                self.line(format_args!("{store} offset={offset}"));
            }
            Statement::Stacked { locals, offset, between } => {
                locals.iter().for_each(|local| self.line(format_args!("local.get $l{local}")));
                for _ in locals {
                    self.all(between);
                    self.line(format_args!("i32.const -1 i32.store offset={offset}"));
                }
            }
            Statement::Set(to, from, by) => self.line(format_args!(
                "(local.set $l{to} (i32.and (i32.add (local.get $l{from}) (i32.const {by})) (i32.const 0x3ffff)))"
            )),
            Statement::Call(to, from, how) => self.line(match how {
                0 => format!("(local.set $l{to} (call $one (local.get $l{from})))"),
                1 => format!(
                    "(local.set $l{to} (call_indirect (param i32) (result i32) (local.get $l{from}) {}))",
                    bit(*to)
                ),
                // The one is an address, the other what is written there.
                _ => format!("local.get $l{from} call $two i32.store offset=9 (local.set $l{to} {})", moved(*to)),
            }),
            Statement::Global(local, true) => self.line(format_args!("(global.set $g {})", moved(*local))),
            Statement::Global(local, false) => self.line(format_args!("(local.set $l{local} (global.get $g))")),
            Statement::Fill(at, length) => {
                self.line(format_args!("(memory.fill (local.get $l{at}) (i32.const 9) (i32.const {length}))"));
            }
            Statement::Copy(to, from, length) => {
                self.line(format_args!("(memory.copy (local.get $l{to}) (local.get $l{from}) (i32.const {length}))"));
            }
            Statement::Init(at, length) => {
                self.line(format_args!("(memory.init $some (local.get $l{at}) (i32.const 0) (i32.const {length}))"));
            }
            Statement::If(local, then, other) => {
                self.line(format_args!("{} if", bit(*local)));
                self.within(Label::Block, then);
                self.line("else");
                self.within(Label::Block, other);
                self.line("end");
            }
            Statement::Block(local, before, after) => {
                self.line("block");
                self.within(Label::Block, before);
                self.line(format_args!("(br_if 0 (i32.and (local.get $l{local}) (i32.const 2)))"));
                self.within(Label::Block, after);
                self.line("end");
            }
            Statement::Loop(inner) => {
                let counter = format!("$i{}", self.labels.len());
                self.line(format_args!("(local.set {counter} (i32.const 3)) loop"));
                self.within(Label::Loop, inner);
                self.line(format_args!(
                    "(br_if 0 (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))) end"
                ));
            }
            Statement::Through { from, to, how, inner } => {
                let block = ["block", "loop", "local.get $l0 if", "local.get $l1 i32.const 1 i32.and if"];
                let (block, set) = (block[usize::from(*how)], moved(*to));
                self.line(format_args!("local.get $l{from} {block} (param i32) (result i32)"));
                // The address that comes in is at once written to, or a local gets it.
                let written = format!("i32.const 1 i32.store local.get $l{to}");
                self.line(if *how == 0 { format!("local.tee $l{to}") } else { written.clone() });
                self.within(Label::Value, inner);
                self.line(if *how > 1 { format!("else {written} (local.set $l{to} {set}) end") } else { "end".into() });
                self.line("i32.const -1 i32.store offset=5");
            }
            Statement::Table { by, far, parts: [a, b, c] } => {
                self.line("block block block");
                self.labels.extend([Label::Block; 2]);
                self.within(Label::Block, a);
                self.labels.push(Label::Block);
                let further = match self.label(*far) {
                    Some((far, Label::Block)) => far,
                    _ => 1,
                };
                self.line(format_args!("(br_table 0 {further} 1 2 0 (i32.and (local.get $l{by}) (i32.const 7))) end"));
                self.labels.truncate(self.labels.len() - 2);
                self.within(Label::Block, b);
                self.line("end");
                self.labels.pop();
                self.within(Label::Block, c);
                self.line("end");
            }
            Statement::Leave(local, far) => match self.label(*far) {
                Some((far, Label::Value)) => {
                    self.line(format_args!("(drop (br_if {far} (local.get $l{local}) {}))", Self::while_fuel(*local)));
                }
                Some((far, _)) => self.line(format_args!("(br_if {far} {})", Self::while_fuel(*local))),
                None => {}
            },
            Statement::Dead(how, inner) => {
                self.line(match how {
                    0 => "block br 0 i32.store",
                    1 => "block br 0 select (result i32) local.set $l0",
                    2 => "block (br_table 0 0 (local.get $l0)) local.tee $l1 i64.const 0 i64.store",
                    3 => "(i32.const 0) if unreachable local.get $l0 local.set $l1",
                    _ => "(i32.const 0) if return drop memory.copy",
                });
                self.within(Label::Block, inner);
                self.line("end");
            }
            Statement::Return(local, call) => {
                let leave = if *call { format!("return_call $last (local.get $l{local})") } else { "return".into() };
                self.line(format_args!("(if {} (then ({leave})))", Self::while_fuel(*local)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn every_write_is_told(statements in statements(), starts in proptest::array::uniform2(0..200_000_u32)) {
        static ENGINE: LazyLock<HookEngine> = LazyLock::new(|| engine().0);
        let mut body = Wat::default();
        body.all(&statements);
        let body = body.text;
        let locals: String = (0..LOCALS).map(|nth| format!("(local $l{nth} i32)")).collect();
        let counters: String = (0..DEEP).map(|nth| format!("(local $i{nth} i32)")).collect();
        let begin: String = starts.iter().enumerate().map(|(nth, at)| format!("(local.set $l{nth} (i32.const {at}))")).collect();
        let run = format!("(func $run {locals} {counters} (local $fuel i32) (local.set $fuel (i32.const 25)) {begin} {body})");
        let fields = format!(r#"{FUNCTIONS} (data (i32.const 100000) "{}") {run}"#, "xyz".repeat(3000));
        let limits = HookLimits { timeout: Duration::from_secs(20), ..LIMITS };
        let hook = load(&ENGINE, &hook_of(&fields, "(call $run)"), limits);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for _ in 0..2 {
            prop_assert_eq!(runtime.block_on(verdict(&hook)), "Next([])");
            prop_assert_eq!(count(&hook), 1);
        }
    }
}
