//! Compiling in another process: the same program with other arguments, at the lowest priority and within limits. A module
//! that makes the compiler slow, large or crash costs that process and not the edge.
//!
//! The child gets the WASM on standard input and answers on standard output (`wire`); what it compiled is taken over a pipe,
//! so it writes no file. It has no environment, and it ends with the thread that started it.

mod wire;

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::config;
use crate::load::{LoadError, compile};

/// Largest answer, in bytes. A 10 MiB hook compiles to about 40 MB.
const MAX_ANSWER: u64 = 256 << 20;
/// What is kept of the child's last words, in bytes.
const MAX_WORDS: u64 = 4 << 10;

/// What one compilation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompilerLimits {
    /// Processor time of all its threads together, in whole seconds (`RLIMIT_CPU`).
    pub cpu: Duration,
    /// Address space in bytes (`RLIMIT_AS`).
    pub memory: u64,
    /// Wall time: at the lowest priority it may wait long for a processor.
    pub wall: Duration,
}

impl Default for CompilerLimits {
    /// 120 s of processor time, 4 GiB, 240 s of wall time. 10 MiB of code take some 15 s and 1 GiB.
    fn default() -> Self {
        Self { cpu: Duration::from_secs(120), memory: 4 << 30, wall: Duration::from_secs(240) }
    }
}

/// How hooks are compiled in another process. One at a time: a compilation uses all processors.
#[derive(Debug)]
pub struct Compiler {
    program: PathBuf,
    limits: CompilerLimits,
    turn: Mutex<()>,
}

/// The verb that makes the program a compiler; see [`serve_compiler`].
pub const COMPILER_VERB: &str = "__compile";

impl Compiler {
    /// Compiles with this program, which has to be of the same build: its `main` calls [`serve_compiler`] for the verb
    /// [`COMPILER_VERB`], within the limits that follow it as `--cpu SECONDS`, `--memory BYTES` and `--parent PID`.
    #[must_use]
    pub fn new(program: PathBuf, limits: CompilerLimits) -> Self {
        Self { program, limits, turn: Mutex::new(()) }
    }

    /// Compiles a hook. Blocks.
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        let _turn = self.turn.lock();
        let mut child = self.spawn().map_err(|error| failed(format!("it does not start: {error}")))?;
        let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("it has no pipes".into()));
        };
        thread::scope(|scope| {
            // A child that ends early closes the pipe; its status says why.
            scope.spawn(move || drop(stdin.write_all(wasm)));
            let words = scope.spawn(move || {
                let mut words = Vec::new();
                let mut stderr = stderr;
                drop(stderr.by_ref().take(MAX_WORDS).read_to_end(&mut words));
                // Whatever is left, so that the child is not stopped by a full pipe.
                drop(std::io::copy(&mut stderr, &mut std::io::sink()));
                String::from_utf8_lossy(&words).into_owned()
            });
            let (done, answered) = mpsc::channel();
            scope.spawn(move || {
                let mut answer = Vec::new();
                let read = stdout.by_ref().take(MAX_ANSWER).read_to_end(&mut answer);
                drop(stdout);
                // Nobody listens any more after the deadline.
                drop(done.send(read.map(|_| answer)));
            });
            let answer = answered.recv_timeout(self.limits.wall);
            if answer.is_err() {
                kill(&mut child);
            }
            let status = child.wait().map_err(|error| failed(format!("its end cannot be awaited: {error}")))?;
            let words = words.join().unwrap_or_default();
            match answer {
                Err(_) => Err(failed(format!("it took longer than {} s", self.limits.wall.as_secs()))),
                Ok(_) if !status.success() => Err(failed(self.why(status, &words))),
                Ok(Err(error)) => Err(failed(format!("its answer cannot be read: {error}"))),
                Ok(Ok(answer)) => wire::decode(answer),
            }
        })
    }

    fn spawn(&self) -> std::io::Result<Child> {
        Command::new(&self.program)
            .arg0("edgeweir")
            .arg(COMPILER_VERB)
            .args(["--cpu", &self.limits.cpu.as_secs().to_string()])
            .args(["--memory", &self.limits.memory.to_string()])
            .args(["--parent", &std::process::id().to_string()])
            // The environment may hold the edge's secrets.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Why the child ended without an answer.
    fn why(&self, status: ExitStatus, words: &str) -> String {
        /// Numbers of signal(7) on Linux.
        const SIGABRT: i32 = 6;
        const SIGXCPU: i32 = 24;
        let last = words.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        let last: String = last.chars().filter(|c| !c.is_control()).take(300).collect();
        match status.signal() {
            Some(SIGXCPU) => format!("it used more than {} s of processor time", self.limits.cpu.as_secs()),
            Some(SIGABRT) => {
                let memory = self.limits.memory >> 20;
                format!("it aborted, as it does without memory (its limit is {memory} MiB): {last}")
            }
            Some(signal) => format!("it was ended by signal {signal}"),
            None => format!("it ended with {status}: {last}"),
        }
    }
}

fn kill(child: &mut Child) {
    if let Err(error) = child.kill() {
        tracing::warn!(%error, "a compiler process cannot be ended");
    }
}

fn failed(detail: String) -> LoadError {
    LoadError::Compiler { detail }
}

/// The child's side: reads a hook to its end, compiles it, and writes the answer. The caller has set its limits before.
///
/// # Errors
/// When a pipe breaks, or wasmtime cannot be set up. A hook that is refused is an answer.
pub fn serve_compiler(mut input: impl Read, mut output: impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let engine = wasmtime::Engine::new(&config::compiler())?;
    let mut wasm = Vec::new();
    input.read_to_end(&mut wasm)?;
    wire::encode(&compile(&engine, &wasm), &mut output)?;
    output.flush()?;
    Ok(())
}
