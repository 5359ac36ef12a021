//! From `schema` to `model`: names become indices, defaults are filled in, paths are joined to the folder of the config.
//! Reports names that do not exist or are never used; other rules are in `rules`.
//!
//! What could not be read gets some value: with an error in the report the result is thrown away.

mod acme;
mod answers;
mod bucket;
mod distributions;
mod edge;
mod errors;
mod headers;
mod jwks;
mod key_value;
mod keys;
mod limits;
mod names;
mod origins;
mod policies;
mod routing;
mod signed;
mod viewer;

use std::path::Path;

use crate::decode::Time;
use crate::model::{Backend, Config, Hook, HookSource, LogTarget, SecretSource, State, StorePolicy};
use crate::report::Report;
use crate::schema::{self, File};
use crate::source::Source;
pub(crate) use headers::PRESETS as HEADERS_PRESETS;
use names::Names;
pub(crate) use policies::PRESETS;
pub(crate) use viewer::{fact as viewer_fact, prefix as viewer_prefix};

/// Bytes the cache may hold by default: 256 MiB.
pub(crate) const DEFAULT_CAPACITY: u64 = 256 << 20;
/// The folder of the state, beside the config.
pub(crate) const DEFAULT_STATE_DIR: &str = ".edgeweir";
/// Largest stored object by default: 64 MiB.
const DEFAULT_OBJECT: u64 = 64 << 20;

/// Resolves a whole file.
pub(crate) fn resolve(file: &File, base: &Path, out: &mut Report) -> Config {
    let names = Names::of(file);
    let (distributions, cache_policies) = distributions::resolve(file, &names, base, out);
    let usage_plans = keys::plans(file, &names, out);
    let api_keys = keys::keys(file, &names, base, out);
    let (throttle, limits) = limits::edge(file.limits.value());
    let capacity = file.cache.value().and_then(|c| c.capacity.value()).map_or(DEFAULT_CAPACITY, |size| size.0);
    let object = file.cache.value().and_then(|c| c.max_object.value()).map(|size| size.0);
    let config = Config {
        source: Source::default(),
        state_dir: base.join(file.state_dir.value().map_or(Path::new(DEFAULT_STATE_DIR), |path| &path.0)),
        server: edge::server(file.server.value()),
        listeners: edge::listeners(file, base),
        acme: acme::acme(file, base),
        admin: edge::admin(file, base),
        log: edge::log(file.log.value(), base),
        http2: edge::http2(file.http2.value()),
        gate: edge::gate(file.gate.value()),
        throttle,
        limits,
        gateway_responses: answers::responses(file.gateway_responses.value()),
        trusted_proxies: edge::networks(file.trusted_proxies.value()),
        viewer: viewer::viewer(file),
        geo_databases: edge::geo_databases(file, base),
        cache_capacity: capacity,
        cache_max_object: object.unwrap_or(DEFAULT_OBJECT.min(capacity)),
        cache_eviction: file.cache.value().and_then(|cache| cache.eviction.value()).copied().unwrap_or_default(),
        cache_purge_from: edge::networks(file.cache.value().and_then(|cache| cache.purge_from.value())),
        origins: origins::origins(file, base),
        origin_groups: origins::groups(file, &names, out),
        cache_policies,
        response_headers_policies: headers::policies(file),
        hooks: hooks(file, base),
        key_value_stores: key_value::stores(file, base),
        jwks: jwks::sets(file, &names, base, out),
        public_keys: signed::public_keys(file, base),
        key_groups: signed::key_groups(file, &names, out),
        state: state(file, base),
        usage_plans,
        api_keys,
        distributions,
    };
    // With an error about, a thing may only seem unused: its use may be what could not be read.
    if !out.has_errors() {
        names.report_unused(out);
    }
    config
}

/// The conditions of a behavior beside its path.
pub(crate) fn conditions(written: &schema::Behavior) -> crate::model::Conditions {
    routing::conditions(written.matches.value())
}

/// The time, or its default in milliseconds.
fn time<const MIN: u64, const MAX: u64>(value: Option<&Time<MIN, MAX>>, default_ms: u64) -> std::time::Duration {
    value.map_or(std::time::Duration::from_millis(default_ms), |time| time.0)
}

/// The secret with its file joined to the folder of the config.
fn secret(source: &SecretSource, base: &Path) -> SecretSource {
    match source {
        SecretSource::File(path) => SecretSource::File(base.join(path)),
        other => other.clone(),
    }
}

/// As [`secret`], for log files.
fn log_target(target: &LogTarget, base: &Path) -> LogTarget {
    match target {
        LogTarget::File(path) => LogTarget::File(base.join(path)),
        other => other.clone(),
    }
}

fn state(file: &File, base: &Path) -> State {
    let none = schema::State::default();
    let written = file.state.value().unwrap_or(&none);
    let backend = match (written.backend.value(), written.url.value()) {
        (Some(schema::Backend::Redis), Some(url)) => Backend::Redis {
            url: secret(&url.0, base),
            prefix: written.prefix.value().map_or_else(|| "edgeweir".to_owned(), |prefix| prefix.0.clone()),
        },
        _ => Backend::Embedded,
    };
    State {
        backend,
        on_store_failure: written.on_store_failure.value().copied().unwrap_or(StorePolicy::Closed),
        wait: time(written.wait.value(), 1_000),
    }
}

fn hooks(file: &File, base: &Path) -> Vec<Hook> {
    let Some(hooks) = file.hooks.value() else { return Vec::new() };
    let hook = |name: &str, written: &schema::Hook| {
        Some(Hook {
            name: name.to_owned(),
            source: match written.file.value() {
                Some(file) => HookSource::File(base.join(&file.0)),
                None => HookSource::Deployed,
            },
            timeout: time(written.timeout.value(), 50),
            memory: written.memory.value().map_or(16 << 20, |size| size.0),
            max_concurrent: written
                .max_concurrent
                .value()
                .map_or(256, |count| u32::try_from(count.0).unwrap_or(u32::MAX)),
        })
    };
    hooks.iter().filter_map(|(name, written)| hook(name.get_ref(), written)).collect()
}
