//! `edgeweir __compile`: what an edge runs to compile a hook. It gives itself the lowest priority and its limits, and ends
//! with the edge.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal};

/// The running program itself, also when its file has been replaced or removed meanwhile (proc(5)).
pub(super) const PROGRAM: &str = "/proc/self/exe";
/// The lowest priority (setpriority(2)).
const NICE: i32 = 19;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Processor time in seconds
    #[arg(long)]
    cpu: u64,
    /// Address space in bytes
    #[arg(long)]
    memory: u64,
    /// The process that wants the answer
    #[arg(long)]
    parent: i32,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    confine(args)?;
    edgeweir_hookhost::serve_compiler(std::io::stdin().lock(), std::io::stdout().lock())
        .map_err(|error| anyhow!("{error}"))?;
    Ok(ExitCode::SUCCESS)
}

fn confine(args: &Args) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).context("cannot be tied to its edge")?;
    // It may have ended before the line above.
    if rustix::process::getppid() != Pid::from_raw(args.parent) {
        bail!("the edge that wanted this has ended");
    }
    rustix::process::setpriority_process(None, NICE).context("cannot lower the priority")?;
    let limits = [
        (Resource::As, args.memory, args.memory),
        // The soft limit's signal tells why; the hard limit is for a process that ignores it.
        (Resource::Cpu, args.cpu, args.cpu.saturating_add(1)),
        // No file is written, no core is dumped.
        (Resource::Fsize, 0, 0),
        (Resource::Core, 0, 0),
    ];
    for (resource, soft, hard) in limits {
        // Never over what the edge itself has.
        let given = rustix::process::getrlimit(resource);
        let hard = given.maximum.map_or(hard, |most| most.min(hard));
        let limit = Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) };
        rustix::process::setrlimit(resource, limit).with_context(|| format!("cannot set the limit {resource:?}"))?;
    }
    Ok(())
}
