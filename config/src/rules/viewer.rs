//! Facts about viewers: those that a behavior sends are known, and can be known.

use std::collections::HashMap;

use toml::Spanned;

use super::{first_or_report, has_geo, in_list, origins};
use crate::decode::Field;
use crate::model::{VIEWER_PREFIX, ViewerFact};
use crate::report::{Problem, Report};
use crate::resolve::{viewer_fact, viewer_prefix};
use crate::schema::{Behavior, File};
use crate::suggest;

/// Facts that CloudFront has and this edge cannot know, and why.
const UNSUPPORTED: [(&str, &str); 2] = [
    ("Error-Uri", "error pages have no request of their own"),
    ("Error-Args", "error pages have no request of their own"),
];

/// Fields of a request that have their own meaning, beside those that no origin header can have.
const NOT_NAMES: [&str; 18] = [
    "accept*",
    "access-control-*",
    "authorization",
    "cdn-loop",
    "content-*",
    "date",
    "early-data",
    "forwarded",
    "origin",
    "priority",
    "referer",
    "sec-*",
    "traceparent",
    "user-agent",
    "vary",
    "x-forwarded-*",
    "x-http-method*",
    "x-request-id",
];

pub(super) fn check(file: &File, out: &mut Report) {
    let geo = has_geo(file);
    if let Some(viewer) = file.viewer.value() {
        if let Some(prefix) = viewer.header_prefix.given() {
            let text = prefix.get_ref().0.as_str();
            if !text.ends_with('-') || text.len() < 3 || reserved(text) {
                out.push(
                    Problem::error("bad-value", prefix.span(), format!("`{text}` cannot be the prefix of viewer headers"))
                        .help("write one of your own that ends with `-`, as in `Edge-`; fields of viewers that begin so are dropped"),
                );
            }
        }
        if let (Some(header), true) = (viewer.address_header.given(), file.trusted_proxies.is_absent()) {
            out.push(
                Problem::warning("no-effect", header.span(), "nobody is trusted to say who asks")
                    .label("needs `trusted_proxies`")
                    .help("add `trusted_proxies = [ … ]` at the top of the file"),
            );
        }
    }
    let prefix = viewer_prefix(file);
    let distributions = file.distributions.value().into_iter().flat_map(|named| named.iter());
    for (_, distribution) in distributions {
        let key_header = distribution.api_key_header.value().map_or("x-api-key", |name| name.0.as_str());
        for behavior in distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice()) {
            check_behavior(behavior.get_ref(), geo, prefix, out);
            check_renamed(behavior.get_ref(), file, key_header, out);
        }
    }
}

/// Prefixes of fields that viewers and proxies need.
fn reserved(prefix: &str) -> bool {
    const RESERVED: [&str; 12] = [
        "accept-",
        "access-",
        "access-control-",
        "cache-",
        "content-",
        "if-",
        "proxy-",
        "sec-",
        "transfer-",
        "user-",
        "x-forwarded-",
        "x-amz-",
    ];
    RESERVED.contains(&prefix) || prefix == "x-"
}

fn check_behavior(behavior: &Behavior, geo: bool, prefix: &str, out: &mut Report) {
    let Field::Given(headers) = &behavior.viewer_headers else { return };
    let mut seen = HashMap::new();
    for header in &headers.get_ref().items {
        let header = header.get_ref();
        let text = header.fact.get_ref().as_str();
        match viewer_fact(text, prefix) {
            Some(fact) if fact.is_geo() && !geo => {
                out.push(
                    Problem::warning("no-effect", header.fact.span(), format!("`{text}` is never sent"))
                        .label("needs a geo database")
                        .help("add `databases = [ … ]` to `[geo]`"),
                );
            }
            Some(_) => {}
            None => out.push(unknown(text, header.fact.span())),
        }
        if let Some(name) = &header.header {
            check_name(name, prefix, out);
        }
        let name = header.header.as_ref().unwrap_or(&header.fact);
        let word = name.get_ref().to_ascii_lowercase();
        let message = || format!("viewer header `{}` is listed twice", name.get_ref());
        first_or_report(&mut seen, word, name.span(), message, out);
    }
}

/// What viewers send under a name of one's own is dropped: nothing else may rely on it.
fn check_renamed(behavior: &Behavior, file: &File, key_header: &str, out: &mut Report) {
    let Some(headers) = behavior.viewer_headers.value() else { return };
    let policy = behavior.cache_policy.value().and_then(|name| {
        let mut policies = file.cache_policies.value()?.iter();
        policies.find(|(known, _)| *known.get_ref() == name.0).map(|(_, policy)| policy)
    });
    let keyed = policy.and_then(|policy| policy.headers.value()).map_or(&[][..], |list| list.items.as_slice());
    for header in headers.items.iter().map(Spanned::get_ref) {
        let Some(name) = &header.header else { continue };
        let text = name.get_ref().as_str();
        if text == key_header {
            let message = format!("`{text}` is where viewers send their API key");
            out.push(Problem::error("header-not-allowed", name.span(), message).help("write another name"));
        }
        if let Some(key) = keyed.iter().find(|key| key.get_ref().0 == text) {
            let fact = header.fact.get_ref();
            out.push(
                Problem::error(
                    "header-not-allowed",
                    name.span(),
                    format!("`{text}` is in the cache key as viewers send it"),
                )
                .label("what viewers send under it is dropped, and answers for all of them would be one")
                .also(key.span(), "in the key here")
                .help(format!("write `{fact}` in `headers` of the cache policy")),
            );
        }
    }
}

/// A name of one's own is none that means something else, and one that applications cannot take for another.
fn check_name(name: &Spanned<String>, prefix: &str, out: &mut Report) {
    let text = name.get_ref().as_str();
    if text.contains('_') {
        out.push(
            Problem::error("header-not-allowed", name.span(), format!("`{text}` has a `_`"))
                .help("write `-`: many applications take both for one, and then the viewer's field for the edge's"),
        );
        return;
    }
    let of_facts = text.starts_with(prefix) || text.starts_with(VIEWER_PREFIX);
    if of_facts || in_list(&NOT_NAMES, text) || in_list(&origins::NOT_ADDED, text) {
        let help = match of_facts {
            true => "names that begin so are those of the facts: leave `header` out, or write another name",
            false => "write a name of your own, as in `X-Country`; what viewers send under it is dropped",
        };
        let message = format!("a fact about the viewer cannot be sent as `{text}`");
        out.push(Problem::error("header-not-allowed", name.span(), message).help(help));
    }
}

fn unknown(text: &str, span: std::ops::Range<usize>) -> Problem {
    let mut unsupported = UNSUPPORTED.into_iter();
    let named = text.split_at_checked(VIEWER_PREFIX.len()).map_or("", |(_, rest)| rest);
    if let Some((_, why)) = unsupported.find(|(name, _)| name.eq_ignore_ascii_case(named)) {
        return Problem::error("unsupported", span, format!("`{text}` cannot be sent")).label(why).help("remove it");
    }
    let known: Vec<String> = ViewerFact::ALL.iter().map(|(name, _)| format!("CloudFront-{name}")).collect();
    Problem::error("unknown-name", span, format!("unknown viewer header `{text}`")).maybe_help(suggest::did_you_mean(
        text,
        known.iter().map(String::as_str),
        "viewer headers",
    ))
}
