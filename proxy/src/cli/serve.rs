//! `edgeweir serve`: runs an edge until it is told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use edgeweir_config::{Config, Problem};
use tokio::runtime::{Builder, Runtime};

use super::compile;
use super::file::{File, FileArg, plain};
use super::output;
use super::signals::{Signal, Signals};
use crate::edge::{Edge, Options, ReloadError, StartError};
use crate::tls;

/// What is still running when the edge has stopped gets this long.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: FileArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = args.file.path();
    let file = File::read(path, "edgeweir serve FILE");
    let Some(config) = file.usable() else { return Ok(ExitCode::FAILURE) };
    let options = options(Some(path));
    warn_of_certificates(&config, options.clock.wall());
    let runtime = runtime(config.server.threads)?;
    let code = runtime.block_on(serve(config, options));
    runtime.shutdown_timeout(LAST_WORDS);
    code.or_else(|error| show(error, &file))
}

/// Problems that have a place in the text are shown there.
fn show(error: anyhow::Error, file: &File) -> anyhow::Result<ExitCode> {
    match error.downcast_ref::<StartError>() {
        Some(StartError::Build(build)) if build.has_places() => {
            output::err(&file.render_build(build, output::colour_on_stderr()));
            Ok(ExitCode::FAILURE)
        }
        _ => Err(error),
    }
}

/// What the edge of a process is started with.
#[expect(clippy::disallowed_methods, reason = "here the environment is read, for everything else it is passed in")]
pub(super) fn options(config_path: Option<&Path>) -> Options {
    Options {
        config_path: config_path.map(Path::to_owned),
        env: Arc::new(|name| std::env::var(name).ok()),
        colour: output::colour_on_stderr(),
        compiler: Some(compile::PROGRAM.into()),
        ..Options::default()
    }
}

/// Certificates that are not valid now; serving them is allowed.
pub(super) fn certificate_warnings(config: &Config, now: SystemTime) -> Vec<String> {
    config.listeners.iter().flat_map(|listener| tls::validity_warnings(listener, now)).collect()
}

/// Tells them on standard error.
pub(super) fn warn_of_certificates(config: &Config, now: SystemTime) {
    for warning in certificate_warnings(config, now) {
        output::err(&plain(&Problem::warning("certificate", 0..0, warning), output::colour_on_stderr()));
    }
}

/// How many turns tasks take before the system is asked what else is ready, if tasks are ready all the time. With tokio's 61
/// a batch of requests was cut in four; all of them would have to wait for the batch anyway.
const TURNS: u32 = 256;

/// The runtime of an edge. Raises the limit of open files on the way: a viewer connection needs one, its origin
/// connection another, and the usual soft limit of 1,024 is far below what the configuration allows.
/// `threads` is `server.threads`.
pub(super) fn runtime(threads: Option<usize>) -> anyhow::Result<Runtime> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let files = getrlimit(Resource::Nofile);
    // If the system refuses, the accept loop says so when files run out.
    let _as_it_was = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
    let mut builder = match threads {
        // Nothing to share out: a twentieth less for each request that is passed on.
        Some(1) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder
        .thread_name("edge")
        .event_interval(TURNS)
        .enable_all()
        .build()
        .context("cannot start the threads of the edge")
}

async fn serve(config: Config, options: Options) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let schemes = schemes(&config);
    let edge = tokio::select! {
        started = Edge::start(config, options) => started?,
        () = signals.stop() => return Ok(ExitCode::SUCCESS),
    };
    for (scheme, address) in schemes.iter().zip(edge.addresses()) {
        output::err(&format!("listening on {scheme}://{address}\n"));
    }
    if let Some(address) = edge.admin_address() {
        output::err(&format!("admin API on http://{address}\n"));
    }
    Ok(until_stopped(edge, &mut signals).await)
}

/// `http` or `https` for each listener.
pub(super) fn schemes(config: &Config) -> Vec<&'static str> {
    let scheme = |plain_text: bool| if plain_text { "http" } else { "https" };
    config.listeners.iter().map(|listener| scheme(listener.certificates.is_empty())).collect()
}

/// Obeys signals until the edge is to stop, then stops it gracefully, or at once when it is told so again.
pub(super) async fn until_stopped(edge: Edge, signals: &mut Signals) -> ExitCode {
    loop {
        match signals.next().await {
            Signal::Stop => break,
            Signal::Reload => {
                edge.reopen_logs();
                tokio::select! {
                    done = edge.reload_file() => tell(done.err()),
                    () = signals.stop() => break,
                }
            }
        }
    }
    stop(edge, signals).await
}

/// Stops the edge gracefully, or at once when there is another signal to stop.
pub(super) async fn stop(edge: Edge, signals: &mut Signals) -> ExitCode {
    tracing::info!("stopping: requests in flight may finish; a second signal stops at once");
    tokio::select! {
        finished = edge.shutdown() => {
            tracing::info!(finished, "stopped");
            ExitCode::SUCCESS
        }
        () = signals.stop() => {
            output::err("stopped at once: requests in flight were cut off\n");
            ExitCode::FAILURE
        }
    }
}

/// What the edge itself does not log: it never came to see a configuration.
fn tell(error: Option<ReloadError>) {
    match error {
        Some(ReloadError::Bad { report }) => {
            tracing::error!("the configuration is not valid, the old one stays\n{report}");
        }
        Some(error @ (ReloadError::Read { .. } | ReloadError::NoFile)) => {
            tracing::error!("the old configuration stays: {:#}", anyhow::Error::new(error));
        }
        _ => {}
    }
}
