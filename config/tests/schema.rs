//! The committed JSON Schema is fresh and says something about every key.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::path::Path;

use serde_json::Value;

#[test]
fn the_committed_schema_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    let fresh = edgeweir_config::json_schema();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "config/schema.json is old: run `UPDATE=1 cargo test -p edgeweir-config`");
}

/// Every property has a description, and every table refuses other keys.
fn walk(value: &Value, at: &str, properties: &mut usize) {
    if let Value::Object(object) = value {
        if let Some(Value::Object(keys)) = object.get("properties") {
            assert_eq!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{at}");
            for (key, schema) in keys {
                let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
                assert!(description.ends_with('.'), "{at}/{key} has no description");
                *properties += 1;
            }
        }
        for (key, value) in object {
            walk(value, &format!("{at}/{key}"), properties);
        }
    } else if let Value::Array(items) = value {
        items.iter().for_each(|item| walk(item, at, properties));
    }
}

#[test]
fn every_key_is_described() {
    let schema: Value = serde_json::from_str(&edgeweir_config::json_schema()).unwrap();
    let mut properties = 0;
    walk(&schema, "", &mut properties);
    assert!(properties > 80, "only {properties} keys found");
}

/// The part of JSON Schema that ours uses; `pattern`, `examples` and the like are not looked at.
fn valid(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return valid(root, root.pointer(target.trim_start_matches('#')).unwrap(), value);
    }
    if let Some(Value::Array(choices)) = schema.get("oneOf") {
        let fits = choices.iter().filter(|choice| valid(root, choice, value).is_ok()).count();
        return if fits == 1 { Ok(()) } else { Err(format!("{value} fits {fits} of {choices:?}")) };
    }
    if let Some(Value::Array(words)) = schema.get("enum") {
        return if words.contains(value) { Ok(()) } else { Err(format!("{value} is not in {words:?}")) };
    }
    let is = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    let allowed = |name: &Value| name == is || (name == "number" && is == "integer");
    let fits = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(allowed),
        Some(name) => allowed(name),
        None => false,
    };
    if !fits {
        return Err(format!("{value} is not of {:?}", schema.get("type")));
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let known = schema.get("properties").and_then(|properties| properties.get(key));
        match known.or_else(|| schema.get("additionalProperties")) {
            Some(Value::Bool(true)) => {}
            Some(schema @ Value::Object(_)) => valid(root, schema, value).map_err(|error| format!("{key}: {error}"))?,
            _ => return Err(format!("unknown key {key}")),
        }
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return Err(format!("missing key {name}"));
        }
    }
    value.as_array().into_iter().flatten().try_for_each(|item| valid(root, schema.get("items").unwrap(), item))
}

#[test]
fn examples_fit_the_schema_and_broken_ones_do_not() {
    let schema: Value = serde_json::from_str(&edgeweir_config::json_schema()).unwrap();
    let check = |path: &str| {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        valid(&schema, &schema, &toml::from_str(&text).unwrap())
    };
    for name in ["api-keys", "cache", "demo", "geo", "hooks", "minimal", "tls"] {
        assert_eq!(check(&format!("examples/{name}.toml")), Ok(()), "{name}");
    }
    for name in ["unknown-keys", "wrong-types", "missing-keys", "hooks", "cache-policies"] {
        assert!(check(&format!("tests/broken/{name}.toml")).is_err(), "{name}");
    }
}
