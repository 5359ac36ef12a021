//! Settings that the hook itself checks, before any request: the optional export `settings-check`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Version};
use tokio::time::Instant;
use wasmtime::component::InstancePre;

use super::stages::instance;
use super::{Code, Hook};
use crate::bindings::stages::settings_check as raw;
use crate::engine::room::Room;
use crate::fault::cut;
use crate::load::LoadError;
use crate::state::CallState;
use crate::{Call, CallFacts, Grants, HookFault, Pins, RequestView, Stage, ViewerFacts};

/// A check may take at least this long, whatever the hook's timeout is: a start on a busy machine must not fail for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most problems of one binding that are told.
const MAX_PROBLEMS: usize = 32;
/// Longest path of a problem, in bytes.
const MAX_PATH: usize = 256;
/// Longest message of a problem, in bytes.
const MAX_MESSAGE: usize = 1024;

/// Something that a hook finds wrong with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Which setting: a JSON pointer (RFC 6901), or empty. At most 256 bytes; a first `/` that is missing is added.
    pub path: Box<str>,
    /// The hook's words, without control characters, at most 1 KiB. They may repeat a setting.
    pub message: Box<str>,
}

/// Why a hook does not take its settings.
#[derive(Debug, thiserror::Error)]
pub enum CheckFault {
    /// It says what is wrong; at least one problem, at most 32.
    #[error("the hook refuses its settings: {} problems", .0.len())]
    Refused(Vec<SettingsProblem>),
    /// The check itself failed.
    #[error("the check of its settings failed")]
    Fault(#[from] HookFault),
    /// There is no thread to run it in.
    #[error("the check of its settings cannot be run")]
    Runtime(#[source] std::io::Error),
}

/// Where a program's `validate` is.
pub(crate) struct SettingsCheck(raw::GuestIndices);

impl SettingsCheck {
    /// Looks the function up and checks its type.
    pub(super) fn new(pre: &InstancePre<CallState>) -> Result<Self, LoadError> {
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch { detail: format!("`settings-check`: {error:#}") };
        raw::GuestIndices::new(pre).map(Self).map_err(mismatch)
    }
}

impl Hook {
    /// Has the hook check the settings of a binding, with its limits of memory and at least 2 s of time. Good if it does
    /// not export `settings-check`. Blocks: call it where that is allowed.
    ///
    /// # Errors
    /// What the hook finds wrong, or why it could not say.
    pub fn check_settings(
        self: &Arc<Self>,
        distribution: &str,
        behavior: &str,
        stage: Stage,
        settings: &str,
        grants: Option<Arc<Grants>>,
    ) -> Result<(), CheckFault> {
        if !self.program.shape.checks_settings {
            return Ok(());
        }
        let call = no_request(distribution, behavior, settings, grants);
        // On a thread of its own: the caller's may belong to a runtime already.
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let runtime = runtime.map_err(CheckFault::Runtime)?;
            Ok(runtime.block_on(self.run_check(call, stage, settings))?)
        };
        let ran: Result<_, CheckFault> =
            std::thread::scope(|scope| match std::thread::Builder::new().spawn_scoped(scope, run) {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(error) => Err(CheckFault::Runtime(error)),
            });
        ran?.map_err(|problems| CheckFault::Refused(tidy(problems)))
    }

    async fn run_check(
        self: &Arc<Self>,
        call: Call,
        stage: Stage,
        settings: &str,
    ) -> Result<Result<(), Vec<raw::Problem>>, HookFault> {
        let limit = self.limits().timeout.max(PATIENCE);
        let deadline = Instant::now() + limit;
        let mut store = self.store(None, call, deadline);
        store.data_mut().bound_at = Some(stage);
        let _ticking = self.context.engine.ticker.tick();
        let called = async {
            match &self.program.code {
                Code::Component { pre, check: Some(check), .. } => {
                    let instance = instance(pre, &mut store).await?;
                    let guest = check.0.load(&mut store, &instance)?;
                    let mut room = Room::for_one();
                    loop {
                        match guest.call_validate(&mut store, settings).await {
                            Err(error) if room.again(&error, store.data()) => {}
                            ended => return ended,
                        }
                    }
                }
                // Whoever has no check was not asked for one.
                Code::Component { check: None, .. } => Ok(Ok(())),
                Code::Direct(direct) => direct.check(settings, &mut store).await,
            }
        };
        let ended = tokio::time::timeout_at(deadline, called).await;
        store.data_mut().end_output();
        match ended {
            Err(_) => Err(HookFault::Timeout { limit }),
            Ok(checked) => checked.map_err(|error| HookFault::of(&error, store.data().last_error.as_deref(), limit)),
        }
    }
}

/// The hook's words as they may be shown. A refusal without a reason is one too.
fn tidy(problems: Vec<raw::Problem>) -> Vec<SettingsProblem> {
    let plain = |text: String| text.replace(char::is_control, " ");
    let mut tidy: Vec<SettingsProblem> = problems
        .into_iter()
        .take(MAX_PROBLEMS)
        .map(|raw::Problem { path, message }| SettingsProblem {
            path: if path.is_empty() || path.starts_with('/') {
                cut(plain(path), MAX_PATH)
            } else {
                // Meant as one, for all we know; where it stands shows the nearest setting.
                cut(plain(format!("/{path}")), MAX_PATH)
            },
            message: cut(plain(message), MAX_MESSAGE),
        })
        .collect();
    if tidy.is_empty() {
        tidy.push(SettingsProblem { path: Box::default(), message: "the hook gives no reason".into() });
    }
    tidy
}

/// A call without a request: reads of it are refused before they get here.
pub(super) fn no_request(distribution: &str, behavior: &str, settings: &str, grants: Option<Arc<Grants>>) -> Call {
    let viewer = ViewerFacts {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: None,
        http_version: Version::HTTP_11,
        tls_version: None,
        geo: None,
    };
    let facts = CallFacts {
        viewer,
        distribution: distribution.into(),
        behavior: behavior.into(),
        request_id: "settings-check".into(),
    };
    Call {
        request: Box::new(NoRequest(HeaderMap::new())),
        response: None,
        facts: Arc::new(facts),
        origin: None,
        settings: settings.into(),
        body: None,
        grants,
        pins: Pins::default(),
        note: None,
        caller: None,
        record_reads: false,
    }
}

struct NoRequest(HeaderMap);

impl RequestView for NoRequest {
    fn method(&self) -> &str {
        ""
    }

    fn scheme(&self) -> &str {
        ""
    }

    fn authority(&self) -> &str {
        ""
    }

    fn path(&self) -> &str {
        ""
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn headers(&self) -> &HeaderMap {
        &self.0
    }
}
