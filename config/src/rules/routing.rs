//! Conditions, geo restrictions and viewer protocol: each says something that can hold.

use std::ops::Range;

use toml::Spanned;

use super::no_duplicates;
use crate::decode::{Field, List, Opt};
use crate::model::ViewerProtocolPolicy;
use crate::report::{Problem, Report};
use crate::schema::{Behavior, Distribution, File, GeoList, GeoRestriction, Listener, Match, Wanted};
use crate::units::parse_header_name;

/// Most networks or autonomous systems of a list: they are looked through one by one.
const MAX_LIST: usize = 1_000;
/// Most names of a kind in the conditions of a behavior.
const MAX_CONDITIONS: usize = 16;
/// Help where a geo database is needed.
const NEEDS_DATABASE: &str = "add `databases = [ … ]` to `[geo]`";

pub(super) fn check(distribution: &Distribution, geo: bool, out: &mut Report) {
    check_root_object(distribution, out);
    check_restriction(&distribution.geo_restriction, geo, false, out);
    let protocol = &distribution.viewer_protocol_policy;
    let behaviors = distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice());
    let redirects = |field: &Opt<ViewerProtocolPolicy>| match field {
        Field::Given(policy) => *policy.get_ref() == ViewerProtocolPolicy::RedirectToHttps,
        Field::Broken => true,
        Field::Absent => false,
    };
    let any = redirects(protocol) || behaviors.iter().any(|one| redirects(&one.get_ref().viewer_protocol_policy));
    for (key, span) in said(&distribution.redirect_status, &distribution.https_port) {
        without_redirect(key, span, any, out);
    }
    for behavior in behaviors {
        let Behavior { viewer_protocol_policy: own, redirect_status, https_port, geo_restriction, matches, .. } =
            behavior.get_ref();
        let redirects = if own.is_absent() { redirects(protocol) } else { redirects(own) };
        for (key, span) in said(redirect_status, https_port) {
            without_redirect(key, span, redirects, out);
        }
        check_restriction(geo_restriction, geo, true, out);
        if let Some(given) = matches.given() {
            check_match(given, geo, out);
        }
    }
}

fn said<A, B>(status: &Opt<A>, port: &Opt<B>) -> impl Iterator<Item = (&'static str, Range<usize>)> {
    let status = status.given().map(|given| ("redirect_status", given.span()));
    status.into_iter().chain(port.given().map(|given| ("https_port", given.span())))
}

fn without_redirect(key: &str, span: Range<usize>, redirects: bool, out: &mut Report) {
    if !redirects {
        out.push(
            Problem::warning("no-effect", span, format!("`{key}` does nothing: nothing is redirected"))
                .help("add `viewer_protocol_policy = \"redirect-to-https\"`, or remove it"),
        );
    }
}

fn check_root_object(distribution: &Distribution, out: &mut Report) {
    let Some(given) = distribution.default_root_object.given() else { return };
    let text = given.get_ref().0.as_str();
    let problem = |message: &str| Problem::error("bad-value", given.span(), message);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,=:@/".contains(c);
    if text.starts_with('/') {
        out.push(
            problem("a default root object has no leading `/`")
                .help(format!("write `{}`", text.trim_start_matches('/'))),
        );
    } else if !text.chars().all(plain) {
        out.push(
            problem("a default root object is a path without query").label("letters, digits and `-._~!$&'()*+,=:@/`"),
        );
    } else if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        out.push(
            problem("a default root object names a file").help("write it as in `index.html` or `site/index.html`"),
        );
    } else if !has_path(distribution, &format!("/{text}")) {
        out.push(
            Problem::warning(
                "no-behavior",
                given.span(),
                format!("`/` is always 404: no behavior has the path `/{text}`"),
            )
            .help("add a behavior for it, or correct the name"),
        );
    }
}

/// Whether a behavior has this path, conditions aside. One that could not be read may.
pub(super) fn has_path(distribution: &Distribution, path: &str) -> bool {
    let list = match &distribution.behaviors {
        Field::Broken | Field::Absent => return true,
        Field::Given(list) => list.get_ref(),
    };
    let takes = |behavior: &Spanned<Behavior>| match &behavior.get_ref().path {
        Field::Given(pattern) => pattern.get_ref().0.matches(path),
        Field::Absent | Field::Broken => true,
    };
    list.broken || list.items.is_empty() || list.items.iter().any(takes)
}

/// Policies that want HTTPS where nobody can come by it: no listener speaks TLS, and of no proxy it is believed that its viewer
/// did.
pub(super) fn check_https(file: &File, out: &mut Report) {
    let trusts = match &file.trusted_proxies {
        Field::Given(list) => list.get_ref().broken || !list.get_ref().items.is_empty(),
        Field::Broken => true,
        Field::Absent => false,
    };
    let speaks_tls = |listener: &Spanned<Listener>| match &listener.get_ref().certificates {
        Field::Given(list) => list.get_ref().broken || !list.get_ref().items.is_empty(),
        Field::Broken => true,
        Field::Absent => false,
    };
    // Behind a PROXY header the viewer is the other end, and nobody says for it how it came.
    let names_viewers = |listener: &Spanned<Listener>| match &listener.get_ref().proxy_protocol {
        Field::Given(given) => *given.get_ref(),
        Field::Broken | Field::Absent => false,
    };
    let brings_https = |listener: &Spanned<Listener>| speaks_tls(listener) || (trusts && !names_viewers(listener));
    let any = match &file.listeners {
        Field::Given(list) => list.get_ref().broken || list.get_ref().items.iter().any(brings_https),
        Field::Broken => true,
        Field::Absent => trusts,
    };
    if any {
        return;
    }
    let (label, help) = match trusts {
        true => (
            "no listener speaks HTTPS, and with `proxy_protocol` nobody says how the viewer came",
            "add `certificates` to a listener, or take `proxy_protocol` from one whose balancer sends `X-Forwarded-Proto`",
        ),
        false => (
            "no listener speaks HTTPS, and no proxy is trusted to say that its viewer did",
            "add `certificates` to a listener, or `trusted_proxies = [ … ]` with the balancer's address",
        ),
    };
    for (_, distribution) in file.distributions.value().into_iter().flat_map(|named| named.iter()) {
        let behaviors = distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice());
        let own = behaviors.iter().map(|behavior| &behavior.get_ref().viewer_protocol_policy);
        // The distribution's is for behaviors that say nothing.
        let inherited = behaviors.is_empty()
            || behaviors.iter().any(|behavior| behavior.get_ref().viewer_protocol_policy.given().is_none());
        let shared = inherited.then_some(&distribution.viewer_protocol_policy);
        for policy in own.chain(shared).filter_map(Field::given) {
            let what = match policy.get_ref() {
                ViewerProtocolPolicy::AllowAll => continue,
                ViewerProtocolPolicy::RedirectToHttps => "every request is redirected, and none is served",
                ViewerProtocolPolicy::HttpsOnly => "every request is refused",
            };
            out.push(Problem::warning("no-https", policy.span(), what).label(label).help(help));
        }
    }
}

fn check_restriction(written: &Opt<GeoRestriction>, geo: bool, lifts: bool, out: &mut Report) {
    let Some(given) = written.given() else { return };
    let GeoRestriction { allow, deny, unknown } = given.get_ref();
    if allow.is_absent() && deny.is_absent() {
        if !lifts || !unknown.is_absent() {
            out.push(
                Problem::warning("no-effect", given.span(), "this geo restriction refuses nobody")
                    .help("add `allow = { countries = [ … ] }` or `deny = { countries = [ … ] }`"),
            );
        }
        return;
    }
    for list in [allow, deny] {
        if let Some(list) = list.given() {
            check_list(list, geo, out);
        }
    }
}

fn check_list(given: &Spanned<GeoList>, geo: bool, out: &mut Report) {
    let GeoList { countries, continents, asns, cidrs } = given.get_ref();
    let empty = countries.is_absent() && continents.is_absent() && asns.is_absent() && cidrs.is_absent();
    if empty {
        out.push(
            Problem::error("empty-list", given.span(), "this list has nobody in it")
                .help("add `countries`, `continents`, `asns` or `cidrs`"),
        );
    }
    not_empty(countries, "country", out);
    not_empty(continents, "continent", out);
    not_empty(asns, "autonomous system", out);
    not_empty(cidrs, "network", out);
    if let Some(list) = countries.value() {
        no_duplicates(&list.items, "country", |country| &country.0, out);
    }
    for (what, span, count) in [
        ("asns", asns.given().map(Spanned::span), asns.value().map(|list| list.items.len())),
        ("cidrs", cidrs.given().map(Spanned::span), cidrs.value().map(|list| list.items.len())),
    ] {
        if let (Some(span), Some(count)) = (span, count)
            && count > MAX_LIST
        {
            out.push(Problem::error("too-many", span, format!("`{what}` has at most {MAX_LIST} entries")));
        }
    }
    // An error, not a warning: who is meant to be kept out would be let in, or the other way round.
    for (key, span) in [
        ("countries", countries.given().map(Spanned::span)),
        ("continents", continents.given().map(Spanned::span)),
        ("asns", asns.given().map(Spanned::span)),
    ] {
        if let (Some(span), false) = (span, geo) {
            out.push(
                Problem::error("no-database", span, format!("`{key}` needs a geo database"))
                    .label("nobody's would be known")
                    .help(NEEDS_DATABASE),
            );
        }
    }
}

fn not_empty<T>(written: &Opt<List<T>>, what: &str, out: &mut Report) {
    if let Some(list) = written.given()
        && list.get_ref().items.is_empty()
        && !list.get_ref().broken
    {
        out.push(Problem::error("empty-list", list.span(), format!("no {what} in the list")).help("remove the key"));
    }
}

fn check_match(given: &Spanned<Match>, geo: bool, out: &mut Report) {
    let Match { headers, cookies, query, methods, countries } = given.get_ref();
    if headers.is_absent() && cookies.is_absent() && query.is_absent() && methods.is_absent() && countries.is_absent() {
        out.push(
            Problem::warning("no-effect", given.span(), "no condition: every request meets it")
                .help("add `headers`, `cookies`, `query`, `methods` or `countries`"),
        );
    }
    not_empty(methods, "method", out);
    not_empty(countries, "country", out);
    if let Some(list) = methods.value() {
        no_duplicates(&list.items, "method", |method| &method.0, out);
    }
    if let Some(list) = countries.value() {
        no_duplicates(&list.items, "country", |country| &country.0, out);
    }
    for (what, wanted) in [("header fields", headers), ("cookies", cookies), ("parameters", query)] {
        let Some(given) = wanted.given() else { continue };
        if given.get_ref().0.len() > MAX_CONDITIONS {
            let message = format!("conditions speak of at most {MAX_CONDITIONS} {what}");
            out.push(Problem::error("too-many", given.span(), message));
        }
    }
    if let Some(Wanted(wanted)) = headers.value() {
        for (name, _) in wanted {
            check_header(name, out);
        }
    }
    if let (Some(span), false) = (countries.given().map(Spanned::span), geo) {
        out.push(
            Problem::error("no-database", span, "`countries` needs a geo database")
                .label("nobody's would be known")
                .help(NEEDS_DATABASE),
        );
    }
}

fn check_header(name: &Spanned<String>, out: &mut Report) {
    match parse_header_name(name.get_ref()) {
        Err(error) => out.push(Problem::error("bad-value", name.span(), error.to_string()).maybe_help(error.help())),
        Ok(lower) if lower == "cookie" => out.push(
            Problem::error("bad-value", name.span(), "cookies have conditions of their own")
                .help("write `cookies = { name = \"value\" }`"),
        ),
        Ok(_) => {}
    }
}
