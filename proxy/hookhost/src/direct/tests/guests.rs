//! The test guests, both ways.

use std::collections::BTreeSet;

use wit_component::StringEncoding;

use super::{Twins, call, module};
use crate::load::rewrite::Plan;
use crate::{Call, RequestBody, Stage};

/// Guests that are no hooks.
const REFUSED: [&str; 4] = ["needs_unknown", "needs_wasi", "no_stage", "wrong_type"];
/// Settings for guests that do as they are told: edits of all stages, answers, too much of everything.
const SCRIPTS: [&str; 14] = [
    "",
    "{}",
    "set x-a 1\nappend x-a 2\nremove accept",
    "path /b\nquery q=1\nnote hello\ncache-key k\norigin o\ncost 3\napi-key k",
    "no-query",
    "body *100",
    "respond 200 hello\ncontent-type text/plain\nx-empty ",
    "respond 200 *1000000",
    "set connection close",
    "status 404\nttl 60\nnote n\nbody b\ncache-tag t",
    "unknown words",
    "dynamic-origin https a.example 8443 /p www.example",
    "{\"mode\":\"stage\"}",
    "long",
];

fn guests() -> Vec<(String, Vec<u8>)> {
    let exe = std::env::current_exe().unwrap();
    let folder = exe.ancestors().nth(3).unwrap().join("wasm32-unknown-unknown/hook/examples");
    let files =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}; run `make guests`", folder.display()));
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    let named = |path: std::path::PathBuf| {
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
    };
    // Cargo leaves another copy with a hash in its name.
    paths.map(named).filter(|(name, _)| !name.contains('-')).collect()
}

fn call_with(settings: &str) -> Call {
    let body = RequestBody { bytes: "a body".into(), more: false, limit: 4 };
    Call { settings: settings.into(), body: Some(body), record_reads: true, note: Some("noted".into()), ..call() }
}

#[tokio::test]
async fn guests_say_the_same_both_ways() {
    let mut seen = BTreeSet::new();
    let guests = guests();
    assert!(guests.len() > 25, "{} guests", guests.len());
    for (name, wasm) in guests {
        if REFUSED.contains(&&*name) || name == "big_data" {
            continue;
        }
        assert!(Plan::of(&wasm).is_some(), "{name} is not taken by itself");
        let twins = Twins::new(&wasm);
        for stage in Stage::EXPORTS {
            for settings in SCRIPTS.iter().take(if name == "script" || name == "log_flood" { SCRIPTS.len() } else { 2 })
            {
                let outcome = twins.call(stage, || call_with(settings)).await;
                seen.insert(super::told(&outcome).split(['(', ':', ' ']).next().unwrap_or_default().to_owned());
            }
        }
    }
    // All kinds of ends were among them.
    for end in ["Next", "Respond", "Unreachable", "OutOfBounds", "HostCall", "hook"] {
        assert!(seen.contains(end), "{end} is not among {seen:?}");
    }
}

#[test]
fn settings_are_checked_the_same_both_ways() {
    let (_, wasm) = guests().into_iter().find(|(name, _)| name == "checked").unwrap();
    let twins = Twins::new(&wasm);
    for settings in [
        "{}",
        r#"{"limits":[0,1,0]}"#,
        r#"{"limit":1}"#,
        r#"{"mode":"none"}"#,
        r#"{"mode":"tell","secret":"é"}"#,
        r#"{"mode":"trap"}"#,
        r#"{"mode":"hoard"}"#,
        r#"{"mode":"request"}"#,
        r#"{"mode":"stage"}"#,
        "no JSON",
        "",
    ] {
        drop(twins.check(settings));
    }
}

/// What `load::rewrite` does not know through and through.
#[tokio::test]
async fn other_modules_take_the_component_s_way() {
    let with = |more: &str| {
        module(
            "viewer-request-hook",
            &format!(
                r#"(module
                  (memory (export "memory") 1)
                  (func $nothing)
                  (func (export "edgeweir:hook/viewer-request@0.1.0#handle") (result i32) (i32.const 1024))
                  {more})"#
            ),
        )
    };
    for (more, direct) in [
        ("", true),
        ("(global (export \"__heap_base\") i32 (i32.const 0))", true),
        ("(start $nothing)", false),
        ("(export \"_initialize\" (func $nothing))", false),
        ("(export \"more\" (func $nothing))", false),
    ] {
        let wasm = with(more);
        assert_eq!(Plan::of(&wasm).is_some(), direct, "{more}");
        let hook = super::engine().0.load("other", &wasm, super::LIMITS).unwrap();
        assert_eq!(hook.is_direct(), direct, "{more}");
        let verdict = hook.viewer_request(call()).await.verdict.unwrap();
        assert_eq!(format!("{verdict:?}"), "Next([])", "{more}");
    }
    // Strings of another encoding.
    let mut wasm = wat::parse_str(
        r#"(module
        (memory (export "memory") 1)
        (func (export "edgeweir:hook/viewer-request@0.1.0#handle") (result i32) (i32.const 1024)))"#,
    )
    .unwrap();
    super::describe(&mut wasm, "viewer-request-hook", StringEncoding::UTF16);
    assert!(Plan::of(&wasm).is_none());
    assert!(!super::engine().0.load("other", &wasm, super::LIMITS).unwrap().is_direct());
}

/// No module makes the look at it panic, valid or not.
#[test]
fn cut_modules_are_looked_at() {
    for (name, wasm) in guests().into_iter().filter(|(name, _)| name == "script" || name == "no_op") {
        for end in (0..wasm.len()).step_by(97) {
            drop(Plan::of(&wasm[..end]).map(|plan| (plan.skeleton(), plan.rewritten())));
        }
        let plan = Plan::of(&wasm).unwrap_or_else(|| panic!("{name} is not taken"));
        wasmparser::validate(&plan.rewritten().unwrap()).unwrap();
        wasmparser::validate(&plan.skeleton()).unwrap();
    }
}
