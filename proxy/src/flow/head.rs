//! A HEAD that went to the origin as HEAD, because the cache did not take part: what its answer says of a stored answer to GET
//! (RFC 9111, 4.3.5). Where the cache takes part, the origin is asked with GET and this is not needed.

use std::sync::Arc;
use std::time::SystemTime;

use edgeweir_cache::storage::Stored;
use edgeweir_cache::{Decision, Label, MokaStorage, RequestFacts, Validation, decide};
use edgeweir_config::Stage;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};
use pingora::cache::Storage as _;
use pingora::cache::trace::Span;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::{cache, revalidate};

/// Updates what is stored for the request if the answer is about it, and makes it stale if not.
pub(super) async fn freshen(
    storage: &'static MokaStorage,
    session: &Session,
    head: &mut ResponseHeader,
    ctx: &mut RequestCtx,
) {
    let Some(mut key) = session.cache.maybe_cache_key().cloned() else { return };
    if head.status != StatusCode::OK {
        return;
    }
    key.remove_variance_key();
    let Some(mut stored) = storage.stored(&key) else { return };
    if let Some(variance) = cache::variance(&stored.header().headers, &session.req_header().headers, ctx)
        && stored.variance() != Some(variance)
    {
        key.set_variance_key(variance);
        let Some(variant) = storage.stored(&key) else { return };
        stored = variant;
    }
    let (req, policy) = (session.req_header(), ctx.behavior().map(|behavior| Arc::clone(&behavior.cache)));
    // RFC 9111, 5.2.1.5: no part of the answer is stored then. What a hook makes of heads is not known here.
    if cache::directives(&req.headers).no_store || ctx.has_hooks_at(Stage::OriginResponse) {
        return;
    }
    cache::take_tags(head, ctx);
    let now = SystemTime::now();
    let told = Validation::new(&head.headers, &stored.header().headers);
    let facts = RequestFacts {
        has_authorization: req.headers.contains_key(AUTHORIZATION)
            && policy.as_ref().is_none_or(|policy| !policy.headers.contains(&AUTHORIZATION)),
        revalidated: Some(told.times()),
        unkeyed_cookies: policy.as_ref().is_some_and(|policy| cache::sends_unkeyed_cookies(&req.headers, policy)),
        ..RequestFacts::new(&session.req_header().method)
    };
    let mut header = stored.header().clone();
    told.update(&mut header);
    let rules = ctx.behavior().map(|behavior| &behavior.cache.rules);
    let decision = rules.map(|rules| (decide(&facts, &header, rules, now), rules));
    match decision {
        Some((Decision::Store(freshness), rules)) if told.refused().is_none() && is_about(&head.headers, &stored) => {
            let (mut header, _left_out) = edgeweir_cache::freshness::stored_header(&header, rules);
            revalidate::date(&mut header, told.times(), now);
            let mut meta = freshness.into_meta(header);
            meta.extensions_mut().insert(Label { mark: stored.mark(), tags: ctx.object_tags.clone() });
            stored.claim(&mut meta);
            // It fails only if the object is another by now, which is then newer.
            let _newer = storage.update_meta(&key, &meta, &Span::inactive().handle()).await;
        }
        _ => storage.expire_stored(&key, &stored, now),
    }
}

/// Whether they have a validator in common and, if it is told, the same length. The RFC would let the length alone do.
fn is_about(told: &HeaderMap, stored: &Stored) -> bool {
    let known = &stored.header().headers;
    let same = |name| told.get(name).is_none_or(|value| known.get(name) == Some(value));
    let common = [ETAG, LAST_MODIFIED].iter().any(|name| told.contains_key(name) && known.contains_key(name));
    common && same(&ETAG) && same(&LAST_MODIFIED) && same(&CONTENT_LENGTH)
}
