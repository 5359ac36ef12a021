//! The key-leak detector: an answer that a hook made different by something that is neither in the cache key nor in `Vary`
//! would be another viewer's.
//!
//! A hook counts if it did something that shows in the answer and is not in the key by itself: it changed fields, left a note,
//! changed or made the answer. What it read for that is compared with the key. A hook that adds its own part to the key has
//! thought of it, and does not count.

use std::hash::{BuildHasher, Hasher};

use edgeweir_cache::vary;
use edgeweir_config::{KeyLeaks, Stage};
use edgeweir_hookhost::{Fact, ReadSet, RequestEdit};
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, COOKIE, HOST};
use pingora::http::ResponseHeader;

use super::context::RequestCtx;
use crate::edge::Core;
use crate::snapshot::{CachePolicy, ViewerFact};

/// Whether reads are to be recorded at a stage: before the answer is stored, where it may be, and if anybody wants to know.
pub(super) fn watched(ctx: &RequestCtx, stage: Stage) -> bool {
    stage != Stage::ViewerResponse
        && ctx
            .behavior()
            .is_some_and(|behavior| behavior.cache.key_leaks != KeyLeaks::Ignore && !behavior.cache.disabled)
}

/// Whether these edits of a request hook show in the answer without being in the key.
pub(crate) fn counts(edits: &[RequestEdit]) -> bool {
    let own_part = edits.iter().any(|edit| matches!(edit, RequestEdit::CacheKey(_)));
    !own_part && edits.iter().any(|edit| matches!(edit, RequestEdit::Header(_) | RequestEdit::Note(_)))
}

/// At origin-request also a new target or origin is not in the key.
pub(crate) fn counts_at_origin(edits: &[RequestEdit]) -> bool {
    !edits.is_empty()
}

/// Tells of leaks in a response that could be stored. Whether the policy forbids it.
pub(super) fn forbid(core: &Core, policy: &CachePolicy, head: &ResponseHeader, ctx: &RequestCtx) -> bool {
    let mut leaked = false;
    for read in &ctx.reads {
        let also = AlsoKeyed { host: ctx.sends_viewer_host(), caller: ctx.caller_keyed };
        let names = leaks(&read.reads, policy, &head.headers, also);
        if names.is_empty() {
            continue;
        }
        leaked = true;
        let (hook, stage) = (read.hook.name(), read.stage.as_str());
        let said = names.join(", ");
        if is_news(core, &[&policy.name, hook, stage, &said]) {
            let stored = policy.key_leaks != KeyLeaks::Refuse;
            tracing::warn!(
                request_id = ctx.id(),
                policy = policy.name,
                hook,
                stage,
                reads = said,
                stored,
                "an answer may depend on what is neither in the cache key nor in Vary"
            );
        }
    }
    if leaked {
        core.metrics.key_leaked();
    }
    leaked && policy.key_leaks == KeyLeaks::Refuse
}

/// Each leak is told once; of very many, some are told again.
pub(super) fn is_news(core: &Core, words: &[&str]) -> bool {
    /// So many are remembered.
    const TOLD: usize = 1024;
    let mut hasher = core.leaks_hasher.build_hasher();
    for word in words {
        hasher.write(word.as_bytes());
        hasher.write_u8(0xff);
    }
    let mut told = core.leaks_told.lock();
    if told.len() >= TOLD {
        told.clear();
    }
    told.insert(hasher.finish())
}

/// What is in the key beside what the policy names.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AlsoKeyed {
    /// The origin gets the viewer's host.
    pub(crate) host: bool,
    /// What the authorizer says of the caller goes on as headers.
    pub(crate) caller: bool,
}

/// What was read and is not in the key, in words.
pub(crate) fn leaks(reads: &ReadSet, policy: &CachePolicy, response: &HeaderMap, also: AlsoKeyed) -> Vec<String> {
    let varies = |name: &str| vary::names(response).any(|listed| listed.eq_ignore_ascii_case(name.as_bytes()));
    let keyed = |name: &str| policy.headers.iter().any(|key| key == name) || varies(name);
    let host_keyed = policy.headers.contains(&HOST) || also.host;
    let all_cookies = policy.cookies == edgeweir_cache::Selection::All || varies(COOKIE.as_str());
    let mut found = Vec::new();
    for name in &reads.headers {
        let covered = match &**name {
            "cookie" => all_cookies,
            "host" => host_keyed,
            other => keyed(other),
        };
        if !covered {
            found.push(format!("header {name}"));
        }
    }
    for name in reads.cookies.iter().filter(|name| !(all_cookies || policy.cookies.keeps(name.as_bytes()))) {
        found.push(format!("cookie {name}"));
    }
    for name in reads.query_params.iter().filter(|name| !policy.query.keeps(name.as_bytes())) {
        found.push(format!("query parameter {name}"));
    }
    if reads.has(Fact::AllHeaders) {
        found.push("all headers".to_owned());
    }
    if reads.has(Fact::Query) && policy.query != edgeweir_cache::Selection::All {
        found.push("the query".to_owned());
    }
    if reads.has(Fact::Authority) && !host_keyed {
        found.push("the host".to_owned());
    }
    for (fact, field, words) in [
        (Fact::Country, ViewerFact::Country, "the country"),
        (Fact::Region, ViewerFact::Region, "the region"),
        (Fact::City, ViewerFact::City, "the city"),
        (Fact::Asn, ViewerFact::Asn, "the autonomous system"),
        (Fact::TimeZone, ViewerFact::TimeZone, "the time zone"),
        (Fact::Coordinates, ViewerFact::Latitude, "the coordinates"),
        (Fact::Continent, ViewerFact::Country, "the continent"),
        (Fact::Address, ViewerFact::Address, "the viewer's address"),
        (Fact::Protocol, ViewerFact::HttpVersion, "the protocol"),
    ] {
        if reads.has(fact) && !keyed(&format!("{}{}", policy.fact_prefix, field.name()).to_ascii_lowercase()) {
            found.push(words.to_owned());
        }
    }
    if reads.has(Fact::Caller) && !also.caller {
        found.push("the caller, as the authorizer says".to_owned());
    }
    if reads.has(Fact::Random) {
        found.push("a random number".to_owned());
    }
    if reads.has(Fact::RequestId) {
        found.push("the request id".to_owned());
    }
    if reads.overflowed {
        found.push("more than is recorded".to_owned());
    }
    // The variants of an encoding are kept apart by the origin's own `Vary`; what it forgets is not the hook's doing.
    found.retain(|name| name.strip_prefix("header ") != Some(ACCEPT_ENCODING.as_str()));
    found
}
