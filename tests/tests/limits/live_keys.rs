//! API keys that are made, changed, rotated, imported and removed while the edge runs.

use std::time::Duration;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::{admin_with, run};
use edgeweir_tests::wait::until;
use serde_json::{Value, json};

const CONFIG: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [usage_plans.basic]
    quota = { limit = 5, period = "DAY" }
    distributions = ["site"]
    [usage_plans.more]
    [usage_plans.other]
    distributions = ["other"]
    [[api_keys]]
    name = "written"
    key = "written-key-0123456789abcdef"
    plans = ["basic"]
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "CachingDisabled"
    api_key_required = true
    [distributions.other]
    hosts = ["other.test"]
    origin = "main"
"#;

async fn start(origin: &Origin) -> TestEdge {
    Setup::new(CONFIG).set("origin", &origin.address()).frozen().start().await
}

async fn call(edge: &TestEdge, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = admin_with(&edge.admin_socket(), method, path, body.as_bytes()).await;
    (answer.status, serde_json::from_str(&answer.text()).unwrap_or(Value::Null))
}

/// Makes a key; gives its id and value.
async fn create(edge: &TestEdge, wish: &Value) -> (String, String) {
    let (status, made) = call(edge, "POST", "/v1/keys", wish).await;
    assert_eq!(status, 201, "{made}");
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    (text("id"), text("value"))
}

async fn status(edge: &TestEdge, key: &str) -> u16 {
    edge.get_with("/t", &[("X-Api-Key", key)]).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives() {
    let origin = Origin::hello().await;
    let edge = start(&origin).await;
    let (id, value) = create(&edge, &json!({ "name": "acme", "plans": ["basic"], "metadata": { "owner": "a" } })).await;
    assert!(id.len() == 10 && value.len() == 40 && value.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    // At once, with no reload.
    assert_eq!(status(&edge, &value).await, 200);
    let line = edge.log_lines(1).await.remove(0);
    assert_eq!((line["key_name"].as_str(), line["plan"].as_str()), (Some("acme"), Some("basic")));
    let path = format!("/v1/keys/{id}");
    let (_, shown) = call(&edge, "GET", &path, &Value::Null).await;
    assert_eq!(
        (&shown["name"], &shown["metadata"]["owner"], &shown["enabled"]),
        (&json!("acme"), &json!("a"), &json!(true))
    );
    assert!(shown["value"].is_null() && !shown.to_string().contains(&value));

    for (enabled, wanted) in [(false, 403), (true, 200)] {
        assert_eq!(call(&edge, "PATCH", &path, &json!({ "enabled": enabled })).await.0, 200);
        assert_eq!(status(&edge, &value).await, wanted);
    }
    // The quota is the key's, whatever else of it changes: three are left.
    let (_, rotated) = call(&edge, "POST", &format!("{path}/rotate"), &json!({ "overlap_seconds": 3600 })).await;
    let new = rotated["value"].as_str().expect("a value").to_owned();
    assert_eq!((status(&edge, &value).await, status(&edge, &new).await), (200, 200), "both in the overlap");
    edge.advance(Duration::from_secs(3599));
    assert_eq!(status(&edge, &value).await, 200);
    edge.advance(Duration::from_secs(1));
    let mut both = (status(&edge, &value).await, status(&edge, &new).await);
    if both.1 == 200 {
        // The hour began another day.
        both.1 = 429;
    }
    assert_eq!(both, (403, 429));
    let (_, usage) = call(&edge, "GET", &format!("/v1/usage?key={id}"), &Value::Null).await;
    assert_eq!((&usage["quotas"][0]["limit"], &usage["rows"][0]["name"]), (&json!(5), &json!("acme")), "{usage}");

    let (_, expiring) = call(&edge, "PATCH", &path, &json!({ "expires": 1, "name": "old" })).await;
    assert_eq!((&expiring["expires"], &expiring["name"]), (&json!(1), &json!("old")));
    assert_eq!(status(&edge, &new).await, 403, "over");
    call(&edge, "PATCH", &path, &json!({ "expires": 0, "plans": ["more"] })).await;
    assert_eq!(status(&edge, &new).await, 200, "another plan has no quota");
    assert_eq!(call(&edge, "DELETE", &path, &Value::Null).await.0, 200);
    assert_eq!(status(&edge, &new).await, 403);
    assert_eq!(call(&edge, "DELETE", &path, &Value::Null).await.0, 404);
    let (status, answer) = call(&edge, "DELETE", "/v1/keys/config:any", &Value::Null).await;
    let said = "the key `config:any` is in the configuration: change or remove it there, and reload";
    assert!(status == 404 && answer.to_string().contains(said), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_wishes_change_nothing_and_say_why() {
    let origin = Origin::hello().await;
    let edge = start(&origin).await;
    let value = "a-value-of-my-own-0123456789";
    let (id, made) = create(&edge, &json!({ "name": "one", "plans": ["basic"], "value": value })).await;
    assert_eq!((made.as_str(), status(&edge, value).await), ("", 200), "a value that was given is not told");
    for (wish, code, word) in [
        (json!({}), 400, "name"),
        (json!({ "name": "" }), 422, "name"),
        (json!({ "name": "x\n" }), 422, "control"),
        (json!({ "name": "x", "nmae": "y" }), 400, "nmae"),
        (json!({ "name": "x", "plans": ["bsaic"] }), 422, "`bsaic`: there are `basic`"),
        (json!({ "name": "x", "plans": ["basic", "more"] }), 422, "both open `*`"),
        (json!({ "name": "x", "plans": ["basic", "basic"] }), 422, "twice"),
        (json!({ "name": "x", "value": "short" }), 422, "20 to 128"),
        (json!({ "name": "x", "value": "with blanks 0123456789" }), 422, "letters"),
        (json!({ "name": "x", "value": value }), 409, id.as_str()),
        (json!({ "name": "x", "value": "written-key-0123456789abcdef" }), 409, "`config:written`"),
        (json!({ "name": "x", "expires": 1 }), 422, "past"),
    ] {
        let (status, answer) = call(&edge, "POST", "/v1/keys", &wish).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(status == code && error.contains(word), "{wish}: {status} {error}");
    }
    let (_, list) = call(&edge, "GET", "/v1/keys", &Value::Null).await;
    let names: Vec<_> = list["keys"].as_array().expect("keys").iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["written", "one"]);
    create(&edge, &json!({ "name": "two", "plans": ["basic", "other"] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_api_gateway_are_imported() {
    let origin = Origin::hello().await;
    let edge = start(&origin).await;
    let import = async |query: &str, text: &str| {
        let path = format!("/v1/keys/import?{query}");
        let answer = admin_with(&edge.admin_socket(), "POST", &path, text.as_bytes()).await;
        let value: Value = serde_json::from_str(&answer.text()).expect("JSON");
        let count = |name: &str| value[name].as_array().map_or(0, Vec::len);
        (answer.status, count("ids"), count("warnings"), value)
    };
    let text = "Key,Name,Description,Enabled,UsagePlanIds\n\
                apikey1234abcdefghij0123456789,first,imported,TRUE,basic\n\
                apikey1234abcdefghij012345678X,second,,false,'basic,other'\n\
                short,third,,,basic\n\
                apikey1234abcdefghij012345678Y,fourth,,,nothing\n";
    assert_eq!(import("dry_run=true", text).await.1, 0);
    assert_eq!(import("fail_on_warnings=true", text).await.1, 0);
    assert_eq!(status(&edge, "apikey1234abcdefghij0123456789").await, 403);
    let (code, ids, warnings, answer) = import("", text).await;
    assert_eq!((code, ids, warnings), (200, 2, 2), "{answer}");
    assert!(
        answer.to_string().contains("line 4: ") && answer.to_string().contains("line 5: unknown usage plan"),
        "{answer}"
    );
    assert_eq!(status(&edge, "apikey1234abcdefghij0123456789").await, 200);
    assert_eq!(status(&edge, "apikey1234abcdefghij012345678X").await, 403, "disabled");
    // The same values again: the same keys, with what the file says now.
    let again = text.replace("false", "TRUE").replace("first", "renamed");
    assert_eq!(import("", &again).await.3["ids"], answer["ids"]);
    assert_eq!(status(&edge, "apikey1234abcdefghij012345678X").await, 200);
    let (_, list) = call(&edge, "GET", "/v1/keys", &Value::Null).await;
    assert!(list.to_string().contains("renamed") && !list.to_string().contains("apikey1234"), "{list}");
    assert_eq!(import("", "Name,Kee\n").await.0, 422);
    let (code, ids, warnings, answer) = import("", "Name,Key\nx,written-key-0123456789abcdef\n").await;
    assert_eq!((code, ids, warnings), (200, 0, 1), "{answer}");
    assert!(answer.to_string().contains("line 2: another key has this value: `config:written`"), "{answer}");
    // Both values of a key that was rotated: it is one key.
    let (id, old) = create(&edge, &json!({ "name": "acme", "plans": ["basic"] })).await;
    let (_, again) = call(&edge, "POST", &format!("/v1/keys/{id}/rotate"), &json!({})).await;
    let new = again["value"].as_str().expect("a value");
    let text = format!("Name,Key,UsagePlanIds\none,{old},basic\ntwo,{new},basic\nthree,{old}3,basic\n");
    let (code, ids, warnings, answer) = import("", &text).await;
    assert_eq!((code, ids, warnings, &answer["ids"][0]), (200, 2, 0, &json!(id)), "{answer}");
    assert_eq!(call(&edge, "GET", &format!("/v1/keys/{id}"), &Value::Null).await.1["name"], "two");
    assert_eq!((status(&edge, &old).await, status(&edge, new).await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_one_keys_in_the_configuration_or_in_the_store() {
    let origin = Origin::hello().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!("state_dir = {:?}\n{CONFIG}", folder.path().join("state"));
    let (file, socket) = (folder.path().join("edgeweir.toml"), folder.path().join("state/admin.sock"));
    let start = async |text: &str| Setup::new(text).file(&file).set("origin", &origin.address()).frozen().start().await;
    let shared = "a-value-that-two-keys-have-0123";
    let with = text.replace("written-key-0123456789abcdef", shared);
    let edge = start(&text).await;
    let wish = json!({ "name": "stored", "plans": ["basic"], "value": shared }).to_string();
    let made = admin_with(&socket, "POST", "/v1/keys", wish.as_bytes()).await;
    let made: Value = serde_json::from_str(&made.text()).expect("JSON");
    let id = made["id"].as_str().expect("an id");
    let error = edge.reload(&with).await.expect_err("a value that a stored key has");
    assert!(error.contains("`written`") && error.contains(&format!("edgeweir keys delete {id}")), "{error}");
    assert_eq!((status(&edge, "written-key-0123456789abcdef").await, status(&edge, shared).await), (200, 200));
    assert!(edge.shutdown().await);
    // Who starts with both of them is told, and can change what is not about them.
    let edge = start(&with).await;
    assert_eq!(status(&edge, shared).await, 200);
    edge.reload(&format!("{with}\nthrottle = {{ rate = 100, burst = 100 }}\n")).await.expect("a good config");
    // But not take the value out of use, as it would go on.
    let error = edge.reload(&text).await.expect_err("a value that goes on");
    assert!(error.contains(&format!("edgeweir keys delete {id}")), "{error}");
    assert_eq!(admin_with(&socket, "DELETE", &format!("/v1/keys/{id}"), b"").await.status, 200);
    edge.reload(&text).await.expect("a good config");
    assert_eq!((status(&edge, "written-key-0123456789abcdef").await, status(&edge, shared).await), (200, 403));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_survive_a_restart_and_other_edges_of_the_folder_see_them() {
    let origin = Origin::hello().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!("state_dir = {:?}\n{CONFIG}", folder.path().join("state"));
    let file = folder.path().join("edgeweir.toml");
    let start = async || Setup::new(&text).file(&file).set("origin", &origin.address()).frozen().start().await;
    let one = start().await;
    let socket = folder.path().join("state/admin.sock");
    let create = async |name: &str| {
        let wish = json!({ "name": name, "plans": ["basic"] }).to_string();
        let answer = admin_with(&socket, "POST", "/v1/keys", wish.as_bytes()).await;
        let made: Value = serde_json::from_str(&answer.text()).expect("JSON");
        made["value"].as_str().expect("a value").to_owned()
    };
    let first = create("first").await;
    let two = start().await;
    assert_eq!(status(&two, &first).await, 200, "known from the start");
    // The socket is the second one's now; the first hears of it within a second.
    let second = create("second").await;
    assert_eq!(status(&two, &second).await, 200);
    let mut known = false;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        known = known || status(&one, &second).await == 200;
    }
    assert!(known, "a change is seen within a second");
    one.shutdown().await;
    two.shutdown().await;
    let three = start().await;
    assert_eq!((status(&three, &first).await, status(&three, &second).await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_has_a_row_for_each_day() {
    let origin = Origin::hello().await;
    let edge = start(&origin).await;
    let (id, value) = create(&edge, &json!({ "name": "=acme, \"x\"", "plans": ["basic"] })).await;
    for _ in 0..7 {
        status(&edge, &value).await;
    }
    edge.advance(Duration::from_secs(86_400));
    for _ in 0..2 {
        status(&edge, &value).await;
    }
    until("all are in the log", || edge.log_text().matches('\n').count() == 9).await;
    let csv = edge.admin("GET", "/v1/usage?format=csv&from=2020-01-01&to=2100-01-01").await.text();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "date,plan,key_id,key_name,requests,refused");
    assert!(lines[1].ends_with(&format!(",basic,{id},\"'=acme, \"\"x\"\"\",5,2")), "{csv}");
    assert!(lines[2].ends_with(",2,0") && lines.len() == 3, "{csv}");
    assert!(!csv.contains(&value));
    let (_, rows) = call(&edge, "GET", "/v1/usage?from=2020-01-01&to=2100-01-01&plan=more", &Value::Null).await;
    assert_eq!(rows["rows"], json!([]));
    for (query, word) in [("from=x", "no date"), ("format=xml", "xml"), ("from=2026-02-02&to=2026-02-01", "after")] {
        let (status, answer) = call(&edge, "GET", &format!("/v1/usage?{query}"), &Value::Null).await;
        assert!(status == 422 && answer.to_string().contains(word), "{query}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_not_there_is_named_with_those_that_are() {
    let origin = Origin::hello().await;
    let edge = start(&origin).await;
    let socket = edge.admin_socket().to_string_lossy().into_owned();
    let keys = |arguments: &[&str], plan: &str| {
        let output = run(&[&["keys"], arguments, &["--plan", plan, "--socket", &socket]].concat(), &[]);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    for arguments in [
        &["usage"][..],
        &["usage", "--json"],
        &["usage", "config:written"],
        &["usage", "--remaining"],
        &["list"],
        &["export"],
    ] {
        let (done, out, err) = keys(arguments, "nosuch");
        let why = "unknown usage plan `nosuch`: there are `basic`, `more`, `other`";
        assert!(!done && out.is_empty() && err.contains(why), "{arguments:?}: {out}{err}");
        // One that nobody uses.
        let (done, out, err) = keys(arguments, "other");
        assert!(done && !out.is_empty() && err.is_empty(), "{arguments:?}: {out}{err}");
    }
}
