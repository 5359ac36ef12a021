//! Makes a snapshot of a configuration: reads files and secrets, compiles hooks, resolves names. Whole or not at all.
//!
//! Blocks (files, compilers): call it off the runtime's workers. All problems are collected, none stops the next.

mod authorizer;
mod bindings;
mod buckets;
mod hooks;
mod limits;
mod origins;
mod signed;
mod unbuilt;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use edgeweir_cache::{Admit, Coding, Rules, Selection, SetCookie, Ttl};
use edgeweir_config::{self as model, KeyValue, Problem, Report, SecretSource, Stage};
use edgeweir_hookhost::HookEngine;
use edgeweir_limits::{Counts, Draft, Key, KeyHash, KeyTable, Period, Plans, Quota, Reach, UsagePlan};
use http::{HeaderName, HeaderValue};

use super::answers::{Cors, Responses};
use super::conditions::Conditions;
use super::errors::ErrorResponses;
use super::geo_rules::GeoRules;
use super::headers::HeadersPolicy;
use super::stores::Store;
use super::{Behavior, CachePolicy, Distribution, HostIndex, KeySource, Routes, Snapshot, ViewerFact, ViewerHeader};
use crate::fault::chain;
use crate::fetch::Connections;
use crate::files;
use crate::geo::Geo;
use crate::jwks::{KeySet, Tools};
use crate::origin::{DynamicOrigins, Origin};
use crate::pages::Pages;
use crate::runtime::clock::Clock;
use crate::runtime::resolver::Resolver;
use crate::state::{OF_CONFIG, State};
use crate::telemetry::metrics::Metrics;
use bindings::Bindable;

/// What lives as long as the process and snapshots are made with.
pub struct Materials<'a> {
    /// Compiles hooks.
    pub engine: &'a HookEngine,
    /// What outlives snapshots.
    pub state: &'a Arc<State>,
    /// The way to pages that stand in for errors.
    pub pages: &'a Arc<Pages>,
    /// Hands out counters.
    pub metrics: &'a Metrics,
    /// For look-ups.
    pub clock: &'a Arc<dyn Clock>,
    /// For names of origins.
    pub resolver: &'a Arc<dyn Resolver>,
    /// Of requests that hooks send.
    pub fetches: &'a Arc<Connections>,
    /// Reads an environment variable of the edge.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A version of a deployed hook that is to be put in force, in place of the one that is.
    pub deploy: Option<&'a Deploy>,
}

/// A version of a hook that is to be put in force.
#[derive(Debug, Clone)]
pub struct Deploy {
    /// The hook's name in the configuration.
    pub hook: String,
    /// The version's id.
    pub version: String,
}

/// Everything that is wrong with a configuration beyond its text.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct BuildError {
    /// Those without a place in the text are at its start.
    pub problems: Vec<Problem>,
}

/// A problem of something that the configuration names, without a place in its text.
#[must_use]
pub fn unusable(text: String) -> Problem {
    Problem::error("unusable", 0..0, text)
}

impl BuildError {
    /// Whether a problem has a place in the text.
    #[must_use]
    pub fn has_places(&self) -> bool {
        self.problems.iter().any(has_place)
    }

    /// The problems as the reports of a configuration show them. `text` is the report on the same text: what it hides
    /// stays hidden.
    #[must_use]
    pub fn render(&self, name: &str, source: &str, text: &Report, colour: bool) -> String {
        let (placed, others): (Vec<_>, Vec<_>) = self.problems.iter().cloned().partition(has_place);
        let mut shown: String = others.iter().map(|problem| format!("error: {}\n", line(problem))).collect();
        let mut report = text.with(placed);
        report.sort();
        shown.push_str(&report.render(name, source, colour));
        shown
    }
}

/// Whether the text shows where it is.
#[must_use]
pub fn has_place(problem: &Problem) -> bool {
    !problem.span.is_empty()
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(problem: &Problem) -> String {
    match &problem.help {
        Some(help) => format!("{}: {help}", problem.message),
        None => problem.message.clone(),
    }
}

struct Builder<'a> {
    materials: &'a Materials<'a>,
    old: Option<&'a Snapshot>,
    /// Edges that share rates.
    nodes: u64,
    problems: Vec<Problem>,
}

/// Makes a snapshot. The buckets of `draft` are in force only once the caller commits it.
///
/// # Errors
/// All problems found.
pub fn build(
    config: Arc<model::Config>,
    number: u64,
    materials: &Materials<'_>,
    old: Option<&Snapshot>,
    draft: &mut Draft<'_>,
) -> Result<Snapshot, BuildError> {
    let mut builder = Builder { materials, old, nodes: materials.state.nodes(), problems: Vec::new() };
    let geo = builder.geo(&config);
    let hooks = builder.hooks(&config);
    let stores = builder.stores(&config);
    let origins = builder.origins(&config);
    let jwks = builder.jwks(&config, &origins);
    let prefix = &config.viewer.header_prefix;
    let policies: Vec<_> = config.cache_policies.iter().map(|policy| Arc::new(cache_policy(policy, prefix))).collect();
    let plans = builder.plans(&config);
    let keys = builder.keys(&config);
    let plan_limits = builder.plan_limits(&config, keys.len() + materials.state.live.len(), draft);
    let limits = builder.limits(draft, "edge", config.throttle, &config.limits);
    let mut distributions = builder.distributions(
        &config,
        Bindable { hooks: &hooks, stores: &stores, jwks: &jwks, origins: &origins },
        &policies,
        draft,
    );
    if !builder.problems.is_empty() {
        return Err(BuildError { problems: builder.problems });
    }
    for distribution in &mut distributions {
        let around = limits.any() || distribution.limits.any();
        for behavior in &mut distribution.behaviors {
            behavior.limited = around || behavior.limits.any() || behavior.api_key_required;
        }
    }
    Ok(Snapshot {
        number,
        nodes: builder.nodes,
        hosts: HostIndex::new(&config.distributions),
        hooks,
        key_parameters: distributions.iter().filter_map(Distribution::key_parameter).map(Box::from).collect(),
        tells_heads: tells(&distributions, ViewerFact::is_of_head),
        tells_fingerprints: tells(&distributions, ViewerFact::is_fingerprint),
        distributions,
        origin_names: origins::names(&config),
        origin_groups: origins::groups(&config, &origins, materials.metrics),
        origins,
        dynamic_origins: DynamicOrigins::new(origins::outside(materials)),
        stores,
        jwks,
        geo,
        keys,
        plan_metrics: config.usage_plans.iter().map(|plan| materials.metrics.plan(&plan.name)).collect(),
        plans,
        plan_limits,
        limits,
        responses: Responses::new(&config.gateway_responses),
        pages: Arc::clone(materials.pages),
        state: Arc::clone(materials.state),
        config,
    })
}

/// Largest file of a secret, in bytes: keys and tables of hooks are smaller.
const MAX_SECRET: u64 = 1 << 20;

/// Reads a secret.
///
/// # Errors
/// One sentence that names the file or variable, never the secret.
pub fn secret(source: &SecretSource, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    match source {
        SecretSource::Inline(text) => Ok(text.clone()),
        SecretSource::File(path) => {
            let bytes = files::read(path, MAX_SECRET)
                .map_err(|error| format!("cannot read the secret in `{}`: {error}", path.display()))?;
            if bytes.len() as u64 > MAX_SECRET {
                return Err(format!("the secret in `{}` is larger than 1 MiB", path.display()));
            }
            let text = String::from_utf8(bytes)
                .map_err(|_invalid| format!("the secret in `{}` is not UTF-8 text", path.display()))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if text.is_empty() {
                Err(format!("the secret in `{}` is empty", path.display()))
            } else {
                Ok(text.to_owned())
            }
        }
        SecretSource::Env(name) => match env(name) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(format!("the environment variable `{name}` is not set; a secret is read from it")),
        },
    }
}

impl Builder<'_> {
    fn problem(&mut self, text: String) {
        self.problems.push(unusable(text));
    }

    /// A problem of something that the config names at this path of keys.
    fn problem_at(&mut self, config: &model::Config, path: &[&str], text: String) {
        self.problems.push(Problem::error("unusable", config.source.place(path), text));
    }

    /// As many as there are in the config, unless there is a problem.
    fn stores(&mut self, config: &model::Config) -> Vec<Arc<Store>> {
        let mut stores = Vec::with_capacity(config.key_value_stores.len());
        for store in &config.key_value_stores {
            match Store::open(store, self.materials.metrics.store(&store.name)) {
                Ok(store) => stores.push(Arc::new(store)),
                Err(error) => {
                    let text = format!("key-value store `{}`: {}", store.name, chain(&error));
                    self.problem_at(config, &["key_value_stores", &store.name, "file"], text);
                }
            }
        }
        stores
    }

    /// As many as there are in the config, unless there is a problem. Those that an origin publishes are not asked for: an
    /// origin that is down must not keep the edge from starting.
    fn jwks(&mut self, config: &model::Config, origins: &[Arc<Origin>]) -> Vec<Arc<KeySet>> {
        let tools = Tools { origins, connections: self.materials.fetches, clock: self.materials.clock };
        let mut sets = Vec::with_capacity(config.jwks.len());
        for set in &config.jwks {
            let old = self.old.and_then(|old| old.jwks.iter().find(|old| *old.name == *set.name));
            match KeySet::open(set, tools, self.materials.metrics.key_set(&set.name), old.map(|old| &**old)) {
                Ok(set) => sets.push(Arc::new(set)),
                Err(error) => {
                    let text = format!("key set `{}`: {}", set.name, chain(&error));
                    self.problem_at(config, &["jwks", &set.name, "file"], text);
                }
            }
        }
        sets
    }

    fn geo(&mut self, config: &model::Config) -> Option<Arc<Geo>> {
        if config.geo_databases.is_empty() {
            return None;
        }
        let metrics = |file: &str| self.materials.metrics.geo_database(file);
        let old = self.old.and_then(|old| old.geo.as_deref());
        match Geo::open(&config.geo_databases, old, metrics) {
            Ok(geo) => Some(Arc::new(geo)),
            Err(error) => {
                self.problem_at(config, &["geo", "databases"], chain(&error));
                None
            }
        }
    }

    fn plans(&mut self, config: &model::Config) -> Plans {
        let mut plans = Vec::with_capacity(config.usage_plans.len());
        for plan in &config.usage_plans {
            let distributions = if plan.distributions.is_empty() {
                Reach::All
            } else {
                Reach::Only(plan.distributions.iter().map(|id| id.0).collect::<BTreeSet<_>>())
            };
            plans.push(UsagePlan::new(
                self.materials.state.names.id(&plan.name),
                plan.name.as_str().into(),
                plan.throttle.and_then(|throttle| self.throttle(throttle)),
                plan.quota.as_ref().map(quota),
                distributions,
            ));
        }
        Plans::new(plans)
    }

    fn keys(&mut self, config: &model::Config) -> KeyTable {
        let old: HashMap<&str, &Arc<Key>> =
            self.old.iter().flat_map(|old| old.keys.iter()).map(|key| (&*key.id, key)).collect();
        let mut keys = Vec::with_capacity(config.api_keys.len());
        for (at, written) in config.api_keys.iter().enumerate() {
            let hash = match &written.value {
                KeyValue::Sha256(bytes) => KeyHash::from_bytes(*bytes),
                KeyValue::Clear(source) => match secret(source, self.materials.env) {
                    Ok(text) => KeyHash::of(text.as_bytes()),
                    Err(problem) => {
                        let text = format!("API key `{}`: {problem}", written.name);
                        self.problem_at(config, &["api_keys", &at.to_string(), "key"], text);
                        continue;
                    }
                },
            };
            // One that was so before is told, and no reason to refuse what else has changed.
            if self.old.is_some_and(|old| old.keys.get(&hash).is_none())
                && let Some(stored) = self.materials.state.live.find(&hash)
            {
                let text = format!(
                    "API key `{}` has the value of the stored key `{}`: write another one, or remove that: `edgeweir keys \
                     delete {}`",
                    written.name, stored.id, stored.id
                );
                self.problem_at(config, &["api_keys", &at.to_string(), "key"], text);
            }
            let plans = written.plans.iter().filter_map(|plan| config.usage_plans.get(plan.0));
            let plans = self.materials.state.names.set(plans.map(|plan| plan.name.as_str()));
            let id = format!("{OF_CONFIG}{}", written.name);
            let key = Key::new(hash, &id, &written.name, plans).usable(written.enabled, None);
            // What a key has used is kept under its name, whatever its value is now.
            keys.push(Arc::new(match old.get(id.as_str()) {
                Some(earlier) => key.that_continues(earlier),
                None => key,
            }));
        }
        let keys = KeyTable::new(keys).unwrap_or_else(|error| {
            self.problem(error.to_string());
            KeyTable::default()
        });
        let before = self.old;
        for gone in before.iter().flat_map(|old| old.keys.iter()).filter(|old| keys.get(&old.hash).is_none()) {
            // Who takes a value out of use means it.
            if let Some(stored) = self.materials.state.live.find(&gone.hash) {
                self.problem(format!(
                    "the value that API key `{}` had until now would go on as that of the stored key `{}`: remove that \
                     first: `edgeweir keys delete {}`",
                    gone.name, stored.id, stored.id
                ));
            }
        }
        keys
    }

    fn key_source(&mut self, config: &model::Config, distribution: &model::Distribution) -> KeySource {
        match &distribution.key_source {
            model::KeySource::Query(name) => KeySource::Query(name.as_str().into()),
            model::KeySource::Header(name) => {
                let header = HeaderName::from_bytes(name.as_bytes()).unwrap_or_else(|_invalid| {
                    let path = ["distributions", &distribution.name, "api_key_header"];
                    self.problem_at(config, &path, format!("`{name}` is no name of a header"));
                    http::header::AUTHORIZATION
                });
                KeySource::Header(header)
            }
        }
    }

    fn distributions(
        &mut self,
        config: &model::Config,
        bindable: Bindable<'_>,
        policies: &[Arc<CachePolicy>],
        draft: &mut Draft<'_>,
    ) -> Vec<Distribution> {
        let keys = self.public_keys(config);
        let header_policies: HashMap<&str, Arc<HeadersPolicy>> = config
            .response_headers_policies
            .iter()
            .map(|policy| (policy.name.as_str(), Arc::new(HeadersPolicy::new(policy))))
            .collect();
        let mut distributions = Vec::with_capacity(config.distributions.len());
        for distribution in &config.distributions {
            let name = &distribution.name;
            let limits =
                self.limits(draft, &format!("distribution/{name}"), distribution.throttle, &distribution.limits);
            let mut behaviors = Vec::with_capacity(distribution.behaviors.len());
            for behavior in &distribution.behaviors {
                let label = behavior.path.as_str();
                let limits =
                    self.behavior_limits(draft, &format!("behavior/{name}/{label}/{}", behaviors.len()), behavior);
                let Some(cache) = policies.get(behavior.cache_policy.0) else {
                    self.problem(format!("distribution `{name}`: `{label}` has no cache policy"));
                    continue;
                };
                let authorizer = self.authorizer(config, (name, behaviors.len(), behavior), bindable);
                let bound = Stage::ALL.map(|stage| self.bind(config, (name, behavior), stage, bindable));
                let methods: Vec<http::Method> =
                    behavior.methods.iter().filter_map(|method| method.parse().ok()).collect();
                let viewer_headers = told(config, behavior);
                behaviors.push(Behavior {
                    pattern: behavior.path.clone(),
                    conditions: Conditions::new(&behavior.conditions),
                    viewer_protocol: behavior.viewer_protocol,
                    geo_rules: behavior.geo_restriction.as_ref().map(|rules| Arc::new(GeoRules::new(rules))),
                    label: label.into(),
                    allow: HeaderValue::from_str(&behavior.methods.join(", "))
                        .unwrap_or_else(|_invalid| HeaderValue::from_static("GET, HEAD")),
                    methods,
                    origin: behavior.origin,
                    cache: Arc::clone(cache),
                    authorizer,
                    headers: behavior
                        .response_headers_policy
                        .as_deref()
                        .and_then(|name| header_policies.get(name))
                        .cloned(),
                    trusted: signed::trusted(config, behavior, &keys),
                    cors: behavior.cors.as_ref().map(|cors| Box::new(Cors::new(cors, &behavior.methods))),
                    hooks: bound,
                    limits,
                    limited: false,
                    api_key_required: behavior.api_key_required,
                    plans: opened_by(config, distributions.len(), behavior),
                    raw_path: behavior.raw_path,
                    allow_ambiguous_paths: behavior.allow_ambiguous_paths,
                    idle_timeout: behavior.idle_timeout,
                    renamed_facts: renamed(&viewer_headers, &config.viewer.header_prefix),
                    tells_device: viewer_headers.iter().any(|header| header.fact.is_device()),
                    viewer_headers,
                    metrics: self.materials.metrics.behavior(name, label),
                });
            }
            let responses = Responses::new(&distribution.gateway_responses);
            let key_source = self.key_source(config, distribution);
            let errors = ErrorResponses::new(distribution);
            distributions.push(Distribution {
                name: name.as_str().into(),
                routes: Routes::new(behaviors.iter().map(|behavior| &behavior.pattern)),
                conditional: behaviors.iter().any(|behavior| behavior.conditions.is_some()),
                root_object: distribution.default_root_object.as_ref().map(|object| format!("/{object}").into()),
                behaviors,
                limits,
                responses,
                errors,
                key_source,
            });
        }
        distributions
    }
}

/// The usage plans that open a behavior, by index.
fn opened_by(config: &model::Config, distribution: usize, behavior: &model::Behavior) -> Vec<usize> {
    let covers = |at: usize| {
        let plan = config.usage_plans.get(at);
        plan.is_some_and(|plan| {
            plan.distributions.is_empty() || plan.distributions.iter().any(|id| id.0 == distribution)
        })
    };
    match &behavior.usage_plans {
        Some(plans) => plans.iter().map(|plan| plan.0).filter(|at| covers(*at)).collect(),
        None => (0..config.usage_plans.len()).filter(|at| covers(*at)).collect(),
    }
}

fn quota(written: &model::Quota) -> Quota {
    let counts = |kind| written.counts.contains(&kind);
    Quota {
        limit: written.limit.min(Quota::MAX),
        offset: written.offset,
        period: match written.period {
            model::QuotaPeriod::Day => Period::Day,
            model::QuotaPeriod::Week => Period::Week,
            model::QuotaPeriod::Month => Period::Month,
        },
        lease: written.lease.unwrap_or_else(|| Quota::default_lease(written.limit)),
        counts: Counts {
            hits: counts(model::Counted::Hits),
            client_errors: counts(model::Counted::ClientErrors),
            server_errors: counts(model::Counted::ServerErrors),
            throttled: counts(model::Counted::Throttled),
        },
    }
}

/// A cache policy, ready.
pub(crate) fn cache_policy(policy: &model::CachePolicy, prefix: &str) -> CachePolicy {
    let headers: Vec<HeaderName> =
        policy.headers.iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect();
    let behaviour = &policy.behaviour;
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let rules = Rules {
        ttl: Ttl { min: policy.min_ttl, default: policy.default_ttl, max: policy.max_ttl },
        heuristic: behaviour.heuristic,
        set_cookie: match behaviour.set_cookie {
            model::SetCookie::Refuse => SetCookie::Refuse,
            model::SetCookie::Strip => SetCookie::Strip,
        },
        stale_while_revalidate: seconds(behaviour.stale_while_revalidate),
        stale_if_error: seconds(behaviour.stale_if_error),
        errors: behaviour.errors.clone(),
    };
    CachePolicy {
        name: policy.name.clone(),
        disabled: policy.disabled(),
        rules,
        host_in_key: headers.contains(&http::header::HOST),
        facts: viewer_headers(policy.headers.iter(), prefix),
        fact_prefix: prefix.into(),
        headers,
        cookies: selection(&policy.cookies),
        query: selection(&policy.query),
        tag_headers: policy
            .tag_headers
            .iter()
            .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
            .collect(),
        send_tags: policy.send_tags,
        compress: policy.compress.iter().map(|coding| self::coding(*coding)).collect(),
        sent_headers: selection(&policy.forward.headers.union(&model::Selection::Only(policy.headers.clone()))),
        sent_cookies: selection(&policy.forward.cookies.union(&policy.cookies)),
        sent_query: selection(&policy.forward.query.union(&policy.query)),
        viewer_directives: behaviour.viewer_directives,
        hides_targeted: behaviour.targeted_fields == model::TargetedFields::Remove,
        collapse: behaviour.collapse,
        admit: (behaviour.admit_after > 1)
            .then(|| Admit { after: behaviour.admit_after.min(Admit::MOST), within: behaviour.admit_within }),
        accept_encoding: policy.accept_encoding.iter().map(|coding| self::coding(*coding)).collect(),
        x_cache: behaviour.x_cache,
        key_leaks: behaviour.key_leaks,
    }
}

fn coding(coding: model::Coding) -> Coding {
    match coding {
        model::Coding::Brotli => Coding::Brotli,
        model::Coding::Gzip => Coding::Gzip,
        model::Coding::Zstd => Coding::Zstd,
    }
}

fn selection(selection: &model::Selection) -> Selection {
    match selection {
        model::Selection::None => Selection::None,
        model::Selection::All => Selection::All,
        model::Selection::Only(names) => Selection::Only(names.iter().cloned().collect()),
        model::Selection::Except(names) => Selection::Except(names.iter().cloned().collect()),
    }
}

/// The fields of these that carry facts.
fn viewer_headers<'a>(names: impl Iterator<Item = &'a String>, prefix: &str) -> Vec<ViewerHeader> {
    each_once(names.filter_map(|name| viewer_header(name, ViewerFact::of(name, prefix)?)).collect())
}

fn viewer_header(name: &str, fact: ViewerFact) -> Option<ViewerHeader> {
    Some(ViewerHeader { name: HeaderName::from_bytes(name.as_bytes()).ok()?, fact })
}

fn each_once(mut fields: Vec<ViewerHeader>) -> Vec<ViewerHeader> {
    fields.sort_by(|one, two| one.name.as_str().cmp(two.name.as_str()));
    fields.dedup_by(|one, two| one.name == two.name);
    fields
}

/// Names that the gate does not know as those of facts.
fn renamed(fields: &[ViewerHeader], prefix: &str) -> Vec<HeaderName> {
    let names = fields.iter().map(|field| &field.name);
    names.filter(|name| ViewerFact::of(name.as_str(), prefix).is_none()).cloned().collect()
}

/// Whether any behavior tells its origin a fact of this kind.
fn tells(distributions: &[Distribution], kind: fn(ViewerFact) -> bool) -> bool {
    let mut behaviors = distributions.iter().flat_map(|distribution| &distribution.behaviors);
    behaviors.any(|behavior| behavior.viewer_headers.iter().any(|header| kind(header.fact)))
}

/// What the origin is told of viewers: what the behavior says, and, as with CloudFront, what its policy has in the key or
/// forwards by name.
fn told(config: &model::Config, behavior: &model::Behavior) -> Vec<ViewerHeader> {
    let policy = config.cache_policies.get(behavior.cache_policy.0);
    let keyed = policy.map_or(&[][..], |policy| policy.headers.as_slice());
    let forwarded = match policy.map(|policy| &policy.forward.headers) {
        Some(model::Selection::Only(names)) => names.as_slice(),
        _ => &[],
    };
    let mut fields = viewer_headers(keyed.iter().chain(forwarded), &config.viewer.header_prefix);
    fields.extend(behavior.viewer_headers.iter().filter_map(|field| viewer_header(&field.name, field.fact)));
    each_once(fields)
}
