//! Distributions and behaviors.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;

use super::{bindings, first_or_report, has_geo, no_duplicates, routing};
use crate::decode::{Field, Method, Named};
use crate::model::Stage;
use crate::report::{Problem, Report};
use crate::schema::{Behavior, Distribution, File};
use crate::suggest;

/// The smallest useful configuration.
pub(crate) const MINIMAL: &str = "the smallest useful configuration is

[origins.app]
url = \"http://127.0.0.1:3000\"

[distributions.site]
hosts = [\"*\"]
origin = \"app\"";

/// IANA's "Hypertext Transfer Protocol (HTTP) Method Registry" without what can never be let through, and `PURGE`.
const METHODS: [&str; 38] = [
    "GET",
    "HEAD",
    "OPTIONS",
    "PUT",
    "POST",
    "PATCH",
    "DELETE",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Most hooks at one stage of a behavior: each is a call of its own.
const MAX_HOOKS: usize = 16;

pub(super) fn check(file: &File, out: &mut Report) {
    let distributions = match &file.distributions {
        Field::Broken => return,
        Field::Absent => &Named(Vec::new()),
        Field::Given(distributions) => distributions.get_ref(),
    };
    if distributions.0.is_empty() {
        out.push(Problem::error("no-distributions", 0..0, "no distributions: nothing would be served").help(MINIMAL));
    }
    routing::check_https(file, out);
    let geo = has_geo(file);
    let mut hosts = HashMap::new();
    for (name, distribution) in distributions.iter() {
        check_hosts(distribution, &mut hosts, out);
        check_origin(name, distribution, out);
        check_key_source(distribution, out);
        let behaviors = distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice());
        check_order(behaviors, out);
        routing::check(distribution, geo, out);
        for behavior in behaviors {
            check_behavior(behavior.get_ref(), out);
        }
    }
}

fn check_key_source(distribution: &Distribution, out: &mut Report) {
    if let (Some(header), Some(query)) = (distribution.api_key_header.given(), distribution.api_key_query.given()) {
        out.push(
            Problem::error("no-effect", header.span(), "an API key comes from a header field or from the query")
                .also(query.span(), "the query is said here")
                .help("remove one of the two"),
        );
    }
}

fn check_hosts(distribution: &Distribution, seen: &mut HashMap<String, Range<usize>>, out: &mut Report) {
    let Some(hosts) = distribution.hosts.given() else { return };
    if hosts.get_ref().items.is_empty() && !hosts.get_ref().broken {
        out.push(
            Problem::error("empty-list", hosts.span(), "a distribution without hosts serves nothing")
                .help("write `hosts = [\"*\"]` for all hosts"),
        );
    }
    for host in &hosts.get_ref().items {
        let text = host.get_ref().0.as_str();
        let message = || format!("the host `{text}` is taken already");
        first_or_report(seen, text.to_owned(), host.span(), message, out);
    }
}

/// Each behavior has an origin: its own or the distribution's.
fn check_origin(name: &Spanned<String>, distribution: &Distribution, out: &mut Report) {
    if !distribution.origin.is_absent() {
        return;
    }
    let help = "add `origin = \"…\"` to the distribution or to each behavior";
    match &distribution.behaviors {
        Field::Given(list) if !list.get_ref().items.is_empty() || list.get_ref().broken => {
            for behavior in list.get_ref().items.iter().filter(|b| b.get_ref().origin.is_absent()) {
                out.push(
                    Problem::error("no-origin", behavior.span(), "this behavior has no origin")
                        .also(name.span(), "nor has its distribution")
                        .help(help),
                );
            }
        }
        Field::Broken => {}
        Field::Given(_) | Field::Absent => {
            let message = format!("the distribution `{}` has no origin", name.get_ref());
            out.push(Problem::error("no-origin", name.span(), message).help(help));
        }
    }
}

/// The first pattern that matches wins, so some behaviors never have a turn.
fn check_order(behaviors: &[Spanned<Behavior>], out: &mut Report) {
    let mut all: Option<Range<usize>> = None;
    let mut seen: HashMap<(&str, String), Range<usize>> = HashMap::new();
    for behavior in behaviors {
        // One that could not be read has some condition.
        if matches!(behavior.get_ref().matches, Field::Broken) {
            continue;
        }
        let conditions = crate::resolve::conditions(behavior.get_ref()).to_string();
        let (span, text, matches_all) = match &behavior.get_ref().path {
            Field::Given(path) => (path.span(), path.get_ref().0.as_str(), path.get_ref().0.matches_all()),
            Field::Absent => (behavior.span(), "*", true),
            Field::Broken => continue,
        };
        // A leading `/` may be left out, except before `*`.
        let same = if text.starts_with("/*") { text } else { text.strip_prefix('/').unwrap_or(text) };
        // What has no condition takes its requests, and what has the same.
        let earlier = seen.get(&(same, String::new())).or_else(|| seen.get(&(same, conditions.clone())));
        if let Some(first) = all.as_ref().or(earlier) {
            out.push(
                Problem::warning("never-matches", span, "this behavior can never match")
                    .also(first.clone(), "this one comes first and takes its requests")
                    .help("the first pattern that matches wins: put narrow patterns before wide ones"),
            );
            continue;
        }
        if matches_all && conditions.is_empty() {
            all = Some(span);
        } else {
            seen.insert((same, conditions), span);
        }
    }
}

/// Any method can be let through, but one that is nearly a known one was probably meant to be that.
fn check_methods(methods: &[Spanned<Method>], out: &mut Report) {
    for method in methods {
        let text = method.get_ref().0.as_str();
        if METHODS.contains(&text) {
            continue;
        }
        if let Some(near) = suggest::nearest(text, METHODS) {
            out.push(
                Problem::warning("unknown-method", method.span(), format!("unknown method `{text}`"))
                    .help(format!("did you mean `{near}`?")),
            );
        }
    }
}

fn check_behavior(behavior: &Behavior, out: &mut Report) {
    if let Some(methods) = behavior.methods.given() {
        if methods.get_ref().items.is_empty() && !methods.get_ref().broken {
            out.push(Problem::error("empty-list", methods.span(), "a behavior without methods refuses everything"));
        }
        no_duplicates(&methods.get_ref().items, "method", |method| &method.0, out);
        check_methods(&methods.get_ref().items, out);
    }
    let stages = behavior.hooks.value().map(|hooks| hooks.stages()).unwrap_or_default();
    for (stage, list) in Stage::ALL.into_iter().zip(stages) {
        let Some(list) = list else { continue };
        if let Some(first_over) = list.items.get(MAX_HOOKS) {
            let message = format!("a stage of a behavior has at most {MAX_HOOKS} hooks");
            out.push(Problem::error("too-many", first_over.span(), message));
        }
        for binding in &list.items {
            bindings::check(binding.get_ref(), stage, out);
        }
    }
}
