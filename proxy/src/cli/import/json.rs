//! JSON as it is read for an import: each value knows where it is, and each object what nobody asked it for. What is left when
//! an object is dropped goes to the notes, so that no field is passed over in silence. Knows nothing of AWS but its lists.

use std::collections::BTreeSet;

use anyhow::{anyhow, bail};
use serde_json::{Map, Value};

use super::notes::{Note, Notes, shown};

/// A value and where it is.
#[derive(Clone)]
pub(super) struct Node<'v> {
    value: &'v Value,
    path: String,
    notes: &'v Notes,
}

/// The fields of an object; those that were not asked for when it is dropped are noted.
pub(super) struct Fields<'v> {
    map: &'v Map<String, Value>,
    path: String,
    left: BTreeSet<&'v str>,
    notes: &'v Notes,
}

/// Reads a whole document; `root` is how its paths begin.
///
/// # Errors
/// What is wrong with the syntax, with its line and column.
pub(super) fn parse(text: &str, file: &str) -> anyhow::Result<Value> {
    // Windows tools write it, and JSON must not have it (RFC 8259, 8.1).
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        anyhow!(
            "`{file}` is no JSON: {what}, in line {line}, column {column}\n  help: the file is what the AWS CLI prints \
             with `--output json`, unchanged"
        )
    })
}

impl<'v> Node<'v> {
    pub(super) fn root(value: &'v Value, path: &str, notes: &'v Notes) -> Self {
        Self { value, path: path.to_owned(), notes }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn wrong(&self, wanted: &str) -> anyhow::Error {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        anyhow!(
            "`{}` must be {wanted}, and is {found}\n  help: import what the AWS CLI prints, unchanged",
            shown(&self.path)
        )
    }

    pub(super) fn text(&self) -> anyhow::Result<&'v str> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    /// A whole number.
    pub(super) fn whole(&self) -> anyhow::Result<i64> {
        self.value.as_i64().ok_or_else(|| self.wrong("a whole number"))
    }

    pub(super) fn number(&self) -> anyhow::Result<f64> {
        self.value.as_f64().ok_or_else(|| self.wrong("a number"))
    }

    pub(super) fn flag(&self) -> anyhow::Result<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("`true` or `false`"))
    }

    pub(super) fn fields(&self) -> anyhow::Result<Fields<'v>> {
        let map = self.value.as_object().ok_or_else(|| self.wrong("an object"))?;
        let left = map.keys().map(String::as_str).collect();
        Ok(Fields { map, path: self.path.clone(), left, notes: self.notes })
    }

    /// The items of a list: as JSON has it, or as CloudFront has it, with `Quantity` and `Items`.
    pub(super) fn items(&self) -> anyhow::Result<Vec<Self>> {
        if let Value::Array(array) = self.value {
            let item = |(at, value)| Self { value, path: format!("{}[{at}]", self.path), notes: self.notes };
            return Ok(array.iter().enumerate().map(item).collect());
        }
        let mut fields = match self.value {
            Value::Object(_) => self.fields()?,
            _ => return Err(self.wrong("a list")),
        };
        fields.quantified()
    }
}

impl<'v> Fields<'v> {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where a field of it is.
    pub(super) fn at(&self, key: &str) -> String {
        let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if plain && !key.is_empty() { format!("{}.{key}", self.path) } else { format!("{}[{key:?}]", self.path) }
    }

    /// The names of all fields, for objects whose keys are data.
    pub(super) fn names(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// A field that is there and not null.
    pub(super) fn get(&mut self, key: &str) -> Option<Node<'v>> {
        self.left.remove(key);
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Node { value, path: self.at(key), notes: self.notes })
    }

    /// # Errors
    /// If it is not there.
    pub(super) fn need(&mut self, key: &str) -> anyhow::Result<Node<'v>> {
        let missing = format!(
            "`{}` is missing\n  help: import what the AWS CLI prints with `--output json`, without `--query`, unchanged",
            shown(&self.at(key))
        );
        self.get(key).ok_or_else(|| anyhow!(missing))
    }

    /// A string that is there and not empty: the CLI prints what is not set as an empty one.
    pub(super) fn text(&mut self, key: &str) -> anyhow::Result<Option<&'v str>> {
        Ok(self.get(key).map(|node| node.text()).transpose()?.filter(|text| !text.is_empty()))
    }

    pub(super) fn whole(&mut self, key: &str) -> anyhow::Result<Option<i64>> {
        self.get(key).map(|node| node.whole()).transpose()
    }

    /// `false` if it is not there.
    pub(super) fn flag(&mut self, key: &str) -> anyhow::Result<bool> {
        Ok(self.get(key).map(|node| node.flag()).transpose()?.unwrap_or(false))
    }

    pub(super) fn object(&mut self, key: &str) -> anyhow::Result<Option<Fields<'v>>> {
        self.get(key).map(|node| node.fields()).transpose()
    }

    /// The items of a list; none if it is not there.
    pub(super) fn items(&mut self, key: &str) -> anyhow::Result<Vec<Node<'v>>> {
        Ok(self.get(key).map(|node| node.items()).transpose()?.unwrap_or_default())
    }

    pub(super) fn texts(&mut self, key: &str) -> anyhow::Result<Vec<&'v str>> {
        self.items(key)?.iter().map(Node::text).collect()
    }

    /// The items of an object that is a list itself, with fields of its own beside `Items` and `Quantity`.
    pub(super) fn quantified(&mut self) -> anyhow::Result<Vec<Node<'v>>> {
        let at = self.at("Quantity");
        let quantity = self.whole("Quantity")?;
        let items = match self.get("Items") {
            Some(node) if node.value.is_array() => node.items()?,
            Some(node) => return Err(node.wrong("a list")),
            None => Vec::new(),
        };
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if quantity.is_some_and(|quantity| quantity != count) {
            bail!(
                "`{}` says {}, and `Items` has {count}\n  help: the file was cut or changed: export it again",
                shown(&at),
                quantity.unwrap_or_default()
            );
        }
        Ok(items)
    }

    /// Fields that only say something about AWS's own bookkeeping.
    pub(super) fn bookkeeping(&mut self, keys: &[&str]) {
        for key in keys {
            if self.left.remove(*key) {
                self.notes.bookkeeping(key);
            }
        }
    }

    /// Looked at elsewhere.
    pub(super) fn known(&mut self, keys: &[&str]) {
        for key in keys {
            self.left.remove(*key);
        }
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        for key in std::mem::take(&mut self.left) {
            if self.map.get(key).is_some_and(Value::is_null) {
                continue;
            }
            self.notes.add(
                Note::lost(
                    format!("the unknown field `{}`", shown(key)),
                    "this version of Edgeweir does not know it",
                    "look up in AWS's documentation what it does, and whether you need it",
                )
                .at(&self.at(key)),
            );
        }
    }
}
