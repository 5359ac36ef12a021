//! The explanation for people: a line for each step, its reason behind it.

use std::fmt::Write as _;
use std::time::Duration;

use edgeweir_config::Stage;
use edgeweir_config::units::{format_duration, format_size};

use super::outcome::{Field, Hook, Outcome};
use super::request::quoted;

/// Column where what was found begins.
const COLUMN: usize = 16;

/// The explanation as text with a line end.
pub(super) fn render(outcome: &Outcome) -> String {
    let mut page = Page(String::new());
    let request = &outcome.request;
    page.line("request", &format!("{} {}", request.method, request.url));
    page.line("viewer", &format!("{} ({}), {}", request.client, request.client_why, request.scheme));
    page.line("country", &format!("{} ({})", request.country.as_deref().unwrap_or("unknown"), request.country_why));
    if let Some(path) = &outcome.gate.path {
        page.line("gate", &format!("the path is matched as `{path}`"));
    }
    if !outcome.gate.dropped.is_empty() {
        let names = quoted(outcome.gate.dropped.iter().map(String::as_str));
        page.line("", &format!("dropped, as viewers may not say it, or for this connection only: {names}"));
    }
    if let Some(found) = &outcome.distribution {
        let pattern = found.pattern.as_deref().unwrap_or("*");
        page.line("distribution", &format!("{} (`{}` matches `{pattern}`)", found.name, found.host));
    }
    if let Some(found) = &outcome.behavior {
        page.line("behavior", &format!("`{}` ({} of {})", found.pattern, found.number, found.of));
        if !found.passed_over.is_empty() {
            let before = quoted(found.passed_over.iter().map(String::as_str));
            page.line("", &format!("before it, not matching: {before}"));
        }
        if let Some(conditions) = &found.conditions {
            page.line("", &format!("its conditions hold: {conditions}"));
        }
        page.line("methods", &found.methods.join(", "));
    }
    if let Some(key) = &outcome.api_key {
        let needed = if key.required { "needed" } else { "not needed" };
        page.line("API key", &format!("{needed} ({})", key.why));
        if let (Some(name), Some(plan)) = (&key.key, &key.plan) {
            page.line("", &format!("`{name}`, on the plan `{plan}`"));
        }
    }
    if let Some(refused) = &outcome.refused {
        page.line("refused", &format!("{} {} (fault `{}`)", refused.status, refused.message, refused.fault));
        page.line("", &refused.why);
        return page.0;
    }
    for (at, level) in outcome.throttles.iter().enumerate() {
        let name = if at == 0 { "throttles" } else { "" };
        page.line(name, &format!("{}: {} requests a second, burst {}", level.level, level.rate, level.burst));
    }
    if outcome.origin.is_some() && outcome.throttles.is_empty() {
        page.line("throttles", "none");
    }
    page.hooks(outcome, Stage::ViewerRequest);
    cache(&mut page, outcome);
    page.hooks(outcome, Stage::OriginRequest);
    origin(&mut page, outcome);
    page.hooks(outcome, Stage::OriginResponse);
    page.hooks(outcome, Stage::ViewerResponse);
    if let Some(redirect) = &outcome.redirect {
        page.line("answer", &format!("{} to {} (`viewer_protocol_policy`)", redirect.status, redirect.location));
    } else if outcome.origin.is_none() {
        let what = if outcome.behavior.is_some() { "purges this URL from the cache" } else { "is about the server" };
        page.line("answer", &format!("by the edge itself: the request {what}"));
    } else if !outcome.hooks.is_empty() {
        page.line("note", "hooks were not run: they may answer, or change path, headers, cache key and origin");
    }
    page.0
}

fn cache(page: &mut Page, outcome: &Outcome) {
    let Some(cache) = &outcome.cache else { return };
    let asked = if cache.cacheable { "asked" } else { "not asked" };
    page.line("cache", &format!("{asked}: {}", cache.why));
    let [min, default, max] = [cache.min_ttl, cache.default_ttl, cache.max_ttl].map(ttl);
    page.line("", &format!("policy `{}`: fresh for at least {min}, {default} by default, at most {max}", cache.policy));
    let [revalidate, error] = [cache.stale_while_revalidate, cache.stale_if_error].map(ttl);
    page.line("", &format!("stale for {revalidate} while it is fetched again, for {error} if the origin fails"));
    for note in &cache.notes {
        page.line("", note);
    }
    for (at, part) in cache.key.iter().enumerate() {
        let value = part.value.as_ref().map_or_else(|| "absent".to_owned(), |value| format!("`{value}`"));
        page.line(if at == 0 { "cache key" } else { "" }, &format!("{}: {value}", part.name));
    }
    if let Some(purged) = &cache.purged_as {
        page.line("purged as", purged);
        page.line("", &format!("and by the tags in {}", quoted(cache.tag_headers.iter().map(String::as_str))));
    }
}

fn ttl(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_out_of_range| format!("{seconds} s"), format_duration)
}

fn origin(page: &mut Page, outcome: &Outcome) {
    let Some(origin) = &outcome.origin else { return };
    page.line("origin", &format!("`{}` at {} ({})", origin.name, origin.url, origin.why));
    page.line("", &format!("gets {} {}", outcome.request.method, origin.target));
    let host = origin.host.as_deref().unwrap_or("none");
    page.line("", &format!("Host: {host} ({})", origin.host_why));
    let field = |field: &Field| format!("{}: {} ({})", field.name, field.value, field.why);
    for (at, added) in origin.headers.iter().enumerate() {
        page.line(if at == 0 { "headers added" } else { "" }, &field(added));
    }
    for (at, removed) in origin.removed.iter().enumerate() {
        page.line(if at == 0 { "headers removed" } else { "" }, &field(removed));
    }
}

struct Page(String);

impl Page {
    fn line(&mut self, name: &str, text: &str) {
        // Writing to a string does not fail.
        let _always = writeln!(self.0, "{name:COLUMN$}{text}");
    }

    fn hooks(&mut self, outcome: &Outcome, stage: Stage) {
        let bound = outcome.hooks.iter().filter(|hook| hook.stage == stage.as_str());
        for (at, hook) in bound.enumerate() {
            let Hook { hook: name, file, timeout_ms, memory_bytes, on_failure, settings, .. } = hook;
            let memory = format_size(*memory_bytes);
            let on_errors = if hook.on_errors { ", also on errors" } else { "" };
            self.line(
                if at == 0 { stage.as_str() } else { "" },
                &format!("{}. {name} (`{file}`, {timeout_ms} ms, {memory}, fails {on_failure}{on_errors})", at + 1),
            );
            if settings.as_object().is_some_and(|settings| !settings.is_empty()) {
                self.line("", &format!("   settings {settings}"));
            }
            let sets = Some(&hook.jwks).filter(|sets| !sets.is_empty());
            let stores = hook.key_value_stores.as_ref();
            for (what, granted) in
                [("key-value stores", stores), ("key sets", sets), ("secrets", hook.secrets.as_ref())]
            {
                if let Some(names) = granted {
                    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                    self.line("", &format!("   granted {what}: {names}"));
                }
            }
        }
    }
}
