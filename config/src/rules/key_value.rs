//! Key-value stores: each has one source, and a binding lists each store once.

use crate::report::{Problem, Report};
use crate::schema::File;

/// Most stores of a config: each may hold 64 MiB.
const MAX_STORES: usize = 64;

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(stores) = file.key_value_stores.value() else { return };
    if let Some((name, _)) = stores.0.get(MAX_STORES) {
        let message = format!("{} key-value stores, at most {MAX_STORES}", stores.0.len());
        out.push(Problem::error("too-many", name.span(), message));
    }
    for (name, store) in stores.iter() {
        if store.entries.is_absent() == store.file.is_absent() {
            let message = format!("the entries of the key-value store `{}` come from one place", name.get_ref());
            let help = "write either `entries = { key = \"value\" }` or `file = \"entries.json\"`";
            out.push(Problem::error("bad-store", name.span(), message).help(help));
        }
    }
}
