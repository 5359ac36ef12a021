//! What a request does with its hooks, in words: what each decided, and why others did not run. Made only where somebody
//! looks on (`edgeweir dev`), or for the log at debug level. Decides nothing.

use std::fmt::Write as _;

use edgeweir_config::Stage;
use edgeweir_hookhost::{
    AuthorizerVerdict, GeneratedResponse, HeaderEdit, HookFault, RequestEdit, RequestVerdict, ResponseEdit,
};
use http::{HeaderName, HeaderValue};

use super::context::RequestCtx;
use crate::fault::{Fault, chain};
use crate::telemetry::observer::Skipped;
use crate::telemetry::redact;

/// Longest value that is shown, in characters.
const MAX_VALUE: usize = 80;

/// Notes what a request hook decided; the run is the last of `ctx.hooks`.
pub(super) fn request(ctx: &mut RequestCtx, verdict: &Result<RequestVerdict, HookFault>) {
    if let Some(notes) = &mut ctx.notes {
        notes.push(match verdict {
            Ok(RequestVerdict::Next(edits)) => {
                list(edits.iter().map(|edit| request_edit(edit, &ctx.snapshot.key_parameters)))
            }
            Ok(RequestVerdict::Respond(response)) => answer(response),
            Err(fault) => chain(fault),
        });
    }
}

/// Notes what an authorizer decided; the run is the last of `ctx.hooks`.
pub(super) fn authorizer(ctx: &mut RequestCtx, verdict: &Result<AuthorizerVerdict, HookFault>) {
    if let Some(notes) = &mut ctx.notes {
        notes.push(match verdict {
            Ok(AuthorizerVerdict::Allow(caller)) => {
                let mut words: Vec<String> =
                    caller.principal().map(|name| format!("principal {}", short(name))).into_iter().collect();
                words.extend(caller.context.iter().map(|(name, _)| format!("context {name}")));
                words.extend(caller.api_key.as_ref().map(|_key| "api key ***".to_owned()));
                words.join(", ")
            }
            Ok(AuthorizerVerdict::Deny(_)) => "403".to_owned(),
            Ok(AuthorizerVerdict::Unauthorized(_)) => "401".to_owned(),
            Err(fault) => chain(fault),
        });
    }
}

/// Notes what a response hook decided; the run is the last of `ctx.hooks`.
pub(super) fn response(ctx: &mut RequestCtx, verdict: &Result<Vec<ResponseEdit>, HookFault>) {
    if let Some(notes) = &mut ctx.notes {
        notes.push(match verdict {
            Ok(edits) => list(edits.iter().map(response_edit)),
            Err(fault) => chain(fault),
        });
    }
}

/// What a hook decided, and the rule that it breaks.
pub(super) fn refused(decided: &str, rule: &str) -> String {
    format!("{}: {rule}", short(decided))
}

/// Why a hook that is bound did not run.
#[derive(Debug, Clone, Copy)]
enum Why<'a> {
    /// A hook before it at the same stage answered.
    Answered(&'a str),
    /// A hook before it at the same stage failed.
    Failed(&'a str),
    /// A viewer-request hook answered.
    AtViewerRequest,
    /// An origin-request hook answered.
    AtOriginRequest,
    /// The answer is an error of this status, or this fault.
    Error(u16, Option<Fault>),
    Cache,
    NotModified,
    /// The request did not get there; the edge answered with this fault.
    NotReached(Option<Fault>),
}

impl Why<'_> {
    /// For the access log: one of a fixed set.
    fn label(self) -> &'static str {
        match self {
            Self::Answered(_) | Self::AtViewerRequest | Self::AtOriginRequest => "answered",
            Self::Failed(_) => "failed",
            Self::Error(..) => "error",
            Self::Cache => "cache",
            Self::NotModified => "not-modified",
            Self::NotReached(_) => "not-reached",
        }
    }

    /// For people.
    fn words(self) -> String {
        match self {
            Self::Answered(hook) => format!("`{hook}` answered"),
            Self::Failed(hook) => format!("`{hook}` failed"),
            Self::AtViewerRequest => "a viewer-request hook answered".to_owned(),
            Self::AtOriginRequest => "an origin-request hook answered".to_owned(),
            Self::Error(status, fault) => {
                let error = fault.map_or_else(|| format!("status {status}"), |fault| fault.as_str().to_owned());
                format!("the answer is an error ({error}); `on_errors = true` would run it")
            }
            Self::Cache => "the cache answered".to_owned(),
            Self::NotModified => "the origin said 304, not modified".to_owned(),
            Self::NotReached(None) => "the request did not get there".to_owned(),
            Self::NotReached(Some(fault)) => format!("the edge answered before ({})", fault.as_str()),
        }
    }
}

/// The hooks of the request's behavior that did not run, and why; `status` is that of the answer.
pub(super) fn skipped(ctx: &RequestCtx, status: u16) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    each_skipped(ctx, status, |hook, stage, why| {
        skipped.push(Skipped { hook: hook.to_owned(), stage, why: why.words() });
    });
    skipped
}

/// By stage, in order, why a hook that is bound there did not run; of several the first.
pub(super) fn skipped_stages(ctx: &RequestCtx, status: u16) -> [Option<&'static str>; 4] {
    let mut labels = [None; 4];
    each_skipped(ctx, status, |_, stage, why| {
        if let Some(label) = labels.get_mut(stage as usize) {
            label.get_or_insert_with(|| why.label());
        }
    });
    labels
}

fn each_skipped<'a>(ctx: &'a RequestCtx, status: u16, mut tell: impl FnMut(&'a str, Stage, Why<'a>)) {
    let Some(behavior) = ctx.behavior() else { return };
    for stage in Stage::ALL {
        let mut runs = ctx.hooks.iter().filter(|run| run.stage == stage.as_str()).peekable();
        let mut before = None;
        for bound in behavior.hooks_at(stage) {
            let mut ran = false;
            // One hook has two runs where its last good version took its place.
            while let Some(run) = runs.next_if(|run| run.hook.name() == bound.hook.name() && (!ran || run.last_good)) {
                (ran, before) = (true, Some(run));
            }
            if ran {
                continue;
            }
            let why = match before {
                Some(run) if run.verdict == "respond" => Why::Answered(run.hook.name()),
                Some(run) if run.verdict != "next" => Why::Failed(run.hook.name()),
                _ => why_not(ctx, stage, status),
            };
            tell(bound.hook.name(), stage, why);
        }
    }
}

/// Why no hook ran at a stage.
fn why_not(ctx: &RequestCtx, stage: Stage, status: u16) -> Why<'_> {
    let by_cache = matches!(ctx.outcome.map(|outcome| outcome.as_str()), Some("hit" | "stale" | "collapsed"));
    let answered_at =
        |stage: Stage| ctx.hooks.iter().any(|run| run.stage == stage.as_str() && run.verdict == "respond");
    match stage {
        _ if stage != Stage::ViewerRequest && ctx.answered_by_hook => Why::AtViewerRequest,
        Stage::ViewerResponse if status >= 400 || ctx.fault.is_some() => Why::Error(status, ctx.fault),
        Stage::OriginRequest | Stage::OriginResponse if by_cache => Why::Cache,
        Stage::OriginResponse if answered_at(Stage::OriginRequest) => Why::AtOriginRequest,
        Stage::OriginResponse if ctx.validation.is_some() => Why::NotModified,
        _ => Why::NotReached(ctx.fault),
    }
}

fn list(edits: impl Iterator<Item = String>) -> String {
    edits.collect::<Vec<_>>().join(", ")
}

fn request_edit(edit: &RequestEdit, own: &[Box<str>]) -> String {
    match edit {
        RequestEdit::Header(edit) => header(edit),
        RequestEdit::Path(path) => format!("path {}", short(path)),
        RequestEdit::Query(Some(query)) => {
            let mut shown = Vec::new();
            redact::query(&mut shown, query.as_bytes(), own);
            format!("query {}", short(&String::from_utf8_lossy(&shown)))
        }
        RequestEdit::Query(None) => "no query".to_owned(),
        RequestEdit::Note(note) => format!("note of {} bytes", note.len()),
        RequestEdit::CacheKey(part) => format!("cache key {}", short(part)),
        RequestEdit::Origin(name) => format!("origin {}", short(name)),
        RequestEdit::DynamicOrigin(origin) => {
            let scheme = if origin.tls { "https" } else { "http" };
            format!("origin {scheme} {} port {}", short(&origin.host), origin.port)
        }
        RequestEdit::ChangeOrigin(change) => match &change.host {
            Some((host, _)) => format!("origin with the host {}", short(host)),
            None => "origin with changes".to_owned(),
        },
        RequestEdit::Group { members, .. } => format!("group of {}", short(&members.join(", "))),
        RequestEdit::Body(body) => format!("body of {} bytes", body.len()),
        RequestEdit::Cost(cost) => format!("cost {cost}"),
        RequestEdit::ApiKey(_) => "api key ***".to_owned(),
    }
}

fn response_edit(edit: &ResponseEdit) -> String {
    match edit {
        ResponseEdit::Header(edit) => header(edit),
        ResponseEdit::Status(status) => format!("status {}", status.as_u16()),
        ResponseEdit::Body(body) => format!("body of {} bytes", body.len()),
        ResponseEdit::Ttl(ttl) => format!("fresh for {} s", ttl.as_secs()),
        ResponseEdit::Note(note) => format!("note of {} bytes", note.len()),
        ResponseEdit::CacheTag(tag) => format!("cache tag {}", short(tag)),
    }
}

fn header(edit: &HeaderEdit) -> String {
    match edit {
        HeaderEdit::Set(name, value) => format!("set {name}: {}", shown(name, value)),
        HeaderEdit::Append(name, value) => format!("append {name}: {}", shown(name, value)),
        HeaderEdit::Remove(name) => format!("remove {name}"),
    }
}

fn answer(response: &GeneratedResponse) -> String {
    let mut text = format!("{}", response.status.as_u16());
    for (name, value) in &response.headers {
        // Writing to a string cannot fail.
        let _infallible = write!(text, ", {name}: {}", shown(name, value));
    }
    if !response.body.is_empty() {
        let _infallible = write!(text, ", body of {} bytes", response.body.len());
    }
    text
}

/// A header's value; credentials stay hidden, on a developer's screen too.
fn shown(name: &HeaderName, value: &HeaderValue) -> String {
    use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
    let secret = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE].contains(name);
    if secret || value.is_sensitive() || redact::is_sensitive(name.as_str().as_bytes()) {
        return "***".to_owned();
    }
    short(&String::from_utf8_lossy(value.as_bytes()))
}

/// The text on one line, without what a terminal could take for a command, cut where it is long.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_VALUE).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_VALUE).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn edits_in_words() {
        let set = |name: &'static str, value: &'static str| {
            HeaderEdit::Set(HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        for (edit, words) in [
            (RequestEdit::Header(set("x-a", "b c")), "set x-a: b c"),
            (RequestEdit::Header(set("authorization", "Bearer x")), "set authorization: ***"),
            (RequestEdit::Header(set("x-api-key", "x")), "set x-api-key: ***"),
            (RequestEdit::Header(HeaderEdit::Remove(HeaderName::from_static("x-a"))), "remove x-a"),
            (RequestEdit::Path("/b".into()), "path /b"),
            (RequestEdit::Query(Some("a=1&token=2".into())), "query a=1&token=***"),
            (RequestEdit::Query(None), "no query"),
            (RequestEdit::CacheKey("x\u{1b}[2J".into()), "cache key x\u{fffd}[2J"),
        ] {
            assert_eq!(request_edit(&edit, &[]), words);
        }
        for (edit, words) in [
            (ResponseEdit::Ttl(Duration::from_mins(1)), "fresh for 60 s"),
            (ResponseEdit::Body("abc".into()), "body of 3 bytes"),
        ] {
            assert_eq!(response_edit(&edit), words);
        }
        assert_eq!(short(&"é".repeat(100)).chars().count(), MAX_VALUE + 1);
    }
}
