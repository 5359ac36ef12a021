//! Groups of origins: members and statuses.

use std::collections::HashMap;

use super::{first_or_report, no_duplicates};
use crate::decode::Field;
use crate::report::{Problem, Report};
use crate::schema::{File, OriginGroup};

/// Statuses for which another origin can be asked (CloudFront API Reference, "OriginGroupFailoverCriteria").
const STATUSES: [u64; 9] = [400, 403, 404, 416, 429, 500, 502, 503, 504];
/// Each member costs a request that fails its time.
const MAX_MEMBERS: usize = 8;

pub(super) fn check(file: &File, out: &mut Report) {
    let Field::Given(groups) = &file.origin_groups else { return };
    for name in groups.get_ref().names() {
        let origins = file.origins.value().into_iter().flat_map(|origins| origins.names());
        if let Some(origin) = origins.into_iter().find(|origin| origin.get_ref() == name.get_ref()) {
            let message = format!("an origin has the name `{}` already", name.get_ref());
            out.push(
                Problem::error("duplicate", name.span(), message)
                    .also(origin.span(), "this one")
                    .help("`origin = …` takes names of both"),
            );
        }
    }
    for (_, group) in groups.get_ref().iter() {
        check_members(group, out);
        check_statuses(group, out);
    }
}

fn check_members(group: &OriginGroup, out: &mut Report) {
    let Some(members) = group.members.given() else { return };
    let list = members.get_ref();
    no_duplicates(&list.items, "member", |name| &name.0, out);
    if list.items.len() < 2 && !list.broken {
        out.push(
            Problem::error("too-few", members.span(), "a group has at least two members")
                .help("for one origin use its own name"),
        );
    }
    if let Some(first_over) = list.items.get(MAX_MEMBERS) {
        let message = format!("a group has at most {MAX_MEMBERS} members");
        out.push(Problem::error("too-many", first_over.span(), message));
    }
}

fn check_statuses(group: &OriginGroup, out: &mut Report) {
    let Some(statuses) = group.statuses.value() else { return };
    let mut seen = HashMap::new();
    for status in &statuses.items {
        let code = status.get_ref().0;
        first_or_report(&mut seen, code, status.span(), || format!("status {code} is listed twice"), out);
        if !STATUSES.contains(&code) {
            let known: Vec<String> = STATUSES.iter().map(u64::to_string).collect();
            out.push(
                Problem::error("bad-value", status.span(), format!("status {code} cannot make another origin answer"))
                    .help(format!("statuses that can: {}", known.join(", "))),
            );
        }
    }
}
