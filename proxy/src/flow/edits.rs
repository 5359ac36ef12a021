//! What the edits of hooks mean for a request and its answer.

use std::sync::Arc;

use edgeweir_config::{OriginGroupId, Stage, Target};
use edgeweir_hookhost::{HeaderEdit, Hook, OriginChange, RequestEdit, ResponseEdit};
use http::HeaderValue;
use http::header::CONTENT_ENCODING;
use pingora::http::{IntoCaseHeaderName, RequestHeader, ResponseHeader};

use super::context::RequestCtx;
use super::{gate, identity, watched};
use crate::fault::Fault;
use crate::origin::{Origin, OriginGroup};

/// Most tags of an object (CloudFront, "Invalidate by cache tag").
const MAX_TAGS: usize = 50;

/// Keeps a tag for the store. Each hook was held to the limit; together they are here.
///
/// # Errors
/// If there are too many.
pub(super) fn add_tag(ctx: &mut RequestCtx, hook: &Hook, tag: Box<str>) -> Result<(), Fault> {
    if ctx.tags.contains(&tag) {
        return Ok(());
    }
    if ctx.tags.len() == MAX_TAGS {
        let rule = "an object has at most 50 cache tags, of all hooks together";
        return Err(refused(ctx, hook, &format!("cache tag {tag}"), rule));
    }
    ctx.tags.push(tag);
    Ok(())
}

/// The hook's last run came to nothing: what it decided breaks a rule that only the configuration can tell. Whoever looks on has it
/// with the request, the log has it otherwise.
fn refused(ctx: &mut RequestCtx, hook: &Hook, decided: &str, rule: &str) -> Fault {
    if let Some(run) = ctx.hooks.last_mut() {
        run.verdict = "refused";
    }
    match ctx.notes.as_mut().map(|notes| notes.last_mut()) {
        Some(Some(note)) => *note = watched::refused(decided, rule),
        Some(None) => {}
        None => tracing::warn!(request_id = ctx.id(), hook = hook.name(), decided, rule, "hook answer refused"),
    }
    Fault::HookInvalid
}

/// Applies one edit of a request hook.
///
/// # Errors
/// If it names what the config does not have, or does not make a head.
pub(super) fn apply(
    head: &mut RequestHeader,
    ctx: &mut RequestCtx,
    hook: &Hook,
    stage: Stage,
    edit: RequestEdit,
) -> Result<(), Fault> {
    let edit = match edit {
        RequestEdit::Note(note) => {
            ctx.note = Some(note);
            return Ok(());
        }
        RequestEdit::CacheKey(part) => {
            ctx.key_parts.push(part);
            return Ok(());
        }
        RequestEdit::Origin(name) => {
            let Some(&target) = ctx.snapshot.origin_names.get(&name) else {
                let rule = "a hook may only choose an origin or group of the config";
                return Err(refused(ctx, hook, &format!("origin {name}"), rule));
            };
            choose(ctx, target);
            return Ok(());
        }
        RequestEdit::Group { members, statuses } => {
            let Some(target) = group_of(ctx, &members, &statuses) else {
                let rule = "a hook may only choose a group of the config: add one with these members, in this order, and these statuses";
                let mut decided = format!("group of {}", members.join(", "));
                for (nth, status) in statuses.iter().enumerate() {
                    decided.push_str(&format!("{} {status}", if nth == 0 { " for" } else { "," }));
                }
                return Err(refused(ctx, hook, &decided, rule));
            };
            choose(ctx, target);
            return Ok(());
        }
        RequestEdit::ChangeOrigin(change) => {
            let Some(origin) = ctx.target().and_then(|target| ctx.member_of(target)) else {
                return Err(Fault::Internal);
            };
            let Some(changed) = ctx.snapshot.dynamic_origins.changed(&change, origin) else {
                let rule = "a directory, a bucket, or an origin with certificates of its own can only be changed together with its host";
                let decided = format!("changes of origin {}", origin.config.name);
                return Err(refused(ctx, hook, &decided, rule));
            };
            if stage == Stage::ViewerRequest {
                ctx.key_parts.retain(|part| !part.starts_with(CHANGED));
                ctx.key_parts.push(key_part(&changed, &change));
                ctx.chosen_by_viewer = Some(Arc::clone(&changed));
            }
            ctx.dynamic_origin = Some(changed);
            return Ok(());
        }
        RequestEdit::DynamicOrigin(chosen) => {
            // The one that the behavior or an earlier hook has in the config tells the timeouts.
            let Some(origin) = ctx.target().and_then(|target| ctx.member_of(target)) else {
                return Err(Fault::Internal);
            };
            ctx.dynamic_origin = Some(ctx.snapshot.dynamic_origins.get(&chosen, &origin.config));
            return Ok(());
        }
        RequestEdit::Cost(cost) => {
            ctx.cost = Some(cost);
            return Ok(());
        }
        RequestEdit::ApiKey(key) => return identity::key_of_hook(ctx, key.0.as_bytes()),
        RequestEdit::Body(body) => {
            if let Some(held) = &mut ctx.held {
                held.make(head, body);
            }
            return Ok(());
        }
        other => other,
    };
    apply_to_request(head, &edit)?;
    match (&edit, stage) {
        (_, Stage::OriginRequest) => ctx.origin_edits.push(edit),
        // The key and the origin get the hook's path from here on, however the viewer spelled its own.
        (RequestEdit::Path(_), _) => {
            ctx.normal_path = None;
            keep_apart(head.uri.path(), ctx);
        }
        _ => {}
    }
    Ok(())
}

/// Starts the part of a key for an origin that a hook changed at viewer-request. No hook's part of a key begins so.
const CHANGED: &str = "\0origin ";

/// An origin or group of the config, in place of what was chosen before.
fn choose(ctx: &mut RequestCtx, target: Target) {
    (ctx.chosen_origin, ctx.dynamic_origin, ctx.chosen_by_viewer) = (Some(target), None, None);
    ctx.key_parts.retain(|part| !part.starts_with(CHANGED));
}

/// What is different about an origin. It is in the key, so that what two origins answer is not mixed up.
fn key_part(origin: &Origin, change: &OriginChange) -> Box<str> {
    let own = &origin.config;
    let host = change.host_header.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut part = format!("{CHANGED}{} {} {} {} {host}", own.tls, own.host, own.port, own.path_prefix);
    for (name, value) in change.headers.iter().flatten() {
        part.push_str(&format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    }
    part.into()
}

/// The group of the config with these members in this order, and these statuses if there are any.
fn group_of(ctx: &RequestCtx, members: &[Box<str>], statuses: &[u16]) -> Option<Target> {
    let fits = |group: &OriginGroup| {
        let same =
            group.members.iter().map(|member| member.config.name.as_str()).eq(members.iter().map(|name| &**name));
        let all = |some: &[u16], of: &[u16]| some.iter().all(|status| of.contains(status));
        same && (statuses.is_empty() || (all(statuses, &group.statuses) && all(&group.statuses, statuses)))
    };
    let nth = ctx.snapshot.origin_groups.iter().position(fits)?;
    Some(Target::Group(OriginGroupId(nth)))
}

/// A path that a hook made may be one that viewers reach through another behavior, which other origins and other guards stand
/// behind: what this behavior stores under it is its own then. No hook's part of a key begins so.
fn keep_apart(path: &str, ctx: &mut RequestCtx) {
    const MARK: &str = "\0behavior ";
    ctx.key_parts.retain(|part| !part.starts_with(MARK));
    let Some((distribution, own)) = ctx.route else { return };
    if ctx.snapshot.is_at_home(distribution, own, path) {
        return;
    }
    if let Some(behavior) = ctx.behavior() {
        let part = format!("{MARK}{}", behavior.pattern.as_str());
        ctx.key_parts.push(part.into());
    }
}

/// Applies an edit of header or target.
///
/// # Errors
/// If a path or query does not make a target after all.
pub(crate) fn apply_to_request(head: &mut RequestHeader, edit: &RequestEdit) -> Result<(), Fault> {
    match edit {
        RequestEdit::Header(HeaderEdit::Set(name, value)) => gate::set(head, name.clone(), value.clone()),
        RequestEdit::Header(HeaderEdit::Append(name, value)) => {
            head.append_header(name.clone(), value.clone()).map_err(|_error| Fault::HookInvalid)?;
        }
        RequestEdit::Header(HeaderEdit::Remove(name)) => drop(head.remove_header(name)),
        RequestEdit::Path(path) => {
            // In one spelling, as a viewer's: it cannot climb out of an origin's prefix.
            let normal = super::path::normalise(path);
            gate::set_target(head, &normal.path, None).map_err(|_fault| Fault::HookInvalid)?;
        }
        RequestEdit::Query(query) => {
            let path = head.uri.path().to_owned();
            gate::set_target(head, &path, Some(query.as_deref())).map_err(|_fault| Fault::HookInvalid)?;
        }
        RequestEdit::Note(_)
        | RequestEdit::CacheKey(_)
        | RequestEdit::Origin(_)
        | RequestEdit::DynamicOrigin(_)
        | RequestEdit::ChangeOrigin(_)
        | RequestEdit::Group { .. }
        | RequestEdit::Body(_)
        | RequestEdit::Cost(_)
        | RequestEdit::ApiKey(_) => {}
    }
    Ok(())
}

/// What a head loses before its edits are applied: a new body has not the coding of the old one, unless an edit says so.
pub(crate) fn before_edits(head: &mut ResponseHeader, edits: &[ResponseEdit]) {
    if edits.iter().any(|edit| matches!(edit, ResponseEdit::Body(_))) {
        drop(head.remove_header(&CONTENT_ENCODING));
    }
}

/// Applies an edit of header or status; the others are the caller's.
///
/// # Errors
/// If pingora refuses the field or the status.
pub(crate) fn apply_to_response(head: &mut ResponseHeader, edit: ResponseEdit) -> Result<(), Fault> {
    match edit {
        ResponseEdit::Header(HeaderEdit::Set(name, value)) => set(head, name, value),
        ResponseEdit::Header(HeaderEdit::Append(name, value)) => {
            head.append_header(name, value).map_err(|_error| Fault::HookInvalid)?;
        }
        ResponseEdit::Header(HeaderEdit::Remove(name)) => drop(head.remove_header(&name)),
        ResponseEdit::Status(status) => head.set_status(status).map_err(|_error| Fault::HookInvalid)?,
        ResponseEdit::Body(_) | ResponseEdit::Ttl(_) | ResponseEdit::Note(_) | ResponseEdit::CacheTag(_) => {}
    }
    Ok(())
}

/// Replaces a response field. pingora's call fails only for a name that is none, and these are names.
pub(super) fn set(head: &mut ResponseHeader, name: impl IntoCaseHeaderName, value: HeaderValue) {
    if let Err(error) = head.insert_header(name, value) {
        tracing::error!(%error, "a response field could not be set");
    }
}
