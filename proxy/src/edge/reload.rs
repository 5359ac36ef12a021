//! Another configuration for a running edge: read, made whole, put in force; or refused, and nothing has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use edgeweir_config::{Admin, Change, Config, HookSource, Parsed, Report};
use edgeweir_limits::Nanos;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::core::{Core, bad_token};
use super::listeners::Listeners;
use super::{Options, StartError, certificates};
use crate::admin::{self, AdminToken, Control, ReloadFailure};
use crate::fault::chain;
use crate::files;
use crate::purge::{BadOrder, Order};
use crate::snapshot::build::{self, BuildError, Deploy, Materials};
use crate::state::KeyError;
use crate::telemetry::events;
use crate::telemetry::metrics::{Gauges, StateGauges};
use crate::versions::Versions;

/// What a reload did.
#[derive(Debug, Clone)]
pub struct ReloadOutcome {
    /// Number of the snapshot now in force.
    pub snapshot: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// Warnings about the file, rendered.
    pub warnings: String,
}

/// Why the old configuration stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The edge was not started from a file.
    #[error("the edge was not started from a file: there is nothing to read again")]
    NoFile,
    /// The file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{report}")]
    Bad {
        /// All problems, rendered.
        report: String,
    },
    /// Files, hooks, secrets or addresses that the configuration names.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The edge is stopping.
    #[error("the edge is stopping")]
    Stopping,
    /// A version is to be put in force for a hook that takes none.
    #[error("the edge has no hook `{hook}` with `deployed = true`; if the configuration has one now, reload first")]
    NotDeployed {
        /// The hook.
        hook: String,
    },
}

/// The running edge as signals and the admin API see it.
pub(super) struct EdgeControl {
    core: Arc<Core>,
    listeners: Arc<Listeners>,
    options: Options,
    started_with: Arc<Config>,
    /// The configuration file's own name: a link in its path may turn later.
    identity: Option<PathBuf>,
    /// One reload at a time.
    turn: Mutex<()>,
    /// The token of the admin API on TCP, which a reload may change.
    token: parking_lot::Mutex<Option<AdminToken>>,
}

impl EdgeControl {
    pub(super) fn new(core: Arc<Core>, listeners: Arc<Listeners>, options: Options) -> Self {
        let started_with = Arc::clone(&core.snapshot.load().config);
        let identity = options.config_path.as_deref().map(admin::tenant::identity);
        let (turn, token) = (Mutex::new(()), parking_lot::Mutex::new(None));
        Self { core, listeners, options, started_with, identity, turn, token }
    }

    pub(super) fn keep_token(&self, token: Option<AdminToken>) {
        *self.token.lock() = token;
    }

    pub(super) fn admin_token(&self, config: &Config, admin: &Admin) -> Result<Option<String>, StartError> {
        let token = admin.token.as_ref().map(|token| build::secret(token, &*self.options.env)).transpose();
        Ok(token.map_err(|problem| BuildError { problems: vec![bad_token(config, &problem)] })?)
    }

    pub(super) async fn apply_file(&self) -> Result<ReloadOutcome, ReloadError> {
        let path = self.options.config_path.clone().ok_or(ReloadError::NoFile)?;
        let text = read(&path).await.inspect_err(|_error| self.core.metrics.reloaded(false))?;
        match self.apply(text.config).await {
            Ok(outcome) => {
                let warnings = text.warnings.render(&text.name, &text.source, false);
                Ok(ReloadOutcome { warnings, ..outcome })
            }
            Err(ReloadError::Start(StartError::Build(error))) if error.has_places() => {
                Err(ReloadError::Bad { report: error.render(&text.name, &text.source, &text.warnings, false) })
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn apply(&self, config: Config) -> Result<ReloadOutcome, ReloadError> {
        let _turn = self.turn.lock().await;
        self.finish(self.apply_now(Arc::new(self.options.adjust(config)), None).await)
    }

    /// Another number of edges shares the store: the configuration as it is, with this edge's part of its rates.
    pub(super) async fn share(&self) {
        let _turn = self.turn.lock().await;
        let config = Arc::clone(&self.core.snapshot.load().config);
        let nodes = self.core.state.nodes();
        match self.apply_now(config, None).await {
            Ok(_) => tracing::info!(nodes, "rates are divided between the edges that share the store"),
            Err(error) => tracing::error!("rates are not divided anew: {}", chain(&error)),
        }
    }

    /// Puts a version of a deployed hook in force, with the configuration as it is.
    pub(super) async fn deploy(&self, hook: &str, version: &str) -> Result<ReloadOutcome, ReloadError> {
        let _turn = self.turn.lock().await;
        let config = Arc::clone(&self.core.snapshot.load().config);
        if !config.hooks.iter().any(|known| known.name == hook && known.source == HookSource::Deployed) {
            return Err(ReloadError::NotDeployed { hook: hook.to_owned() });
        }
        let deploy = Deploy { hook: hook.to_owned(), version: version.to_owned() };
        let mut applied = self.apply_now(config, Some(deploy)).await;
        if let Ok(outcome) = &mut applied {
            outcome.changes =
                vec![Change { what: format!("hook `{hook}` is version {version}"), needs_restart: false }];
        }
        self.finish(applied)
    }

    /// Counts and tells.
    fn finish(&self, applied: Result<ReloadOutcome, ReloadError>) -> Result<ReloadOutcome, ReloadError> {
        self.core.metrics.reloaded(applied.is_ok());
        match &applied {
            Ok(outcome) => {
                tracing::info!(snapshot = outcome.snapshot, changes = outcome.changes.len(), "configuration reloaded");
                for change in outcome.changes.iter().filter(|change| change.needs_restart) {
                    tracing::warn!("{}: takes effect after a restart", change.what);
                }
            }
            // Whoever looks on is told with the text.
            Err(_) if self.options.observer.is_some() => {}
            Err(error) => tracing::error!("the old configuration stays: {}", chain(error)),
        }
        applied
    }

    async fn apply_now(&self, config: Arc<Config>, deploy: Option<Deploy>) -> Result<ReloadOutcome, ReloadError> {
        if !self.core.ready() {
            return Err(ReloadError::Stopping);
        }
        let core = Arc::clone(&self.core);
        let old = core.snapshot.load_full();
        let mut changes = edgeweir_config::diff(&old.config, &config);
        // What needs a restart is compared with what the process was started with.
        changes.retain(|change| !change.needs_restart);
        changes.extend(
            edgeweir_config::diff(&self.started_with, &config).into_iter().filter(|change| change.needs_restart),
        );
        // Everything that can fail comes first.
        let listeners = self.listeners.prepare(&config)?;
        let token = config.admin.as_ref().map(|admin| self.admin_token(&config, admin)).transpose()?.flatten();
        let colour = self.options.colour;
        let (env, wanted) = (Arc::clone(&self.options.env), Arc::clone(&config));
        let building = Arc::clone(&self.core);
        let snapshot = tokio::task::spawn_blocking(move || {
            let core = building;
            let materials = Materials {
                engine: &core.engine,
                state: &core.state,
                metrics: &core.metrics,
                clock: &core.clock,
                resolver: &core.resolver,
                fetches: &core.fetches,
                pages: &core.pages,
                env: &*env,
                deploy: deploy.as_ref(),
            };
            let mut draft = core.buckets.draft(Nanos(core.clock.monotonic()));
            let number = old.number + 1;
            let snapshot = build::build(wanted, number, &materials, Some(&old), &mut draft)?;
            core.access_log.set_target(&snapshot.config.log.access).map_err(StartError::Log)?;
            if let Err(error) = events::configure(&snapshot.config.log, colour) {
                // Back to where it was: that target is open still, or was a moment ago.
                let _best_effort = core.access_log.set_target(&old.config.log.access);
                return Err(StartError::Log(error));
            }
            if let Some(Deploy { hook, version }) = &deploy {
                Versions::of(&snapshot.config.state_dir, hook).put_in_force(version).map_err(StartError::Versions)?;
            }
            // From here on nothing fails.
            draft.commit(Nanos(core.clock.monotonic()));
            if !snapshot.config.usage_plans.is_empty() {
                core.state.start();
                core.state.tell_shared_values(&snapshot.keys);
            }
            core.snapshot.store(Arc::new(snapshot));
            Ok::<_, StartError>(number)
        })
        .await
        .map_err(|_stopped| StartError::Interrupted)??;
        self.listeners.commit(listeners);
        self.core.check_origins();
        if let Some(kept) = &*self.token.lock() {
            kept.set(token.as_deref());
        }
        Ok(ReloadOutcome { snapshot, changes, warnings: String::new() })
    }
}

/// A configuration with its text, for reports.
struct Text {
    name: String,
    source: String,
    config: Config,
    warnings: Report,
}

/// Reads and parses a configuration file.
async fn read(path: &Path) -> Result<Text, ReloadError> {
    let name = path.display().to_string();
    let failed = |source| ReloadError::Read { path: path.display().to_string(), source };
    let file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || files::read(&file, edgeweir_config::MAX_BYTES as u64));
    let bytes = read.await.map_err(|_stopped| StartError::Interrupted)?.map_err(failed)?;
    let text = edgeweir_config::text(&bytes)
        .map_err(|bad| ReloadError::Bad { report: bad.report.render(&name, &bad.text, false) })?;
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    match edgeweir_config::parse(text, base) {
        Ok(Parsed { config, warnings }) => Ok(Text { source: text.to_owned(), name, config, warnings }),
        Err(report) => Err(ReloadError::Bad { report: report.render(&name, text, false) }),
    }
}

#[async_trait]
impl Control for EdgeControl {
    fn ready(&self) -> bool {
        self.core.ready()
    }

    fn concern(&self) -> Option<String> {
        self.core.state.concern()
    }

    fn metrics(&self) -> String {
        // moka counts lazily.
        self.core.cache.storage.settle();
        let stats = self.core.cache.storage.stats();
        self.core.metrics.set_certificates(certificates::gauges(&self.listeners));
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.core.metrics.set_origins(super::origins::gauges(&self.core.snapshot.load()));
        self.core.metrics.encode(Gauges {
            snapshot: self.core.snapshot.load().number,
            connections: count(self.core.connections.len()),
            cache: stats,
            held_bodies: count(self.core.body_memory.taken()),
            taken_over: self.core.buckets.taken_over(),
            state: self.core.state.is_started().then(|| {
                let (failures, leases) = self.core.state.counts();
                StateGauges {
                    up: u64::from(!self.core.state.is_away()),
                    keys: count(self.core.state.live.len()),
                    failures,
                    leases,
                }
            }),
        })
    }

    fn status(&self) -> Value {
        let snapshot = self.core.snapshot.load();
        let uptime = self.core.clock.wall().duration_since(self.core.started).unwrap_or_default();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.core.ready(),
            "snapshot": snapshot.number,
            "config": self.identity.as_ref().map(|path| path.display().to_string()),
            "uptime_seconds": uptime.as_secs(),
            "listeners": self.listeners.addresses().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "connections": self.core.connections.len(),
            "keys": snapshot.keys.len() + self.core.state.live.len(),
            "state_store": self.core.state.concern().unwrap_or_else(|| "ok".to_owned()),
            "origins": super::origins::status(&snapshot),
            "distributions": snapshot.distributions.iter().map(|found| found.name.to_string()).collect::<Vec<_>>(),
        })
    }

    async fn purge(&self, order: Order) -> Result<Value, BadOrder> {
        let items = order.items(&self.core.snapshot.load())?;
        let receipt = match order.dry_run {
            true => self.core.count_purge(items).await,
            false => self.core.purge(&items, order.mode(), "admin"),
        };
        Ok(receipt.json())
    }

    async fn reload(&self) -> Result<Value, ReloadFailure> {
        self.apply_file().await.map(|outcome| answer(&outcome)).map_err(|error| failure(&error))
    }

    async fn keys(&self, call: admin::keys::Call) -> Result<admin::keys::Answer, KeyError> {
        super::keys::call(&self.core, call).await
    }

    async fn deploy(&self, hook: &str, version: &str) -> Result<Value, ReloadFailure> {
        EdgeControl::deploy(self, hook, version).await.map(|outcome| answer(&outcome)).map_err(|error| failure(&error))
    }
}

fn answer(outcome: &ReloadOutcome) -> Value {
    json!({
        "snapshot": outcome.snapshot,
        "changes": outcome.changes.iter().map(|change| json!({
            "what": change.what,
            "needs_restart": change.needs_restart,
        })).collect::<Vec<_>>(),
        "warnings": outcome.warnings,
    })
}

fn failure(error: &ReloadError) -> ReloadFailure {
    let (status, report) = match error {
        ReloadError::NoFile | ReloadError::Stopping | ReloadError::NotDeployed { .. } => (409, None),
        ReloadError::Bad { report } => (422, Some(report.clone())),
        ReloadError::Start(StartError::Build(build)) => (422, Some(build.to_string())),
        ReloadError::Read { .. } | ReloadError::Start(_) => (500, None),
    };
    let body = match report {
        Some(report) => json!({ "error": "the configuration is not valid; the old one stays", "report": report }),
        None => json!({ "error": chain(error) }),
    };
    ReloadFailure { status, body }
}
