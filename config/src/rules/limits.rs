//! Limits: each says something, and about something that is there.

use toml::Spanned;

use super::authorizer;
use crate::decode::{Count, Field, Opt, Rate};
use crate::report::{Problem, Report};
use crate::schema::{Behavior, Distribution, File, MethodThrottle, PerAddress, PerCaller, Throttle, UsagePlan};

/// Most throttles for methods of a plan (API Gateway: 20 for a stage; a plan here has all its distributions).
const MAX_METHOD_THROTTLES: usize = 100;

pub(super) fn check(file: &File, out: &mut Report) {
    if let Some(limits) = file.limits.value() {
        check_address(&limits.per_address, out);
        check_throttle(&limits.throttle, out);
    }
    let distributions = file.distributions.value().into_iter().flat_map(|named| named.iter());
    for (_, distribution) in distributions {
        check_throttle(&distribution.throttle, out);
        check_address(&distribution.per_address, out);
        check_caller(&distribution.per_caller, out);
        let behaviors = distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice());
        authorizer::check_distribution(&distribution.per_caller, behaviors, out);
        for behavior in behaviors {
            authorizer::check(behavior.get_ref(), out);
            check_throttle(&behavior.get_ref().throttle, out);
            check_address(&behavior.get_ref().per_address, out);
            check_caller(&behavior.get_ref().per_caller, out);
            check_methods(behavior.get_ref(), out);
        }
    }
    let plans = file.usage_plans.value().into_iter().flat_map(|named| named.iter());
    for (_, plan) in plans {
        check_plan(plan, file, out);
    }
}

fn check_address(written: &Opt<PerAddress>, out: &mut Report) {
    if let Some(given) = written.given() {
        let PerAddress { rate, burst, concurrency, max_clients, .. } = given.get_ref();
        check_each("per_address", given.span(), (rate, burst, concurrency, max_clients), out);
    }
}

fn check_caller(written: &Opt<PerCaller>, out: &mut Report) {
    if let Some(given) = written.given() {
        let PerCaller { rate, burst, concurrency, max_clients, .. } = given.get_ref();
        check_each("per_caller", given.span(), (rate, burst, concurrency, max_clients), out);
    }
}

type EachKeys<'a, const A: u64, const B: u64, const C: u64, const D: u64> =
    (&'a Opt<Rate>, &'a Opt<Count<0, A>>, &'a Opt<Count<1, B>>, &'a Opt<Count<C, D>>);

fn check_each<const A: u64, const B: u64, const C: u64, const D: u64>(
    key: &str,
    span: std::ops::Range<usize>,
    (rate, burst, concurrency, clients): EachKeys<'_, A, B, C, D>,
    out: &mut Report,
) {
    check_closed(rate, burst, out);
    match (rate, burst) {
        (Field::Given(one), Field::Absent) => out.push(
            Problem::error("missing-key", one.span(), "a rate needs a burst")
                .help("add `burst`: how many requests may come at once"),
        ),
        (Field::Absent, Field::Given(one)) => out.push(
            Problem::error("missing-key", one.span(), "a burst needs a rate").help("add `rate`: requests per second"),
        ),
        (Field::Absent, Field::Absent) if concurrency.is_absent() => out.push(
            Problem::error("missing-key", span, format!("`{key}` limits nothing"))
                .help("add `rate` and `burst`, or `concurrency`"),
        ),
        (Field::Absent, Field::Absent) => {
            if let Some(clients) = clients.given() {
                let message = "`max_clients` does nothing without `rate`";
                out.push(Problem::error("no-effect", clients.span(), message).help("remove it"));
            }
        }
        _ => {}
    }
}

/// A throttle that lets nothing through says so twice (API Gateway closes a method with a rate and a burst of 0): a rate of 0
/// beside a burst would let a few through and then nothing, a burst of 0 nothing whatever the rate.
fn check_closed<const A: u64, const R: bool>(rate: &Field<Rate, R>, burst: &Field<Count<0, A>, R>, out: &mut Report) {
    let (Field::Given(rate), Field::Given(burst)) = (rate, burst) else { return };
    let (span, message) = match (rate.get_ref().0 == 0.0, burst.get_ref().0 == 0) {
        (true, false) => (rate.span(), "a `rate` of 0 never refills the `burst`"),
        (false, true) => (burst.span(), "a `burst` of 0 lets nothing through, whatever the `rate`"),
        _ => return,
    };
    out.push(
        Problem::error("bad-value", span, message)
            .help("to refuse all requests, write `rate = 0` and `burst = 0`; otherwise neither may be 0"),
    );
}

fn check_throttle(written: &Opt<Throttle>, out: &mut Report) {
    if let Some(Throttle { rate, burst, .. }) = written.value() {
        check_closed(rate, burst, out);
    }
}

/// Throttles of methods that are let through.
fn check_methods(behavior: &Behavior, out: &mut Report) {
    let Some(throttles) = behavior.method_throttles.value() else { return };
    for (_, Throttle { rate, burst, .. }) in throttles.iter() {
        check_closed(rate, burst, out);
    }
    let Some(methods) = behavior.methods.value() else { return };
    if methods.broken {
        return;
    }
    for name in throttles.names() {
        if !methods.items.iter().any(|method| method.get_ref().0 == *name.get_ref()) {
            let message = format!("`{}` is not let through", name.get_ref().escape_debug());
            out.push(Problem::error("no-effect", name.span(), message).help("add it to `methods`, or remove it here"));
        }
    }
}

fn check_plan(plan: &UsagePlan, file: &File, out: &mut Report) {
    check_throttle(&plan.throttle, out);
    let Some(list) = plan.method_throttles.value() else { return };
    if let Some(first_over) = list.items.get(MAX_METHOD_THROTTLES) {
        let message = format!("a usage plan has at most {MAX_METHOD_THROTTLES} throttles for methods");
        out.push(Problem::error("too-many", first_over.span(), message));
    }
    for written in &list.items {
        check_method_throttle(written, file, out);
    }
}

fn check_method_throttle(written: &Spanned<MethodThrottle>, file: &File, out: &mut Report) {
    let MethodThrottle { distribution, path, method, rate, burst, .. } = written.get_ref();
    check_closed(rate, burst, out);
    if path.is_absent() && method.is_absent() {
        out.push(
            Problem::error("missing-key", written.span(), "for which requests?")
                .help("add `path`, `method` or both; for all requests of a key there is the plan's `throttle`"),
        );
    }
    let Some(path) = path.given() else { return };
    let Some(distributions) = file.distributions.value() else { return };
    let there = |each: &Distribution| match &each.behaviors {
        Field::Given(list) => {
            list.get_ref().broken
                || list.get_ref().items.iter().any(|behavior| match &behavior.get_ref().path {
                    Field::Given(pattern) => pattern.get_ref().0.as_str() == path.get_ref().0,
                    Field::Absent => path.get_ref().0 == "*",
                    Field::Broken => true,
                })
        }
        Field::Absent => path.get_ref().0 == "*",
        Field::Broken => true,
    };
    let named = distribution.value().map(|name| &name.0);
    let found = distributions
        .0
        .iter()
        .any(|(name, each)| named.is_none_or(|wanted| wanted == name.get_ref()) && each.as_ref().is_none_or(&there));
    if !found {
        let message = format!("no behavior has the path `{}`", path.get_ref().0.escape_debug());
        out.push(Problem::error("unknown-name", path.span(), message).help("spell it as the behavior does"));
    }
}
