//! Hooks of a configuration, loaded; and which earlier version of each is its last good one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use edgeweir_config::{self as model, FailurePolicy, HookSource, Problem, Stage};
use edgeweir_hookhost::{Hook, HookLimits, is_script};

use super::super::LoadedHook;
use super::{Builder, files, unbuilt};
use crate::fault::chain;
use crate::versions::Versions;

/// Reads a file that must not be larger than a hook may be, one byte more at most.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    files::read(path, u64::try_from(edgeweir_hookhost::MAX_WASM).unwrap_or(u64::MAX))
}

impl Builder<'_> {
    /// By name; those that cannot be loaded are reported.
    pub(super) fn hooks(&mut self, config: &model::Config) -> HashMap<String, LoadedHook> {
        let mut loaded = HashMap::new();
        for (index, hook) in config.hooks.iter().enumerate() {
            let bytes = match self.bytes(config, hook) {
                Ok(bytes) => bytes,
                Err(problem) => {
                    self.hook_problem(config, hook, format!("hook `{}`: {problem}", hook.name));
                    continue;
                }
            };
            let memory = usize::try_from(hook.memory).unwrap_or(usize::MAX);
            let limits = HookLimits { timeout: hook.timeout, memory, concurrent: hook.max_concurrent };
            // What did not change since the last snapshot is still compiled: the engine knows it by its bytes.
            match self.materials.engine.load(&hook.name, &bytes, limits) {
                Ok(ready) => {
                    let wanted = uses_last_good(config, index);
                    let last_good = wanted.then(|| self.last_good(&ready)).flatten();
                    drop(loaded.insert(hook.name.clone(), LoadedHook { hook: ready, last_good }));
                }
                Err(error) => {
                    let text = format!("hook `{}` (`{}`): {}", hook.name, hook.source, chain(&error));
                    self.hook_problem(config, hook, text);
                }
            }
        }
        loaded
    }

    fn hook_problem(&mut self, config: &model::Config, hook: &model::Hook, text: String) {
        let key = if hook.file().is_some() { "file" } else { "deployed" };
        let place = config.source.place(&["hooks", &hook.name, key]);
        self.problems.push(Problem::error("unusable", place, text).maybe_help(hook.file().and_then(unbuilt::help)));
    }

    fn bytes(&self, config: &model::Config, hook: &model::Hook) -> Result<Vec<u8>, String> {
        match &hook.source {
            HookSource::File(path) => {
                let bytes = read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
                if is_script(path) {
                    let file = path.file_name().unwrap_or_default().to_string_lossy();
                    let built = self.materials.engine.script(&file, &bytes).map_err(|error| chain(&error))?;
                    return Ok(built.wasm);
                }
                Ok(bytes)
            }
            HookSource::Deployed => {
                let versions = Versions::of(&config.state_dir, &hook.name);
                let read = match self.materials.deploy {
                    Some(deploy) if deploy.hook == hook.name => versions.read(&deploy.version),
                    _ => versions.read_current(),
                };
                read.map_err(|error| chain(&error))
            }
        }
    }

    /// The newest version before this one that has passed: the one that was in force, or its own last good one. None if that
    /// is this version itself, or does not fit the hook's limits of today.
    fn last_good(&self, hook: &Hook) -> Option<Arc<Hook>> {
        let old = self.old?.hooks.get(hook.name())?;
        let other = |old: &&Arc<Hook>| old.version() != hook.version();
        let before = Some(&old.hook).filter(other).filter(|old| old.passed());
        let before = before.or_else(|| old.last_good.as_ref().filter(other))?;
        match before.with_limits(hook.limits()) {
            Ok(before) => Some(before),
            Err(error) => {
                let (hook, version) = (hook.name(), before.version());
                tracing::warn!(hook, version, "the last good version is given up: {}", chain(&error));
                None
            }
        }
    }
}

/// Whether a binding may call an earlier version.
fn uses_last_good(config: &model::Config, hook: usize) -> bool {
    let behaviors = config.distributions.iter().flat_map(|distribution| &distribution.behaviors);
    let mut bindings = behaviors.flat_map(|behavior| {
        let bound = Stage::ALL.into_iter().flat_map(|stage| behavior.hooks_at(stage));
        bound.chain(behavior.authorizer.as_ref().map(|authorizer| &authorizer.binding))
    });
    bindings.any(|one| one.hook.0 == hook && one.on_failure == FailurePolicy::LastGood)
}
