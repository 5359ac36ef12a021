//! What a reload changes, and what of it needs a restart. Compares two resolved configurations; things are the same if
//! their names are, wherever they stand. Values are never shown: they may be secrets.

use std::collections::BTreeMap;

use crate::model::{
    Behavior, Binding, Config, Distribution, Http2, Jwks, JwksId, JwksSource, KeyValueStoreId, OriginGroup, OriginId,
    Target, UsagePlan, UsagePlanId,
};

/// One difference between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What changes, such as "origin `app` changed".
    pub what: String,
    /// A reload does not apply it: the edge must be started again.
    pub needs_restart: bool,
}

/// All differences from `old` to `new`, in a fixed order; empty if they do the same.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.value("state_dir", &old.state_dir, &new.state_dir, true);
    server(old, new, &mut changes);
    changes.value("state.backend", &old.state.backend, &new.state.backend, true);
    changes.value(
        "state",
        &(old.state.on_store_failure, old.state.wait),
        &(new.state.on_store_failure, new.state.wait),
        false,
    );
    changes.value("gate", &old.gate, &new.gate, false);
    changes.value("limits", &(&old.throttle, &old.limits), &(&new.throttle, &new.limits), false);
    changes.value("gateway_responses", &old.gateway_responses, &new.gateway_responses, false);
    changes.value("trusted_proxies", &old.trusted_proxies, &new.trusted_proxies, false);
    changes.value("viewer", &old.viewer, &new.viewer, false);
    changes.value("log", &old.log, &new.log, false);
    changes.value("geo.databases", &old.geo_databases, &new.geo_databases, false);
    changes.value("cache.capacity", &old.cache_capacity, &new.cache_capacity, true);
    changes.value("cache.max_object", &old.cache_max_object, &new.cache_max_object, true);
    changes.value("cache.eviction", &old.cache_eviction, &new.cache_eviction, true);
    changes.value("cache.purge_from", &old.cache_purge_from, &new.cache_purge_from, false);
    changes.value(
        "admin.address",
        &old.admin.as_ref().map(|a| a.address),
        &new.admin.as_ref().map(|a| a.address),
        true,
    );
    let token = |config: &Config| config.admin.as_ref().and_then(|a| a.token.clone());
    if old.admin.is_some() && new.admin.is_some() {
        changes.value("admin.token", &token(old), &token(new), false);
    }
    let opened = |http2: &Http2| (http2.max_concurrent_streams, http2.stream_window, http2.connection_window);
    changes.value("http2 streams and windows", &opened(&old.http2), &opened(&new.http2), true);
    let rates = |http2: &Http2| (http2.max_resets, http2.max_control_frames);
    changes.value("http2 rates", &rates(&old.http2), &rates(&new.http2), false);
    changes.value("acme", &old.acme, &new.acme, false);
    changes.named("listener", &old.listeners, &new.listeners, |l| l.address.to_string(), |a, b| a == b);
    changes.named("origin", &old.origins, &new.origins, |o| o.name.clone(), |a, b| a == b);
    changes.named(
        "origin group",
        &old.origin_groups,
        &new.origin_groups,
        |group| group.name.clone(),
        |a, b| same_group((old, a), (new, b)),
    );
    changes.named("cache policy", &old.cache_policies, &new.cache_policies, |p| p.name.clone(), |a, b| a == b);
    changes.named("hook", &old.hooks, &new.hooks, |h| h.name.clone(), |a, b| a == b);
    changes.named("key-value store", &old.key_value_stores, &new.key_value_stores, |s| s.name.clone(), |a, b| a == b);
    changes.named("key set", &old.jwks, &new.jwks, |s| s.name.clone(), |a, b| same_jwks((old, a), (new, b)));
    changes.named(
        "response headers policy",
        &old.response_headers_policies,
        &new.response_headers_policies,
        |p| p.name.clone(),
        |a, b| a == b,
    );
    changes.named("public key", &old.public_keys, &new.public_keys, |k| k.name.clone(), |a, b| a == b);
    changes.named("key group", &old.key_groups, &new.key_groups, |g| g.name.clone(), |a, b| a == b);
    changes.named(
        "usage plan",
        &old.usage_plans,
        &new.usage_plans,
        |p| p.name.clone(),
        |a, b| same_plan((old, a), (new, b)),
    );
    changes.named(
        "API key",
        &old.api_keys,
        &new.api_keys,
        |k| k.name.clone(),
        |a, b| {
            let plans = |config: &Config, key: &crate::model::ApiKey| -> Vec<Option<String>> {
                key.plans.iter().map(|id| config.usage_plans.get(id.0).map(|plan| plan.name.clone())).collect()
            };
            (&a.value, a.enabled) == (&b.value, b.enabled) && plans(old, a) == plans(new, b)
        },
    );
    changes.named(
        "distribution",
        &old.distributions,
        &new.distributions,
        |d| d.name.clone(),
        |a, b| same_distribution((old, a), (new, b)),
    );
    changes.0
}

fn server(old: &Config, new: &Config, changes: &mut Changes) {
    changes.value("server.threads", &old.server.threads, &new.server.threads, true);
    let mut rest = old.server.clone();
    rest.threads = new.server.threads;
    changes.value("server", &rest, &new.server, false);
}

struct Changes(Vec<Change>);

impl Changes {
    fn push(&mut self, what: String, needs_restart: bool) {
        self.0.push(Change { what, needs_restart });
    }

    fn value<T: PartialEq>(&mut self, what: &str, old: &T, new: &T, needs_restart: bool) {
        if old != new {
            self.push(format!("{what} changed"), needs_restart);
        }
    }

    /// Things with a name: added, removed, changed. None of these needs a restart.
    fn named<T>(
        &mut self,
        what: &str,
        old: &[T],
        new: &[T],
        name: impl Fn(&T) -> String,
        same: impl Fn(&T, &T) -> bool,
    ) {
        let mut both: BTreeMap<String, (Option<&T>, Option<&T>)> = BTreeMap::new();
        for thing in old {
            both.entry(name(thing)).or_default().0 = Some(thing);
        }
        for thing in new {
            both.entry(name(thing)).or_default().1 = Some(thing);
        }
        for (name, pair) in both {
            let change = match pair {
                (Some(old), Some(new)) if same(old, new) => continue,
                (Some(_), Some(_)) => "changed",
                (Some(_), None) => "removed",
                (None, _) => "added",
            };
            self.push(format!("{what} `{name}` {change}"), false);
        }
    }
}

/// As `==`, but indices are compared by what they stand for.
fn same_plan((old, a): (&Config, &UsagePlan), (new, b): (&Config, &UsagePlan)) -> bool {
    fn distributions<'a>(config: &'a Config, plan: &UsagePlan) -> Vec<Option<&'a str>> {
        let own = plan.distributions.iter().map(Some);
        let ids = own.chain(plan.method_throttles.iter().map(|throttle| throttle.distribution.as_ref()));
        ids.map(|id| config.distributions.get(id?.0).map(|found| found.name.as_str())).collect()
    }
    let with_indices_of_a = || {
        let mut b = b.clone();
        b.distributions.clone_from(&a.distributions);
        for (b, a) in b.method_throttles.iter_mut().zip(&a.method_throttles) {
            b.distribution = a.distribution;
        }
        b
    };
    a.distributions.len() == b.distributions.len()
        && distributions(old, a) == distributions(new, b)
        && *a == with_indices_of_a()
}

/// As `==`, but origins are compared by name.
fn same_jwks((old, a): (&Config, &Jwks), (new, b): (&Config, &Jwks)) -> bool {
    let (JwksSource::Origin(from), JwksSource::Origin(to)) = (&a.source, &b.source) else { return a == b };
    let origin = |config: &Config, id: OriginId| config.origins.get(id.0).map(|origin| origin.name.clone());
    let mut to = to.clone();
    let same_origin = origin(old, from.origin) == origin(new, to.origin);
    to.origin = from.origin;
    same_origin && *from == to
}

/// As `==`, but origins are compared by name.
fn same_group((old, a): (&Config, &OriginGroup), (new, b): (&Config, &OriginGroup)) -> bool {
    fn members<'a>(config: &'a Config, group: &OriginGroup) -> Vec<Option<&'a str>> {
        group.members.iter().map(|id| config.origins.get(id.0).map(|origin| origin.name.as_str())).collect()
    }
    a.statuses == b.statuses && members(old, a) == members(new, b)
}

/// What requests go to, by name; no origin and group have the same.
fn target(config: &Config, target: Target) -> Option<&str> {
    match target {
        Target::Origin(id) => config.origins.get(id.0).map(|origin| origin.name.as_str()),
        Target::Group(id) => config.origin_groups.get(id.0).map(|group| group.name.as_str()),
    }
}

fn same_distribution((old, a): (&Config, &Distribution), (new, b): (&Config, &Distribution)) -> bool {
    a.hosts == b.hosts
        && (a.throttle, &a.limits, &a.gateway_responses) == (b.throttle, &b.limits, &b.gateway_responses)
        && (&a.key_source, &a.default_root_object) == (&b.key_source, &b.default_root_object)
        && a.error_responses == b.error_responses
        && a.behaviors.len() == b.behaviors.len()
        && a.behaviors.iter().zip(&b.behaviors).all(|(a, b)| same_behavior((old, a), (new, b)))
}

/// As `==`, but indices are compared by what they stand for.
fn same_behavior((old, a): (&Config, &Behavior), (new, b): (&Config, &Behavior)) -> bool {
    let origin = |config, b: &Behavior| target(config, b.origin).map(str::to_owned);
    let policy = |config: &Config, b: &Behavior| config.cache_policies.get(b.cache_policy.0).map(|p| p.name.clone());
    let stores = |config: &Config, binding: &Binding| -> Option<Vec<Option<String>>> {
        let name = |id: &KeyValueStoreId| config.key_value_stores.get(id.0).map(|store| store.name.clone());
        Some(binding.key_value_stores.as_ref()?.iter().map(name).collect())
    };
    let sets = |config: &Config, binding: &Binding| -> Vec<Option<String>> {
        let name = |id: &JwksId| config.jwks.get(id.0).map(|set| set.name.clone());
        binding.jwks.iter().map(name).collect()
    };
    let fetched = |config: &Config, binding: &Binding| -> Option<Vec<Option<String>>> {
        let name = |id: &OriginId| config.origins.get(id.0).map(|origin| origin.name.clone());
        Some(binding.fetch.as_ref()?.iter().map(name).collect())
    };
    let plans = |config: &Config, b: &Behavior| -> Option<Vec<Option<String>>> {
        let name = |id: &UsagePlanId| config.usage_plans.get(id.0).map(|plan| plan.name.clone());
        Some(b.usage_plans.as_ref()?.iter().map(name).collect())
    };
    let hooks = |config: &Config, b: &Behavior| -> Vec<_> {
        let hook = |binding: &Binding| config.hooks.get(binding.hook.0).map(|hook| hook.name.clone());
        let granted =
            |binding| (hook(binding), stores(config, binding), sets(config, binding), fetched(config, binding));
        b.hooks.iter().flatten().chain(b.authorizer.as_ref().map(|one| &one.binding)).map(granted).collect()
    };
    // The names are the same: with the indices of `a`, what is left must be equal.
    let with_indices_of_a = || {
        let mut b = b.clone();
        b.origin = a.origin;
        b.cache_policy = a.cache_policy;
        b.usage_plans.clone_from(&a.usage_plans);
        let theirs = b.hooks.iter_mut().flatten().chain(b.authorizer.as_mut().map(|one| &mut one.binding));
        let ours = a.hooks.iter().flatten().chain(a.authorizer.as_ref().map(|one| &one.binding));
        for (b, a) in theirs.zip(ours) {
            b.hook = a.hook;
            b.key_value_stores.clone_from(&a.key_value_stores);
            b.jwks.clone_from(&a.jwks);
            b.fetch.clone_from(&a.fetch);
        }
        b
    };
    origin(old, a) == origin(new, b)
        && policy(old, a) == policy(new, b)
        && hooks(old, a) == hooks(new, b)
        && plans(old, a) == plans(new, b)
        && *a == with_indices_of_a()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const BASE: &str = r#"
        [origins.app]
        url = "http://127.0.0.1:3000"
        [hooks.auth]
        file = "auth.wasm"
        [distributions.site]
        hosts = ["*"]
        origin = "app"
        [[distributions.site.behaviors]]
        hooks = { viewer-request = ["auth"] }
    "#;

    fn config(source: &str) -> Config {
        parse(source, "/base".as_ref()).unwrap().config
    }

    fn changes(new: &str) -> Vec<(String, bool)> {
        let changes = diff(&config(BASE), &config(new));
        changes.into_iter().map(|c| (c.what, c.needs_restart)).collect()
    }

    fn live(what: &str) -> (String, bool) {
        (what.to_owned(), false)
    }

    #[test]
    fn the_same_config_has_no_changes() {
        assert_eq!(changes(BASE), []);
    }

    #[test]
    fn new_names_before_old_ones_do_not_change_what_refers_by_index() {
        let more = format!("{BASE}\n[origins.aaa]\nurl = \"http://a\"\n[hooks.aaa]\nfile = \"a.wasm\"");
        assert_eq!(changes(&more), [live("origin `aaa` added"), live("hook `aaa` added")]);
    }

    #[test]
    fn groups_are_compared_by_the_names_of_their_members() {
        let grouped = |members: &str| {
            let group = format!("[origins.b]\nurl = \"http://b\"\n[origin_groups.g]\nmembers = {members}\n");
            format!("{}\n{group}", BASE.replace("origin = \"app\"", "origin = \"g\""))
        };
        let between = |old: &str, new: &str| -> Vec<String> {
            diff(&config(old), &config(new)).into_iter().map(|change| change.what).collect()
        };
        let (one, other) = (grouped("[\"app\", \"b\"]"), grouped("[\"b\", \"app\"]"));
        assert_eq!(between(&one, &other), ["origin group `g` changed"]);
        let more = format!("{one}\n[origins.aaa]\nurl = \"http://a\"");
        assert_eq!(between(&one, &more), ["origin `aaa` added"]);
        assert_eq!(between(BASE, &one), ["origin `b` added", "origin group `g` added", "distribution `site` changed"]);
    }

    #[test]
    fn a_renamed_origin_changes_its_distribution() {
        let renamed = BASE.replace("app", "web");
        assert_eq!(
            changes(&renamed),
            [live("origin `app` removed"), live("origin `web` added"), live("distribution `site` changed")]
        );
    }

    #[test]
    fn settings_of_a_binding_count() {
        let told = BASE.replace(r#"["auth"]"#, r#"[{ hook = "auth", settings = { a = 1 } }]"#);
        assert_eq!(changes(&told), [live("distribution `site` changed")]);
    }

    #[test]
    fn grants_of_a_binding_count_and_show_no_value() {
        let store = "[key_value_stores.flags]\nentries = { dark = \"on\" }";
        let told = |grants: &str, store: &str| {
            let binding = format!("[{{ hook = \"auth\", {grants} }}]");
            format!("{}\n{store}", BASE.replace(r#"["auth"]"#, &binding))
        };
        let with = told(r#"key_value_stores = ["flags"], secrets = { pin = "1234" }"#, store);
        assert_eq!(changes(&with), [live("key-value store `flags` added"), live("distribution `site` changed")]);
        let between = |old: &str, new: &str| -> Vec<String> {
            diff(&config(old), &config(new)).into_iter().map(|change| change.what).collect()
        };
        assert_eq!(between(&with, &with.replace("1234", "5678")), ["distribution `site` changed"]);
        assert_eq!(between(&with, &with.replace("\"on\"", "\"off\"")), ["key-value store `flags` changed"]);
        let set = "[jwks.login]\norigin = \"app\"\npath = \"/keys\"";
        let with_set = told(r#"jwks = ["login"]"#, set);
        assert_eq!(changes(&with_set), [live("key set `login` added"), live("distribution `site` changed")]);
        assert_eq!(between(&with_set, &with_set.replace("/keys", "/k")), ["key set `login` changed"]);
        let before = format!("[origins.aaa]\nurl = \"http://127.0.0.1:9\"\n{with_set}");
        assert_eq!(between(&with_set, &before), ["origin `aaa` added"]);
        let fetches = told(r#"fetch = ["app"]"#, store);
        assert_eq!(between(&fetches, &fetches.replace(r#"["app"]"#, "[]")), ["distribution `site` changed"]);
        let earlier = format!("{fetches}\n[origins.aaa]\nurl = \"http://a\"");
        assert_eq!(between(&fetches, &earlier), ["origin `aaa` added"]);
        // A store before it in the order, and a text that moved, change nothing of the binding.
        let moved = format!("# moved\n{with}\n[key_value_stores.aaa]\nfile = \"a.json\"");
        assert_eq!(between(&with, &moved), ["key-value store `aaa` added"]);
    }

    #[test]
    fn what_needs_a_restart() {
        let new = format!(
            "state_dir = \"elsewhere\"\nserver.threads = 2\nserver.read_timeout = \"1s\"\ncache.capacity = \"1GiB\"\n\
             admin.address = \"127.0.0.1:9090\"\nlisteners = [{{ address = \"127.0.0.1:1\" }}]\n{BASE}"
        );
        let restart = |what: &str| (what.to_owned(), true);
        assert_eq!(
            changes(&new),
            [
                restart("state_dir changed"),
                restart("server.threads changed"),
                live("server changed"),
                restart("cache.capacity changed"),
                restart("admin.address changed"),
                live("listener `127.0.0.1:1` added"),
                live("listener `127.0.0.1:8080` removed"),
            ]
        );
    }
}
