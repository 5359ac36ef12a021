//! Facts about viewers: those that a behavior sends are known, and can be known.

use super::{has_geo, no_duplicates};
use crate::decode::Field;
use crate::model::{VIEWER_PREFIX, ViewerFact};
use crate::report::{Problem, Report};
use crate::resolve::viewer_prefix;
use crate::schema::{Behavior, File};
use crate::suggest;

/// Facts that CloudFront has and this edge cannot know, and why.
const UNSUPPORTED: [(&str, &str); 2] = [
    ("Error-Uri", "error pages have no request of their own"),
    ("Error-Args", "error pages have no request of their own"),
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
        for behavior in distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice()) {
            check_behavior(behavior.get_ref(), geo, prefix, out);
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

/// The fact that a name stands for, with the prefix or with CloudFront's.
pub(super) fn fact(name: &str, prefix: &str) -> Option<ViewerFact> {
    ViewerFact::of(name, VIEWER_PREFIX).or_else(|| ViewerFact::of(name, prefix))
}

fn check_behavior(behavior: &Behavior, geo: bool, prefix: &str, out: &mut Report) {
    let Field::Given(headers) = &behavior.viewer_headers else { return };
    for header in &headers.get_ref().items {
        let text = header.get_ref().0.as_str();
        match fact(text, prefix) {
            Some(fact) if fact.is_geo() && !geo => {
                out.push(
                    Problem::warning("no-effect", header.span(), format!("`{text}` is never sent"))
                        .label("needs a geo database")
                        .help("add `databases = [ … ]` to `[geo]`"),
                );
            }
            Some(_) => {}
            None => out.push(unknown(text, header.span())),
        }
    }
    no_duplicates(&headers.get_ref().items, "viewer header", |name| &name.0, out);
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
