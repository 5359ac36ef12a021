//! Values that are one of a few words.

use toml::de::DeValue;

use super::{Node, bad_value, wrong_type};
use crate::report::Report;
use crate::suggest;

/// Reads one of a few words.
pub(crate) fn keyword<T: Copy>(node: &Node<'_>, key: &str, words: &[(&str, T)], out: &mut Report) -> Option<T> {
    keyword_or_table(node, key, "a string", words, out)
}

/// As [`keyword`], with what is `wanted` for types that can be written otherwise too.
pub(crate) fn keyword_or_table<T: Copy>(
    node: &Node<'_>,
    key: &str,
    wanted: &str,
    words: &[(&str, T)],
    out: &mut Report,
) -> Option<T> {
    let DeValue::String(text) = node.get_ref() else {
        let listed: Vec<String> = words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
        wrong_type(node, key, wanted, Some(format!("known values: {}", listed.join(", "))), out);
        return None;
    };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let help = suggest::did_you_mean(text, words.iter().map(|(word, _)| *word), "values");
    bad_value(node, format!("unknown value `{}` of `{key}`", text.escape_debug()), help, out);
    None
}

/// An enum of the model that is written as one of a few words.
macro_rules! keywords {
    ($name:ident { $($word:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::decode::Node<'_>,
                key: &str,
                out: &mut $crate::report::Report,
            ) -> Option<Self> {
                $crate::decode::keyword(node, key, &[$(($word, $name::$variant)),+], out)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "enum": [$($word),+] })
            }
        }
    };
}
pub(crate) use keywords;
