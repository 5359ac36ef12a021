//! Edgeweir's hook host: loads WASM hooks and runs them at the four stages of a request.
//!
//! The only crate that sees wasmtime. It does not know pingora or the configuration: a request comes in as a
//! [`RequestView`], what a hook decided goes out as a typed verdict that was already checked, and time,
//! randomness and the log are asked from the embedder through [`HostServices`].
//!
//! - [`HookEngine`] exists once per process: compiler, instance pool, epoch ticker.
//! - [`Hook`] exists once per hook and snapshot: compiled code and its limits.
//! - [`Call`] exists once per stage run. It is moved in and always comes back, also after a trap or a timeout.
//!
//! Every call gets an instance as it was made: a new one, or one that was put back to that. Nothing of a call survives it.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may panic"))]

mod algorithm;
mod artefact;
mod bindings;
mod call;
mod compiler;
mod data;
mod direct;
mod engine;
mod fault;
#[cfg(test)]
mod fuzz;
mod grants;
mod hook;
mod host;
mod inspect;
mod jwks;
mod keys;
mod load;
mod precompiled;
mod reads;
mod rules;
mod script;
mod services;
mod stage;
mod state;
mod verdict;

pub use call::{
    Call, CallFacts, CallReport, Done, GeoView, OriginFacts, RequestBody, RequestView, ResponseView, ViewerFacts,
};
pub use compiler::{COMPILER_VERB, Compiler, CompilerLimits, serve_compiler};
pub use engine::{EngineError, EngineLimits, HookEngine};
pub use fault::{HookFault, TrapKind};
pub use grants::{Entries, Fetch, FetchFuture, Grant, Grants, KeySet, KeyValueStore, Outgoing, Pins, Renewed};
pub use hook::{CheckFault, Hook, HookLimits, SettingsProblem};
pub use host::{Device, cookie_value, device, query_value};
pub use inspect::{Inspection, Kind, inspect};
pub use jwks::{Jwks, JwksError, Secrets};
pub use load::{LoadError, MAX_WASM};
pub use reads::{Fact, ReadSet};
pub use rules::{Rule, Violation};
pub use script::{MAX_SCRIPT, Script, ScriptError, build_script, is_script};
pub use services::{Counters, HostServices, LogLevel};
pub use stage::Stage;
pub use verdict::{
    AuthorizerVerdict, Caller, DynamicOrigin, GeneratedResponse, HeaderEdit, Hidden, OriginChange, RequestEdit,
    RequestVerdict, ResponseEdit, is_context_name,
};
