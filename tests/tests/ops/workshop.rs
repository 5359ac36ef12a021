//! `edgeweir hook`: from an empty folder to a tested hook, with the real binary and cargo.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use edgeweir_tests::process::{binary, run};
use edgeweir_tests::wasm::{guest, hook, target_folder};
use serde_json::{Value, json};

/// Runs `edgeweir hook …` in a folder. cargo gets a target folder that stays between runs, and no network.
fn workshop(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary())
        .arg("hook")
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target_folder().join("workshop"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn good(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

#[track_caller]
fn refused(output: &Output, word: &str) {
    assert_eq!(output.status.code(), Some(1), "{}{}", stdout(output), stderr(output));
    assert!(stderr(output).contains(word), "{word}: {}", stderr(output));
}

fn project(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

fn parse(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

/// The whole way. One test, because cargo's lock would make two of them wait for each other.
#[test]
fn a_new_hook_builds_passes_its_case_and_is_measured() {
    // At the same place each time, so that cargo has to build the dependencies once only.
    let folder = target_folder().join("workshop/crates");
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).expect("a writable target folder");

    let next = good(&workshop(&folder, &["new", "hello-hook"]));
    assert!(next.contains("edgeweir hook test") && next.contains("release/hello_hook.wasm"), "{next}");
    refused(&workshop(&folder, &["new", "hello-hook"]), "not empty");

    let hello = folder.join("hello-hook");
    // The project's own versions of all crates, which are there without a network.
    std::fs::copy(project("Cargo.lock"), hello.join("Cargo.lock")).expect("a writable folder");
    let built = good(&workshop(&hello, &["build"]));
    for word in ["hello_hook.wasm", "of at most 10MiB", "viewer-request", "request", "128KiB at the start", "takes it"]
    {
        assert!(built.contains(word), "{word}: {built}");
    }
    let tested = good(&workshop(&folder, &["test", "hello-hook"]));
    assert!(
        tested.contains("pass  hello-hook/cases/redirects.toml") && tested.contains("1 passed, 0 failed"),
        "{tested}"
    );

    let wasm = target_folder().join("workshop/wasm32-unknown-unknown/release/hello_hook.wasm");
    let wasm = wasm.to_string_lossy();
    let facts = parse(&workshop(&folder, &["inspect", &wasm, "--json"]));
    assert_eq!((&facts["taken"], &facts["kind"]), (&json!(true), &json!("core module")));
    assert_eq!((&facts["stages"], &facts["contract"]), (&json!(["viewer-request"]), &json!("0.1.0")));
    assert_eq!(facts["memory"], json!(128 << 10));
    assert!(facts["sha256"].as_str().is_some_and(|digest| digest.len() == 64), "{facts}");

    // What was printed binds it as it is.
    let at = next.find("  [hooks.hello-hook]").expect("the lines that bind it");
    let (lines, _) = next.get(at..).and_then(|rest| rest.split_once("\n\nand run it")).expect("their end");
    let site = "[origins.app]\nurl = \"http://127.0.0.1:9\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"app\"\n";
    let file = folder.join("edgeweir.toml");
    std::fs::write(&file, format!("{site}\n{lines}\n")).expect("a writable folder");
    let built = hello.join("target/wasm32-unknown-unknown/release");
    let check = || run(&["check", &file.to_string_lossy()], &[]);
    refused(&check(), "= help: `edgeweir hook build ");
    std::fs::create_dir_all(&built).expect("a writable folder");
    std::fs::copy(&*wasm, built.join("hello_hook.wasm")).expect("a writable folder");
    assert!(good(&check()).contains("hello-hook"), "{lines}");

    let case = hello.join("cases/redirects.toml");
    let text = std::fs::read_to_string(&case).expect("the case");
    let wrong = text.replace("status = 308", "status = 301").replace("\"256KiB\"", "\"1KiB\"");
    std::fs::write(hello.join("cases/wrong.toml"), wrong).expect("a writable folder");
    let output = workshop(&hello, &["test", &wasm]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let shown = stdout(&output);
    for word in [
        "FAIL  cases/wrong.toml",
        "- expected  301",
        "+ actual    308",
        "budget size",
        "at most 1KiB",
        "1 passed, 1 failed",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let report = parse(&workshop(&hello, &["test", &wasm, "--json"]));
    assert_eq!((&report["passed"], &report["failed"]), (&json!(1), &json!(1)));
    let differences = &report["cases"][1]["differences"];
    assert_eq!(differences[0], json!({"what": "status", "expected": "301", "actual": "308"}));

    let measured = workshop(&hello, &["bench", &wasm, "--case", "cases/redirects.toml", "--seconds", "1", "--json"]);
    good(&measured);
    let measured = parse(&measured);
    assert_eq!((&measured["verdict"], &measured["memory"]), (&json!("respond"), &json!(128 << 10)));
    assert!(measured["calls"].as_u64().is_some_and(|calls| calls > 0), "{measured}");
}

#[test]
fn every_stage_has_an_example() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for stage in ["viewer-request", "origin-request", "origin-response", "viewer-response"] {
        good(&workshop(folder.path(), &["new", &format!("at-{stage}"), "--stage", stage]));
        let code = std::fs::read_to_string(folder.path().join(format!("at-{stage}/src/lib.rs"))).expect("the example");
        assert!(code.contains(&format!("#[{}]", stage.replace('-', "_"))), "{stage}");
    }
}

#[test]
fn bad_names_folders_and_crates_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    refused(&workshop(folder, &["new", "Hello World"]), "cannot be the name of a hook");
    refused(&workshop(folder, &["new", "../up"]), "cannot be the name of a hook");
    refused(&workshop(folder, &["new", "hello", "--sdk", "/nowhere"]), "--sdk PATH");
    assert!(!folder.join("hello").exists(), "nothing is left of a refused one");
    std::fs::write(folder.join("file"), "").expect("a writable folder");
    refused(&workshop(folder, &["new", "file"]), "`file`");
    refused(&workshop(folder, &["build"]), "no Cargo.toml");
    refused(&workshop(folder, &["test"]), "there are no cases");
    refused(&workshop(folder, &["inspect", "none.wasm"]), "none.wasm");

    good(&workshop(folder, &["new", "from-git", "--sdk-git", "https://example.com/edgeweir.git"]));
    let manifest = std::fs::read_to_string(folder.join("from-git/Cargo.toml")).expect("the manifest");
    assert!(manifest.contains("edgeweir-sdk = { git = \"https://example.com/edgeweir.git\" }"), "{manifest}");

    let build_with = |variable: &str, program: &Path| {
        let mut command = Command::new(binary());
        command.args(["hook", "build", "from-git"]).current_dir(folder).env(variable, program);
        command.output().expect("the binary starts")
    };
    refused(&build_with("CARGO", Path::new("/no/cargo")), "https://rustup.rs");
    // A compiler without the target tells a folder that is not there.
    let compiler = folder.join("rustc");
    std::fs::write(&compiler, "#!/bin/sh\necho /nowhere/lib\n").expect("a writable folder");
    std::fs::set_permissions(&compiler, std::fs::Permissions::from_mode(0o755)).expect("an owner");
    refused(&build_with("RUSTC", &compiler), "rustup target add wasm32-unknown-unknown");
}

#[test]
fn files_that_are_no_hooks_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("text.wasm");
    std::fs::write(&text, "not wasm").expect("a writable folder");
    for (file, word) in [
        (text, "not a WASM module or component"),
        (guest("needs-unknown"), "not part of the contract"),
        (guest("no-stage"), "none of the four stages"),
    ] {
        let output = workshop(folder.path(), &["inspect", &file.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(1), "{}", file.display());
        let shown = stdout(&output);
        assert!(shown.contains("refused: ") && shown.contains(word), "{word}: {shown}");
    }
}

#[test]
fn data_beside_the_memory_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wasm = guest("data");
    let shown = good(&workshop(folder.path(), &["inspect", &wasm.to_string_lossy()]));
    for word in ["data      data::LARGE of 512KiB, beside the memory\n", "data      data::DIGITS of 1KiB", "takes it"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let facts = parse(&workshop(folder.path(), &["inspect", &wasm.to_string_lossy(), "--json"]));
    let data = facts["data"].as_array().expect("a list");
    assert!(data.contains(&json!({ "name": "data::LARGE", "size": 512 << 10 })), "{facts}");
    let none = good(&workshop(folder.path(), &["inspect", &guest("no-op").to_string_lossy()]));
    assert!(!none.contains("beside the memory"), "{none}");
}

/// Runs one case of a guest.
fn case(guest_name: &str, text: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("case.toml"), text).expect("a writable folder");
    workshop(folder.path(), &["test", &guest(guest_name).to_string_lossy(), "--cases", "case.toml"])
}

#[test]
fn bodies_answers_and_origins_are_part_of_a_case() {
    let seen = "stage = \"viewer-request\"\nrequest_body = \"4B\"\n[request]\nmethod = \"POST\"\nbody = \"hello\"\n\
                [settings]\nmake = \"new one\"\n[expect]\nverdict = \"next\"\nbody = \"new one\"\n\
                headers = { x-at-viewer = \"4 cut 3198781\", content-length = \"7\" }\n";
    good(&case("body", seen));
    let none =
        "stage = \"viewer-request\"\n[expect]\nfault = \"failed\"\nmessage = \"does not grant the request body\"\n";
    good(&case("body", none));
    let fetched = "stage = \"viewer-request\"\n[request]\nuri = \"/?origin=api&target=/a\"\n\
                   [[fetch]]\norigin = \"api\"\ntarget = \"/a\"\nstatus = 203\nbody = \"made\"\n\
                   [expect]\nverdict = \"respond\"\nbody = \"203 Non Authoritative Information 4  made\"\n";
    good(&case("fetch", fetched));
    let other = case("fetch", &fetched.replace("target=/a\"", "target=/b\""));
    assert!(stdout(&other).contains("the case has no `[[fetch]]` for GET /b of origin"), "{}", stdout(&other));
    let failed = fetched.replace("status = 203\nbody = \"made\"", "error = \"no connection\"");
    good(&case("fetch", &failed.replace("203 Non Authoritative Information 4  made", "error: no connection")));
    let chosen = "stage = \"origin-request\"\ndynamic_origins = [\"*.example.com\"]\n\
                  [settings]\nscript = \"dynamic-origin https://a.example.com/v1\"\n\
                  [expect]\nverdict = \"next\"\norigin = \"https://a.example.com:443/v1\"\n";
    good(&case("script", chosen));
    let costs = "stage = \"viewer-request\"\n[settings]\nscript = \"cost 3\\napi-key k\"\n\
                 [expect]\nverdict = \"next\"\ncost = 3\napi_key = \"k\"\n";
    good(&case("script", costs));
    let tags = "stage = \"origin-response\"\n[response]\nstatus = 200\n[settings]\nscript = \"cache-tag a\\ncache-tag b\"\n\
                [expect]\nverdict = \"next\"\ncache_tags = [\"a\", \"b\"]\n";
    good(&case("script", tags));
}

#[test]
fn a_case_fails_for_a_hook_whose_answers_depend_on_what_is_not_in_their_key() {
    let text = |cache: &str| format!("stage = \"viewer-request\"\n{cache}\n[expect]\nverdict = \"next\"\n");
    let output = case("header-edit", &text(""));
    assert_eq!(output.status.code(), Some(1));
    let shown = stdout(&output);
    for word in ["FAIL", "key leak", "header accept", "the country", "edits.cache_key(…)"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let keyed = "headers = [\"accept\", \"user-agent\", \"accept-language\", \"cloudfront-viewer-country\"]";
    for cache in [
        "policy = \"CachingDisabled\"",
        "key_leaks = \"ignore\"",
        keyed,
        "vary = \"Accept, User-Agent, Accept-Language, CloudFront-Viewer-Country\"",
    ] {
        good(&case("header-edit", &text(&format!("[cache]\n{cache}"))));
    }
    let partly = case("header-edit", &text(&format!("[cache]\n{}", keyed.replace("\"accept\", ", ""))));
    assert!(stdout(&partly).contains("header accept is in neither"), "{}", stdout(&partly));
    // A policy is read as a configuration is.
    for (cache, word) in [
        ("header = []", "unknown key `header`"),
        ("policy = \"CachingDisable\"", "did you mean `CachingDisabled`"),
        ("policy = \"CachingDisabled\"\nheaders = []", "either `policy` names a preset"),
    ] {
        let output = case("header-edit", &text(&format!("[cache]\n{cache}")));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(word) && stderr(&output).contains("case.toml:2"), "{}", stderr(&output));
    }
    // At origin-response it is known whether the answer is stored.
    let answered = |stored: &str| {
        format!(
            "stage = \"origin-response\"\n[response]\nstatus = 200\nheaders = {{ cache-control = \"{stored}\" }}\n\
             [settings]\nscript = \"set x-a b\"\n[expect]\nverdict = \"next\"\n"
        )
    };
    good(&case("script", &answered("max-age=60")));
}

#[test]
fn the_shipped_hooks_pass_their_cases() {
    for name in ["jwt-auth", "header-rewrite", "geo-route", "basic-auth", "redirects", "ab-test"] {
        let cases = project(&format!("hooks/{name}/cases"));
        let arguments = ["test", &hook(name).to_string_lossy(), "--cases", &cases.to_string_lossy()].map(str::to_owned);
        let shown = good(&workshop(&project(""), &arguments.each_ref().map(String::as_str)));
        assert!(shown.contains(" 0 failed"), "{shown}");
    }
}

#[test]
fn events_of_aws_are_taken_and_answered_in_their_shape() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, json: &Value| {
        std::fs::write(folder.path().join(name), json.to_string()).expect("a writable folder");
    };
    write(
        "lambda.json",
        &json!({"Records": [{"cf": {
            "config": {"distributionId": "E1", "eventType": "viewer-request", "requestId": "abc"},
            "request": {
                "clientIp": "203.0.113.7", "method": "GET", "uri": "/a", "querystring": "x=1",
                "headers": {"host": [{"key": "Host", "value": "www.example.com"}]},
            },
        }}]}),
    );
    write(
        "functions.json",
        &json!({
            "version": "1.0", "viewer": {"ip": "203.0.113.7"},
            "context": {"distributionId": "E1", "eventType": "viewer-request", "requestId": "abc"},
            "request": {"method": "GET", "uri": "/a", "querystring": {}, "headers": {}, "cookies": {}},
        }),
    );
    let wasm = guest("header-edit");
    let test = |more: &[&str]| {
        let mut arguments = vec!["test", wasm.to_str().expect("a path"), "--cases", "*.json"];
        arguments.extend(more);
        workshop(folder.path(), &arguments)
    };
    let report = test(&["--json"]);
    good(&report);
    let report = parse(&report);
    let (functions, lambda) = (&report["cases"][0]["result"], &report["cases"][1]["result"]);
    assert_eq!((&lambda["uri"], &lambda["querystring"]), (&json!("/a"), &json!("x=1")));
    assert!(functions["request"]["headers"].as_object().is_some_and(|headers| !headers.is_empty()), "{functions}");

    write("lambda.expected.json", lambda);
    good(&test(&[]));
    let mut other = lambda.clone();
    other["uri"] = json!("/b");
    write("lambda.expected.json", &other);
    let output = test(&[]);
    assert_eq!(output.status.code(), Some(1));
    let shown = stdout(&output);
    assert!(shown.contains("-   \"uri\": \"/b\"") && shown.contains("+   \"uri\": \"/a\""), "{shown}");
}

#[test]
fn cases_have_their_settings_checked_and_mistakes_in_them_are_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cases = folder.path().join("cases");
    std::fs::create_dir(&cases).expect("a writable folder");
    let write = |name: &str, limits: &str, expect: &str| {
        let text = format!("stage = \"viewer-request\"\n[settings]\nlimits = {limits}\n[expect]\n{expect}\n");
        std::fs::write(cases.join(name), text).expect("a writable folder");
    };
    let checked = guest("checked");
    let checked = checked.to_string_lossy();
    write("a.toml", "[1]", "verdict = \"next\"");
    write("b.toml", "[1, 0]", "verdict = \"refused\"\nmessage = \"/limits/1: must not be 0\"");
    good(&workshop(folder.path(), &["test", &checked]));

    write("c.toml", "[0]", "verdict = \"next\"");
    write("d.toml", "[1]", "verdict = \"refused\"");
    write("e.toml", "[1]", "verdit = \"next\"");
    write("f.toml", "\"many\"", "verdict = \"refused\"\nmessage = \"something else\"");
    let output = workshop(folder.path(), &["test", &checked]);
    assert_eq!(output.status.code(), Some(1));
    let shown = stdout(&output);
    for word in [
        "FAIL  cases/c.toml",
        "+ actual    refused: /limits/0: must not be 0",
        "+ actual    the hook takes its settings",
        "+ actual    /limits: invalid type: string \"many\"",
        "2 passed, 4 failed",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let report = stderr(&output);
    assert!(report.contains("--> cases/e.toml:5:1") && report.contains("did you mean `verdict`?"), "{report}");
    let report = parse(&workshop(folder.path(), &["test", &checked, "--json"]));
    assert_eq!((&report["passed"], &report["failed"]), (&json!(2), &json!(4)));
    assert!(report["cases"].as_array().is_some_and(|cases| cases.len() == 6), "{report}");
}

#[test]
fn an_argument_that_names_no_hook_is_told_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (arguments, word) in [
        (&["test", "nothere"][..], "`nothere`"),
        (&["test", "x.wasm"], "`x.wasm`"),
        (&["bench", "nothere"], "`nothere`"),
        (&["inspect", "nothere"], "`nothere`"),
    ] {
        let output = workshop(folder.path(), arguments);
        refused(&output, word);
        refused(&output, "name a .wasm file, or the folder of a hook's crate");
    }
    refused(&workshop(folder.path(), &["inspect", "."]), "no Cargo.toml");
    let output = workshop(folder.path(), &["bench", &guest("error").to_string_lossy(), "--seconds", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("ended in a fault: hook failed: no luck today"), "{}", stdout(&output));
}
