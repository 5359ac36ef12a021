//! A whole edge: started from a configuration, reloaded with another, stopped gracefully.
//!
//! What lives as long as the process is in [`Core`]; what a configuration makes is in its snapshot. Several edges can live in
//! one process (tests do that): nothing here is global but the events log.

mod certificates;
mod core;
mod keys;
mod listeners;
mod origins;
mod purge;
mod reload;
mod services;
mod stores;
mod turn;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edgeweir_config::{Config, Log, LogLevel, LogTarget, Problem};
use edgeweir_hookhost::EngineLimits;
use pingora::apps::HttpServerApp;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use tokio::sync::watch;

pub use self::core::{CacheParts, Core, MAX_ATTEMPTS};
pub(crate) use self::core::{compiled, compiler};
use self::listeners::Listeners;
pub use self::purge::Receipt;
pub use self::reload::{ReloadError, ReloadOutcome};
use crate::admin::{self, AdminServer};
use crate::flow::Flow;
use crate::runtime::clock::{Clock, SystemClock};
use crate::runtime::connections::Patience;
use crate::runtime::resolver::{Resolver, SystemResolver};
use crate::snapshot::Snapshot;
use crate::snapshot::build::BuildError;
use crate::telemetry::observer::Observer;

/// How often heads that do not arrive are looked for; a deadline is late by at most this.
const SWEEP: Duration = Duration::from_millis(250);
/// After the limit for requests in flight, connections are given this long to notice that they are ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Reads an environment variable.
pub type Env = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What an edge is started with besides its configuration.
#[derive(Clone)]
pub struct Options {
    /// Time for limits, hooks and logs.
    pub clock: Arc<dyn Clock>,
    /// The addresses of origins' names.
    pub resolver: Arc<dyn Resolver>,
    /// Where the configuration was read, for reloads by signal and admin API.
    pub config_path: Option<PathBuf>,
    /// Whether events on a terminal may have colours.
    pub colour: bool,
    /// Reads an environment variable, for secrets.
    pub env: Arc<Env>,
    /// Sees each request when it is over, and has the log lines of hooks: `edgeweir dev`. Such an edge writes no access
    /// log, and warnings and errors to standard error, whatever the configuration says of logs.
    pub observer: Option<Arc<dyn Observer>>,
    /// The `edgeweir` program of this build, which compiles hooks in a process of its own. None: they are compiled in this
    /// process, without limits of time and memory.
    pub compiler: Option<PathBuf>,
    /// Calls of hooks at once, 1 to 10,000; one more ends as if its hook had no place. Each reserves 8 GiB of addresses.
    pub hook_calls: u32,
}

impl Options {
    /// The configuration as it is in force.
    fn adjust(&self, mut config: Config) -> Config {
        if self.observer.is_some() {
            config.log = Log { access: LogTarget::Off, events: LogTarget::Stderr, level: LogLevel::Warn, json: false };
        }
        config
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            resolver: Arc::new(SystemResolver),
            config_path: None,
            colour: false,
            env: Arc::new(|_name| None),
            observer: None,
            compiler: None,
            hook_calls: EngineLimits::default().slots,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("config_path", &self.config_path).finish_non_exhaustive()
    }
}

/// Why an edge does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Files, hooks or secrets that the configuration names.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A listener's address.
    #[error("cannot listen on {address}{}", hint(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The state directory.
    #[error("cannot use the state directory `{}`; set `state_dir` to a folder that the edge may write", .path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The hook engine.
    #[error("cannot start the hook engine")]
    Engine(#[from] edgeweir_hookhost::EngineError),
    /// A log.
    #[error("cannot open a log")]
    Log(#[from] crate::telemetry::lines::LogError),
    /// Another configuration's edge has the state directory.
    #[error(transparent)]
    InUse(admin::AdminError),
    /// The admin API.
    #[error("cannot serve the admin API")]
    Admin(#[from] admin::AdminError),
    /// The versions of a deployed hook.
    #[error("cannot put a version in force")]
    Versions(#[source] crate::versions::VersionError),
    /// The snapshot was not finished.
    #[error("the start was interrupted")]
    Interrupted,
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => ": the port is in use by another program",
        std::io::ErrorKind::PermissionDenied => ": ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        std::io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
        _ => "",
    }
}

/// What an admin listener says, shown in the text of the configuration where that says what is wrong.
fn refused(config: &Config, error: admin::AdminError) -> StartError {
    let path: &[&str] = match error {
        admin::AdminError::Tcp { .. } => &["admin", "address"],
        _ => &["state_dir"],
    };
    let place = config.source.place(path);
    match error {
        error if !place.is_empty() => core::unusable_at(place, &error).into(),
        error @ admin::AdminError::Occupied { .. } => StartError::InUse(error),
        error => StartError::Admin(error),
    }
}

/// A running edge. Dropped without [`Edge::shutdown`] it stops accepting and lets its connections run on.
pub struct Edge {
    core: Arc<Core>,
    app: Arc<HttpProxy<Flow>>,
    listeners: Arc<Listeners>,
    admin: Vec<AdminServer>,
    admin_address: Option<SocketAddr>,
    admin_socket: PathBuf,
    control: Arc<reload::EdgeControl>,
    shutdown: watch::Sender<bool>,
    sweeper: tokio::task::JoinHandle<()>,
    stores: tokio::task::JoinHandle<()>,
    certificates: [tokio::task::JoinHandle<()>; 2],
    sharing: Option<tokio::task::JoinHandle<()>>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

impl Edge {
    /// Starts an edge in the current runtime. It serves when this returns: hooks are compiled, ports are open.
    ///
    /// # Errors
    /// Whatever keeps it from serving its whole configuration; nothing is left running then.
    pub async fn start(config: Config, options: Options) -> Result<Self, StartError> {
        let config = Arc::new(options.adjust(config));
        let admin_socket = config.state_dir.join(admin::SOCKET);
        core::private_folder(&config)?;
        // Until the socket is ours, or the start has failed.
        let mut turn = None;
        if let Some(file) = &options.config_path {
            let taken = turn::take(&config.state_dir).await;
            turn = Some(taken.map_err(|source| core::bad_state_dir(&config, source))?);
            admin::tenant::vacant(&admin_socket, file).await.map_err(|error| refused(&config, error))?;
        }
        let core = Core::start(Arc::clone(&config), &options).await?;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let conf = ServerConf {
            threads: config.server.threads.unwrap_or_else(cores),
            // Each member of a group by itself; `flow/attempts` counts them.
            max_retries: core::MAX_MEMBERS * 2 * MAX_ATTEMPTS,
            upstream_keepalive_pool_size: core::UPSTREAM_POOL,
            ..ServerConf::default()
        };
        let mut app = HttpProxy::new(Flow { core: Arc::clone(&core) }, Arc::new(conf));
        app.handle_init_modules();
        let mut server_options = pingora::apps::HttpServerOptions::default();
        server_options.h2_idle_timeout = Some(config.server.keepalive_timeout);
        // The gate refuses it: with `Allow`, an id and a line in the log.
        server_options.allow_connect_method_proxying = true;
        app.server_options = Some(server_options);
        app.h2_options = Some(core::h2_options(&config));
        let app = Arc::new(app);
        core.pages.serve_with(&app);
        let (shutdown, _) = watch::channel(false);
        let listeners = Arc::new(Listeners::new(
            Arc::clone(&core),
            Arc::clone(&app),
            shutdown.subscribe(),
            Arc::clone(&options.env),
        ));
        let prepared = listeners.prepare(&config)?;
        listeners.commit(prepared);
        core.check_origins();
        let env = Arc::clone(&options.env);
        let control = Arc::new(reload::EdgeControl::new(Arc::clone(&core), Arc::clone(&listeners), options));
        let unix = admin::serve_unix(&admin_socket, Arc::clone(&control) as Arc<dyn admin::Control>);
        let mut admin = vec![unix.map_err(|error| refused(&config, error))?];
        drop(turn);
        let mut admin_address = None;
        if let Some(configured) = &config.admin {
            let token = control.admin_token(&config, configured)?;
            let api = Arc::clone(&control) as Arc<dyn admin::Control>;
            let served = admin::serve_tcp(configured.address, token.as_deref(), api).await;
            let (address, server) = served.map_err(|error| refused(&config, error))?;
            admin_address = Some(address);
            control.keep_token(server.token());
            admin.push(server);
        }
        let sweeper = tokio::spawn(sweep(Arc::clone(&core)));
        let stores = tokio::spawn(stores::watch(Arc::clone(&core)));
        let certificates = [
            tokio::spawn(certificates::watch(Arc::clone(&core), Arc::clone(&listeners))),
            tokio::spawn(crate::acme::keep(Arc::clone(&core), env)),
        ];
        core.set_ready(true);
        let sharing = core.state.is_shared().then(|| tokio::spawn(share(Arc::clone(&core), Arc::clone(&control))));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), listeners = ?listeners.addresses(), "started");
        Ok(Self {
            core,
            app,
            listeners,
            admin,
            admin_address,
            admin_socket,
            control,
            shutdown,
            sweeper,
            stores,
            certificates,
            sharing,
        })
    }

    /// Where viewers connect, in the order of the configuration, with real ports.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses()
    }

    /// The admin API on TCP, if configured.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The admin API's Unix socket.
    #[must_use]
    pub fn admin_socket(&self) -> &Path {
        &self.admin_socket
    }

    /// Puts another configuration in force: all or nothing. Requests in flight keep the old one.
    ///
    /// # Errors
    /// Why the old configuration stays.
    pub async fn reload(&self, config: Config) -> Result<ReloadOutcome, ReloadError> {
        self.control.apply(config).await
    }

    /// Reads the configuration file again and puts it in force.
    ///
    /// # Errors
    /// Why the old configuration stays.
    pub async fn reload_file(&self) -> Result<ReloadOutcome, ReloadError> {
        self.control.apply_file().await
    }

    /// Opens log files again, after somebody moved them away.
    pub fn reopen_logs(&self) {
        self.core.reopen_logs();
    }

    /// Stops gracefully: not ready for the configured delay, then no new connections, then requests in flight finish, up to
    /// the configured limit. Returns whether all of them did.
    pub async fn shutdown(self) -> bool {
        let server = self.core.snapshot.load().config.server.clone();
        self.core.set_ready(false);
        tokio::time::sleep(server.shutdown_delay).await;
        self.listeners.stop();
        // HTTP/1: the next answer closes; HTTP/2: GOAWAY.
        self.shutdown.send_replace(true);
        self.app.http_cleanup().await;
        self.core.connections.close_idle();
        let finished = tokio::time::timeout(server.shutdown_timeout, self.core.connections.drained()).await.is_ok();
        if !finished {
            tracing::warn!(open = self.core.connections.len(), "requests in flight are ended: their time is over");
            self.core.connections.kill_all();
            // Whoever does not notice in time is cut off with the process.
            let _cut = tokio::time::timeout(LAST_WORDS, self.core.connections.drained()).await;
        }
        self.sweeper.abort();
        self.stores.abort();
        self.core.checks.keep(&[], &self.core.fetches);
        self.certificates.iter().for_each(tokio::task::JoinHandle::abort);
        if let Some(sharing) = self.sharing {
            sharing.abort();
        }
        for server in self.admin {
            server.stop().await;
        }
        let state = Arc::clone(&self.core.state);
        // Only a panic ends this early, and then there is nothing more to save.
        let _saved = tokio::task::spawn_blocking(move || state.stop()).await;
        self.core.flush_logs();
        finished
    }
}

/// Divides rates anew when another edge comes or goes.
async fn share(core: Arc<Core>, control: Arc<reload::EdgeControl>) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if core.ready() && core.state.nodes() != core.snapshot.load().nodes {
            control.share().await;
        }
    }
}

async fn sweep(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Real time on purpose: a test's clock that stands still must not keep slow viewers alive.
    let start = std::time::Instant::now();
    loop {
        ticks.tick().await;
        let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let limits = {
            let server = &core.snapshot.load().config.server;
            Patience { head: server.header_timeout, idle: server.keepalive_timeout, write: server.write_timeout }
        };
        let swept = core.connections.sweep(now + 1, &limits);
        for _ in 0..swept.heads {
            core.metrics.connection_refused("header-timeout");
        }
        for _ in 0..swept.origins {
            core.metrics.fault(crate::fault::Fault::OriginTimeout.as_str());
        }
    }
}

/// Makes the snapshot of a configuration without an edge: no port is opened, nothing is written.
///
/// # Errors
/// Each problem; those that have no place in the text are at its start.
pub(crate) fn snapshot(config: Config, options: &Options) -> Result<Snapshot, Vec<Problem>> {
    core::snapshot_of(&Arc::new(config), options)
}

/// Makes everything that a configuration needs and throws it away: what `edgeweir check` does beyond the text.
///
/// # Errors
/// Each problem; those that have no place in the text are at its start.
pub fn check(config: Config, options: &Options) -> Result<(), Vec<Problem>> {
    core::check(&Arc::new(config), options)
}
