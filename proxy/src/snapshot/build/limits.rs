//! Buckets and gauges of a configuration, taken from those in force where they are the same.

use std::sync::Arc;

use edgeweir_config as model;
use edgeweir_limits::{Bucket, Draft, DraftError, Throttle};
use http::Method;

use super::super::limits::{Each, Limits, MethodLimit, PerAddress, PerCaller, PlanLimits};
use super::Builder;
use super::authorizer::caller_name;

/// Fewest places for the keys of a plan.
const LEAST_KEYS: usize = 1024;

impl Builder<'_> {
    pub(super) fn throttle(&mut self, throttle: model::Throttle) -> Option<Throttle> {
        // This edge's part, as long as others share the store; a burst of 1 is the least, unless nothing is let through at all.
        let nodes = u32::try_from(self.nodes).unwrap_or(u32::MAX);
        let least = throttle.burst.min(1);
        match Throttle::new(throttle.rate / f64::from(nodes), (throttle.burst / nodes).max(least)) {
            Ok(throttle) => Some(throttle),
            Err(error) => {
                self.problem(error.to_string());
                None
            }
        }
    }

    pub(super) fn bucket(&mut self, draft: &mut Draft<'_>, id: &str, throttle: Throttle) -> Option<Arc<Bucket>> {
        let made = draft.bucket(id, throttle);
        self.made(made)
    }

    fn made<T>(&mut self, made: Result<T, DraftError>) -> Option<T> {
        made.map_err(|error| self.problem(error.to_string())).ok()
    }

    /// The limits of one scope, `id`.
    pub(super) fn limits(
        &mut self,
        draft: &mut Draft<'_>,
        id: &str,
        throttle: Option<model::Throttle>,
        written: &model::Limits,
    ) -> Limits {
        let throttle = throttle.and_then(|throttle| self.throttle(throttle));
        Limits {
            throttle: throttle.and_then(|throttle| self.bucket(draft, id, throttle)),
            methods: Vec::new(),
            gauge: written.concurrency.and_then(|limit| {
                let made = draft.gauge(id, limit);
                self.made(made)
            }),
            per_address: written.per_address.as_ref().map(|address| PerAddress {
                each: self.each(draft, &format!("address/{id}"), &address.each),
                ipv4_prefix: address.ipv4_prefix,
                ipv6_prefix: address.ipv6_prefix,
            }),
            per_caller: written.per_caller.as_ref().and_then(|caller| {
                let by = caller_name(&caller.by)?;
                Some(PerCaller { each: self.each(draft, &format!("caller/{id}"), &caller.each), by })
            }),
        }
    }

    fn each(&mut self, draft: &mut Draft<'_>, id: &str, each: &model::Each) -> Each {
        let throttle = each.throttle.and_then(|throttle| self.throttle(throttle));
        Each {
            buckets: throttle.and_then(|throttle| {
                let made = draft.clients(id, throttle, each.max_clients);
                self.made(made)
            }),
            gauges: each.concurrency.and_then(|limit| {
                let made = draft.client_gauges(id, limit);
                self.made(made)
            }),
        }
    }

    /// The limits of a behavior, with those of its methods.
    pub(super) fn behavior_limits(&mut self, draft: &mut Draft<'_>, id: &str, behavior: &model::Behavior) -> Limits {
        let mut limits = self.limits(draft, id, behavior.throttle, &behavior.limits);
        for (name, throttle) in &behavior.method_throttles {
            let Ok(method) = name.parse::<Method>() else { continue };
            let bucket = self.throttle(*throttle).and_then(|made| self.bucket(draft, &format!("{id}/{name}"), made));
            limits.methods.extend(bucket.map(|bucket| (method, bucket)));
        }
        limits
    }

    /// What the plans limit besides their throttles, by plan. `keys` is how many there are.
    pub(super) fn plan_limits(
        &mut self,
        config: &model::Config,
        keys: usize,
        draft: &mut Draft<'_>,
    ) -> Vec<PlanLimits> {
        // Twice the places: nearly every key finds one of its own in its set.
        let places = (2 * keys).max(LEAST_KEYS);
        let plans = config.usage_plans.iter().map(|plan| {
            let gauges = plan.concurrency.and_then(|limit| {
                let made = draft.client_gauges(&format!("plan/{}", plan.name), limit);
                self.made(made)
            });
            let mut methods = Vec::new();
            for written in &plan.method_throttles {
                let distribution = written.distribution.and_then(|id| config.distributions.get(id.0));
                let words =
                    [distribution.map(|found| found.name.as_str()), written.path.as_deref(), written.method.as_deref()];
                let id = format!("plan/{}/{}", plan.name, words.map(|word| word.unwrap_or("*")).join(" "));
                let Some(throttle) = self.throttle(written.throttle) else { continue };
                let made = draft.clients(&id, throttle, places);
                let Some(buckets) = self.made(made) else { continue };
                methods.push(MethodLimit {
                    distribution: written.distribution.map(|id| id.0),
                    path: written.path.as_deref().map(Into::into),
                    method: written.method.as_deref().and_then(|name| name.parse().ok()),
                    buckets,
                });
            }
            PlanLimits { gauges, methods }
        });
        plans.collect()
    }
}
