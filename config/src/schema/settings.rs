//! Settings of a binding: any TOML table, kept as JSON text, with secrets cut out of it.

use std::borrow::Cow;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::secret::is_variable;
use crate::decode::{Decode, Node, bad_value, speaks_of_secret, wrong_type};
use crate::model::{SecretSource, SettingPlace};
use crate::report::Report;

/// Largest settings as JSON text, in bytes: each call of the hook can read them.
const MAX: usize = 64 << 10;

/// What a hook is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// JSON object; `null` where a secret belongs.
    pub(crate) json: String,
    /// JSON pointers (RFC 6901) into it. Files are not yet joined to the folder of the config.
    pub(crate) secrets: Vec<(String, SecretSource)>,
    /// Where each value is written, by JSON pointer.
    pub(crate) places: Vec<SettingPlace>,
}

impl Decode for Settings {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            wrong_type(node, key, "a table", None, out);
            return None;
        };
        let mut reader = Reader { pointer: String::new(), secrets: Vec::new(), places: Vec::new(), out };
        let value = reader.table(table)?;
        let Reader { secrets, places, .. } = reader;
        let json = value.to_string();
        if json.len() > MAX {
            bad_value(node, format!("`{key}` has over 64 KiB as JSON"), None, out);
            return None;
        }
        Some(Self { json, secrets, places })
    }
}

struct Reader<'o> {
    /// Where in the JSON we are.
    pointer: String,
    secrets: Vec<(String, SecretSource)>,
    places: Vec<SettingPlace>,
    out: &'o mut Report,
}

impl Reader<'_> {
    fn value(&mut self, node: &Node<'_>) -> Option<Value> {
        match node.get_ref() {
            DeValue::String(text) => {
                if speaks_of_secret(&self.pointer) || looks_secret(text) {
                    self.out.hide(node.span());
                }
                Some(Value::String(text.clone().into_owned()))
            }
            DeValue::Integer(number) => self.number(
                node,
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(Number::from),
                "a whole number of 64 bits",
            ),
            DeValue::Float(number) => {
                self.number(node, number.as_str().parse().ok().and_then(Number::from_f64), "a finite number")
            }
            DeValue::Boolean(value) => Some(Value::Bool(*value)),
            DeValue::Datetime(date) => Some(Value::String(date.to_string())),
            DeValue::Array(array) => {
                let items: Vec<_> =
                    array.iter().enumerate().map(|(at, item)| self.below(&at.to_string(), item.span(), item)).collect();
                items.into_iter().collect::<Option<_>>().map(Value::Array)
            }
            DeValue::Table(table) => {
                if let Some(source) = secret(table) {
                    self.secrets.push((self.pointer.clone(), source));
                    return Some(Value::Null);
                }
                self.table(table)
            }
        }
    }

    fn table(&mut self, table: &DeTable<'_>) -> Option<Value> {
        let entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().as_ref();
                let token = name.replace('~', "~0").replace('/', "~1");
                Some((name.to_owned(), self.below(&token, key.span(), value)?))
            })
            .collect();
        entries.into_iter().collect::<Option<Map<_, _>>>().map(Value::Object)
    }

    fn below(&mut self, token: &str, key: Range<usize>, node: &Node<'_>) -> Option<Value> {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(token);
        self.places.push(SettingPlace { pointer: self.pointer.clone(), key, value: node.span() });
        let value = self.value(node);
        self.pointer.truncate(length);
        value
    }

    fn number(&mut self, node: &Node<'_>, number: Option<Number>, wanted: &str) -> Option<Value> {
        if number.is_none() {
            bad_value(node, format!("a number in settings must be {wanted}"), None, self.out);
        }
        number.map(Value::Number)
    }
}

/// Shortest text that is taken for a key, a hash or a token by its looks, in bytes.
const LEAST_SECRET: usize = 16;

/// Nobody knows which of a hook's settings are secrets. Besides those whose name says so, what looks like a key, a hash or
/// a token is not shown: one long word of letters and digits that is no path and no URL.
fn looks_secret(text: &str) -> bool {
    let any = |test: fn(&u8) -> bool| text.bytes().any(|byte| test(&byte));
    text.len() >= LEAST_SECRET
        && !any(u8::is_ascii_whitespace)
        && any(u8::is_ascii_digit)
        && any(u8::is_ascii_alphabetic)
        && !["/", "http://", "https://"].iter().any(|start| text.starts_with(start))
}

/// `{ file = "…" }` or `{ env = "…" }` and nothing else.
fn secret(table: &DeTable<'_>) -> Option<SecretSource> {
    if table.len() != 1 {
        return None;
    }
    let text = |key: &str| table.get(key)?.get_ref().as_str().filter(|text| !text.is_empty());
    match (text("file"), text("env")) {
        (Some(file), _) => Some(SecretSource::File(file.into())),
        (_, Some(env)) if is_variable(env) => Some(SecretSource::Env(env.to_owned())),
        _ => None,
    }
}

impl JsonSchema for Settings {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}
