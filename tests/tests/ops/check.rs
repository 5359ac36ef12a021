//! `edgeweir check` and the other verbs that end by themselves: what they print and how they end.

use std::path::{Path, PathBuf};

use edgeweir_tests::process::run;

fn project(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn broken_configs_are_refused_with_a_report() {
    let mut refused = 0;
    for entry in std::fs::read_dir(project("config/tests/broken")).expect("the broken configs").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let expected = std::fs::read_to_string(path.with_extension("err")).unwrap_or_default();
        if !expected.contains("error") {
            continue;
        }
        let output = run(&["check", &path.to_string_lossy()], &[]);
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{}: {report}", path.display());
        assert!(report.contains("error"), "{}: {report}", path.display());
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(report.contains(&name), "{name} is named: {report}");
        assert!(!report.contains('\u{1b}'), "no colours where there is no terminal");
        refused += 1;
    }
    assert!(refused >= 10, "{refused} broken configs");
}

#[test]
fn reports_for_machines_are_json() {
    let path = project("config/tests/broken/origins.toml");
    let output = run(&["check", "--json", &path.to_string_lossy()], &[]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let problems = report.as_array().expect("a list");
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(problem["code"].is_string() && problem["message"].is_string(), "{problem}");
        assert!(problem["line"].as_u64().is_some_and(|line| line > 0), "{problem}");
    }
}

#[test]
fn good_configs_are_summed_up() {
    for name in ["minimal.toml", "cache.toml", "api-keys.toml"] {
        let output = run(&["check", &project("config/examples").join(name).to_string_lossy()], &[]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("127.0.0.1"), "{name}: {}", text(&output.stdout));
    }
}

#[test]
fn what_a_config_names_is_tried() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site =
        "[origins.main]\nurl = \"http://127.0.0.1:9\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n";
    let bound = "[[distributions.site.behaviors]]\nhooks = { viewer-request = [\"guard\"] }\n[hooks.guard]\nfile = \"guard.wasm\"\n";
    let listener =
        "[[listeners]]\naddress = \"127.0.0.1:0\"\ncertificates = [{ certificate = \"a.pem\", key = \"a.key\" }]\n";
    for (name, config, word) in [
        ("database", format!("[geo]\ndatabases = [\"none.mmdb\"]\n{site}"), "none.mmdb"),
        ("hook", format!("{site}{bound}"), "guard.wasm"),
        ("certificate", format!("{site}{listener}"), "a.pem"),
        (
            "secret",
            site.replace("[distributions", "headers = { x = { file = \"none.txt\" } }\n[distributions"),
            "none.txt",
        ),
    ] {
        let path = folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, config).expect("a writable folder");
        let output = run(&["check", &path.to_string_lossy()], &[]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(text(&output.stderr).contains(word), "{name}: {}", text(&output.stderr));
    }
}

/// Both `check` and `serve` point at the setting that a hook refuses.
#[test]
fn settings_that_a_hook_refuses_are_shown_in_the_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("edge.toml");
    let config = format!(
        "[origins.app]\nurl = \"http://127.0.0.1:9\"\n[hooks.checked]\nfile = {:?}\n\
         [distributions.site]\nhosts = [\"*\"]\norigin = \"app\"\n[[distributions.site.behaviors]]\n\
         [[distributions.site.behaviors.hooks.viewer-request]]\nhook = \"checked\"\n\
         settings = {{ limits = [1, 0], secret = \"not-to-be-shown\" }}\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\n",
        edgeweir_tests::wasm::guest("checked")
    );
    std::fs::write(&path, config).expect("a writable folder");
    for verb in ["check", "serve"] {
        let output = run(&[verb, &path.to_string_lossy()], &[]);
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert!(report.contains("error[settings]: hook `checked` at viewer-request of `*`"), "{verb}: {report}");
        assert!(report.contains("settings = { limits = [1, 0], secret = \"***************\" }"), "{verb}: {report}");
        let caret = report.lines().find(|line| line.contains('^')).unwrap_or_default();
        assert_eq!(caret.matches('^').count(), 1, "{verb}: {report}");
    }
    let output = run(&["check", "--json", &path.to_string_lossy()], &[]);
    let problems: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(problems[0]["code"], "settings", "{problems}");
}

#[test]
fn a_missing_file_and_a_wrong_command_line_have_their_codes() {
    for arguments in [&["check", "/nowhere/edgeweir.toml"][..], &["serve", "/nowhere/edgeweir.toml"]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains("/nowhere/edgeweir.toml"), "{}", text(&output.stderr));
    }
    for arguments in [&[] as &[&str], &["srve"], &["check", "--jsn"], &["serve", "a", "b"]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    for arguments in [&["--version"][..], &["--help"], &["serve", "--help"]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_schema_is_the_committed_one() {
    let output = run(&["schema"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let committed = std::fs::read_to_string(project("config/schema.json")).expect("the committed schema");
    assert_eq!(text(&output.stdout), committed);
}

/// A pipe that nobody writes to would make every verb wait, a device never ends.
#[test]
fn only_regular_files_are_configurations() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipe = folder.path().join("edgeweir.toml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    let pipe = pipe.to_string_lossy();
    for arguments in [
        &["check", &pipe][..],
        &["serve", &pipe],
        &["dev", &pipe],
        &["status", &pipe],
        &["explain", &pipe, "http://a.test/"],
        &["check", "/dev/zero"],
    ] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains("it is not a regular file"), "{}", text(&output.stderr));
    }
}

/// Whatever is wrong with a configuration, its secrets are not in the report, in no form of it.
#[test]
fn secrets_are_never_in_a_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secrets = ["inline-api-key-0123456789", "inline-header-0123", "inline-admin-token-01", "inline-pin-0123"];
    let from_file = "secret-of-a-file-0123456789";
    std::fs::write(folder.path().join("secret.txt"), from_file).expect("a writable folder");
    let from_env = "secret-of-the-environment";
    let good = format!(
        r#"
[admin]
address = "127.0.0.1:0"
token = "{2}"
[origins.app]
url = "http://127.0.0.1:9"
headers = {{ x-key = "{1}", x-file = {{ file = "secret.txt" }} }}
[usage_plans.gold]
[[api_keys]]
name = "one"
key = "{0}"
plans = ["gold"]
[hooks.grants]
file = {4:?}
[hooks.checked]
file = {5:?}
[distributions.site]
hosts = ["*"]
origin = "app"
[[distributions.site.behaviors]]
api_key_required = true
[[distributions.site.behaviors.hooks.viewer-request]]
hook = "grants"
key_value_stores = []
secrets = {{ pin = "{3}", env = {{ env = "SECRET" }}, file = {{ file = "secret.txt" }} }}
[[distributions.site.behaviors.hooks.viewer-request]]
hook = "checked"
settings = {{ limits = [1], secret = {{ file = "secret.txt" }} }}
"#,
        secrets[0],
        secrets[1],
        secrets[2],
        secrets[3],
        edgeweir_tests::wasm::guest("grants"),
        edgeweir_tests::wasm::guest("checked"),
    );
    let path = folder.path().join("edge.toml");
    for (from, to) in [
        ("plans = [\"gold\"]", "plans = [\"silver\"]"),
        ("key = \"", "kye = \""),
        ("token = \"inline", "tokn = \"inline"),
        ("secrets = {", "secret = {"),
        ("pin = \"", "pin = 7, pin2 = \""),
        ("hook = \"checked\"", "hook = \"chekced\""),
        ("limits = [1]", "limits = [0]"),
        ("limits = [1]", "limits = [1"),
        ("limits = [1]", "limit = [1]"),
        ("env = { env = \"SECRET\" }", "env = { env = \"NOT_SET\" }"),
        ("secret = { file = \"secret.txt\" }", "secret = { file = \"none.txt\" }"),
        ("x-key = \"", "\"x key\" = \""),
        ("x-key = \"inline", "x-key = \"\\u0001inline"),
        ("key_value_stores = []\n", ""),
        ("viewer-request]]\nhook = \"grants\"", "viewer-response]]\nhook = \"grants\""),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&path, good.replace(from, to)).expect("a writable folder");
        for arguments in [&["check"][..], &["check", "--json"], &["serve"]] {
            let path = path.to_string_lossy();
            let output = run(&[arguments, &[&*path]].concat(), &[("SECRET", from_env)]);
            let report = text(&output.stderr) + &text(&output.stdout);
            assert_eq!(output.status.code(), Some(1), "{arguments:?} with {to}: {report}");
            for secret in secrets.iter().chain([&from_file, &from_env]) {
                assert!(!report.contains(secret), "{secret} with {to}: {report}");
            }
        }
    }
}

/// What is wrong beyond the text is shown in the text too: the reports are in `unusable/*.err`, made by `UPDATE=1`.
#[test]
fn problems_beyond_the_text_are_shown_where_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("numbers.json"), "{\"a\": 1}").expect("a writable folder");
    std::fs::write(folder.path().join("empty.txt"), "\n").expect("a writable folder");
    std::fs::write(folder.path().join("text.wasm"), "no wasm").expect("a writable folder");
    for guest in ["respond", "checked"] {
        let to = folder.path().join(format!("{guest}.wasm"));
        std::fs::copy(edgeweir_tests::wasm::guest(guest), to).expect("a writable folder");
    }
    let mut seen = 0;
    for entry in std::fs::read_dir(project("tests/tests/ops/unusable")).expect("the configs").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let config = folder.path().join(entry.file_name());
        std::fs::copy(&path, &config).expect("a writable folder");
        let output = run(&["check", &config.to_string_lossy()], &[]);
        assert_eq!(output.status.code(), Some(1), "{}", path.display());
        let report = text(&output.stderr).replace(&format!("{}/", folder.path().display()), "");
        let expected = path.with_extension("err");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &report).expect("a writable project");
        }
        assert_eq!(report, std::fs::read_to_string(&expected).unwrap_or_default(), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 3, "{seen} configs");
}

#[test]
fn addresses_and_folders_that_cannot_be_had_are_shown_in_the_config() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("file"), "").expect("a writable folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it is bound");
    let site =
        "[origins.main]\nurl = \"http://127.0.0.1:9\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n";
    let free = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    for (name, config, words, place) in [
        (
            "listener",
            format!("[[listeners]]\naddress = \"127.0.0.1:0\"\n[[listeners]]\naddress = \"{taken}\"\n{site}"),
            "the port is in use by another program",
            "listener.toml:4:11",
        ),
        (
            "admin",
            format!("[admin]\naddress = \"{taken}\"\n{free}{site}"),
            "cannot listen on the admin address",
            "admin.toml:2:11",
        ),
        (
            "folder",
            format!("state_dir = \"file/state\"\n{free}{site}"),
            "cannot use the state directory",
            "folder.toml:1:13",
        ),
        (
            "long",
            format!("state_dir = \"{}\"\n{free}{site}", "x".repeat(100)),
            "the path of the admin socket is too long",
            "long.toml:1:13",
        ),
    ] {
        let path = folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, config).expect("a writable folder");
        let output = run(&["serve", &path.to_string_lossy()], &[]);
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {report}");
        assert!(report.contains(words) && report.contains(place) && report.contains('^'), "{name}: {report}");
    }
}
