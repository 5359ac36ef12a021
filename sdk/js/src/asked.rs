//! The request as functions see it: what they look at is read from the edge, which notes it; what is only compared in the end,
//! or goes along with what was changed, is not (`library/watched.js`).
#![expect(clippy::needless_pass_by_value, reason = "the engine hands arguments over by value")]

use edgeweir_sdk::bindings::imports::edgeweir::hook::request;
use rquickjs::function::Func;
use rquickjs::{Ctx, Object, Result};

use crate::headers::{self, Fields};
use crate::outcome::{self, Seen};
use crate::{facts, native, records};

/// Of CloudFront Functions, which see cookies elsewhere.
const COOKIE: &str = "cookie";
/// In place of what the viewer sent under the name of a fact, and of a fact that nobody looked at: no line is equal to it.
const UNKNOWN: &str = "\0";

/// Whether a field can have this name. Functions see lower-case names only.
fn is_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(|byte| token(byte) && !byte.is_ascii_uppercase())
}

fn texts(name: &str, lines: Vec<Vec<u8>>) -> Fields {
    lines.into_iter().map(|line| (name.to_owned(), headers::text(name, line))).collect()
}

/// The entry of a field; nothing if there is none.
fn header<'js>(ctx: Ctx<'js>, name: String, records: bool) -> Result<Option<rquickjs::Value<'js>>> {
    if !is_name(&name) || (!records && name == COOKIE) {
        return Ok(None);
    }
    let fields = match facts::read(&name) {
        Some(fact) => fact.map(|value| (name.clone(), value)).into_iter().collect(),
        None => texts(&name, request::header_values(&name)),
    };
    let entry = match (&*fields, records) {
        ([], _) => None,
        (lines, true) => Some(records::entry(&ctx, &name, lines)?),
        (lines, false) => Some(headers::entry(&ctx, lines)?),
    };
    outcome::with(|outcome| {
        outcome.request.fields.extend(fields);
        outcome.request.names.push(name);
    });
    Ok(entry)
}

/// Puts all fields into an object, and returns it.
fn headers<'js>(ctx: Ctx<'js>, records: bool, into: Object<'js>) -> Result<Object<'js>> {
    let mut fields = headers::part(request::headers(), if records { "" } else { COOKIE });
    facts::add(&mut fields);
    let filled = native::fill(&ctx, &into, &fields, records);
    outcome::with(|outcome| outcome.request = Seen { fields, names: Vec::new(), all: true });
    filled.map(|()| into)
}

/// Makes the fields what the object says. `blind` are those that the function changed without a look at them, where it was given
/// the object and did not list it; `fresh` is the stage where it was not given the object.
fn change_headers<'js>(
    ctx: Ctx<'js>,
    object: Object<'js>,
    fresh: Option<u32>,
    records: bool,
    blind: Option<Vec<String>>,
) -> Result<()> {
    let seen = outcome::with(|outcome| std::mem::take(&mut outcome.request));
    let fields = match blind {
        Some(blind) => with_blind(seen, blind, records),
        None if seen.all => seen.fields,
        None => with_others(seen, records),
    };
    native::change(&ctx, &object, fields, fresh, records)
}

/// With the lines of fields that were changed without a look at them.
fn with_blind(seen: Seen, blind: Vec<String>, records: bool) -> Fields {
    let mut fields = seen.fields;
    for name in blind {
        if !is_name(&name) || (!records && name == COOKIE) {
            continue;
        }
        if facts::is_wanted(&name) {
            fields.push((name, UNKNOWN.to_owned()));
        } else {
            fields.append(&mut texts(&name, request::peek_header_values(&name)));
        }
    }
    fields
}

/// With the lines of all other fields.
fn with_others(seen: Seen, records: bool) -> Fields {
    let mut fields = headers::part(request::peek_headers(), if records { "" } else { COOKIE });
    for (name, line) in &mut fields {
        if facts::is_wanted(name) {
            UNKNOWN.clone_into(line);
        }
    }
    fields.retain(|(name, _)| !(facts::is_wanted(name) && seen.names.contains(name)));
    fields.extend(seen.fields.into_iter().filter(|(name, _)| facts::is_wanted(name)));
    fields
}

/// The lines with the request's cookies.
fn cookies() -> Vec<String> {
    text_lines(request::header_values(COOKIE))
}

fn peek_cookies() -> Vec<String> {
    text_lines(request::peek_header_values(COOKIE))
}

fn text_lines(lines: Vec<Vec<u8>>) -> Vec<String> {
    lines.into_iter().map(|line| headers::text(COOKIE, line)).collect()
}

/// Notes that a cookie was looked at. Its value is in the lines.
fn look_at_cookie(name: String) {
    drop(request::cookie(&name));
}

/// Notes that a query parameter was looked at.
fn look_at_query_param(name: String) {
    drop(request::query_param(&name));
}

/// Adds these functions to what the library gets.
pub(crate) fn add(object: &Object<'_>) -> Result<()> {
    object.set("query", Func::from(request::query))?;
    object.set("peekQuery", Func::from(request::peek_query))?;
    object.set("lookAtQueryParam", Func::from(look_at_query_param))?;
    object.set("requestCookies", Func::from(cookies))?;
    object.set("peekCookies", Func::from(peek_cookies))?;
    object.set("lookAtCookie", Func::from(look_at_cookie))?;
    object.set("requestHeader", Func::from(header))?;
    object.set("requestHeaders", Func::from(headers))?;
    object.set("changeRequestHeaders", Func::from(change_headers))
}
