//! Throttles of a request: all levels or nothing, and the fields that tell the viewer.

use edgeweir_limits::{LevelKind, Levels, Nanos, Refused, Standing, Ticket, fields};
use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use super::context::RequestCtx;
use super::edits::set;
use crate::fault::Fault;
use crate::runtime::clock::Clock;

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Reserves one request at every level that the behavior, its distribution and the key's plan have.
///
/// # Errors
/// `Throttled` if a level is empty; nothing is taken from the others.
pub(crate) fn reserve(ctx: &mut RequestCtx, clock: &dyn Clock) -> Result<Option<Ticket>, Fault> {
    let snapshot = &ctx.snapshot;
    let Some((distribution, behavior)) = ctx.route else { return Ok(None) };
    let Some(distribution) = snapshot.distributions.get(distribution) else { return Ok(None) };
    let behavior = distribution.behaviors.get(behavior).and_then(|behavior| behavior.throttle.as_ref());
    let key = match (ctx.key, ctx.plan) {
        (Some(key), Some(plan)) => snapshot.key_buckets.get(&(key, plan)),
        _ => None,
    };
    if key.is_none() && behavior.is_none() && distribution.throttle.is_none() {
        return Ok(None);
    }
    let levels = Levels::new()
        .with(LevelKind::Key, key)
        .with(LevelKind::Behavior, behavior)
        .with(LevelKind::Distribution, distribution.throttle.as_ref());
    let now = Nanos(clock.monotonic());
    match levels.reserve(now, 1) {
        Ok(ticket) => {
            // Who has a key is told how it stands; to everybody else it would tell what others do.
            ctx.standing = if key.is_some() { ticket.tightest(now) } else { None };
            Ok(Some(ticket))
        }
        Err(refused) => {
            ctx.refused = Some(refused);
            Err(Fault::Throttled)
        }
    }
}

/// Charges what viewer-request hooks said: the rest of a cost above 1, and a key that they named. What the request has paid
/// before the hooks stays paid, also if this is refused: the hooks have run.
///
/// # Errors
/// `Throttled` if a level has no room for it; then none of it is taken.
pub(super) fn charge(ctx: &mut RequestCtx, clock: &dyn Clock) -> Result<(), Fault> {
    let (cost, named) = (ctx.cost.unwrap_or(1), ctx.hook_key);
    let paid_with = ctx.key.zip(ctx.plan);
    if let Some((key, plan)) = named {
        (ctx.key, ctx.plan) = (Some(key), Some(plan));
    }
    let another = named.is_some() && named != paid_with;
    if cost == 1 && !another {
        return Ok(());
    }
    let snapshot = &ctx.snapshot;
    let key = ctx.key.zip(ctx.plan).and_then(|key| snapshot.key_buckets.get(&key));
    let Some(distribution) = ctx.distribution() else { return Ok(()) };
    let behavior = ctx.behavior().and_then(|behavior| behavior.throttle.as_ref());
    let of_key = Levels::new().with(LevelKind::Key, key);
    let others =
        Levels::new().with(LevelKind::Behavior, behavior).with(LevelKind::Distribution, distribution.throttle.as_ref());
    let now = Nanos(clock.monotonic());
    // A key that the hooks named has paid nothing yet.
    let charged = of_key.reserve(now, if another { cost } else { cost - 1 }).and_then(|ticket| {
        match others.reserve(now, cost - 1) {
            Ok(rest) => Ok((ticket, rest)),
            Err(refused) => {
                ticket.refund();
                Err(refused)
            }
        }
    });
    match charged {
        Ok((ticket, rest)) => {
            let tightest = ticket.standings(now).chain(rest.standings(now)).min_by_key(|standing| standing.remaining);
            ctx.standing = if key.is_some() { tightest } else { None };
            ticket.commit();
            rest.commit();
            Ok(())
        }
        Err(refused) => {
            ctx.refused = Some(refused);
            Err(Fault::Throttled)
        }
    }
}

/// Tells a keyed viewer how it stands.
pub(super) fn tell_standing(head: &mut ResponseHeader, standing: &Standing) {
    let name = standing.level.as_str();
    field(head, RATELIMIT, &fields::Limit::of(name, standing).to_string());
    field(head, RATELIMIT_POLICY, &fields::Policy::new(name, &standing.throttle).to_string());
}

/// Tells a refused viewer when to come again.
pub(super) fn tell_refusal(head: &mut ResponseHeader, refused: &Refused) {
    let name = refused.level.as_str();
    if let Some(wait) = refused.retry_after {
        field(head, http::header::RETRY_AFTER, &fields::retry_after(wait).to_string());
    }
    if let Some(limit) = fields::Limit::refused(name, refused) {
        field(head, RATELIMIT, &limit.to_string());
    }
    field(head, RATELIMIT_POLICY, &fields::Policy::new(name, &refused.throttle).to_string());
}

fn field(head: &mut ResponseHeader, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => set(head, name, value),
        Err(error) => tracing::error!(%error, "a rate limit field could not be made"),
    }
}
