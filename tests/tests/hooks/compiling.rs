//! Hooks are compiled in a process of their own: what that process is, what happens when it does not come to an end, and
//! what is kept of its work.
#![expect(clippy::print_stdout, reason = "what was measured is shown")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edgeweir_tests::edge::{HOST, Setup};
use edgeweir_tests::heavy::with_code;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::{binary, free_port};
use edgeweir_tests::wait::until;
use edgeweir_tests::{raw, wasm};

use crate::support::{bound, config};

/// A config with a hook `large` in the test's folder.
fn large() -> String {
    let text = config(&[], &bound("viewer-request", "\"large\""));
    format!("[hooks.large]\nfile = \"{{dir}}/large.wasm\"\ntimeout = \"10s\"\n{text}")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A program that takes the compiler's place.
fn script(folder: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("compiler.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a writable folder");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its own file");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_compiled_elsewhere_and_kept() {
    let origin = Origin::hello().await;
    let setup = Setup::new(&large()).set("origin", &origin.address()).compiler(binary());
    std::fs::write(setup.folder().join("large.wasm"), with_code(&read(&wasm::guest("header-edit")), 64 << 10))
        .expect("a writable folder");
    let edge = setup.start().await;
    assert_eq!(edge.get("/t").await.status, 200);
    assert!(origin.only_request().header("x-size").is_some(), "the hook ran");
    let kept: Vec<_> = std::fs::read_dir(edge.folder().join("state/hooks")).expect("it is there").collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_hook_are_refused_in_the_compilers_words() {
    for (bytes, words) in [
        (b"not wasm".to_vec(), "the hook is not a WASM module or component"),
        (b"\0asm\x01\0\0\0\x01\xff\xff".to_vec(), "does not compile"),
        (read(&wasm::guest("no-stage")), "none of the four stages"),
        (read(&wasm::guest("needs-unknown")), "`edgeweir:guest/database`"),
    ] {
        let setup = Setup::new(&large()).set("origin", "127.0.0.1:9").compiler(binary());
        std::fs::write(setup.folder().join("large.wasm"), bytes).expect("a writable folder");
        let refusal = setup.try_start().await.err().expect("it does not start");
        assert!(refusal.contains("hook `large`") && refusal.contains(words), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_fails_is_an_error_that_names_the_hook() {
    for (text, words) in [
        ("kill -XCPU $$", "the compiler failed: it used more than 120 s of processor time"),
        (
            "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$",
            "its limit is 4096 MiB): memory allocation of 9 bytes",
        ),
        ("kill -SEGV $$", "the compiler failed: it was ended by signal 11"),
        ("echo 'thread main panicked' >&2; exit 3", "exit status: 3: thread main panicked"),
        ("cat >/dev/null; echo hello", "the compiler failed: it is not a compiler of this edge"),
    ] {
        let setup = Setup::new(&large()).set("origin", "127.0.0.1:9");
        std::fs::write(setup.folder().join("large.wasm"), read(&wasm::guest("no-op"))).expect("a writable folder");
        let program = script(setup.folder(), text);
        let refusal = setup.compiler(program).try_start().await.err().expect("it does not start");
        assert!(refusal.contains("hook `large`") && refusal.contains(words), "{text}: {refusal}");
    }
    let setup = Setup::new(&large()).set("origin", "127.0.0.1:9").compiler("/nowhere/edgeweir".into());
    std::fs::write(setup.folder().join("large.wasm"), read(&wasm::guest("no-op"))).expect("a writable folder");
    let refusal = setup.try_start().await.err().expect("it does not start");
    assert!(refusal.contains("hook `large`") && refusal.contains("it does not start"), "{refusal}");
}

/// The limits of the real thing, told by the kernel: `__compile` with little of each.
#[test]
fn the_compiler_keeps_to_its_limits() {
    let module = with_code(&read(&wasm::guest("no-op")), 3 << 20);
    for (cpu, memory) in [("1", "4294967296"), ("100", "100000000")] {
        let child = compiler(cpu, memory);
        let ended = feed(child, &module);
        assert!(!ended.status.success(), "{cpu} s, {memory} bytes: {:?}", ended.status);
        assert!(ended.stdout.is_empty(), "no answer");
    }
    assert!(feed(compiler("100", "4294967296"), &read(&wasm::guest("no-op"))).status.success());
}

fn compiler(cpu: &str, memory: &str) -> std::process::Child {
    let parent = std::process::id().to_string();
    std::process::Command::new(binary())
        .args(["__compile", "--cpu", cpu, "--memory", memory, "--parent", &parent])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn feed(mut child: std::process::Child, module: &[u8]) -> std::process::Output {
    use std::io::Write as _;
    let mut stdin = child.stdin.take().expect("a pipe");
    let module = module.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&module)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic");
    output
}

/// An edge that is killed while it compiles leaves nothing behind; while it lives, its compiler is as nice as can be and
/// knows nothing of the environment.
#[tokio::test(flavor = "multi_thread")]
async fn the_compiler_is_nice_knows_no_secrets_and_ends_with_its_edge() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("large.wasm"), with_code(&read(&wasm::guest("no-op")), 8 << 20))
        .expect("a writable folder");
    let file = folder.path().join("edgeweir.toml");
    let text = large().replace("{dir}", &folder.path().to_string_lossy()).replace("{origin}", "127.0.0.1:9");
    let port = free_port();
    std::fs::write(&file, format!("{text}\n[[listeners]]\naddress = \"127.0.0.1:{port}\"\n"))
        .expect("a writable folder");
    let mut edge = std::process::Command::new(binary())
        .args(["serve", &file.to_string_lossy()])
        .env("SIGNING_KEY", "a secret")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let children = format!("/proc/{0}/task", edge.id());
    let mut child = 0;
    until("the edge compiles", || {
        child = child_of(Path::new(&children)).unwrap_or(0);
        // Field 19 of proc_pid_stat(5), counted after the name.
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        after.split_whitespace().nth(16) == Some("19")
    })
    .await;
    let environment = std::fs::read_to_string(format!("/proc/{child}/environ")).unwrap_or_default();
    assert_eq!(environment, "", "the compiler's environment");
    let limits = std::fs::read_to_string(format!("/proc/{child}/limits")).unwrap_or_default();
    until("it has set its limits", || {
        std::fs::read_to_string(format!("/proc/{child}/limits"))
            .is_ok_and(|limits| limits.lines().any(|line| line.starts_with("Max cpu time") && line.contains("120")))
    })
    .await;
    assert!(limits.contains("Max address space"), "{limits}");
    edge.kill().expect("it runs");
    edge.wait().expect("it ends");
    until("the compiler has ended too", || {
        // A zombie has nobody to be waited for by here; it is init's.
        std::fs::read_to_string(format!("/proc/{child}/stat"))
            .map_or(true, |stat| stat.rsplit_once(')').is_some_and(|(_, after)| after.trim_start().starts_with('Z')))
    })
    .await;
}

/// A child of any thread of a process (proc_pid_task_children(5)).
fn child_of(tasks: &Path) -> Option<u32> {
    std::fs::read_dir(tasks).ok()?.flatten().find_map(|task| {
        std::fs::read_to_string(task.path().join("children")).ok()?.split_whitespace().next()?.parse().ok()
    })
}

/// 9 MB of code: seconds to compile once, then not again. Prints what both starts took.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute of processor time; `make soak` runs it"]
async fn a_second_start_compiles_nothing() {
    let origin = Origin::hello().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = with_code(&read(&wasm::guest("header-edit")), 9_000_000);
    std::fs::write(folder.path().join("large.wasm"), &module).expect("a writable folder");
    let mut text = large().replace("{dir}", &folder.path().to_string_lossy());
    for name in ["jwt-auth", "basic-auth", "header-rewrite", "redirects", "geo-route", "ab-test"] {
        text.push_str(&format!("[hooks.{name}]\nfile = \"{{hook:{name}}}\"\n"));
    }
    let text = format!("state_dir = {:?}\n{text}", folder.path().join("state"));
    let mut took = Vec::new();
    for _ in 0..3 {
        let setup = Setup::new(&text).set("origin", &origin.address()).compiler(binary());
        let start = Instant::now();
        let edge = setup.start().await;
        took.push(start.elapsed());
        assert_eq!(raw::get(edge.address(), HOST, "/t", &[]).await.status, 200);
        edge.shutdown().await;
    }
    println!("{} bytes of WASM and the six shipped hooks: starts took {took:?}", module.len());
    assert!(took[1] < took[0] / 5 && took[1] < Duration::from_secs(2), "{took:?}");
}
