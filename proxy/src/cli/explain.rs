//! `edgeweir explain`: what the edge would do with a request, and why, without a port and without traffic.
//!
//! The request takes the same functions as a real one (`flow`), on a snapshot made as `serve` makes it; what they found is
//! told here. Hooks are compiled and listed, not run: what they would change is not known.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use http::{HeaderName, HeaderValue, Method};

use super::file::File;
use super::{file, output, serve};
use crate::edge;
use crate::geo::Code;
use crate::snapshot::build::BuildError;

mod bindings;
mod fetch;
mod outcome;
mod request;
mod text;
mod walk;

use request::Target;

/// A viewer's address where none is given: one for documentation (RFC 5737), which no database knows.
const NOBODY: &str = "192.0.2.1";

#[derive(Debug, clap::Args)]
#[command(allow_missing_positional = true)]
pub(super) struct Args {
    /// The configuration [default: edgeweir.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The URL that a viewer asks for: `http://` or `https://`, host, path and query
    #[arg(value_name = "URL", value_parser = Target::parse)]
    url: Target,
    /// The configuration, as an option
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// The request's method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET", value_parser = request::method)]
    method: Method,
    /// A header line of the request; may be given again
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = request::header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Where the connection comes from
    #[arg(long, value_name = "ADDRESS", default_value = NOBODY)]
    client: IpAddr,
    /// The viewer's country, in place of what the geo databases say
    #[arg(long, value_name = "XX", value_parser = request::country)]
    country: Option<Code>,
    /// Print the explanation as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = args.file.as_deref().or(args.config.as_deref()).unwrap_or(Path::new(file::DEFAULT));
    let file = File::read(path, "edgeweir explain FILE URL");
    let Some(config) = file.usable() else { return Ok(ExitCode::FAILURE) };
    let options = serve::options(None);
    let snapshot = match edge::snapshot(config, &options) {
        Ok(snapshot) => snapshot,
        Err(problems) => {
            output::err(&file.render_build(&BuildError { problems }, output::colour_on_stderr()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let outcome = walk::explain(args, snapshot, &*options.clock)?;
    if args.json {
        let json = serde_json::to_string_pretty(&outcome).context("cannot write the explanation as JSON")?;
        output::out(&format!("{json}\n"));
    } else {
        output::out(&text::render(&outcome));
    }
    Ok(ExitCode::SUCCESS)
}
