//! Cache and origin of a request that was let through: which key it has, and what the origin would get.

use std::sync::Arc;

use edgeweir_cache::{RequestDirectives, SetCookie};
use edgeweir_config::HostHeader;
use edgeweir_config::units::format_duration;
use http::HeaderName;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use pingora::http::RequestHeader;

use super::outcome::{Cache, Field, Origin, Part};
use crate::fault::Fault;
use crate::flow::cache::{Lookup, heeds_viewer, key_of, lookup};
use crate::flow::context::RequestCtx;
use crate::flow::origin;
use crate::snapshot::CachePolicy;

/// What the cache does with a request.
pub(super) fn cache(head: &RequestHeader, ctx: &mut RequestCtx) -> Option<Cache> {
    let behavior = ctx.behavior()?;
    let policy = Arc::clone(&behavior.cache);
    let length = head.headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    let bodyless = !length && !head.headers.contains_key(TRANSFER_ENCODING);
    let asked = lookup(head, bodyless, head.headers.contains_key(UPGRADE), behavior);
    let why = match asked {
        Lookup::Asked => "GET and HEAD without a body are looked up; what the origin says decides about storing",
        Lookup::Body => "the request has a body, which is not in the key",
        Lookup::Disabled => "all TTLs of the policy are zero",
        Lookup::Method => "only GET and HEAD are looked up",
        Lookup::Upgrade => "the connection becomes another protocol",
        Lookup::Condition => "`If-Match` and `If-Unmodified-Since` are for the origin to evaluate",
    };
    let cacheable = asked == Lookup::Asked;
    let parts = if cacheable { key_of(head, ctx).map(|key| key.parts()) } else { None };
    Some(Cache {
        policy: policy.name.clone(),
        cacheable,
        why: why.to_owned(),
        min_ttl: policy.rules.ttl.min.as_secs_f64(),
        default_ttl: policy.rules.ttl.default.as_secs_f64(),
        max_ttl: policy.rules.ttl.max.as_secs_f64(),
        stale_while_revalidate: policy.rules.stale_while_revalidate.into(),
        stale_if_error: policy.rules.stale_if_error.into(),
        notes: if cacheable { notes(head, &policy, ctx) } else { Vec::new() },
        purged_as: parts.as_deref().map(purged_as),
        tag_headers: policy.tag_headers.iter().map(ToString::to_string).collect(),
        key: parts.into_iter().flatten().map(|part| Part { name: part.name, value: part.value }).collect(),
    })
}

/// How a purge names the object with this key.
fn purged_as(parts: &[edgeweir_cache::key::KeyPart]) -> String {
    let value = |name: &str| parts.iter().find(|part| part.name == name).and_then(|part| part.value.as_deref());
    let query = value("query").map_or_else(String::new, |query| format!("?{query}"));
    let path = format!("{}{query}", value("path").unwrap_or("/"));
    let distribution = value("distribution").unwrap_or_default();
    match value("host") {
        Some(host) => format!("`{host}{path}`, or `{path}` of the distribution `{distribution}`"),
        None => format!("`{path}` of the distribution `{distribution}`, or under any of its hosts: they share it"),
    }
}

/// What the policy and the request's own fields mean for looking up and storing.
fn notes(head: &RequestHeader, policy: &CachePolicy, ctx: &RequestCtx) -> Vec<String> {
    let mut notes = Vec::new();
    let asked = RequestDirectives::of(&head.headers);
    if asked.only_if_cached {
        notes.push("`only-if-cached`: 504 if nothing is stored".to_owned());
    }
    if asked.no_store {
        notes.push("`no-store`: the answer is not stored; a stored one may answer".to_owned());
    }
    let wish = RequestDirectives { no_store: false, only_if_cached: false, ..asked };
    if wish != RequestDirectives::default() {
        let heeded = heeds_viewer(policy, ctx);
        let verb = if heeded { "heeds" } else { "ignores" };
        notes.push(format!("the policy {verb} what the viewer's `Cache-Control` or `Pragma` asks of the cache"));
    }
    if head.headers.contains_key(AUTHORIZATION) {
        notes.push(
            "`Authorization`: stored only if the answer says `public`, `must-revalidate` or `s-maxage`".to_owned(),
        );
    }
    if policy.rules.set_cookie == SetCookie::Strip {
        notes.push("answers that set cookies are stored without them".to_owned());
    }
    if policy.rules.heuristic {
        notes.push("without a lifetime: a tenth of the time since `Last-Modified`".to_owned());
    }
    if let Some(admit) = policy.admit {
        let (after, within) = (admit.after, format_duration(admit.within));
        notes.push(format!("stored only if it is asked for {after} times within {within}"));
    }
    for (status, ttl) in &policy.rules.errors {
        notes.push(format!("{status} is fresh for at least {}", format_duration(*ttl)));
    }
    notes
}

/// What the origin gets. `sent` is the viewer's head after the gate.
///
/// # Errors
/// The fault that would answer.
pub(super) fn origin(sent: &RequestHeader, ctx: &mut RequestCtx, cacheable: bool) -> Result<Origin, Fault> {
    let mut head = sent.clone();
    origin::prepare(&mut head, ctx, cacheable)?;
    origin::finish(&mut head, ctx)?;
    let chosen = ctx.origin().ok_or(Fault::Internal)?;
    let config = &chosen.config;
    let mut headers = Vec::new();
    for (name, value) in &head.headers {
        let same = sent.headers.get_all(name).iter().any(|had| had == value);
        if same || name == HOST {
            continue;
        }
        let secret = value.is_sensitive();
        let value = if secret { "***".into() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() };
        headers.push(Field { name: name.as_str().to_owned(), value, why: why(name, ctx) });
    }
    let gone = sent.headers.keys().filter(|name| !head.headers.contains_key(*name));
    let removed = gone.map(|name| Field {
        name: name.as_str().to_owned(),
        value: sent
            .headers
            .get(name)
            .map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into()),
        why: "it is not in the cache key, so the answer must not depend on it".to_owned(),
    });
    Ok(Origin {
        name: config.name.clone(),
        why: match ctx.origin_group() {
            Some(group) => format!("the first of the behavior's origin group `{}`", group.name),
            None => "the origin of the behavior".to_owned(),
        },
        url: config.directory.as_ref().map_or_else(
            || {
                format!(
                    "{}://{}:{}{}",
                    if config.tls { "https" } else { "http" },
                    if config.host.contains(':') { format!("[{}]", config.host) } else { config.host.clone() },
                    config.port,
                    config.path_prefix
                )
            },
            |directory| directory.display().to_string(),
        ),
        host: head.headers.get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned()),
        host_why: match config.host_header {
            HostHeader::Origin => "the origin's own name, as `host_header` is not set otherwise",
            HostHeader::Viewer => "the viewer's, by `host_header`",
            HostHeader::Fixed(_) => "fixed by `host_header`",
        },
        target: String::from_utf8_lossy(head.raw_path()).into_owned(),
        headers,
        removed: removed.collect(),
    })
}

/// What put a field there.
fn why(name: &HeaderName, ctx: &RequestCtx) -> String {
    let origin = ctx.origin().filter(|origin| origin.headers.iter().any(|(own, _)| own == name));
    if let Some(origin) = origin {
        return format!("`headers` of the origin `{}`", origin.config.name);
    }
    if ctx.behavior().is_some_and(|behavior| behavior.viewer_headers.iter().any(|header| header.name == name)) {
        return "`viewer_headers` of the behavior".to_owned();
    }
    match name.as_str() {
        "via" => "each gateway says what it received (RFC 9110, 7.6.3)",
        "x-forwarded-for" => "the viewer's address and the proxies that are trusted",
        "x-forwarded-proto" => "what the viewer spoke",
        "x-forwarded-host" => "the host that the viewer asked for",
        "x-request-id" => "the id of the request, a new one for each unless a trusted proxy sends one",
        "accept-encoding" => "what of it is in the cache key, by `accept_encoding` of the policy",
        "authorization" | "x-amz-date" | "x-amz-content-sha256" | "x-amz-security-token" => {
            "`sigv4` of the origin signs"
        }
        "cookie" => "only the cookies that are in the cache key",
        _ => "changed by the edge",
    }
    .to_owned()
}
