//! How much of the language is there: each piece of source is the body of a function, which the engine makes and calls within a
//! call of a hook. What fails is known by name, and nothing else may fail, or pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edgeweir_hookhost::{Call, Hook, HookLimits, RequestBody, RequestVerdict, build_script};
use serde::Deserialize;

use crate::support::{call, engine};

const DRIVER: &str = include_str!("language/driver.js");
const LIMITS: HookLimits = HookLimits { timeout: Duration::from_secs(20), memory: 64 << 20, concurrent: 100 };

fn driver() -> Arc<Hook> {
    let made = build_script("driver.js", DRIVER.as_bytes()).unwrap();
    engine(4).0.load("driver", &made.wasm, LIMITS).unwrap()
}

/// What came of it: `yes`, or why not.
async fn ran(driver: &Arc<Hook>, source: &str) -> String {
    let bytes = Bytes::copy_from_slice(source.as_bytes());
    let body = RequestBody { bytes, more: false, limit: 1 << 20 };
    match driver.viewer_request(Call { body: Some(body), ..call("{}") }).await.verdict {
        Ok(RequestVerdict::Respond(response)) => String::from_utf8(response.body.to_vec()).unwrap(),
        Ok(other) => format!("{other:?}"),
        Err(fault) => fault.to_string(),
    }
}

#[tokio::test]
async fn what_the_language_has_got_since_2020() {
    const MISSING: [&str; 6] =
        ["2024: Atomics.waitAsync", "structuredClone", "Intl", "eval", "WebAssembly", "setTimeout"];
    let driver = driver();
    let cases = include_str!("language/since_2020.js").split("//# ").skip(1);
    let mut failed = Vec::new();
    let mut count = 0;
    for case in cases {
        let (name, source) = case.split_once('\n').unwrap();
        let result = ran(&driver, source).await;
        if result != "yes" {
            println!("{name}: {result}");
            failed.push(name);
        }
        count += 1;
    }
    assert_eq!((count, failed), (52, MISSING.to_vec()));
}

/// The 871 tests of compat-table's ES5, ES6 and ES2016 to ES2019; `make language` fetches them.
#[tokio::test]
#[ignore = "needs a package of npm: `make language`"]
async fn what_compat_table_asks() {
    #[derive(Deserialize)]
    struct Case {
        suite: String,
        name: String,
        source: String,
    }

    let exe = std::env::current_exe().unwrap();
    let file = exe.ancestors().nth(3).unwrap().join("compat-table/cases.json");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make language`", file.display()));
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    let driver = driver();
    let mut counts = BTreeMap::<&str, (usize, usize)>::new();
    let mut failed = Vec::new();
    for Case { suite, name, source } in &cases {
        let result = ran(&driver, source).await;
        let (passed, all) = counts.entry(suite).or_default();
        *all += 1;
        if result == "yes" {
            *passed += 1;
        } else {
            println!("{suite}: {name}: {}", result.lines().next().unwrap_or_default());
            failed.push(format!("{suite}: {name}"));
        }
    }
    println!("passed and all: {counts:?}");
    let known: Vec<&str> = include_str!("language/missing.txt").lines().collect();
    assert_eq!(failed, known, "what fails is not what is known to");
}
