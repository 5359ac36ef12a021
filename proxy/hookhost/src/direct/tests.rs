//! Core modules by themselves and as components: the same hook gives the same verdict, and the same fault where it breaks
//! the canonical ABI.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wit_component::StringEncoding;

use super::abi::tests::contract;
use crate::fuzz::call;
use crate::load::to_component;
use crate::{
    Call, CheckFault, Counters, EngineLimits, Hook, HookEngine, HookFault, HookLimits, HostServices, LogLevel, Stage,
};

mod guests;
mod hostile;

/// What hooks logged and counted.
#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<String>>);

impl HostServices for Heard {
    fn now_ms(&self) -> u64 {
        7
    }
    fn random(&self, out: &mut [u8]) {
        out.fill(3);
    }
    fn log(&self, _: &str, _: &str, level: LogLevel, message: &str) {
        self.0.lock().unwrap().push(format!("{level:?} {message}"));
    }
    fn counters(&self, _: &str) -> Arc<dyn Counters> {
        Arc::new(Nobody)
    }
}

struct Nobody;

impl Counters for Nobody {
    fn add(&self, _: &str, _: u64) {}
}

pub(super) const LIMITS: HookLimits =
    HookLimits { timeout: Duration::from_millis(200), memory: 4 << 20, concurrent: 8 };

/// A hook both ways, with what each logs.
struct Twins {
    direct: (Arc<Hook>, Arc<Heard>),
    component: (Arc<Hook>, Arc<Heard>),
}

pub(super) fn engine() -> (HookEngine, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let limits = EngineLimits { slots: 4, ..EngineLimits::default() };
    (HookEngine::new(limits, None, Arc::clone(&heard) as _).unwrap(), heard)
}

impl Twins {
    fn new(module: &[u8]) -> Self {
        let checker = wasmtime::Engine::new(&crate::engine::config::compiler()).unwrap();
        let load = |wasm: &[u8]| {
            let (engine, heard) = engine();
            (engine.load("twin", wasm, LIMITS).unwrap(), heard)
        };
        let (direct, component) = (load(module), load(&to_component(&checker, module).unwrap()));
        assert!(direct.0.is_direct() && !component.0.is_direct());
        Self { direct, component }
    }

    /// What both say of a call, which has to be the same.
    async fn call(&self, stage: Stage, make: impl Fn() -> Call) -> Result<String, HookFault> {
        let (ours, measured) = outcome(&self.direct.0, stage, make()).await;
        let (theirs, expected) = outcome(&self.component.0, stage, make()).await;
        assert_eq!(told(&ours), told(&theirs), "{stage}");
        assert_eq!(measured, expected, "{stage}");
        let heard = |heard: &Heard| std::mem::take(&mut *heard.0.lock().unwrap());
        assert_eq!(heard(&self.direct.1), heard(&self.component.1), "{stage}");
        ours
    }

    fn check(&self, settings: &str) -> Result<(), CheckFault> {
        let run = |hook: &Arc<Hook>| hook.check_settings("site", "*", Stage::ViewerRequest, settings, None);
        let (ours, theirs) = (run(&self.direct.0), run(&self.component.0));
        let told = |checked: &Result<(), CheckFault>| match checked {
            Err(CheckFault::Fault(HookFault::Trap { kind, .. })) => format!("{kind:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(told(&ours), told(&theirs));
        ours
    }
}

async fn outcome(hook: &Arc<Hook>, stage: Stage, call: Call) -> (Result<String, HookFault>, String) {
    let (verdict, report) = match stage {
        Stage::ViewerRequest => told_of(hook.viewer_request(call).await),
        Stage::OriginRequest => told_of(hook.origin_request(call).await),
        Stage::OriginResponse => told_of(hook.origin_response(call).await),
        Stage::ViewerResponse => told_of(hook.viewer_response(call).await),
        Stage::Authorizer => told_of(hook.authorizer(call).await),
    };
    let measured = format!("{} {} {:?}", report.memory, report.log_lines_dropped, report.reads);
    (verdict, measured)
}

fn told_of<V: std::fmt::Debug>(done: crate::Done<V>) -> (Result<String, HookFault>, crate::CallReport) {
    (done.verdict.map(|verdict| format!("{verdict:?}")), done.report)
}

/// What has to be the same both ways: all of a verdict; of a trap its kind, since the words of wasmtime differ.
fn told(outcome: &Result<String, HookFault>) -> String {
    match outcome {
        Ok(verdict) => verdict.clone(),
        Err(HookFault::Trap { kind, .. }) => format!("{kind:?}"),
        Err(fault) => fault.to_string(),
    }
}

/// A module in WAT for a world of the contract.
pub(super) fn module(world: &str, text: &str) -> Vec<u8> {
    let mut wasm = wat::parse_str(text).unwrap();
    describe(&mut wasm, world, StringEncoding::UTF8);
    wasm
}

/// Adds the description of a world.
pub(super) fn describe(wasm: &mut Vec<u8>, world: &str, encoding: StringEncoding) {
    let resolve = contract();
    let world = resolve.worlds.iter().find(|(_, known)| known.name == world).unwrap().0;
    wit_component::embed_component_metadata(wasm, &resolve, world, encoding).unwrap();
}
