//! Hooks that cannot be used: the edge says why and does not start, or keeps its old config.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;

use crate::support::{bound, config};

async fn refusal(text: &str) -> String {
    match Setup::new(text).set("origin", "127.0.0.1:9").try_start().await {
        Ok(_) => panic!("the edge started with a hook that it cannot run"),
        Err(words) => words,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_do_not_fit_are_named() {
    for (guest, word) in [
        ("no-stage", "stage"),
        ("needs-fetch", "imports `fetch`, which its binding does not grant"),
        ("needs-unknown", "database"),
        ("wrong-type", "viewer-request"),
    ] {
        let words = refusal(&config(&[guest], &bound("viewer-request", &format!("\"{guest}\"")))).await;
        assert!(words.contains(guest) && words.contains(word), "{guest}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_the_hook_does_not_have_is_named() {
    let words = refusal(&config(&["no-op"], &bound("viewer-response", "\"no-op\""))).await;
    assert!(words.contains("no-op") && words.contains("viewer-response"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_broken_files_are_named() {
    let text = config(&[], &bound("viewer-request", "\"ghost\""));
    let missing = format!("[hooks.ghost]\nfile = \"{{dir}}/ghost.wasm\"\n{text}");
    let words = refusal(&missing).await;
    assert!(words.contains("ghost.wasm"), "{words}");
    let setup = Setup::new(&missing).set("origin", "127.0.0.1:9");
    std::fs::write(setup.folder().join("ghost.wasm"), "not wasm").expect("a writable folder");
    let words = setup.try_start().await.err().expect("it does not start");
    assert!(words.contains("ghost"), "{words}");
    let setup = Setup::new(&missing).set("origin", "127.0.0.1:9");
    let large = [b"\0asm\x01\0\0\0".as_slice(), &vec![0; 11 << 20]].concat();
    std::fs::write(setup.folder().join("ghost.wasm"), large).expect("a writable folder");
    let words = setup.try_start().await.err().expect("it does not start");
    assert!(words.contains("ghost") && words.contains("10"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_with_a_hook_that_does_not_fit_keeps_the_old_one() {
    let origin = Origin::hello().await;
    let good = config(&["respond"], &bound("viewer-request", "\"respond\""));
    let edge = TestEdge::start(&good, &origin.address()).await;
    for guest in ["no-stage", "needs-fetch"] {
        let bad = config(&[guest], &bound("viewer-request", &format!("\"{guest}\"")));
        let words = edge.reload(&bad).await.expect_err("a hook that does not fit");
        assert!(words.contains(guest), "{words}");
        assert_eq!(edge.get("/t").await.status, 418, "the old hook still answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_built_against_a_newer_contract_runs() {
    let origin = Origin::hello().await;
    let text = config(&["newer-contract"], &bound("viewer-request", "\"newer-contract\""));
    let edge = TestEdge::start(&text, &origin.address()).await;
    assert_eq!(edge.get("/t").await.text(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn compiled_hooks_are_kept_over_a_restart_and_a_broken_copy_is_made_anew() {
    let origin = Origin::hello().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        "state_dir = {:?}\n{}",
        folder.path().join("state"),
        config(&["respond"], &bound("viewer-request", "\"respond\""))
    );
    for turn in ["compiled", "loaded", "broken"] {
        if turn == "broken" {
            let mut broken = 0;
            for file in walk(&folder.path().join("state")) {
                if file.extension().is_some_and(|extension| extension == "cwasm") {
                    std::fs::write(&file, "garbage").expect("a writable file");
                    broken += 1;
                }
            }
            assert!(broken > 0, "compiled hooks are kept in the state folder");
        }
        let edge = Setup::new(&text).set("origin", &origin.address()).start().await;
        assert_eq!(edge.get("/t").await.status, 418, "{turn}");
        edge.shutdown().await;
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
