//! Instances that are kept are as they were made: the assertion in `put_back` compares all of their memory.

mod calls;
mod programs;

use std::sync::Arc;

use wit_component::StringEncoding;

use wasm_encoder::Section as _;

use super::*;
use crate::direct::tests::{LIMITS, describe, engine, module};
use crate::fuzz::call;
use crate::{EngineLimits, Hook, HookEngine, HookFault, HookLimits, TrapKind};

/// A hook. `run` is called by the stage; its result lies at 1 MiB less 64 bytes, where all
/// is zero: no edits.
fn hook_of(fields: &str, run: &str) -> Vec<u8> {
    importing("", "16", fields, run)
}

/// As that, with imports, and a memory of other limits.
fn importing(imports: &str, memory: &str, fields: &str, run: &str) -> Vec<u8> {
    let mut wasm = module(
        "viewer-request-hook",
        &format!(
            r#"(module
              {imports}
              (memory (export "memory") {memory})
              {fields}
              (func (export "edgeweir:hook/viewer-request@0.1.0#handle") (result i32)
                {run}
                (i32.const 1048512)))"#
        ),
    );
    if !imports.is_empty() {
        describe(&mut wasm, "optional-imports", StringEncoding::UTF8);
    }
    wasm
}

const MEBIBYTE: usize = 1 << 20;

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
    let hook = load(&engine, &hook_of(GLOBALS, ALL_KINDS), LIMITS);
    for _ in 0..5 {
        assert_eq!(verdict(&hook).await, "Next([])");
        assert_eq!(count(&hook), 1);
        assert_eq!(hook.keeping().unwrap().budget.memory.load(Ordering::Relaxed), 1 << 20);
    }
    // What its store has meanwhile is nothing of a call.
    let kept = hook.keeping().unwrap().take().unwrap();
    let idle = kept.store.data();
    assert!(idle.stage.is_none() && idle.call.response.is_none());
    assert_eq!(&*idle.call.facts.request_id, "settings-check");
    assert_eq!(kept.ready.size(&kept.store), 1 << 20);
    assert_eq!(hook.keeping().unwrap().budget.memory.load(Ordering::Relaxed), 0);
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
        ("(func $deep (call $deep))", "(call $deep)", "StackOverflow", 0),
        ("", "(loop $l (br $l))", "hook timed out after 200 ms", 0),
        ("", "(drop (memory.grow (i32.const 1)))", "Next([])", 0),
        // Such modules are not even looked at.
        (table, "(table.set (i32.const 0) (ref.func $f))", "Next([])", 0),
        ("(global $g (mut funcref) (ref.null func))", "(global.set $g (ref.null func))", "Next([])", 0),
        ("(data $d \"x\")", "(data.drop $d)", "Next([])", 0),
        (table, "(drop (table.get (i32.const 0)))", "Next([])", 1),
        (table, "(drop (table.size))", "Next([])", 1),
        (table, "(drop (table.grow (ref.null func) (i32.const 0)))", "Next([])", 0),
        (table, "(table.fill (i32.const 0) (ref.null func) (i32.const 0))", "Next([])", 0),
        ("(func $f) (table 1 funcref) (elem $e func $f)", "(elem.drop $e)", "Next([])", 0),
        // Instructions that are not known.
        ("", "(v128.store (i32.const 0) (v128.const i64x2 1 1))", "Next([])", 0),
        ("", "(v128.store8_lane 0 (i32.const 0) (v128.const i64x2 1 1))", "Next([])", 0),
        // No growth.
        ("", "(drop (memory.grow (i32.const 0)))", "Next([])", 1),
        ("", "(drop (memory.grow (i32.const -1)))", "hook ran out of memory: over its limit of 4194304 bytes", 0),
        ("(export \"again\" (memory 0)) (global (export \"g\") (mut i32) (i32.const 0))", "", "Next([])", 1),
        // What a global holds may need an instruction that is not known, but not to be set.
        (
            V128,
            "(global.set $v (global.get $w)) (global.set $n (f32.const nan:0x200001)) (call $changed)",
            "Next([])",
            1,
        ),
    ] {
        let hook = load(&engine, &hook_of(fields, run), LIMITS);
        for _ in 0..2 {
            assert_eq!(verdict(&hook).await, ends, "{run}");
            assert_eq!(count(&hook), kept, "{run}");
        }
    }
}

const V128: &str = r#"
    (global $v (mut v128) (v128.const i64x2 5 6))
    (global $w v128 (v128.const i64x2 7 8))
    (global $n (mut f32) (f32.const -nan:0x200000))
    (global $d (mut f64) (f64.const nan:0x4000000000001))
    (func $changed
      (if (i32.load (i32.const 64)) (then unreachable))
      (i32.store (i32.const 64) (i32.const 1))
      (global.set $d (f64.const 0)))"#;

/// What there is in no hook, so that nobody has to put it back.
#[test]
fn what_is_not_known_is_refused() {
    let engine = engine().0;
    for (imports, memory, fields) in [
        ("", "i64 16", ""),
        ("", "16 16 shared", ""),
        ("", "16", "(memory 1)"),
        ("", "65536 (pagesize 1)", ""),
        ("(import \"edgeweir:hook/clock@0.1.0\" \"now\" (memory 1))", "16", ""),
        ("(import \"edgeweir:hook/clock@0.1.0\" \"now\" (global (mut i32)))", "16", ""),
        ("(import \"edgeweir:hook/clock@0.1.0\" \"now\" (table 1 funcref))", "16", ""),
        ("(import \"edgeweir\" \"returned\" (func (param i32)))", "16", ""),
        ("", "16", "(export \"[edgeweir] cards\" (memory 0))"),
        ("", "16", "(global $g (mut i32) (i32.const 0)) (export \"[edgeweir] global 0\" (global $g))"),
        ("", "16", "(tag $t)"),
    ] {
        let wasm = importing(imports, memory, fields, "");
        let kept = engine.load("other", &wasm, LIMITS).is_ok_and(|hook| hook.keeping().is_some());
        assert!(!kept, "{imports} {memory} {fields}");
    }
    // Two sections of a kind, which the text cannot say.
    let wasm = hook_of("(global $g (mut i32) (i32.const 0))", "");
    for id in [3, 5, 6, 10] {
        let section = wasmparser::Parser::new(0).parse_all(&wasm).find_map(|payload| {
            payload.unwrap().as_section().filter(|(found, _)| *found == id).map(|(_, range)| wasm[range].to_vec())
        });
        let mut twice = wasm.clone();
        wasm_encoder::RawSection { id, data: &section.unwrap() }.append_to(&mut twice);
        assert!(engine.load("twice", &twice, LIMITS).is_err(), "{id}");
    }
}

/// The table tells no more memory apart, and what is put back is not counted against a call's time.
#[tokio::test]
async fn large_instances_are_not_kept() {
    let limits = EngineLimits { slots: 4, max_memory: 128 << 20 };
    let engine = HookEngine::new(limits, None, Arc::new(crate::direct::tests::Heard::default())).unwrap();
    let large = HookLimits { memory: 128 << 20, ..LIMITS };
    let globals = |count: usize| "(global (mut i32) (i32.const 0))".repeat(count);
    for (memory, globals, kept) in [
        ("16", globals(256), true),
        ("16", globals(257), false),
        ("1024", String::new(), true),
        ("1025", String::new(), false),
    ] {
        let hook = load(&engine, &importing("", memory, &globals, ""), large);
        for _ in 0..2 {
            assert_eq!(verdict(&hook).await, "Next([])");
            assert_eq!((hook.keeping().is_some(), count(&hook)), (kept, usize::from(kept)), "{memory}");
        }
    }
    for (length, kept) in [(1 << 20, 1), (3 << 20, 0)] {
        let run = format!("(memory.fill (i32.const 1048576) (i32.const 1) (i32.const {length}))");
        let hook = load(&engine, &importing("", "64", "", &run), large);
        assert_eq!((verdict(&hook).await.as_str(), count(&hook)), ("Next([])", kept), "{length}");
    }
    // With what tells of them these would be larger than a function may be.
    let locals = format!("(func $f (local {}))", "i32 ".repeat(49_999));
    let bytes = format!("(func $f {})", "nop ".repeat(2 << 20));
    for fields in [&locals, &bytes] {
        let hook = load(&engine, &hook_of(fields, "(call $f)"), LIMITS);
        assert_eq!(verdict(&hook).await, "Next([])");
        assert!(hook.keeping().is_none());
    }
    // One that has no memory at first cannot return anything unless it grows.
    let hook = load(&engine, &importing("", "0", "", "(drop (memory.grow (i32.const 16)))"), LIMITS);
    assert_eq!((verdict(&hook).await.as_str(), count(&hook)), ("Next([])", 0));
}

/// As often as a hook has the host write, what is remembered of it is not more than its memory has cards.
#[test]
fn what_the_host_wrote_takes_no_room() {
    let mut written = Written::of(MEBIBYTE);
    for nth in 0..100_000 {
        written.by_host((nth % 2) * 5 * CARD, 8);
    }
    assert_eq!(written.ranges().count(), 2);
}

#[tokio::test]
async fn kept_instances_give_way_to_other_hooks() {
    let limits = EngineLimits { slots: 1, ..EngineLimits::default() };
    let engine = HookEngine::new(limits, None, Arc::new(crate::direct::tests::Heard::default())).unwrap();
    let hooks =
        ["", "(drop (i32.const 1))", "(drop (i32.const 2))"].map(|run| load(&engine, &hook_of("", run), LIMITS));
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
    let hook = load(&engine, &hook_of("", "(loop $l (br $l))"), LIMITS);
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
    let mut written = Written::of(MEBIBYTE);
    written.by_host(5 * CARD - 1, 2);
    written.by_host(5 * CARD - 1, 1);
    written.by_host(77, 0);
    written.by_host(MEBIBYTE - 1, 1);
    written.take(&mut table);
    let ranges: Vec<_> = written.ranges().collect();
    let all = [(0, 2), (4, 6), (7, 10), (29, 30), (1023, 1024)];
    assert_eq!(ranges, all.map(|(first, end)| first * CARD..end * CARD + OVERHANG));
    assert!(table.iter().all(|card| *card == 0));
    written.clear();
    assert_eq!(written.ranges().count(), 0);
    // Past what a memory begins with nothing is put back.
    written.by_host(MEBIBYTE, 1);
    written.by_host(MEBIBYTE - 1, 2 * CARD);
    assert!(written.ranges().eq(std::iter::once(1023 * CARD..1024 * CARD + OVERHANG)));
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
        // What lies on the stack is another thing in the other branch, behind a jump, and for whoever comes by one.
        "(store) local.get $m i32.const 0 if (param i32) (result i32) drop local.get $l
           else i32.const 1 i32.store local.get $l end drop",
        "(store) local.get $m local.get $l if (param i32) i32.const 1 i32.store else drop end",
        "(store) (i32.store (block (result i32) (br 0 (local.get $m)) (drop) (local.get $l)) (i32.const 1))",
        "(store) (i32.store (block (result i32) (drop (br_if 0 (local.get $m) (i32.const 1))) (local.get $l)) (i32.const 1))",
        "(store) local.get $m loop (param i32) i32.const 1 i32.store local.get $l local.get $m local.set $l i32.const 20000
           local.set $m (br_if 0 (i32.eq (local.get $l) (i32.const 15000))) drop end",
        "(i32.store offset=1023 (local.get $l) (i32.const 1)) (i32.store offset=768 (local.get $l) (i32.const 1))",
    ] {
        let run = run.replace("(store)", "(i32.store (local.get $l) (i32.const 1))");
        let fields = format!("(func $run (local $l i32) (local $m i32)
               (local.set $l (i32.const 4096)) (local.set $m (i32.const 15000)) {run})");
        let hook = load(&engine, &hook_of(&fields, "(call $run)"), LIMITS);
        assert_eq!((verdict(&hook).await.as_str(), count(&hook)), ("Next([])", 1), "{run}");
    }
}
