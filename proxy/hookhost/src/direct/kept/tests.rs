//! Instances that are kept are as they were made: the assertion in `put_back` compares all of their memory.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::direct::tests::{LIMITS, engine, module};
use crate::fuzz::call;
use crate::{EngineLimits, Hook, HookEngine, HookFault, HookLimits, TrapKind};

/// A hook. `run` is called by the stage; its result lies at 1 MiB less 64 bytes, where all
/// is zero: no edits.
fn hook(fields: &str, run: &str) -> Vec<u8> {
    module(
        "viewer-request-hook",
        &format!(
            r#"(module
              (memory (export "memory") 16)
              {fields}
              (func (export "edgeweir:hook/viewer-request@0.1.0#handle") (result i32)
                {run}
                (i32.const 1048512)))"#
        ),
    )
}

fn load(engine: &HookEngine, wasm: &[u8], limits: HookLimits) -> Arc<Hook> {
    let hook = engine.load("kept", wasm, limits).unwrap();
    assert!(hook.is_direct());
    hook
}

async fn verdict(hook: &Arc<Hook>) -> String {
    match hook.viewer_request(call()).await.verdict {
        Ok(verdict) => format!("{verdict:?}"),
        Err(HookFault::Trap { kind, .. }) => format!("{kind:?}"),
        Err(fault) => fault.to_string(),
    }
}

/// Says by a trap that something is there from the call before; changes memory by all kinds of instructions, and globals.
const ALL_KINDS: &str = r"
    (if (i32.or (global.get $count) (i32.load (i32.const 5000))) (then unreachable))
    (if (i64.ne (global.get $wide) (i64.const 7)) (then unreachable))
    (global.set $count (i32.const 1))
    (global.set $wide (i64.const 8))
    (i32.store (i32.const 5000) (i32.const -1))
    (i32.store8 (i32.const 1023) (i32.const -1))
    (i32.store16 (i32.const 2047) (i32.const -1))
    (i64.store (i32.const 10239) (i64.const -1))
    (i64.store8 (i32.const 20000) (i64.const -1))
    (i64.store16 offset=21000 (i32.const 1) (i64.const -1))
    (i64.store32 offset=1023 (i32.const 29700) (i64.const -1))
    (f32.store (i32.const 40957) (f32.const 1))
    (f64.store (i32.const 50171) (f64.const 1))
    (memory.fill (i32.const 60415) (i32.const 5) (i32.const 3000))
    (memory.fill (i32.const 1048576) (i32.const 5) (i32.const 0))
    (memory.copy (i32.const 70655) (i32.const 60415) (i32.const 1026))
    (memory.init $some (i32.const 90111) (i32.const 0) (i32.const 4))";

const GLOBALS: &str = r#"
    (global $count (mut i32) (i32.const 0))
    (global $wide (mut i64) (i64.const 7))
    (data (i32.const 21000) "abcdefgh")
    (data $some "some")"#;

fn count(hook: &Hook) -> usize {
    hook.keeping().map_or(0, |keeping| keeping.kept.lock().len())
}

#[tokio::test]
async fn a_kept_instance_is_as_it_was_made() {
    let engine = engine().0;
    let hook = load(&engine, &hook(GLOBALS, ALL_KINDS), LIMITS);
    for _ in 0..5 {
        assert_eq!(verdict(&hook).await, "Next([])");
        assert_eq!(count(&hook), 1);
        assert_eq!(hook.keeping().unwrap().room.memory.load(Ordering::Relaxed), 1 << 20);
    }
    // What its store has meanwhile is nothing of a call.
    let kept = hook.keeping().unwrap().take().unwrap();
    let idle = kept.store.data();
    assert!(idle.stage.is_none() && idle.call.response.is_none());
    assert_eq!(&*idle.call.facts.request_id, "settings-check");
    assert_eq!(kept.ready.size(&kept.store), 1 << 20);
    assert_eq!(hook.keeping().unwrap().room.memory.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_cannot_be_put_back_is_not_kept() {
    let engine = engine().0;
    let table = r#"(table 1 2 funcref) (func $f) (elem declare func $f)"#;
    for (fields, run, ends, kept) in [
        ("", "", "Next([])", 1),
        ("", "unreachable", "Unreachable", 0),
        ("", "(i32.store (i32.const 1048574) (i32.const 1))", "OutOfBounds", 0),
        ("", "(i32.store offset=4294967295 (i32.const 1) (i32.const 1))", "OutOfBounds", 0),
        ("", "(memory.fill (i32.const 1048570) (i32.const 1) (i32.const -1))", "OutOfBounds", 0),
        ("", "(loop $l (br $l))", "hook timed out after 200 ms", 0),
        ("", "(drop (memory.grow (i32.const 1)))", "Next([])", 0),
        // Such modules are not even looked at.
        (table, "(table.set (i32.const 0) (ref.func $f))", "Next([])", 0),
        ("(global $g (mut funcref) (ref.null func))", "(global.set $g (ref.null func))", "Next([])", 0),
        ("(data $d \"x\")", "(data.drop $d)", "Next([])", 0),
        (table, "(drop (table.get (i32.const 0)))", "Next([])", 1),
    ] {
        let hook = load(&engine, &hook(fields, run), LIMITS);
        for _ in 0..2 {
            assert_eq!(verdict(&hook).await, ends, "{run}");
            assert_eq!(count(&hook), kept, "{run}");
        }
    }
}

#[tokio::test]
async fn kept_instances_give_way_to_other_hooks() {
    let limits = EngineLimits { slots: 1, ..EngineLimits::default() };
    let engine = HookEngine::new(limits, None, Arc::new(crate::direct::tests::Heard::default())).unwrap();
    let hooks = ["", "(drop (i32.const 1))", "(drop (i32.const 2))"].map(|run| load(&engine, &hook("", run), LIMITS));
    for _ in 0..2 {
        for hook in &hooks {
            assert_eq!(verdict(hook).await, "Next([])");
            assert_eq!(hooks.each_ref().map(|hook| count(hook)).iter().sum::<usize>(), 1);
        }
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_its_instance_with_it() {
    let engine = engine().0;
    let hook = load(&engine, &hook("", "(loop $l (br $l))"), LIMITS);
    let gone = tokio::time::timeout(std::time::Duration::from_millis(30), hook.viewer_request(call())).await;
    assert!(gone.is_err());
    assert_eq!(count(&hook), 0);
    assert!(matches!(hook.viewer_request(call()).await.verdict, Err(HookFault::Timeout { .. })));
    assert_ne!(verdict(&hook).await, format!("{:?}", TrapKind::Other));
}

#[test]
fn runs_of_cards_are_ranges() {
    let mut table = vec![0; 30];
    for card in [0, 1, 7, 8, 9, 29] {
        table[card] = 1;
    }
    let mut written = Written::default();
    written.by_host(5 * CARD - 1, 2);
    written.by_host(5 * CARD - 1, 1);
    written.by_host(77, 0);
    written.take(&mut table);
    assert_eq!(written.cards, [(4, 6), (4, 5), (0, 2), (7, 10), (29, 30)]);
    assert!(table.iter().all(|card| *card == 0));
    assert_eq!(written.ranges().last(), Some(29 * CARD..30 * CARD + OVERHANG));
}

/// A mark counts where it has run for certain, and for the address that it was made for.
#[tokio::test]
async fn a_mark_stands_for_no_other_card() {
    let engine = engine().0;
    for run in [
        // In a loop the address is another one each time.
        "(store) (loop $a (store) (local.set $l (i32.add (local.get $l) (i32.const 5000)))
           (br_if $a (i32.lt_u (local.get $l) (i32.const 40000))))",
        "(loop $a (store) (local.set $l (i32.add (local.get $l) (i32.const 5000))) (store)
           (br_if $a (i32.lt_u (local.get $l) (i32.const 40000))))",
        "(store) (i32.store (local.tee $l (i32.const 9000)) (i32.const 1)) (store)",
        "(store) (local.set $l (i32.const 9000)) (store)",
        "(if (i32.const 0) (then (store))) (store)",
        "(if (i32.const 0) (then (store)) (else (store)))",
        "(block $b (br_if $b (i32.const 1)) (store)) (store)",
        "(block $b (br_if $b (i32.const 1)) (local.set $l (i32.const 9000)) (store)) (store)",
        "(store) (loop $a (block $b (local.set $l (i32.const 9000)))) (store)",
        // The value is computed after the address, and changes the local.
        "(i32.store (local.get $l) (local.tee $l (i32.const 9000))) (store)",
        "(i32.store offset=1023 (local.get $l) (i32.const 1)) (i32.store offset=768 (local.get $l) (i32.const 1))",
    ] {
        let run = run.replace("(store)", "(i32.store (local.get $l) (i32.const 1))");
        let fields = format!("(func $run (local $l i32) (local.set $l (i32.const 4096)) {run})");
        let hook = load(&engine, &hook(&fields, "(call $run)"), LIMITS);
        assert_eq!((verdict(&hook).await.as_str(), count(&hook)), ("Next([])", 1), "{run}");
    }
}

/// One statement of a function.
#[derive(Debug, Clone)]
enum Statement {
    /// A kind of store, an offset, the local with the address, and how the address and the value come about.
    Store(usize, u32, usize, u8),
    Set(usize, usize, u32),
    Fill(usize, u32),
    Copy(usize, usize, u32),
    If(usize, Vec<Statement>, Vec<Statement>),
    Block(usize, Vec<Statement>, Vec<Statement>),
    Loop(Vec<Statement>),
}

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
const LOCALS: usize = 2;

fn statements() -> impl Strategy<Value = Vec<Statement>> {
    let offset =
        prop_oneof![6 => 0..20_u32, 1 => 240..280_u32, 1 => 500..530_u32, 1 => 1000..1040_u32, 1 => 0..3000_u32];
    let leaf = prop_oneof![
        6 => (0..STORES.len(), offset, 0..LOCALS, 0..4_u8).prop_map(|(kind, at, local, how)| Statement::Store(kind, at, local, how)),
        4 => (0..LOCALS, 0..LOCALS, prop_oneof![1 => 0..16_u32, 1 => 1000..1040_u32, 2 => 0..60_000_u32]).prop_map(|(to, from, by)| Statement::Set(to, from, by)),
        1 => (0..LOCALS, 0..3000_u32).prop_map(|(at, length)| Statement::Fill(at, length)),
        1 => (0..LOCALS, 0..LOCALS, 0..3000_u32).prop_map(|(to, from, length)| Statement::Copy(to, from, length)),
    ];
    let one = leaf.prop_recursive(4, 40, 6, |inner| {
        let some = || proptest::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            (0..LOCALS, some(), some()).prop_map(|(local, then, other)| Statement::If(local, then, other)),
            (0..LOCALS, some(), some()).prop_map(|(local, before, after)| Statement::Block(local, before, after)),
            some().prop_map(Statement::Loop),
        ]
    });
    proptest::collection::vec(one, 1..12)
}

/// The statements in WAT. Addresses stay below 2^18, so that all writes are in bounds and away from the result.
fn wat(statements: &[Statement], depth: usize, out: &mut String) {
    for statement in statements {
        match statement {
            Statement::Store(kind, offset, local, how) => {
                let (store, value) = STORES[*kind];
                let set = format!("(i32.and (i32.add (local.get $l{local}) (i32.const 3077)) (i32.const 0x3ffff))");
                let (address, value) = match how {
                    0 => (format!("(local.get $l{local})"), format!("({value})")),
                    1 => (format!("(local.tee $l{local} {set})"), format!("({value})")),
                    // The local changes between the address and the write.
                    2 => (
                        format!("(local.get $l{local})"),
                        format!("(block (result {}) (local.set $l{local} {set}) ({value}))", &value[..3]),
                    ),
                    _ => (format!("(i32.add (local.get $l{local}) (i32.const 3))"), format!("({value})")),
                };
                writeln!(out, "({store} offset={offset} {address} {value})").unwrap();
            }
            Statement::Set(to, from, by) => writeln!(
                out,
                "(local.set $l{to} (i32.and (i32.add (local.get $l{from}) (i32.const {by})) (i32.const 0x3ffff)))"
            )
            .unwrap(),
            Statement::Fill(at, length) => {
                writeln!(out, "(memory.fill (local.get $l{at}) (i32.const 9) (i32.const {length}))").unwrap();
            }
            Statement::Copy(to, from, length) => {
                writeln!(out, "(memory.copy (local.get $l{to}) (local.get $l{from}) (i32.const {length}))").unwrap();
            }
            Statement::If(local, then, other) => {
                writeln!(out, "(if (i32.and (local.get $l{local}) (i32.const 1)) (then").unwrap();
                wat(then, depth + 1, out);
                out.push_str(") (else\n");
                wat(other, depth + 1, out);
                out.push_str("))\n");
            }
            Statement::Block(local, before, after) => {
                writeln!(out, "(block $b{depth}").unwrap();
                wat(before, depth + 1, out);
                writeln!(out, "(br_if $b{depth} (i32.and (local.get $l{local}) (i32.const 2)))").unwrap();
                wat(after, depth + 1, out);
                out.push_str(")\n");
            }
            Statement::Loop(inner) => {
                writeln!(out, "(local.set $i{depth} (i32.const 3)) (loop $a{depth}").unwrap();
                wat(inner, depth + 1, out);
                writeln!(out, "(br_if $a{depth} (local.tee $i{depth} (i32.sub (local.get $i{depth}) (i32.const 1)))))")
                    .unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn every_write_is_told(statements in statements(), starts in proptest::array::uniform2(0..200_000_u32)) {
        static ENGINE: LazyLock<HookEngine> = LazyLock::new(|| engine().0);
        let mut body = String::new();
        wat(&statements, 0, &mut body);
        let locals: String = (0..LOCALS).map(|nth| format!("(local $l{nth} i32)")).collect();
        let counters: String = (0..8).map(|nth| format!("(local $i{nth} i32)")).collect();
        let begin: String = starts.iter().enumerate().map(|(nth, at)| format!("(local.set $l{nth} (i32.const {at}))")).collect();
        let run = format!("(func $run {locals} {counters} {begin} {body})");
        let fields = format!(r#"(data (i32.const 100000) "{}") {run}"#, "xyz".repeat(3000));
        let hook = load(&ENGINE, &hook(&fields, "(call $run)"), LIMITS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for _ in 0..2 {
            prop_assert_eq!(runtime.block_on(verdict(&hook)), "Next([])");
            prop_assert_eq!(count(&hook), 1);
        }
    }
}
