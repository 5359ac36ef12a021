use super::*;

fn settings(json: &str) -> Settings {
    serde_json::from_str(json).expect("valid settings")
}

fn fact(variable: &Variable) -> Option<Vec<u8>> {
    match variable {
        Variable::Country => Some(b"CH".to_vec()),
        Variable::Path => Some(b"/rewrite/shop/cart".to_vec()),
        Variable::Header(name) if name == "x-team" => Some("../\u{fc}?x=1".as_bytes().to_vec()),
        Variable::Header(name) if name == "x-dots" => Some(b"..".to_vec()),
        Variable::Cookie(name) if name == "bad" => Some(b"a\nb".to_vec()),
        _ => None,
    }
}

#[test]
fn rules_come_to_changes() {
    let settings = settings(
        r#"{"path": "/rewrite/*/*", "request": [
            {"op": "set", "name": "X-Section", "value": "${1}"},
            {"op": "append", "name": "x-rest", "value": "${2} from ${country}"},
            {"op": "remove", "name": "x-debug"},
            {"op": "set", "name": "x-city", "value": "${city}"},
            {"op": "append", "name": "x-city", "value": "${city}"},
            {"op": "set", "name": "x-cookie", "value": "${cookie:bad}"}
        ]}"#,
    );
    settings.check().expect("good settings");
    let captures = settings.captures("/rewrite/shop/cart").expect("matches");
    let changes: Vec<_> = settings.request.iter().map(|rule| rule.change(&captures, fact)).collect();
    assert_eq!(
        changes,
        [
            Change::Set(b"shop".to_vec()),
            Change::Append(b"cart from CH".to_vec()),
            Change::Remove,
            Change::Remove,
            Change::Nothing,
            Change::Remove,
        ]
    );
    assert_eq!(settings.captures("/other"), None);
    assert_eq!(settings.new_path(&captures, fact).expect("no error"), None);
}

#[test]
fn the_path_is_rewritten() {
    let new_path = |template: &str, path: &str| {
        let settings = settings(&format!(r#"{{"path": "/rewrite/*", "rewrite_path": "{template}"}}"#));
        settings.check().expect("good settings");
        let captures = settings.captures(path).expect("matches");
        settings.new_path(&captures, fact).map(|path| path.expect("a rewrite"))
    };
    let ok = |template: &str, path: &str| new_path(template, path).expect("a path");
    assert_eq!(ok("/new/${1}", "/rewrite/a/b%20c"), "/new/a/b%20c");
    assert_eq!(ok("/${country}${path}", "/rewrite/x"), "/CH/rewrite/shop/cart");
    assert_eq!(ok("/t/${header:x-team}/${1}", "/rewrite/x"), "/t/..%2F%C3%BC%3Fx%3D1/x");

    let refused = |template: &str, path: &str| new_path(template, path).expect_err("refused").message().to_owned();
    assert_eq!(refused("${1}", "/rewrite/x"), "settings: rewrite_path: the new path does not start with `/`");
    let dots = "settings: rewrite_path: the new path has a `.` or `..` segment";
    assert_eq!(refused("/new/${header:x-dots}/x", "/rewrite/x"), dots);
    assert_eq!(refused("/new/${1}", "/rewrite/../x"), dots);
    assert_eq!(refused("/new/.${1}", "/rewrite/%2E/x"), dots);
}

#[test]
fn wrong_settings_are_named() {
    let wrong = [
        (r#"{"request":[{"op":"set","name":"x-a"}]}"#, "settings: request[0]: `value` is missing"),
        (
            r#"{"response":[{"op":"remove","name":"x-a","value":""}]}"#,
            "settings: response[0].value: `remove` takes no value",
        ),
        (r#"{"request":[{"op":"remove","name":"x a"}]}"#, "settings: request[0].name: `x a` is no header name"),
        (
            r#"{"request":[{"op":"set","name":"x","value":"${1}"}]}"#,
            "settings: request[0].value: `${1}` asks for a capture, but `path` has 0 `*`",
        ),
        (
            r#"{"path":"/*","rewrite_path":"/${2}"}"#,
            "settings: rewrite_path: `${2}` asks for a capture, but `path` has 1 `*`",
        ),
    ];
    for (json, message) in wrong {
        assert_eq!(settings(json).check().expect_err(json).to_string(), message);
    }
}

#[test]
fn unknown_variables_and_operations_are_named() {
    let message = |json: &str| serde_json::from_str::<Settings>(json).expect_err(json).to_string();
    let unknown = message(r#"{"rewrite_path":"/${contry}"}"#);
    assert!(unknown.starts_with("unknown variable `${contry}`; there are address"), "{unknown}");
    assert!(message(r#"{"request":[{"op":"add","name":"x"}]}"#).starts_with("unknown variant `add`"));
    assert!(message(r#"{"requests":[]}"#).starts_with("unknown field `requests`"));
}
