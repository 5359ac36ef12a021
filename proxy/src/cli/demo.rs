//! `edgeweir demo`: an edge with the shipped hooks, an origin made for it, and requests to try.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use edgeweir_config::{Config, HookSource};

use super::file::File;
use super::signals::Signals;
use super::{output, serve};
use crate::edge::{Edge, Options};

mod origin;
mod requests;
mod token;

/// The configuration of the demo within the project.
const CONFIG: &str = "config/examples/demo.toml";
const USAGE: &str = "edgeweir demo --config FILE";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Another configuration for the demo [default: config/examples/demo.toml of the project]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = args.config.clone().unwrap_or_else(default_config);
    let Some(config) = File::read(&path, USAGE).usable() else { return Ok(ExitCode::FAILURE) };
    hooks_are_built(&config)?;
    ports_are_free(&config)?;
    let runtime = serve::runtime(config.server.threads)?;
    runtime.block_on(demo(config, serve::options(Some(&path))))
}

/// In the folder one is in, else where the project was built.
fn default_config() -> PathBuf {
    let here = PathBuf::from(CONFIG);
    if here.exists() { here } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CONFIG) }
}

fn hooks_are_built(config: &Config) -> anyhow::Result<()> {
    for hook in &config.hooks {
        if let HookSource::File(file) = &hook.source
            && !file.exists()
        {
            bail!("the hook `{}` is not built, run `make hooks` (there is no `{}`)", hook.name, file.display());
        }
    }
    Ok(())
}

/// An edge shares its port with the one it takes over from, so a second demo would start and get half of the requests.
fn ports_are_free(config: &Config) -> anyhow::Result<()> {
    let admin = config.admin.as_ref().map(|admin| admin.address);
    for address in config.listeners.iter().map(|listener| listener.address).chain(admin) {
        TcpListener::bind(address).with_context(|| in_use(address))?;
    }
    Ok(())
}

fn in_use(address: SocketAddr) -> String {
    format!("the demo needs {address}: stop what listens there, or change the address in `{CONFIG}`")
}

async fn demo(config: Config, options: Options) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let origin = origin_address(&config)?;
    let listener = tokio::net::TcpListener::bind(origin).await.with_context(|| in_use(origin))?;
    // Ends with the runtime, after the edge.
    tokio::spawn(origin::serve(listener));
    let schemes = serve::schemes(&config);
    let token = token::mint(options.clock.wall());
    let edge = tokio::select! {
        started = Edge::start(config, options) => started?,
        () = signals.stop() => return Ok(ExitCode::SUCCESS),
    };
    let (Some(scheme), Some(address)) = (schemes.first(), edge.addresses().first().copied()) else {
        bail!("the demo's configuration has no listener");
    };
    let place = requests::Place { edge: format!("{scheme}://{address}"), origin, admin: edge.admin_address() };
    output::out(&requests::page(&place, &token));
    Ok(serve::until_stopped(edge, &mut signals).await)
}

/// Where the demo's origin has to listen.
fn origin_address(config: &Config) -> anyhow::Result<SocketAddr> {
    let origin = config.origins.first().context("the demo's configuration has no origin")?;
    let address: IpAddr = origin.host.parse().context("the demo's origin must be an IP address")?;
    Ok(SocketAddr::new(address, origin.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_what_its_configuration_says() {
        let file = File::read(&default_config(), USAGE);
        let config = file.result.unwrap().config;
        assert_eq!(origin_address(&config).unwrap().to_string(), "127.0.0.1:8081");
        assert!(file.source.contains(&format!("\"{}\"", token::SECRET)));
        assert!(file.source.contains(&format!("\"{}\"", requests::KEY)));
        for behavior in ["/cached/*", "/private/*", "/geo/*", "/rewrite/*", "/api/*"] {
            assert!(
                config.distributions[0].behaviors.iter().any(|found| found.path.as_str() == behavior),
                "{behavior}"
            );
        }
    }

    #[test]
    fn a_port_in_use_is_told_with_what_to_do() {
        let mut config = File::read(&default_config(), USAGE).result.unwrap().config;
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        config.listeners[0].address = taken.local_addr().unwrap();
        let error = ports_are_free(&config).unwrap_err().to_string();
        assert!(
            error.contains(&taken.local_addr().unwrap().to_string()) && error.contains("stop what listens there"),
            "{error}"
        );
    }

    #[test]
    fn hooks_that_are_not_built_are_told_with_what_to_do() {
        let mut config = File::read(&default_config(), USAGE).result.unwrap().config;
        config.hooks[0].source = HookSource::File("no/such.wasm".into());
        let error = hooks_are_built(&config).unwrap_err().to_string();
        assert!(error.contains("make hooks") && error.contains("no/such.wasm"), "{error}");
    }
}
