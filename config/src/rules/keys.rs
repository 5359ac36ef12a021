//! Usage plans and API keys.

use std::collections::HashMap;

use toml::Spanned;

use super::{first_or_report, no_duplicates};
use crate::decode::{Field, Named, Text};
use crate::model::SecretSource;
use crate::report::{Problem, Report};
use crate::schema::{ApiKey, Behavior, Distribution, File, Quota, UsagePlan};
use crate::units::parse_sha256;

/// Characters of a key (API Gateway: 20 to 128).
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 20..=128;

/// Digests of words that stand in examples and are the first that anybody tries.
const WEAK: [(&str, &str); 8] = [
    ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "test"),
    ("5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8", "password"),
    ("2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", "secret"),
    ("2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683", "key"),
    ("8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918", "admin"),
    ("2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea", "demo"),
    ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", ""),
    ("057ba03d6c44104863dc7361fe4578965d1887360f90a0895882e58a6248fc86", "changeme"),
];

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
            check_hash(&hash.get_ref().0, hash.span(), out);
        }
        check_plans_of(key.get_ref(), file, out);
    }
    check_plans_of_behaviors(file, out);
    check_required(file, out);
    check_asked_for(file, out);
}

fn check_quota(quota: &Quota, out: &mut Report) {
    let Some(limit) = quota.limit.value() else { return };
    if let Some(offset) = quota.offset.given()
        && offset.get_ref().0 > limit.0
    {
        let message = format!("`offset` is above the limit of {}", limit.0);
        out.push(
            Problem::error("out-of-range", offset.span(), message)
                .help("it is taken off the limit in the first period of a key"),
        );
    }
    if let Some(lease) = quota.lease.given()
        && lease.get_ref().0 > limit.0
    {
        out.push(Problem::error("out-of-range", lease.span(), format!("`lease` is above the limit of {}", limit.0)));
    }
}

/// The plans that open a behavior: at least one, and they cover its distribution.
fn check_plans_of_behaviors(file: &File, out: &mut Report) {
    let (Some(plans), Some(distributions)) = (file.usage_plans.value(), file.distributions.value()) else { return };
    for (name, distribution) in distributions.iter() {
        for behavior in distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice()) {
            let Some(list) = behavior.get_ref().usage_plans.given() else { continue };
            if list.get_ref().items.is_empty() && !list.get_ref().broken {
                out.push(
                    Problem::error("empty-list", list.span(), "a behavior without usage plans is open to no key")
                        .help("remove the key to take all plans that cover the distribution"),
                );
            }
            no_duplicates(&list.get_ref().items, "usage plan", |name| &name.0, out);
            for plan in &list.get_ref().items {
                if find(plans, plan.get_ref()).is_some_and(|found| !covers(found, name.get_ref())) {
                    let message = format!(
                        "the usage plan `{}` does not cover the distribution `{}`",
                        plan.get_ref().0,
                        name.get_ref()
                    );
                    out.push(
                        Problem::error("no-effect", plan.span(), message)
                            .help("add the distribution to `distributions` of the plan"),
                    );
                }
            }
        }
    }
}

fn check_plan(plan: &UsagePlan, out: &mut Report) {
    if let Some(quota) = plan.quota.value() {
        check_quota(quota, out);
    }
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

fn check_hash(hash: &[u8; 32], span: std::ops::Range<usize>, out: &mut Report) {
    let weak = WEAK.iter().find(|(digits, _)| parse_sha256(digits).as_ref() == Ok(hash));
    if let Some((_, word)) = weak {
        let what = if word.is_empty() { "an empty text".to_owned() } else { format!("`{word}`") };
        out.push(
            Problem::error("bad-key", span, format!("this is the SHA-256 of {what}: anybody can guess the key"))
                .help("`openssl rand -hex 20` makes a key, `printf %s \"$KEY\" | sha256sum` its SHA-256"),
        );
    }
}

/// The plans of a key: at least one, and no two for one behavior (API Gateway: a key can be in one usage plan of a stage).
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
            let both = distributions.iter().find(|(d, behaviors)| {
                covers(a, d.get_ref())
                    && covers(b, d.get_ref())
                    && take_both(behaviors, first.get_ref(), second.get_ref())
            });
            if let Some((both, _)) = both {
                out.push(
                    Problem::error(
                        "two-plans",
                        second.span(),
                        format!("two usage plans of an API key cover the distribution `{}`", both.get_ref()),
                    )
                    .also(first.span(), "covers it too")
                    .help("set `distributions` of the plans, or `usage_plans` of the behaviors, so that they do not overlap"),
                );
                return;
            }
        }
    }
}

/// Whether a behavior of a distribution is open to two plans that both cover it.
fn take_both(distribution: &Distribution, one: &Text, other: &Text) -> bool {
    let takes = |behavior: &Spanned<Behavior>, plan: &Text| match &behavior.get_ref().usage_plans {
        Field::Absent => true,
        Field::Broken => false,
        Field::Given(list) => list.get_ref().items.iter().any(|name| name.get_ref() == plan),
    };
    match distribution.behaviors.value() {
        Some(list) if !list.items.is_empty() => list.items.iter().any(|each| takes(each, one) && takes(each, other)),
        _ => true,
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

/// A behavior that asks for a key that nobody can have: no usage plan covers its distribution. Keys themselves need not be
/// in the file.
fn check_required(file: &File, out: &mut Report) {
    let Some(distributions) = file.distributions.value() else { return };
    let plans = match &file.usage_plans {
        Field::Broken => return,
        Field::Absent => None,
        Field::Given(plans) => Some(plans.get_ref()),
    };
    for (name, distribution) in distributions.iter() {
        if plans.is_some_and(|plans| plans.iter().any(|(_, plan)| may_cover(plan, name.get_ref()))) {
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
                        format!("no API key can open the distribution `{}`: no usage plan covers it", name.get_ref()),
                    )
                    .help("add a usage plan that covers it, and an `[[api_keys]]` entry or `edgeweir keys create`"),
                );
            }
        }
    }
}

/// As [`covers`], or it cannot be known.
fn may_cover(plan: &UsagePlan, distribution: &str) -> bool {
    covers(plan, distribution) || matches!(plan.distributions, Field::Broken)
}

/// Keys or plans, and no behavior that asks for a key: everything is open.
fn check_asked_for(file: &File, out: &mut Report) {
    let Field::Given(distributions) = &file.distributions else { return };
    for (_, distribution) in &distributions.get_ref().0 {
        let Some(distribution) = distribution else { return };
        let asks = |behavior: &Spanned<Behavior>| match &behavior.get_ref().api_key_required {
            Field::Given(required) => *required.get_ref(),
            Field::Absent => false,
            // Perhaps.
            Field::Broken => true,
        };
        match &distribution.behaviors {
            Field::Given(list) if list.get_ref().broken || list.get_ref().items.iter().any(asks) => return,
            Field::Broken => return,
            Field::Given(_) | Field::Absent => {}
        }
    }
    let key = file.api_keys.value().and_then(|keys| keys.items.first()).map(|key| (key.span(), "API keys do"));
    let plan = || file.usage_plans.value()?.names().next().map(|name| (name.span(), "usage plans do"));
    let Some((span, what)) = key.or_else(plan) else { return };
    out.push(
        Problem::warning("no-effect", span, format!("{what} nothing: no behavior asks for a key"))
            .help("add `api_key_required = true` to the behaviors that only callers with a key may use"),
    );
}
