//! Uses of hooks: what a binding grants, and whether its hook takes the settings.

use std::collections::HashMap;
use std::sync::Arc;

use edgeweir_config::{self as model, FailurePolicy, Problem, Stage};
use edgeweir_hookhost::{CheckFault, Grant, Grants, Hook, KeyValueStore};

use super::super::breaker::Breaker;
use super::super::stores::Store;
use super::super::{BoundHook, LoadedHook};
use super::{Builder, secret};
use crate::fault::chain;
use crate::fetch::Fetcher;
use crate::jwks::KeySet;
use crate::origin::Origin;

/// Shorter secrets are not looked for in what a hook says: they would be found in any text.
const LEAST_SECRET: usize = 4;

/// What bindings refer to.
#[derive(Clone, Copy)]
pub(super) struct Bindable<'a> {
    /// By name; without those that could not be loaded.
    pub(super) hooks: &'a HashMap<String, LoadedHook>,
    /// By [`model::KeyValueStoreId`]; if one could not be read, the indices are wrong, and so is the whole snapshot.
    pub(super) stores: &'a [Arc<Store>],
    /// By [`model::JwksId`]; as with stores.
    pub(super) jwks: &'a [Arc<KeySet>],
    /// By [`model::OriginId`]; as many as there are, or the whole snapshot is wrong.
    pub(super) origins: &'a [Arc<Origin>],
}

/// A binding that is looked at.
struct Site<'a> {
    hook: &'a Arc<Hook>,
    binding: &'a model::Binding,
    distribution: &'a str,
    behavior: &'a str,
    stage: Stage,
}

impl Site<'_> {
    fn words(&self) -> String {
        let (hook, stage) = (self.hook.name(), self.stage.as_str());
        format!("hook `{hook}` at {stage} of `{}` in distribution `{}`", self.behavior, self.distribution)
    }
}

impl Builder<'_> {
    /// The hooks of one stage of a behavior.
    pub(super) fn bind(
        &mut self,
        config: &model::Config,
        (distribution, behavior): (&str, &model::Behavior),
        stage: Stage,
        bindable: Bindable<'_>,
    ) -> Vec<BoundHook> {
        let bindings = behavior.hooks_at(stage).iter();
        bindings
            .filter_map(|binding| self.bind_one(config, (distribution, behavior), (stage, binding), bindable))
            .collect()
    }

    /// One use of a hook; none after a problem was reported.
    pub(super) fn bind_one(
        &mut self,
        config: &model::Config,
        (distribution, behavior): (&str, &model::Behavior),
        (stage, binding): (Stage, &model::Binding),
        bindable: Bindable<'_>,
    ) -> Option<BoundHook> {
        let configured = config.hooks.get(binding.hook.0)?;
        // A hook that did not load has been reported.
        let LoadedHook { hook, last_good } = bindable.hooks.get(&configured.name)?;
        let site = Site { hook, binding, distribution, behavior: behavior.path.as_str(), stage };
        let before = self.problems.len();
        self.check_stage(&site);
        self.check_grants(&site);
        let mut secrets = Vec::new();
        let grants = self.grants(&site, bindable, &mut secrets);
        let settings = self.settings(&site, &mut secrets);
        if self.problems.len() > before {
            return None;
        }
        self.check_settings(&site, &settings, grants.clone(), &secrets);
        let last_good = match last_good {
            Some(before) if binding.on_failure == FailurePolicy::LastGood => {
                fits(before, &site, &settings, grants.as_ref()).then(|| Arc::clone(before))
            }
            _ => None,
        };
        Some(BoundHook {
            hook: Arc::clone(hook),
            last_good,
            breaker: Breaker::new(Arc::clone(self.materials.clock)),
            settings: settings.into(),
            body: binding.request_body.unwrap_or(0),
            grants,
            on_failure: binding.on_failure,
            on_errors: binding.on_errors,
            metrics: self.materials.metrics.hook(&configured.name, stage.as_str()),
        })
    }

    fn check_stage(&mut self, site: &Site<'_>) {
        let has: Vec<&str> = site.hook.stages().iter().map(|stage| stage.as_str()).collect();
        if !has.contains(&site.stage.as_str()) {
            let message = format!(
                "hook `{}` is bound at {} of `{}` but does not implement it; it implements: {}",
                site.hook.name(),
                site.stage.as_str(),
                site.behavior,
                has.join(", ")
            );
            self.problems.push(Problem::error("missing-stage", site.binding.place.binding.clone(), message));
        }
    }

    /// What a hook imports has to be granted, and what is granted has to be of use.
    fn check_grants(&mut self, site: &Site<'_>) {
        let binding = site.binding;
        // A hook may replace a body that it does not read, and at response stages and for authorizers there is none: nothing is of no use there.
        let body = if has_no_body(site.stage) { Some(0) } else { binding.request_body.map(|_bytes| 0) };
        let grants = [
            (Grant::KeyValue, "key_value_stores", "[\"NAME\"]", "[]", binding.key_value_stores.as_ref().map(Vec::len)),
            (Grant::Secrets, "secrets", "{ NAME = { env = \"…\" } }", "{}", binding.secrets.as_ref().map(Vec::len)),
            (Grant::Fetch, "fetch", "[\"NAME\"]", "[]", binding.fetch.as_ref().map(Vec::len)),
            (Grant::Body, "request_body", "true", "false", body),
            // A hook that can use key sets may do without: what it asks for and has not been granted is an error then.
            (Grant::Jwks, "jwks", "[\"NAME\"]", "[]", Some(binding.jwks.len())),
        ];
        for (grant, key, example, none, given) in grants {
            let (name, place) = (grant.as_str(), binding.place.binding.clone());
            let problem = match (site.hook.needs().contains(&grant), given) {
                (true, None) => {
                    let message = format!("{} imports `{name}`, which its binding does not grant", site.words());
                    let help = format!("add `{key} = {example}` to the binding; `{key} = {none}` grants nothing");
                    Problem::error("not-granted", place, message).help(help)
                }
                (false, Some(1..)) => {
                    let message = format!("{} is granted `{key}`, but does not import `{name}`", site.words());
                    Problem::error("no-effect", place, message).help(format!("remove `{key}` from the binding"))
                }
                _ => continue,
            };
            self.problems.push(problem);
        }
    }

    fn grants(&mut self, site: &Site<'_>, bindable: Bindable<'_>, known: &mut Vec<String>) -> Option<Arc<Grants>> {
        let mut grants = Grants::default();
        let origins = site.binding.fetch.iter().flatten().filter_map(|id| bindable.origins.get(id.0).map(Arc::clone));
        let origins: Vec<_> = origins.collect();
        if !origins.is_empty() {
            let connections = Arc::clone(self.materials.fetches);
            grants.fetch = Some(Arc::new(Fetcher { origins, max: site.binding.fetch_max, connections }));
        }
        grants.dynamic_origins = site.binding.dynamic_origins.iter().map(|host| host.as_str().into()).collect();
        for id in site.binding.key_value_stores.iter().flatten() {
            if let Some(store) = bindable.stores.get(id.0) {
                grants.stores.push((store.name.clone(), Arc::clone(store) as Arc<dyn KeyValueStore>));
            }
        }
        for id in &site.binding.jwks {
            if let Some(set) = bindable.jwks.get(id.0) {
                grants.jwks.push((set.name.clone(), Arc::clone(set) as Arc<dyn edgeweir_hookhost::KeySet>));
            }
        }
        for (name, source) in site.binding.secrets.iter().flatten() {
            match secret(source, self.materials.env) {
                Ok(text) => {
                    grants.secrets.push((name.as_str().into(), text.as_bytes().into()));
                    known.push(text);
                }
                Err(problem) => {
                    let message = format!("secret `{name}` of {}: {problem}", site.words());
                    self.problems.push(Problem::error("unusable", site.binding.place.binding.clone(), message));
                }
            }
        }
        let some = !grants.stores.is_empty()
            || !grants.secrets.is_empty()
            || !grants.jwks.is_empty()
            || !grants.dynamic_origins.is_empty()
            || grants.fetch.is_some();
        some.then(|| Arc::new(grants))
    }

    /// The settings as JSON text with their secrets in place.
    fn settings(&mut self, site: &Site<'_>, known: &mut Vec<String>) -> String {
        let read = |pointer: &str, source: &model::SecretSource| {
            let text = secret(source, self.materials.env).map_err(|problem| (pointer.to_owned(), problem))?;
            known.push(text.clone());
            Ok(text)
        };
        match site.binding.settings_with(read) {
            Ok(settings) => settings,
            Err((pointer, problem)) => {
                let message = format!("settings of hook `{}` at `{}`: {problem}", site.hook.name(), site.behavior);
                self.problems.push(Problem::error("unusable", site.binding.place.of(&pointer), message));
                String::new()
            }
        }
    }

    /// Asks the hook, if it checks settings.
    fn check_settings(&mut self, site: &Site<'_>, settings: &str, grants: Option<Arc<Grants>>, secrets: &[String]) {
        let place = &site.binding.place;
        let problems = match site.hook.check_settings(
            site.distribution,
            site.behavior,
            host_stage(site.stage),
            settings,
            grants,
        ) {
            Ok(()) => return,
            Err(CheckFault::Refused(problems)) => problems,
            Err(fault) => {
                let message = format!("{}: {}", site.words(), without(secrets, &chain(&fault)));
                self.problems.push(Problem::error("settings", place.of(""), message));
                return;
            }
        };
        for problem in problems {
            let path = without(secrets, &problem.path);
            let at = if path.is_empty() { String::new() } else { format!(" at `{path}`") };
            let message = without(secrets, &problem.message);
            // serde's words for a setting that should not be there: then the key is wrong, and not the value.
            let unknown = message.starts_with("unknown field");
            let span = if unknown { place.key_of(&problem.path) } else { place.of(&problem.path) };
            let message = format!("{} refuses its settings{at}: {message}", site.words());
            self.problems.push(Problem::error("settings", span, message));
        }
    }
}

/// The stage, as the hook host calls it.
fn host_stage(stage: Stage) -> edgeweir_hookhost::Stage {
    match stage {
        Stage::ViewerRequest => edgeweir_hookhost::Stage::ViewerRequest,
        Stage::OriginRequest => edgeweir_hookhost::Stage::OriginRequest,
        Stage::OriginResponse => edgeweir_hookhost::Stage::OriginResponse,
        Stage::ViewerResponse => edgeweir_hookhost::Stage::ViewerResponse,
        Stage::Authorizer => edgeweir_hookhost::Stage::Authorizer,
    }
}

/// Whether a stage has no request body.
fn has_no_body(stage: Stage) -> bool {
    matches!(stage, Stage::OriginResponse | Stage::ViewerResponse | Stage::Authorizer)
}

/// Whether an earlier version can take the place of the one in force at a binding: it has the stage, needs no more than is
/// granted, and takes the settings, if it checks them.
fn fits(before: &Arc<Hook>, site: &Site<'_>, settings: &str, grants: Option<&Arc<Grants>>) -> bool {
    let granted = |grant: &Grant| match grant {
        Grant::KeyValue => site.binding.key_value_stores.is_some(),
        Grant::Secrets => site.binding.secrets.is_some(),
        Grant::Fetch => site.binding.fetch.is_some(),
        Grant::Body => site.binding.request_body.is_some() || has_no_body(site.stage),
        Grant::Jwks => true,
    };
    let why = if !before.stages().iter().any(|stage| stage.as_str() == site.stage.as_str()) {
        "it does not implement the stage"
    } else if !before.needs().iter().all(granted) {
        "it needs more than the binding grants"
    } else if before
        .check_settings(site.distribution, site.behavior, host_stage(site.stage), settings, grants.cloned())
        .is_err()
    {
        "it refuses the settings"
    } else {
        return true;
    };
    tracing::warn!(version = before.version(), "{} has no last good version to call: {why}", site.words());
    false
}

/// The text with `***` for each secret: a hook may repeat what it was told.
fn without(secrets: &[String], text: &str) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= LEAST_SECRET) {
        text = text.replace(secret.as_str(), "***");
    }
    text
}
