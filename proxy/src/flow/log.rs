//! The end of a request: one line in the access log, one set of counters.

use std::time::Duration;

use edgeweir_cache::CacheOutcome;
use http::header::{REFERER, USER_AGENT};
use pingora::proxy::Session;

use super::context::RequestCtx;
use super::watched;
use super::{cache, quota};
use crate::edge::Core;
use crate::fault::Fault;
use crate::telemetry::access_log::{HookRecord, Record};
use crate::telemetry::metrics::Finished;
use crate::telemetry::observer::{Seen, Skipped};

/// Writes and counts one request.
pub(super) fn finished(core: &Core, session: &Session, ctx: &RequestCtx, aborted: bool) {
    if let Some(fault) = ctx.covered {
        core.metrics.fault(fault.as_str());
    }
    if ctx.background {
        // Nobody asked for it: no line, no request is counted. What the origin did wrong is.
        if let Some(fault) = ctx.fault {
            core.metrics.fault(fault.as_str());
        }
        return;
    }
    let status = session.response_written().map_or(0, |head| head.status.as_u16());
    let duration = core.clock.stopwatch().saturating_sub(ctx.started);
    let duration_us = duration / 1_000;
    let origin_us = match ctx.origin_times {
        (Some(asked), Some(answered)) => Some(answered.saturating_sub(asked) / 1_000),
        _ => None,
    };
    let bytes_in = ctx.body_in;
    let bytes_out = u64::try_from(session.body_bytes_sent()).unwrap_or(u64::MAX);
    let outcome = ctx.outcome.map(CacheOutcome::as_str);
    quota::settle(
        ctx,
        status,
        matches!(ctx.outcome, Some(CacheOutcome::Hit | CacheOutcome::Stale | CacheOutcome::Collapsed)),
    );
    if let Some(behavior) = ctx.behavior() {
        behavior.metrics.observe(&Finished { status, cache: outcome, duration_us, origin_us, bytes_in, bytes_out });
    }
    if let Some(fault) = ctx.fault {
        core.metrics.fault(fault.as_str());
    }
    if let Some(level) = ctx.throttled_by() {
        core.metrics.throttled(level);
    }
    let has_hooks = ctx.behavior().is_some_and(|behavior| behavior.hooks.iter().any(|bound| !bound.is_empty()));
    let in_words = has_hooks && (ctx.notes.is_some() || tracing::enabled!(tracing::Level::DEBUG));
    let skipped = if in_words { skips(ctx, status) } else { Vec::new() };
    if core.access_log.enabled() || core.observer.is_some() {
        let facts =
            Facts { status, duration, duration_us, origin_us, bytes_in, bytes_out, outcome, aborted, has_hooks };
        line(core, session, ctx, &skipped, facts);
    }
}

/// The hooks that did not run; at debug level the log says so.
fn skips(ctx: &RequestCtx, status: u16) -> Vec<Skipped> {
    let skipped = watched::skipped(ctx, status);
    for Skipped { hook, stage, why } in &skipped {
        tracing::debug!(request_id = ctx.id(), hook, stage = stage.as_str(), why, "SKIPPED");
    }
    skipped
}

#[derive(Clone, Copy)]
struct Facts {
    status: u16,
    duration: u64,
    duration_us: u64,
    origin_us: Option<u64>,
    bytes_in: u64,
    bytes_out: u64,
    outcome: Option<&'static str>,
    aborted: bool,
    /// Whether any is bound. Requests without hooks do not pay for what is told of them.
    has_hooks: bool,
}

fn line(core: &Core, session: &Session, ctx: &RequestCtx, skipped: &[Skipped], facts: Facts) {
    let req = session.req_header();
    let hooks: Vec<HookRecord<'_>> = ctx
        .hooks
        .iter()
        .map(|run| HookRecord {
            hook: run.hook.name(),
            stage: run.stage,
            us: run.micros.into(),
            verdict: run.verdict,
            last_good: run.last_good,
        })
        .collect();
    let trace = req.headers.get("traceparent").and_then(|value| value.to_str().ok());
    let asked = ctx.origin_times.0.and_then(|_asked| ctx.origin());
    let key_name = ctx.key.as_ref().map(|caller| caller.slot.meter.key_name());
    let record = Record {
        time: core.clock.wall() - Duration::from_nanos(facts.duration),
        request_id: ctx.id(),
        // version "-" trace-id "-" parent-id "-" flags (W3C Trace Context, 3.2.2)
        trace_id: trace
            .and_then(|value| value.split('-').nth(1))
            .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        client: ctx.client.0,
        client_port: ctx.client.1,
        method: req.method.as_str(),
        scheme: if ctx.https { "https" } else { "http" },
        host: ctx.authority.as_str().as_bytes(),
        path: ctx.normal_path.as_deref().unwrap_or_else(|| req.uri.path()).as_bytes(),
        query: req.uri.query().map(str::as_bytes),
        http_version: match ctx.version {
            http::Version::HTTP_2 => "2",
            http::Version::HTTP_10 => "1.0",
            _ => "1.1",
        },
        tls_version: ctx
            .conn
            .as_ref()
            .and_then(|conn| conn.tls.as_ref())
            .and_then(|tls| tls.version.strip_prefix("TLSv")),
        user_agent: req.headers.get(USER_AGENT).map(http::HeaderValue::as_bytes),
        referer: req.headers.get(REFERER).map(http::HeaderValue::as_bytes),
        country: ctx.geo.as_ref().and_then(|geo| geo.country.as_ref()).map(|code| code.as_str()),
        distribution: ctx.distribution().map(|found| &*found.name),
        behavior: ctx.behavior().map(|found| &*found.label),
        origin: asked.map(|origin| origin.config.name.as_str()),
        origin_group: asked.and_then(|_origin| Some(&*ctx.origin_group()?.name)),
        origin_attempts: ctx.attempts.count,
        origin_address: ctx.origin_address,
        status: facts.status,
        bytes_in: facts.bytes_in,
        bytes_out: facts.bytes_out,
        duration_us: facts.duration_us,
        origin_us: facts.origin_us,
        cache: facts.outcome,
        // That nobody was left to write it for is no error of the store's.
        cache_why: cache::why(session, ctx)
            .filter(|why| *why != "storage-error" || !matches!(ctx.fault, Some(Fault::ViewerGone))),
        cache_generation: ctx.outcome.map_or(0, |outcome| cache::generation(ctx, outcome)),
        key_parameters: &ctx.snapshot.key_parameters,
        key_name: key_name.as_ref().map(|name| &***name),
        plan: ctx.key.as_ref().map(|caller| &*caller.slot.meter.plan),
        principal: ctx.caller.as_ref().and_then(|caller| caller.principal()),
        throttle: ctx.throttled_by(),
        hooks: &hooks,
        skipped: if facts.has_hooks { watched::skipped_stages(ctx, facts.status) } else { [None; 4] },
        fault: ctx.fault.map(Fault::as_str),
        aborted: facts.aborted,
    };
    core.access_log.write(&record);
    if let (Some(observer), Some(notes)) = (&core.observer, &ctx.notes) {
        observer.finished(&Seen { record: &record, notes, skipped, stored: ctx.stored });
    }
}
