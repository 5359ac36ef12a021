//! One call of a hook and what it makes of request and response. Edits are applied by the flow's own functions, so that a
//! result here is a result in production. Origins are not checked: there is no configuration.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edgeweir_hookhost::{
    AuthorizerVerdict, Call, CallFacts, CallReport, Caller, DynamicOrigin, GeneratedResponse, Grants, Hook, HookFault,
    HookLimits, OriginFacts, Pins, RequestBody, RequestEdit, RequestVerdict, ResponseEdit, ResponseView, Stage,
};
use pingora::http::{RequestHeader, ResponseHeader};

use super::host::Host;
use crate::fault::Fault;
use crate::flow::edits::{apply_to_request, apply_to_response, before_edits};
use crate::flow::hooks::{Request, Response};
use crate::flow::{leaks, request_body};

/// Everything that a call gets to see, and its limits.
#[derive(Clone)]
pub(super) struct Input {
    pub(super) stage: Stage,
    pub(super) request: RequestHeader,
    pub(super) https: bool,
    pub(super) authority: Box<str>,
    /// With what the cache did.
    pub(super) response: Option<(ResponseHeader, Option<&'static str>)>,
    pub(super) facts: CallFacts,
    pub(super) origin: Option<Arc<OriginFacts>>,
    /// JSON text.
    pub(super) settings: Arc<str>,
    pub(super) note: Option<Arc<str>>,
    /// What the authorizer says.
    pub(super) caller: Option<Arc<Caller>>,
    /// The request's body, as far as the binding grants it.
    pub(super) body: Option<RequestBody>,
    /// Stores and secrets.
    pub(super) grants: Arc<Grants>,
    /// Milliseconds of Unix time.
    pub(super) now: u64,
    pub(super) limits: HookLimits,
}

/// How a call ended.
pub(super) enum Decision {
    /// The request or the response goes on, edited.
    Next,
    /// The hook answered.
    Respond(GeneratedResponse),
    /// What the authorizer decided.
    Authorized(AuthorizerVerdict),
    /// There is no verdict: what the edge does then is `on_failure`'s.
    Fault {
        /// As in logs and metrics.
        label: &'static str,
        message: String,
    },
}

impl Decision {
    /// `next`, `respond`, `fault`, or of an authorizer `allow`, `deny` or `unauthorized`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Respond(_) => "respond",
            Self::Authorized(AuthorizerVerdict::Allow(_)) => "allow",
            Self::Authorized(AuthorizerVerdict::Deny(_)) => "deny",
            Self::Authorized(AuthorizerVerdict::Unauthorized(_)) => "unauthorized",
            Self::Fault { .. } => "fault",
        }
    }
}

/// What came of a call.
pub(super) struct Outcome {
    pub(super) decision: Decision,
    /// With the hook's edits.
    pub(super) request: RequestHeader,
    /// With the hook's edits, at response stages.
    pub(super) response: Option<ResponseHeader>,
    /// The body that the hook made for the request or the response.
    pub(super) body: Option<Bytes>,
    pub(super) origin: Option<Box<str>>,
    pub(super) note: Option<Arc<str>>,
    pub(super) cache_key: Vec<String>,
    pub(super) ttl: Option<Duration>,
    pub(super) cost: Option<u32>,
    pub(super) api_key: Option<String>,
    pub(super) cache_tags: Vec<String>,
    /// Whether what the hook did shows in an answer without being in the cache key by itself.
    pub(super) shows: bool,
    pub(super) report: CallReport,
    pub(super) log: Vec<String>,
}

impl Input {
    /// The call, as the edge would make it.
    pub(super) fn call(self) -> Call {
        let response = self
            .response
            .map(|(head, outcome)| -> Box<dyn ResponseView> { Box::new(Response { head: Box::new(head), outcome }) });
        let view = Request { head: Box::new(self.request), https: self.https, authority: self.authority };
        Call {
            request: Box::new(view),
            response,
            facts: Arc::new(self.facts),
            origin: self.origin,
            settings: self.settings,
            note: self.note,
            caller: self.caller,
            body: self.body,
            grants: Some(self.grants),
            pins: Pins::default(),
            record_reads: false,
        }
    }
}

/// What a stage gave back, whichever it was.
pub(super) enum Verdict {
    Request(RequestVerdict),
    Response(Vec<ResponseEdit>),
    Authorizer(AuthorizerVerdict),
}

impl Verdict {
    /// As the flow sees it: what shows in an answer that others who share its key may get.
    fn shows(&self, stage: Stage) -> bool {
        match (stage, self) {
            (Stage::ViewerRequest, Self::Request(RequestVerdict::Next(edits))) => leaks::counts(edits),
            (Stage::OriginRequest, Self::Request(RequestVerdict::Next(edits))) => leaks::counts_at_origin(edits),
            (Stage::OriginRequest, Self::Request(RequestVerdict::Respond(_))) => true,
            (Stage::OriginResponse, Self::Response(edits)) => !edits.is_empty(),
            _ => false,
        }
    }
}

/// Calls the hook at a stage.
pub(super) async fn call(hook: &Arc<Hook>, stage: Stage, call: Call) -> (Call, Result<Verdict, HookFault>, CallReport) {
    match stage {
        Stage::ViewerRequest => {
            let done = hook.viewer_request(call).await;
            (done.call, done.verdict.map(Verdict::Request), done.report)
        }
        Stage::OriginRequest => {
            let done = hook.origin_request(call).await;
            (done.call, done.verdict.map(Verdict::Request), done.report)
        }
        Stage::OriginResponse => {
            let done = hook.origin_response(call).await;
            (done.call, done.verdict.map(Verdict::Response), done.report)
        }
        Stage::ViewerResponse => {
            let done = hook.viewer_response(call).await;
            (done.call, done.verdict.map(Verdict::Response), done.report)
        }
        Stage::Authorizer => {
            let done = hook.authorizer(call).await;
            (done.call, done.verdict.map(Verdict::Authorizer), done.report)
        }
    }
}

/// Runs one call and applies what it decides.
pub(super) async fn run(host: &Host, hook: &Arc<Hook>, input: Input) -> Outcome {
    let stage = input.stage;
    host.prepare(input.now);
    let mut wanted = input.call();
    wanted.record_reads = true;
    let (done, verdict, report) = call(hook, stage, wanted).await;
    let (request, response) = heads(done);
    let mut outcome = Outcome {
        decision: Decision::Next,
        request,
        response,
        body: None,
        origin: None,
        note: None,
        cache_key: Vec::new(),
        ttl: None,
        cost: None,
        api_key: None,
        cache_tags: Vec::new(),
        shows: verdict.as_ref().is_ok_and(|verdict| verdict.shows(stage)),
        report,
        log: host.take_lines(),
    };
    let applied = match verdict {
        Ok(Verdict::Request(RequestVerdict::Next(edits))) => {
            edits.into_iter().try_for_each(|edit| outcome.edit_request(edit))
        }
        Ok(Verdict::Request(RequestVerdict::Respond(response))) => {
            outcome.decision = Decision::Respond(response);
            Ok(())
        }
        Ok(Verdict::Authorizer(verdict)) => {
            outcome.decision = Decision::Authorized(verdict);
            Ok(())
        }
        Ok(Verdict::Response(edits)) => {
            if let Some(head) = &mut outcome.response {
                before_edits(head, &edits);
            }
            edits.into_iter().try_for_each(|edit| outcome.edit_response(edit))
        }
        Err(fault) => {
            outcome.decision = Decision::Fault { label: fault.label(), message: fault.to_string() };
            Ok(())
        }
    };
    if applied.is_err() {
        // The host has checked every edit; what is left is a target that is too long once it is put together.
        let message = "the edits do not make a valid head".to_owned();
        outcome.decision = Decision::Fault { label: "validation", message };
    }
    outcome
}

impl Outcome {
    fn edit_request(&mut self, edit: RequestEdit) -> Result<(), Fault> {
        match edit {
            RequestEdit::Note(note) => self.note = Some(note),
            RequestEdit::CacheKey(part) => self.cache_key.push(part.into()),
            RequestEdit::Origin(name) => self.origin = Some(name),
            RequestEdit::DynamicOrigin(origin) => self.origin = Some(words(&origin).into()),
            RequestEdit::ChangeOrigin(change) => {
                let host = change.host.as_ref().map_or("", |(host, _)| host);
                self.origin = Some(format!("{host}{}", change.path_prefix.as_deref().unwrap_or_default()).into());
            }
            RequestEdit::Group { members, .. } => self.origin = Some(members.join(", ").into()),
            RequestEdit::Body(body) => {
                request_body::describe(&mut self.request, body.len());
                self.body = Some(body);
            }
            RequestEdit::Cost(cost) => self.cost = Some(cost),
            RequestEdit::ApiKey(key) => self.api_key = Some(key.0.into()),
            edit => apply_to_request(&mut self.request, &edit)?,
        }
        Ok(())
    }

    fn edit_response(&mut self, edit: ResponseEdit) -> Result<(), Fault> {
        match (edit, &mut self.response) {
            (ResponseEdit::Note(note), _) => self.note = Some(note),
            (ResponseEdit::Ttl(ttl), _) => self.ttl = Some(ttl),
            (ResponseEdit::Body(body), _) => self.body = Some(body),
            (ResponseEdit::CacheTag(tag), _) => self.cache_tags.push(tag.into()),
            (edit, Some(head)) => apply_to_response(head, edit)?,
            (_, None) => {}
        }
        Ok(())
    }
}

/// An origin that was chosen by host, as a URL.
fn words(origin: &DynamicOrigin) -> String {
    let scheme = if origin.tls { "https" } else { "http" };
    let host = if origin.host.contains(':') { format!("[{}]", origin.host) } else { origin.host.to_string() };
    format!("{scheme}://{host}:{}{}", origin.port, origin.path_prefix)
}

/// The heads that were moved into the call.
fn heads(call: Call) -> (RequestHeader, Option<ResponseHeader>) {
    let request: Box<dyn Any> = call.request;
    let Ok(request) = request.downcast::<Request>() else {
        unreachable!("a call gives back the view that it was given")
    };
    let response = call.response.and_then(|response| {
        let response: Box<dyn Any> = response;
        response.downcast::<Response>().ok().map(|response| *response.head)
    });
    (*request.head, response)
}
