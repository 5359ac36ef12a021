//! Usage plans and API keys.

use std::path::Path;

use toml::Spanned;

use super::limits::method_throttles;
use super::names::{Kind, Names};
use super::secret;
use crate::decode::{List, Text};
use crate::model::{ApiKey, Counted, DistributionId, KeyValue, Quota, Throttle, UsagePlan, UsagePlanId};
use crate::report::Report;
use crate::schema::{self, File};

/// The parameters of a token bucket.
pub(super) fn throttle(written: Option<&schema::Throttle>) -> Option<Throttle> {
    let written = written?;
    Some(Throttle { rate: written.rate.value()?.0, burst: written.burst.value()?.as_u32() })
}

fn quota(written: Option<&schema::Quota>) -> Option<Quota> {
    let written = written?;
    let mut counts = match written.counts.value() {
        Some(list) => list.items.iter().map(|counted| *counted.get_ref()).collect(),
        None => vec![Counted::Hits, Counted::ClientErrors, Counted::ServerErrors],
    };
    counts.sort_unstable();
    counts.dedup();
    Some(Quota {
        limit: written.limit.value()?.0,
        offset: written.offset.value().map_or(0, |count| count.0),
        period: *written.period.value()?,
        lease: written.lease.value().map(|count| count.0),
        counts,
    })
}

pub(super) fn indices(list: Option<&List<Text>>, kind: &Kind, out: &mut Report) -> Vec<usize> {
    let items: &[Spanned<Text>] = list.map_or(&[], |list| &list.items);
    items.iter().map(|name| kind.find(name, &[], out)).collect()
}

pub(super) fn plans(file: &File, names: &Names, out: &mut Report) -> Vec<UsagePlan> {
    let Some(plans) = file.usage_plans.value() else { return Vec::new() };
    let plan = |(name, written): (&Spanned<String>, &schema::UsagePlan)| UsagePlan {
        name: name.get_ref().clone(),
        throttle: throttle(written.throttle.value()),
        concurrency: written.concurrency.value().map(|count| count.as_u32()),
        method_throttles: method_throttles(written, names, out),
        quota: quota(written.quota.value()),
        distributions: indices(written.distributions.value(), &names.distributions, out)
            .into_iter()
            .map(DistributionId)
            .collect(),
    };
    plans.iter().map(plan).collect()
}

pub(super) fn keys(file: &File, names: &Names, base: &Path, out: &mut Report) -> Vec<ApiKey> {
    let Some(keys) = file.api_keys.value() else { return Vec::new() };
    let key = |written: &Spanned<schema::ApiKey>| {
        let written = written.get_ref();
        let plans = indices(written.plans.value(), &names.plans, out).into_iter().map(UsagePlanId).collect();
        let value = match (written.key.value(), written.sha256.value()) {
            (Some(key), _) => KeyValue::Clear(secret(&key.0, base)),
            (None, hash) => KeyValue::Sha256(hash?.0),
        };
        let enabled = written.enabled.value().copied().unwrap_or(true);
        Some(ApiKey { name: written.name.value()?.0.clone(), value, plans, enabled })
    };
    keys.items.iter().filter_map(key).collect()
}
