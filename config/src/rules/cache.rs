//! The cache and its policies.

use toml::Spanned;

use super::{has_geo, in_list, no_duplicates};
use crate::decode::{Text, Time};
use crate::model::{ViewerDirectives, ViewerFact};
use crate::report::{Problem, Report};
use crate::resolve::{DEFAULT_CAPACITY, PRESETS, viewer_fact, viewer_prefix};
use crate::schema::{CachePolicy, File, Selection};
use crate::units::{format_duration, format_size};

/// Most names in one list of a policy.
const MAX_NAMES: usize = 64;

/// Headers that cannot be in a cache key: CloudFront Developer Guide, "HTTP request headers and CloudFront behavior", and for
/// the viewer's address, ASN and TLS "Add CloudFront request headers".
///
/// Then those that the edge writes itself into what origins get, anew for each request: viewers' requests do not have them, or
/// have others, so a key made of what viewers send would mix up answers that differ by them.
const NOT_IN_KEY: [&str; 23] = [
    "cache-control",
    "cloudfront-viewer-address",
    "cloudfront-viewer-asn",
    "cloudfront-viewer-tls",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "max-forwards",
    "pragma",
    "proxy-*",
    "request-range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amz-cf-*",
    "x-edge-*",
    "x-real-ip",
    // The edge's own.
    "forwarded",
    "via",
    "x-forwarded-*",
    "x-request-id",
];

/// Statuses from 400 on that are never stored: a question to one viewer, or an answer that depends on what is not in the key
/// (RFC 9110, 15.5, and RFC 6585). The cache has the same list, as those that it stores `Never`.
const NEVER_STORED: [u16; 11] = [401, 407, 412, 416, 417, 421, 428, 429, 431, 505, 511];

/// Why a life is not to be given to errors with this status, if it is not.
pub(super) fn never_stored(status: u16) -> Option<(String, String)> {
    let never: Vec<String> = NEVER_STORED.map(|status| status.to_string()).to_vec();
    NEVER_STORED.contains(&status).then(|| {
        let help = format!("remove it; all statuses from 400 to 599 can be stored but {}", never.join(", "));
        (format!("an answer with the status {status} is never stored"), help)
    })
}

pub(super) fn check(file: &File, out: &mut Report) {
    if let Some(cache) = file.cache.value()
        && let Some(object) = cache.max_object.given()
        && (cache.capacity.is_absent() || cache.capacity.given().is_some())
    {
        let capacity = cache.capacity.value().map_or(DEFAULT_CAPACITY, |size| size.0);
        if object.get_ref().0 > capacity {
            out.push(
                Problem::error("out-of-range", object.span(), "`max_object` is larger than the whole cache")
                    .label(format!("over {}", format_size(capacity)))
                    .help("raise `capacity` or lower `max_object`"),
            );
        }
    }
    let Some(policies) = file.cache_policies.value() else { return };
    for name in policies.names() {
        if PRESETS.iter().any(|preset| preset.name == name.get_ref()) {
            out.push(
                Problem::error("preset", name.span(), format!("`{}` is a preset", name.get_ref()))
                    .label("cannot be changed")
                    .help("give your policy another name"),
            );
        }
    }
    let geo = has_geo(file);
    for (_, policy) in policies.iter() {
        check_ttls(policy, out);
        check_key(policy, (geo, viewer_prefix(file)), out);
        check_errors(policy, out);
        check_collapse(policy, out);
        check_trust(policy, file, out);
    }
}

fn check_errors(policy: &CachePolicy, out: &mut Report) {
    let Some(errors) = policy.errors.value() else { return };
    for status in errors.names() {
        let text = status.get_ref();
        if !(text.len() == 3 && text.parse().is_ok_and(|status: u16| (400..600).contains(&status))) {
            out.push(
                Problem::error("bad-status", status.span(), format!("`{text}` is no status of an error"))
                    .help("write a status from 400 to 599, such as `404`"),
            );
        } else if let Some((message, help)) = text.parse().ok().and_then(never_stored) {
            out.push(Problem::error("no-effect", status.span(), message).help(help));
        }
    }
}

/// Without `collapse` nothing is fetched in the background, so nothing answers while it is.
fn check_collapse(policy: &CachePolicy, out: &mut Report) {
    let (Some(collapse), Some(stale)) = (policy.collapse.given(), policy.stale_while_revalidate.given()) else {
        return;
    };
    if collapse.get_ref().0.is_zero() && !stale.get_ref().0.is_zero() {
        out.push(
            Problem::warning("no-effect", stale.span(), "nothing is fetched in the background")
                .label("does nothing")
                .also(collapse.span(), "with `collapse = \"0s\"` no request waits for another's fetch")
                .help("leave `collapse` out, or remove `stale_while_revalidate`"),
        );
    }
}

/// Nobody is trusted unless the file says who.
fn check_trust(policy: &CachePolicy, file: &File, out: &mut Report) {
    let Some(directives) = policy.viewer_directives.given() else { return };
    let trusted = !file.trusted_proxies.is_absent();
    if *directives.get_ref() == ViewerDirectives::Trusted && !trusted {
        out.push(
            Problem::warning("no-effect", directives.span(), "no viewer is trusted")
                .label("needs `trusted_proxies`")
                .help("add `trusted_proxies = [ … ]` at the top of the file"),
        );
    }
}

fn check_ttls(policy: &CachePolicy, out: &mut Report) {
    let given = [
        ("min_ttl", policy.min_ttl.given()),
        ("default_ttl", policy.default_ttl.given()),
        ("max_ttl", policy.max_ttl.given()),
    ];
    let given: Vec<_> = given.into_iter().filter_map(|(name, ttl)| Some((name, ttl?))).collect();
    for pair in given.windows(2) {
        let [(low_name, low), (high_name, high)] = pair else { continue };
        let (Time(low_ttl), Time(high_ttl)) = (low.get_ref(), high.get_ref());
        if low_ttl > high_ttl {
            out.push(
                Problem::error("ttl-order", high.span(), format!("`{high_name}` is less than `{low_name}`"))
                    .label(format!("less than {}", format_duration(*low_ttl)))
                    .also(low.span(), format!("`{low_name}` is here")),
            );
        }
    }
}

fn check_key(policy: &CachePolicy, known: (bool, &str), out: &mut Report) {
    if let Some(headers) = policy.headers.given() {
        let list = &headers.get_ref().items;
        if let Some(codings) = policy.accept_encoding.given()
            && let Some(header) = list.iter().find(|header| header.get_ref().0 == "accept-encoding")
        {
            out.push(
                Problem::error("twice-in-key", header.span(), "`accept-encoding` is in the cache key already")
                    .label("would be in it as each viewer spells it")
                    .also(codings.span(), "`accept_encoding` puts it there in one spelling")
                    .help("remove one of the two"),
            );
        }
        no_duplicates(list, "header", |name| &name.0, out);
        for header in list {
            let name = header.get_ref().0.as_str();
            let not_in_key = |fact: ViewerFact| {
                let of_connection = fact.is_of_head() || fact.is_fingerprint();
                of_connection
                    || matches!(fact, ViewerFact::Address | ViewerFact::Asn | ViewerFact::Tls)
                    || matches!(fact, ViewerFact::CertValidity | ViewerFact::CertPem)
            };
            let fact = viewer_fact(name, known.1);
            if !in_list(&NOT_IN_KEY, name) && !fact.is_some_and(not_in_key) {
                check_known(name, known, header.span(), out);
                continue;
            }
            let help = match name {
                "cookie" => "choose cookies with `cookies = [ … ]`".to_owned(),
                "x-forwarded-host" => "put `\"Host\"` in the key: the edge makes it of that".to_owned(),
                "x-forwarded-proto" => "remove it; the scheme is in every key".to_owned(),
                _ => "remove it; it differs between connections or is the edge's own".to_owned(),
            };
            out.push(
                Problem::error("not-in-key", header.span(), format!("`{name}` cannot be in a cache key")).help(help),
            );
        }
        too_many(list.len(), headers.span(), "headers", out);
    }
    if let Some(headers) = policy.tag_headers.given() {
        for header in headers.get_ref().items.iter().filter(|header| NO_TAGS.contains(&header.get_ref().0.as_str())) {
            let message = format!("`{}` cannot hold cache tags", header.get_ref().0);
            out.push(
                Problem::error("not-for-tags", header.span(), message)
                    .label("viewers and caches need it, and fields with tags are taken off")
                    .help("name a field of the origin's own, as `Cache-Tag` or `Surrogate-Key`"),
            );
        }
        no_duplicates(&headers.get_ref().items, "header", |name| &name.0, out);
        too_many(headers.get_ref().items.len(), headers.span(), "headers", out);
    }
    for (what, field) in [
        ("cookie", &policy.cookies),
        ("query parameter", &policy.query),
        ("header", &policy.forward_headers),
        ("cookie", &policy.forward_cookies),
        ("query parameter", &policy.forward_query),
    ] {
        let Some(selection) = field.given() else { continue };
        let (Selection::Only(names) | Selection::Except(names)) = selection.get_ref() else { continue };
        check_names(names, what, out);
        no_duplicates(names, what, |name| &name.0, out);
        too_many(names.len(), selection.span(), what, out);
    }
}

/// Fields that mean something else to whoever reads a response (RFC 9110, 9111).
const NO_TAGS: [&str; 24] = [
    "accept-ranges",
    "age",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "set-cookie",
    "surrogate-control",
    "transfer-encoding",
    "vary",
    "via",
    "www-authenticate",
];

/// Names that select nothing: a star is a name like any other, and cookies have a key of their own.
fn check_names(names: &[Spanned<Text>], what: &str, out: &mut Report) {
    for name in names {
        let text = name.get_ref().0.as_str();
        if text.contains('*') && what != "query parameter" {
            out.push(
                Problem::error("no-effect", name.span(), format!("`{text}` is the name of no {what}"))
                    .label("`*` stands for nothing else here")
                    .help("write names in full, or \"all\" in place of the list"),
            );
        } else if text == "*" {
            out.push(
                Problem::warning("no-effect", name.span(), "this is the parameter that is called `*`")
                    .help("write \"all\" in place of the list if you mean all of them"),
            );
        } else if what == "header" && text.eq_ignore_ascii_case("cookie") {
            out.push(
                Problem::error("no-effect", name.span(), "cookies are not chosen by `forward_headers`")
                    .help("choose cookies with `cookies`, which puts them in the key, or `forward_cookies`"),
            );
        }
    }
}

/// A fact about the viewer that nobody knows is the same for all.
fn check_known(name: &str, (geo, prefix): (bool, &str), span: std::ops::Range<usize>, out: &mut Report) {
    if !geo && viewer_fact(name, prefix).is_some_and(ViewerFact::is_geo) {
        out.push(
            Problem::warning("no-effect", span, format!("`{name}` does nothing in the cache key"))
                .label("needs a geo database")
                .help("add `databases = [ … ]` to `[geo]`"),
        );
    }
}

fn too_many(count: usize, span: std::ops::Range<usize>, what: &str, out: &mut Report) {
    if count > MAX_NAMES {
        out.push(Problem::error("too-many", span, format!("a list of {what} has at most {MAX_NAMES} names")));
    }
}
