//! `edgeweir import`: what the real binary writes is what the golden files have, passes `check` once the files that it names are
//! there, and serves.

use std::path::{Path, PathBuf};

use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::Setup;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::run;
use edgeweir_tests::{mmdb, raw, wasm};
use serde_json::json;

/// Command lines, from the folder of this package, and their golden files.
const IMPORTS: [(&[&str], &str); 4] = [
    (&["cloudfront", "import/static-site.json"], "static-site.toml"),
    (&["cloudfront", "import/api.json"], "api.toml"),
    (&["cloudfront", "import/legacy.json"], "legacy.toml"),
    (
        &[
            "apigateway",
            "import/usage-plans.json",
            "import/api-keys.json",
            "--plan-keys",
            "c7y23b=import/plan-keys.json",
        ],
        "usage-plans.toml",
    ),
];

fn import(line: &[&str]) -> (String, String) {
    let output = run(&[&["import"], line].concat(), &[]);
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{said}");
    (String::from_utf8(output.stdout).expect("text"), said)
}

/// The files that a configuration asks for, made for the test.
fn bring(text: &str, folder: &Path) {
    let lines = text.lines().skip_while(|line| !line.starts_with("# Bring these files"));
    let wanted = lines.skip(1).map_while(|line| line.strip_prefix("#   ")).filter_map(|line| line.split(' ').next());
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for (at, file) in wanted.enumerate() {
        let bytes = match file.split_once('/').expect("a file in a folder").0 {
            "hooks" => std::fs::read(wasm::guest("all-stages")).expect("the guest"),
            "public-keys" => std::fs::read(vectors.join("rsa-public.pem")).expect("the vector"),
            "geo" => mmdb::database("GeoLite2-Country", &json!({ "country": { "iso_code": "CH" } })),
            "secrets" => b"AKIDEXAMPLE".to_vec(),
            "api-keys" => format!("{at:a<30}").into_bytes(),
            other => panic!("who brings {other}?"),
        };
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        std::fs::write(path, bytes).expect("a writable folder");
    }
}

/// The listeners at the end, switched on, with certificates.
fn with_listeners(text: &str, folder: &Path) -> String {
    let mut whole = String::new();
    for line in text.lines() {
        let line = if line.starts_with("# ") { line } else { line.strip_prefix('#').unwrap_or(line) };
        whole.push_str(line);
        whole.push('\n');
    }
    let certified =
        Authority::new().issue(&["www.example.com", "example.com", "api.example.com", "*.shop.example.org"]);
    std::fs::create_dir_all(folder.join("certificates")).expect("a writable folder");
    for quoted in whole.split('"').filter(|part| part.starts_with("certificates/")) {
        let pem = if quoted.ends_with(".key") { &certified.key_pem } else { &certified.certificate_pem };
        std::fs::write(folder.join(quoted), pem).expect("a writable folder");
    }
    whole
}

fn check(text: &str, folder: &Path) -> String {
    let path = folder.join("edge.toml");
    std::fs::write(&path, text).expect("a writable folder");
    let output = run(&["check", &path.to_string_lossy()], &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{text}");
    said
}

#[test]
fn what_is_written_is_as_it_was_and_passes_check() {
    for (line, golden) in IMPORTS {
        let (text, said) = import(line);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("import").join(golden);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).expect("the golden file is writable");
        }
        let expected = std::fs::read_to_string(&path).expect("the golden file");
        assert_eq!(text, expected, "{golden}; `UPDATE=1` writes it anew");
        // The list stands on both.
        for line in said.lines().filter(|line| !line.is_empty()) {
            assert!(text.contains(&format!("# {line}\n")), "{line}\n{text}");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        bring(&text, folder.path());
        check(&text, folder.path());
        if line.contains(&"cloudfront") {
            let whole = with_listeners(&text, folder.path());
            assert!(whole.contains("\n[[listeners]]\n"), "{whole}");
            check(&whole, folder.path());
        }
    }
}

#[test]
fn files_in_and_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("edge.toml");
    let line = ["import", "cloudfront", "import/static-site.json", "import/legacy.json", "-o"];
    let line = [&line[..], &[target.to_str().expect("a path")]].concat();
    let output = run(&line, &[]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&target).expect("the file");
    assert!(text.contains("#    at  import/legacy.json: $.ViewerCertificate\n"), "{text}");
    bring(&text, folder.path());
    check(&text, folder.path());

    let again = run(&line, &[]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1));
    assert!(said.contains("exists already") && said.contains("--force"), "{said}");
    assert!(run(&[&line[..], &["--force"]].concat(), &[]).status.success());

    let bad = folder.path().join("bad.json");
    std::fs::write(&bad, "{\n  \"DistributionConfig\": {,}\n}").expect("a writable folder");
    let output = run(&["import", "cloudfront", &bad.to_string_lossy()], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("bad.json` is no JSON") && said.contains("in line 2, column 26"), "{said}");
    assert!(output.stdout.is_empty(), "nothing half-written");
}

/// A distribution that was imported, with servers of the test as its origins.
#[tokio::test(flavor = "multi_thread")]
async fn an_imported_distribution_serves() {
    let (text, _) = import(&["cloudfront", "import/api.json"]);
    let (eu, us) = (Origin::mirror().await, Origin::mirror().await);
    eu.answer(|request| match request.target().contains("/broken") {
        true => Reply::new(503, &[], ""),
        false => Reply::new(200, &[("cache-control", "max-age=60")], "eu"),
    });
    us.answer(|_| Reply::ok("us"));
    let text = text
        .replace("https://eu.api.internal.example.com:8443/prod", &format!("http://{}/prod", eu.address()))
        .replace("http://us.api.internal.example.com:8080/prod", &format!("http://{}/prod", us.address()));
    // The edge has no TLS here; who is trusted says that the viewer has.
    let plain: String = text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let setup = Setup::new(&format!("trusted_proxies = [\"127.0.0.1\"]\n{plain}"));
    bring(&text, setup.folder());
    let edge = setup.start().await;
    let ask = async |method: &str, target: &str, https: bool, body: &[u8]| {
        let proto = [("x-forwarded-proto", if https { "https" } else { "http" })];
        raw::request(edge.address(), method, "api.example.com", target, &proto, body).await
    };

    let answer = ask("GET", "/v1/catalog/chairs?page=2", true, b"").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "eu"), "{answer:?}");
    assert_eq!(answer.header("x-stage"), Some("origin-response"), "the hook's file was brought: {answer:?}");
    let got = eu.only_request();
    assert_eq!(got.target(), "/prod/v1/catalog/chairs?page=2");
    assert_eq!(got.header("x-origin-verify"), Some("s3cr3t-\"quoted\"-value"));
    assert_eq!(got.header("host"), Some(eu.address().as_str()), "AllViewerExceptHostHeader");

    assert_eq!(ask("GET", "/v1/catalog/chairs?page=2", true, b"").await.status, 200);
    assert_eq!(eu.count(), 1, "a hit");
    assert_eq!(ask("GET", "/v1/catalog/broken", true, b"").await.text(), "us", "failover");

    let answer = ask("POST", "/orders", true, b"{}").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "eu"));
    let got = eu.requests().pop().expect("a request");
    assert_eq!((got.header("host"), got.body.bytes.as_slice()), (Some("api.example.com"), &b"{}"[..]), "AllViewer");
    assert_eq!(got.header_all("x-stage").join(", "), "viewer-request, origin-request");

    assert_eq!(ask("GET", "/v1/catalog/chairs", false, b"").await.status, 403, "https-only");
    assert_eq!(ask("POST", "/v1/catalog/chairs", true, b"").await.status, 405, "GET, HEAD and OPTIONS only");
    assert_eq!(ask("GET", "/downloads/a.zip", true, b"").await.status, 403, "a signature is needed");
}
