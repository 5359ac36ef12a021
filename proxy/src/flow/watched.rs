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
            Ok(RequestVerdict::Next(edits)) => list(edits.iter().map(request_edit)),
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

/// The hooks of the request's behavior that did not run, and why; `status` is that of the answer.
pub(super) fn skipped(ctx: &RequestCtx, status: u16) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    let Some(behavior) = ctx.behavior() else { return skipped };
    for stage in Stage::ALL {
        let mut runs = ctx.hooks.iter().filter(|run| run.stage == stage.as_str()).peekable();
        let mut before = None;
        for bound in behavior.hooks_at(stage) {
            if let Some(run) = runs.next_if(|run| run.hook.name() == bound.hook.name()) {
                before = Some(run);
                continue;
            }
            let why = match before {
                Some(run) if run.verdict == "respond" => format!("`{}` answered", run.hook.name()),
                Some(run) if run.verdict != "next" => format!("`{}` failed", run.hook.name()),
                _ => why_not(ctx, stage, status),
            };
            skipped.push(Skipped { hook: bound.hook.name().to_owned(), stage, why });
        }
    }
    skipped
}

/// Why no hook ran at a stage.
fn why_not(ctx: &RequestCtx, stage: Stage, status: u16) -> String {
    let by_cache = matches!(ctx.outcome.map(|outcome| outcome.as_str()), Some("hit" | "stale" | "collapsed"));
    let answered_at =
        |stage: Stage| ctx.hooks.iter().any(|run| run.stage == stage.as_str() && run.verdict == "respond");
    match stage {
        _ if stage != Stage::ViewerRequest && ctx.answered_by_hook => "a viewer-request hook answered".to_owned(),
        Stage::ViewerResponse if status >= 400 || ctx.fault.is_some() => {
            let error = ctx.fault.map_or_else(|| format!("status {status}"), |fault| fault.as_str().to_owned());
            format!("the answer is an error ({error}); `on_errors = true` would run it")
        }
        Stage::OriginRequest | Stage::OriginResponse if by_cache => "the cache answered".to_owned(),
        Stage::OriginResponse if answered_at(Stage::OriginRequest) => "an origin-request hook answered".to_owned(),
        Stage::OriginResponse if ctx.validation.is_some() => "the origin said 304, not modified".to_owned(),
        _ => ctx.fault.map_or_else(|| "the request did not get there".to_owned(), refused),
    }
}

fn refused(fault: Fault) -> String {
    format!("the edge answered before ({})", fault.as_str())
}

fn list(edits: impl Iterator<Item = String>) -> String {
    edits.collect::<Vec<_>>().join(", ")
}

fn request_edit(edit: &RequestEdit) -> String {
    match edit {
        RequestEdit::Header(edit) => header(edit),
        RequestEdit::Path(path) => format!("path {}", short(path)),
        RequestEdit::Query(Some(query)) => {
            let mut shown = Vec::new();
            redact::query(&mut shown, query.as_bytes());
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
            assert_eq!(request_edit(&edit), words);
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
