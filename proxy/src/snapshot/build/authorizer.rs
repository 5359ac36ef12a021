//! Authorizers of a configuration.

use edgeweir_config::{self as model, Stage};
use edgeweir_limits::KeyHash;
use http::{HeaderName, HeaderValue};

use super::super::authorizer::Authorizer;
use super::super::limits::CallerName;
use super::Builder;
use super::bindings::Bindable;

impl Builder<'_> {
    /// The authorizer of a behavior, if it has one. A problem is reported.
    pub(super) fn authorizer(
        &mut self,
        config: &model::Config,
        (distribution, at, behavior): (&str, usize, &model::Behavior),
        bindable: Bindable<'_>,
    ) -> Option<Box<Authorizer>> {
        let written = behavior.authorizer.as_ref()?;
        let bound = self.bind_one(config, (distribution, behavior), (Stage::Authorizer, &written.binding), bindable)?;
        // What an answer depends on, each part with its length so that no two sets of parts are one text.
        let at = at.to_string();
        let parts: [&str; 5] = [distribution, behavior.path.as_str(), &at, bound.hook.version(), &bound.settings];
        let text = parts.map(|part| format!("{} {part}", part.len())).join("\n");
        let headers = written
            .headers
            .iter()
            .filter_map(|(name, said)| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, caller_name(said)?)));
        Some(Box::new(Authorizer {
            identity: written.identity.clone(),
            // It was compiled when the configuration was checked.
            validation: written.identity_validation.as_deref().and_then(|text| model::identity_regex(text).ok()),
            ttl: written.ttl,
            headers: headers.collect(),
            share_cache: written.share_cache,
            challenge: HeaderValue::from_str(&written.challenge)
                .unwrap_or_else(|_invalid| HeaderValue::from_static("Bearer")),
            digest: KeyHash::of(format!("{text}\n{:?}\n{}", written.identity, granted(config, written)).as_bytes())
                .into_bytes(),
            bound,
        }))
    }
}

/// What the hook may use: with other keys or other origins, answers are asked for anew.
fn granted(config: &model::Config, written: &model::Authorizer) -> String {
    let binding = &written.binding;
    let sets = binding.jwks.iter().filter_map(|id| config.jwks.get(id.0));
    let stores = binding.key_value_stores.iter().flatten().filter_map(|id| config.key_value_stores.get(id.0));
    let origins = binding.fetch.iter().flatten().filter_map(|id| config.origins.get(id.0));
    let sets: Vec<_> = sets.map(|set| format!("{} {:?}", set.name, set.source)).collect();
    let stores: Vec<_> = stores.map(|store| &store.name).collect();
    let origins: Vec<_> = origins.map(|origin| &origin.name).collect();
    format!("{sets:?} {stores:?} {origins:?} {:?}", binding.secrets)
}

/// What names a caller; none if a header's name is none.
pub(super) fn caller_name(written: &model::CallerName) -> Option<CallerName> {
    Some(match written {
        model::CallerName::Header(name) => CallerName::Header(HeaderName::from_bytes(name.as_bytes()).ok()?),
        model::CallerName::Principal => CallerName::Principal,
        model::CallerName::Context(name) => CallerName::Context(name.as_str().into()),
    })
}
