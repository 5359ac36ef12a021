//! Authorizers: that answers are kept for whoever asked, and that what needs one has one.

use toml::Spanned;

use crate::decode::{Field, Opt};
use crate::model::{CallerName, FailurePolicy, IdentitySource, identity_regex};
use crate::report::{Problem, Report};
use crate::schema::{Authorizer, Behavior, PerCaller};
use crate::units::{check_header_value, parse_header_name};

/// Most identity sources.
const MAX_SOURCES: usize = 16;
/// Headers that are the edge's or the connection's.
const FIXED: [&str; 14] = [
    "cdn-loop",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

pub(super) fn check(behavior: &Behavior, out: &mut Report) {
    check_caller(behavior, &behavior.per_caller, out);
    let Some(given) = behavior.authorizer.given() else { return };
    let authorizer = given.get_ref();
    check_identity(authorizer, given.span(), out);
    check_validation(authorizer, out);
    check_headers(authorizer, out);
    if let Some(challenge) = authorizer.challenge.given()
        && let Err(error) = check_header_value(&challenge.get_ref().0)
    {
        out.push(Problem::error("bad-value", challenge.span(), error.to_string()));
    }
    if let Some(policy) = authorizer.on_failure.given()
        && *policy.get_ref() == FailurePolicy::Open
    {
        let message = "an authorizer that fails must not let everybody in";
        out.push(Problem::error("bad-value", policy.span(), message).help("write \"closed\" or \"last-good\""));
    }
    if let Some(size) = authorizer.fetch_max.given().filter(|_| authorizer.fetch.is_absent()) {
        let help = "list the origins that the hook may ask in `fetch`, or leave `fetch_max` out";
        out.push(Problem::error("no-effect", size.span(), "`fetch_max` does nothing without `fetch`").help(help));
    }
}

fn check_identity(authorizer: &Authorizer, span: std::ops::Range<usize>, out: &mut Report) {
    let Some(list) = authorizer.identity.given() else { return };
    let sources = &list.get_ref().items;
    if let Some(first_over) = sources.get(MAX_SOURCES) {
        let message = format!("an authorizer has at most {MAX_SOURCES} identity sources");
        out.push(Problem::error("too-many", first_over.span(), message));
    }
    for (at, source) in sources.iter().enumerate() {
        if let Some(first) = sources.iter().take(at).find(|other| other.get_ref().0 == source.get_ref().0) {
            out.push(
                Problem::error("duplicate", source.span(), "this identity source is listed twice")
                    .label("again here")
                    .also(first.span(), "first here"),
            );
        }
    }
    let keeps = match &authorizer.ttl {
        Field::Given(ttl) => !ttl.get_ref().0.is_zero(),
        Field::Absent => true,
        Field::Broken => false,
    };
    if sources.is_empty() && !list.get_ref().broken && keeps {
        out.push(
            Problem::error(
                "empty-list",
                list.span(),
                "without identity sources one answer would be kept for everybody",
            )
            .also(span, "of this authorizer")
            .help("list what tells who asks, or write `ttl = \"0s\"`"),
        );
    }
}

/// Its time is linear in the token's length, whatever it says (the `regex` crate knows no back-references); its size is bounded.
fn check_validation(authorizer: &Authorizer, out: &mut Report) {
    let Some(given) = authorizer.identity_validation.given() else { return };
    if let Err(error) = identity_regex(&given.get_ref().0) {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        out.push(Problem::error("bad-value", given.span(), "this is no regular expression").label(why));
    }
    let is_value = |source: &IdentitySource| {
        matches!(source, IdentitySource::Header(_) | IdentitySource::Query(_) | IdentitySource::Cookie(_))
    };
    if let Some(list) = authorizer.identity.value()
        && !list.broken
        && !list.items.iter().any(|source| is_value(&source.get_ref().0))
    {
        out.push(
            Problem::error("no-effect", given.span(), "there is no token that could match")
                .help("add a `header:NAME`, `query:NAME` or `cookie:NAME` to `identity`"),
        );
    }
}

fn check_headers(authorizer: &Authorizer, out: &mut Report) {
    let Some(headers) = authorizer.headers.value() else {
        if let Some(share) = authorizer.share_cache.given() {
            let message = "`share_cache` does nothing without `headers`";
            out.push(Problem::error("no-effect", share.span(), message).help("remove it"));
        }
        return;
    };
    for name in headers.names() {
        match parse_header_name(name.get_ref()) {
            Err(error) => {
                out.push(Problem::error("bad-value", name.span(), error.to_string()).maybe_help(error.help()));
            }
            Ok(lower) if FIXED.contains(&lower.as_str()) => {
                out.push(Problem::error("bad-value", name.span(), format!("`{lower}` is the edge's own")));
            }
            Ok(_) => {}
        }
    }
}

/// A limit by what an authorizer says, and no authorizer.
fn check_caller(behavior: &Behavior, limit: &Opt<PerCaller>, out: &mut Report) {
    let Some(limit) = limit.value() else { return };
    let Some(by) = limit.by.given() else { return };
    let said = matches!(by.get_ref().0, CallerName::Principal | CallerName::Context(_));
    if said && behavior.authorizer.is_absent() {
        no_authorizer(by, out);
    }
    let headers = behavior.authorizer.value().and_then(|authorizer| authorizer.headers.value());
    if let (CallerName::Header(name), Some(headers)) = (&by.get_ref().0, headers)
        && let Some(set) = headers.names().find(|set| set.get_ref().eq_ignore_ascii_case(name))
    {
        out.push(
            Problem::error("bad-value", by.span(), format!("`{name}` counts as the viewer sent it"))
                .also(set.span(), "the authorizer sets it later")
                .help("write `principal` or `context:NAME`: what the authorizer says"),
        );
    }
}

/// Of a distribution: that one of its behaviors has an authorizer.
pub(super) fn check_distribution(limit: &Opt<PerCaller>, behaviors: &[Spanned<Behavior>], out: &mut Report) {
    let Some(by) = limit.value().and_then(|limit| limit.by.given()) else { return };
    let said = matches!(by.get_ref().0, CallerName::Principal | CallerName::Context(_));
    if said && behaviors.iter().all(|behavior| behavior.get_ref().authorizer.is_absent()) {
        no_authorizer(by, out);
    }
}

fn no_authorizer(by: &Spanned<crate::schema::Caller>, out: &mut Report) {
    out.push(
        Problem::error("no-effect", by.span(), "there is no authorizer that could say it")
            .help("add `authorizer = { hook = \"…\" }` to a behavior, or write `header:NAME`"),
    );
}
