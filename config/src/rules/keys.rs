//! Usage plans and API keys.

use std::collections::HashMap;

use toml::Spanned;

use super::{first_or_report, no_duplicates};
use crate::decode::{Field, Named, Text};
use crate::model::SecretSource;
use crate::report::{Problem, Report};
use crate::schema::{ApiKey, Behavior, File, UsagePlan};
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
    check_required(file, out);
    check_asked_for(file, out);
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
