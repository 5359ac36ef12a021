//! Limits besides the throttles of behaviors and distributions.

use super::keys::throttle;
use super::names::Names;
use crate::decode::{Count, Opt, Rate};
use crate::model::{DistributionId, Each, Limits, MethodThrottle, PerAddress, PerCaller, Throttle};
use crate::report::Report;
use crate::schema;

/// Buckets of clients by default.
const DEFAULT_CLIENTS: usize = 65_536;

/// Limits of the whole edge.
pub(super) fn edge(written: Option<&schema::Limits>) -> (Option<Throttle>, Limits) {
    let Some(written) = written else { return (None, Limits::default()) };
    (throttle(written.throttle.value()), limits(&written.concurrency, written.per_address.value(), None))
}

/// Limits of one scope.
pub(super) fn limits<const MAX: u64>(
    concurrency: &Opt<Count<1, MAX>>,
    address: Option<&schema::PerAddress>,
    caller: Option<&schema::PerCaller>,
) -> Limits {
    let per_address = address.map(|written| PerAddress {
        each: each(&written.rate, &written.burst, &written.concurrency, &written.max_clients),
        ipv4_prefix: bits(&written.ipv4_prefix, 32),
        ipv6_prefix: bits(&written.ipv6_prefix, 64),
    });
    let per_caller = caller.and_then(|written| {
        Some(PerCaller {
            by: written.by.value()?.0.clone(),
            each: each(&written.rate, &written.burst, &written.concurrency, &written.max_clients),
        })
    });
    Limits { concurrency: concurrency.value().map(|count| count.as_u32()), per_address, per_caller }
}

fn each<const A: u64, const B: u64, const C: u64, const D: u64>(
    rate: &Opt<Rate>,
    burst: &Opt<Count<0, A>>,
    concurrency: &Opt<Count<1, B>>,
    clients: &Opt<Count<C, D>>,
) -> Each {
    let throttle = rate.value().zip(burst.value());
    Each {
        throttle: throttle.map(|(rate, burst)| Throttle { rate: rate.0, burst: burst.as_u32() }),
        concurrency: concurrency.value().map(|count| count.as_u32()),
        max_clients: clients.value().map_or(DEFAULT_CLIENTS, |count| count.as_usize()),
    }
}

fn bits<const MIN: u64, const MAX: u64>(written: &Opt<Count<MIN, MAX>>, default: u8) -> u8 {
    written.value().and_then(|count| u8::try_from(count.0).ok()).unwrap_or(default)
}

/// Throttles of a plan's keys for some of their requests.
pub(super) fn method_throttles(plan: &schema::UsagePlan, names: &Names, out: &mut Report) -> Vec<MethodThrottle> {
    let Some(list) = plan.method_throttles.value() else { return Vec::new() };
    let throttle = |written: &schema::MethodThrottle, out: &mut Report| {
        Some(MethodThrottle {
            distribution: written
                .distribution
                .given()
                .map(|name| DistributionId(names.distributions.find(name, &[], out))),
            path: written.path.value().map(|path| path.0.clone()),
            method: written.method.value().map(|method| method.0.clone()),
            throttle: Throttle { rate: written.rate.value()?.0, burst: written.burst.value()?.as_u32() },
        })
    };
    list.items.iter().filter_map(|written| throttle(written.get_ref(), out)).collect()
}
