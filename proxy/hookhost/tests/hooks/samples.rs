//! The functions of `tests/functions`, which pass under Node, in the engine: built, loaded and called as the edge does it. What a
//! verdict makes of the message is compared with what the function has to return.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use edgeweir_hookhost::{Done, EngineLimits, Grants, Hook, HookEngine, HookFault, RequestVerdict, build_script};
use serde_json::Value;

use crate::support::{SCRIPT_LIMITS, Services, store};
use message::{Message, Sent};

mod cloudfront;
mod lambda;
mod message;

/// What tokens and links of the cases were made for: they are good, or over, by this day.
const NOW: u64 = 1_790_000_000_000;

/// A sample and its cases.
struct Sample {
    name: String,
    source: String,
    cases: Vec<Value>,
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/functions").join(kind)
}

fn samples(kind: &str, file: &str) -> Vec<Sample> {
    let mut all: Vec<Sample> = std::fs::read_dir(folder(kind))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap();
            let Value::Array(cases) = serde_json::from_str(&read("cases.json")).unwrap() else { panic!("no list") };
            assert!(!cases.is_empty(), "{}", path.display());
            Sample { name: path.file_name().unwrap().to_str().unwrap().to_owned(), source: read(file), cases }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// All cases of a kind; tells all that fail, not the first.
async fn run(kind: &str, file: &str, check: impl AsyncFn(&Arc<Hook>, &Sample, &Value) -> Result<(), String>) -> usize {
    let services = Arc::new(Services::default());
    services.now.store(NOW, Ordering::SeqCst);
    let limits = EngineLimits { slots: 4, ..EngineLimits::default() };
    let engine = HookEngine::new(limits, None, Arc::clone(&services) as _).unwrap();
    let mut passed = 0;
    let mut failed = Vec::new();
    for sample in samples(kind, file) {
        let hook = build_script(file, sample.source.as_bytes()).map_err(|error| error.to_string());
        let hook = hook
            .and_then(|made| engine.load(&sample.name, &made.wasm, SCRIPT_LIMITS).map_err(|error| error.to_string()));
        let hook = match hook {
            Ok(hook) => hook,
            Err(error) => {
                failed.push(format!("{kind}/{}: {error}", sample.name));
                continue;
            }
        };
        for case in &sample.cases {
            match check(&hook, &sample, case).await {
                Ok(()) => passed += 1,
                Err(why) => failed.push(format!("{kind}/{}: {}: {why}", sample.name, case["name"])),
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    passed
}

/// What the case says of a fault; none if there has to be a verdict.
fn failure(case: &Value, fault: &HookFault) -> Result<(), String> {
    let said = fault.to_string();
    let Some(expected) = case["error"].as_str() else { return Err(format!("failed: {said}")) };
    // Node's own words for what is undefined are not this engine's.
    let own = ["TypeError", "not found", "undefined"].iter().any(|word| said.contains(word));
    if fault.status() == 503 && (said.contains(expected) || own) {
        Ok(())
    } else {
        Err(format!("another fault: {said}"))
    }
}

/// Compares, with words.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, wanted: &T) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what}\n     is {is:?}\n wanted {wanted:?}")) }
}

/// The store of a case, by the name that the source has for it, and the origins that the cases choose.
fn grants(sample: &Sample, case: &Value) -> Option<Arc<Grants>> {
    let entries = case["kvs"].as_object().into_iter().flatten();
    let store = store(entries.map(|(key, value)| (key.as_str(), value.as_str().unwrap())));
    let named = sample.source.split("kvs('").nth(1).and_then(|rest| rest.split('\'').next());
    Some(Arc::new(Grants {
        stores: vec![(named.unwrap_or("only").into(), store)],
        dynamic_origins: vec!["*.example.com".into(), "*.amazonaws.com".into()],
        ..Grants::default()
    }))
}

/// What a request stage decided: an answer, or the request as it is now.
fn decided(done: Done<RequestVerdict>, before: &Message) -> Result<Sent, HookFault> {
    Ok(match done.verdict? {
        RequestVerdict::Respond(answer) => Sent::Answer(Message::of_answer(&answer)),
        RequestVerdict::Next(edits) => {
            let mut after = before.clone();
            let others = edits.into_iter().filter(|edit| !after.edit_request(edit)).collect();
            Sent::Request(after, others)
        }
    })
}

#[tokio::test]
async fn cloudfront_functions_run_as_they_are() {
    let passed = run("cloudfront", "function.js", cloudfront::check).await;
    assert!(passed >= 75, "only {passed} cases");
}

#[tokio::test]
async fn lambda_functions_run_as_they_are() {
    let passed = run("lambda", "index.js", lambda::check).await;
    assert!(passed >= 65, "only {passed} cases");
}
