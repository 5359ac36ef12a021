//! Header fields that CloudFront adds about the viewer: here the edge's own facts, put in where a function's source names
//! them. What a viewer sent under such a name is never shown in their place.
//!
//! CloudFront Developer Guide, "Add CloudFront request headers".

use std::cell::RefCell;

use edgeweir_sdk::bindings::imports::edgeweir::hook::{request, viewer};

use crate::headers::Fields;

type Fact = fn() -> Option<String>;

fn is(kinds: &[&str]) -> Option<String> {
    Some(kinds.contains(&viewer::device().as_str()).to_string())
}

const FACTS: [(&str, Fact); 14] = [
    ("cloudfront-forwarded-proto", || Some(request::scheme())),
    ("cloudfront-is-desktop-viewer", || is(&["desktop"])),
    ("cloudfront-is-mobile-viewer", || is(&["mobile"])),
    ("cloudfront-is-smarttv-viewer", || is(&["tv"])),
    ("cloudfront-is-tablet-viewer", || is(&["tablet"])),
    ("cloudfront-viewer-address", || viewer::port().map(|port| format!("{}:{port}", viewer::address()))),
    ("cloudfront-viewer-asn", || viewer::asn().map(|asn| asn.to_string())),
    ("cloudfront-viewer-city", viewer::city),
    ("cloudfront-viewer-country", viewer::country),
    ("cloudfront-viewer-country-region", viewer::region),
    ("cloudfront-viewer-http-version", || Some(viewer::http_version())),
    ("cloudfront-viewer-latitude", || viewer::coordinates().map(|(latitude, _)| latitude.to_string())),
    ("cloudfront-viewer-longitude", || viewer::coordinates().map(|(_, longitude)| longitude.to_string())),
    ("cloudfront-viewer-time-zone", viewer::time_zone),
];

thread_local! {
    /// What the source names; part of the snapshot.
    static WANTED: RefCell<Vec<(&'static str, Fact)>> = const { RefCell::new(Vec::new()) };
}

/// Looks for names in a source, while it is built. A longer name holds a shorter one: one fact too many harms nobody.
pub(crate) fn want(source: &str) {
    let source = source.to_ascii_lowercase();
    WANTED.with_borrow_mut(|wanted| wanted.extend(FACTS.into_iter().filter(|(name, _)| source.contains(name))));
}

/// What the edge knows by this name; nothing where the source does not name it.
pub(crate) fn read(name: &str) -> Option<Option<String>> {
    let fact = WANTED.with_borrow(|wanted| wanted.iter().find(|(known, _)| *known == name).map(|(_, fact)| *fact));
    fact.map(|fact| fact())
}

/// Whether functions see a fact by this name.
pub(crate) fn is_wanted(name: &str) -> bool {
    WANTED.with_borrow(|wanted| wanted.iter().any(|(known, _)| *known == name))
}

/// Puts them among the request's fields.
pub(crate) fn add(fields: &mut Fields) {
    WANTED.with_borrow(|wanted| {
        if wanted.is_empty() {
            return;
        }
        fields.retain(|(name, _)| !wanted.iter().any(|(fact, _)| fact == name));
        for (name, fact) in wanted {
            if let Some(value) = fact() {
                fields.push(((*name).to_owned(), value));
            }
        }
    });
}
