//! Key-value stores: their entries are written in the config or come from a JSON file. Nothing is read here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use crate::decode::{Decode, FilePath, Node, bad_value, table, wrong_type};
use crate::model::{MAX_KEY_VALUE_KEY, MAX_KEY_VALUE_VALUE};
use crate::report::Report;

table! {
    /// A key-value store that hooks can be allowed to read. Either `entries` or `file`.
    KeyValueStore {
        /// Keys (up to 512 bytes) and their values (strings, up to 1MiB).
        entries: Opt<StoreEntries>,
        /// JSON file with one object whose values are strings; at most 64MiB, 512 bytes a key, 1MiB a value. Read
        /// again within seconds when it changes: put a new file in its place with a rename.
        file: Opt<FilePath>,
    }
}

/// Entries that stand in the config.
#[derive(Debug)]
pub(crate) struct StoreEntries(pub(crate) BTreeMap<String, String>);

impl Decode for StoreEntries {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            wrong_type(node, key, "a table", Some("write `{ key = \"value\" }`".to_owned()), out);
            return None;
        };
        let mut entries = BTreeMap::new();
        for (name, value) in table {
            // Values are content of the site, and nobody knows how private they are.
            out.hide(value.span());
            let text = name.get_ref().as_ref();
            let DeValue::String(found) = value.get_ref() else {
                wrong_type(value, text, "a string", None, out);
                continue;
            };
            if text.is_empty() || text.len() > MAX_KEY_VALUE_KEY {
                let message = format!("a key of a key-value store has 1 to {MAX_KEY_VALUE_KEY} bytes");
                bad_value(node, message, None, out);
            } else if found.len() > MAX_KEY_VALUE_VALUE {
                bad_value(value, format!("the value of `{}` has over 1MiB", text.escape_debug()), None, out);
            } else {
                entries.insert(text.to_owned(), found.clone().into_owned());
            }
        }
        Some(Self(entries))
    }
}

impl JsonSchema for StoreEntries {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StoreEntries".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "minLength": 1, "maxLength": MAX_KEY_VALUE_KEY },
            "additionalProperties": { "type": "string" },
        })
    }
}
