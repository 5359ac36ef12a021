//! The hook host as production has it, with services that a case can decide: the clock is the case's, random bytes are the
//! same each time, log lines are kept to be shown.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use edgeweir_hookhost::{
    Compiler, Counters, EngineLimits, Hook, HookEngine, HookLimits, HostServices, LogLevel, MAX_WASM, Script,
    build_script, is_script,
};
use parking_lot::Mutex;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::cli::output;
use crate::edge::{self, Options};
use crate::files;

/// Instances at once; one is used, and a pool of this size keeps warm slots as an edge's does.
const SLOTS: u32 = 64;
/// Most log lines kept; a call may write 64.
const MAX_LINES: usize = 64;

/// What random bytes a hook gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Randomness {
    /// 0, 1, 2, … in each call: the same result each time.
    Counted,
    /// As in an edge.
    System,
}

/// An engine and its services.
pub(super) struct Host {
    engine: HookEngine,
    services: Arc<Services>,
}

struct Services {
    now: AtomicU64,
    random: Randomness,
    next_random: AtomicU64,
    lines: Mutex<Vec<String>>,
}

impl HostServices for Services {
    fn now_ms(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn random(&self, out: &mut [u8]) {
        match self.random {
            Randomness::System => {
                assert!(SystemRandom::new().fill(out).is_ok(), "the system has no randomness");
            }
            Randomness::Counted => {
                for byte in out {
                    let [low, ..] = self.next_random.fetch_add(1, Ordering::Relaxed).to_le_bytes();
                    *byte = low;
                }
            }
        }
    }

    fn log(&self, _hook: &str, _request_id: &str, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        let mut lines = self.lines.lock();
        if lines.len() < MAX_LINES {
            lines.push(format!("{level}: {message}"));
        }
    }

    fn counters(&self, _hook: &str) -> Arc<dyn Counters> {
        Arc::new(NoCounters)
    }
}

/// Counts nothing: there are no metrics here.
struct NoCounters;

impl Counters for NoCounters {
    fn add(&self, _name: &str, _by: u64) {}
}

impl Host {
    /// Starts an engine. Nothing is kept on disk.
    ///
    /// # Errors
    /// When the system does not give the address space.
    pub(super) fn new(random: Randomness) -> anyhow::Result<Self> {
        Self::made(random, None, None)
    }

    /// Starts an engine that compiles as the edge with this state folder does, and keeps what it compiled there.
    ///
    /// # Errors
    /// When the system does not give the address space.
    pub(super) fn compiling(random: Randomness, state_dir: &Path, options: &Options) -> anyhow::Result<Self> {
        Self::made(random, Some(&edge::compiled(state_dir)), edge::compiler(options))
    }

    fn made(random: Randomness, compiled: Option<&Path>, compiler: Option<Compiler>) -> anyhow::Result<Self> {
        let (now, next_random) = (AtomicU64::new(0), AtomicU64::new(0));
        let services = Arc::new(Services { now, random, next_random, lines: Mutex::default() });
        // Some sandboxes limit the address space; a slot takes 4 GiB of it.
        let limits = EngineLimits { slots: SLOTS, ..EngineLimits::default() };
        let engine = HookEngine::with_compiler(limits, compiled, compiler, Arc::clone(&services) as _)
            .context("cannot start the hook host")?;
        Ok(Self { engine, services })
    }

    /// Loads a hook; the same bytes are compiled once.
    ///
    /// # Errors
    /// When this edge would not take the hook.
    pub(super) fn load(&self, name: &str, wasm: &[u8], limits: HookLimits) -> anyhow::Result<Arc<Hook>> {
        Ok(self.engine.load(name, wasm, limits)?)
    }

    /// Sets what the clock says, and forgets what the call before did.
    pub(super) fn prepare(&self, now: u64) {
        self.services.now.store(now, Ordering::Relaxed);
        self.services.next_random.store(0, Ordering::Relaxed);
        self.services.lines.lock().clear();
    }

    /// The lines that were logged since `prepare`.
    pub(super) fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.services.lines.lock())
    }
}

/// Reads a hook's file; of one that is too large, only so much that this shows. One in JavaScript is built.
///
/// # Errors
/// When it cannot be read, or does not build.
pub(super) fn read_wasm(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = files::read(path, u64::try_from(MAX_WASM).unwrap_or(u64::MAX))
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    if !is_script(path) {
        return Ok(bytes);
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let Script { wasm, log } = build_script(&file, &bytes)?;
    for line in log {
        output::err(&format!("{file}: its top-level code writes: {line}\n"));
    }
    Ok(wasm)
}

/// A name for messages: the file's without its ending.
pub(super) fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
