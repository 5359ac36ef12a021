//! What is refused at loading and how it is said; the cache of compiled hooks.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use edgeweir_hookhost::{
    EngineError, EngineLimits, HookEngine, HookLimits, LoadError, MAX_WASM, RequestEdit, RequestVerdict,
};

use crate::support::{LIMITS, Services, call, engine, wasm};

fn refused(name: &str, limits: HookLimits) -> LoadError {
    engine(1).0.load(name, &wasm(name), limits).map(drop).unwrap_err()
}

#[test]
fn what_is_no_hook() {
    let (engine, _) = engine(1);
    let load = |bytes: &[u8]| engine.load("h", bytes, LIMITS).map(drop).unwrap_err();
    for bytes in [b"".as_slice(), b"\0asm", b"#!/bin/sh\nexit\n", b"\0asm\x09\0\0\0"] {
        assert!(matches!(load(bytes), LoadError::NotWasm), "{bytes:?}");
    }
    let big = vec![0; MAX_WASM + 1];
    assert_eq!(load(&big).to_string(), "the hook has 10485761 bytes; at most 10485760 are allowed");
    // An empty module says nothing of a world; an empty component exports nothing.
    assert!(matches!(load(b"\0asm\x01\0\0\0"), LoadError::Encode { .. } | LoadError::NoStage { .. }));
    assert_eq!(
        load(b"\0asm\x0d\0\x01\0").to_string(),
        "the hook exports none of the four stages and no authorizer; it exports nothing"
    );
}

/// Broken bytes are errors, never panics: of this crate, wit-component or wasmtime.
#[test]
fn damaged_hooks_are_errors() {
    let (engine, _) = engine(1);
    let whole = wasm("no-op");
    for length in (0..whole.len()).step_by(whole.len() / 50) {
        // Between two sections it may be a module without what only tools read.
        let between = wasmparser::Parser::new(0).parse_all(&whole[..length]).all(|payload| payload.is_ok());
        let loaded = engine.load("h", &whole[..length], LIMITS);
        assert!(between || loaded.is_err(), "cut at {length}");
    }
    // The description of the hook's world is data of its own, which the damage must reach too.
    let section = whole.windows(15).position(|bytes| bytes == b"component-type:").unwrap();
    for at in (section..whole.len()).step_by(31) {
        for bit in [0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            drop(engine.load("h", &damaged, LIMITS));
        }
    }
}

#[test]
fn imports_outside_of_what_is_provided() {
    assert_eq!(
        refused("needs-unknown", LIMITS).to_string(),
        "the hook imports `edgeweir:guest/database`, which is not part of the contract edgeweir:hook@0.1"
    );
}

#[test]
fn exports_that_are_no_stage() {
    assert_eq!(
        refused("no-stage", LIMITS).to_string(),
        "the hook exports none of the four stages and no authorizer; it exports `edgeweir:guest/other`"
    );
    let error = refused("wrong-type", LIMITS);
    assert!(matches!(error, LoadError::Mismatch { .. }));
    assert!(error.to_string().contains("edgeweir:hook/viewer-request"), "{error}");
}

/// Guests are linked with an initial memory of 256 KiB.
#[test]
fn demands_over_the_limits() {
    let little = HookLimits { memory: 64 << 10, ..LIMITS };
    assert_eq!(
        refused("no-op", little).to_string(),
        "the hook needs 131072 bytes of memory; its limits allow 65536 bytes"
    );
    let small = EngineLimits { slots: 1, max_memory: 64 << 10 };
    let small = HookEngine::new(small, None, Arc::new(Services::default())).unwrap();
    let error = small.load("no-op", &wasm("no-op"), little).map(drop).unwrap_err();
    assert!(matches!(error, LoadError::Compile { .. } | LoadError::Demands { .. }), "{error}");
}

#[test]
fn limits_have_ranges() {
    let (engine, _) = engine(1);
    let wasm = wasm("no-op");
    for limits in [
        HookLimits { timeout: Duration::ZERO, ..LIMITS },
        HookLimits { timeout: Duration::from_secs(31), ..LIMITS },
        HookLimits { memory: 1, ..LIMITS },
        HookLimits { memory: (64 << 20) + 1, ..LIMITS },
    ] {
        assert!(matches!(engine.load("h", &wasm, limits), Err(LoadError::Limits(_))), "{limits:?}");
    }
    for limits in
        [EngineLimits { slots: 0, ..Default::default() }, EngineLimits { max_memory: 1, ..Default::default() }]
    {
        let made = HookEngine::new(limits, None, Arc::new(Services::default()));
        assert!(matches!(made.map(drop), Err(EngineError::Limits)), "{limits:?}");
    }
}

#[tokio::test]
async fn a_hook_of_a_later_0_1_runs() {
    let hook = engine(1).0.load("newer-contract", &wasm("newer-contract"), LIMITS).unwrap();
    let verdict = hook.viewer_request(call("hello")).await.verdict.unwrap();
    assert_eq!(verdict, RequestVerdict::Next(vec![RequestEdit::Note("hello".into())]));
}

#[tokio::test]
async fn compiled_hooks_are_kept_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("hooks");
    let start = || {
        HookEngine::new(EngineLimits { slots: 2, ..Default::default() }, Some(&cache), Arc::new(Services::default()))
            .unwrap()
    };
    let files = || -> Vec<_> { std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect() };
    let works = async |engine: &HookEngine| {
        let hook = engine.load("header-edit", &wasm("header-edit"), LIMITS).unwrap();
        assert!(hook.viewer_request(call("")).await.verdict.is_ok());
    };
    works(&start()).await;
    let [file] = &files()[..] else { panic!("one file") };
    let written = std::fs::metadata(file).unwrap().modified().unwrap();
    works(&start()).await;
    assert_eq!(std::fs::metadata(file).unwrap().modified().unwrap(), written, "taken, not written again");
    // A damaged file is compiled again, and replaced.
    let mut content = std::fs::read(file).unwrap();
    let at = content.len() / 2;
    content[at] ^= 0xff;
    std::fs::write(file, &content).unwrap();
    works(&start()).await;
    assert_ne!(std::fs::read(file).unwrap(), content);
    // A directory that may not be used is no reason not to load.
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    works(&start()).await;
}

#[test]
fn the_same_bytes_are_compiled_once() {
    let (engine, _) = engine(1);
    let wasm = wasm("no-op");
    let first = engine.load("a", &wasm, LIMITS).unwrap();
    let second = engine.load("b", &wasm, HookLimits { timeout: Duration::from_secs(1), ..LIMITS }).unwrap();
    assert_eq!((first.name(), second.name()), ("a", "b"));
    assert_eq!(second.limits().timeout, Duration::from_secs(1));
    assert_eq!(first.limits(), LIMITS);
}
