//! Imports without a process: no field is passed over, bad input has its place, and whatever a document says, what is written is
//! a configuration.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn document(name: &str) -> Value {
    let path = format!("{}/../tests/import/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The tables that are written, and the list.
fn distribution(value: &Value) -> anyhow::Result<(String, String)> {
    let notes = Notes::default();
    let body = cloudfront::convert(&[("$".to_owned(), value.clone())], &notes)?;
    let list = notes.render();
    check(&whole("cloudfront", &[], &list, &body))?;
    Ok((body, list))
}

fn gateway(values: &[&Value]) -> anyhow::Result<(String, String)> {
    let notes = Notes::default();
    let document = |(at, value): (usize, &&Value)| {
        let root = if values.len() == 1 { "$".to_owned() } else { format!("{at}: $") };
        apigateway::Document { root, value: (*value).clone(), plan: None }
    };
    let documents: Vec<_> = values.iter().enumerate().map(document).collect();
    let body = apigateway::convert(&documents, &notes)?;
    let list = notes.render();
    check(&whole("apigateway", &[], &list, &body))?;
    Ok((body, list))
}

/// Pointers (RFC 6901) to all fields of a document.
fn fields(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let below = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                found.push(below.clone());
                fields(value, &below, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                fields(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// A pointer as the list has it.
fn path(pointer: &str) -> String {
    let mut path = "$".to_owned();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{part}]"));
        } else if part.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            path.push_str(&format!(".{part}"));
        } else {
            path.push_str(&format!("[{part:?}]"));
        }
    }
    path
}

fn parent<'v>(value: &'v mut Value, pointer: &str) -> (&'v mut serde_json::Map<String, Value>, String) {
    let (above, key) = pointer.rsplit_once('/').unwrap();
    (value.pointer_mut(above).unwrap().as_object_mut().unwrap(), key.replace("~1", "/").replace("~0", "~"))
}

/// Whether the list speaks of a field, or of what it is in.
fn told(list: &str, pointer: &str) -> bool {
    let spoken: BTreeSet<&str> = list.lines().filter_map(|line| line.strip_prefix("   at  ")).collect();
    let ends = pointer.match_indices('/').map(|(at, _)| at).skip(1).chain([pointer.len()]);
    ends.into_iter().filter_map(|end| pointer.get(..end)).any(|above| spoken.contains(path(above).as_str()))
}

type Convert = fn(&Value) -> anyhow::Result<(String, String)>;

/// What need not be told: how many `Items` there are, whether there are any, and CloudFront's own name of what has aliases.
const SAYS_NOTHING: [&str; 4] =
    ["/Quantity", "/ActiveTrustedKeyGroups/Enabled", "/ActiveTrustedSigners/Enabled", "/Distribution/DomainName"];

/// Each field of a document in which all fields of AWS's model are filled does something: without it another configuration is
/// written, or it is an error; or the list speaks of it or of what it is in.
fn every_field_counts(name: &str, count: usize, convert: Convert) {
    let whole = document(name);
    let (body, list) = convert(&whole).unwrap();
    let mut all = Vec::new();
    fields(&whole, "", &mut all);
    assert_eq!(all.len(), count);
    let bookkeeping = list.lines().find_map(|line| line.strip_prefix("Without a meaning outside of AWS: "));
    let bookkeeping: Vec<&str> = bookkeeping.unwrap_or_default().split(", ").collect();
    let mut silent = Vec::new();
    for pointer in &all {
        let key = pointer.rsplit('/').next().unwrap();
        if bookkeeping.contains(&key) || SAYS_NOTHING.iter().any(|end| pointer.ends_with(end)) {
            continue;
        }
        let told = told(&list, pointer);
        let mut without = whole.clone();
        let (object, key) = parent(&mut without, pointer);
        object.remove(&key);
        if let Some(list) = object.get("Items").and_then(Value::as_array) {
            let count = list.len();
            object.insert("Quantity".to_owned(), count.into());
        } else if key == "Items" {
            object.insert("Quantity".to_owned(), 0.into());
        }
        let matters = match convert(&without) {
            Err(_) => true,
            Ok((other, other_list)) => other != body || other_list != list,
        };
        if !told && !matters {
            silent.push(pointer.clone());
        }
    }
    assert_eq!(silent, Vec::<String>::new(), "fields that are passed over in silence; the list is\n{list}");
}

/// A field with another name is one that nobody knows: the list has its path.
fn unknown_fields_are_listed(name: &str, convert: Convert) {
    let whole = document(name);
    let mut all = Vec::new();
    fields(&whole, "", &mut all);
    for pointer in all {
        let mut renamed = whole.clone();
        let (object, key) = parent(&mut renamed, &pointer);
        object.insert(format!("{key}New"), json!("x"));
        // Where the keys are data, a new one is another thing.
        let Ok((_, list)) = convert(&renamed) else { continue };
        assert!(told(&list, &format!("{pointer}New")), "{pointer}New\n{list}");
    }
}

#[test]
fn no_field_of_a_distribution_is_passed_over() {
    every_field_counts("everything.json", 294, distribution);
    unknown_fields_are_listed("everything.json", distribution);
    for name in ["static-site.json", "api.json", "legacy.json"] {
        unknown_fields_are_listed(name, distribution);
    }
}

#[test]
fn no_field_of_usage_plans_and_keys_is_passed_over() {
    every_field_counts("everything-plans.json", 22, |value| gateway(&[value]));
    every_field_counts("everything-keys.json", 14, |value| gateway(&[value]));
    unknown_fields_are_listed("everything-keys.json", |value| gateway(&[value]));
}

/// The text of an error.
fn error(result: anyhow::Result<(String, String)>) -> String {
    output::chain(&result.unwrap_err())
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let mut value = document("static-site.json");
    let with = |pointer: &str, new: Value| {
        let mut value = document("static-site.json");
        *value.pointer_mut(pointer).unwrap() = new;
        error(distribution(&value))
    };
    let config = "/DistributionConfig";
    for (pointer, new, expected) in [
        ("/Aliases/Items/0", json!(7), "`$.DistributionConfig.Aliases.Items[0]` must be a string, and is a number"),
        ("/Origins", json!("x"), "`$.DistributionConfig.Origins` must be a list, and is a string"),
        ("/Origins/Quantity", json!(2), "`$.DistributionConfig.Origins.Quantity` says 2, and `Items` has 1"),
        ("/DefaultCacheBehavior/Compress", json!("true"), ".Compress` must be `true` or `false`, and is a string"),
        (
            "/DefaultCacheBehavior/TargetOriginId",
            json!("S4"),
            "no origin and no group has the id `S4`\n  help: there are `S3-site-example-com`",
        ),
        (
            "/DefaultCacheBehavior/ViewerProtocolPolicy",
            json!("http"),
            ".ViewerProtocolPolicy` is `http`\n  help: CloudFront has",
        ),
        ("/CustomErrorResponses/Items/0/ErrorCode", json!(4.5), ".Items[0].ErrorCode` must be a whole number"),
        ("/Restrictions/GeoRestriction/RestrictionType", json!("some"), ".RestrictionType` is `some`"),
    ] {
        let text = with(&format!("{config}{pointer}"), new);
        assert!(text.contains(expected), "{text}");
    }
    value["DistributionConfig"].as_object_mut().unwrap().remove("Origins");
    assert!(error(distribution(&value)).starts_with("`$.DistributionConfig.Origins` is missing\n  help: import what"));
    let list = json!({ "DistributionList": { "Items": [] } });
    assert!(error(distribution(&list)).contains("help: a list has only a part of each distribution"));
    assert!(error(distribution(&json!([1]))).contains("`$` must be an object, and is a list"));

    let text = json::parse("{\n  \"a\": 1,\n  b\n}", "a.json").unwrap_err().to_string();
    assert!(text.starts_with("`a.json` is no JSON: ") && text.contains("in line 3, column 3\n  help: "), "{text}");

    let text = error(gateway(&[&json!({ "items": [{ "id": "a", "type": "API_KEY" }] })]));
    assert!(text.contains("`$.items[0]` is a key of a usage plan") && text.contains("--plan-keys"), "{text}");
    assert!(error(gateway(&[&json!({ "items": [] })])).contains("no usage plans and no API keys"));
    let text = error(gateway(&[&json!([{ "throttle": {}, "quota": { "limit": 0, "period": "DAY" } }])]));
    assert!(text.contains("`$[0].quota.limit` is 0"), "{text}");
}

#[test]
fn what_was_closed_is_not_opened() {
    let mut value = document("static-site.json");
    value["DistributionConfig"]["DefaultCacheBehavior"]["TrustedKeyGroups"] = json!({ "Enabled": true, "Quantity": 0 });
    value["DistributionConfig"]["Enabled"] = json!(false);
    let (body, list) = distribution(&value).unwrap();
    assert!(body.contains("trusted_key_groups = [\"unknown\"]"), "{body}");
    assert!(list.contains("1. OPEN HERE, closed at AWS: a distribution that is switched off"), "{list}");
    assert!(list.contains("the public keys of a key group"), "{list}");

    // A key whose plan is not known opens nothing.
    let keys = json!({ "items": [{ "id": "a", "value": "a".repeat(20), "enabled": true }] });
    let plans = document("usage-plans.json");
    let (body, _) = gateway(&[&plans, &keys]).unwrap();
    assert!(
        body.contains("plans = [\"unassigned\"]") && body.contains("distributions = [\"unassigned-without-stage\"]"),
        "{body}"
    );
    assert!(!body.contains(&"a".repeat(20)), "the value of a key is not written: {body}");
}

#[test]
fn several_distributions_share_what_is_the_same() {
    let notes = Notes::default();
    let (mut first, mut second) = (document("static-site.json"), document("static-site.json"));
    second["DistributionConfig"]["Aliases"]["Items"] = json!(["other.example.com", "EXAMPLE.com"]);
    first["DistributionConfig"]["Aliases"] = json!({ "Quantity": 1, "Items": ["example.com"] });
    let documents = [("a.json: $".to_owned(), first), ("b.json: $".to_owned(), second)];
    let body = cloudfront::convert(&documents, &notes).unwrap();
    check(&body).unwrap();
    for one in ["[origins.", "[hooks.", "[cache_policies."] {
        assert_eq!(body.matches(one).count(), 1, "{one}\n{body}");
    }
    assert!(
        body.contains("[distributions.example-com]") && body.contains("[distributions.other-example-com]"),
        "{body}"
    );
    let list = notes.render();
    assert!(list.contains("the alias `EXAMPLE.com`\n   at  b.json: $.DistributionConfig.Aliases.Items[1]"), "{list}");
}

proptest! {
    /// Any alias, path, header, comment, name: what is written is a configuration, and what it takes comes through unchanged.
    #[test]
    fn any_text_makes_a_configuration(
        text in "[a-z\"'\\\\/*?. #=\\[\\]{}\r\n\t\u{0}\u{7f}\u{e9}&%~:-]{0,20}",
        other in any::<String>(),
        path in "/[a-zA-Z0-9_.*$/~\"'@:+&?-]{0,20}",
        value in "[ -~]{1,30}",
    ) {
        for text in [&text, &other] {
            let mut json = document("static-site.json");
            let config = &mut json["DistributionConfig"];
            config["Aliases"] = json!({ "Quantity": 1, "Items": [text] });
            config["Comment"] = json!(text);
            config["DefaultRootObject"] = json!(text);
            config["Origins"]["Items"][0]["Id"] = json!(text);
            config["Origins"]["Items"][0]["DomainName"] = json!(text);
            config["Origins"]["Items"][0]["OriginPath"] = json!(text);
            let headers = json!([
                { "HeaderName": text, "HeaderValue": text },
                { "HeaderName": "x-plain", "HeaderValue": value },
                { "HeaderName": "x-text", "HeaderValue": text },
            ]);
            config["Origins"]["Items"][0]["CustomHeaders"] = json!({ "Quantity": 3, "Items": headers });
            config["CustomErrorResponses"]["Items"][0]["ResponsePagePath"] = json!(text);
            config["DefaultCacheBehavior"]["TargetOriginId"] = json!(text);
            config["DefaultCacheBehavior"]["FunctionAssociations"]["Items"][0]["FunctionARN"] = json!(text);
            config["DefaultCacheBehavior"]["ResponseHeadersPolicyId"] = json!(text);
            let mut behavior = config["DefaultCacheBehavior"].clone();
            behavior["PathPattern"] = json!(path);
            behavior["CachePolicyId"] = json!("");
            behavior["ForwardedValues"] = json!({
                "QueryString": true,
                "QueryStringCacheKeys": { "Quantity": 1, "Items": [text] },
                "Cookies": { "Forward": "whitelist", "WhitelistedNames": { "Quantity": 1, "Items": [text] } },
                "Headers": { "Quantity": 1, "Items": [text] },
            });
            let mut strange = behavior.clone();
            strange["PathPattern"] = json!(text);
            strange["CachePolicyId"] = json!(text);
            config["CacheBehaviors"] = json!({ "Quantity": 2, "Items": [behavior, strange] });
            let (body, list) = distribution(&json).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let control = list.contains(['\u{1b}', '\r', '\u{0}']);
            prop_assert!(!control);
            let read: toml::Table = body.parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
            let origin = read["origins"].as_table().unwrap().values().next().unwrap();
            if value.trim() == value {
                prop_assert_eq!(origin["headers"]["x-plain"].as_str(), Some(value.as_str()));
            }
            let site = read["distributions"].as_table().unwrap().values().next().unwrap();
            let paths: Vec<&str> = site["behaviors"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
            let wanted = path.replace("&amp;", "&");
            let kept = edgeweir_config::PathPattern::parse(&wanted).is_ok();
            prop_assert_eq!(paths.contains(&wanted.as_str()), kept || wanted == "*", "{:?} in {:?}", wanted, paths);
        }
    }

    #[test]
    fn any_plan_makes_a_configuration(text in any::<String>(), value in any::<String>(), rate in any::<f64>(), burst in any::<i64>()) {
        let plan = json!({
            "id": text, "name": value, "description": text,
            "apiStages": [{ "apiId": text, "stage": value, "throttle": { text.clone(): { "rateLimit": rate, "burstLimit": burst } } }],
            "throttle": { "rateLimit": rate, "burstLimit": burst },
        });
        let key = json!({ "id": value, "name": text, "value": value, "enabled": true, "stageKeys": [format!("{text}/{value}")] });
        // `serde_json` writes what is no number as null.
        if let Err(error) = gateway(&[&plan, &json!([key])]) {
            prop_assert!(!error.to_string().contains("mistake of `edgeweir import`"), "{error}");
        }
    }
}

#[test]
fn files_are_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.toml");
    save(&path, "a", false).unwrap();
    let text = output::chain(&save(&path, "b", false).unwrap_err());
    assert!(text.contains("exists already") && text.contains("`--force`"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a");
    save(&path, "b", true).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "b");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
