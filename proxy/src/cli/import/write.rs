//! TOML as an import writes it: tables in the order in which people read them, with comments. Values are put into quotes by
//! the TOML library.

use std::fmt::{self, Write as _};

use super::notes::shown;

/// Widest line that a list stays on, in characters.
const WIDTH: usize = 120;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Scalar(toml::Value),
    List(Vec<Self>),
    Inline(Vec<(String, Self)>),
}

/// `[name]` or `[[name]]` with its keys.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    comments: Vec<String>,
    header: String,
    keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq)]
enum Key {
    Pair(String, Item),
    Comment(String),
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Self::Scalar(toml::Value::String(text.to_owned()))
    }
}

impl From<String> for Item {
    fn from(text: String) -> Self {
        Self::Scalar(toml::Value::String(text))
    }
}

impl From<bool> for Item {
    fn from(value: bool) -> Self {
        Self::Scalar(toml::Value::Boolean(value))
    }
}

impl From<i64> for Item {
    fn from(value: i64) -> Self {
        Self::Scalar(toml::Value::Integer(value))
    }
}

impl From<f64> for Item {
    fn from(value: f64) -> Self {
        Self::Scalar(toml::Value::Float(value))
    }
}

impl<T: Into<Item>> From<Vec<T>> for Item {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl Item {
    /// `{ key = value }`
    pub(super) fn inline<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Inline(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(value) => write!(out, "{value}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(out, "[{}]", items.join(", "))
            }
            Self::Inline(pairs) if pairs.is_empty() => out.write_str("{}"),
            Self::Inline(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(key, value)| format!("{} = {value}", quoted(key))).collect();
                write!(out, "{{ {} }}", pairs.join(", "))
            }
        }
    }
}

/// A key: bare where that is possible, else a basic string in one line (TOML, "Keys").
pub(super) fn quoted(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !key.is_empty() && key.bytes().all(bare) {
        return key.to_owned();
    }
    // The escapes of JSON are TOML's, but for DEL, which JSON has plain.
    serde_json::Value::from(key).to_string().replace('\u{7f}', "\\u007F")
}

/// A text as lines of a comment; TOML has no control characters there.
pub(super) fn comment(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let line = shown_line(line);
        lines.push_str(if line.is_empty() { "#" } else { "# " });
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

fn shown_line(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

impl Table {
    /// `[a.b]`; names are quoted where they need it.
    pub(super) fn new(path: &[&str]) -> Self {
        Self { comments: Vec::new(), header: format!("[{}]", dotted(path)), keys: Vec::new() }
    }

    /// `[[a.b]]`
    pub(super) fn element(path: &[&str]) -> Self {
        Self { header: format!("[[{}]]", dotted(path)), ..Self::new(path) }
    }

    /// A line above it.
    pub(super) fn about(&mut self, text: &str) {
        self.comments.push(shown(text));
    }

    /// A line among its keys.
    pub(super) fn remark(&mut self, text: &str) {
        self.keys.push(Key::Comment(shown(text)));
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Item>) {
        self.keys.push(Key::Pair(key.to_owned(), value.into()));
    }
}

fn dotted(path: &[&str]) -> String {
    path.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(".")
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in &self.comments {
            out.write_str(&comment(text))?;
        }
        writeln!(out, "{}", self.header)?;
        for key in &self.keys {
            match key {
                Key::Comment(text) => out.write_str(&comment(text))?,
                Key::Pair(key, value) => pair(key, value, out)?,
            }
        }
        Ok(())
    }
}

/// A key and its value; a list that is too long for a line has a line for each item.
fn pair(key: &str, value: &Item, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut line = format!("{} = {value}", quoted(key));
    let several = matches!(value, Item::List(items) if items.iter().any(|item| matches!(item, Item::Inline(_))) && items.len() > 1);
    if let Item::List(items) = value
        && (several || line.chars().count() > WIDTH)
    {
        line = format!("{} = [\n", quoted(key));
        for item in items {
            writeln!(line, "    {item},")?;
        }
        line.push(']');
    }
    writeln!(out, "{line}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tables_are_written_for_people() {
        let mut table = Table::element(&["distributions", "a.b", "behaviors"]);
        table.about("one\ntwo \u{1b}");
        table.set("path", "a\"b\\c");
        table.remark("why");
        table.set("hooks", Item::inline([("viewer-request", Item::from(vec!["x"]))]));
        table.set("list", vec![Item::inline([("a", 1_i64.into())]), Item::inline([("b c", true.into())])]);
        let expected = "# one\\ntwo \\u{1b}\n[[distributions.\"a.b\".behaviors]]\npath = 'a\"b\\c'\n# why\n\
            hooks = { viewer-request = [\"x\"] }\nlist = [\n    { a = 1 },\n    { \"b c\" = true },\n]\n";
        assert_eq!(table.to_string(), expected);
    }

    proptest! {
        #[test]
        fn any_text_survives(text in any::<String>(), key in any::<String>(), more in "[\"'\\\\\r\n\t\u{7f}\u{0}#=\\]\\[{} ]{0,12}") {
            let mut table = Table::new(&["t", &key]);
            table.about(&more);
            table.about(&text);
            table.remark(&text);
            table.remark(&more);
            table.set("plain", text.as_str());
            table.set("inside", Item::inline([(key.clone(), Item::from(vec![text.clone(), more.clone()]))]));
            table.set(&format!("z{more}"), more.as_str());
            let written = table.to_string();
            let read: toml::Table = written.parse().unwrap();
            let read = read["t"][&key].as_table().unwrap();
            prop_assert_eq!(read["plain"].as_str(), Some(text.as_str()));
            prop_assert_eq!(read["inside"][&key][0].as_str(), Some(text.as_str()));
            prop_assert_eq!(read["inside"][&key][1].as_str(), Some(more.as_str()));
            prop_assert_eq!(read[&format!("z{more}")].as_str(), Some(more.as_str()));
        }
    }
}
