//! From TOML with spans to the types of `schema`, collecting problems instead of stopping at the first.
//!
//! serde's `Deserialize` ends at the first error, so a file with five mistakes would take five runs. Here each field
//! that cannot be read is reported and marked [`Field::Broken`], and reading goes on. The macro [`table!`] writes a
//! struct, its reader and its JSON Schema from one list of keys. Knows types and ranges; what values mean together is
//! for `rules`.

mod collect;
mod table;
mod values;
mod words;

use schemars::JsonSchema;
use toml::Spanned;
use toml::de::DeValue;

pub(crate) use collect::{List, Named};
pub(crate) use table::{Entries, Key, table, table_schema};
pub(crate) use values::{
    Address, Count, Country, Endpoint, FilePath, HeaderName, Host, HostHeaderText, Method, Network, Path, Rate,
    RedirectStatus, Sha256, Size, Text, Time, Url, ValuePattern,
};
pub(crate) use words::{keyword, keyword_or, keywords};

use crate::report::{Problem, Report};

/// A value of the document.
pub(crate) type Node<'i> = Spanned<DeValue<'i>>;

/// A type that can be read from a value of the document.
pub(crate) trait Decode: JsonSchema + Sized {
    /// Reads `node`, the value of `key`. `None` after a problem was reported.
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self>;
}

/// The value of a key as it was found.
#[derive(Debug, Default)]
pub(crate) enum Field<T, const REQUIRED: bool> {
    /// Not written.
    #[default]
    Absent,
    /// Written wrongly, or missing though required. The report says so already: no rule should speak of it again.
    Broken,
    /// Read.
    Given(Spanned<T>),
}

/// A key that may be left out.
pub(crate) type Opt<T> = Field<T, false>;
/// A key that must be there.
pub(crate) type Req<T> = Field<T, true>;

impl<T, const REQUIRED: bool> Field<T, REQUIRED> {
    /// The value with its place.
    pub(crate) fn given(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Broken => None,
        }
    }

    /// The value.
    pub(crate) fn value(&self) -> Option<&T> {
        self.given().map(Spanned::get_ref)
    }

    /// The value without its place.
    pub(crate) fn into_value(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value.into_inner()),
            Self::Absent | Self::Broken => None,
        }
    }

    /// Written wrongly, or missing though required.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }

    /// Not written at all (so that its default counts).
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T: Decode, const REQUIRED: bool> Field<T, REQUIRED> {
    /// Reads the value of `key` from a table.
    pub(crate) fn read(entries: &Entries<'_, '_>, key: &'static str, out: &mut Report) -> Self {
        let Some(node) = entries.get(key) else {
            if entries.is_misspelt(key) {
                return Self::Broken;
            }
            if !REQUIRED {
                return Self::Absent;
            }
            out.push(
                Problem::error("missing-key", entries.span(), format!("missing key `{key}`"))
                    .label(format!("`{key}` is required here")),
            );
            return Self::Broken;
        };
        match out.below(key, |out| T::decode(node, key, out)) {
            Some(value) => Self::Given(Spanned::new(node.span(), value)),
            None => Self::Broken,
        }
    }
}

/// Whether a name or a line speaks of a secret, so that it is not shown.
pub(crate) fn speaks_of_secret(text: &str) -> bool {
    const WORDS: [&str; 8] = ["auth", "cookie", "credential", "key", "pass", "private", "secret", "token"];
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

/// Reports that `key` has a value of another type than `wanted` ("a string", "an array of tables").
pub(crate) fn wrong_type(node: &Node<'_>, key: &str, wanted: &str, help: Option<String>, out: &mut Report) {
    let found = match node.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    out.push(
        Problem::error("wrong-type", node.span(), format!("`{key}` must be {wanted}, found {found}"))
            .label(format!("expected {wanted}"))
            .maybe_help(help),
    );
}

/// Reports that the value of `key` is of the right type but not usable.
pub(crate) fn bad_value(node: &Node<'_>, message: impl Into<String>, help: Option<String>, out: &mut Report) {
    out.push(Problem::error("bad-value", node.span(), message).maybe_help(help));
}

/// The text of a string value, or a report.
pub(crate) fn string<'n>(node: &'n Node<'_>, key: &str, wanted: &str, out: &mut Report) -> Option<&'n str> {
    if let DeValue::String(text) = node.get_ref() {
        return Some(text);
    }
    let help = match node.get_ref() {
        DeValue::Integer(n) => Some(n.to_string()),
        DeValue::Float(n) => Some(n.to_string()),
        DeValue::Boolean(b) => Some(b.to_string()),
        DeValue::Datetime(d) => Some(d.to_string()),
        _ => None,
    };
    wrong_type(node, key, wanted, help.map(|text| format!("put it in quotes: `\"{text}\"`")), out);
    None
}
