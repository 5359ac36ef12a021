//! What lives as long as the process: engine, cache, connections, counters, logs, and the snapshot in force.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use edgeweir_cache::admission::Sketch;
use edgeweir_cache::storage::Eviction;
use edgeweir_cache::{Limits, MokaStorage};
use edgeweir_config::{Backend, Config, Problem};
use edgeweir_hookhost::{Compiler, CompilerLimits, EngineLimits, HookEngine};
use edgeweir_limits::{BucketRegistry, LevelKind, Nanos};
use pingora::cache::lock::{CacheKeyLockImpl, CacheLock};
use pingora::cache::predictor::Predictor;

use super::certificates;
use super::services::Services;
use super::{Options, StartError};
use crate::acme::Registry;
use crate::fault::Fault;
use crate::fetch;
use crate::origin::health::Checks;
use crate::pages::Pages;
use crate::runtime::clock::Clock;
use crate::runtime::connections::Connections;
use crate::runtime::resolver::Resolver;
use crate::runtime::room::Memory;
use crate::snapshot::Snapshot;
use crate::snapshot::authorizer::Answers;
use crate::snapshot::build::{self, BuildError, Materials, unusable};
use crate::state::{Place, State};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::events;
use crate::telemetry::metrics::{Metrics, Setup};
use crate::telemetry::observer::Observer;

/// Addresses of an origin that are tried for one request.
pub const MAX_ATTEMPTS: usize = 3;
/// Most members of a group of origins: as the configuration has it.
pub(super) const MAX_MEMBERS: usize = 8;
/// Idle connections to origins that are kept, in all.
pub(super) const UPSTREAM_POOL: usize = 1024;
/// Throttles that may exist at once; each is some 100 bytes.
const MAX_BUCKETS: usize = 1_000_000;
/// Requests for one object wait at most this long for the first to fetch it; then they fetch it themselves.
const COLLAPSE: Duration = Duration::from_secs(30);
/// Uncacheable keys that are remembered, in each of the predictor's shards, so that they do not wait for each other.
const REMEMBERED: usize = 4096;
const SHARDS: usize = 16;
/// How long a stop waits for the logs to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// pingora's cache wants parts that live forever; there is one set for each edge.
pub struct CacheParts {
    /// Objects.
    pub storage: &'static MokaStorage,
    /// Lets one request fetch for all.
    pub lock: &'static CacheKeyLockImpl,
    /// Remembers what is not cacheable.
    pub predictor: &'static Predictor<SHARDS>,
    /// Counts requests for what is not stored, for policies that store only what is asked for often.
    pub admission: &'static Sketch,
}

/// See the module's text.
pub struct Core {
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// The cache.
    pub cache: CacheParts,
    /// Certificates that are fetched.
    pub acme: Arc<Registry>,
    /// Compiles and runs hooks.
    pub engine: HookEngine,
    /// API keys and quotas that outlive the process.
    pub state: Arc<State>,
    /// Buckets, kept over reloads.
    pub buckets: BucketRegistry,
    /// Open viewer connections.
    pub connections: Arc<Connections>,
    /// Shared by request bodies that are held for hooks.
    pub body_memory: Arc<Memory>,
    /// The way to pages that stand in for errors.
    pub pages: Arc<Pages>,
    /// Connections of requests that hooks send.
    pub fetches: Arc<fetch::Connections>,
    /// Health checks of origins.
    pub checks: Checks,
    /// Counters.
    pub metrics: Metrics,
    /// The access log.
    pub access_log: AccessLog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The addresses of names.
    pub resolver: Arc<dyn Resolver>,
    /// Who looks on.
    pub observer: Option<Arc<dyn Observer>>,
    /// When this edge started.
    pub started: SystemTime,
    /// What authorizers said.
    pub answers: Answers,
    /// Leaks of cache keys that were told, by their hash.
    pub leaks_told: parking_lot::Mutex<HashSet<u64>>,
    /// Hashes them.
    pub leaks_hasher: RandomState,
    ready: AtomicBool,
}

impl Core {
    pub(super) async fn start(config: Arc<Config>, options: &Options) -> Result<Arc<Self>, StartError> {
        events::configure(&config.log, options.colour)?;
        let access_log = AccessLog::open(&config.log.access, Arc::clone(&options.clock))?;
        let mut logs = vec![("access", access_log.counters())];
        logs.extend(events::counters().map(|counters| ("events", counters)));
        let metrics = Metrics::new(Setup {
            version: env!("CARGO_PKG_VERSION"),
            started: options.clock.wall(),
            faults: Fault::labels(),
            verdicts: VERDICTS,
            levels: LEVELS,
            refusals: REFUSALS,
            logs,
        });
        let services = Arc::new(Services {
            clock: Arc::clone(&options.clock),
            counters: metrics.counter_source(),
            observer: options.observer.clone(),
        });
        let compiled = compiled(&config.state_dir);
        let limits = EngineLimits { slots: options.hook_calls, ..EngineLimits::default() };
        let engine = HookEngine::with_compiler(limits, Some(&compiled), compiler(options), services)?;
        let state = State::new(place(&config, &*options.env)?, Arc::clone(&options.clock));
        let kept = Arc::clone(&state);
        let buckets = BucketRegistry::new(MAX_BUCKETS);
        let (clock, resolver) = (Arc::clone(&options.clock), Arc::clone(&options.resolver));
        let env = Arc::clone(&options.env);
        let fetches = Arc::<fetch::Connections>::default();
        let for_hooks = Arc::clone(&fetches);
        let pages = Arc::<Pages>::default();
        let to_pages = Arc::clone(&pages);
        let storage_limits =
            Limits::new(config.cache_capacity, config.cache_max_object).with_eviction(match config.cache_eviction {
                edgeweir_config::Eviction::TinyLfu => Eviction::TinyLfu,
                edgeweir_config::Eviction::Lru => Eviction::Lru,
            });
        // Compilers and files: not on the runtime's workers.
        let acme = Arc::new(Registry::new(&config.state_dir));
        let (snapshot, engine, buckets, metrics) = tokio::task::spawn_blocking(move || {
            let materials = Materials {
                engine: &engine,
                state: &kept,
                metrics: &metrics,
                clock: &clock,
                resolver: &resolver,
                fetches: &for_hooks,
                pages: &to_pages,
                env: &*env,
                deploy: None,
            };
            let now = Nanos(clock.monotonic());
            let mut draft = buckets.draft(now);
            let snapshot = build::build(config, 1, &materials, None, &mut draft)?;
            draft.commit(now);
            if !snapshot.config.usage_plans.is_empty() || kept.is_used() {
                kept.start();
                kept.tell_shared_values(&snapshot.keys);
            }
            Ok::<_, BuildError>((snapshot, engine, buckets, metrics))
        })
        .await
        .map_err(|_stopped| StartError::Interrupted)??;
        let lock: &'static CacheLock = Box::leak(CacheLock::new_boxed(COLLAPSE));
        Ok(Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            cache: CacheParts {
                storage: MokaStorage::leak_with(storage_limits),
                lock,
                predictor: Box::leak(Box::new(Predictor::new(
                    REMEMBERED,
                    Some(crate::flow::revalidate::is_of_one_request),
                ))),
                admission: Box::leak(Box::default()),
            },
            acme,
            engine,
            state,
            buckets,
            connections: Arc::new(Connections::default()),
            body_memory: Arc::new(Memory::default()),
            pages,
            fetches,
            checks: Checks::default(),
            metrics,
            access_log,
            observer: options.observer.clone(),
            started: options.clock.wall(),
            answers: Answers::default(),
            leaks_told: parking_lot::Mutex::default(),
            leaks_hasher: RandomState::new(),
            clock: Arc::clone(&options.clock),
            resolver: Arc::clone(&options.resolver),
            ready: AtomicBool::new(false),
        }))
    }

    /// Whether new requests are welcome.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Has the origins of the snapshot in force checked, and no others.
    pub(super) fn check_origins(&self) {
        self.checks.keep(&self.snapshot.load().origins, &self.fetches);
    }

    /// Opens log files again.
    pub fn reopen_logs(&self) {
        if let Err(error) = self.access_log.reopen() {
            tracing::error!(error = %crate::fault::chain(&error), "the access log stays where it was");
        }
        if let Err(error) = events::reopen() {
            tracing::error!(error = %crate::fault::chain(&error), "the event log stays where it was");
        }
    }

    pub(super) fn flush_logs(&self) {
        if !self.access_log.flush(FLUSH) || !events::flush(FLUSH) {
            tracing::warn!("the last lines of a log could not be written in time");
        }
    }
}

/// Where keys and quotas are kept.
fn place(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Result<Place, BuildError> {
    let folder = config.state_dir.clone();
    match &config.state.backend {
        Backend::Embedded => Ok(Place::Folder(folder)),
        Backend::Redis { url, prefix } => {
            let problem = |text: String| BuildError {
                problems: vec![Problem::error("unusable", config.source.place(&["state", "url"]), text)],
            };
            let url = build::secret(url, env).map_err(problem)?;
            if !url.starts_with("redis://") {
                return Err(problem("the URL of a Redis or Valkey server begins with `redis://`".to_owned()));
            }
            Ok(Place::Server { folder, url: url.into(), prefix: prefix.as_str().into() })
        }
    }
}

/// Where compiled hooks are kept.
pub(crate) fn compiled(state_dir: &Path) -> PathBuf {
    state_dir.join("hooks")
}

/// How hooks are compiled.
pub(crate) fn compiler(options: &Options) -> Option<Compiler> {
    options.compiler.clone().map(|program| Compiler::new(program, CompilerLimits::default()))
}

/// Labels of what hook calls end with.
const VERDICTS: &[&str] = &[
    "next",
    "respond",
    "allow",
    "deny",
    "unauthorized",
    "trap",
    "timeout",
    "out-of-memory",
    "validation",
    "failed",
    "overloaded",
    "missing-stage",
];
/// Each level's limit of rate, then each one's of requests at once.
const LEVELS: &[&str] = &{
    let mut labels = [""; 2 * LevelKind::COUNT];
    let mut at = 0;
    while at < LevelKind::COUNT {
        labels[at] = LevelKind::ALL[at].as_str();
        labels[at + LevelKind::COUNT] = LevelKind::ALL[at].at_once();
        at += 1;
    }
    labels
};
const REFUSALS: &[&str] = &[
    "total",
    "per-address",
    "accept",
    "tls-handshake",
    "tls-handshake-timeout",
    "header-timeout",
    "proxy-protocol",
    "proxy-protocol-timeout",
    "proxy-protocol-untrusted",
    "http2-resets",
    "http2-control-frames",
];

/// Makes the state folder, for the edge's user only.
pub(super) fn private_folder(config: &Config) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.state_dir);
    made.map_err(|source| bad_state_dir(config, source))
}

/// Why the state folder cannot be used, in the text of the configuration if that names it.
pub(super) fn bad_state_dir(config: &Config, source: std::io::Error) -> StartError {
    let error = StartError::StateDir { path: config.state_dir.clone(), source };
    let place = config.source.place(&["state_dir"]);
    if place.is_empty() { error } else { unusable_at(place, &error).into() }
}

/// What an error says, as a problem of the configuration at this place.
pub(super) fn unusable_at(place: Range<usize>, error: &dyn std::error::Error) -> BuildError {
    BuildError { problems: vec![Problem::error("unusable", place, crate::fault::chain(error))] }
}

/// Limits of HTTP/2 viewers that h2 keeps: streams at once, bodies ahead, and what a head may be.
pub(super) fn h2_options(config: &Config) -> pingora::protocols::http::v2::server::H2Options {
    let mut options = pingora::protocols::http::v2::server::default_h2_options();
    let head = u32::try_from(config.gate.max_headers).unwrap_or(u32::MAX);
    let limits = &config.http2;
    options
        .max_header_list_size(head)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window);
    options
}

pub(super) fn check(config: &Arc<Config>, options: &Options) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    for (at, listener) in config.listeners.iter().enumerate() {
        if !listener.certificates.is_empty()
            && let Err(error) = crate::tls::Termination::new(listener, crate::tls::Supplies::default())
        {
            problems.push(bad_certificate(config, at, &error));
        }
    }
    problems.extend(certificates::check_authority(config, &*options.env));
    if let Err(found) = snapshot_of(config, options) {
        problems.extend(found);
    }
    if let Some(admin) = &config.admin
        && let Some(token) = &admin.token
        && let Err(problem) = build::secret(token, &*options.env)
    {
        problems.push(bad_token(config, &problem));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The problem of a certificate of the listener at this place.
pub(super) fn bad_certificate(config: &Config, at: usize, error: &crate::tls::TlsError) -> Problem {
    use crate::tls::TlsError as Error;
    let asked = config.listeners.get(at).and_then(|listener| listener.viewer_certificates.as_ref());
    let of_viewers = asked.is_some_and(|asked| match error {
        Error::Read { path, .. } | Error::TooLarge { path } | Error::Pem { path, .. } => *path == asked.ca,
        Error::NoCertificate { path } | Error::BadAuthority { path } => *path == asked.ca,
        _ => false,
    });
    let index = at.to_string();
    let keys: &[&str] = match of_viewers {
        true => &["listeners", &index, "viewer_certificates", "ca"],
        false => &["listeners", &index, "certificates"],
    };
    let place = config.source.place(keys);
    Problem::error("unusable", place, crate::fault::chain(error))
}

/// The problem of the admin token.
pub(super) fn bad_token(config: &Config, problem: &str) -> Problem {
    Problem::error("unusable", config.source.place(&["admin", "token"]), format!("admin token: {problem}"))
}

/// A snapshot that serves nobody: its hooks are compiled, but it opens no port and writes nothing.
pub(super) fn snapshot_of(config: &Arc<Config>, options: &Options) -> Result<Snapshot, Vec<Problem>> {
    let metrics = Metrics::new(Setup {
        version: env!("CARGO_PKG_VERSION"),
        started: options.clock.wall(),
        faults: &[],
        verdicts: &[],
        levels: &[],
        refusals: &[],
        logs: Vec::new(),
    });
    let services =
        Arc::new(Services { clock: Arc::clone(&options.clock), counters: metrics.counter_source(), observer: None });
    let limits = EngineLimits { slots: 1, ..EngineLimits::default() };
    let engine = HookEngine::with_compiler(limits, None, compiler(options), services)
        .map_err(|error| vec![unusable(crate::fault::chain(&error))])?;
    let (fetches, pages) = (Arc::default(), Arc::default());
    let place = place(config, &*options.env).map_err(|error| error.problems)?;
    let state = State::new(place, Arc::clone(&options.clock));
    let materials = Materials {
        engine: &engine,
        state: &state,
        metrics: &metrics,
        clock: &options.clock,
        resolver: &options.resolver,
        fetches: &fetches,
        pages: &pages,
        env: &*options.env,
        deploy: None,
    };
    let buckets = BucketRegistry::new(MAX_BUCKETS);
    let mut draft = buckets.draft(Nanos(0));
    build::build(Arc::clone(config), 0, &materials, None, &mut draft).map_err(|error| error.problems)
}
