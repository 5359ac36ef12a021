//! Rules about what values mean together. Every rule runs, whatever others found; what could not be read is passed over,
//! because the report speaks of it already.
//!
//! Knows the text types of `schema` only. Names that do not exist are found by `resolve`.

mod acme;
mod answers;
mod authorizer;
mod bindings;
mod bucket;
mod cache;
mod distributions;
mod errors;
mod headers;
mod hooks;
mod jwks;
mod key_value;
mod keys;
mod limits;
mod listeners;
mod origin_groups;
mod origins;
mod routing;
mod server;
mod signed;
mod state;
mod viewer;

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

use toml::Spanned;

use crate::decode::Field;
use crate::report::{Problem, Report};
use crate::schema::File;

/// Runs all rules.
pub(crate) fn check(file: &File, out: &mut Report) {
    server::check(file, out);
    listeners::check(file, out);
    acme::check(file, out);
    cache::check(file, out);
    origins::check(file, out);
    origin_groups::check(file, out);
    hooks::check(file, out);
    key_value::check(file, out);
    jwks::check(file, out);
    keys::check(file, out);
    limits::check(file, out);
    answers::check(file, out);
    signed::check(file, out);
    headers::check(file, out);
    errors::check(file, out);
    bucket::check(file, out);
    state::check(file, out);
    distributions::check(file, out);
    viewer::check(file, out);
}

/// Reports what is listed a second time. `text` is what counts and what is shown.
fn no_duplicates<'a, T: 'a>(
    items: impl IntoIterator<Item = &'a Spanned<T>>,
    what: &str,
    text: impl Fn(&T) -> &str,
    out: &mut Report,
) {
    let mut seen: HashMap<String, Range<usize>> = HashMap::new();
    for item in items {
        let word = text(item.get_ref()).to_owned();
        first_or_report(&mut seen, word.clone(), item.span(), || format!("{what} `{word}` is listed twice"), out);
    }
}

/// Remembers where `key` was first; reports a second time.
fn first_or_report<K: Hash + Eq>(
    seen: &mut HashMap<K, Range<usize>>,
    key: K,
    span: Range<usize>,
    message: impl FnOnce() -> String,
    out: &mut Report,
) {
    if let Some(first) = seen.get(&key) {
        out.push(Problem::error("duplicate", span, message()).label("again here").also(first.clone(), "first here"));
    } else {
        seen.insert(key, span);
    }
}

/// Whether there is a geo database. One that could not be read counts.
fn has_geo(file: &File) -> bool {
    match &file.geo {
        Field::Absent => false,
        Field::Broken => true,
        Field::Given(geo) => match &geo.get_ref().databases {
            Field::Absent => false,
            Field::Broken => true,
            Field::Given(list) => list.get_ref().broken || !list.get_ref().items.is_empty(),
        },
    }
}

/// Whether `name` (lower case) is in `list`, where a `*` at the end stands for any rest.
fn in_list(list: &[&str], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => *entry == name,
    })
}
