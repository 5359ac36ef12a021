//! Tables with a fixed set of keys: unknown keys are errors with a suggestion.

use std::ops::Range;

use schemars::Schema;
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::{Node, speaks_of_secret, wrong_type};
use crate::report::{Problem, Report};
use crate::suggest;

/// An open table.
pub(crate) struct Entries<'n, 'i> {
    table: &'n DeTable<'i>,
    span: Range<usize>,
    /// Keys that an unknown key was probably meant to be.
    misspelt: Vec<&'static str>,
}

impl<'n, 'i> Entries<'n, 'i> {
    /// Opens the table `node`, the value of `key`, and reports keys that are not `known`.
    pub(crate) fn open(node: &'n Node<'i>, key: &str, known: &[&'static str], out: &mut Report) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            let help = match node.get_ref() {
                DeValue::Array(items) if items.iter().all(|i| i.get_ref().is_table()) && !items.is_empty() => {
                    let path = out.path();
                    Some(format!("there can be only one: write `[{path}]`, not `[[{path}]]`"))
                }
                _ => None,
            };
            wrong_type(node, key, "a table", help, out);
            return None;
        };
        let misspelt = report_unknown(table, known, out);
        Some(Self { table, span: node.span(), misspelt })
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node<'i>> {
        self.table.get(key)
    }

    /// An unknown key was probably meant to be this one, and the report says so.
    pub(crate) fn is_misspelt(&self, key: &str) -> bool {
        self.misspelt.contains(&key)
    }

    /// The place of the table: its header, or all of it if it is written inline.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

/// Reports keys of `table` that are not `known`; returns what they were probably meant to be.
fn report_unknown(table: &DeTable<'_>, known: &[&'static str], out: &mut Report) -> Vec<&'static str> {
    let mut misspelt = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if !known.contains(&name) {
            let near = suggest::nearest(name, known.iter().copied());
            misspelt.extend(near);
            match [Some(name), near].into_iter().flatten().any(speaks_of_secret) {
                true => out.hide(value.span()),
                // What nobody looks into can hold secrets too.
                false => hide_secrets(value, out),
            }
            out.push(
                Problem::error("unknown-key", key.span(), format!("unknown key `{}`", name.escape_debug()))
                    .label("not a key of this table")
                    .maybe_help(
                        elsewhere(name, out).or_else(|| suggest::did_you_mean(name, known.iter().copied(), "keys")),
                    ),
            );
        }
    }
    misspelt
}

/// Hides what the names below a value say is secret.
fn hide_secrets(node: &Node<'_>, out: &mut Report) {
    match node.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| hide_secrets(item, out)),
        DeValue::Table(table) => {
            for (key, value) in table {
                match speaks_of_secret(key.get_ref()) {
                    true => hide_all(value, out),
                    false => hide_secrets(value, out),
                }
            }
        }
        _ => {}
    }
}

/// Hides each value, whatever it is in.
fn hide_all(node: &Node<'_>, out: &mut Report) {
    match node.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| hide_all(item, out)),
        DeValue::Table(table) => table.iter().for_each(|(_, value)| hide_all(value, out)),
        _ => out.hide(node.span()),
    }
}

/// Keys of a binding that are often taken for some of the hook.
const OF_BINDINGS: [&str; 10] = [
    "settings",
    "key_value_stores",
    "jwks",
    "secrets",
    "request_body",
    "fetch",
    "fetch_max",
    "dynamic_origins",
    "on_failure",
    "on_errors",
];

/// Where a key belongs that is often put into another table.
fn elsewhere(name: &str, out: &Report) -> Option<String> {
    let path = out.path();
    if let Some(hook) = path.strip_prefix("hooks.").filter(|_| OF_BINDINGS.contains(&name)) {
        let hook = hook.trim_matches('"');
        return Some(format!(
            "write it where the hook is bound, in a behavior: `hooks = {{ viewer-request = [{{ hook = \"{hook}\", {name} = … }}] }}`"
        ));
    }
    let distribution = path.strip_prefix("distributions.").filter(|rest| !rest.contains('.'))?;
    (name == "cache_policy").then(|| format!("write it in a behavior, `[[distributions.{distribution}.behaviors]]`"))
}

/// One key of a table, for its JSON Schema.
pub(crate) struct Key {
    /// As it is written.
    pub(crate) name: &'static str,
    /// Lines of its doc comment.
    pub(crate) doc: &'static [&'static str],
    /// Whether it must be there.
    pub(crate) required: bool,
    /// What its value is.
    pub(crate) schema: Schema,
}

/// The JSON Schema of a table.
pub(crate) fn table_schema(doc: &[&str], keys: Vec<Key>) -> Schema {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for Key { name, doc, required: needed, mut schema } in keys {
        schema.insert("description".to_owned(), Value::String(join(doc)));
        properties.insert(name.to_owned(), schema.to_value());
        if needed {
            required.push(name);
        }
    }
    let mut schema = schemars::json_schema!({
        "type": "object",
        "description": join(doc),
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn join(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A struct for a table, its reader and its JSON Schema. Each key has the name of its field, or the name given by `as`.
/// Doc comments are required: they are the descriptions in the JSON Schema.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            $( $(#[doc = $field_doc:literal])+ $field:ident $(as $key:literal)? : $kind:ident < $ty:ty > ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $field_doc])+ pub(crate) $field: $crate::decode::$kind<$ty>, )+
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::decode::Node<'_>,
                key: &str,
                out: &mut $crate::report::Report,
            ) -> Option<Self> {
                let known = [$( $crate::decode::table!(@key $field $($key)?) ),+];
                let entries = $crate::decode::Entries::open(node, key, &known, out)?;
                Some(Self {
                    $( $field: $crate::decode::$kind::<$ty>::read(
                        &entries, $crate::decode::table!(@key $field $($key)?), out,
                    ), )+
                })
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::decode::table_schema(&[$($doc),+], vec![
                    $( $crate::decode::Key {
                        name: $crate::decode::table!(@key $field $($key)?),
                        doc: &[$($field_doc),+],
                        required: $crate::decode::table!(@required $kind),
                        schema: generator.subschema_for::<$ty>(),
                    }, )+
                ])
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@required Req) => { true };
    (@required Opt) => { false };
}
pub(crate) use table;
