//! Who may use a behavior: its authorizer is asked, or its answer of before is taken, and what it says of the caller is put
//! where limits, hooks and the origin find it. Before all stages.

use std::sync::Arc;
use std::time::Duration;

use edgeweir_config::{FailurePolicy, IdentitySource};
use edgeweir_hookhost::{AuthorizerVerdict, Caller, Fact, HookFault, ReadSet, cookie_value, query_value};
use edgeweir_limits::{KeptTicket, KeyHash, LevelKind, Nanos};
use http::HeaderValue;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::{Flow, gate, hooks, identity, quota, throttle, watched};
use crate::edge::Core;
use crate::fault::Fault;
use crate::snapshot::authorizer::{Answer, AnswerKey, Authorizer};
use crate::snapshot::limits::CallerName;

impl Flow {
    /// Step 5a: the authorizer, and the limits that need its word. A refused credential spends nothing of its plan.
    pub(super) async fn authorize(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        mut ticket: Option<KeptTicket>,
    ) -> Result<Option<KeptTicket>, Fault> {
        let before = ctx.key.as_ref().map(|keyed| keyed.slot.clone());
        let of_key = |level| matches!(level, LevelKind::Key | LevelKind::KeyMethod);
        match (ask(&self.core, session.req_header_mut(), ctx).await, &mut ticket) {
            (Ok(Asked::Hook), Some(ticket)) => ticket.commit_at(|level| !of_key(level)),
            (Ok(_), _) => {}
            (Err(fault), held) => {
                match held.take() {
                    Some(ticket) if fault == Fault::HookOverloaded => ticket.refund(),
                    Some(mut ticket) => ticket.refund_at(of_key),
                    None => {}
                }
                return Err(fault);
            }
        }
        let head = session.req_header();
        if ctx.key.is_none() && ctx.behavior().is_some_and(|behavior| behavior.api_key_required) {
            return Err(Fault::Forbidden);
        }
        let another = match (&ctx.key, &before) {
            (Some(now), Some(before)) => !now.slot.is(before),
            (None, None) => false,
            _ => true,
        };
        if let (true, Some(ticket)) = (another, &mut ticket) {
            // The key of the header is not the caller's.
            ticket.refund_at(of_key);
        }
        match throttle::reserve_caller(ctx, another, head, &*self.core.clock) {
            Ok(Some(rest)) => match &mut ticket {
                Some(ticket) => ticket.join(rest),
                None => ticket = Some(rest),
            },
            Ok(None) => {}
            Err(fault) => {
                if let Some(ticket) = ticket {
                    ticket.refund();
                }
                quota::throttled(ctx).await;
                return Err(fault);
            }
        }
        Ok(ticket)
    }
}

/// Whose word it is.
enum Asked {
    /// The hook was called now: its work is paid for, also if the request is refused after it.
    Hook,
    /// One of before, or nobody's.
    Nobody,
}

/// Settles who the caller is.
///
/// # Errors
/// `Unauthorized` without an identity or by the authorizer's word, `AccessDenied` by its word; `Forbidden` for an API key that is
/// not good here; and why the authorizer could not say.
async fn ask(core: &Core, head: &mut RequestHeader, ctx: &mut RequestCtx) -> Result<Asked, Fault> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let Some(authorizer) = ctx.route.and_then(|(distribution, behavior)| {
        snapshot.distributions.get(distribution)?.behaviors.get(behavior)?.authorizer.as_deref()
    }) else {
        return Ok(Asked::Nobody);
    };
    let Some(key) = key(authorizer, head, ctx).filter(|_key| is_token(authorizer, head)) else {
        ctx.challenge = Some(authorizer.challenge.clone());
        return Err(Fault::Unauthorized);
    };
    let now = Nanos(core.clock.monotonic());
    let keeps = !authorizer.ttl.is_zero();
    let (answer, asked) = match core.answers.get(&key, now).filter(|_answer| keeps) {
        Some(answer) => (answer, Asked::Nobody),
        None => {
            let (answer, keep) = called(core, authorizer, head, ctx).await?;
            if let Some(span) = keep {
                core.answers.keep(key, answer.clone(), now.saturating_add(span.into()));
            }
            (answer, Asked::Hook)
        }
    };
    match answer {
        Answer::Deny(caller) => {
            ctx.caller = Some(caller);
            Err(Fault::AccessDenied)
        }
        Answer::Allow(caller) => {
            ctx.caller = Some(Arc::clone(&caller));
            pass_on(authorizer, &caller, head, ctx);
            if let Some(key) = &caller.api_key {
                identity::key_of_authorizer(ctx, key.0.as_bytes())?;
            }
            Ok(asked)
        }
    }
}

/// Asks the hook. Also how long the answer may be kept.
async fn called(
    core: &Core,
    authorizer: &Authorizer,
    head: &mut RequestHeader,
    ctx: &mut RequestCtx,
) -> Result<(Answer, Option<Duration>), Fault> {
    let bound = &authorizer.bound;
    let mut hook = &bound.hook;
    loop {
        let record = !authorizer.ttl.is_zero();
        let (verdict, reads) = hooks::authorizer(head, ctx, bound, hook, record).await;
        watched::authorizer(ctx, &verdict);
        let fault = match verdict {
            Ok(AuthorizerVerdict::Allow(caller)) => {
                let span = caller.max_age.map_or(authorizer.ttl, |most| most.min(authorizer.ttl));
                let keep =
                    may_keep(core, authorizer, reads.as_deref(), ctx).then_some(span).filter(|span| !span.is_zero());
                return Ok((Answer::Allow(Arc::new(caller)), keep));
            }
            Ok(AuthorizerVerdict::Deny(caller)) => {
                let keep = may_keep(core, authorizer, reads.as_deref(), ctx).then_some(authorizer.ttl);
                return Ok((Answer::Deny(Arc::new(caller)), keep));
            }
            Ok(AuthorizerVerdict::Unauthorized(challenge)) => {
                ctx.challenge = Some(challenge.unwrap_or_else(|| authorizer.challenge.clone()));
                return Err(Fault::Unauthorized);
            }
            Err(fault) => fault,
        };
        match &bound.last_good {
            Some(before)
                if bound.on_failure == FailurePolicy::LastGood
                    && Arc::ptr_eq(hook, &bound.hook)
                    && !matches!(fault, HookFault::Overloaded) =>
            {
                hook = before;
            }
            _ => {
                return Err(match fault {
                    HookFault::Overloaded => Fault::HookOverloaded,
                    HookFault::Validation(_) => Fault::AuthorizerInvalid,
                    _ => Fault::AuthorizerFailed,
                });
            }
        }
    }
}

/// Whether the token looks like one, where the configuration says how one looks (API Gateway: "identityValidationExpression").
/// Each line of a header has to.
fn is_token(authorizer: &Authorizer, head: &RequestHeader) -> bool {
    let Some(expression) = &authorizer.validation else { return true };
    let judged = authorizer.identity.iter().find_map(|source| match source {
        IdentitySource::Header(name) => {
            Some(head.headers.get_all(name.as_str()).iter().all(|value| expression.is_match(value.as_bytes())))
        }
        IdentitySource::Query(name) => {
            let value = head.uri.query().and_then(|query| query_value(query, name));
            Some(value.is_some_and(|value| expression.is_match(value.as_bytes())))
        }
        IdentitySource::Cookie(name) => {
            let value = cookie_value(&head.headers, name);
            Some(value.is_some_and(|value| expression.is_match(value.as_bytes())))
        }
        IdentitySource::Method | IdentitySource::Path | IdentitySource::Address => None,
    });
    judged.unwrap_or(false)
}

/// Under what the answer is kept; none if a part of the identity is missing or empty.
fn key(authorizer: &Authorizer, head: &RequestHeader, ctx: &RequestCtx) -> Option<AnswerKey> {
    let mut text = authorizer.digest.to_vec();
    // Each value with its length: no two identities are one text. True if there is one.
    let mut add = |value: &[u8]| {
        text.extend_from_slice(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes());
        text.extend_from_slice(value);
        !value.is_empty()
    };
    for source in &authorizer.identity {
        // Read as the hook reads it: what one of them overlooks, the other does not see either.
        let there = match source {
            IdentitySource::Header(name) => {
                let lines = head.headers.get_all(name.as_str());
                add(&lines.iter().count().to_be_bytes());
                lines.iter().fold(false, |there, value| add(value.as_bytes()) | there)
            }
            IdentitySource::Query(name) => {
                head.uri.query().and_then(|query| query_value(query, name)).is_some_and(|value| add(value.as_bytes()))
            }
            IdentitySource::Cookie(name) => {
                cookie_value(&head.headers, name).is_some_and(|value| add(value.as_bytes()))
            }
            IdentitySource::Method => add(head.method.as_str().as_bytes()),
            IdentitySource::Path => add(head.uri.path().as_bytes()),
            IdentitySource::Address => add(ctx.client.0.to_string().as_bytes()),
        };
        if !there {
            return None;
        }
    }
    Some(KeyHash::of(&text).into_bytes())
}

/// Whether an answer holds for whoever has the same identity: the hook has read nothing else of the request.
fn may_keep(core: &Core, authorizer: &Authorizer, reads: Option<&ReadSet>, ctx: &RequestCtx) -> bool {
    let Some(reads) = reads else { return false };
    let others = beyond(&authorizer.identity, reads);
    if others.is_empty() {
        return true;
    }
    let said = others.join(", ");
    let hook = authorizer.bound.hook.name();
    if super::leaks::is_news(core, &["authorizer", hook, &said]) {
        tracing::warn!(
            request_id = ctx.id(),
            hook,
            reads = said,
            "an authorizer reads what is not among its identity sources: its answers are not kept"
        );
    }
    false
}

/// What was read and is not in the identity, in words.
fn beyond(identity: &[IdentitySource], reads: &ReadSet) -> Vec<String> {
    let has = |source: &IdentitySource| identity.contains(source);
    let whole_cookie = has(&IdentitySource::Header("cookie".to_owned()));
    let mut found = Vec::new();
    for name in &reads.headers {
        if !has(&IdentitySource::Header(name.to_string())) {
            found.push(format!("header {name}"));
        }
    }
    for name in &reads.cookies {
        if !whole_cookie && !has(&IdentitySource::Cookie(name.to_string())) {
            found.push(format!("cookie {name}"));
        }
    }
    for name in &reads.query_params {
        if !has(&IdentitySource::Query(name.to_string())) {
            found.push(format!("query parameter {name}"));
        }
    }
    for (fact, source, words) in [
        (Fact::Method, Some(IdentitySource::Method), "the method"),
        (Fact::Path, Some(IdentitySource::Path), "the path"),
        (Fact::Address, Some(IdentitySource::Address), "the address"),
        (Fact::Scheme, None, "the scheme"),
        (Fact::Authority, None, "the host"),
        (Fact::Query, None, "the query"),
        (Fact::AllHeaders, None, "all headers"),
        (Fact::Protocol, None, "the protocol"),
        (Fact::Country, None, "the country"),
        (Fact::Continent, None, "the continent"),
        (Fact::Region, None, "the region"),
        (Fact::City, None, "the city"),
        (Fact::Asn, None, "the autonomous system"),
        (Fact::TimeZone, None, "the time zone"),
        (Fact::Coordinates, None, "the coordinates"),
        (Fact::Device, None, "the device"),
        (Fact::RequestId, None, "the request id"),
    ] {
        if reads.has(fact) && !source.as_ref().is_some_and(has) {
            found.push(words.to_owned());
        }
    }
    if reads.overflowed {
        found.push("more than is recorded".to_owned());
    }
    found
}

/// Puts what is said of the caller into headers, in place of the viewer's own, and into the cache key.
fn pass_on(authorizer: &Authorizer, caller: &Caller, head: &mut RequestHeader, ctx: &mut RequestCtx) {
    if authorizer.headers.is_empty() {
        return;
    }
    let mut part = Vec::new();
    for (name, said) in &authorizer.headers {
        let text = match said {
            CallerName::Principal => caller.principal(),
            CallerName::Context(value) => caller.get(value),
            CallerName::Header(_) => None,
        };
        drop(head.remove_header(name));
        if let Some(text) = text
            && let Ok(value) = HeaderValue::from_str(text)
        {
            gate::set(head, name.clone(), value);
            part.extend_from_slice(name.as_str().as_bytes());
            part.push(0);
            part.extend_from_slice(text.as_bytes());
        }
        part.push(0);
    }
    if !authorizer.share_cache {
        // A hash: what is said of a caller is personal, and cache keys may be logged.
        let digest = KeyHash::of(&part).into_bytes();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        ctx.key_parts.push(format!("authorizer={hex}").into());
        ctx.caller_keyed = true;
    }
}

/// The label of a verdict.
pub(super) fn label(verdict: &Result<AuthorizerVerdict, HookFault>) -> &'static str {
    match verdict {
        Ok(AuthorizerVerdict::Allow(_)) => "allow",
        Ok(AuthorizerVerdict::Deny(_)) => "deny",
        Ok(AuthorizerVerdict::Unauthorized(_)) => "unauthorized",
        Err(fault) => fault.label(),
    }
}
