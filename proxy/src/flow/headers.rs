//! Response headers policies (CloudFront: "Add or remove HTTP headers in CloudFront responses"): put on after the cache, so
//! that one stored object serves all, and after viewer-response hooks, so that no hook forgets what the policy forces.
//!
//! `Server-Timing` (W3C) has CloudFront's names, as far as this edge has the thing: there is one layer and no point of presence.

use std::fmt::Write as _;

use edgeweir_cache::CacheOutcome;
use http::header::PRAGMA;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::context::RequestCtx;
use crate::snapshot::headers::HeadersPolicy;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// Rates are parts of it.
const ALL: u32 = 1_000_000;

/// Decides whether the answer says how it came about, where the behavior has a policy for that.
pub(super) fn meet(headers: &HeaderMap, ctx: &mut RequestCtx) {
    let policy = ctx.behavior().and_then(|behavior| behavior.headers.as_ref());
    let Some(rate) = policy.and_then(|policy| policy.server_timing) else { return };
    let asked = headers.get_all(PRAGMA).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"server-timing"));
    ctx.server_timing = asked || fastrand::u32(0..ALL) < rate;
}

/// Puts the policy on an answer.
pub(super) fn apply(headers: &mut HeaderMap, policy: &HeadersPolicy, ctx: &RequestCtx) {
    for name in &policy.remove {
        headers.remove(name);
    }
    for field in policy.set.iter().filter(|field| !field.tls_only || ctx.https) {
        if field.overrides || !headers.contains_key(&field.name) {
            headers.insert(field.name.clone(), field.value.clone());
        }
    }
    if ctx.server_timing
        && let Ok(value) = HeaderValue::try_from(timing(ctx))
    {
        headers.append(SERVER_TIMING, value);
    }
}

/// What the edge did and how long the origin took, in milliseconds.
fn timing(ctx: &RequestCtx) -> String {
    let mut text = String::with_capacity(128);
    let asked = match ctx.outcome {
        Some(outcome) if outcome.is_served_from_cache() => {
            text.push_str("cdn-cache-hit,cdn-hit-layer;desc=\"EDGE\",");
            false
        }
        Some(CacheOutcome::Revalidated) => {
            text.push_str("cdn-cache-refresh,");
            true
        }
        // Where nobody asked the origin, the edge answers by itself and the cache has no part in it.
        _ if ctx.origin_times.1.is_some() => {
            text.push_str("cdn-cache-miss,");
            true
        }
        _ => false,
    };
    if asked && let (Some(from), Some(to)) = ctx.origin_times {
        let millis = to.saturating_sub(from) / 1_000_000;
        // Writing to a string does not fail.
        let _always = write!(text, "cdn-upstream-layer;desc=\"EDGE\",cdn-upstream-fbl;dur={millis},");
    }
    // An id has neither quotes nor backslashes (`identity::request_id`).
    let _always = write!(text, "cdn-rid;desc=\"{}\"", ctx.id());
    text
}
