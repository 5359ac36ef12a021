//! Modules that break the canonical ABI in each way that there is.

use super::{Twins, call, module};
use crate::{HookFault, Stage, TrapKind};

/// What a hostile module does; all else is as it should be.
struct Hostile<'a> {
    realloc: &'a str,
    handle: &'a str,
    post: &'a str,
    /// What lies at 1024, where `handle` says that its result is.
    result: &'a [u8],
}

impl Default for Hostile<'_> {
    /// A `cabi_realloc` that gives out memory from 32,768 on, and no edits.
    fn default() -> Self {
        Self { realloc: BUMP, handle: "(i32.const 1024)", post: "", result: &[] }
    }
}

const BUMP: &str = "
    (global.set $end (i32.and
      (i32.add (global.get $end) (i32.sub (local.get 2) (i32.const 1)))
      (i32.xor (i32.sub (local.get 2) (i32.const 1)) (i32.const -1))))
    (global.get $end)
    (global.set $end (i32.add (global.get $end) (local.get 3)))";
/// Asks for the path, whose result goes to 512; then all is well.
const ASKS: &str = "(call $path (i32.const 512)) (i32.const 1024)";

impl Hostile<'_> {
    fn module(&self) -> Vec<u8> {
        let result: String = self.result.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let Self { realloc, handle, post, .. } = self;
        module(
            "viewer-request-hook",
            &format!(
                r#"(module
                  (import "edgeweir:hook/request@0.1.0" "path" (func $path (param i32)))
                  (import "edgeweir:hook/request@0.1.0" "header-values" (func $values (param i32 i32 i32)))
                  (import "edgeweir:hook/request@0.1.0" "header-names" (func $names (param i32)))
                  (import "edgeweir:hook/viewer@0.1.0" "port" (func $port (param i32)))
                  (import "edgeweir:hook/log@0.1.0" "write" (func $log (param i32 i32 i32)))
                  (import "edgeweir:hook/crypto@0.1.0" "hash" (func $hash (param i32 i32 i32 i32)))
                  (import "edgeweir:hook/random@0.1.0" "bytes" (func $random (param i32 i32)))
                  (import "edgeweir:hook/clock@0.1.0" "now" (func $now (result i64)))
                  (memory (export "memory") 1)
                  (global $end (mut i32) (i32.const 32768))
                  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                  (func (export "edgeweir:hook/viewer-request@0.1.0#handle") (result i32) {handle})
                  (func (export "cabi_post_edgeweir:hook/viewer-request@0.1.0#handle") (param i32) {post})
                  (data (i32.const 1024) "{result}")
                  (data (i32.const 2000) "\ff\fe\00note"))"#
            ),
        )
    }

    async fn outcome(&self) -> Result<String, HookFault> {
        Twins::new(&self.module()).call(Stage::ViewerRequest, call).await
    }

    async fn fails(&self, kind: TrapKind, words: &str) {
        match self.outcome().await {
            Err(HookFault::Trap { kind: found, detail }) => {
                assert!(found == kind && detail.contains(words), "{words}: {found:?} {detail}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
}

/// `ok(next(list))`, with the list's pointer and length.
const fn list(at: u32, length: u32) -> [u8; 16] {
    let ([a, b, c, d], [e, f, g, h]) = (at.to_le_bytes(), length.to_le_bytes());
    [0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h]
}

/// `err(string)`.
const fn error(at: u32, length: u32) -> [u8; 12] {
    let ([a, b, c, d], [e, f, g, h]) = (at.to_le_bytes(), length.to_le_bytes());
    [1, 0, 0, 0, a, b, c, d, e, f, g, h]
}

#[tokio::test]
async fn a_good_module_is_well() {
    assert_eq!(Hostile::default().outcome().await.unwrap(), "Next([])");
    assert_eq!(Hostile { handle: ASKS, ..Hostile::default() }.outcome().await.unwrap(), "Next([])");
    let said = Hostile { result: &error(2003, 4), ..Hostile::default() }.outcome().await.unwrap_err();
    assert_eq!(said.to_string(), "hook failed: note");
    let echoed = "(call $path (i32.const 1028)) (i32.store8 (i32.const 1024) (i32.const 1)) (i32.const 1024)";
    let said = Hostile { handle: echoed, ..Hostile::default() }.outcome().await.unwrap_err();
    assert_eq!(said.to_string(), "hook failed: /a", "the path came to where it was wanted");
    let none = "(call $port (i32.const 512)) (if (i32.load8_u (i32.const 512)) (then unreachable)) (i32.const 1024)";
    assert_eq!(Hostile { handle: none, ..Hostile::default() }.outcome().await.unwrap(), "Next([])");
}

#[tokio::test]
async fn results_are_looked_at() {
    let other = TrapKind::Other;
    for (handle, words) in [
        ("(i32.const 1025)", "return pointer not aligned"),
        ("(i32.const 65516)", "return pointer out of bounds"),
        ("(i32.const 65536)", "return pointer out of bounds"),
        ("(i32.const -4)", "return pointer out of bounds"),
    ] {
        Hostile { handle, ..Hostile::default() }.fails(other, words).await;
    }
    // An edit at 1040, behind the list: its case, then what it holds.
    const EDIT: [u8; 20] = {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = list(1040, 1);
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, 9, 0, 0, 0]
    };
    for (result, words) in [
        (&[2_u8][..], "invalid expected discriminant"),
        (&[0, 0, 0, 0, 2], "unexpected discriminant"),
        (&EDIT, "unexpected discriminant"),
        (&list(65_528, 100), "list pointer/length out of bounds"),
        (&list(4, u32::MAX), "list pointer/length out of bounds"),
        (&list(u32::MAX - 3, 1), "list pointer/length out of bounds"),
        (&list(1026, 1), "list pointer is not aligned"),
        (&list(1026, 0), "list pointer is not aligned"),
        (&error(2000, 2), "invalid utf-8"),
        (&error(65_530, 7), "string pointer/length out of bounds"),
        (&error(u32::MAX, u32::MAX), "string pointer/length out of bounds"),
    ] {
        Hostile { result, ..Hostile::default() }.fails(other, words).await;
    }
}

#[tokio::test]
async fn parameters_are_looked_at() {
    for (handle, words) in [
        ("(call $path (i32.const 513))", "pointer not aligned"),
        ("(call $path (i32.const 65532))", "pointer out of bounds"),
        ("(call $path (i32.const -4))", "pointer out of bounds"),
        ("(call $port (i32.const 513))", "pointer not aligned"),
        ("(call $values (i32.const 2000) (i32.const 2) (i32.const 512))", "invalid utf-8"),
        ("(call $values (i32.const 65530) (i32.const 7) (i32.const 512))", "out of bounds"),
        ("(call $values (i32.const -1) (i32.const -1) (i32.const 512))", "out of bounds"),
        ("(call $log (i32.const 4) (i32.const 2003) (i32.const 4))", "unexpected discriminant"),
        ("(call $hash (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 512))", "unexpected discriminant"),
        ("(call $hash (i32.const 0) (i32.const 1) (i32.const 65536) (i32.const 512))", "out of bounds"),
    ] {
        let handle = format!("{handle} (i32.const 1024)");
        Hostile { handle: &handle, ..Hostile::default() }.fails(TrapKind::Other, words).await;
    }
    let refused = "(call $random (i32.const 4097) (i32.const 512)) (i32.const 1024)";
    Hostile { handle: refused, ..Hostile::default() }.fails(TrapKind::HostCall, "more than 4096 bytes").await;
}

#[tokio::test]
async fn allocations_are_looked_at() {
    for (realloc, kind, words) in [
        ("(i32.const -1)", TrapKind::Other, "realloc return: beyond end of memory"),
        ("(i32.const 65535)", TrapKind::Other, "realloc return: beyond end of memory"),
        ("unreachable", TrapKind::Unreachable, "unreachable"),
        ("(i64.eqz (call $now))", TrapKind::Other, "cannot leave component instance"),
        ("(call $path (i32.const 512)) (i32.const 2048)", TrapKind::Other, "cannot leave component instance"),
        ("(call $port (i32.const 512)) (i32.const 2048)", TrapKind::Other, "cannot leave component instance"),
        ("(i32.load (i32.const -4))", TrapKind::OutOfBounds, "out of bounds memory access"),
        ("(call $realloc (local.get 0) (local.get 1) (local.get 2) (local.get 3))", TrapKind::StackOverflow, "stack"),
    ] {
        Hostile { realloc, handle: ASKS, ..Hostile::default() }.fails(kind, words).await;
    }
    let names = "(call $names (i32.const 512)) (i32.const 1024)";
    let odd = Hostile { realloc: "(i32.const 2001)", handle: names, ..Hostile::default() };
    odd.fails(TrapKind::Other, "realloc return: result not aligned").await;
    // A place in a page that it has just grown is as good as any.
    let realloc = "(drop (memory.grow (i32.const 1))) (i32.sub (i32.shl (memory.size) (i32.const 16)) (local.get 3))";
    assert_eq!(Hostile { realloc, handle: ASKS, ..Hostile::default() }.outcome().await.unwrap(), "Next([])");
    let realloc = "(loop (drop (memory.grow (i32.const 1))) (br 0)) unreachable";
    let hoards = Hostile { realloc, handle: ASKS, ..Hostile::default() }.outcome().await.unwrap_err();
    assert!(matches!(hoards, HookFault::OutOfMemory { .. }), "{hoards}");
    let realloc = "(loop (br 0)) unreachable";
    let spins = Hostile { realloc, handle: ASKS, ..Hostile::default() }.outcome().await.unwrap_err();
    assert!(matches!(spins, HookFault::Timeout { .. }), "{spins}");
}

#[tokio::test]
async fn what_follows_the_result_is_looked_at() {
    for (post, kind, words) in [
        ("unreachable", TrapKind::Unreachable, "unreachable"),
        ("(drop (call $now))", TrapKind::Other, "cannot leave component instance"),
        ("(call $path (i32.const 512))", TrapKind::Other, "cannot leave component instance"),
        (
            "(call $log (i32.const 1) (i32.const 2003) (i32.const 4))",
            TrapKind::Other,
            "cannot leave component instance",
        ),
    ] {
        Hostile { post, ..Hostile::default() }.fails(kind, words).await;
    }
    // The result was taken before.
    let post = "(memory.fill (i32.const 0) (i32.const 255) (i32.const 65536))";
    assert_eq!(Hostile { post, ..Hostile::default() }.outcome().await.unwrap(), "Next([])");
}
