//! Runs the hooks of a stage and applies what they decide.
//!
//! A request's head is moved into the call and comes back with it, so nothing is copied. The rules of what a hook may do
//! are the host's; here is what its verdicts mean for a request.

use std::any::Any;
use std::sync::Arc;

use edgeweir_config::{FailurePolicy, Stage};
use edgeweir_hookhost::{
    AuthorizerVerdict, Call, CallFacts, CallReport, GeneratedResponse, GeoView, Hook, HookFault, ReadSet,
    RequestVerdict, RequestView, ResponseEdit, ResponseView, ViewerFacts,
};
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};

use super::context::{HookReads, HookRun, RequestCtx};
use super::edits::{add_tag, apply, apply_to_response, before_edits};
use super::{authorizer, leaks, parts, watched};
use crate::fault::Fault;
use crate::geo::GeoFacts;
use crate::snapshot::BoundHook;
use crate::snapshot::breaker::{FAULTS, REST, Tripped};

/// What the request hooks of a stage decided together.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Go on.
    Next,
    /// Answer with this.
    Respond(GeneratedResponse),
    /// Answer by the fault table.
    Fail(Fault),
}

impl From<Result<(), Fault>> for Outcome {
    fn from(result: Result<(), Fault>) -> Self {
        result.map_or_else(Self::Fail, |()| Self::Next)
    }
}

/// A request's head, lent to a hook. The workshop (`cli/hook`) shows its requests to hooks as this too.
pub(crate) struct Request {
    pub(crate) head: Box<RequestHeader>,
    pub(crate) https: bool,
    pub(crate) authority: Box<str>,
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.head.method.as_str()
    }

    fn scheme(&self) -> &str {
        if self.https { "https" } else { "http" }
    }

    fn authority(&self) -> &str {
        &self.authority
    }

    fn path(&self) -> &str {
        self.head.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }
}

/// A response's head, lent to a hook.
pub(crate) struct Response {
    pub(crate) head: Box<ResponseHeader>,
    pub(crate) outcome: Option<&'static str>,
}

impl ResponseView for Response {
    fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    fn cache_outcome(&self) -> Option<&str> {
        self.outcome
    }
}

struct Geo(Arc<GeoFacts>);

impl GeoView for Geo {
    fn country(&self) -> Option<&str> {
        self.0.country.as_ref().map(|code| code.as_str())
    }

    fn continent(&self) -> Option<&str> {
        self.0.continent.as_ref().map(|code| code.as_str())
    }

    fn region(&self) -> Option<&str> {
        self.0.region.as_ref().map(|code| code.as_str())
    }

    fn city(&self) -> Option<&str> {
        self.0.city.as_deref()
    }

    fn asn(&self) -> Option<u32> {
        self.0.asn
    }

    fn time_zone(&self) -> Option<&str> {
        self.0.time_zone.as_deref()
    }

    fn coordinates(&self) -> Option<(f64, f64)> {
        self.0.location
    }
}

/// Runs viewer-request hooks in order on the request's own head.
pub(super) async fn viewer_request(head: &mut RequestHeader, ctx: &mut RequestCtx) -> Outcome {
    request_stage(head, ctx, Stage::ViewerRequest).await
}

/// Runs origin-request hooks in order on `head`, a copy of what the origin will get: the edits are also kept, to be applied
/// to each attempt.
pub(super) async fn origin_request(head: &mut RequestHeader, ctx: &mut RequestCtx) -> Outcome {
    request_stage(head, ctx, Stage::OriginRequest).await
}

async fn request_stage(head: &mut RequestHeader, ctx: &mut RequestCtx, stage: Stage) -> Outcome {
    let snapshot = Arc::clone(&ctx.snapshot);
    let Some((distribution, behavior)) = ctx.route else { return Outcome::Next };
    let Some(behavior) = snapshot.distributions.get(distribution).and_then(|found| found.behaviors.get(behavior))
    else {
        return Outcome::Next;
    };
    for bound in behavior.hooks_at(stage) {
        let mut hook = first(bound);
        loop {
            let view = take(head, ctx);
            let call = call(Box::new(view), None, ctx, stage, bound);
            let done = match stage {
                Stage::ViewerRequest => hook.viewer_request(call).await,
                _ => hook.origin_request(call).await,
            };
            restore(head, done.call.request);
            ctx.pins = done.call.pins;
            let label = match &done.verdict {
                Ok(RequestVerdict::Next(_)) => "next",
                Ok(RequestVerdict::Respond(_)) => "respond",
                Err(fault) => fault.label(),
            };
            record(ctx, bound, hook, stage, &done.report, label);
            watched::request(ctx, &done.verdict);
            learn(bound, hook, done.verdict.as_ref().err());
            let reads = done.report.reads;
            match done.verdict {
                Ok(RequestVerdict::Respond(response)) => {
                    if stage == Stage::OriginRequest {
                        keep_reads(ctx, hook, stage, reads);
                    }
                    return Outcome::Respond(response);
                }
                Ok(RequestVerdict::Next(edits)) => {
                    let shows = match stage {
                        Stage::OriginRequest => leaks::counts_at_origin(&edits),
                        _ => leaks::counts(&edits),
                    };
                    if shows {
                        keep_reads(ctx, hook, stage, reads);
                    }
                    for edit in edits {
                        if let Err(fault) = apply(head, ctx, hook, stage, edit) {
                            return Outcome::Fail(fault);
                        }
                    }
                }
                Err(fault) => match after(ctx, bound, hook, stage, &fault) {
                    After::Call(before) => {
                        hook = before;
                        continue;
                    }
                    After::Fail(fault) => return Outcome::Fail(fault),
                    After::GoOn => {}
                },
            }
            break;
        }
    }
    Outcome::Next
}

/// Runs origin-response hooks in order. They see the request that the origin got, so that what they make of its answer does not
/// depend on what it was not told.
///
/// # Errors
/// As those of [`response_stage`].
pub(super) async fn origin_response(head: &mut ResponseHeader, ctx: &mut RequestCtx) -> Result<(), Fault> {
    // Without it nothing was asked.
    let Some(mut sent) = ctx.sent.take() else { return Err(Fault::Internal) };
    response_stage(&mut sent, head, ctx, Stage::OriginResponse, false).await
}

/// Runs the hooks of a response stage in order; at viewer-response on an error only those that want to see errors.
///
/// # Errors
/// The fault that answers instead, if a hook fails closed.
pub(super) async fn response_stage(
    request: &mut RequestHeader,
    head: &mut ResponseHeader,
    ctx: &mut RequestCtx,
    stage: Stage,
    on_error: bool,
) -> Result<(), Fault> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let Some((distribution, behavior)) = ctx.route else { return Ok(()) };
    let Some(behavior) = snapshot.distributions.get(distribution).and_then(|found| found.behaviors.get(behavior))
    else {
        return Ok(());
    };
    for bound in behavior.hooks_at(stage).iter().filter(|bound| !on_error || bound.on_errors) {
        let mut hook = first(bound);
        loop {
            let view = take(request, ctx);
            let outcome = ctx.outcome.map(|outcome| outcome.as_str());
            let response = Response { head: Box::new(std::mem::replace(head, parts::empty_response())), outcome };
            let call = call(Box::new(view), Some(Box::new(response)), ctx, stage, bound);
            let done = match stage {
                Stage::OriginResponse => hook.origin_response(call).await,
                _ => hook.viewer_response(call).await,
            };
            restore(request, done.call.request);
            ctx.pins = done.call.pins;
            if let Some(response) = done.call.response {
                let response: Box<dyn Any> = response;
                if let Ok(response) = response.downcast::<Response>() {
                    *head = *response.head;
                }
            }
            let label = done.verdict.as_ref().map_or_else(HookFault::label, |_edits| "next");
            record(ctx, bound, hook, stage, &done.report, label);
            watched::response(ctx, &done.verdict);
            learn(bound, hook, done.verdict.as_ref().err());
            match done.verdict {
                Ok(edits) => {
                    if !edits.is_empty() {
                        keep_reads(ctx, hook, stage, done.report.reads);
                    }
                    before_edits(head, &edits);
                    for edit in edits {
                        match edit {
                            ResponseEdit::Body(body) => ctx.new_body = Some(body),
                            ResponseEdit::Ttl(ttl) => ctx.ttl = Some(ttl),
                            ResponseEdit::Note(note) => ctx.note = Some(note),
                            ResponseEdit::CacheTag(tag) => add_tag(ctx, hook, tag)?,
                            edit => apply_to_response(head, edit)?,
                        }
                    }
                }
                Err(fault) => match after(ctx, bound, hook, stage, &fault) {
                    After::Call(before) => {
                        hook = before;
                        continue;
                    }
                    After::Fail(fault) => return Err(fault),
                    After::GoOn => {}
                },
            }
            break;
        }
    }
    Ok(())
}

/// Asks an authorizer, or its last good version. Also what it read, if that is wanted.
pub(super) async fn authorizer(
    head: &mut RequestHeader,
    ctx: &mut RequestCtx,
    bound: &BoundHook,
    hook: &Arc<Hook>,
    record_reads: bool,
) -> (Result<AuthorizerVerdict, HookFault>, Option<Box<ReadSet>>) {
    let view = take(head, ctx);
    let mut call = call(Box::new(view), None, ctx, Stage::Authorizer, bound);
    call.record_reads = record_reads;
    let done = hook.authorizer(call).await;
    restore(head, done.call.request);
    ctx.pins = done.call.pins;
    record(ctx, bound, hook, Stage::Authorizer, &done.report, authorizer::label(&done.verdict));
    if let Err(fault) = &done.verdict {
        report(ctx, hook, Stage::Authorizer, fault);
    }
    (done.verdict, done.report.reads)
}

/// Keeps what a hook read whose doing shows in the answer, until it is known whether that is stored.
fn keep_reads(ctx: &mut RequestCtx, hook: &Arc<Hook>, stage: Stage, reads: Option<Box<ReadSet>>) {
    if let Some(reads) = reads {
        ctx.reads.push(HookReads { hook: Arc::clone(hook), stage, reads });
    }
}

/// The version that is called first: the one in force, unless it has failed again and again and there is another.
fn first(bound: &BoundHook) -> &Arc<Hook> {
    match &bound.last_good {
        Some(before) if !bound.breaker.lets_through() => before,
        _ => &bound.hook,
    }
}

/// Counts faults in a row of the version in force, where another could be called in its place.
fn learn(bound: &BoundHook, hook: &Arc<Hook>, fault: Option<&HookFault>) {
    let Some(before) = bound.last_good.as_ref().filter(|_before| Arc::ptr_eq(hook, &bound.hook)) else { return };
    let (name, version) = (hook.name(), hook.version());
    match fault {
        // It was not called.
        Some(HookFault::Overloaded) => {}
        Some(_) if bound.breaker.failed() == Tripped::Now => tracing::warn!(
            hook = name,
            version,
            last_good = before.version(),
            "failed {FAULTS} times in a row: only one call in {} s tries it, the others go to the last good version",
            REST.as_secs()
        ),
        None if bound.breaker.passed() => tracing::info!(hook = name, version, "works again: it gets all calls"),
        _ => {}
    }
}

/// What a fault of a hook means for the request.
enum After<'a> {
    /// The same call of the last good version.
    Call(&'a Arc<Hook>),
    /// As if the hook were not bound.
    GoOn,
    /// The edge answers.
    Fail(Fault),
}

/// Reports a fault and says what comes after it. A hook without a place was not asked at all, so nobody may pass for that,
/// and no other version is asked: a flood of calls would open what the hook guards.
fn after<'a>(ctx: &RequestCtx, bound: &'a BoundHook, hook: &Arc<Hook>, stage: Stage, fault: &HookFault) -> After<'a> {
    report(ctx, hook, stage, fault);
    match bound.on_failure {
        _ if matches!(fault, HookFault::Overloaded) => After::Fail(Fault::from(fault)),
        FailurePolicy::Open => After::GoOn,
        FailurePolicy::LastGood if Arc::ptr_eq(hook, &bound.hook) => match &bound.last_good {
            Some(before) => After::Call(before),
            None => After::Fail(Fault::from(fault)),
        },
        FailurePolicy::LastGood | FailurePolicy::Closed => After::Fail(Fault::from(fault)),
    }
}

/// Moves the head out of the request, leaving an empty one.
fn take(head: &mut RequestHeader, ctx: &RequestCtx) -> Request {
    Request {
        head: Box::new(std::mem::replace(head, parts::empty_request())),
        https: ctx.https,
        authority: ctx.authority.as_str().into(),
    }
}

fn restore(head: &mut RequestHeader, view: Box<dyn RequestView>) {
    let view: Box<dyn Any> = view;
    match view.downcast::<Request>() {
        Ok(view) => *head = *view.head,
        Err(_other) => unreachable!("a call gives back the view that it was given"),
    }
}

fn call(
    request: Box<dyn RequestView>,
    response: Option<Box<dyn ResponseView>>,
    ctx: &mut RequestCtx,
    stage: Stage,
    bound: &BoundHook,
) -> Call {
    let origin = match stage {
        Stage::ViewerRequest | Stage::ViewerResponse | Stage::Authorizer => None,
        _ => ctx.origin().map(|origin| Arc::clone(&origin.facts)),
    };
    Call {
        request,
        response,
        facts: facts(ctx),
        origin,
        settings: Arc::clone(&bound.settings),
        body: ctx.held.as_ref().filter(|_held| bound.body > 0).map(|held| held.shown(bound.body)),
        grants: bound.grants.clone(),
        pins: std::mem::take(&mut ctx.pins),
        note: ctx.note.clone(),
        caller: ctx.caller.clone(),
        record_reads: leaks::watched(ctx, stage),
    }
}

fn facts(ctx: &mut RequestCtx) -> Arc<CallFacts> {
    if let Some(facts) = &ctx.facts {
        return Arc::clone(facts);
    }
    let geo = ctx.geo().cloned();
    let tls = ctx.conn.as_ref().and_then(|conn| conn.tls.as_ref());
    let facts = Arc::new(CallFacts {
        viewer: ViewerFacts {
            address: ctx.client.0,
            port: ctx.client.1,
            http_version: ctx.version,
            tls_version: tls.map(|tls| tls.version),
            geo: geo.map(|facts| -> Arc<dyn GeoView> { Arc::new(Geo(facts)) }),
        },
        distribution: ctx.distribution().map_or_else(|| Arc::from(""), |found| Arc::clone(&found.name)),
        behavior: ctx.behavior().map_or_else(|| Arc::from(""), |found| Arc::clone(&found.label)),
        request_id: ctx.id().into(),
    });
    ctx.facts = Some(Arc::clone(&facts));
    facts
}

fn record(
    ctx: &mut RequestCtx,
    bound: &BoundHook,
    hook: &Arc<Hook>,
    stage: Stage,
    report: &CallReport,
    verdict: &'static str,
) {
    let last_good = !Arc::ptr_eq(hook, &bound.hook);
    if last_good {
        bound.metrics.record_last_good(verdict, report.duration, report.memory);
    } else {
        bound.metrics.record(verdict, report.duration, report.memory);
    }
    let micros = u32::try_from(report.duration.as_micros()).unwrap_or(u32::MAX);
    let limits = hook.limits();
    ctx.hooks.push(HookRun { hook: Arc::clone(hook), stage: stage.as_str(), micros, verdict, last_good });
    let (version, hook, stage) = (hook.version(), hook.name(), stage.as_str());
    // Lambda's REPORT line, in its words (AWS Lambda Developer Guide, "Viewing CloudWatch logs").
    tracing::debug!(
        request_id = ctx.id(),
        hook,
        version,
        stage,
        verdict,
        duration_us = micros,
        billed_duration_ms = report.duration.as_micros().div_ceil(1000),
        waited_us = report.waited.as_micros(),
        memory_size = limits.memory,
        max_memory_used = report.memory,
        "REPORT"
    );
    if report.log_lines_dropped > 0 {
        let lines = report.log_lines_dropped;
        tracing::warn!(request_id = ctx.id(), hook, stage, lines, "log lines of a hook were left out: over its limits");
    }
}

fn report(ctx: &RequestCtx, hook: &Hook, stage: Stage, fault: &HookFault) {
    // Whoever looks on has it with the request.
    if ctx.notes.is_some() {
        return;
    }
    tracing::warn!(
        request_id = ctx.id(),
        hook = hook.name(),
        version = hook.version(),
        stage = stage.as_str(),
        fault = fault.label(),
        "{}",
        crate::fault::chain(fault)
    );
}
