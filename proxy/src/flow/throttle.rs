//! Limits of a request: all levels or nothing, and the fields that tell the viewer.

use edgeweir_config::Stage;
use edgeweir_limits::fields::{self, Item};
use edgeweir_limits::{KeptTicket, Levels, Nanos, Standing, Ticket};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::http::{RequestHeader, ResponseHeader};

use super::context::{Refusal, RequestCtx};
use super::edits::set;
use super::levels::Subject;
use crate::fault::Fault;
use crate::runtime::clock::Clock;

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Reserves one request at every level of its behavior, distribution, edge, address and key, and takes its place among the
/// requests at work. A request that no limit can meet pays one branch. The ticket is given to who wants to `keep` it, for who
/// may give it back; else the request counts at once.
///
/// # Errors
/// `Throttled` if a level has no room; nothing is taken from the others.
pub(crate) fn reserve(
    ctx: &mut RequestCtx,
    method: &Method,
    headers: &HeaderMap,
    clock: &dyn Clock,
    keep: bool,
) -> Result<Option<KeptTicket>, Fault> {
    if !ctx.behavior().is_some_and(|behavior| behavior.limited) {
        return Ok(None);
    }
    let now = Nanos(clock.monotonic());
    let reserved = Subject::of(ctx, method, headers).map_or(Ok(None), |subject| {
        let mut inside = Vec::new();
        // Who leaves again has taken nothing.
        subject.enter_key(&mut inside)?;
        subject.enter_all(&mut inside)?;
        let levels = subject.of_all(subject.of_key(Levels::new()));
        let ticket = levels.reserve(now, 1).map_err(Refusal::Rate)?;
        Ok(Some((standing(ctx, now, &ticket), keep.then(|| ticket.keep()), inside)))
    });
    match reserved {
        Ok(Some((standing, ticket, inside))) => {
            ctx.in_flight = inside;
            ctx.standing = standing;
            Ok(ticket)
        }
        Ok(None) => Ok(None),
        Err(refusal) => Err(refused(ctx, refusal)),
    }
}

/// Whether something that comes after the limits may give back what they took: an authorizer, a quota, a hook.
pub(super) fn may_be_refunded(ctx: &RequestCtx) -> bool {
    ctx.behavior().is_some_and(|behavior| behavior.authorizer.is_some())
        || ctx.key.as_ref().is_some_and(|keyed| keyed.slot.quota().is_some())
        || ctx.has_hooks_at(Stage::ViewerRequest)
}

/// Charges a request whose key is refused at all levels but the key's: who tries keys is held up like everybody else. Gives
/// the fault, which is `Throttled` if there is no room; others than a refused key are left as they are.
#[cold]
pub(super) fn without_key(ctx: &mut RequestCtx, fault: Fault, head: &RequestHeader, clock: &dyn Clock) -> Fault {
    if fault != Fault::Forbidden {
        return fault;
    }
    match reserve(ctx, &head.method, &head.headers, clock, false) {
        Ok(_counts) => fault,
        Err(throttled) => throttled,
    }
}

/// Reserves what needs the authorizer's word: levels of callers that it names, and if `named` those of the key that it named.
///
/// # Errors
/// `Throttled`; nothing is taken then.
pub(super) fn reserve_caller(
    ctx: &mut RequestCtx,
    named: bool,
    head: &RequestHeader,
    clock: &dyn Clock,
) -> Result<Option<KeptTicket>, Fault> {
    let now = Nanos(clock.monotonic());
    let reserved = Subject::of(ctx, &head.method, &head.headers).map_or(Ok(None), |subject| {
        let mut inside = Vec::new();
        if named {
            subject.enter_key(&mut inside)?;
        }
        subject.enter_callers(&mut inside, true)?;
        let levels = if named { subject.of_key(Levels::new()) } else { Levels::new() };
        let levels = subject.of_callers(levels, true);
        if levels.is_empty() && inside.is_empty() {
            return Ok(None);
        }
        let ticket = levels.reserve(now, 1).map_err(Refusal::Rate)?;
        Ok(Some((standing(ctx, now, &ticket), ticket.keep(), inside)))
    });
    match reserved {
        Ok(Some((own, ticket, inside))) => {
            ctx.in_flight.extend(inside);
            ctx.standing = [ctx.standing, own].into_iter().flatten().min_by_key(|standing| standing.remaining);
            Ok(Some(ticket))
        }
        Ok(None) => Ok(None),
        Err(refusal) => Err(refused(ctx, refusal)),
    }
}

/// Charges what viewer-request hooks said: the rest of a cost above 1, and a key that they named. What the request has paid
/// before the hooks stays paid, also if this is refused: the hooks have run. Says whether the request has another key now.
///
/// # Errors
/// `Throttled` if a level has no room for it; then none of it is taken.
pub(super) fn charge(
    ctx: &mut RequestCtx,
    method: &Method,
    headers: &HeaderMap,
    clock: &dyn Clock,
) -> Result<bool, Fault> {
    let cost = ctx.cost.unwrap_or(1);
    let mut another = false;
    if let Some(named) = ctx.hook_key.take() {
        another = !ctx.key.as_ref().is_some_and(|paid| paid.slot.is(&named.slot));
        ctx.key = Some(named);
    }
    if cost == 1 && !another {
        return Ok(another);
    }
    let now = Nanos(clock.monotonic());
    let charged = Subject::of(ctx, method, headers).map_or(Ok(None), |subject| {
        let mut inside = Vec::new();
        if another {
            subject.enter_key(&mut inside)?;
        }
        // A key that the hooks named has paid nothing yet.
        let of_key = subject.of_key(Levels::new());
        let of_key = of_key.reserve(now, if another { cost } else { cost - 1 }).map_err(Refusal::Rate)?;
        let of_all = subject.of_callers(subject.of_all(Levels::new()), true);
        match of_all.reserve(now, cost - 1) {
            Ok(rest) => {
                // At one standing of two the levels of the key come first.
                let standings = [standing(ctx, now, &of_key), standing(ctx, now, &rest)];
                rest.commit();
                of_key.commit();
                Ok(Some((standings.into_iter().flatten().min_by_key(|standing| standing.remaining), inside)))
            }
            Err(refused) => {
                of_key.refund();
                Err(Refusal::Rate(refused))
            }
        }
    });
    match charged {
        Ok(Some((standing, inside))) => {
            ctx.in_flight.extend(inside);
            ctx.standing = standing;
            Ok(another)
        }
        Ok(None) => Ok(another),
        Err(refusal) => Err(refused(ctx, refusal)),
    }
}

/// What a viewer may know: who has a key is told the tightest level, others only what is their own.
fn standing(ctx: &RequestCtx, now: Nanos, ticket: &Ticket<'_>) -> Option<Standing> {
    if ctx.key.is_some() { ticket.tightest(now) } else { ticket.tightest_of_viewer(now) }
}

#[cold]
fn refused(ctx: &mut RequestCtx, refusal: Refusal) -> Fault {
    ctx.refused = Some(refusal);
    Fault::Throttled
}

/// Tells a keyed viewer how it stands.
pub(super) fn tell_standing(head: &mut ResponseHeader, standing: &Standing) {
    let name = standing.level.as_str();
    item(head, RATELIMIT, &fields::Limit::of(name, standing));
    item(head, RATELIMIT_POLICY, &fields::Policy::new(name, &standing.throttle));
}

/// Tells a refused viewer when to come again.
pub(super) fn tell_refusal(head: &mut ResponseHeader, refusal: &Refusal) {
    let refused = match refusal {
        Refusal::Rate(refused) => refused,
        Refusal::Concurrency(level, limit) => {
            // Nobody knows when a request ends: the least that can be said.
            set(head, http::header::RETRY_AFTER, HeaderValue::from_static("1"));
            item(head, RATELIMIT_POLICY, &fields::AtOnce { name: level.as_str(), limit: *limit });
            return;
        }
    };
    let name = refused.level.as_str();
    if let Some(wait) = refused.retry_after {
        set(head, http::header::RETRY_AFTER, HeaderValue::from(fields::retry_after(wait)));
    }
    if let Some(limit) = fields::Limit::refused(name, refused) {
        item(head, RATELIMIT, &limit);
    }
    item(head, RATELIMIT_POLICY, &fields::Policy::new(name, &refused.throttle));
}

fn item(head: &mut ResponseHeader, name: HeaderName, item: &impl Item) {
    match HeaderValue::from_bytes(item.text().as_bytes()) {
        Ok(value) => set(head, name, value),
        Err(error) => tracing::error!(%error, "a rate limit field could not be made"),
    }
}
