//! `on_failure = "last-good"`: after a reload that brings a broken version of a hook, calls go to the version before it.

use std::time::Duration;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::wasm;

use crate::support::bound;

/// A hook `guard` whose file is in the test's folder, with this binding at viewer-request.
fn guarded(binding: &str) -> String {
    format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\n[hooks.guard]\nfile = \"{{dir}}/guard.wasm\"\ntimeout = \"300ms\"\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n{}",
        bound("viewer-request", binding)
    )
}

const LAST_GOOD: &str = "{ hook = \"guard\", on_failure = \"last-good\" }";

async fn start(version: &str, binding: &str, origin: &Origin) -> TestEdge {
    let setup = Setup::new(&guarded(binding)).set("origin", &origin.address());
    std::fs::copy(wasm::guest(version), setup.folder().join("guard.wasm")).expect("a writable folder");
    setup.start().await
}

/// Puts another version in force.
async fn change(edge: &TestEdge, version: &str, binding: &str) -> Result<(), String> {
    std::fs::copy(wasm::guest(version), edge.folder().join("guard.wasm")).expect("a writable folder");
    edge.reload(&guarded(binding)).await
}

async fn status(edge: &TestEdge) -> u16 {
    edge.get("/t").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_version_is_replaced_by_the_one_before_it() {
    let origin = Origin::hello().await;
    let edge = start("respond", LAST_GOOD, &origin).await;
    let good = edge.get("/t").await;
    for broken in ["trap", "error", "bad-header", "alloc", "spin"] {
        change(&edge, broken, LAST_GOOD).await.expect("it loads");
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text()), (good.status, good.text()), "{broken}");
    }
    assert_eq!(origin.count(), 0, "the good version answers itself");
    let lines = edge.log_lines(6).await;
    assert_eq!(lines[1]["hooks"][0]["verdict"], "trap", "{}", lines[1]);
    assert_eq!(lines[1]["hooks"][1]["verdict"], "respond", "{}", lines[1]);
    assert_eq!(lines[1]["hooks"][1]["last_good"], true, "{}", lines[1]);
    assert!(lines[0]["hooks"][0].get("last_good").is_none(), "{}", lines[0]);
    let of_guard = ["hook=\"guard\"", "stage=\"viewer-request\""];
    assert_eq!(edge.metric("edgeweir_hook_last_good_calls_total", &of_guard).await, 5.0);
    assert_eq!(edge.metric("edgeweir_hook_calls_total", &of_guard).await, 6.0, "of the versions in force");
    edge.counted("edgeweir_hook_calls_total", &["verdict=\"trap\""], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_passes_by_a_call_without_a_fault() {
    let origin = Origin::hello().await;
    // Nothing was called before the change: there is no good version.
    let edge = start("no-op", LAST_GOOD, &origin).await;
    change(&edge, "trap", LAST_GOOD).await.expect("it loads");
    assert_eq!(status(&edge).await, 503);
    // The broken version did not pass either. The next one does, and is called in place of the one after it.
    change(&edge, "no-op", LAST_GOOD).await.expect("it loads");
    assert_eq!(status(&edge).await, 200);
    change(&edge, "error", LAST_GOOD).await.expect("it loads");
    assert_eq!(status(&edge).await, 200);
    // Of two that passed it is the newer.
    change(&edge, "respond", LAST_GOOD).await.expect("it loads");
    let answer = status(&edge).await;
    change(&edge, "trap", LAST_GOOD).await.expect("it loads");
    assert_eq!(status(&edge).await, answer);
    // A reload that leaves the hook alone forgets nothing.
    change(&edge, "trap", LAST_GOOD).await.expect("it loads");
    assert_eq!(status(&edge).await, answer);
    // Back to the good one: it is in force, and there is no other to go to.
    change(&edge, "respond", LAST_GOOD).await.expect("it loads");
    let before = edge.metric("edgeweir_hook_last_good_calls_total", &[]).await;
    assert_eq!(status(&edge).await, answer);
    edge.counted("edgeweir_hook_last_good_calls_total", &[], before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_policies_do_not_call_it() {
    let origin = Origin::hello().await;
    for (policy, answer) in [("closed", 503), ("open", 200)] {
        let binding = format!("{{ hook = \"guard\", on_failure = \"{policy}\" }}");
        let edge = start("no-op", &binding, &origin).await;
        assert_eq!(status(&edge).await, 200);
        change(&edge, "trap", &binding).await.expect("it loads");
        assert_eq!(status(&edge).await, answer);
        assert_eq!(edge.metric("edgeweir_hook_last_good_calls_total", &[]).await, 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_version_that_fails_too_is_closed() {
    let origin = Origin::hello().await;
    let binding = |line: &str| {
        format!("{{ hook = \"guard\", on_failure = \"last-good\", settings = {{ script = \"{line}\" }} }}")
    };
    let edge = start("script", &binding("set x-a 1"), &origin).await;
    assert_eq!(status(&edge).await, 200);
    change(&edge, "trap", &binding("set connection close")).await.expect("it loads");
    assert_eq!(status(&edge).await, 502, "the good version breaks a rule with these settings");
    edge.counted("edgeweir_hook_last_good_calls_total", &["verdict=\"validation\""], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_take_the_settings_is_not_called() {
    let origin = Origin::hello().await;
    let binding =
        |limit: u8| format!("{{ hook = \"guard\", on_failure = \"last-good\", settings = {{ limits = [{limit}] }} }}");
    let edge = start("checked", &binding(1), &origin).await;
    assert_eq!(status(&edge).await, 200);
    change(&edge, "trap", &binding(1)).await.expect("it loads");
    assert_eq!(status(&edge).await, 200);
    // `checked` refuses a limit of 0; `trap` takes anything.
    change(&edge, "trap", &binding(0)).await.expect("it loads");
    assert_eq!(status(&edge).await, 503);
    change(&edge, "trap", &binding(2)).await.expect("it loads");
    assert_eq!(status(&edge).await, 200, "it was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_response_stages_too() {
    let origin = Origin::hello().await;
    for stage in ["origin-response", "viewer-response", "origin-request"] {
        let text = guarded(LAST_GOOD).replace("viewer-request", stage);
        let setup = Setup::new(&text).set("origin", &origin.address());
        std::fs::copy(wasm::guest("all-stages"), setup.folder().join("guard.wasm")).expect("a writable folder");
        let edge = setup.start().await;
        assert_eq!(status(&edge).await, 200, "{stage}");
        // With these settings `script` fails at every stage.
        std::fs::copy(wasm::guest("script"), edge.folder().join("guard.wasm")).expect("a writable folder");
        let settings = LAST_GOOD.replace(" }", ", settings = { script = \"nonsense\" } }");
        edge.reload(&text.replace(LAST_GOOD, &settings)).await.expect("it loads");
        let response = edge.get("/t").await;
        assert_eq!(response.status, 200, "{stage}");
        edge.counted("edgeweir_hook_last_good_calls_total", &[&format!("\"{stage}\"")], 1.0).await;
        if stage.ends_with("response") {
            assert_eq!(response.header("x-stage"), Some(stage), "the edits of the good version");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_again_and_again_is_given_a_rest() {
    let origin = Origin::hello().await;
    let edge = start("respond", LAST_GOOD, &origin).await;
    let good = status(&edge).await;
    change(&edge, "trap", LAST_GOOD).await.expect("it loads");
    for _ in 0..20 {
        assert_eq!(status(&edge).await, good);
    }
    let tried = async || edge.metric("edgeweir_hook_calls_total", &["verdict=\"trap\""]).await;
    assert_eq!(tried().await, 5.0, "after five faults in a row nobody waits for it");
    edge.counted("edgeweir_hook_last_good_calls_total", &[], 20.0).await;
    // The log shows which version answered.
    let lines = edge.log_lines(21).await;
    assert_eq!(lines[20]["hooks"].as_array().map(Vec::len), Some(1), "{}", lines[20]);
    assert_eq!(lines[20]["hooks"][0]["last_good"], true, "{}", lines[20]);
    // One request in ten seconds tries it.
    for turn in 1..3_u8 {
        edge.advance(Duration::from_secs(10));
        for _ in 0..5 {
            assert_eq!(status(&edge).await, good);
        }
        assert_eq!(tried().await, 5.0 + f64::from(turn));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_works_again_gets_all_calls() {
    let origin = Origin::hello().await;
    // This guest fails when the query says so.
    let edge = start("no-op", LAST_GOOD, &origin).await;
    assert_eq!(status(&edge).await, 200);
    change(&edge, "wasip2", LAST_GOOD).await.expect("it loads");
    for _ in 0..6 {
        assert_eq!(edge.get("/t?panic").await.status, 200);
    }
    let calls = async |verdict: &str| {
        let label = format!("verdict=\"{verdict}\"");
        edge.metric("edgeweir_hook_calls_total", &[&label]).await
    };
    assert_eq!((calls("trap").await, calls("next").await), (5.0, 1.0));
    edge.advance(Duration::from_secs(10));
    for _ in 0..3 {
        assert_eq!(status(&edge).await, 200);
    }
    assert_eq!((calls("trap").await, calls("next").await), (5.0, 4.0), "all three were asked of the version in force");
}
