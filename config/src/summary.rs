//! A configuration in a page of text, for `edgeweir check`. Shows no secret, only where it comes from.

mod origins;

use std::time::Duration;

use crate::model::{
    Acme, ApiKey, Backend, Behavior, CachePolicy, CallerName, Config, Distribution, Each, GeoList, GeoRestriction,
    Hook, Jwks, JwksSource, KeySource, KeyValueSource, KeyValueStore, Limits, Listener, LogTarget, Quota, QuotaPeriod,
    SecretSource, Stage, State, StorePolicy, Target, Throttle, TlsVersion, UsagePlan, ViewerProtocolPolicy,
};
use crate::units::{format_duration, format_size};

/// What a configuration does, as text with a line end.
#[must_use]
pub fn summary(config: &Config) -> String {
    let mut text = String::new();
    section(&mut text, "listeners", config.listeners.iter().map(listener));
    let acme = |acme: &Acme| vec![acme.directory_url.clone(), acme.challenge.as_str().to_owned()];
    section(&mut text, "ACME", config.acme.iter().map(acme));
    section(&mut text, "admin", [admin(config)]);
    let logs = [("access", &config.log.access), ("events", &config.log.events)];
    section(&mut text, "logs", logs.map(|(name, to)| vec![name.to_owned(), target(to)]));
    let objects = format!("objects up to {}", format_size(config.cache_max_object));
    section(&mut text, "cache", [vec![format_size(config.cache_capacity), objects]]);
    section(&mut text, "geo databases", config.geo_databases.iter().map(|path| vec![path.display().to_string()]));
    section(&mut text, "origins", config.origins.iter().map(origins::origin));
    section(&mut text, "origin groups", config.origin_groups.iter().map(|group| origins::group(config, group)));
    section(&mut text, "cache policies", config.cache_policies.iter().map(cache_policy));
    section(&mut text, "hooks", config.hooks.iter().map(hook));
    section(&mut text, "key-value stores", config.key_value_stores.iter().map(key_value_store));
    section(&mut text, "key sets", config.jwks.iter().map(|set| jwks(config, set)));
    let edge = everything(config.throttle, &config.limits);
    section(&mut text, "limits of the edge", edge.into_iter().map(|limit| vec![limit]));
    if !config.usage_plans.is_empty() {
        section(&mut text, "keys, quotas and usage", state(&config.state));
    }
    section(&mut text, "usage plans", config.usage_plans.iter().map(|plan| usage_plan(config, plan)));
    section(&mut text, "at worst", config.usage_plans.iter().flat_map(|plan| worst(&config.state, plan)));
    section(&mut text, "API keys", config.api_keys.iter().map(|key| api_key(config, key)));
    for each in &config.distributions {
        distribution(&mut text, config, each);
    }
    text
}

fn listener(listener: &Listener) -> Vec<String> {
    let tls = match (listener.certificates.len(), listener.min_tls) {
        (0, _) => "plain".to_owned(),
        (n, TlsVersion::V1_2) => format!("TLS 1.2 and 1.3, certificates: {n}"),
        (n, TlsVersion::V1_3) => format!("TLS 1.3, certificates: {n}"),
    };
    let tls = match listener.certificates.iter().filter(|certificate| certificate.acme).count() {
        0 => tls,
        n => format!("{tls}, by ACME: {n}"),
    };
    let http = match (listener.http2, listener.certificates.is_empty()) {
        (false, _) => "HTTP/1.1",
        (true, true) => "HTTP/1.1, h2c",
        (true, false) => "HTTP/1.1, HTTP/2",
    };
    let proxy = if listener.proxy_protocol { ", PROXY protocol" } else { "" };
    let viewers = match &listener.viewer_certificates {
        None => "",
        Some(viewers) if viewers.required => ", viewers need certificates",
        Some(_) => ", viewers may show certificates",
    };
    vec![listener.address.to_string(), http.to_owned(), format!("{tls}{proxy}{viewers}")]
}

fn admin(config: &Config) -> Vec<String> {
    let Some(admin) = &config.admin else {
        return vec![format!("Unix socket in {}", config.state_dir.display())];
    };
    let token = match &admin.token {
        None => "without token: nothing can be changed through it",
        Some(SecretSource::Inline(_)) => "with a token of the config",
        Some(SecretSource::File(_)) => "with a token from a file",
        Some(SecretSource::Env(_)) => "with a token from the environment",
    };
    vec![admin.address.to_string(), token.to_owned()]
}

fn target(target: &LogTarget) -> String {
    match target {
        LogTarget::Off => "off".to_owned(),
        LogTarget::Stdout => "stdout".to_owned(),
        LogTarget::Stderr => "stderr".to_owned(),
        LogTarget::File(path) => path.display().to_string(),
    }
}

fn cache_policy(policy: &CachePolicy) -> Vec<String> {
    let ttls = [policy.min_ttl, policy.default_ttl, policy.max_ttl].map(format_duration).join(" / ");
    let errors = format_errors(&policy.behaviour.errors);
    vec![policy.name.clone(), if policy.disabled() { "not cached".to_owned() } else { ttls }, errors]
}

/// What errors live at least: the preset of behaviors that name none has the name of one that they may name, and no such times.
fn format_errors(errors: &[(u16, Duration)]) -> String {
    let mut by_time: Vec<(Duration, Vec<String>)> = Vec::new();
    for (status, ttl) in errors {
        match by_time.iter_mut().find(|(time, _)| time == ttl) {
            Some((_, statuses)) => statuses.push(status.to_string()),
            None => by_time.push((*ttl, vec![status.to_string()])),
        }
    }
    let of_time = |(ttl, statuses): &(Duration, Vec<String>)| match ttl.is_zero() {
        true => format!("never {}", statuses.join(" ")),
        false => format!("{} {}", format_duration(*ttl), statuses.join(" ")),
    };
    let words: Vec<String> = by_time.iter().map(of_time).collect();
    if words.is_empty() { String::new() } else { format!("errors: {}", words.join(", ")) }
}

fn hook(hook: &Hook) -> Vec<String> {
    let limits = format!("{}, {}", format_duration(hook.timeout), format_size(hook.memory));
    vec![hook.name.clone(), hook.source.to_string(), limits]
}

fn key_value_store(store: &KeyValueStore) -> Vec<String> {
    let source = match &store.source {
        KeyValueSource::Inline(entries) => format!("{} in the config", entries.len()),
        KeyValueSource::File(path) => path.display().to_string(),
    };
    vec![store.name.clone(), source]
}

fn jwks(config: &Config, set: &Jwks) -> Vec<String> {
    let source = match &set.source {
        JwksSource::File(path) => path.display().to_string(),
        JwksSource::Origin(published) => {
            let origin = config.origins.get(published.origin.0).map_or("", |origin| &origin.name);
            let times = [published.min_refresh, published.max_refresh].map(format_duration).join(" to ");
            format!("{} of origin {origin}, every {times}", published.path)
        }
    };
    vec![set.name.clone(), source]
}

fn api_key(config: &Config, key: &ApiKey) -> Vec<String> {
    let plans = key.plans.iter().filter_map(|id| config.usage_plans.get(id.0));
    let plans: Vec<&str> = plans.map(|plan| plan.name.as_str()).collect();
    vec![key.name.clone(), plans.join(", "), if key.enabled { "" } else { "disabled" }.to_owned()]
}

fn rate(throttle: Option<Throttle>) -> Option<String> {
    throttle.map(|t| format!("{}/s burst {}", t.rate, t.burst))
}

/// All limits of a scope in words.
fn everything(throttle: Option<Throttle>, limits: &Limits) -> Vec<String> {
    let mut words: Vec<String> = rate(throttle).into_iter().collect();
    words.extend(limits.concurrency.map(|most| format!("{most} at once")));
    let of_each = |each: &Each| {
        let at_once = each.concurrency.map(|most| format!("{most} at once"));
        rate(each.throttle).into_iter().chain(at_once).collect::<Vec<_>>().join(" and ")
    };
    if let Some(address) = &limits.per_address {
        words.push(format!("{} for each address", of_each(&address.each)));
    }
    if let Some(caller) = &limits.per_caller {
        let who = match &caller.by {
            CallerName::Header(name) => format!("{name} header"),
            CallerName::Principal => "principal".to_owned(),
            CallerName::Context(name) => format!("{name} of the authorizer"),
        };
        words.push(format!("{} for each {who}", of_each(&caller.each)));
    }
    words
}

fn usage_plan(config: &Config, plan: &UsagePlan) -> Vec<String> {
    let names = plan.distributions.iter().filter_map(|id| config.distributions.get(id.0));
    let names: Vec<&str> = names.map(|d| d.name.as_str()).collect();
    let covers = if names.is_empty() { "all distributions".to_owned() } else { names.join(", ") };
    let mut limits: Vec<String> = rate(plan.throttle).into_iter().collect();
    limits.extend(plan.concurrency.map(|most| format!("{most} at once")));
    for throttle in &plan.method_throttles {
        let requests = [throttle.method.as_deref(), throttle.path.as_deref()];
        let requests: Vec<&str> = requests.into_iter().flatten().collect();
        limits.push(format!("{} for {}", rate(Some(throttle.throttle)).unwrap_or_default(), requests.join(" ")));
    }
    limits.extend(plan.quota.as_ref().map(quota));
    let limits = if limits.is_empty() { "no limit".to_owned() } else { limits.join(", ") };
    vec![plan.name.clone(), limits, covers]
}

fn quota(quota: &Quota) -> String {
    let period = match quota.period {
        QuotaPeriod::Day => "day",
        QuotaPeriod::Week => "week",
        QuotaPeriod::Month => "month",
    };
    let mut text = format!("{} a {period}", quota.limit);
    if quota.offset > 0 {
        text.push_str(&format!(" ({} less in the first)", quota.offset));
    }
    let counts: Vec<&str> = quota.counts.iter().map(|counted| counted.as_str()).collect();
    let counts = if counts.is_empty() { "successes only".to_owned() } else { format!("with {}", counts.join(" ")) };
    text.push_str(&format!(" counted {counts}"));
    text
}

/// By how much a plan's limits can be missed.
fn worst(state: &State, plan: &UsagePlan) -> Vec<Vec<String>> {
    let shared = matches!(state.backend, Backend::Redis { .. });
    let mut rows = Vec::new();
    if let Some(quota) = &plan.quota {
        let lease = quota.lease.unwrap_or_else(|| (quota.limit / 100).clamp(1, 1_000));
        let over = match (state.on_store_failure, shared) {
            (StorePolicy::Open, _) => "over: what comes while the store does not answer",
            (StorePolicy::Closed, true) => "over: none, if the server forgets nothing",
            (StorePolicy::Closed, false) => "over: none",
        };
        let under = format!("under: {lease} for each crash of an edge");
        rows.push(vec![plan.name.clone(), "quota".to_owned(), over.to_owned(), under]);
    }
    if plan.throttle.is_some() {
        let (over, under) = match shared {
            true => (
                "over: one more burst for 0.5 s when an edge comes",
                "under: the part of an edge that died, for 3 s and until the room of the others has filled; of those that \
                 are asked less than others",
            ),
            false => (
                "over: one more burst at a restart; the double while two processes serve at a take-over",
                "under: none",
            ),
        };
        rows.push(vec![plan.name.clone(), "rate".to_owned(), over.to_owned(), under.to_owned()]);
    }
    if let (Some(limit), true) = (plan.concurrency, shared) {
        let over = format!("over: each edge lets {limit} in");
        rows.push(vec![plan.name.clone(), "at once".to_owned(), over, "under: none".to_owned()]);
    }
    rows
}

fn state(state: &State) -> Vec<Vec<String>> {
    let backend = match &state.backend {
        Backend::Embedded => "in the state folder".to_owned(),
        Backend::Redis { url, prefix } => {
            let from = match url {
                SecretSource::Inline(_) => "a server of the config",
                SecretSource::File(_) => "a server named in a file",
                SecretSource::Env(_) => "a server named in the environment",
            };
            format!("in {from}, prefix {prefix}")
        }
    };
    let without = match state.on_store_failure {
        StorePolicy::Closed => "503 without it",
        StorePolicy::Open => "requests pass without it",
    };
    vec![vec![backend, without.to_owned()]]
}

fn distribution(text: &mut String, config: &Config, distribution: &Distribution) {
    let hosts: Vec<&str> = distribution.hosts.iter().map(|host| host.as_str()).collect();
    let limits = everything(distribution.throttle, &distribution.limits);
    let limit = if limits.is_empty() { String::new() } else { format!(" ({})", limits.join(", ")) };
    let source = match &distribution.key_source {
        KeySource::Header(name) if name == "x-api-key" => String::new(),
        KeySource::Header(name) => format!(" (API key in the header {name})"),
        KeySource::Query(name) => format!(" (API key in the parameter {name})"),
    };
    let title = format!("distribution {}: {}{limit}{source}", distribution.name, hosts.join(", "));
    let heads = ["path", "methods", "origin", "cache policy", "hooks", "limits"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(distribution.behaviors.iter().map(|each| behavior(config, each)));
    let last = distribution.behaviors.iter().any(|each| each.path.matches_all() && each.conditions.is_empty());
    if !last {
        rows.push(vec!["(others)".to_owned(), "404: no behavior has them".to_owned()]);
    }
    section(text, &title, rows);
}

fn behavior(config: &Config, behavior: &Behavior) -> Vec<String> {
    let mut hooks = Vec::new();
    if let Some(authorizer) = &behavior.authorizer {
        let hook = config.hooks.get(authorizer.binding.hook.0);
        hooks.extend(hook.map(|hook| format!("authorizer: {}", hook.name)));
    }
    for stage in Stage::ALL {
        let names = behavior.hooks_at(stage).iter().filter_map(|binding| config.hooks.get(binding.hook.0));
        hooks.extend(names.map(|hook| format!("{}: {}", stage.as_str(), hook.name)));
    }
    let mut limits = Vec::new();
    if !behavior.trusted_key_groups.is_empty() {
        limits.push(format!("signed by {}", behavior.trusted_key_groups.join(" or ")));
    }
    if behavior.api_key_required {
        limits.push(match &behavior.usage_plans {
            None => "API key".to_owned(),
            Some(plans) => {
                let plans = plans.iter().filter_map(|id| config.usage_plans.get(id.0));
                let names: Vec<&str> = plans.map(|plan| plan.name.as_str()).collect();
                format!("API key of {}", names.join(" or "))
            }
        });
    }
    limits.extend(everything(behavior.throttle, &behavior.limits));
    for (method, throttle) in &behavior.method_throttles {
        limits.extend(rate(Some(*throttle)).map(|rate| format!("{method} {rate}")));
    }
    match behavior.viewer_protocol.policy {
        ViewerProtocolPolicy::AllowAll => {}
        ViewerProtocolPolicy::RedirectToHttps => limits.push("HTTP redirected".to_owned()),
        ViewerProtocolPolicy::HttpsOnly => limits.push("HTTPS only".to_owned()),
    }
    limits.extend(behavior.geo_restriction.as_ref().map(geo_restriction));
    if let Some(policy) = &behavior.response_headers_policy {
        limits.push(format!("headers by {policy}"));
    }
    if let Some(idle) = behavior.idle_timeout {
        limits.push(format!("idle {}", format_duration(idle)));
    }
    if behavior.raw_path {
        limits.push("raw path".to_owned());
    }
    if behavior.allow_ambiguous_paths {
        limits.push("ambiguous paths".to_owned());
    }
    let list = |items: Vec<String>| if items.is_empty() { "-".to_owned() } else { items.join(", ") };
    let path = match behavior.conditions.is_empty() {
        true => behavior.path.to_string(),
        false => format!("{} with {}", behavior.path, behavior.conditions),
    };
    vec![
        path,
        behavior.methods.join(" "),
        match behavior.origin {
            Target::Origin(id) => config.origins.get(id.0).map_or_else(String::new, |o| o.name.clone()),
            Target::Group(id) => config.origin_groups.get(id.0).map_or_else(String::new, |o| o.name.clone()),
        },
        config.cache_policies.get(behavior.cache_policy.0).map_or_else(String::new, |p| p.name.clone()),
        list(hooks),
        list(limits),
    ]
}

fn geo_restriction(restriction: &GeoRestriction) -> String {
    let places = |list: &GeoList| {
        let countries = list.countries.iter().cloned();
        let continents = list.continents.iter().map(|continent| continent.as_str().to_owned());
        let asns = list.asns.iter().map(|asn| format!("AS{asn}"));
        let all = countries.chain(continents).chain(asns).chain(list.cidrs.iter().map(ToString::to_string));
        all.collect::<Vec<_>>().join(" ")
    };
    let allow = restriction.allow.as_ref().map(|list| format!("only from {}", places(list)));
    let deny = restriction.deny.as_ref().map(|list| format!("not from {}", places(list)));
    [allow, deny].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A title and indented rows with aligned columns; nothing if there are no rows.
fn section(text: &mut String, title: &str, rows: impl IntoIterator<Item = Vec<String>>) {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    if rows.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(title);
    text.push('\n');
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or_default()).collect();
    for row in &rows {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
