//! `edgeweir hook test`: runs cases and shows what is not as expected.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use edgeweir_hookhost::{CheckFault, Hook, HookLimits, Stage};
use serde_json::{Value, json};

use super::aws::Event;
use super::case::{Case, DEFAULT_LIMITS, EDGE_TIMEOUT, NoCase};
use super::expect::{Difference, compare, kib, over_budget};
use super::host::{Host, Randomness, name_of, read_wasm};
use super::run::{self, Decision, Input, Outcome};
use super::{NOT_GOOD, build, files};
use crate::cli::output::{self, plain};
use crate::cli::small_runtime;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The WASM file, or the folder of a hook's crate, which is built first
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    path: PathBuf,
    /// Cases: a file, a folder, or a pattern with `*` in its last part [default: cases in DIR or the current folder]
    #[arg(long, value_name = "GLOB")]
    cases: Option<PathBuf>,
    /// Profile of cargo, for DIR
    #[arg(long, default_value = "release")]
    profile: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of one case.
struct Run {
    file: PathBuf,
    stage: Stage,
    verdict: &'static str,
    differences: Vec<Difference>,
    log: Vec<String>,
    time: Duration,
    memory: usize,
    /// Of an event: the result in the event's own shape.
    result: Option<Value>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Before the build, so that a wrong pattern does not cost one.
    build::there(&args.path)?;
    let folder = if args.path.is_dir() { args.path.join("cases") } else { PathBuf::from("cases") };
    let cases = files::cases(args.cases.as_deref().unwrap_or(&folder))?;
    let wasm_path = build::artefact(&args.path, &args.profile)?;
    let wasm = read_wasm(&wasm_path)?;
    let host = Host::new(Randomness::Counted)?;
    let tester = Tester { host, name: name_of(&wasm_path), wasm };
    // Keeps the compiled code for cases with other limits.
    let _first = tester.load(DEFAULT_LIMITS).with_context(|| format!("`{}`", wasm_path.display()))?;
    let runtime = small_runtime()?;
    let mut runs = Vec::new();
    let mut unread = Vec::new();
    for case in &cases {
        match runtime.block_on(tester.run(case)).with_context(|| format!("case `{}`", case.display())) {
            Ok(run) => {
                if !args.json {
                    output::out(&text(&run));
                }
                runs.push(run);
            }
            Err(error) => {
                match error.downcast_ref::<NoCase>() {
                    Some(report) => output::err(&report.to_string()),
                    None => output::error(&error),
                }
                unread.push((case, output::chain(&error)));
            }
        }
    }
    let failed = runs.iter().filter(|run| !run.differences.is_empty()).count() + unread.len();
    let passed = cases.len() - failed;
    if args.json {
        let mut cases: Vec<_> = runs.iter().map(json).collect();
        cases.extend(
            unread
                .iter()
                .map(|(case, why)| json!({ "case": case.display().to_string(), "passed": false, "error": why })),
        );
        let report = json!({
            "hook": wasm_path.display().to_string(),
            "size": tester.wasm.len(),
            "passed": passed,
            "failed": failed,
            "cases": cases,
        });
        output::out(&format!("{report:#}\n"));
    } else {
        let size = kib(u64::try_from(tester.wasm.len()).unwrap_or(u64::MAX));
        output::out(&format!("{passed} passed, {failed} failed: {} ({size})\n", wasm_path.display()));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { NOT_GOOD })
}

/// Runs the cases of a pattern on a built hook.
pub(super) fn run_cases(wasm: &Path, cases: &Path) -> anyhow::Result<ExitCode> {
    let (path, cases) = (wasm.to_owned(), Some(cases.to_owned()));
    run(&Args { path, cases, profile: String::new(), json: false })
}

struct Tester {
    host: Host,
    name: String,
    wasm: Vec<u8>,
}

impl Tester {
    fn load(&self, limits: HookLimits) -> anyhow::Result<Arc<Hook>> {
        self.host.load(&self.name, &self.wasm, limits)
    }

    async fn run(&self, file: &Path) -> anyhow::Result<Run> {
        let text = fs::read_to_string(file).context("cannot be read")?;
        if file.extension().is_some_and(|extension| extension == "json") {
            return self.event(file, &text).await;
        }
        let (case, input, stored) = Case::load(file, &text)?;
        let hook = self.load(input.limits)?;
        if let Some(run) = checked(file, &case, &input, &hook) {
            return Ok(run);
        }
        let outcome = run::run(&self.host, &hook, input).await;
        let mut differences = compare(&case.expect, &outcome);
        let leaks = stored.leaks(case.stage, &outcome);
        if !leaks.is_empty() {
            differences.push(Difference {
                what: "key leak".into(),
                expected: "what changes a stored answer is in its cache key or in Vary".into(),
                actual: format!(
                    "{} is in neither: add it with `edits.cache_key(…)` or to the policy, or say in the case how answers are \
                     stored, as in `[cache]` and `policy = \"CachingDisabled\"`",
                    leaks.join(", ")
                ),
            });
        }
        differences.extend(over_budget(&case.budget, self.wasm.len(), outcome.report.memory));
        Ok(Run::of(file, case.stage, outcome, differences, None))
    }

    async fn event(&self, file: &Path, text: &str) -> anyhow::Result<Run> {
        let event = Event::read(text)?;
        let hook = self.load(DEFAULT_LIMITS)?;
        let outcome = run::run(&self.host, &hook, event.input()?).await;
        let result = event.result(&outcome)?;
        let mut differences = Vec::new();
        if let Decision::Fault { label, message } = &outcome.decision {
            let actual = format!("fault {label}: {message}");
            differences.push(Difference { what: "verdict".into(), expected: "a result".into(), actual });
        } else if let Some(expected) = expected(file)?
            && expected != result
        {
            let (expected, actual) = (format!("{expected:#}"), format!("{result:#}"));
            differences.push(Difference { what: "result".into(), expected, actual });
        }
        Ok(Run::of(file, event.stage(), outcome, differences, Some(result)))
    }
}

/// Has the hook check the settings as a start or reload would; none if the case goes on to its call.
fn checked(file: &Path, case: &Case, input: &Input, hook: &Arc<Hook>) -> Option<Run> {
    let (facts, grants) = (&input.facts, Arc::clone(&input.grants));
    let refusals: Vec<String> =
        match hook.check_settings(&facts.distribution, &facts.behavior, case.stage, &input.settings, Some(grants)) {
            Ok(()) => Vec::new(),
            Err(CheckFault::Refused(problems)) => problems
                .iter()
                .map(|problem| match &*problem.path {
                    "" => problem.message.to_string(),
                    path => format!("{path}: {}", problem.message),
                })
                .collect(),
            Err(fault) => vec![output::chain(&fault.into())],
        };
    let expected = case.expect.verdict.as_deref();
    let wanted = expected == Some("refused");
    if refusals.is_empty() && !wanted {
        return None;
    }
    let said = refusals.join("; ");
    let difference = |what: &str, expected: &str, actual: String| {
        vec![Difference { what: what.into(), expected: expected.into(), actual }]
    };
    let differences = match &case.expect.message {
        _ if refusals.is_empty() => difference("verdict", "refused", "the hook takes its settings".into()),
        _ if !wanted => {
            let expected = expected.map_or_else(|| "fault".to_owned(), str::to_owned);
            difference("settings", &expected, format!("refused: {said}"))
        }
        Some(part) if !said.contains(part.as_str()) => difference("message", &format!("…{part}…"), said),
        _ => Vec::new(),
    };
    Some(Run {
        file: file.to_owned(),
        stage: case.stage,
        verdict: if refusals.is_empty() { "next" } else { "refused" },
        differences,
        log: Vec::new(),
        time: Duration::ZERO,
        memory: 0,
        result: None,
    })
}

/// What should come of an event, if that is said.
fn expected(event: &Path) -> anyhow::Result<Option<Value>> {
    let path = files::expected_of(event);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| format!("`{}` is no JSON", path.display()))?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

impl Run {
    fn of(file: &Path, stage: Stage, outcome: Outcome, differences: Vec<Difference>, result: Option<Value>) -> Self {
        Self {
            file: file.to_owned(),
            stage,
            verdict: outcome.decision.name(),
            differences,
            log: outcome.log,
            time: outcome.report.duration,
            memory: outcome.report.memory,
            result,
        }
    }

    fn memory(&self) -> u64 {
        u64::try_from(self.memory).unwrap_or(u64::MAX)
    }
}

/// A case for people: one line, and what differs below it.
fn text(run: &Run) -> String {
    let word = if run.differences.is_empty() { "pass" } else { "FAIL" };
    // Settings that are refused are never called with.
    let cost = match run.verdict {
        "refused" => "settings refused".to_owned(),
        _ => format!("{} µs, {}", run.time.as_micros(), kib(run.memory())),
    };
    let mut text = format!("{word}  {} ({}, {cost})\n", run.file.display(), run.stage);
    // Writing to a string cannot fail.
    if run.time > EDGE_TIMEOUT {
        let limit = EDGE_TIMEOUT.as_millis();
        let _infallible = writeln!(
            text,
            "      an edge ends calls after {limit} ms, unless the hook has another `timeout` in its configuration"
        );
    }
    for difference in &run.differences {
        let _infallible = writeln!(text, "      {}", difference.what);
        if looks_alike(&difference.expected, &difference.actual) {
            let _infallible = writeln!(
                text,
                "        - expected  \"{}\"\n        + actual    \"{}\"",
                difference.expected.escape_debug(),
                difference.actual.escape_debug()
            );
        } else if difference.expected.contains('\n') || difference.actual.contains('\n') {
            text.push_str(&by_line(&difference.expected, &difference.actual));
        } else {
            let (expected, actual) = (plain(&difference.expected), plain(&difference.actual));
            let _infallible = writeln!(text, "        - expected  {expected}\n        + actual    {actual}");
        }
    }
    if !run.differences.is_empty() {
        for line in &run.log {
            let line = line.lines().map(plain).collect::<Vec<_>>().join("\n             ");
            let _infallible = writeln!(text, "      logged {line}");
        }
    } else if let Some(result) = &run.result {
        let _infallible = writeln!(text, "{result:#}");
    }
    text
}

/// Whether two texts that differ would look the same on a screen: they differ in line ends, in spaces at the end of a
/// line, or in characters that cannot be seen.
fn looks_alike(expected: &str, actual: &str) -> bool {
    let seen = |text: &str| -> String {
        let shown =
            |c: &char| !c.is_control() && (*c == ' ' || !c.is_whitespace()) && !c.escape_debug().eq(c.escape_unicode());
        let lines = text.lines().map(|line| line.chars().filter(shown).collect::<String>().trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    };
    expected != actual && seen(expected).trim_end() == seen(actual).trim_end()
}

/// Two texts line by line: what both begin and end with is context, the rest is expected and actual.
fn by_line(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let room = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(old, new)| old == new).count();
    let mut text = String::new();
    let mut lines = |sign: &str, lines: &[&str]| {
        for line in lines {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "        {sign} {}", plain(line));
        }
    };
    lines(" ", old.get(..before).unwrap_or_default());
    lines("-", old.get(before..old.len() - after).unwrap_or_default());
    lines("+", new.get(before..new.len() - after).unwrap_or_default());
    lines(" ", old.get(old.len() - after..).unwrap_or_default());
    text
}

fn json(run: &Run) -> Value {
    json!({
        "case": run.file.display().to_string(),
        "stage": run.stage.as_str(),
        "verdict": run.verdict,
        "passed": run.differences.is_empty(),
        "differences": run.differences,
        "log": run.log,
        "micros": u64::try_from(run.time.as_micros()).unwrap_or(u64::MAX),
        "memory": run.memory,
        "result": run.result,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        for (one, other) in [("a\n", "a"), ("a\r\nb", "a\nb"), ("a ", "a"), ("a\u{200b}", "a"), ("a\tb", "ab")] {
            assert!(looks_alike(one, other), "{one:?} {other:?}");
        }
        for (one, other) in [("a", "b"), ("a b", "ab"), ("a\nb", "ab"), ("a", "a"), ("é", "e")] {
            assert!(!looks_alike(one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn texts_are_compared_by_line() {
        let shown = by_line("{\n  \"a\": 1,\n  \"b\": 2\n}", "{\n  \"a\": 3,\n  \"b\": 2\n}");
        let plain: Vec<_> = shown.lines().map(str::trim_start).collect();
        assert_eq!(plain, ["{", "-   \"a\": 1,", "+   \"a\": 3,", "\"b\": 2", "}"]);
        assert_eq!(by_line("a\na", "a").lines().count(), 2);
    }
}
