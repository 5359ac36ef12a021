//! Values that are one of a few words.

use toml::de::DeValue;

use super::{Node, bad_value, wrong_type};
use crate::report::Report;
use crate::suggest;

/// Reads one of a few words.
pub(crate) fn keyword<T: Copy>(node: &Node<'_>, key: &str, words: &[(&str, T)], out: &mut Report) -> Option<T> {
    keyword_or(node, key, "a string", words, &[], out)
}

/// As [`keyword`], with what is `wanted` for types that can be written in other `forms` too.
pub(crate) fn keyword_or<T: Copy>(
    node: &Node<'_>,
    key: &str,
    wanted: &str,
    words: &[(&str, T)],
    forms: &[&str],
    out: &mut Report,
) -> Option<T> {
    let DeValue::String(text) = node.get_ref() else {
        wrong_type(node, key, wanted, Some(known(words, forms)), out);
        return None;
    };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let help = match suggest::nearest(text, words.iter().map(|(word, _)| *word)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => known(words, forms),
    };
    bad_value(node, format!("unknown value `{}` of `{key}`", text.escape_debug()), Some(help), out);
    None
}

/// All that can be written.
fn known<T>(words: &[(&str, T)], forms: &[&str]) -> String {
    let words = words.iter().map(|(word, _)| format!("`\"{word}\"`"));
    let listed: Vec<String> = words.chain(forms.iter().map(|form| (*form).to_owned())).collect();
    format!("known values: {}", listed.join(", "))
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
