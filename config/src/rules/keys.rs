//! Usage plans and API keys.

use std::collections::HashMap;

use toml::Spanned;

use super::{first_or_report, no_duplicates};
use crate::decode::{Field, Named, Text};
use crate::model::SecretSource;
use crate::report::{Problem, Report};
use crate::schema::{ApiKey, File, UsagePlan};

/// Characters of a key (API Gateway: 20 to 128).
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 20..=128;

pub(super) fn check(file: &File, out: &mut Report) {
    if let Some(plans) = file.usage_plans.value() {
        for (_, plan) in plans.iter() {
            check_plan(plan, out);
        }
    }
    let keys = file.api_keys.value().map_or(&[][..], |list| list.items.as_slice());
    let mut names = HashMap::new();
    let mut values = HashMap::new();
    let mut hashes = HashMap::new();
    for key in keys {
        let ApiKey { name, key: value, sha256, .. } = key.get_ref();
        if let Some(name) = name.given() {
            let text = &name.get_ref().0;
            first_or_report(&mut names, text, name.span(), || format!("two API keys named `{text}`"), out);
        }
        if value.is_absent() == sha256.is_absent() {
            let message = if value.is_absent() { "an API key needs its value" } else { "an API key has one value" };
            out.push(Problem::error("bad-key", key.span(), message).help("write either `key` or `sha256`"));
        }
        if let Some(value) = value.given()
            && let SecretSource::Inline(text) = &value.get_ref().0
        {
            check_characters(text, value.span(), out);
            let message = || "two API keys with the same value".to_owned();
            first_or_report(&mut values, text, value.span(), message, out);
        }
        if let Some(hash) = sha256.given() {
            let message = || "two API keys with the same value".to_owned();
            first_or_report(&mut hashes, hash.get_ref().0, hash.span(), message, out);
        }
        check_plans_of(key.get_ref(), file, out);
    }
    check_required(file, out);
}

fn check_plan(plan: &UsagePlan, out: &mut Report) {
    let Some(list) = plan.distributions.given() else { return };
    if list.get_ref().items.is_empty() && !list.get_ref().broken {
        out.push(
            Problem::error("empty-list", list.span(), "a usage plan without distributions opens nothing")
                .help("remove the key to cover all distributions"),
        );
    }
    no_duplicates(&list.get_ref().items, "distribution", |name| &name.0, out);
}

fn check_characters(text: &str, span: std::ops::Range<usize>, out: &mut Report) {
    if !KEY_LENGTH.contains(&text.len()) {
        out.push(
            Problem::error("bad-key", span, "an API key has 20 to 128 characters")
                .label(format!("{} characters", text.chars().count()))
                .help("`openssl rand -hex 20` makes one"),
        );
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.~-".contains(&b)) {
        out.push(Problem::error("bad-key", span, "an API key has letters, digits, `_`, `.`, `~` and `-` only"));
    }
}

/// The plans of a key: at least one, and no two for one distribution (API Gateway: a key can be in one usage plan of a
/// stage).
fn check_plans_of(key: &ApiKey, file: &File, out: &mut Report) {
    let Some(list) = key.plans.given() else { return };
    let names = &list.get_ref().items;
    if names.is_empty() && !list.get_ref().broken {
        out.push(Problem::error("empty-list", list.span(), "an API key without usage plans opens nothing"));
    }
    no_duplicates(names, "usage plan", |name| &name.0, out);
    let (Some(plans), Some(distributions)) = (file.usage_plans.value(), file.distributions.value()) else { return };
    for (at, second) in names.iter().enumerate() {
        for first in names.iter().take(at).filter(|first| first.get_ref() != second.get_ref()) {
            let (Some(a), Some(b)) = (find(plans, first.get_ref()), find(plans, second.get_ref())) else { continue };
            let both = distributions.names().find(|d| covers(a, d.get_ref()) && covers(b, d.get_ref()));
            if let Some(both) = both {
                out.push(
                    Problem::error(
                        "two-plans",
                        second.span(),
                        format!("two usage plans of an API key cover the distribution `{}`", both.get_ref()),
                    )
                    .also(first.span(), "covers it too")
                    .help("set `distributions` of the plans so that they do not overlap"),
                );
                return;
            }
        }
    }
}

fn find<'a>(plans: &'a Named<UsagePlan>, name: &Text) -> Option<&'a UsagePlan> {
    plans.iter().find(|(plan, _)| *plan.get_ref() == name.0).map(|(_, plan)| plan)
}

fn covers(plan: &UsagePlan, distribution: &str) -> bool {
    match &plan.distributions {
        Field::Absent => true,
        Field::Broken => false,
        Field::Given(list) => list.get_ref().items.iter().any(|name| name.get_ref().0 == distribution),
    }
}

/// A behavior that asks for a key nobody has.
fn check_required(file: &File, out: &mut Report) {
    let Some(distributions) = file.distributions.value() else { return };
    let keys = match &file.api_keys {
        Field::Given(list) if list.get_ref().broken => return,
        Field::Given(list) => list.get_ref().items.as_slice(),
        Field::Broken => return,
        Field::Absent => &[],
    };
    let enabled = |key: &Spanned<ApiKey>| key.get_ref().enabled.value() != Some(&false);
    let plans_of = |key: &Spanned<ApiKey>| -> Vec<Text> {
        let list = key.get_ref().plans.value();
        list.map(|l| l.items.iter().map(|name| name.get_ref().clone()).collect()).unwrap_or_default()
    };
    let used: Vec<Text> = keys.iter().filter(|key| enabled(key)).flat_map(plans_of).collect();
    for (name, distribution) in distributions.iter() {
        let plans = file.usage_plans.value();
        let covered = used
            .iter()
            .any(|plan| plans.and_then(|plans| find(plans, plan)).is_some_and(|plan| covers(plan, name.get_ref())));
        if covered {
            continue;
        }
        let behaviors = distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice());
        for behavior in behaviors {
            let Some(required) = behavior.get_ref().api_key_required.given() else { continue };
            if *required.get_ref() {
                out.push(
                    Problem::warning(
                        "no-key",
                        required.span(),
                        format!("no enabled API key of this file opens the distribution `{}`", name.get_ref()),
                    )
                    .help("add an `[[api_keys]]` entry with a usage plan that covers it"),
                );
            }
        }
    }
}
