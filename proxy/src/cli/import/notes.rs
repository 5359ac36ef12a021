//! What an import has to tell: what does not carry over (what, where, why, what to do) and which files the user brings.
//! Notes that say the same of several places are told once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How bad it is; the worst is told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// What AWS keeps out would be let in.
    Open,
    /// Something is not as it was.
    Lost,
}

/// Something that does not carry over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    level: Level,
    what: String,
    why: String,
    todo: String,
    places: Vec<String>,
}

/// A file that the user brings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) file: String,
    pub(super) what: String,
}

/// All that there is to tell.
#[derive(Debug, Default)]
pub(super) struct Notes {
    notes: RefCell<Vec<Note>>,
    bookkeeping: RefCell<BTreeSet<String>>,
    wanted: RefCell<BTreeSet<Wanted>>,
}

/// Longest text of the user's that is repeated, in characters.
const LONGEST: usize = 200;

/// A text of the user's as it can be shown: one line, no control characters, not endless.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    in_line(&short)
}

/// A text in one line. Quotes and such stay as they are: only what would break the line, or move the cursor, is escaped.
fn in_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || ('\u{200b}'..='\u{200f}').contains(&c) || ('\u{2028}'..='\u{202e}').contains(&c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

impl Note {
    /// Something that is not as it was.
    pub(super) fn lost(what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        let [what, why, todo] = [what.into(), why.into(), todo.into()].map(|text| in_line(&text));
        Self { level: Level::Lost, what, why, todo, places: Vec::new() }
    }

    /// Something that was closed, and is open now.
    pub(super) fn open(what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { level: Level::Open, ..Self::lost(what, why, todo) }
    }

    /// The one or the other.
    pub(super) fn of(open: bool, what: String, why: String, todo: &str) -> Self {
        if open { Self::open(what, why, todo) } else { Self::lost(what, why, todo) }
    }

    /// Where it is in the JSON.
    pub(super) fn at(mut self, path: &str) -> Self {
        self.places.push(shown(path));
        self
    }
}

impl Notes {
    pub(super) fn add(&self, note: Note) {
        let mut notes = self.notes.borrow_mut();
        let same = |old: &&mut Note| {
            (old.level, &old.what, &old.why, &old.todo) == (note.level, &note.what, &note.why, &note.todo)
        };
        match notes.iter_mut().find(same) {
            Some(old) => {
                old.places
                    .extend(note.places.into_iter().filter(|place| !old.places.contains(place)).collect::<Vec<_>>());
            }
            None => notes.push(note),
        }
    }

    pub(super) fn bookkeeping(&self, field: &str) {
        self.bookkeeping.borrow_mut().insert(field.to_owned());
    }

    pub(super) fn bring(&self, file: &str, what: impl Into<String>) {
        self.wanted.borrow_mut().insert(Wanted { file: file.to_owned(), what: what.into() });
    }

    /// The list for people, without comment signs.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let wanted = self.wanted.borrow();
        if !wanted.is_empty() {
            text.push_str("Bring these files; paths are relative to this configuration:\n");
            let width = wanted.iter().map(|one| one.file.chars().count()).max().unwrap_or_default();
            for Wanted { file, what } in wanted.iter() {
                // A string takes what is written.
                let _fits = writeln!(text, "  {file:width$}  {what}");
            }
            text.push('\n');
        }
        let mut notes = self.notes.borrow().clone();
        notes.sort_by_key(|note| note.level);
        match notes.len() {
            0 => text.push_str("Everything carries over.\n"),
            count => {
                let _fits = writeln!(text, "Not carried over, or not as it was: {count}");
            }
        }
        for (at, Note { level, what, why, todo, places }) in notes.iter().enumerate() {
            let open = if *level == Level::Open { "OPEN HERE, closed at AWS: " } else { "" };
            let _fits = writeln!(text, "\n{}. {open}{what}", at + 1);
            for place in places {
                let _fits = writeln!(text, "   at  {place}");
            }
            let _fits = writeln!(text, "   why {why}\n   do  {todo}");
        }
        let fields = self.bookkeeping.borrow();
        if !fields.is_empty() {
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let _fits = writeln!(text, "\nWithout a meaning outside of AWS: {}", fields.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_and_what_opens_first() {
        let notes = Notes::default();
        notes.add(Note::lost("a", "b", "c").at("$.one"));
        notes.add(Note::lost("a", "b", "c").at("$.two"));
        notes.add(Note::open("x", "y", "z").at("$.three\u{1b}[2J"));
        notes.bookkeeping("ETag");
        notes.bring("hooks/a.wasm", "the function `a`");
        let expected = "Bring these files; paths are relative to this configuration:\n  hooks/a.wasm  the function `a`\n\n\
            Not carried over, or not as it was: 2\n\n\
            1. OPEN HERE, closed at AWS: x\n   at  $.three\\u{1b}[2J\n   why y\n   do  z\n\n\
            2. a\n   at  $.one\n   at  $.two\n   why b\n   do  c\n\nWithout a meaning outside of AWS: ETag\n";
        assert_eq!(notes.render(), expected);
        assert_eq!(Notes::default().render(), "Everything carries over.\n");
    }
}
