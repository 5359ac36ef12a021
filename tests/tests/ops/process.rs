//! The real binary: signals, take-over of a port, exit codes.

use std::time::Duration;

use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::{Process, free_port, listens, run};
use edgeweir_tests::raw::{Raw, get, request_bytes};
use edgeweir_tests::wait::{START_DEADLINE, until, until_within};

use crate::support::{Load, Site, numbered};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_is_in_flight_and_exits_with_0() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| Reply::ok("done").after(&hold)).await;
    let site = Site::new(&numbered(&origin.address(), "127.0.0.1:9", 0));
    let mut process = site.serve().await;
    let mut busy = Raw::connect(site.address).await;
    busy.send(request_bytes("GET", "site.test", "/t", &[], b"")).await;
    until("the request is at the origin", || origin.count() == 1).await;
    process.signal("TERM");
    let mut closed = false;
    for _ in 0..200 {
        closed = !listens(site.address).await;
        if closed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(closed, "the port is closed");
    gate.open();
    assert_eq!(busy.response().await.text(), "done");
    let status = process.ended(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(0), "{}", process.errors());
    assert!(!site.state.join("admin.sock").exists(), "the socket is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_takes_over_the_port_and_nobody_notices() {
    let origin = Origin::start(|request| Reply::ok(request.header("x-config").unwrap_or("none"))).await;
    let site = Site::new(&numbered(&origin.address(), "127.0.0.1:9", 1));
    let mut old = site.serve().await;
    let load = Load::of_new_connections(site.address);
    until("the load runs", || load.answered() > 20).await;
    site.write(&numbered(&origin.address(), "127.0.0.1:9", 2));
    let new = site.serve().await;
    let before = load.answered();
    until("the load goes on beside both", || load.answered() > before + 20).await;
    old.signal("TERM");
    assert_eq!(old.ended(Duration::from_secs(20)).await.code(), Some(0), "{}", old.errors());
    let before = load.answered();
    until("the load goes on with the new one", || load.answered() > before + 20).await;
    assert_eq!(get(site.address, "site.test", "/t", &[]).await.text(), "2");
    // The old one did not take the new one's socket away.
    assert_eq!(new.admin("GET", "/readyz").await.status, 200);
    assert!(load.finish().await > 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_another_program_has_is_an_error_with_help() {
    let site = Site::new(&numbered("127.0.0.1:9", "127.0.0.1:9", 0));
    let _other = std::net::TcpListener::bind(site.address).expect("the port is free");
    let output = run(&["serve", &site.file.to_string_lossy()], &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains(&site.address.to_string()) && words.contains("in use"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_reloads_and_asks() {
    let origin = Origin::start(|request| Reply::ok(request.header("x-config").unwrap_or("none"))).await;
    let site = Site::new(&numbered(&origin.address(), "127.0.0.1:9", 1));
    let _process = site.serve().await;
    let file = site.file.to_string_lossy().into_owned();
    let status = run(&["status", "--config", &file], &[]);
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stderr));
    assert!(String::from_utf8_lossy(&status.stdout).contains(&site.address.to_string()));
    site.write(&numbered(&origin.address(), "127.0.0.1:9", 2));
    assert_eq!(run(&["reload", "--config", &file], &[]).status.code(), Some(0));
    assert_eq!(get(site.address, "site.test", "/t", &[]).await.text(), "2");
    let socket = site.state.join("admin.sock").to_string_lossy().into_owned();
    site.write(&numbered(&origin.address(), "127.0.0.1:9", 3).replacen("origin = \"main\"", "origin = \"mian\"", 1));
    let refused = run(&["reload", "--socket", &socket], &[]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("mian") && words.contains('^'), "{words}");
    assert_eq!(get(site.address, "site.test", "/t", &[]).await.text(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_running_edge_the_command_line_says_so() {
    let site = Site::new(&numbered("127.0.0.1:9", "127.0.0.1:9", 0));
    for verb in ["reload", "status"] {
        let output = run(&[verb, "--config", &site.file.to_string_lossy()], &[]);
        assert_eq!(output.status.code(), Some(1), "{verb}");
        assert!(!output.stderr.is_empty(), "{verb}");
    }
}

/// Two configurations in one folder have the same state folder if nobody says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_belongs_to_one_configuration() {
    let site = Site::new(&numbered("127.0.0.1:9", "127.0.0.1:9", 0));
    let first = site.serve().await;
    let text = std::fs::read_to_string(&site.file).expect("the config");
    let other = site.folder.path().join("other.toml");
    std::fs::write(&other, text.replace(&site.address.port().to_string(), &free_port().to_string())).expect("a folder");

    let output = run(&["serve", &other.to_string_lossy()], &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    for word in ["the state folder is in use", "edgeweir.toml`", "admin.sock", "other.toml`", "set `state_dir`"] {
        assert!(words.contains(word), "{word}: {words}");
    }
    // Who names a file steers the edge that runs it, and no other.
    for verb in ["reload", "status"] {
        let output = run(&[verb, &other.to_string_lossy()], &[]);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{verb}: {words}");
        assert!(words.contains("edgeweir.toml`, not `") && words.contains("other.toml"), "{verb}: {words}");
        let output = run(&[verb, &site.file.to_string_lossy()], &[]);
        assert_eq!(output.status.code(), Some(0), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let status = first.admin("GET", "/v1/status").await.text();
    assert!(status.contains("\"snapshot\":2"), "one reload: {status}");
}

/// Both find nobody in the state folder.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_edges_that_start_in_the_same_instant_one_gets_the_state_folder() {
    for turn in 0..3 {
        let site = Site::new(&numbered("127.0.0.1:9", "127.0.0.1:9", turn));
        let text = std::fs::read_to_string(&site.file).expect("the config");
        let other = site.folder.path().join("other.toml");
        std::fs::write(&other, text.replace(&site.address.port().to_string(), &free_port().to_string()))
            .expect("a folder");
        let mut both = [Process::started(&site.file, &site.state), Process::started(&other, &site.state)];
        let mut ended = Vec::new();
        until_within(START_DEADLINE, "one of them is refused", || {
            ended =
                both.iter_mut().filter_map(|process| process.exited().map(|code| (code, process.errors()))).collect();
            !ended.is_empty()
        })
        .await;
        // The one that is left had the folder before the other was refused.
        let [(code, words)] = &ended[..] else { panic!("one edge runs: {ended:?}") };
        assert!(*code == 1 && words.contains("the state folder is in use"), "{code}: {words}");
        let left = both.iter_mut().find_map(|process| process.exited().is_none().then_some(process)).expect("one runs");
        assert_eq!(left.admin("GET", "/readyz").await.status, 200);
    }
}
