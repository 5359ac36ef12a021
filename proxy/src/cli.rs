//! The command line: one file per verb. Here end all errors that a person must read.
//!
//! Exit codes: 0 it worked; 1 the configuration, hook or case is bad, or the edge refused or failed; 2 the command line is wrong.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::runtime::pages;
use crate::telemetry::events;

mod check;
mod compile;
mod demo;
mod dev;
mod explain;
mod file;
mod hook;
mod import;
mod keys;
mod output;
mod purge;
mod reload;
mod schema;
mod serve;
mod sign;
mod signals;
mod status;

/// What the event log gets to write its last lines.
const LAST_EVENTS: Duration = Duration::from_secs(1);

/// A self-hosted edge: reverse proxy with WASM hooks, cache, geo routing, throttling and API keys.
#[derive(Debug, Parser)]
#[command(name = "edgeweir", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the edge until SIGTERM or Ctrl-C; SIGHUP loads the file again
    Serve(serve::Args),
    /// Run the edge for whoever writes hooks: builds and reloads what is saved, prints each request with its hooks
    Dev(dev::Args),
    /// Check a configuration and everything it names, then print a summary
    Check(check::Args),
    /// Explain what the edge would do with a request, without sending it
    Explain(explain::Args),
    /// Make the running edge load its configuration again, all or nothing
    Reload(reload::Args),
    /// Take objects out of the running edge's cache: by URL, path, host or tag
    Purge(purge::Args),
    /// Make, import, change, rotate and list API keys of the running edge, and see what they use
    #[command(subcommand)]
    Keys(keys::Verb),
    /// Ask the running edge how it is
    Status(status::Args),
    /// Make a signed URL or signed cookies for a behavior with `trusted_key_groups`, or for CloudFront
    Sign(sign::Args),
    /// Make a configuration of CloudFront distributions, or of usage plans and API keys of API Gateway
    #[command(subcommand)]
    Import(import::Verb),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Write, build, test and measure hooks
    #[command(subcommand)]
    Hook(hook::Verb),
    /// Run the demo: an edge, an origin behind it, and requests to try
    Demo(demo::Args),
    /// Compile a hook from standard input to standard output, for an edge that started this process
    #[command(name = edgeweir_hookhost::COMPILER_VERB, hide = true)]
    Compile(compile::Args),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    pages::keep_small();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // `--help` and `--version` are "errors" that go to stdout; a closed pipe is not worth another word.
            let _closed = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match args.verb {
        Verb::Serve(args) => serve::run(&args),
        Verb::Dev(args) => dev::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Reload(args) => reload::run(&args),
        Verb::Purge(args) => purge::run(&args),
        Verb::Keys(verb) => keys::run(&verb),
        Verb::Status(args) => status::run(&args),
        Verb::Sign(args) => sign::run(&args),
        Verb::Import(verb) => import::run(&verb),
        Verb::Schema => schema::run(),
        Verb::Hook(verb) => hook::run(&verb),
        Verb::Demo(args) => demo::run(&args),
        Verb::Compile(args) => compile::run(&args),
    };
    // The last events are written by a thread that would end with the process.
    let _in_time = events::flush(LAST_EVENTS);
    result.unwrap_or_else(|error| {
        output::error(&error);
        ExitCode::FAILURE
    })
}

/// A runtime for one call of a running edge.
fn small_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn verbs() {
        for line in [
            "edgeweir serve",
            "edgeweir serve edge.toml",
            "edgeweir serve -c edge.toml",
            "edgeweir serve --config edge.toml",
            "edgeweir check edge.toml --json",
            "edgeweir explain edge.toml http://a.test/ -X POST -H a:b -H c:d --client ::1 --country CH --json",
            "edgeweir explain http://a.test/",
            "edgeweir explain -c edge.toml http://a.test/",
            "edgeweir reload edge.toml",
            "edgeweir reload --config edge.toml",
            "edgeweir reload --socket state/admin.sock",
            "edgeweir status edge.toml --json",
            "edgeweir purge http://a.test/b* /c #d --tag e --host a.test --soft --dry-run --json -c edge.toml",
            "edgeweir purge --everything --distribution site --socket state/admin.sock",
            "edgeweir keys create acme --plan basic --plan more --expires 90d --metadata a=b -c edge.toml --json",
            "edgeweir keys import keys.csv --fail-on-warnings --socket state/admin.sock",
            "edgeweir keys list --plan basic --name a",
            "edgeweir keys disable abc",
            "edgeweir keys change abc --name x --never-expires --no-plans",
            "edgeweir keys rotate abc --overlap 1h",
            "edgeweir keys usage abc --from 2026-11-01",
            "edgeweir keys export --from 2026-11-01 --to 2026-11-30 --plan basic",
            "edgeweir sign https://a.test/b --key k.pem --key-id K --expires 1h --not-before 2026-01-31 --ip 10.0.0.0/8 --cookies",
            "edgeweir sign https://a.test/b --key k.pem --key-id K --policy p.json --hash sha1 --json",
            "edgeweir import cloudfront a.json b.json -o edge.toml --force",
            "edgeweir import apigateway plans.json keys.json --plan-keys abc=abc.json --plan-keys def=def.json",
            "edgeweir import apigateway --plan-keys abc=abc.json",
            "edgeweir schema",
            "edgeweir demo",
            "edgeweir dev",
            "edgeweir dev edge.toml",
            "edgeweir __compile --cpu 1 --memory 1000000 --parent 1",
            "edgeweir hook new hello --stage viewer-response --sdk sdk",
            "edgeweir hook build",
            "edgeweir hook inspect hello.wasm --json",
            "edgeweir hook test hello.wasm --cases cases/*.toml",
            "edgeweir hook bench --case cases/a.toml --seconds 1",
            "edgeweir hook deploy hello.wasm --as hello --cases cases -c edge.toml",
            "edgeweir hook versions hello",
            "edgeweir hook rollback hello 3f2a --config edge.toml",
        ] {
            Args::try_parse_from(line.split(' ')).unwrap();
        }
        for line in [
            "edgeweir",
            "edgeweir serve a b",
            "edgeweir serve a -c b",
            "edgeweir reload -c a --socket b",
            "edgeweir status a --socket b",
            "edgeweir purge /a -c a --socket b",
            "edgeweir explain edge.toml",
            "edgeweir explain",
            "edgeweir explain edge.toml http://a.test -c edge.toml",
            "edgeweir explain edge.toml a.test",
            "edgeweir explain edge.toml http://a.test -H a",
            "edgeweir explain edge.toml http://a.test --client a.test",
            "edgeweir explain edge.toml http://a.test --country CHE",
            "edgeweir srve",
            "edgeweir keys",
            "edgeweir keys create",
            "edgeweir keys create a --expires soon",
            "edgeweir keys rotate abc --overlap 1",
            "edgeweir import",
            "edgeweir import cloudfront",
            "edgeweir import cloudfront a.json --force",
            "edgeweir import apigateway a.json --plan-keys abc",
            "edgeweir hook",
            "edgeweir hook new hello --stage request",
            "edgeweir hook new hello --sdk a --sdk-git b",
            "edgeweir hook bench --seconds 0",
            "edgeweir hook deploy hello.wasm",
            "edgeweir hook versions",
        ] {
            let error = Args::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
