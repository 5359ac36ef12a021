//! What is given to the edge as a hook: test guests and the components made of them, mutated with knowledge of WASM's
//! sections, numbers and opcodes. All go through inspection and validation; of those that are valid some are compiled,
//! loaded and called.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use wasmparser::{Parser, Payload, Validator};

use super::{call, seed, step};
use crate::engine::config;
use crate::{Counters, EngineLimits, HookEngine, HookLimits, HostServices, LoadError, LogLevel};

/// Small guests of different shapes.
const GUESTS: [&str; 7] = ["no_op", "respond", "bad_header", "wrong_type", "all_stages", "needs_wasi", "log_flood"];

struct Silent;

impl HostServices for Silent {
    fn now_ms(&self) -> u64 {
        0
    }
    fn random(&self, out: &mut [u8]) {
        out.fill(0);
    }
    fn log(&self, _: &str, _: &str, _: LogLevel, _: &str) {}
    fn counters(&self, _: &str) -> Arc<dyn Counters> {
        Arc::new(Self)
    }
}

impl Counters for Silent {
    fn add(&self, _: &str, _: u64) {}
}

/// A module or component, and where its outermost sections are.
struct Seed {
    bytes: Vec<u8>,
    /// Id, then the whole section and its content.
    sections: Vec<(u8, Range<usize>, Range<usize>)>,
    /// The bodies of functions.
    bodies: Vec<Range<usize>>,
}

impl Seed {
    fn new(bytes: Vec<u8>) -> Self {
        let (mut sections, mut bodies, mut end, mut depth) = (Vec::new(), Vec::new(), 8, 0);
        for payload in Parser::new(0).parse_all(&bytes) {
            let payload = payload.expect("guests are valid");
            if let Payload::CodeSectionEntry(body) = &payload {
                bodies.push(body.range());
            }
            if let (0, Some((id, content))) = (depth, payload.as_section()) {
                sections.push((id, end..content.end, content.clone()));
                end = content.end;
            }
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) if depth > 0 => depth -= 1,
                _ => {}
            }
        }
        Self { bytes, sections, bodies }
    }

    /// A valid number in LEB128 for a length.
    fn length(length: usize) -> Vec<u8> {
        let mut left = length;
        let mut out = Vec::new();
        loop {
            let byte = u8::try_from(left & 0x7f).expect("seven bits");
            left >>= 7;
            if left == 0 {
                out.push(byte);
                return out;
            }
            out.push(byte | 0x80);
        }
    }

    /// The seed with mutations.
    fn mutated(&self, rng: &mut Rng, others: &[Self]) -> Vec<u8> {
        let mut out = self.bytes.clone();
        match rng.u8(..10) {
            // Sections left out, doubled, exchanged, or taken from another seed.
            0 => out = self.rearranged(rng, others),
            // A section whose content is cut or longer, with the right length.
            1 => {
                if let Some((id, whole, content)) = rng.choice(&self.sections) {
                    let mut inner = self.bytes[content.clone()].to_vec();
                    let at = rng.usize(..=inner.len());
                    if rng.bool() {
                        inner.truncate(at);
                    } else {
                        inner.splice(at..at, (0..rng.usize(1..9)).map(|_| rng.u8(..))).for_each(drop);
                    }
                    let mut section = vec![*id];
                    section.extend(Self::length(inner.len()));
                    section.extend(inner);
                    out.splice(whole.clone(), section).for_each(drop);
                }
            }
            // The end is missing.
            2 => out.truncate(rng.usize(..out.len())),
            // Numbers and names of one section: types, imports, exports, the description of the world.
            3..=4 => {
                if let Some((_, _, content)) = rng.choice(&self.sections) {
                    for _ in 0..rng.usize(1..4) {
                        if !content.is_empty() {
                            let at = rng.usize(content.clone());
                            out[at] = match rng.u8(..4) {
                                0 => rng.u8(..),
                                1 => out[at].wrapping_add(1),
                                2 => out[at] ^ (1 << rng.u8(..8)),
                                _ => *rng.choice(&[0, 1, 0x7f, 0x80, 0xff]).unwrap_or(&0),
                            };
                        }
                    }
                }
            }
            // Code: opcodes for others of the same type, so that the module often stays valid.
            _ => self.recoded(rng, &mut out),
        }
        out
    }

    fn rearranged(&self, rng: &mut Rng, others: &[Self]) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = self.sections.iter().map(|(_, whole, _)| &self.bytes[whole.clone()]).collect();
        let at = rng.usize(..parts.len());
        match rng.u8(..4) {
            0 => drop(parts.remove(at)),
            1 => parts.insert(at, parts[at]),
            2 => {
                let other = rng.usize(..parts.len());
                parts.swap(at, other);
            }
            _ => {
                let (id, _, _) = &self.sections[at];
                let other = rng.choice(others).unwrap_or(self);
                if let Some((_, whole, _)) = other.sections.iter().find(|(other, _, _)| other == id) {
                    parts[at] = &other.bytes[whole.clone()];
                }
            }
        }
        let mut out = self.bytes[..8].to_vec();
        parts.into_iter().for_each(|part| out.extend_from_slice(part));
        out
    }

    /// Some bytes of function bodies that look like opcodes become others that take and give the same types.
    fn recoded(&self, rng: &mut Rng, out: &mut [u8]) {
        const KIN: [Range<u8>; 6] = [0x46..0x50, 0x6a..0x79, 0x7c..0x8b, 0x51..0x5b, 0x2c..0x30, 0x3a..0x3c];
        for _ in 0..rng.usize(1..6) {
            let Some(body) = rng.choice(&self.bodies) else { return };
            let from = rng.usize(body.clone());
            let found =
                (from..body.end).find_map(|at| KIN.iter().find(|kin| kin.contains(&out[at])).map(|kin| (at, kin)));
            match found {
                Some((at, kin)) => out[at] = rng.u8(kin.clone()),
                None => out[from] ^= 1 << rng.u8(..8),
            }
        }
    }
}

fn seeds(engine: &wasmtime::Engine) -> Vec<Seed> {
    let exe = std::env::current_exe().expect("a test has a path");
    let target = exe.ancestors().nth(3).expect("it runs from its target directory");
    let mut seeds = Vec::new();
    for guest in GUESTS {
        let path = target.join(format!("wasm32-unknown-unknown/hook/examples/{guest}.wasm"));
        let module =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make guests`", path.display()));
        // One of them imports what only a component may.
        seeds.extend(crate::load::to_component(engine, &module).ok().map(Seed::new));
        seeds.push(Seed::new(module));
    }
    seeds
}

/// Whether the bytes are valid, as far as that shows without compiling them.
fn valid(engine: &wasmtime::Engine, bytes: &[u8]) -> bool {
    match bytes.get(6) {
        Some(0) => crate::load::to_component(engine, bytes).is_ok(),
        _ => Validator::new().validate_all(bytes).is_ok(),
    }
}

/// A verdict in words, or a fault's label.
async fn run_stage(hook: &Arc<crate::Hook>, stage: crate::Stage) -> Result<String, &'static str> {
    fn told<V: std::fmt::Debug>(verdict: Result<V, crate::HookFault>) -> Result<String, &'static str> {
        verdict.map(|verdict| format!("{verdict:?}")).map_err(|fault| fault.label())
    }
    match stage {
        crate::Stage::ViewerRequest => told(hook.viewer_request(call()).await.verdict),
        crate::Stage::OriginRequest => told(hook.origin_request(call()).await.verdict),
        crate::Stage::OriginResponse => told(hook.origin_response(call()).await.verdict),
        crate::Stage::ViewerResponse => told(hook.viewer_response(call()).await.verdict),
        crate::Stage::Authorizer => told(hook.authorizer(call()).await.verdict),
    }
}

fn run(count: u64, compiled_most: u64) {
    let limits = EngineLimits { slots: 4, ..EngineLimits::default() };
    let engine = HookEngine::new(limits, None, Arc::new(Silent)).expect("an engine");
    let checker = wasmtime::Engine::new(&config::compiler()).expect("an engine");
    let seeds = seeds(&checker);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (mut validated, mut compiled, mut loaded, mut direct) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut verdicts, mut faults) = (0_u64, std::collections::BTreeMap::<&str, u64>::new());
    let (mut slow_check, mut slow_load, mut slow_call) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for nth in 0..count {
        let seed = seed().wrapping_add(nth);
        let mut rng = Rng::with_seed(seed);
        let bytes = rng.choice(&seeds).expect("there are seeds").mutated(&mut rng, &seeds);
        let passes = step(&mut slow_check, seed, || {
            drop(crate::inspect(&bytes));
            valid(&checker, &bytes)
        });
        if !passes {
            continue;
        }
        validated += 1;
        if compiled >= compiled_most {
            continue;
        }
        let limits = HookLimits { timeout: Duration::from_millis(20), memory: 4 << 20, concurrent: 4 };
        let hook = match step(&mut slow_load, seed, || engine.load("mutant", &bytes, limits)) {
            Err(LoadError::Compile { .. } | LoadError::Encode { .. } | LoadError::NotWasm) => continue,
            other => other,
        };
        compiled += 1;
        let Ok(hook) = hook else { continue };
        loaded += 1;
        // A core module by itself has a twin: the component of it, which is to do the same.
        let twin = hook.is_direct().then(|| {
            let component = crate::load::to_component(&checker, &bytes).expect("it was made one before");
            engine.load("mutant", &component, limits).expect("the component of a hook is one")
        });
        direct += u64::from(twin.is_some());
        for stage in hook.stages() {
            let ended = step(&mut slow_call, seed, || runtime.block_on(run_stage(&hook, *stage)));
            match &ended {
                Ok(_) => verdicts += 1,
                Err(label) => *faults.entry(*label).or_default() += 1,
            }
            let Some(twin) = &twin else { continue };
            let expected = step(&mut slow_call, seed, || runtime.block_on(run_stage(twin, *stage)));
            // How far a hook without end gets is nobody's promise.
            if ended != Err("timeout") && expected != Err("timeout") {
                assert_eq!(ended, expected, "by itself and as a component, {stage}; FUZZ_SEED={seed}");
            }
        }
    }
    println!(
        "{count} artefacts: {validated} valid, {compiled} compiled, {loaded} taken as hooks, {direct} of them by themselves; calls: {verdicts} verdicts, \
         {faults:?}; the slowest check took {slow_check:?}, compilation {slow_load:?}, call {slow_call:?}"
    );
    assert!(validated > count / 50 && validated < count, "{validated} of {count} valid");
    assert!(loaded > direct && direct > 0 && verdicts > 0 && !faults.is_empty());
}

#[test]
fn mutated_artefacts_are_refused_or_run() {
    run(1_000, 60);
}

#[test]
#[ignore = "half an hour; `make soak` runs it"]
fn a_million_mutated_artefacts_are_refused_or_run() {
    run(1_000_000, 20_000);
}
