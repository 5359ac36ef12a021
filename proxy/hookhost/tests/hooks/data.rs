//! Data that a hook carries beside its memory: read in parts, as a core module and as a component.

use std::sync::Arc;

use edgeweir_hookhost::{
    CheckFault, EngineLimits, Hook, HookEngine, HookFault, HookLimits, LoadError, RequestVerdict, Stage, TrapKind,
    inspect,
};
use http::HeaderMap;
use wasm_encoder::{CustomSection, Section as _};
use wit_component::ComponentEncoder;

use crate::support::{LIMITS, Request, Services, call, engine, wasip2, wasm};

fn component(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().module(module).unwrap().encode().unwrap()
}

/// With one more section at its end.
fn with(mut wasm: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    let section = CustomSection { name: name.into(), data: data.into() };
    section.append_to(&mut wasm);
    wasm
}

/// Where the content of a section of this name begins.
fn content(wasm: &[u8], name: &str) -> usize {
    wasm.windows(name.len()).position(|bytes| bytes == name.as_bytes()).unwrap() + name.len()
}

async fn asked(hook: &Arc<Hook>, query: &str) -> Result<String, HookFault> {
    let request = Request { path: "/".into(), query: Some(query.into()), headers: HeaderMap::new() };
    let done = hook.viewer_request(edgeweir_hookhost::Call { request: Box::new(request), ..call("{}") }).await;
    done.verdict.map(|verdict| match verdict {
        RequestVerdict::Respond(response) => String::from_utf8(response.body.to_vec()).unwrap(),
        RequestVerdict::Next(edits) => panic!("{edits:?}"),
    })
}

#[tokio::test]
async fn parts_of_it_are_read_both_ways() {
    let (engine, _) = engine(4);
    let module = wasm("data");
    for wasm in [component(&module), module] {
        let hook = engine.load("data", &wasm, LIMITS).unwrap();
        assert!(hook.needs().is_empty(), "it is granted by nobody");
        for (query, answer) in [
            ("do=size&name=data::DIGITS", "Some(10)"),
            ("do=size&name=data::LARGE", "Some(524288)"),
            ("do=size&name=data::words::DIGITS", "Some(60)"),
            ("do=size&name=DIGITS", "None"),
            ("do=size&name=", "None"),
            ("do=read&name=data::DIGITS&offset=0&length=10", "Ok(\"0123456789\")"),
            ("do=read&name=data::DIGITS&offset=3&length=2", "Ok(\"34\")"),
            ("do=read&name=data::DIGITS&offset=10&length=0", "Ok(\"\")"),
            (
                "do=read&name=data::DIGITS&offset=3&length=8",
                "Err(\"8 bytes from byte 3 on are more than the data has: 10 bytes\")",
            ),
            (
                "do=read&name=data::DIGITS&offset=4294967295&length=4294967295",
                "Err(\"4294967295 bytes from byte 4294967295 on are more than the data has: 10 bytes\")",
            ),
            ("do=read&name=none&offset=0&length=0", "Err(\"the hook has no data \\\"none\\\"\")"),
            ("do=length&name=data::LARGE&offset=1&length=524287", "Ok(524287)"),
            ("do=range&start=9&end=10", "9"),
            ("do=range&start=7&end=7", ""),
            ("do=whole", "524288 true"),
            ("do=find&word=two", "Ok(\"two   \")"),
            ("do=find&word=eight", "Ok(\"eight \")"),
            ("do=find&word=ten", "Err(7)"),
        ] {
            assert_eq!(asked(&hook, query).await.unwrap(), answer, "{query}");
        }
    }
}

#[tokio::test]
async fn mistakes_of_the_hook_are_its_faults() {
    let (engine, services) = engine(4);
    let hook = engine.load("data", &wasm("data"), LIMITS).unwrap();
    let said = async |hook: &Arc<Hook>, query: &str| {
        let fault = asked(hook, query).await.unwrap_err();
        assert!(matches!(fault, HookFault::Trap { kind: TrapKind::Unreachable, .. }), "{fault}");
        services.lines.lock().unwrap().pop().unwrap().3
    };
    let outside = said(&hook, "do=range&start=0&end=11").await;
    assert!(outside.contains("`data::DIGITS` has 10 bytes, not Included(0) to Excluded(11)"), "{outside}");
    let together = said(&hook, "do=twice").await;
    assert!(together.contains("`data::twice::SAME` was built with 5 bytes, the artefact has Some(11)"), "{together}");
    // A tool that took the section out.
    let mut without = wasm("data");
    let name = content(&without, "edgeweir:data/data::DIGITS");
    without[name - 1] = b'_';
    let without = engine.load("data", &without, LIMITS).unwrap();
    let missing = said(&without, "do=range&start=0&end=1").await;
    assert!(missing.contains("`data::DIGITS` was built with 10 bytes, the artefact has None"), "{missing}");
}

#[tokio::test]
async fn what_is_read_counts_against_the_memory_limit() {
    let (engine, _) = engine(4);
    let limits = HookLimits { memory: 256 << 10, ..LIMITS };
    for wasm in [wasm("data"), component(&wasm("data"))] {
        let hook = engine.load("data", &wasm, limits).unwrap();
        let fault = asked(&hook, "do=whole").await.unwrap_err();
        assert!(matches!(fault, HookFault::OutOfMemory { .. }), "{fault}");
        assert_eq!(asked(&hook, "do=range&start=0&end=2").await.unwrap(), "01");
    }
}

#[tokio::test]
async fn data_can_be_added_to_what_was_built() {
    let (engine, _) = engine(4);
    for wasm in [wasm("data"), component(&wasm("data"))] {
        let more = with(wasm.clone(), "edgeweir:data/added", b"later");
        let hook = engine.load("data", &more, LIMITS).unwrap();
        assert_eq!(asked(&hook, "do=read&name=added&offset=0&length=5").await.unwrap(), "Ok(\"later\")");
        assert_eq!(asked(&hook, "do=range&start=0&end=1").await.unwrap(), "0");
        let twice = with(wasm, "edgeweir:data/data::LARGE", b"once more");
        let error = engine.load("data", &twice, LIMITS).map(drop).unwrap_err();
        assert!(matches!(error, LoadError::Data { .. }));
        assert_eq!(
            error.to_string(),
            "the hook's data is not usable: two sections are named `edgeweir:data/data::LARGE`"
        );
    }
}

/// Two versions that differ in their data only, as before and after a reload.
#[tokio::test]
async fn each_version_has_its_own() {
    let (engine, _) = engine(4);
    let old = wasm("data");
    let mut new = old.clone();
    let digits = content(&new, "edgeweir:data/data::DIGITS");
    new[digits..digits + 10].reverse();
    let (old, new) = (engine.load("data", &old, LIMITS).unwrap(), engine.load("data", &new, LIMITS).unwrap());
    let query = "do=range&start=0&end=3";
    assert_eq!((asked(&old, query).await.unwrap(), asked(&new, query).await.unwrap()), ("012".into(), "987".into()));
    drop(old);
    assert_eq!(asked(&new, query).await.unwrap(), "987");
    let limited = new.with_limits(HookLimits { concurrent: 1, ..LIMITS }).unwrap();
    assert_eq!(asked(&limited, query).await.unwrap(), "987");
}

#[tokio::test]
async fn a_compiled_hook_has_it_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for wasm in [wasm("data"), component(&wasm("data"))] {
        for _ in 0..2 {
            let limits = EngineLimits { slots: 2, ..EngineLimits::default() };
            let engine = HookEngine::new(limits, Some(dir.path()), Arc::new(Services::default())).unwrap();
            let hook = engine.load("data", &wasm, LIMITS).unwrap();
            assert_eq!(asked(&hook, "do=whole").await.unwrap(), "524288 true");
        }
    }
    // It is taken from the WASM each time: what is kept is code.
    let kept: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 2);
    for file in kept {
        assert!(!std::fs::read(file).unwrap().windows(4096).any(|bytes| bytes == [0x2e; 4096]));
    }
}

#[test]
fn it_is_there_while_settings_are_checked() {
    let (engine, _) = engine(2);
    for wasm in [wasm("data"), component(&wasm("data"))] {
        let hook = engine.load("data", &wasm, LIMITS).unwrap();
        let check = |settings: &str| hook.check_settings("site", "*", Stage::ViewerRequest, settings, None);
        assert!(check(r#"{"word":"seven"}"#).is_ok());
        match check(r#"{"word":"ten"}"#).unwrap_err() {
            CheckFault::Refused(problems) => assert_eq!(&*problems[0].message, "is no word; 7 come before it"),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn std_hooks_have_it_too() {
    let hook = engine(2).0.load("wasip2", &wasip2("wasip2"), LIMITS).unwrap();
    assert_eq!(asked(&hook, "data").await.unwrap(), "10 [51, 52]");
}

#[test]
fn inspection_names_it() {
    let module = wasm("data");
    let found = inspect(&module);
    let mut names: Vec<_> = found.data.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [("data::DIGITS", 10), ("data::LARGE", 512 << 10), ("data::twice::SAME", 11), ("data::words::DIGITS", 60)]
    );
    assert_eq!(inspect(&component(&module)).data, found.data);
    assert!(found.imports.contains(&"edgeweir:hook/data@0.1.0".to_owned()));
    assert_eq!(inspect(&wasm("no-op")).data, []);
}
