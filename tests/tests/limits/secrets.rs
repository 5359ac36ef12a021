//! No key in anything that the edge writes or says: logs, events, metrics, errors, reports, the ledger, the store.

use std::path::Path;

use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::{Process, admin_with, free_port, run};
use edgeweir_tests::raw;
use serde_json::{Value, json};

/// A key of the configuration, and one that nobody has.
const WRITTEN: &str = "written-secret-4f7a91c3d2e8b605";
const UNKNOWN: &str = "unknown-secret-9c1e77d0a4b3f286";
/// A value that is given when a key is made.
const GIVEN: &str = "given-secret-0b8d5e2f71a6c934";

/// The forms in which a key could be hidden: in clear, in another case, as base64 at each of three offsets, with all bytes
/// percent-encoded, as hexadecimal, reversed.
fn forms(key: &str) -> Vec<(String, String)> {
    use base64::Engine as _;
    let bytes = key.as_bytes();
    let hex = |upper: bool, before: &str| -> String {
        bytes
            .iter()
            .map(|byte| if upper { format!("{before}{byte:02X}") } else { format!("{before}{byte:02x}") })
            .collect()
    };
    let mut forms = vec![
        ("clear".to_owned(), key.to_owned()),
        ("upper case".to_owned(), key.to_uppercase()),
        ("percent".to_owned(), hex(false, "%")),
        ("PERCENT".to_owned(), hex(true, "%")),
        ("hexadecimal".to_owned(), hex(false, "")),
        ("reversed".to_owned(), key.chars().rev().collect()),
    ];
    for offset in 0..3 {
        let padded = [vec![b'x'; offset], bytes.to_vec()].concat();
        for engine in
            [base64::engine::general_purpose::STANDARD_NO_PAD, base64::engine::general_purpose::URL_SAFE_NO_PAD]
        {
            // The first and the last letters depend on what stands beside the key.
            let coded = engine.encode(&padded);
            let middle = coded.get(offset.div_ceil(3) * 4..coded.len() - 4).expect("a key is long enough");
            forms.push((format!("base64 at {offset}"), middle.to_owned()));
        }
    }
    forms
}

/// Where a key is found in a text; none if it is not there.
fn found(text: &str, keys: &[&str]) -> Option<String> {
    for key in keys {
        for (form, hidden) in forms(key) {
            if text.contains(&hidden) {
                return Some(format!("{form} of {key}"));
            }
        }
    }
    None
}

#[test]
fn a_planted_key_is_found_in_every_form() {
    use base64::Engine as _;
    let coded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let percent: String = WRITTEN.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for planted in [
        format!("{{\"query\":\"api_key={WRITTEN}&a=1\"}}"),
        format!("x-api-key: {WRITTEN}"),
        coded(WRITTEN),
        coded(&format!("user:{WRITTEN}")),
        coded(&format!("a:{WRITTEN}:b")),
        coded(&format!("ab{WRITTEN}")),
        format!("/t?k={percent}"),
        format!("/t?k={}", percent.to_uppercase()),
        WRITTEN.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ] {
        assert!(found(&planted, &[WRITTEN]).is_some(), "not found: {planted}");
        assert_eq!(found(&planted, &[UNKNOWN]), None);
    }
    assert_eq!(found("written-secret-4f7a91c3d2e8b60", &[WRITTEN]), None);
}

/// Everything in a folder, but for what is named.
fn files(folder: &Path, but: &str, texts: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, but, texts);
        } else if path.is_file() && !path.ends_with(but) {
            let bytes = std::fs::read(&path).expect("a file");
            texts.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_in_anything_that_the_edge_writes_or_says() {
    let origin = Origin::hello().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, state) = (folder.path().join("edgeweir.toml"), folder.path().join("state"));
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = format!(
        r#"
    state_dir = {state:?}
    [log]
    access = {{ file = {access:?} }}
    events = {{ file = {events:?} }}
    level = "debug"
    [[listeners]]
    address = "{address}"
    [origins.main]
    url = "http://{origin}"
    [usage_plans.basic]
    quota = {{ limit = 8, period = "MONTH", lease = 3 }}
    throttle = {{ rate = 1000, burst = 1000 }}
    [usage_plans.idle]
    [[api_keys]]
    name = "written"
    key = "{WRITTEN}"
    plans = ["basic"]
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
    api_key_required = true
    [distributions.query]
    hosts = ["query.test"]
    origin = "main"
    api_key_query = "k"
    [[distributions.query.behaviors]]
    path = "*"
    api_key_required = true
    "#,
        access = folder.path().join("access.log"),
        events = folder.path().join("events.log"),
        origin = origin.address(),
    );
    std::fs::write(&file, &config).expect("a writable folder");
    let mut edge = Process::serve(&file, &state).await;
    let socket = state.join("admin.sock");
    let mut texts: Vec<(String, String)> = Vec::new();

    let wish = json!({ "name": "made", "plans": ["basic"] }).to_string();
    let made = admin_with(&socket, "POST", "/v1/keys", wish.as_bytes()).await;
    let made: Value = serde_json::from_str(&made.text()).expect("JSON");
    let made_value = made["value"].as_str().expect("a value").to_owned();
    let id = made["id"].as_str().expect("an id").to_owned();
    let keys = [WRITTEN, UNKNOWN, GIVEN, &made_value];
    let wish = json!({ "name": "given", "plans": ["basic"], "value": GIVEN }).to_string();
    for (method, path, body) in [
        ("POST", "/v1/keys".to_owned(), wish.clone()),
        ("POST", "/v1/keys".to_owned(), wish),
        ("POST", "/v1/keys".to_owned(), json!({ "name": 7, "value": GIVEN }).to_string()),
        ("POST", "/v1/keys".to_owned(), json!({ "name": "x", "value": format!("{UNKNOWN} ") }).to_string()),
        ("POST", "/v1/keys".to_owned(), json!({ "name": "x", "valeu": UNKNOWN }).to_string()),
        (
            "POST",
            "/v1/keys/import".to_owned(),
            format!("Name,Key,UsagePlanIds\na,{GIVEN},basic\nb,{UNKNOWN},none\nc,{UNKNOWN} x,\n"),
        ),
        ("POST", "/v1/keys/import".to_owned(), format!("Name,Kye\na,{UNKNOWN}\n")),
        ("GET", "/v1/keys".to_owned(), String::new()),
        ("GET", format!("/v1/keys/{id}"), String::new()),
        ("PATCH", format!("/v1/keys/{id}"), json!({ "description": "d" }).to_string()),
    ] {
        let answer = admin_with(&socket, method, &path, body.as_bytes()).await;
        texts.push((format!("answer to {method} {path}"), answer.text()));
    }
    for key in keys {
        let percent: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let referer = format!("https://a.test/?k={key}&api_key={key}");
        for (host, target, headers) in [
            ("site.test", "/t".to_owned(), vec![("X-Api-Key", key)]),
            ("site.test", format!("/t?x-api-key={key}&apikey={percent}"), vec![("X-Api-Key", key), ("X-Api-Key", key)]),
            ("site.test", "/t".to_owned(), vec![("X-Api-Key", key), ("Authorization", key), ("Cookie", key)]),
            ("query.test", format!("/t?k={key}"), vec![("Referer", referer.as_str())]),
            ("query.test", format!("/t?a=1&K={key}&k={percent}"), vec![("Referer", referer.as_str())]),
            ("query.test", format!("/t?k={key}&k={key}"), vec![]),
            ("nobody.test", format!("/t?api_key={key}"), vec![("X-Api-Key", key)]),
        ] {
            for _ in 0..3 {
                let answer = raw::get(address, host, &target, &headers).await;
                texts.push((format!("answer to {target}"), answer.text()));
            }
        }
        // Refused or answered before anybody knows whose they are, and a page of one site as the referrer on another.
        for (method, host, fields) in [
            ("OPTIONS", "query.test", "Max-Forwards: 0\r\n".to_owned()),
            ("POST", "query.test", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n".to_owned()),
            ("TRACE", "query.test", String::new()),
            ("GET", "query.test", "Expect: the-unexpected\r\n".to_owned()),
            ("GET", "query.test:x", String::new()),
            ("GET", "query.test\r\nHost: site.test", String::new()),
            ("GET", "site.test", format!("Referer: https://query.test/?k={key}\r\n")),
            ("GET", "nobody.test", format!("Referer: https://query.test/?a=1&%6b={key}\r\n")),
        ] {
            let head = format!("{method} /t?k={key} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n");
            let answer = raw::exchange(address, head).await;
            texts.push((format!("answer to {method} {host} {fields}"), answer.text()));
        }
    }
    for path in ["/metrics", "/v1/status", "/readyz", "/v1/usage", "/v1/usage?format=csv", "/v1/keys"] {
        texts.push((path.to_owned(), edge.admin("GET", path).await.text()));
    }
    let name = file.to_string_lossy().into_owned();
    for (arguments, words) in [
        (&["keys", "usage", &id, "--remaining", "-c", &name][..], "remaining"),
        (&["keys", "usage", "--remaining", "--plan", "idle", "-c", &name], "resets_in_seconds"),
        (&["keys", "usage", "--remaining", "-c", &name, "--json"], &id),
    ] {
        let output = run(arguments, &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(words), "{arguments:?}: {text}");
        assert_eq!(text.contains(id.as_str()), !arguments.contains(&"idle"), "{arguments:?}: {text}");
        texts.push(("edgeweir keys usage".to_owned(), text));
    }
    for arguments in [
        &["check", &name][..],
        &["check", &name, "--json"],
        &["explain", &name, "http://site.test/t", "-H", &format!("X-Api-Key: {WRITTEN}")],
        &["keys", "list", "-c", &name],
        &["keys", "usage", &id, "-c", &name],
        &["keys", "export", "-c", &name],
        &["status", &name],
    ] {
        let output = run(arguments, &[]);
        for text in [&output.stdout, &output.stderr] {
            texts.push((format!("edgeweir {}", arguments[0]), String::from_utf8_lossy(text).into_owned()));
        }
    }
    // A configuration that is refused.
    std::fs::write(&file, config.replace("plans = [\"basic\"]", "plans = [\"bsaic\"]")).expect("a writable folder");
    for verb in ["reload", "check"] {
        texts.push((format!("{verb} refused"), String::from_utf8_lossy(&run(&[verb, &name], &[]).stderr).into_owned()));
    }
    edge.signal("TERM");
    edge.ended(std::time::Duration::from_secs(20)).await;
    files(folder.path(), "edgeweir.toml", &mut texts);
    assert!(texts.iter().any(|(name, text)| name.ends_with("access.log") && text.contains("\"key_name\":\"made\"")));
    assert!(
        texts.iter().any(|(name, _)| name.ends_with("events.log"))
            && texts.iter().any(|(name, _)| name.ends_with("state.redb"))
    );
    assert!(texts.iter().any(|(_, text)| text.contains("Limit Exceeded")));
    for (name, text) in &texts {
        assert_eq!(found(text, &keys), None, "in {name}:\n{}", text.chars().take(2_000).collect::<String>());
    }
}
