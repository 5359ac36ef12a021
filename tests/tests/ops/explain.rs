//! `edgeweir explain`: what the real binary says of requests, and that a real edge does the same with them.

use std::path::Path;
use std::process::Output;

use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::run;
use edgeweir_tests::{raw, wasm};
use serde_json::{Value, json};

use crate::support::Site;

/// `{origin}` is filled by each test.
fn config(origin: &str) -> String {
    let hook = |name: &str| wasm::hook(name).display().to_string();
    format!(
        r#"
        [log]
        access = "off"
        [origins.main]
        url = "http://{origin}/base"
        headers = {{ "x-origin-secret" = "hush-hush" }}
        [origins.other]
        url = "http://{origin}"
        host_header = "fixed.test"
        [hooks.jwt]
        file = "{}"
        timeout = "20ms"
        [hooks.rewrite]
        file = "{}"
        [cache_policies.pages]
        default_ttl = "1h"
        query = ["page"]
        cookies = ["lang"]
        headers = ["accept-language"]
        [usage_plans.gold]
        throttle = {{ rate = 10, burst = 20 }}
        [[api_keys]]
        name = "partner"
        key = "a-key-of-a-partner-0123456789"
        plans = ["gold"]
        [distributions.shop]
        hosts = ["shop.test", "*.shop.test"]
        origin = "main"
        throttle = {{ rate = 1000, burst = 2000 }}
        [[distributions.shop.behaviors]]
        path = "/static/*"
        methods = ["GET", "HEAD"]
        [[distributions.shop.behaviors]]
        path = "/api/*"
        api_key_required = true
        cache_policy = "CachingDisabled"
        origin = "other"
        throttle = {{ rate = 50, burst = 50 }}
        [[distributions.shop.behaviors]]
        path = "/pages/*"
        cache_policy = "pages"
        viewer_headers = ["CloudFront-Viewer-Address"]
        [[distributions.shop.behaviors.hooks.viewer-request]]
        hook = "jwt"
        settings = {{ algorithm = "HS256", secret = "a-secret-of-at-least-thirty-two-bytes!", issuer = "me" }}
        [[distributions.shop.behaviors.hooks.viewer-response]]
        hook = "rewrite"
        on_failure = "open"
        settings = {{ response = [{{ op = "set", name = "x-edge", value = "1" }}] }}
    "#,
        hook("jwt-auth"),
        hook("header-rewrite")
    )
}

fn site() -> Site {
    Site::new(&config("127.0.0.1:9"))
}

fn call(file: &Path, arguments: &[&str]) -> Output {
    let file = file.to_string_lossy();
    run(&[&["explain", &file], arguments].concat(), &[])
}

fn explain(site: &Site, arguments: &[&str]) -> Value {
    let output = call(&site.file, &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().into_iter().flatten().find(|each| each["name"] == name);
    found.unwrap_or(&Value::Null)
}

#[test]
fn a_page_is_explained_from_host_to_headers() {
    let told = explain(
        &site(),
        &[
            "http://eu.shop.test/pages/./a?page=2&utm=x",
            "-H",
            "Cookie: lang=de; id=7",
            "-H",
            "X-Forwarded-Host: evil.test",
            "--client",
            "198.51.100.7",
        ],
    );
    assert_eq!(told["refused"], Value::Null);
    assert_eq!(told["request"]["client"], "198.51.100.7");
    assert_eq!(told["gate"], json!({"path": "/pages/a", "dropped": ["x-forwarded-host"]}));
    assert_eq!(told["distribution"], json!({"name": "shop", "host": "eu.shop.test", "pattern": "*.shop.test"}));
    assert_eq!(told["behavior"]["pattern"], "/pages/*");
    assert_eq!(told["behavior"]["passed_over"], json!(["/static/*", "/api/*"]));
    assert_eq!(told["api_key"]["required"], false);
    assert_eq!(told["throttles"], json!([{"level": "distribution", "rate": 1000.0, "burst": 2000}]));

    let cache = &told["cache"];
    assert_eq!(
        (&cache["policy"], &cache["cacheable"], &cache["default_ttl"]),
        (&json!("pages"), &json!(true), &json!(3600.0))
    );
    for (name, value) in [
        ("path", json!("/pages/a")),
        ("query", json!("page=2")),
        ("cookies", json!("lang=de")),
        ("header accept-language", Value::Null),
    ] {
        let part = named(&cache["key"], name);
        assert_eq!((&part["name"], &part["value"]), (&json!(name), &value), "{cache}");
    }
    let purged = "`eu.shop.test/pages/a?page=2`, or `/pages/a?page=2` of the distribution `shop`";
    let shared = "`/pages/a?page=2` of the distribution `shop`, or under any of its hosts: they share it";
    assert!([purged, shared].contains(&cache["purged_as"].as_str().expect("a text")), "{cache}");
    assert_eq!(cache["tag_headers"], json!(["cache-tag", "surrogate-key"]));

    let origin = &told["origin"];
    assert_eq!(origin["target"], "/base/pages/a?page=2");
    assert_eq!(origin["host"], "127.0.0.1:9");
    assert_eq!(named(&origin["headers"], "cookie")["value"], "lang=de");
    assert_eq!(named(&origin["headers"], "x-forwarded-for")["value"], "198.51.100.7");
    assert_eq!(named(&origin["headers"], "x-origin-secret")["value"], "***");
    assert_eq!(named(&origin["headers"], "cloudfront-viewer-address")["why"], "`viewer_headers` of the behavior");
}

#[test]
fn hooks_are_listed_without_secrets() {
    let site = site();
    let told = explain(&site, &["http://shop.test/pages/a"]);
    let hooks = told["hooks"].as_array().expect("a list");
    assert_eq!(hooks.len(), 2);
    assert_eq!((&hooks[0]["stage"], &hooks[0]["hook"]), (&json!("viewer-request"), &json!("jwt")));
    assert_eq!(hooks[0]["settings"], json!({"algorithm": "HS256", "secret": "***", "issuer": "me"}));
    assert_eq!((&hooks[0]["timeout_ms"], &hooks[0]["on_failure"]), (&json!(20), &json!("closed")));
    assert_eq!((&hooks[1]["stage"], &hooks[1]["on_failure"]), (&json!("viewer-response"), &json!("open")));
    let text = String::from_utf8_lossy(&call(&site.file, &["http://shop.test/pages/a"]).stdout).into_owned();
    for word in ["jwt_auth.wasm`, 20 ms, 16MiB, fails closed", "hooks were not run", "behavior        `/pages/*` (3 of"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("thirty-two") && !text.contains("hush-hush"), "{text}");
}

#[test]
fn a_key_and_its_throttles() {
    let site = site();
    let url = "https://shop.test/api/items";
    let told = explain(&site, &[url, "-X", "POST", "-H", "x-api-key: a-key-of-a-partner-0123456789"]);
    assert_eq!(told["refused"], Value::Null, "{told}");
    assert_eq!((&told["api_key"]["key"], &told["api_key"]["plan"]), (&json!("partner"), &json!("gold")));
    let levels: Vec<&Value> = told["throttles"].as_array().into_iter().flatten().map(|each| &each["level"]).collect();
    assert_eq!(levels, ["key", "behavior", "distribution"]);
    assert_eq!(told["cache"]["cacheable"], false);
    assert_eq!(told["origin"]["host"], "fixed.test");
    assert_eq!(named(&told["origin"]["headers"], "x-forwarded-proto")["value"], "https");

    let told = explain(
        &site,
        &[url, "-X", "OPTIONS", "-H", "Origin: https://a.test", "-H", "Access-Control-Request-Method: PUT"],
    );
    assert_eq!(told["api_key"]["why"], "`api_key_required` is set");
    assert_eq!(told["refused"]["status"], 403, "the edge does not answer it, so it needs a key: {told}");
}

/// Requests that are refused, the fault, and a word of the reason.
const REFUSED: [(&[&str], u16, &str, &str); 10] = [
    (&["http://other.test/"], 404, "unknown-host", "`*.shop.test`"),
    (&["http://shop.test/other"], 404, "no-behavior", "`/static/*`, `/api/*`, `/pages/*`"),
    (&["http://shop.test/static/a%2fb"], 400, "ambiguous-path", "allow_ambiguous_paths"),
    (&["http://shop.test/static/a", "-X", "PUT"], 405, "method-not-allowed", "`GET`, `HEAD`"),
    (&["http://shop.test/", "-X", "TRACE"], 405, "method-not-allowed", "no behavior can let TRACE through"),
    (&["http://shop.test/api/a"], 403, "forbidden", "send `x-api-key`"),
    (&["http://shop.test/api/a", "-H", "x-api-key: wrong"], 403, "forbidden", "unknown, disabled or over"),
    (&["http://shop.test/", "-H", "Host: a b"], 400, "bad-host", "one way"),
    (
        &["http://shop.test/", "-H", "Content-Length: 1", "-H", "Transfer-Encoding: chunked"],
        400,
        "bad-framing",
        "one way",
    ),
    (&["http://shop.test/", "-H", "Expect: wonders"], 417, "expectation-failed", "one way"),
];

#[test]
fn a_refusal_is_told_with_its_reason() {
    let site = site();
    for (arguments, status, fault, word) in REFUSED {
        let told = explain(&site, arguments);
        let refused = &told["refused"];
        assert_eq!((&refused["status"], &refused["fault"]), (&json!(status), &json!(fault)), "{arguments:?}: {told}");
        assert!(refused["why"].as_str().is_some_and(|why| why.contains(word)), "{arguments:?}: {refused}");
        assert_eq!(told["origin"], Value::Null, "{arguments:?}");
    }
    let text = String::from_utf8_lossy(&call(&site.file, &["http://shop.test/api/a"]).stdout).into_owned();
    assert!(text.contains("refused         403 Forbidden (fault `forbidden`)"), "{text}");
}

#[test]
fn conditions_geo_and_protocol_are_told() {
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples/demo/country.mmdb");
    let site = Site::new(&format!(
        "[geo]\ndatabases = [\"{database}\"]\n[origins.main]\nurl = \"http://127.0.0.1:9\"\n[distributions.shop]\n\
         hosts = [\"shop.test\"]\norigin = \"main\"\nviewer_protocol_policy = \"redirect-to-https\"\n\
         geo_restriction = {{ deny = {{ countries = [\"US\"] }} }}\n\
         [[distributions.shop.behaviors]]\nmatch = {{ headers = {{ x-beta = \"1\" }} }}\n\
         [[distributions.shop.behaviors]]\nviewer_protocol_policy = \"https-only\"\n"
    ));
    let beta = ["https://shop.test/a", "-H", "x-beta: 1"];
    assert_eq!(explain(&site, &beta)["behavior"]["conditions"], "header x-beta = \"1\"");
    let other = explain(&site, &["https://shop.test/a"]);
    assert_eq!(other["behavior"]["passed_over"], json!(["* with header x-beta = \"1\""]));
    let blocked = explain(&site, &["https://shop.test/a", "--country", "US"]);
    assert_eq!(blocked["refused"]["fault"], "geo-blocked");
    assert!(blocked["refused"]["why"].as_str().is_some_and(|why| why.ends_with("is US")), "{blocked}");
    let plain = explain(&site, &["http://shop.test/a"]);
    assert_eq!((&plain["refused"]["status"], &plain["refused"]["fault"]), (&json!(403), &json!("https-required")));
    let sent = explain(&site, &["http://shop.test:8080/a?b", "-H", "x-beta: 1"]);
    assert_eq!(sent["redirect"], json!({ "status": 301, "location": "https://shop.test/a?b" }));
    assert_eq!(sent["origin"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_edge_does_what_was_explained() {
    let origin = Origin::hello().await;
    let site = Site::new(&config(&origin.address()));
    // Before the edge runs, and while it does: no port is needed, none is taken.
    let told = explain(&site, &["http://shop.test/x/../static/a?b=c", "--client", "127.0.0.1"]);
    let process = site.serve().await;
    assert_eq!(
        explain(&site, &["http://shop.test/x/../static/a?b=c", "--client", "127.0.0.1"])["origin"]["target"],
        told["origin"]["target"]
    );
    let response = raw::get(site.address, "shop.test", "/x/../static/a?b=c", &[]).await;
    assert_eq!(response.status, 200);
    let received = origin.only_request();
    assert_eq!(told["origin"]["target"], received.target());
    assert_eq!(told["origin"]["host"], received.header("host").expect("a host"));
    for field in told["origin"]["headers"].as_array().expect("a list") {
        let name = field["name"].as_str().expect("a name");
        match name {
            // A new one for each request; a secret.
            "x-request-id" | "x-origin-secret" => assert!(received.header(name).is_some(), "{name}"),
            _ => assert_eq!(received.header(name), field["value"].as_str(), "{name}"),
        }
    }
    for (arguments, status, fault, _) in REFUSED.iter().filter(|(arguments, ..)| arguments.len() == 1) {
        let target = arguments[0].trim_start_matches("http://");
        let (host, path) = target.split_at(target.find('/').expect("a path"));
        assert_eq!(raw::get(site.address, host, path, &[]).await.status, *status, "{fault}");
    }
    drop(process);
}

#[test]
fn mistakes_of_the_command_line_are_told() {
    let site = site();
    for (arguments, word) in [
        (&["shop.test/a"][..], "begin it with `http://` or `https://`"),
        (&["http://shop.test/#a"], "leave out the fragment"),
        (&["http:///a"], "it has no host"),
        (&["http://shop.test/", "-H", "x-a"], "write `name: value`"),
        (&["http://shop.test/", "-H", "x a: b"], "`x a` is no header name"),
        (&["http://shop.test/", "-X", "G T"], "`G T` is no method"),
        (&["http://shop.test/", "--country", "Swiss"], "two letters"),
        (&["http://shop.test/", "--client", "me"], "invalid"),
    ] {
        let output = call(&site.file, arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(word), "{arguments:?}: {errors}");
    }
    let missing = site.folder.path().join("none.toml");
    assert_eq!(call(&missing, &["http://shop.test/"]).status.code(), Some(1));
    site.write("[distributions.site]\nhosts = [\"*\"]\norigin = \"none\"\n");
    let output = call(&site.file, &["http://shop.test/"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none"), "the report is shown");
}

#[test]
fn the_country_is_given_or_unknown() {
    let site = site();
    let told = explain(&site, &["http://shop.test/static/a", "--country", "ch"]);
    assert_eq!((&told["request"]["country"], &told["request"]["country_why"]), (&json!("CH"), &json!("given")));
    let told = explain(&site, &["http://shop.test/static/a"]);
    assert_eq!(told["request"]["country"], Value::Null);
    assert_eq!(told["request"]["country_why"], "no geo database is configured");
}

/// A hook that reads stores and secrets: what its binding grants is told by name.
#[test]
fn grants_are_listed_without_their_values() {
    let site = Site::new(&format!(
        r#"
        [origins.main]
        url = "http://127.0.0.1:9"
        [key_value_stores.flags]
        entries = {{ dark = "not-to-be-shown" }}
        [hooks.grants]
        file = {:?}
        [distributions.shop]
        hosts = ["shop.test"]
        origin = "main"
        [[distributions.shop.behaviors]]
        hooks = {{ viewer-request = [{{ hook = "grants", key_value_stores = ["flags"], secrets = {{ pin = "not-to-be-shown" }} }}] }}
    "#,
        wasm::guest("grants")
    ));
    let told = explain(&site, &["http://shop.test/"]);
    assert_eq!(
        (&told["hooks"][0]["key_value_stores"], &told["hooks"][0]["secrets"]),
        (&json!(["flags"]), &json!(["pin"]))
    );
    // In the folder of the configuration its name need not be said.
    let output = std::process::Command::new(edgeweir_tests::process::binary())
        .args(["explain", "http://shop.test/"])
        .current_dir(site.folder.path())
        .output()
        .expect("the binary starts");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(shown.contains("granted key-value stores: flags") && shown.contains("granted secrets: pin"), "{shown}");
    assert!(!shown.contains("not-to-be-shown"), "{shown}");
}

#[test]
fn a_group_shows_its_first_member() {
    let text = "[log]\naccess = \"off\"\n[origins.a]\nurl = \"http://127.0.0.1:9/one\"\n[origins.b]\nurl = \"http://127.0.0.1:9\"\n\
                [origin_groups.both]\nmembers = [\"a\", \"b\"]\n[distributions.shop]\nhosts = [\"shop.test\"]\norigin = \"both\"\n";
    let site = Site::new(text);
    let told = call(&site.file, &["http://shop.test/t"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("`a` at http://127.0.0.1:9/one (the first of the behavior's origin group `both`)"), "{told}");
}
