//! Who looks on while an edge serves: `edgeweir dev`. A production edge has no observer, and its requests pay one
//! comparison for that.

use edgeweir_config::Stage;
use edgeweir_hookhost::LogLevel;

use super::access_log::Record;

/// Sees requests when they are over, and what hooks log meanwhile. Called on the threads that serve: must not wait.
pub trait Observer: Send + Sync + 'static {
    /// A request is over.
    fn finished(&self, seen: &Seen<'_>);
    /// A hook wrote a line. The observer has it instead of the event log.
    fn log(&self, hook: &str, request_id: &str, level: LogLevel, message: &str);
}

/// A request that is over.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What the access log would say.
    pub record: &'a Record<'a>,
    /// What came of each run of a hook, in the order of the record's `hooks`.
    pub notes: &'a [String],
    /// Hooks that were bound and did not run.
    pub skipped: &'a [Skipped],
    /// Whether the answer was put into the cache.
    pub stored: bool,
}

/// A hook that is bound at a stage and did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub hook: String,
    /// Where it is bound.
    pub stage: Stage,
    /// Why it did not run.
    pub why: String,
}
