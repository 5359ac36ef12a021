//! The four stages and the authorizer as wasmtime calls: which export, which types, which rules.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Instance, InstancePre, Lift};
use wasmtime::{PoolConcurrencyLimitError, Store};

use super::Code;
use crate::bindings::stages as raw;
use crate::direct::Ready;
use crate::load::LoadError;
use crate::rules::{self, Allowed, Violation};
use crate::state::CallState;
use crate::{AuthorizerVerdict, Call, RequestEdit, RequestVerdict, ResponseEdit, Stage};

/// Where a program's stage functions are.
pub(crate) struct Exports {
    viewer_request: Option<raw::viewer_request::GuestIndices>,
    origin_request: Option<raw::origin_request::GuestIndices>,
    origin_response: Option<raw::origin_response::GuestIndices>,
    viewer_response: Option<raw::viewer_response::GuestIndices>,
    authorizer: Option<raw::authorizer::GuestIndices>,
}

impl Exports {
    /// Looks the stages up and checks the types of their functions, so that no call finds that out.
    pub(super) fn new(pre: &InstancePre<CallState>, stages: &[Stage]) -> Result<Self, LoadError> {
        let mut exports = Self {
            viewer_request: None,
            origin_request: None,
            origin_response: None,
            viewer_response: None,
            authorizer: None,
        };
        for stage in stages {
            match stage {
                Stage::ViewerRequest => {
                    check::<raw::viewer_request::Verdict>(pre, *stage)?;
                    exports.viewer_request =
                        Some(raw::viewer_request::GuestIndices::new(pre).map_err(|error| mismatch(&error))?);
                }
                Stage::OriginRequest => {
                    check::<raw::origin_request::Verdict>(pre, *stage)?;
                    exports.origin_request =
                        Some(raw::origin_request::GuestIndices::new(pre).map_err(|error| mismatch(&error))?);
                }
                Stage::OriginResponse => {
                    check::<Vec<raw::origin_response::Edit>>(pre, *stage)?;
                    exports.origin_response =
                        Some(raw::origin_response::GuestIndices::new(pre).map_err(|error| mismatch(&error))?);
                }
                Stage::ViewerResponse => {
                    check::<Vec<raw::viewer_response::Edit>>(pre, *stage)?;
                    exports.viewer_response =
                        Some(raw::viewer_response::GuestIndices::new(pre).map_err(|error| mismatch(&error))?);
                }
                Stage::Authorizer => {
                    check::<raw::authorizer::Verdict>(pre, *stage)?;
                    exports.authorizer =
                        Some(raw::authorizer::GuestIndices::new(pre).map_err(|error| mismatch(&error))?);
                }
            }
        }
        Ok(exports)
    }
}

/// An instance of a component.
pub(super) async fn instance(pre: &InstancePre<CallState>, store: &mut Store<CallState>) -> wasmtime::Result<Instance> {
    match pre.instantiate_async(&mut *store).await {
        // Instances that hooks keep have places that this one may need.
        Err(error) if error.is::<PoolConcurrencyLimitError>() && store.data().hook.make_room() => {
            pre.instantiate_async(store).await
        }
        made => made,
    }
}

/// Whether the stage's `handle` returns `result<T, string>`.
fn check<T: Lift + 'static>(pre: &InstancePre<CallState>, stage: Stage) -> Result<(), LoadError> {
    let component = pre.component();
    let name = format!("edgeweir:hook/{stage}@0.1.0");
    let handle = component
        .get_export(None, name.as_str())
        .and_then(|(_, instance)| component.get_export(Some(&instance), "handle"));
    let Some((ComponentItem::ComponentFunc(handle), _)) = handle else {
        return Err(LoadError::Mismatch { detail: format!("`{name}` has no function `handle`") });
    };
    handle
        .typecheck::<(), (Result<T, String>,)>(&pre.instance_type())
        .map_err(|error| LoadError::Mismatch { detail: format!("`handle` of `{name}`: {error:#}") })
}

fn mismatch(error: &wasmtime::Error) -> LoadError {
    LoadError::Mismatch { detail: format!("{error:#}") }
}

/// One stage: what the hook returns and what it becomes.
pub(super) trait StageCall: 'static {
    const STAGE: Stage;
    type Raw: Send;
    type Verdict: Send + 'static;

    /// Instantiates, unless an instance is `ready`, and calls; none if the program does not export the stage.
    fn handle(
        code: &Code,
        store: &mut Store<CallState>,
        ready: &mut Option<Ready>,
    ) -> impl Future<Output = wasmtime::Result<Option<Result<Self::Raw, String>>>> + Send;

    fn check(raw: Self::Raw, call: &Call) -> Result<Self::Verdict, Violation>;

    /// The verdict with the origin that the hook chose by a function, where one can be.
    fn with_choice(verdict: Self::Verdict, chosen: Option<RequestEdit>) -> Self::Verdict;
}

macro_rules! stage_call {
    ($stage:ident, $field:ident, $raw:ty, $verdict:ty, $check:expr, $with:expr) => {
        pub(super) struct $stage;

        impl StageCall for $stage {
            const STAGE: Stage = Stage::$stage;
            type Raw = $raw;
            type Verdict = $verdict;

            async fn handle(
                code: &Code,
                store: &mut Store<CallState>,
                ready: &mut Option<Ready>,
            ) -> wasmtime::Result<Option<Result<Self::Raw, String>>> {
                let (pre, exports) = match code {
                    Code::Component { pre, exports, .. } => (pre, exports),
                    Code::Direct(direct) => return direct.stage(Self::STAGE, store, ready).await,
                };
                let Some(indices) = &exports.$field else { return Ok(None) };
                let instance = instance(pre, store).await?;
                let guest = indices.load(&mut *store, &instance)?;
                guest.call_handle(store).await.map(Some)
            }

            fn check(raw: Self::Raw, call: &Call) -> Result<Self::Verdict, Violation> {
                let check: fn(Self::Raw, &Call) -> Result<Self::Verdict, Violation> = $check;
                check(raw, call)
            }

            fn with_choice(verdict: Self::Verdict, chosen: Option<RequestEdit>) -> Self::Verdict {
                let with: fn(Self::Verdict, Option<RequestEdit>) -> Self::Verdict = $with;
                with(verdict, chosen)
            }
        }
    };
}

/// An answer asks no origin.
fn chosen(verdict: RequestVerdict, chosen: Option<RequestEdit>) -> RequestVerdict {
    match verdict {
        RequestVerdict::Next(mut edits) => {
            edits.extend(chosen);
            RequestVerdict::Next(edits)
        }
        answer @ RequestVerdict::Respond(_) => answer,
    }
}

stage_call!(
    ViewerRequest,
    viewer_request,
    raw::viewer_request::Verdict,
    RequestVerdict,
    |raw, call| rules::viewer_request(raw, &*call.request, Allowed::by(call)),
    chosen
);
stage_call!(
    OriginRequest,
    origin_request,
    raw::origin_request::Verdict,
    RequestVerdict,
    |raw, call| rules::origin_request(raw, &*call.request, Allowed::by(call)),
    chosen
);
stage_call!(
    OriginResponse,
    origin_response,
    Vec<raw::origin_response::Edit>,
    Vec<ResponseEdit>,
    |raw, _| rules::origin_response(raw),
    |edits, _| edits
);
stage_call!(
    ViewerResponse,
    viewer_response,
    Vec<raw::viewer_response::Edit>,
    Vec<ResponseEdit>,
    |raw, _| rules::viewer_response(raw),
    |edits, _| edits
);
stage_call!(
    Authorizer,
    authorizer,
    raw::authorizer::Verdict,
    AuthorizerVerdict,
    |raw, _| rules::authorizer(raw),
    |verdict, _| verdict
);
