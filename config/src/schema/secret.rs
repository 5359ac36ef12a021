//! Secrets: a text, `{ file = … }` or `{ env = … }`. Nothing is read here, and `Debug` hides the text.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use crate::decode::{Decode, FilePath, Node, Text, bad_value, table, wrong_type};
use crate::model::SecretSource;
use crate::report::{Problem, Report};

/// Where a secret comes from; a file is not yet joined to the folder of the config.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Secret(pub(crate) SecretSource);

table! {
    /// A secret that is not in the config.
    SecretTable {
        /// File with the secret; its trailing line end is dropped.
        file: Opt<FilePath>,
        /// Environment variable with the secret.
        env: Opt<Text>,
    }
}

impl Decode for Secret {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let wanted = "a string, `{ file = … }` or `{ env = … }`";
        if let DeValue::Table(table) = node.get_ref() {
            // Under a wrong key may be what was meant to be secret.
            for (_, value) in table.iter().filter(|(key, _)| !["file", "env"].contains(&key.get_ref().as_ref())) {
                out.hide(value.span());
            }
        } else {
            out.hide(node.span());
            let DeValue::String(text) = node.get_ref() else {
                // No help that repeats the value.
                wrong_type(node, key, wanted, None, out);
                return None;
            };
            if text.is_empty() {
                bad_value(node, format!("`{key}` cannot be empty"), None, out);
                return None;
            }
            return Some(Self(SecretSource::Inline(text.clone().into_owned())));
        }
        let table = SecretTable::decode(node, key, out)?;
        match (&table.file, &table.env) {
            (file, env) if file.is_absent() == env.is_absent() => {
                out.push(
                    Problem::error("bad-secret", node.span(), "a secret comes from one place")
                        .help("write either `{ file = \"…\" }` or `{ env = \"…\" }`"),
                );
                None
            }
            (file, env) if env.is_absent() => Some(Self(SecretSource::File(file.value()?.0.clone()))),
            (_, env) => {
                let env = env.given()?;
                if !is_variable(&env.get_ref().0) {
                    let name = env.get_ref().0.escape_debug();
                    out.push(
                        Problem::error("bad-value", env.span(), format!("`{name}` is not an environment variable"))
                            .help("names have letters, digits and `_`, and do not start with a digit"),
                    );
                    return None;
                }
                Some(Self(SecretSource::Env(env.get_ref().0.clone())))
            }
        }
    }
}

/// Names as POSIX has them for environment variables (XBD §8.1), lower case included.
pub(super) fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string", "minLength": 1 },
            generator.subschema_for::<SecretTable>(),
        ] })
    }
}
