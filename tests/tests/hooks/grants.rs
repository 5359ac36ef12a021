//! Key-value stores, secrets and counters: what a binding grants, end to end.

use std::path::Path;
use std::time::Duration;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::wait::deadline_of;

use crate::support::{bound, config};

/// The edge looks at files once a second.
const LOOKS: Duration = Duration::from_secs(20);

const STORE: &str = "[key_value_stores.flags]\nentries = { dark = \"on\", \"große\" = \"ü\" }\n";

fn granted(grants: &str) -> String {
    let binding = format!("{{ hook = \"grants\", {grants} }}");
    format!("{STORE}{}", config(&["grants"], &bound("viewer-request", &binding)))
}

async fn refusal(text: &str) -> String {
    match Setup::new(text).set("origin", "127.0.0.1:9").try_start().await {
        Ok(_) => panic!("the edge started"),
        Err(words) => words,
    }
}

/// Puts a file in its place as people should: whole, by a rename.
fn put(folder: &Path, text: &str) {
    std::fs::write(folder.join("new.json"), text).expect("a writable folder");
    std::fs::rename(folder.join("new.json"), folder.join("flags.json")).expect("a rename");
}

async fn until_async<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    deadline_of(LOOKS, what, wait).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_reads_what_its_binding_grants() {
    let text = granted("key_value_stores = [\"flags\"], secrets = { pin = { env = \"PIN\" } }");
    let edge = Setup::new(&text).set("origin", "127.0.0.1:9").env("PIN", "not-to-be-shown").start().await;
    for (target, answer) in [
        ("/?do=get&store=flags&key=dark", "Ok(Some(\"on\"))"),
        ("/?do=get&store=flags&key=gro%C3%9Fe", "Ok(Some(\"ü\"))"),
        ("/?do=get&store=flags&key=none", "Ok(None)"),
        ("/?do=exists&store=flags&key=dark", "Ok(true)"),
        ("/?do=secret&name=pin", "not-to-be-shown"),
        ("/?do=debug&name=pin", "Some(Secret(***))"),
        ("/?do=debug&name=other", "None"),
    ] {
        let response = edge.get(target).await;
        assert_eq!((response.status, response.text().as_str()), (200, answer), "{target}");
    }
    let other = edge.get("/?do=get&store=other&key=a").await.text();
    assert!(other.contains("does not grant the key-value store"), "{other}");
    assert_eq!(edge.get("/?do=require&name=other").await.status, 503);
    let status = edge.admin("GET", "/v1/status").await.text();
    for text in [edge.log_text(), edge.metrics().await, status] {
        assert!(!text.contains("not-to-be-shown"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_not_granted_is_refused_and_the_key_is_named() {
    let words = refusal(&granted("on_failure = \"open\"")).await;
    for word in [
        "hook `grants` at viewer-request of `*` in distribution `site` imports `key-value`, which its binding does not",
        "add `key_value_stores = [\"NAME\"]` to the binding; `key_value_stores = []` grants nothing",
        "imports `secrets`",
        "add `secrets = { NAME = { env = \"…\" } }` to the binding",
    ] {
        assert!(words.contains(word), "{words}");
    }
    let nothing = granted("key_value_stores = [], secrets = {}");
    let edge = Setup::new(&nothing).set("origin", "127.0.0.1:9").start().await;
    let answer = edge.get("/?do=get&store=flags&key=dark").await.text();
    assert!(answer.contains("does not grant"), "{answer}");
    assert_eq!(edge.get("/?do=debug&name=pin").await.text(), "None");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_no_use_is_refused() {
    for (grant, word) in
        [("key_value_stores = [\"flags\"]", "key-value"), ("secrets = { pin = \"not-to-be-shown\" }", "secrets")]
    {
        let binding = format!("{{ hook = \"no-op\", {grant} }}");
        let text = format!("{STORE}{}", config(&["no-op"], &bound("viewer-request", &binding)));
        let words = refusal(&text).await;
        assert!(words.contains(&format!("does not import `{word}`")), "{words}");
        assert!(!words.contains("not-to-be-shown"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_is_named_without_another() {
    let words =
        refusal(&granted("key_value_stores = [], secrets = { a = \"not-to-be-shown\", b = { env = \"NONE\" } }")).await;
    assert!(words.contains("secret `b` of hook `grants`") && words.contains("`NONE` is not set"), "{words}");
    assert!(!words.contains("not-to-be-shown"), "{words}");
}

fn from_file() -> String {
    let binding = "{ hook = \"grants\", key_value_stores = [\"flags\"], secrets = {} }";
    let store = "[key_value_stores.flags]\nfile = \"flags.json\"\n";
    format!("{store}{}", config(&["grants"], &bound("viewer-request", binding)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_at_the_start_is_named() {
    let words = refusal(&from_file()).await;
    assert!(words.contains("key-value store `flags`: cannot read") && words.contains("flags.json"), "{words}");
    let setup = Setup::new(&from_file()).set("origin", "127.0.0.1:9");
    put(setup.folder(), "{\"a\": 4711}");
    let words = setup.try_start().await.err().expect("it does not start");
    assert!(words.contains("the value of \"a\" is not a string; put it in quotes at line 1"), "{words}");
    assert!(words.contains("as in { \"key\": \"value\" }") && !words.contains("4711"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_read_without_a_reload_and_a_broken_one_changes_nothing() {
    let setup = Setup::new(&from_file()).set("origin", "127.0.0.1:9");
    put(setup.folder(), "{\"state\": \"one\"}");
    let edge = setup.start().await;
    let target = "/?do=get&store=flags&key=state";
    assert_eq!(edge.get(target).await.text(), "Ok(Some(\"one\"))");
    put(edge.folder(), "{\"state\": \"two\"}");
    until_async("the new file is read", || async { edge.get(target).await.text() == "Ok(Some(\"two\"))" }).await;
    put(edge.folder(), "{\"state\": ");
    until_async("the broken file is noticed", || async {
        edge.metric("edgeweir_key_value_loads_total", &["store=\"flags\"", "result=\"failed\""]).await >= 1.0
    })
    .await;
    assert_eq!(edge.get(target).await.text(), "Ok(Some(\"two\"))");
    let words = edge.reload(&from_file()).await.expect_err("a broken file");
    assert!(words.contains("flags.json"), "{words}");
    put(edge.folder(), "{\"state\": \"three\"}");
    edge.reload(&from_file()).await.expect("a good file");
    assert_eq!(edge.get(target).await.text(), "Ok(Some(\"three\"))", "a reload reads the file");
    assert!(edge.metric("edgeweir_key_value_loads_total", &["result=\"ok\""]).await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sees_one_state_of_a_store_at_all_stages() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    put(folder.path(), "{\"state\": \"one\"}");
    let gate = Gate::new();
    let closed = gate.clone();
    let origin = Origin::start(move |_| Reply::new(200, &[], "body").after(&closed)).await;
    let binding = "{ hook = \"kv-stages\", key_value_stores = [\"flags\"] }";
    let behavior = format!(
        "[[distributions.site.behaviors]]\npath = \"*\"\n\
         hooks = {{ viewer-request = [{binding}], viewer-response = [{binding}] }}\n"
    );
    let store = format!("[key_value_stores.flags]\nfile = {:?}\n", folder.path().join("flags.json"));
    let edge = TestEdge::start(&format!("{store}{}", config(&["kv-stages"], &behavior)), &origin.address()).await;
    let renewed = async {
        until_async("the request is at the origin", || async { origin.count() == 1 }).await;
        put(folder.path(), "{\"state\": \"two\"}");
        until_async("the file is read", || async {
            edge.metric("edgeweir_key_value_loads_total", &["result=\"ok\""]).await >= 1.0
        })
        .await;
        gate.open();
    };
    let (response, ()) = tokio::join!(edge.get("/t"), renewed);
    assert_eq!(origin.only_request().header("x-state"), Some("one"));
    assert_eq!(response.header("x-state"), Some("one"), "the file changed while the request was on its way");
    assert_eq!(edge.get("/t").await.header("x-state"), Some("two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_of_hooks_are_metrics() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(&config(&["counts"], &bound("viewer-request", "\"counts\"")), &origin.address()).await;
    assert!(!edge.metrics().await.contains("edgeweir_hook_counter_total{"), "nothing was counted");
    for target in ["/?name=logins", "/?name=logins&by=4", "/?name=Not%20a%20name", "/?name=before&trap=1"] {
        edge.get(target).await;
    }
    let labels = |name: &str| format!("hook=\"counts\",name=\"{name}\"");
    edge.counted("edgeweir_hook_counter_total", &[&labels("logins")], 5.0).await;
    edge.counted("edgeweir_hook_counter_total", &[&labels("before")], 1.0).await;
    edge.counted("edgeweir_hook_counter_dropped_total", &["hook=\"counts\""], 1.0).await;
    edge.get("/?many=100").await;
    let names = edge.metrics().await.matches("edgeweir_hook_counter_total{").count();
    assert_eq!(names, 64);
    edge.counted("edgeweir_hook_counter_dropped_total", &["hook=\"counts\""], 39.0).await;
    let again = config(&["counts"], &bound("viewer-request", "\"counts\"")) + "[gate]\nmax_headers = 20000\n";
    edge.reload(&again).await.expect("a reload");
    assert_eq!(edge.metric("edgeweir_hook_counter_total", &[&labels("logins")]).await, 5.0, "over a reload");
}
