//! The hooks of a behavior, as they are bound. Secrets are not shown.

use edgeweir_config::{Behavior, Binding, Config, FailurePolicy, JwksId, KeyValueStoreId, Stage};
use serde_json::Value;

use super::outcome::Hook;
use crate::telemetry::redact::is_sensitive;

/// What is shown in a secret's place.
const HIDDEN: &str = "***";

/// All bindings, in the order that they run.
pub(super) fn of(config: &Config, behavior: &Behavior) -> Vec<Hook> {
    let first = behavior.authorizer.iter().map(|authorizer| (Stage::Authorizer, &authorizer.binding));
    let stages = Stage::ALL.into_iter();
    let rest = stages.flat_map(|stage| behavior.hooks_at(stage).iter().map(move |bound| (stage, bound)));
    let all = first.chain(rest);
    all.filter_map(|(stage, binding)| {
        let hook = config.hooks.get(binding.hook.0)?;
        Some(Hook {
            stage: stage.as_str(),
            hook: hook.name.clone(),
            file: hook.source.to_string(),
            timeout_ms: hook.timeout.as_millis(),
            memory_bytes: hook.memory,
            on_failure: match binding.on_failure {
                FailurePolicy::Closed => "closed",
                FailurePolicy::Open => "open",
                FailurePolicy::LastGood => "last-good",
            },
            on_errors: binding.on_errors,
            settings: settings(binding),
            key_value_stores: binding.key_value_stores.as_ref().map(|stores| {
                let name = |id: &KeyValueStoreId| Some(config.key_value_stores.get(id.0)?.name.clone());
                stores.iter().filter_map(name).collect()
            }),
            jwks: {
                let name = |id: &JwksId| Some(config.jwks.get(id.0)?.name.clone());
                binding.jwks.iter().filter_map(name).collect()
            },
            secrets: binding.secrets.as_ref().map(|secrets| secrets.iter().map(|(name, _)| name.clone()).collect()),
        })
    })
    .collect()
}

/// The settings without what is read from files and the environment, and without text whose name says that it is secret.
fn settings(binding: &Binding) -> Value {
    // Made from a table when the configuration was read, so it is JSON.
    let mut json: Value = serde_json::from_str(&binding.settings).unwrap_or_default();
    hide(&mut json);
    for (pointer, _source) in &binding.settings_secrets {
        if let Some(place) = json.pointer_mut(pointer) {
            *place = Value::String(HIDDEN.to_owned());
        }
    }
    json
}

fn hide(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if is_sensitive(name.as_bytes()) => HIDDEN.clone_into(text),
                    inner => hide(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}
