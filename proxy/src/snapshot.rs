//! Everything a request may consult: immutable, numbered, made whole or not at all (`snapshot::build`).
//!
//! A request holds one snapshot from start to end, so that a reload never changes a request half-way. Names are resolved to
//! indices and handles here; the data path looks nothing up by name but hosts, origins named by hooks, and API keys.

pub mod answers;
pub mod authorizer;
pub mod breaker;
pub mod build;
pub mod conditions;
pub mod errors;
pub mod geo_rules;
pub mod headers;
mod hosts;
pub mod limits;
mod routes;
pub mod stores;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use edgeweir_cache::{Admit, Coding, Rules, Selection};
use edgeweir_config::units::PathPattern;
use edgeweir_config::{self as model, FailurePolicy, Stage};
use edgeweir_hookhost::{Grants, Hook};
use edgeweir_limits::{KeyTable, Plans};
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

pub use edgeweir_config::ViewerFact;
pub use hosts::HostIndex;
pub use routes::Routes;

use crate::geo::Geo;
use crate::jwks::KeySet;
use crate::origin::{DynamicOrigins, Origin, OriginGroup};
use crate::pages::Pages;
use crate::signed::Keyring;
use crate::state::State;
use crate::telemetry::metrics::{BehaviorMetrics, HookMetrics, PlanMetrics};

/// One configuration in force.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with each reload; the first is 1.
    pub number: u64,
    /// Edges that share its rates; each has its part.
    pub nodes: u64,
    /// The configuration that it was made of.
    pub config: Arc<model::Config>,
    /// Which distribution a host belongs to.
    pub hosts: HostIndex,
    /// By [`model::DistributionId`].
    pub distributions: Vec<Distribution>,
    /// By [`model::OriginId`].
    pub origins: Vec<Arc<Origin>>,
    /// By [`model::OriginGroupId`].
    pub origin_groups: Vec<OriginGroup>,
    /// Hooks by name.
    pub hooks: HashMap<String, LoadedHook>,
    /// Those that hooks choose by host.
    pub dynamic_origins: DynamicOrigins,
    /// Origins and groups by name, for hooks.
    pub origin_names: HashMap<Box<str>, model::Target>,
    /// By [`model::KeyValueStoreId`].
    pub stores: Vec<Arc<stores::Store>>,
    /// By [`model::JwksId`].
    pub jwks: Vec<Arc<KeySet>>,
    /// Whether any behavior tells origins of the viewer's head as it came.
    pub tells_heads: bool,
    /// Whether any behavior tells origins what a viewer speaks TLS with.
    pub tells_fingerprints: bool,
    /// None without a database.
    pub geo: Option<Arc<Geo>>,
    /// The API keys of the configuration.
    pub keys: KeyTable,
    /// Parameters of queries that have API keys in some distribution: redacted wherever they come, since a request may be
    /// refused before it is known whose it is, and pages of one distribution are the `Referer` on another.
    pub key_parameters: Box<[Box<str>]>,
    /// All usage plans.
    pub plans: Plans,
    /// Other limits of a plan's keys, by plan.
    pub plan_limits: Vec<limits::PlanLimits>,
    /// Of the whole edge.
    pub limits: limits::Limits,
    /// What is different in the edge's own answers.
    pub responses: answers::Responses,
    /// Counters, in the order of the plans.
    pub plan_metrics: Vec<Arc<PlanMetrics>>,
    /// The way to pages that stand in for errors.
    pub pages: Arc<Pages>,
    /// What outlives the snapshot: the other API keys, quotas.
    pub state: Arc<State>,
}

/// A distribution, ready.
#[derive(Debug)]
pub struct Distribution {
    /// Its name.
    pub name: Arc<str>,
    /// In order.
    pub behaviors: Vec<Behavior>,
    /// Which of them takes a path.
    pub routes: Routes,
    /// Whether any of them has conditions beside its path.
    pub conditional: bool,
    /// The path that `/` stands for.
    pub root_object: Option<Box<str>>,
    /// For all its requests.
    pub limits: limits::Limits,
    /// What is different in the edge's own answers here.
    pub responses: answers::Responses,
    /// What viewers get in place of errors.
    pub errors: errors::ErrorResponses,
    /// Where its viewers put their API key.
    pub key_source: KeySource,
}

impl Distribution {
    /// The parameter of the query that has the API key, if that is where viewers put it.
    #[must_use]
    pub fn key_parameter(&self) -> Option<&str> {
        match &self.key_source {
            KeySource::Query(name) => Some(name),
            KeySource::Header(_) => None,
        }
    }
}

/// Where viewers put their API key.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A header field.
    Header(HeaderName),
    /// A parameter of the query.
    Query(Box<str>),
}

/// A behavior, ready.
#[derive(Debug)]
pub struct Behavior {
    /// What paths it takes.
    pub pattern: PathPattern,
    /// What else a request must have.
    pub conditions: Option<Box<conditions::Conditions>>,
    /// What is asked of the protocol that viewers speak.
    pub viewer_protocol: model::ViewerProtocol,
    /// Who is let in by where the viewer is.
    pub geo_rules: Option<Arc<geo_rules::GeoRules>>,
    /// The pattern's text, as logs and hooks see it.
    pub label: Arc<str>,
    /// Methods let through.
    pub methods: Vec<http::Method>,
    /// The same, as `Allow` says it.
    pub allow: HeaderValue,
    /// The origin, or the group of origins.
    pub origin: model::Target,
    /// How responses are stored.
    pub cache: Arc<CachePolicy>,
    /// Who may use it.
    pub authorizer: Option<Box<authorizer::Authorizer>>,
    /// The keys of signed URLs and cookies that open it; none if everybody may use it.
    pub trusted: Option<Box<Keyring>>,
    /// What is put on and taken off its answers.
    pub headers: Option<Arc<headers::HeadersPolicy>>,
    /// Which pages of other origins may use it.
    pub cors: Option<Box<answers::Cors>>,
    /// By stage.
    pub hooks: [Vec<BoundHook>; 4],
    /// For all its requests.
    pub limits: limits::Limits,
    /// Whether any limit can apply to its requests, also one of the distribution, the edge or a key.
    pub limited: bool,
    /// A key is needed.
    pub api_key_required: bool,
    /// The usage plans that open it, by index.
    pub plans: Vec<usize>,
    /// Forward the path as spelled.
    pub raw_path: bool,
    /// Let ambiguous spellings through.
    pub allow_ambiguous_paths: bool,
    /// Silence of upgraded connections, and of the origin within an answer.
    pub idle_timeout: Option<Duration>,
    /// Facts about the viewer that the origin gets.
    pub viewer_headers: Vec<ViewerHeader>,
    /// Names of those that have one of their own, without the prefix.
    pub renamed_facts: Vec<HeaderName>,
    /// Whether the kind of device is among them.
    pub tells_device: bool,
    /// Counters.
    pub metrics: Arc<BehaviorMetrics>,
}

impl Behavior {
    /// The hooks bound at a stage.
    #[must_use]
    pub fn hooks_at(&self, stage: Stage) -> &[BoundHook] {
        self.hooks.get(stage as usize).map_or(&[], Vec::as_slice)
    }
}

/// A cache policy, ready.
#[derive(Debug)]
pub struct CachePolicy {
    /// Its name.
    pub name: String,
    /// Nothing is looked up or stored.
    pub disabled: bool,
    /// Times to live, and what else decides about storing.
    pub rules: Rules,
    /// Request header fields in the key, sorted.
    pub headers: Vec<HeaderName>,
    /// Whether `Host` is one of them.
    pub host_in_key: bool,
    /// Those of them that carry facts about the viewer, which its own head does not have.
    pub facts: Vec<ViewerHeader>,
    /// What the names of such fields begin with.
    pub fact_prefix: Arc<str>,
    /// Cookies in the key.
    pub cookies: Selection,
    /// Query parameters in the key.
    pub query: Selection,
    /// Response header fields with tags for purges.
    pub tag_headers: Vec<HeaderName>,
    /// Whether viewers get them.
    pub send_tags: bool,
    /// Codings that plain responses are put into, the preferred first.
    pub compress: Vec<Coding>,
    /// Header fields that the origin gets, in lower case: those in the key and those that are forwarded.
    pub sent_headers: Selection,
    /// Cookies that the origin gets.
    pub sent_cookies: Selection,
    /// Query parameters that the origin gets.
    pub sent_query: Selection,
    /// What viewers may ask of the cache.
    pub viewer_directives: model::ViewerDirectives,
    /// Take `CDN-Cache-Control` and `Surrogate-Control` off on the way to viewers.
    pub hides_targeted: bool,
    /// How long a request waits for another's fetch; zero for not at all.
    pub collapse: Duration,
    /// Store only what is asked for often.
    pub admit: Option<Admit>,
    /// The codings that the origin may be asked for, told it and in the key in one spelling; none for what viewers say.
    pub accept_encoding: Vec<Coding>,
    /// Say in `X-Cache` what the cache did.
    pub x_cache: bool,
    /// What happens to responses that may depend on what is not in the key.
    pub key_leaks: model::KeyLeaks,
}

/// A hook of the configuration.
pub struct LoadedHook {
    /// The version in force.
    pub hook: Arc<Hook>,
    /// The newest version before it that has passed ([`Hook::passed`]); only where a binding may call it.
    pub last_good: Option<Arc<Hook>>,
}

impl std::fmt::Debug for LoadedHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LoadedHook").field(&self.hook.name()).finish()
    }
}

/// A hook bound to a stage.
pub struct BoundHook {
    /// The compiled hook.
    pub hook: Arc<Hook>,
    /// The version that is called after a fault of it, if the binding wants that and there is one that fits the binding.
    pub last_good: Option<Arc<Hook>>,
    /// Whether the version in force is tried; asked only where there is a last good one.
    pub breaker: breaker::Breaker,
    /// Its settings as JSON text.
    pub settings: Arc<str>,
    /// The most bytes of the request's body that it may read; 0 if none.
    pub body: usize,
    /// The stores and secrets that it may read, and whom it may ask; none if nothing.
    pub grants: Option<Arc<Grants>>,
    /// What its failure means.
    pub on_failure: FailurePolicy,
    /// At viewer-response: it runs also on errors.
    pub on_errors: bool,
    /// Counters.
    pub metrics: Arc<HookMetrics>,
}

impl std::fmt::Debug for BoundHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the settings: they may hold secrets.
        f.debug_struct("BoundHook").field("hook", &self.hook.name()).finish_non_exhaustive()
    }
}

/// A fact about the viewer and the field that carries it (CloudFront: "Add CloudFront request headers").
#[derive(Debug, Clone)]
pub struct ViewerHeader {
    /// The field.
    pub name: HeaderName,
    /// The fact.
    pub fact: ViewerFact,
}

impl Snapshot {
    /// Two plans of these that open the same behavior, with its distribution and pattern: a key must not be in both (API
    /// Gateway: one plan for each stage).
    #[must_use]
    pub fn two_plans<'a>(&'a self, names: &'a [String]) -> Option<(&'a str, &'a str, &'a str, &'a str)> {
        for distribution in &self.distributions {
            for behavior in &distribution.behaviors {
                let opens = |name: &&String| {
                    behavior.plans.iter().any(|at| self.plans.get(*at).is_some_and(|plan| *plan.name == ***name))
                };
                let mut found = names.iter().filter(opens);
                if let (Some(one), Some(other)) = (found.next(), found.next()) {
                    return Some((one, other, &distribution.name, &behavior.label));
                }
            }
        }
        None
    }

    /// Whether an address is a proxy that is believed.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.config.trusted_proxies.iter().any(|net: &IpNet| net.contains(&address))
    }

    /// Index of the first behavior of a distribution that takes a path, and a request that meets its conditions: `holds` is
    /// asked of behaviors that have some.
    pub fn route(
        &self,
        distribution: usize,
        path: &str,
        mut holds: impl FnMut(&conditions::Conditions) -> bool,
    ) -> Option<usize> {
        let distribution = self.distributions.get(distribution)?;
        distribution.routes.find(path, |at| {
            distribution.behaviors.get(at).is_some_and(|behavior| {
                behavior.pattern.matches(path) && behavior.conditions.as_deref().is_none_or(&mut holds)
            })
        })
    }

    /// Whether a path of this behavior's conditions comes to this behavior.
    #[must_use]
    pub fn is_at_home(&self, distribution: usize, own: usize, path: &str) -> bool {
        let Some(found) = self.distributions.get(distribution) else { return false };
        let label =
            |at: usize| found.behaviors.get(at).map(|b| b.conditions.as_deref().map(|conditions| &conditions.label));
        let alike = label(own);
        let home = found.routes.find(path, |at| {
            label(at) == alike && found.behaviors.get(at).is_some_and(|behavior| behavior.pattern.matches(path))
        });
        home == Some(own)
    }

    /// Indices of all behaviors of a distribution that may take a request for a path: those with conditions, and the first
    /// without.
    #[must_use]
    pub fn candidates(&self, distribution: usize, path: &str) -> Vec<usize> {
        let Some(found) = self.distributions.get(distribution) else { return Vec::new() };
        let mut candidates = Vec::new();
        let last = found.routes.find(path, |at| {
            let behavior = found.behaviors.get(at).filter(|behavior| behavior.pattern.matches(path));
            let conditional = behavior.is_some_and(|behavior| behavior.conditions.is_some());
            candidates.extend(conditional.then_some(at));
            behavior.is_some() && !conditional
        });
        // They are not asked in order.
        candidates.retain(|at| last.is_none_or(|last| *at < last));
        candidates.extend(last);
        candidates.sort_unstable();
        candidates
    }
}
