//! `edgeweir hook`: the workshop. New hooks, their builds, tests and measurements, without a running edge; and `deploy`,
//! which gives a hook to one.
//!
//! Hooks run here in the host that production uses, with its header rules and limits, and their edits are applied by
//! `flow::hooks`. What differs is said in `host`: time, randomness and the log come from the case.

use std::process::ExitCode;

use clap::Subcommand;

use super::output;

mod aws;
mod bench;
mod build;
pub(super) mod cargo;
mod case;
mod deploy;
mod expect;
mod files;
mod host;
mod inspect;
mod name;
mod new;
mod run;
mod test;

/// Exit code 1 where a hook or a case is not good.
const NOT_GOOD: ExitCode = ExitCode::FAILURE;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a new hook: a crate with an example, a test case and the build flags that hooks need
    New(new::Args),
    /// Build a hook's crate to WASM and tell its size, stages and imports
    Build(build::Args),
    /// Tell what a WASM file is, and whether this edge would take it
    Inspect(inspect::Args),
    /// Run a hook's cases and show what differs from the expected
    Test(test::Args),
    /// Measure the calls of a hook
    Bench(bench::Args),
    /// Put a version of a hook in force on the running edge
    Deploy(deploy::DeployArgs),
    /// List the versions of a deployed hook, the newest first; `*` is in force
    Versions(deploy::VersionsArgs),
    /// Put an earlier version of a deployed hook in force again
    Rollback(deploy::RollbackArgs),
}

pub(super) fn run(verb: &Verb) -> anyhow::Result<ExitCode> {
    let done = match verb {
        Verb::New(args) => new::run(args),
        Verb::Build(args) => build::run(args),
        Verb::Inspect(args) => inspect::run(args),
        Verb::Test(args) => test::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::Deploy(args) => deploy::deploy(args),
        Verb::Versions(args) => deploy::versions(args),
        Verb::Rollback(args) => deploy::rollback(args),
    };
    match done {
        // A report of its own.
        Err(error) if error.is::<case::NoCase>() => {
            output::err(&error.to_string());
            Ok(NOT_GOOD)
        }
        done => done,
    }
}
