//! Why a call gave no verdict: one closed enum, with what the viewer gets and what metrics count.

use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::load::rewrite::WRAPPER;
use crate::{Rule, Stage, Violation};

/// Longest text that a fault carries, in bytes; more is cut.
const MAX_DETAIL: usize = 2048;
/// Starts the error of a hook that finds its own result bad: JavaScript hooks, whose types nobody has checked before.
const INVALID: &str = "invalid result: ";

/// Why a call gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum HookFault {
    /// The hook stopped by itself or by a failed check of the sandbox.
    #[error("hook trapped: {}: {detail}", kind.as_str())]
    Trap {
        /// What kind of trap.
        kind: TrapKind,
        /// The hook's last words if it panicked, the cause, and its backtrace; at most 2 KiB.
        detail: Box<str>,
    },
    /// The hook ran longer than its timeout.
    #[error("hook timed out after {} ms", limit.as_millis())]
    Timeout {
        /// The time that it has.
        limit: Duration,
    },
    /// The hook asked for more memory than its limit.
    #[error("hook ran out of memory: over its limit of {limit} bytes")]
    OutOfMemory {
        /// The hook's memory limit in bytes.
        limit: usize,
    },
    /// What the hook returned is against the stage's rules.
    #[error("hook returned what {0}")]
    Validation(Violation),
    /// The hook returned an error.
    #[error("hook failed: {0}")]
    Failed(Box<str>),
    /// All instance slots of the engine, or all places of the hook, are in use.
    #[error("too many hook calls at once")]
    Overloaded,
    /// The hook does not implement the stage that it was called for.
    #[error("hook does not implement {0}")]
    MissingStage(Stage),
}

impl From<Violation> for HookFault {
    // Its text is part of this one's, so it is no source: told once.
    fn from(violation: Violation) -> Self {
        Self::Validation(violation)
    }
}

/// What kind of trap ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrapKind {
    /// `unreachable`: a panic or an abort in the hook.
    Unreachable,
    /// Memory or table access out of bounds.
    OutOfBounds,
    /// Integer division by zero or overflow.
    Arithmetic,
    /// The hook's calls nest too deep.
    StackOverflow,
    /// An indirect call to nothing or to a function of another type.
    IndirectCall,
    /// The host refused an imported function's call.
    HostCall,
    /// Anything else, broken canonical ABI data for example.
    Other,
}

impl TrapKind {
    /// Name for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::OutOfBounds => "out-of-bounds",
            Self::Arithmetic => "arithmetic",
            Self::StackOverflow => "stack-overflow",
            Self::IndirectCall => "indirect-call",
            Self::HostCall => "host-call",
            Self::Other => "other",
        }
    }

    fn of(trap: Trap) -> Self {
        match trap {
            Trap::UnreachableCodeReached => Self::Unreachable,
            Trap::MemoryOutOfBounds | Trap::TableOutOfBounds | Trap::HeapMisaligned => Self::OutOfBounds,
            Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => Self::Arithmetic,
            Trap::StackOverflow => Self::StackOverflow,
            Trap::IndirectCallToNull | Trap::BadSignature => Self::IndirectCall,
            _ => Self::Other,
        }
    }
}

impl HookFault {
    /// The status that the viewer gets, as with Lambda@Edge: 502 for bad output, 503 for execution errors, timeouts and
    /// limits (CloudFront Developer Guide, "HTTP 502/503 status code"; validation and execution errors of functions).
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Validation(_) => 502,
            _ => 503,
        }
    }

    /// Label for metrics: one of a fixed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::Timeout { .. } => "timeout",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::Validation(_) => "validation",
            Self::Failed(_) => "failed",
            Self::Overloaded => "overloaded",
            Self::MissingStage(_) => "missing-stage",
        }
    }

    /// The hook's own error message.
    pub(crate) fn failed(message: String) -> Self {
        if let Some(what) = message.strip_prefix(INVALID) {
            return Self::Validation(Violation::new(Rule::Result, what));
        }
        Self::Failed(cut(message, MAX_DETAIL))
    }

    /// What wasmtime's error means. `last_error` is the last line that the hook logged as an error: a panic writes one
    /// before it ends the call.
    pub(crate) fn of(error: &wasmtime::Error, last_error: Option<&str>, timeout: Duration) -> Self {
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::Overloaded;
        }
        if let Some(over) = error.downcast_ref::<MemoryLimit>() {
            return Self::OutOfMemory { limit: over.0 };
        }
        let kind = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => return Self::Timeout { limit: timeout },
            Some(trap) => TrapKind::of(*trap),
            None if error.is::<Refusal>() => TrapKind::HostCall,
            None => TrapKind::Other,
        };
        let panic = last_error.filter(|line| kind == TrapKind::Unreachable && line.starts_with("panicked at "));
        Self::Trap { kind, detail: cut(detail(error, panic), MAX_DETAIL) }
    }
}

/// Functions of Rust that lie between a panic and its place.
const PANICKING: [&str; 6] = [
    "__rustc::",
    "core::panicking::",
    "core::result::unwrap_failed",
    "core::option::",
    "std::panicking::",
    "std::sys::",
];

/// The functions from the innermost out, one in a line, as they are called in the source. How Rust panics is left out.
fn frames(backtrace: &WasmBacktrace) -> String {
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("function {}", frame.func_index()),
    };
    // What the edge has put between a hook's functions is none of them.
    let added = |frame: &&wasmtime::FrameInfo| frame.func_name().is_some_and(|name| name.starts_with(WRAPPER));
    let names: Vec<String> = backtrace.frames().iter().filter(|frame| !added(frame)).map(name).collect();
    let inner = |name: &&String| PANICKING.iter().any(|part| name.trim_start_matches('<').starts_with(part));
    let skip = names.iter().take_while(inner).count();
    // Something is better than nothing.
    let shown = names.get(skip..).filter(|shown| !shown.is_empty()).unwrap_or(&names);
    let lines = shown.iter().map(|name| format!("\n  in {name}"));
    let label =
        (!shown.is_empty()).then(|| "\nfunctions of the hook at that moment, each called by the next:".to_owned());
    label.into_iter().chain(lines).collect()
}

/// What tells most comes first: wasmtime puts the backtrace before the cause, and knows nothing of the panic.
fn detail(error: &wasmtime::Error, panic: Option<&str>) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return panic.map_or_else(|| format!("{error:?}"), |panic| format!("{panic}\n{error:?}"));
    };
    let cause = error.root_cause();
    match panic {
        Some(panic) => format!("{panic}\n{cause}{}", frames(backtrace)),
        None => format!("{cause}{}", frames(backtrace)),
    }
}

/// A memory wanted to grow over the hook's limit, in bytes.
#[derive(Debug, thiserror::Error)]
#[error("memory limit of {0} bytes")]
pub(crate) struct MemoryLimit(pub(crate) usize);

/// An imported function refuses to be called like this.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(pub(crate) &'static str);

/// A hook's data are not what the canonical ABI wants.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) &'static str);

/// Cuts a text at a character boundary.
pub(crate) fn cut(mut text: String, max: usize) -> Box<str> {
    text.truncate(text.floor_char_boundary(max));
    text.into_boxed_str()
}
