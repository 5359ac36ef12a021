//! `edgeweir dev`: requests as lines, what is saved is in force, what is broken is told and changes nothing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::{Process, binary, listens, run};
use edgeweir_tests::raw::get;
use edgeweir_tests::wait::{START_DEADLINE, until_within};
use edgeweir_tests::wasm::{guest, target_folder};

use crate::support::Site;

/// A look every 200 ms, two of them for a change, and busy machines.
const SOON: Duration = Duration::from_secs(20);
/// A hook's crate with all its dependencies.
const BUILD: Duration = Duration::from_secs(300);

/// A site whose hook `hello` is at all stages that `stages` binds it at.
fn config(origin: &str, file: &str, stages: &str) -> String {
    format!(
        r#"
        [origins.main]
        url = "http://{origin}"
        [hooks.hello]
        file = {file:?}
        timeout = "10s"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        hooks = {{ {stages} }}
    "#
    )
}

/// A hook as a file in the site's folder, as a build puts it there.
fn install(site: &Site, name: &str) {
    let fresh = site.folder.path().join("fresh.wasm");
    std::fs::copy(guest(name), &fresh).expect("a writable folder");
    std::fs::rename(fresh, site.folder.path().join("hello.wasm")).expect("a writable folder");
}

async fn told(process: &Process, word: &str) {
    let what = format!("it says `{word}`");
    until_within(START_DEADLINE, &what, || process.errors().contains(word)).await;
}

/// The printed lines of a request.
async fn printed(process: &Process, word: &str) -> String {
    let what = format!("it prints `{word}`");
    until_within(SOON, &what, || process.output().contains(word)).await;
    process.output()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_lines_that_say_what_hooks_did_and_why_they_did_not_run() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "hello")).await;
    let site = Site::new("");
    install(&site, "all-stages");
    let stages = "viewer-request = [\"hello\"], origin-request = [\"hello\"], origin-response = [\"hello\"], \
                  viewer-response = [\"hello\"]";
    site.write(&config(&origin.address(), "hello.wasm", stages));
    let mut process = Process::dev(&site.file, &site.state);
    told(&process, &format!("dev: listening on http://{}", site.address)).await;

    assert_eq!(get(site.address, "site.test", "/a?x=1&token=hidden", &[]).await.status, 200);
    let miss = printed(&process, "GET /a?x=1&token=*** 200  miss, stored").await;
    for word in ["| viewer-request: hello next ", "| origin-request: hello next ", "| viewer-response: hello next "] {
        assert!(miss.contains(word), "{word}: {miss}");
    }
    assert!(miss.contains("    hello edits: append x-stage: viewer-request, note of 19 bytes\n"), "{miss}");
    assert!(!miss.contains("did not run") && !miss.contains("hidden"), "{miss}");

    assert_eq!(get(site.address, "site.test", "/a?x=1&token=hidden", &[]).await.status, 200);
    let hit = printed(&process, "GET /a?x=1&token=*** 200  hit").await;
    assert!(hit.contains("    hello did not run at origin-request: the cache answered\n"), "{hit}");
    assert!(hit.contains("    hello did not run at origin-response: the cache answered\n"), "{hit}");

    process.signal("INT");
    assert_eq!(process.ended(SOON).await.code(), Some(0), "{}", process.errors());
    assert!(!listens(site.address).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_in_force_and_what_is_broken_is_not() {
    let origin = Origin::hello().await;
    let site = Site::new("");
    install(&site, "respond");
    let good = config(&origin.address(), "hello.wasm", "viewer-request = [\"hello\"]");
    // Not even the start is lost to a mistake.
    site.write(&good.replace("file =", "fle ="));
    let process = Process::dev(&site.file, &site.state);
    told(&process, "did you mean `file`?").await;
    told(&process, "dev: nothing runs yet; waiting for a change").await;
    site.write(&good);
    told(&process, "dev: listening on").await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 418);
    let shown = printed(&process, "hello respond").await;
    assert!(shown.contains("    hello answers: 418, content-type: text/plain, body of 8 bytes\n"), "{shown}");

    install(&site, "error");
    told(&process, "dev: reloaded: snapshot 2").await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 503);
    let shown = printed(&process, "hello failed").await;
    assert!(shown.contains("    hello fails: ") && shown.contains("no luck today"), "{shown}");

    std::fs::write(site.folder.path().join("hello.wasm"), "not a hook").expect("a writable folder");
    told(&process, "not a WASM module or component").await;
    told(&process, "dev: what ran before goes on; waiting for a change").await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 503);
    install(&site, "all-stages");
    told(&process, "dev: reloaded: snapshot 3").await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 200);

    // A report as `check` has it, and the old configuration goes on.
    site.write(&good.replace("viewer-request =", "viewer-reqest ="));
    told(&process, "did you mean `viewer-request`?").await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_whose_origin_is_refused_is_no_next() {
    let origin = Origin::hello().await;
    let site = Site::new("");
    let source = "import cf from 'cloudfront';\nfunction handler(event) {\n  cf.selectRequestOriginById('nowhere');\n  return event.request;\n}\n";
    std::fs::write(site.folder.path().join("hello.js"), source).expect("a writable folder");
    site.write(&config(&origin.address(), "hello.js", "viewer-request = [\"hello\"]"));
    let process = Process::dev(&site.file, &site.state);
    told(&process, "dev: listening on").await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 502);
    let shown = printed(&process, "hello refused ").await;
    let why = "    hello is refused: origin nowhere: a hook may only choose an origin or group of the config\n";
    assert!(shown.contains("GET / 502  hook-invalid") && shown.contains(why), "{shown}");
    assert!(!shown.contains("next") && !process.errors().contains("WARN"), "{shown}\n{}", process.errors());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_told_with_the_request() {
    let origin = Origin::hello().await;
    let site = Site::new("");
    install(&site, "trap");
    site.write(&config(&origin.address(), "hello.wasm", "viewer-request = [\"hello\"]"));
    let process = Process::dev(&site.file, &site.state);
    told(&process, "dev: listening on").await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 503);
    let shown = printed(&process, "hello trap").await;
    assert!(shown.contains("GET / 503  hook-failed") && shown.contains("    hello fails: "), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_edge_with_the_same_configuration_is_refused() {
    let site = Site::new(&config("127.0.0.1:9", &guest("respond").to_string_lossy(), "viewer-request = [\"hello\"]"));
    let _edge = site.serve().await;
    let output = run(&["dev", &site.file.to_string_lossy()], &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("runs with") && words.contains("stop it first"), "{words}");
}

/// From `hook new` to a changed source that is in force, and a compiler's report that changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_saved_source_is_built_and_in_force() {
    // At the same place each time, so that cargo has to build the dependencies once only.
    let folder = target_folder().join("workshop/dev");
    std::fs::create_dir_all(&folder).expect("a writable target folder");
    let hello = folder.join("saved");
    if !hello.exists() {
        let new = Command::new(binary()).args(["hook", "new", "saved"]).current_dir(&folder).output();
        assert!(new.expect("the binary starts").status.success());
    }
    let lock = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"));
    std::fs::copy(lock, hello.join("Cargo.lock")).expect("a writable folder");
    let source = |text: &str| {
        let code = format!(
            "use edgeweir_sdk::{{Request, Result, http, log, viewer_request}};\n\
             #[viewer_request]\nfn handle(request: &Request) -> Result<viewer_request::Verdict> {{\n\
             log::info!(\"asked for {{}}\", request.path());\n{text}\n}}\n"
        );
        std::fs::write(hello.join("src/lib.rs"), code).expect("a writable folder");
    };
    let answer = |status: u16| {
        format!("Ok(viewer_request::Verdict::respond(http::Response::builder().status({status}).body(\"\")?))")
    };
    source(&answer(201));
    let wasm = hello.join("target/wasm32-unknown-unknown/release/saved.wasm");
    let site = Site::new(&config("127.0.0.1:9", &wasm.to_string_lossy(), "viewer-request = [\"hello\"]"));
    let process = Process::dev(&site.file, &site.state);
    until_within(BUILD, "it is built and serves", || process.errors().contains("dev: listening on")).await;
    assert_eq!(get(site.address, "site.test", "/new", &[]).await.status, 201, "{}", process.errors());
    let shown = printed(&process, "hello logs info").await;
    assert!(shown.contains("    hello logs info: asked for /new\n"), "{shown}");

    source("this is no Rust");
    until_within(BUILD, "the compiler says why", || process.errors().contains("what ran before goes on")).await;
    assert!(process.errors().contains("this is no Rust"), "{}", process.errors());
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 201);

    source(&answer(202));
    until_within(BUILD, "it is reloaded", || process.errors().contains("dev: reloaded: snapshot 2")).await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 202, "{}", process.errors());
}
