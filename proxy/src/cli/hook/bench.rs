//! `edgeweir hook bench`: calls of a hook one after the other on one thread, each in a fresh instance as in an edge. The
//! time of reading the case and of applying edits is not in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use edgeweir_hookhost::{AuthorizerVerdict, HookFault, RequestVerdict};
use rustix::time::{ClockId, clock_gettime};

use super::aws::Event;
use super::case::{Case, DEFAULT_LIMITS};
use super::expect::kib;
use super::host::{Host, Randomness, name_of, read_wasm};
use super::run::{Input, Verdict, call};
use super::{NOT_GOOD, build, files};
use crate::cli::{output, small_runtime};

mod histogram;

use histogram::Histogram;

/// What runs before anything is measured.
const WARM_UP: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The WASM file, or the folder of a hook's crate, which is built first
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    path: PathBuf,
    /// What is called [default: the first case of DIR, else a plain GET at the hook's first stage]
    #[arg(long, value_name = "FILE")]
    case: Option<PathBuf>,
    /// How long to measure; 1 to 60
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Profile of cargo, for DIR
    #[arg(long, default_value = "release")]
    profile: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
struct Measured {
    calls: u64,
    elapsed: Duration,
    cpu: Duration,
    times: Histogram,
    /// Bytes.
    memory: usize,
    /// How the calls ended: `next`, `respond` or a fault's label.
    verdict: &'static str,
    faults: u64,
    /// The first fault's message.
    why: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let case = match &args.case {
        Some(case) => Some(case.clone()),
        None if args.path.is_dir() => {
            files::cases(&args.path.join("cases")).ok().and_then(|all| all.into_iter().next())
        }
        None => None,
    };
    let path = build::artefact(&args.path, &args.profile)?;
    let wasm = read_wasm(&path)?;
    let host = Host::new(Randomness::System)?;
    let first = host.load(&name_of(&path), &wasm, DEFAULT_LIMITS).with_context(|| format!("`{}`", path.display()))?;
    let input = match &case {
        Some(case) => read(case).with_context(|| format!("case `{}`", case.display()))?,
        None => {
            let Some(stage) = first.stages().first() else { bail!("the hook has no stage") };
            let response = if stage.has_response() { "[response]\nstatus = 200\n" } else { "" };
            let text = format!("stage = \"{stage}\"\n{response}[expect]\nverdict = \"next\"\n");
            Case::load(Path::new("a plain GET"), &text)?.1
        }
    };
    let hook = host.load(&name_of(&path), &wasm, input.limits)?;
    let stage = input.stage;
    let runtime = small_runtime()?;
    let measured = runtime.block_on(async {
        let input = measure(&host, &hook, input, WARM_UP).await.0;
        measure(&host, &hook, input, Duration::from_secs(args.seconds)).await.1
    });
    let case = case.map_or_else(|| "a plain GET".to_owned(), |case| case.display().to_string());
    output::out(&if args.json { json(&measured, &path, &case) } else { text(&measured, &path, stage.as_str(), &case) });
    Ok(if measured.faults == 0 { ExitCode::SUCCESS } else { NOT_GOOD })
}

/// The call that a case or an event describes.
fn read(case: &Path) -> anyhow::Result<Input> {
    let text = fs::read_to_string(case).context("cannot be read")?;
    if case.extension().is_some_and(|extension| extension == "json") {
        Event::read(&text)?.input()
    } else {
        Ok(Case::load(case, &text)?.1)
    }
}

async fn measure(
    host: &Host,
    hook: &std::sync::Arc<edgeweir_hookhost::Hook>,
    input: Input,
    time: Duration,
) -> (Input, Measured) {
    let mut measured = Measured {
        calls: 0,
        elapsed: Duration::ZERO,
        cpu: Duration::ZERO,
        times: Histogram::new(),
        memory: 0,
        verdict: "next",
        faults: 0,
        why: None,
    };
    let stage = input.stage;
    host.prepare(input.now);
    // The request moves into the call and back, as in an edge.
    let mut lent = input.clone().call();
    let cpu = process_cpu();
    let start = Instant::now();
    while measured.elapsed < time {
        let begin = Instant::now();
        let (back, verdict, report) = call(hook, stage, lent).await;
        measured.times.add(begin.elapsed());
        lent = back;
        measured.calls += 1;
        measured.memory = measured.memory.max(report.memory);
        if let Err(fault) = &verdict {
            measured.faults += 1;
            measured.why.get_or_insert_with(|| fault.to_string());
        }
        measured.verdict = name(&verdict);
        measured.elapsed = start.elapsed();
    }
    measured.cpu = process_cpu().saturating_sub(cpu);
    (input, measured)
}

fn name(verdict: &Result<Verdict, HookFault>) -> &'static str {
    match verdict {
        Ok(Verdict::Request(RequestVerdict::Respond(_))) => "respond",
        Ok(Verdict::Authorizer(verdict)) => match verdict {
            AuthorizerVerdict::Allow(_) => "allow",
            AuthorizerVerdict::Deny(_) => "deny",
            AuthorizerVerdict::Unauthorized(_) => "unauthorized",
        },
        Ok(_) => "next",
        Err(fault) => fault.label(),
    }
}

/// Processor time of all threads: a call that takes long goes on in others, and nothing else is at work.
fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

impl Measured {
    fn per_second(&self) -> u64 {
        let millis = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        self.calls.saturating_mul(1000) / millis
    }

    /// Processor time of a call, in nanoseconds.
    fn cpu_nanos(&self) -> u64 {
        u64::try_from(self.cpu.as_nanos()).unwrap_or(u64::MAX).checked_div(self.calls).unwrap_or_default()
    }

    fn memory(&self) -> u64 {
        u64::try_from(self.memory).unwrap_or(u64::MAX)
    }
}

fn text(measured: &Measured, path: &Path, stage: &str, case: &str) -> String {
    let cpu = micros(measured.cpu_nanos());
    let mut text = format!(
        "hook      {}\ncall      {case} at {stage}: {}\ncalls     {} a second on one thread\ntime      p50 {}, p99 {}\ncpu       {cpu} a call\nmemory    {} at most\n",
        path.display(),
        measured.verdict,
        measured.per_second(),
        micros(measured.times.quantile(0.5)),
        micros(measured.times.quantile(0.99)),
        kib(measured.memory()),
    );
    if measured.faults > 0 {
        let why = measured.why.as_deref().unwrap_or_default();
        text.push_str(&format!("warning   {} of {} calls ended in a fault: {why}\n", measured.faults, measured.calls));
    }
    if cfg!(debug_assertions) {
        text.push_str("note      this edgeweir is a debug build: calls are slower than in one from `make release`\n");
    }
    text
}

fn json(measured: &Measured, path: &Path, case: &str) -> String {
    let report = serde_json::json!({
        "hook": path.display().to_string(),
        "case": case,
        "verdict": measured.verdict,
        "calls": measured.calls,
        "faults": measured.faults,
        "first_fault": measured.why,
        "calls_per_second": measured.per_second(),
        "p50_ns": measured.times.quantile(0.5),
        "p99_ns": measured.times.quantile(0.99),
        "cpu_ns": measured.cpu_nanos(),
        "memory": measured.memory(),
        "debug_build": cfg!(debug_assertions),
    });
    format!("{report:#}\n")
}

/// Nanoseconds as microseconds with one decimal.
fn micros(nanos: u64) -> String {
    format!("{}.{} µs", nanos / 1000, nanos % 1000 / 100)
}
