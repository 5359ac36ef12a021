//! The quota of a keyed request: taken when it comes, given back at its end if it does not count.
//!
//! Almost always that is one compare-and-swap on a lease in memory. The first request of a key in a period, and one that
//! comes faster than leases do, waits for the store, at most as long as configured.

use std::time::Duration;

use edgeweir_config::StorePolicy;
use edgeweir_limits::fields::{self, Item};
use edgeweir_limits::{Nanos, Slot, SlotRef, Take};
use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use super::context::RequestCtx;
use super::edits::set;
use crate::fault::Fault;
use crate::snapshot::Snapshot;
use crate::state::State;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// One request that was taken from a quota.
#[derive(Debug)]
pub struct Charge {
    slot: SlotRef,
    period: u32,
}

/// The refusal of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    limit: u64,
    /// Seconds of the whole period, and until it ends.
    window: u64,
    left: u64,
}

/// Takes the request from the quota of its key, if its plan has one.
///
/// # Errors
/// `QuotaExceeded`, or `QuotaStore` if the store does not answer and the policy is closed.
pub(super) async fn reserve(ctx: &mut RequestCtx) -> Result<(), Fault> {
    // Nothing was taken before, or from the key that a hook has replaced.
    if let Some(earlier) = ctx.quota.take() {
        earlier.slot.meter.give_back(earlier.period);
    }
    let Some(caller) = &ctx.key else { return Ok(()) };
    let Some(quota) = caller.slot.quota() else {
        // It is counted for the ledger only.
        ctx.quota = Some(Charge { slot: caller.slot.clone(), period: 0 });
        return Ok(());
    };
    let (state, meter) = (&ctx.snapshot.state, &caller.slot.meter);
    let unix = state.unix();
    let mut period = quota.period.number(unix);
    let taken = match meter.take(period) {
        Take::Taken => Ok(()),
        Take::Low => {
            state.ask(meter);
            Ok(())
        }
        Take::Spent => Err(Fault::QuotaExceeded),
        Take::Empty { ask } => {
            if ask {
                state.ask(meter);
            }
            let waited = Box::pin(wait(state, &caller.slot, &ctx.snapshot)).await;
            waited.map(|of| period = of)
        }
    };
    match taken {
        Ok(()) => {
            ctx.quota = Some(Charge { slot: caller.slot.clone(), period });
            Ok(())
        }
        Err(fault) => {
            if fault == Fault::QuotaExceeded {
                let standing = meter.standing().filter(|standing| standing.period == period);
                let window = quota.period.start(period + 1) - quota.period.start(period);
                let limit = standing.map_or(quota.limit, |standing| standing.limit);
                ctx.exceeded = Some(Exceeded { limit, window, left: quota.period.left(unix) });
                meter.count_refused(unix);
            }
            Err(fault)
        }
    }
}

/// Waits for a lease. Gives the period that the request was taken from.
async fn wait(state: &State, slot: &Slot, snapshot: &Snapshot) -> Result<u32, Fault> {
    let settings = &snapshot.config.state;
    // The quota as it is now: a reload may have changed it while this request waits.
    let number = || slot.meter.quota().map(|quota| quota.period.number(state.unix()));
    let leased = async {
        loop {
            let mut leases = std::pin::pin!(state.leases());
            leases.as_mut().enable();
            let Some(period) = number() else { return Ok(0) };
            match slot.meter.take(period) {
                Take::Taken => return Ok(period),
                Take::Low => {
                    state.ask(&slot.meter);
                    return Ok(period);
                }
                Take::Spent => return Err(Fault::QuotaExceeded),
                // The answer will be no, at once: a store that is away is tried again by itself.
                Take::Empty { ask } if state.is_away() => {
                    if ask {
                        slot.meter.not_granted();
                    }
                    return Err(Fault::QuotaStore);
                }
                Take::Empty { ask: true } => state.ask(&slot.meter),
                Take::Empty { ask: false } => {}
            }
            leases.await;
        }
    };
    // Real time: it is about a viewer who waits.
    let patience: Duration = settings.wait;
    match tokio::time::timeout(patience, leased).await.unwrap_or(Err(Fault::QuotaStore)) {
        Err(Fault::QuotaStore) if settings.on_store_failure == StorePolicy::Open => {
            slot.meter.owe();
            Ok(number().unwrap_or(0))
        }
        done => done,
    }
}

/// The request is over: it counts or not, in the quota, in the ledger and in the metrics.
pub(super) fn settle(ctx: &RequestCtx, status: u16, hit: bool) {
    let Some(caller) = &ctx.key else { return };
    let result = match ctx.throttled_by() {
        Some(level) => {
            if let Some(metrics) = ctx.snapshot.plan_metrics.get(caller.plan) {
                metrics.throttled(level);
            }
            count(ctx, status, hit);
            "throttled"
        }
        None => count(ctx, status, hit),
    };
    if let Some(metrics) = ctx.snapshot.plan_metrics.get(caller.plan) {
        metrics.record(result);
    }
}

/// What became of it in the quota.
fn count(ctx: &RequestCtx, status: u16, hit: bool) -> &'static str {
    let Some(charge) = &ctx.quota else {
        return if ctx.exceeded.is_some() { "quota" } else { "refused" };
    };
    let throttled = ctx.refused.is_some();
    let counts = match charge.slot.quota() {
        Some(quota) if throttled => quota.counts.throttled,
        Some(quota) => quota.counts.includes(status, hit),
        None => !throttled,
    };
    // Whoever is refused by a hook has used nothing (401, 403), nor has who met a fault of the edge's own.
    let refused = ctx.answered_by_hook && matches!(status, 401 | 403);
    let own = matches!(ctx.fault, Some(Fault::HookOverloaded | Fault::BodyMemory));
    if counts && !refused && !own {
        charge.slot.meter.count(ctx.snapshot.state.unix());
        "counted"
    } else {
        charge.slot.meter.give_back(charge.period);
        "not-counted"
    }
}

/// A throttle refused the request: it is taken from the quota all the same, if that counts such requests.
pub(super) async fn throttled(ctx: &mut RequestCtx) {
    if ctx.key.as_ref().and_then(|caller| caller.slot.quota()).is_some_and(|quota| quota.counts.throttled) {
        // It is refused anyway, by the throttle: what the quota would say is of no matter.
        let _taken = Box::pin(reserve(ctx)).await;
        ctx.exceeded = None;
    }
}

/// Tells a refused viewer when the quota is full again.
pub(super) fn tell_refusal(head: &mut ResponseHeader, exceeded: Exceeded) {
    let Exceeded { limit, window, left } = exceeded;
    let of = fields::Limit::new("quota", 0, Nanos::from_secs(left)).text().to_string();
    for (name, value) in [
        (http::header::RETRY_AFTER, left.to_string()),
        (RATELIMIT, of),
        (RATELIMIT_POLICY, format!("\"quota\";q={limit};w={window}")),
    ] {
        match HeaderValue::from_str(&value) {
            Ok(value) => set(head, name, value),
            Err(error) => tracing::error!(%error, "a rate limit field could not be made"),
        }
    }
}
