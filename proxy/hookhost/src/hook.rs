//! A loaded hook and its calls. Knows neither where hooks come from nor what their output may be.

mod context;
mod settings;
mod stages;
mod stores;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use wasmtime::component::InstancePre;

use crate::data::Held;
use crate::direct::{Direct, Keeping};
use crate::engine::{EngineLimits, Inner, lane};
use crate::load::{LoadError, Shape, too_much_memory};
use crate::script::Places;
use crate::state::CallState;
use crate::{AuthorizerVerdict, Call, CallReport, Done, Grant, HookFault, RequestVerdict, ResponseEdit, Stage};

pub(crate) use context::HookContext;
use settings::SettingsCheck;
pub use settings::{CheckFault, SettingsProblem};
use stages::{Authorizer, Exports, OriginRequest, OriginResponse, StageCall, ViewerRequest, ViewerResponse};

/// Most bytes that a hook may hand over in one call of an imported function or as its result: enough for the largest
/// body that is allowed, so that a larger one is still refused by its rule.
pub(crate) const MAX_HANDOVER: usize = 8 << 20;

/// Limits of one hook's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookLimits {
    /// Wall time of a call. 1 ms to 30 s.
    pub timeout: Duration,
    /// Linear memory in bytes. 64 KiB up to the engine's `max_memory`.
    pub memory: usize,
    /// Calls at once, at least 1. One more waits for a place, at most for `timeout`.
    pub concurrent: u32,
}

impl HookLimits {
    pub(crate) fn check(self, engine: EngineLimits) -> Result<(), LoadError> {
        if !(Duration::from_millis(1)..=Duration::from_secs(30)).contains(&self.timeout) {
            return Err(LoadError::Limits("the timeout must be 1 ms to 30 s"));
        }
        if self.memory < 64 << 10 {
            return Err(LoadError::Limits("the memory must be at least 64 KiB"));
        }
        if self.concurrent == 0 {
            return Err(LoadError::Limits("at least one call must be allowed at once"));
        }
        if self.memory > engine.max_memory {
            return Err(LoadError::Limits("the memory is over the engine's maximum"));
        }
        Ok(())
    }
}

/// What is instantiated for a call.
pub(crate) enum Code {
    Component {
        pre: InstancePre<CallState>,
        exports: Exports,
        check: Option<SettingsCheck>,
    },
    /// A core module by itself.
    Direct(Direct),
}

impl Code {
    /// A component, whose functions have the contract's types.
    pub(crate) fn component(pre: InstancePre<CallState>, shape: &Shape) -> Result<Self, LoadError> {
        let exports = Exports::new(&pre, &shape.stages)?;
        let check = shape.checks_settings.then(|| SettingsCheck::new(&pre)).transpose()?;
        Ok(Self::Component { pre, exports, check })
    }

    /// The instances that are kept for calls to come; none if each call makes one.
    fn keeping(&self) -> Option<&Keeping> {
        match self {
            Self::Direct(direct) => direct.keeping(),
            Self::Component { .. } => None,
        }
    }
}

/// Compiled code, shared by all hooks with the same bytes.
pub(crate) struct Program {
    code: Code,
    shape: Shape,
    memory: usize,
    held: Arc<Held>,
    /// Where in its author's files a place in a message is.
    places: Option<Places>,
    version: Box<str>,
    /// Whether a call has ended without a fault.
    passed: AtomicBool,
    start: lane::Start,
}

impl Program {
    /// `memory` is what an instance starts with, in bytes; `held` lies beside it.
    pub(crate) fn new(
        code: Code,
        shape: Shape,
        memory: usize,
        held: Held,
        places: Option<Places>,
        version: String,
    ) -> Self {
        let (version, passed, start) = (version.into(), AtomicBool::new(false), lane::Start::default());
        Self { code, shape, memory, held: Arc::new(held), places, version, passed, start }
    }

    /// How many instances are kept for calls to come.
    pub(crate) fn kept(&self) -> usize {
        self.code.keeping().map_or(0, Keeping::count)
    }

    /// Gives up one of them; whether there was any.
    pub(crate) fn give_up(&self) -> bool {
        self.code.keeping().is_some_and(Keeping::give_up)
    }
}

/// A hook, ready to be called. Keeps its engine alive.
pub struct Hook {
    context: Arc<HookContext>,
    program: Arc<Program>,
    /// One for each call that may run now.
    places: Semaphore,
}

impl Hook {
    pub(crate) fn new(
        name: &str,
        program: Arc<Program>,
        limits: HookLimits,
        engine: Arc<Inner>,
    ) -> Result<Arc<Self>, LoadError> {
        if program.memory > limits.memory {
            return Err(too_much_memory(program.memory, limits.memory));
        }
        let places = usize::try_from(limits.concurrent).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let counters = engine.services.counters(name);
        let context = HookContext { name: name.into(), limits, held: Arc::clone(&program.held), engine, counters };
        Ok(Arc::new(Self { context: Arc::new(context), program, places: Semaphore::new(places) }))
    }

    /// Whether it is a core module by itself.
    #[cfg(test)]
    pub(crate) fn is_direct(&self) -> bool {
        matches!(self.program.code, Code::Direct(_))
    }

    /// The instances that it keeps.
    #[cfg(test)]
    pub(crate) fn keeping(&self) -> Option<&Keeping> {
        self.program.code.keeping()
    }

    /// The name that it was loaded with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.context.name
    }

    /// The stages that it implements, in the order of a request, and last whether it can be an authorizer; at least one.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.program.shape.stages
    }

    /// What its bindings have to grant.
    #[must_use]
    pub fn needs(&self) -> &[Grant] {
        &self.program.shape.needs
    }

    /// Which version of the hook this is: the SHA-256 of its bytes in hexadecimal.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.program.version
    }

    /// Whether this version has passed: a call of it has ended without a fault since it was loaded. It stays passed, also
    /// under other names and limits, as long as one hook has it.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.program.passed.load(Ordering::Relaxed)
    }

    /// The same version with other limits; nothing is compiled.
    ///
    /// # Errors
    ///
    /// When the limits are out of range, or are too small for what the hook starts with.
    pub fn with_limits(&self, limits: HookLimits) -> Result<Arc<Self>, LoadError> {
        let engine = &self.context.engine;
        limits.check(engine.limits)?;
        Self::new(self.name(), Arc::clone(&self.program), limits, Arc::clone(engine))
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> HookLimits {
        self.context.limits
    }

    /// Runs the hook at viewer-request, in an instance as it was made. Needs a tokio runtime with time, as the other calls do. A
    /// future that is dropped ends the call and drops the [`Call`].
    pub async fn viewer_request(self: &Arc<Self>, call: Call) -> Done<RequestVerdict> {
        self.run::<ViewerRequest>(call).await
    }

    /// Runs the hook at origin-request.
    pub async fn origin_request(self: &Arc<Self>, call: Call) -> Done<RequestVerdict> {
        self.run::<OriginRequest>(call).await
    }

    /// Runs the hook at origin-response.
    pub async fn origin_response(self: &Arc<Self>, call: Call) -> Done<Vec<ResponseEdit>> {
        self.run::<OriginResponse>(call).await
    }

    /// Runs the hook at viewer-response.
    pub async fn viewer_response(self: &Arc<Self>, call: Call) -> Done<Vec<ResponseEdit>> {
        self.run::<ViewerResponse>(call).await
    }

    /// Asks the hook, as an authorizer, who may pass.
    pub async fn authorizer(self: &Arc<Self>, call: Call) -> Done<AuthorizerVerdict> {
        self.run::<Authorizer>(call).await
    }

    async fn run<S: StageCall>(self: &Arc<Self>, call: Call) -> Done<S::Verdict> {
        let start = Instant::now();
        let Some((_place, began)) = self.place(start).await else {
            let report = CallReport { duration: start.elapsed(), ..CallReport::default() };
            return Done { call, verdict: Err(HookFault::Overloaded), report };
        };
        let deadline = began + self.limits().timeout;
        let (verdict, state) = lane::run(
            &self.context.engine.slow,
            &self.program.start,
            deadline,
            Box::pin(Arc::clone(self).called::<S>(call, deadline)),
        )
        .await;
        let CallState { call, log_dropped, reads, memory, .. } = state;
        let waited = began.saturating_duration_since(start);
        let report = CallReport { duration: start.elapsed(), waited, memory, log_lines_dropped: log_dropped, reads };
        Done { call, verdict, report }
    }

    /// One call, in an instance that is as it was made: it is gone when this returns, or put back.
    async fn called<S: StageCall>(
        self: Arc<Self>,
        call: Call,
        deadline: Instant,
    ) -> (Result<S::Verdict, HookFault>, CallState) {
        // The store stays outside of the timed future: when that is dropped, the call is still here.
        let (mut store, mut ready, idle) = self.begin(S::STAGE, call, deadline);
        let ended = {
            let _ticking = self.context.engine.ticker.tick();
            let called = S::handle(&self.program.code, &mut store, &mut ready);
            if lane::is_late() { None } else { tokio::time::timeout_at(deadline, called).await.ok() }
        };
        store.data_mut().end_output();
        let (by_itself, timeout) = (matches!(ended, Some(Ok(Some(_)))), self.limits().timeout);
        let verdict = match ended {
            None => Err(HookFault::Timeout { limit: timeout }),
            Some(Err(error)) => Err(HookFault::of(&error, store.data().last_error.as_deref(), timeout)),
            Some(Ok(None)) => Err(HookFault::MissingStage(S::STAGE)),
            Some(Ok(Some(Err(message)))) => Err(HookFault::failed(match &self.program.places {
                Some(places) => places.told(&message),
                None => message,
            })),
            Some(Ok(Some(Ok(raw)))) => {
                let checked = S::check(raw, &store.data().call).map_err(HookFault::from);
                let chosen = store.data_mut().chosen.take();
                checked.map(|verdict| S::with_choice(verdict, chosen))
            }
        };
        // Read first: writing each time would have all processors fight for the line.
        if verdict.is_ok() && !self.passed() {
            self.program.passed.store(true, Ordering::Relaxed);
        }
        let state = match ready.filter(|_| by_itself) {
            Some(ready) => self.end(store, ready, idle),
            None => store.into_data(),
        };
        (verdict, state)
    }

    /// Waits for a place among this hook's calls, and says when there was one; none after the timeout. Who comes first is
    /// served first.
    async fn place(&self, start: Instant) -> Option<(SemaphorePermit<'_>, Instant)> {
        if let Ok(place) = self.places.try_acquire() {
            return Some((place, start));
        }
        let place = tokio::time::timeout_at(start + self.limits().timeout, self.places.acquire()).await.ok()?.ok()?;
        Some((place, Instant::now()))
    }
}
