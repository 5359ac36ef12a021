//! Signed URLs: ids that can be told apart, groups with keys.

use std::collections::HashMap;

use super::{first_or_report, no_duplicates};
use crate::decode::{List, Opt, Text};
use crate::report::{Problem, Report};
use crate::schema::File;

/// Keys of a group, groups of a behavior. CloudFront has 5 and 4.
const MOST: usize = 100;

pub(super) fn check(file: &File, out: &mut Report) {
    let mut ids = HashMap::new();
    for (name, key) in file.public_keys.value().into_iter().flat_map(|named| named.iter()) {
        let (id, span) = match key.id.given() {
            Some(id) => (id.get_ref().0.clone(), id.span()),
            None => (name.get_ref().clone(), name.span()),
        };
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
            out.push(
                Problem::error("bad-value", span.clone(), "the id of a key is written in URLs")
                    .help("use letters, digits, `_`, `.` and `-`"),
            );
        }
        first_or_report(&mut ids, id.clone(), span, || format!("the key id `{id}` is taken already"), out);
    }
    for (_, group) in file.key_groups.value().into_iter().flat_map(|named| named.iter()) {
        let Some(keys) = group.keys.given() else { continue };
        if keys.get_ref().items.is_empty() && !keys.get_ref().broken {
            out.push(Problem::error("empty-list", keys.span(), "without keys nobody can sign for this group"));
        }
        no_duplicates(&keys.get_ref().items, "public key", |name| &name.0, out);
        check_length(keys.get_ref(), "a key group has at most 100 keys", out);
    }
    let distributions = file.distributions.value().into_iter().flat_map(|named| named.iter());
    for (_, distribution) in distributions {
        for behavior in distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice()) {
            check_trusted(&behavior.get_ref().trusted_key_groups, out);
        }
    }
}

fn check_trusted(written: &Opt<List<Text>>, out: &mut Report) {
    let Some(groups) = written.given() else { return };
    if groups.get_ref().items.is_empty() && !groups.get_ref().broken {
        // Who empties the list means to close or to open the behavior: nobody can tell which.
        out.push(
            Problem::error("empty-list", groups.span(), "without groups nobody could sign a URL")
                .help("name a key group, or remove `trusted_key_groups` to let everybody in"),
        );
    }
    no_duplicates(&groups.get_ref().items, "key group", |name| &name.0, out);
    check_length(groups.get_ref(), "a behavior trusts at most 100 key groups", out);
}

fn check_length(list: &List<Text>, message: &str, out: &mut Report) {
    if let Some(first_over) = list.items.get(MOST) {
        out.push(Problem::error("too-many", first_over.span(), message));
    }
}
