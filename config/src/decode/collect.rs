//! Arrays, and tables whose keys are names that people choose.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::DeValue;

use super::{Decode, Node, wrong_type};
use crate::report::{Problem, Report};

/// An array. Elements that could not be read are left out, and `broken` is set.
#[derive(Debug, Clone)]
pub(crate) struct List<T> {
    /// What could be read, in order.
    pub(crate) items: Vec<Spanned<T>>,
    /// Something was left out; the report says what.
    pub(crate) broken: bool,
}

impl<T: Decode> Decode for List<T> {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let DeValue::Array(array) = node.get_ref() else {
            let tables = node.get_ref().is_table();
            let help = if tables {
                format!("there can be several: write `[[{}]]`, or an array", out.path())
            } else {
                format!("write `{key} = [ … ]`")
            };
            wrong_type(node, key, "an array", Some(help), out);
            return None;
        };
        let mut list = Self { items: Vec::with_capacity(array.len()), broken: false };
        for (at, element) in array.iter().enumerate() {
            match T::decode(element, &format!("{key}[{at}]"), out) {
                Some(value) => list.items.push(Spanned::new(element.span(), value)),
                None => list.broken = true,
            }
        }
        Some(list)
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<T>() })
    }
}

/// A table of named things, ordered by name. A thing that could not be read is `None`: its name still exists, so that
/// uses of it are not reported as unknown.
#[derive(Debug, Clone)]
pub(crate) struct Named<T>(pub(crate) Vec<(Spanned<String>, Option<T>)>);

impl<T> Named<T> {
    /// The things that could be read, with the place of their name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Spanned<String>, &T)> {
        self.0.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }

    /// All names, also of things that could not be read.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.0.iter().map(|(name, _)| name)
    }
}

/// Longest name: names are written in logs and metrics.
const MAX_NAME: usize = 64;

fn check_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    name.len() <= MAX_NAME && name.bytes().all(plain) && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            wrong_type(node, key, "a table of names", Some(format!("write `[{}.NAME]`", out.path())), out);
            return None;
        };
        let mut named = Vec::with_capacity(table.len());
        for (name, value) in table {
            if !check_name(name.get_ref()) {
                let shown = name.get_ref().escape_debug();
                out.push(
                    Problem::error("bad-name", name.span(), format!("`{shown}` cannot be a name")).help(
                        "names have up to 64 letters, digits, `_`, `.` and `-`, and start with a letter or digit",
                    ),
                );
            }
            // Keys below a broken name are still checked.
            let value = out.below(name.get_ref(), |out| T::decode(value, name.get_ref(), out));
            named.push((Spanned::new(name.span(), name.get_ref().clone().into_owned()), value));
        }
        Some(Self(named))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$" },
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}
