//! Which limits apply to a request: buckets by level, and gauges. Knows what a request is, and decides nothing.

use std::net::IpAddr;

use edgeweir_hookhost::Caller;
use edgeweir_limits::{InFlight, LevelKind, Levels};
use http::{HeaderMap, Method};

use super::context::{Keyed, Refusal, RequestCtx};
use crate::snapshot::limits::{CallerName, Limits, PerAddress, PerCaller};
use crate::snapshot::{Behavior, Distribution, Snapshot};

/// A request, as its limits see it.
pub(super) struct Subject<'a> {
    snapshot: &'a Snapshot,
    at: usize,
    distribution: &'a Distribution,
    behavior: &'a Behavior,
    method: &'a Method,
    headers: &'a HeaderMap,
    address: IpAddr,
    /// Key and plan.
    key: Option<&'a Keyed>,
    caller: Option<&'a Caller>,
}

/// A limit by address or caller, and which level it is.
type Place<'a, T> = (LevelKind, Option<&'a T>);

impl<'a> Subject<'a> {
    /// None before the request has a behavior.
    pub(super) fn of(ctx: &'a RequestCtx, method: &'a Method, headers: &'a HeaderMap) -> Option<Self> {
        let (at, _) = ctx.route?;
        Some(Self {
            snapshot: &ctx.snapshot,
            at,
            distribution: ctx.distribution()?,
            behavior: ctx.behavior()?,
            method,
            headers,
            address: ctx.client.0,
            key: ctx.key.as_ref(),
            caller: ctx.caller.as_deref(),
        })
    }

    /// The bucket of the key in its plan, by its id, which all its values share: the method's where the plan has one, in place of the plan's own (API Gateway:
    /// "Throttle requests to your REST APIs", "override the throttling limit for a specific method").
    pub(super) fn of_key(&self, levels: Levels<'a>) -> Levels<'a> {
        let Some(keyed) = self.key else { return levels };
        let buckets = self
            .snapshot
            .plan_limits
            .get(keyed.plan)
            .and_then(|limits| limits.buckets(self.at, &self.behavior.label, self.method));
        match buckets {
            Some(buckets) => levels.with_client(LevelKind::KeyMethod, buckets, keyed.slot.client()),
            None => levels.with_slot(LevelKind::Key, &keyed.slot),
        }
    }

    /// Buckets that all viewers share, and those of the address and of what a header names.
    pub(super) fn of_all(&self, levels: Levels<'a>) -> Levels<'a> {
        let mut levels = levels
            .with(LevelKind::Behavior, self.behavior.limits.bucket(self.method))
            .with(LevelKind::Distribution, self.distribution.limits.throttle.as_ref())
            .with(LevelKind::Edge, self.snapshot.limits.throttle.as_ref());
        // All tables of a registry have one hash for a name: almost always the levels have one address.
        let mut known = None;
        for (level, limit) in self.addresses() {
            if let Some(limit) = limit
                && let Some(buckets) = &limit.each.buckets
            {
                let name = limit.name(self.address);
                let client = match known {
                    Some((before, client)) if before == name => client,
                    _ => buckets.client(&name),
                };
                known = Some((name, client));
                levels = levels.with_client(level, buckets, client);
            }
        }
        self.of_callers(levels, false)
    }

    /// Buckets of callers: those that a header names, or `late` those that the authorizer names.
    pub(super) fn of_callers(&self, mut levels: Levels<'a>, late: bool) -> Levels<'a> {
        for (level, limit) in self.callers() {
            if let Some(limit) = limit
                && let (Some(buckets), Some(name)) = (&limit.each.buckets, self.caller_name(limit, late))
            {
                levels = levels.with_client(level, buckets, buckets.client(name));
            }
        }
        levels
    }

    /// Lets the request into all gauges but those of its key.
    ///
    /// # Errors
    /// The first that is full; the request is in none then.
    pub(super) fn enter_all(&self, inside: &mut Vec<InFlight>) -> Result<(), Refusal> {
        for (level, limits) in [
            (LevelKind::Behavior, &self.behavior.limits),
            (LevelKind::Distribution, &self.distribution.limits),
            (LevelKind::Edge, &self.snapshot.limits),
        ] {
            if let Some(gauge) = &limits.gauge {
                inside.push(gauge.enter().ok_or(Refusal::Concurrency(level, gauge.limit()))?);
            }
        }
        for (level, limit) in self.addresses() {
            if let Some(limit) = limit
                && let Some(gauges) = &limit.each.gauges
            {
                let entered = gauges.enter(gauges.client(&limit.name(self.address)));
                inside.push(entered.ok_or(Refusal::Concurrency(level, gauges.limit()))?);
            }
        }
        self.enter_callers(inside, false)
    }

    /// Lets the request into the gauges of its callers, as [`Subject::of_callers`].
    ///
    /// # Errors
    /// The first that is full.
    pub(super) fn enter_callers(&self, inside: &mut Vec<InFlight>, late: bool) -> Result<(), Refusal> {
        for (level, limit) in self.callers() {
            if let Some(limit) = limit
                && let (Some(gauges), Some(name)) = (&limit.each.gauges, self.caller_name(limit, late))
            {
                let entered = gauges.enter(gauges.client(name));
                inside.push(entered.ok_or(Refusal::Concurrency(level, gauges.limit()))?);
            }
        }
        Ok(())
    }

    /// Lets the request into the gauge of its key.
    ///
    /// # Errors
    /// If it is full.
    pub(super) fn enter_key(&self, inside: &mut Vec<InFlight>) -> Result<(), Refusal> {
        let Some(keyed) = self.key else { return Ok(()) };
        let gauges = self.snapshot.plan_limits.get(keyed.plan).and_then(|limits| limits.gauges.as_ref());
        if let Some(gauges) = gauges {
            let entered = gauges.enter(keyed.slot.client());
            inside.push(entered.ok_or(Refusal::Concurrency(LevelKind::Key, gauges.limit()))?);
        }
        Ok(())
    }

    fn addresses(&self) -> [Place<'a, PerAddress>; 3] {
        let of = |limits: &'a Limits| limits.per_address.as_ref();
        [
            (LevelKind::BehaviorAddress, of(&self.behavior.limits)),
            (LevelKind::DistributionAddress, of(&self.distribution.limits)),
            (LevelKind::EdgeAddress, of(&self.snapshot.limits)),
        ]
    }

    fn callers(&self) -> [Place<'a, PerCaller>; 2] {
        [
            (LevelKind::BehaviorCaller, self.behavior.limits.per_caller.as_ref()),
            (LevelKind::DistributionCaller, self.distribution.limits.per_caller.as_ref()),
        ]
    }

    /// The caller; the empty one if nobody names it. None if that is another phase's business, or of a behavior without an
    /// authorizer.
    fn caller_name(&self, limit: &'a PerCaller, late: bool) -> Option<&'a [u8]> {
        let said = match &limit.by {
            CallerName::Header(name) => {
                return (!late).then(|| self.headers.get(name).map_or(&[][..], |value| value.as_bytes()));
            }
            _ if !late || self.behavior.authorizer.is_none() => return None,
            CallerName::Principal => self.caller.and_then(|caller| caller.principal()),
            CallerName::Context(name) => self.caller.and_then(|caller| caller.get(name)),
        };
        Some(said.unwrap_or_default().as_bytes())
    }
}
