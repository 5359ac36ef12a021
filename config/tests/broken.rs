//! Reports on broken configurations, compared with the files beside them: `broken/NAME.toml` and `broken/NAME.err`.
//! `UPDATE=1 cargo test -p edgeweir-config` writes the `.err` files anew.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use edgeweir_config::{parse, text};

/// What `edgeweir check` would print.
fn report(file: &Path) -> String {
    let bytes = fs::read(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let source = match text(&bytes) {
        Ok(source) => source,
        Err(bad) => return bad.report.render(name, &bad.text, false),
    };
    match parse(source, Path::new("/base")) {
        Ok(parsed) => parsed.warnings.render(name, source, false),
        Err(report) => {
            // What machines read has the same problems, at places that exist.
            let json: serde_json::Value = serde_json::from_str(&report.to_json(name, source)).unwrap();
            assert_eq!(json.as_array().unwrap().len(), report.problems.len());
            report.render(name, source, false)
        }
    }
}

#[test]
fn reports_are_as_committed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 14, "only {} broken configurations", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let expected = file.with_extension("err");
        let found = report(&file);
        assert!(!found.is_empty(), "{} is not broken", file.display());
        assert!(!found.contains("not-to-be-shown") && !found.contains("not to be shown"), "{found}");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}\n{found}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "reports changed; look at them, then run with UPDATE=1:\n\n{}", wrong.join("\n"));
}
