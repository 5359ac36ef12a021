//! `edgeweir dev`: an edge in the foreground for whoever writes hooks. It watches the configuration, the files of hooks
//! and the crates that they are built from; what is saved is built and in force a moment later. Each request is printed
//! with what its hooks did.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use edgeweir_config::{Config, JwksSource, KeyValueSource, SecretSource};

use super::file::{File, FileArg};
use super::signals::{Signal, Signals};
use super::{output, serve};
use crate::admin::{SOCKET, tenant};
use crate::edge::{Edge, Options, ReloadError, StartError};
use crate::snapshot::build::BuildError;

mod crates;
mod printer;
mod stamps;

use crates::Crate;
use printer::Printer;
use stamps::Stamps;

/// How often files are looked at. What changed is taken up when it rests from one look to the next.
const LOOK: Duration = Duration::from_millis(200);
const USAGE: &str = "edgeweir dev FILE";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: FileArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = args.file.path().to_owned();
    let file = File::read(&path, USAGE);
    if file.is_unreadable() {
        output::err(&file.render(output::colour_on_stderr()));
        return Ok(ExitCode::FAILURE);
    }
    let threads = file.result.as_ref().ok().and_then(|parsed| parsed.config.server.threads);
    let runtime = serve::runtime(threads)?;
    let printer = Printer::start(output::colour_on_stdout())?;
    let options = Options { observer: Some(Arc::clone(&printer) as _), ..serve::options(Some(&path)) };
    let dev = Dev { path, options, edge: None, crates: Vec::new(), stamps: Stamps::default() };
    let code = runtime.block_on(dev.run());
    printer.flush();
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

struct Dev {
    path: PathBuf,
    options: Options,
    /// None until a configuration was good enough to start with.
    edge: Option<Edge>,
    crates: Vec<Crate>,
    stamps: Stamps,
}

impl Dev {
    async fn run(mut self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        tokio::select! {
            turned = self.turn(None) => turned?,
            () = signals.stop() => return Ok(ExitCode::SUCCESS),
        }
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Stop => break,
                    Signal::Reload => self.turn(None).await?,
                },
                () = tokio::time::sleep(LOOK) => {
                    let changed = self.stamps.changed();
                    if changed.is_empty() {
                        continue;
                    }
                    tokio::select! {
                        turned = self.turn(Some(&changed)) => turned?,
                        () = signals.stop() => break,
                    }
                }
            }
        }
        match self.edge {
            Some(edge) => Ok(serve::stop(edge, &mut signals).await),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Builds what has to be built, then starts or reloads. `changed` are the files that were saved; none for all.
    ///
    /// # Errors
    /// What no saved file can mend.
    async fn turn(&mut self, changed: Option<&BTreeSet<PathBuf>>) -> anyhow::Result<()> {
        let file = File::read(&self.path, USAGE);
        if let Ok(parsed) = &file.result {
            // cargo is asked where crates are; that takes a moment.
            let config = parsed.config.clone();
            self.crates = tokio::task::spawn_blocking(move || crates(&config)).await?;
        }
        self.build(changed).await?;
        self.watch(file.result.as_ref().ok().map(|parsed| &parsed.config));
        // What a build makes is a change of its own, which is taken up at the next look.
        let only_sources = changed.is_some_and(|changed| {
            let sources: BTreeSet<_> = self.crates.iter().flat_map(Crate::sources).collect();
            changed.is_subset(&sources)
        });
        if !only_sources {
            self.load(&file).await?;
        }
        Ok(())
    }

    /// Builds the crates that have a changed source. What does not build is told; the file that is there stays.
    async fn build(&self, changed: Option<&BTreeSet<PathBuf>>) -> anyhow::Result<()> {
        for found in &self.crates {
            if changed.is_some_and(|changed| changed.is_disjoint(&found.sources())) {
                continue;
            }
            let begin = Instant::now();
            say(&format!("building `{}`", found.folder().display()));
            let building = found.clone();
            match tokio::task::spawn_blocking(move || building.build()).await? {
                Ok(()) => say(&format!("built in {:.1} s", begin.elapsed().as_secs_f64())),
                Err(error) => {
                    output::error(&error);
                    self.goes_on();
                }
            }
        }
        Ok(())
    }

    fn watch(&mut self, config: Option<&Config>) {
        if let Some(config) = config {
            let mut files = files(config);
            files.insert(self.path.clone());
            files.extend(self.crates.iter().flat_map(Crate::sources));
            self.stamps.watch(files);
        } else if self.edge.is_none() {
            self.stamps.watch([self.path.clone()].into());
        }
    }

    async fn load(&mut self, file: &File) -> anyhow::Result<()> {
        let Some(config) = file.usable() else {
            self.goes_on();
            return Ok(());
        };
        if let Some(edge) = &self.edge {
            match edge.reload(config).await {
                Ok(outcome) => {
                    let changes: Vec<_> = outcome.changes.iter().map(|change| change.what.as_str()).collect();
                    let changes = if changes.is_empty() { String::new() } else { format!(" ({})", changes.join(", ")) };
                    say(&format!("reloaded: snapshot {}{changes}", outcome.snapshot));
                    for change in outcome.changes.iter().filter(|change| change.needs_restart) {
                        say(&format!("{}: takes effect after a restart", change.what));
                    }
                }
                Err(error) => {
                    match &error {
                        ReloadError::Start(StartError::Build(build)) => show(build, file),
                        _ => output::error(&anyhow::Error::new(error)),
                    }
                    self.goes_on();
                }
            }
            return Ok(());
        }
        alone(&config, &self.path).await?;
        let schemes = serve::schemes(&config);
        match Edge::start(config, self.options.clone()).await {
            Ok(edge) => {
                for (scheme, address) in schemes.iter().zip(edge.addresses()) {
                    say(&format!("listening on {scheme}://{address}"));
                }
                if let Some(address) = edge.admin_address() {
                    say(&format!("admin API on http://{address}"));
                }
                self.edge = Some(edge);
            }
            Err(StartError::Build(build)) => {
                show(&build, file);
                self.goes_on();
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn goes_on(&self) {
        say(match self.edge {
            Some(_) => "what ran before goes on; waiting for a change",
            None => "nothing runs yet; waiting for a change",
        });
    }
}

/// A second edge on the same ports would get half of the requests, and neither would say so.
async fn alone(config: &Config, path: &Path) -> anyhow::Result<()> {
    let socket = config.state_dir.join(SOCKET);
    match tenant::tenant(&socket).await {
        Some(tenant) if tenant.runs(path) => {
            bail!("an edge runs with `{}` already: stop it first, or give a copy other listeners", path.display())
        }
        _ => Ok(()),
    }
}

fn show(build: &BuildError, file: &File) {
    output::err(&file.render_build(build, output::colour_on_stderr()));
}

fn say(text: &str) {
    output::err(&format!("dev: {text}\n"));
}

fn crates(config: &Config) -> Vec<Crate> {
    let mut crates: Vec<Crate> = Vec::new();
    for hook in &config.hooks {
        if let Some(found) = hook.file().and_then(Crate::of)
            && !crates.contains(&found)
        {
            crates.push(found);
        }
    }
    crates
}

/// The files that hooks and their bindings are read from. The edge itself looks at those of key-value stores and key
/// sets.
fn files(config: &Config) -> BTreeSet<PathBuf> {
    let mut files: BTreeSet<PathBuf> = config.hooks.iter().filter_map(|hook| hook.file().map(Path::to_owned)).collect();
    let behaviors = config.distributions.iter().flat_map(|distribution| &distribution.behaviors);
    let bindings = behaviors.flat_map(|behavior| behavior.hooks.iter().flatten());
    for binding in bindings {
        let granted = binding.secrets.iter().flatten();
        for (_, source) in binding.settings_secrets.iter().chain(granted) {
            if let SecretSource::File(path) = source {
                files.insert(path.clone());
            }
        }
    }
    let stores = config.key_value_stores.iter().filter_map(|store| match &store.source {
        KeyValueSource::File(path) => Some(path),
        _ => None,
    });
    let sets = config.jwks.iter().filter_map(|set| match &set.source {
        JwksSource::File(path) => Some(path),
        JwksSource::Origin(_) => None,
    });
    files.extend(sets.cloned());
    // One that could not be read may be what keeps the edge from starting.
    files.extend(stores.cloned());
    files
}
