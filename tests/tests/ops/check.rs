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
