//! The text of a configuration, kept to find places in it: what is wrong with a file that a config names shows only when
//! the file is read, long after the text was. Nothing is parsed until a place is asked for.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

/// The text that a configuration was read from, at most 4 MiB; empty where there is none. All texts are equal, and none is
/// shown: it may hold secrets.
#[derive(Clone, Default)]
pub struct Source(Arc<str>);

impl Source {
    /// Keeps a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.into())
    }

    /// Where the value at a path of keys is written, as bytes of the text: `["hooks", "hello", "file"]`; an element of an
    /// array by its number. The nearest one around it, if that is not written; empty if not even the first key is.
    ///
    /// Parses the text each time: for problems only.
    #[must_use]
    pub fn place(&self, path: &[&str]) -> Range<usize> {
        let (document, _) = DeTable::parse_recoverable(&self.0);
        let Some((first, rest)) = path.split_first() else { return 0..0 };
        let Some(mut value) = entry(document.get_ref(), first) else { return 0..0 };
        for key in rest {
            let next = match value.get_ref() {
                DeValue::Table(table) => entry(table, key),
                DeValue::Array(items) => key.parse().ok().and_then(|at: usize| items.get(at)),
                _ => None,
            };
            match next {
                Some(next) => value = next,
                None => break,
            }
        }
        value.span()
    }
}

/// The value of a key; names of headers are written in any case.
fn entry<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t toml::Spanned<DeValue<'i>>> {
    let any_case = || table.iter().find(|(name, _)| name.get_ref().eq_ignore_ascii_case(key)).map(|(_, value)| value);
    table.get(key).or_else(any_case)
}

impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[hooks.hello]
file = \"hello.wasm\"

[origins.app]
headers = { X-Key = { env = \"KEY\" } }

[[api_keys]]
key = \"one\"
[[api_keys]]
key = { file = \"two.txt\" }
";

    #[test]
    fn values_are_found_by_their_path() {
        let source = Source::of(TEXT);
        let at = |path: &[&str]| TEXT.get(source.place(path)).unwrap();
        for (path, text) in [
            (&["hooks", "hello", "file"][..], "\"hello.wasm\""),
            (&["origins", "app", "headers", "x-key"], "{ env = \"KEY\" }"),
            (&["api_keys", "1", "key"], "{ file = \"two.txt\" }"),
            (&["api_keys", "0", "key", "env"], "\"one\""),
            (&["hooks", "hello", "memory"], "[hooks.hello]"),
            (&["geo", "databases"], ""),
            (&[], ""),
        ] {
            assert_eq!(at(path), text, "{path:?}");
        }
        assert_eq!(Source::default().place(&["hooks"]), 0..0);
        assert_eq!(format!("{source:?}"), format!("Source({} bytes)", TEXT.len()));
    }
}
