//! Header fields as functions see them, `{ name: { value, multiValue } }`, and what they changed.
//!
//! Names are lower case. `multiValue` is there only where a name has several lines (CloudFront Developer Guide,
//! "CloudFront Functions event structure"); if it was changed it wins over `value`, otherwise `value` is the first line's.

use edgeweir_sdk::bindings::imports::edgeweir::hook::types::{Header, HeaderEdit};
use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Exception, Object, Result, Value};

use crate::outcome;

/// Header fields as they were, in order, without those that functions see elsewhere.
pub(crate) type Fields = Vec<(String, String)>;

/// A line of a field: UTF-8, or as it was in HTTP once: ISO-8859-1.
pub(crate) fn text(name: &str, bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        outcome::with(|outcome| {
            if !outcome.latin.iter().any(|known| known == name) {
                outcome.latin.push(name.to_owned());
            }
        });
        error.into_bytes().into_iter().map(char::from).collect()
    })
}

/// The bytes of a line: those that [`text`] read, if it was not touched (RFC 9110, 5.5: what is not ASCII is opaque).
pub(crate) fn bytes(name: &str, line: String) -> Vec<u8> {
    if line.is_ascii() || !outcome::with(|outcome| outcome.latin.iter().any(|known| known == name)) {
        return line.into_bytes();
    }
    let latin: Option<Vec<u8>> = line.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    latin.unwrap_or_else(|| line.into_bytes())
}

/// The fields that functions see as such: all but the one that they see parsed.
pub(crate) fn part(headers: Vec<Header>, parsed: &str) -> Fields {
    let others = headers.into_iter().filter(|header| header.name != parsed);
    let read = |Header { name, value }| {
        let value = text(&name, value);
        (name, value)
    };
    others.map(read).collect()
}

/// Puts some header fields into an object.
pub(crate) fn fill<'js>(ctx: &Ctx<'js>, object: &Object<'js>, fields: &[(String, String)]) -> Result<()> {
    for (nth, (name, value)) in fields.iter().enumerate() {
        let name = name.as_str();
        if before(fields, nth).any(|(known, _)| known == name) {
            let entry: Object<'js> = object.get(name)?;
            let lines = match entry.get::<_, Option<Array<'js>>>("multiValue")? {
                Some(lines) => lines,
                None => {
                    let lines = Array::new(ctx.clone())?;
                    lines.set(0, line(ctx, entry.get("value")?)?)?;
                    entry.set("multiValue", lines.clone())?;
                    lines
                }
            };
            lines.set(lines.len(), line(ctx, rquickjs::String::from_str(ctx.clone(), value)?.into_value())?)?;
            continue;
        }
        let entry = line(ctx, rquickjs::String::from_str(ctx.clone(), value)?.into_value())?;
        if name == "__proto__" {
            object.prop(name, Property::from(entry).writable().enumerable().configurable())?;
        } else {
            object.set(name, entry)?;
        }
    }
    Ok(())
}

/// The entry of a field with these lines; at least one.
pub(crate) fn entry<'js>(ctx: &Ctx<'js>, lines: &[(String, String)]) -> Result<Value<'js>> {
    let text = |value: &str| rquickjs::String::from_str(ctx.clone(), value).map(rquickjs::String::into_value);
    let entry = line(ctx, lines.first().map_or_else(|| text(""), |(_, value)| text(value))?)?;
    if lines.len() > 1 {
        let all = Array::new(ctx.clone())?;
        for (nth, (_, value)) in lines.iter().enumerate() {
            all.set(nth, line(ctx, text(value)?)?)?;
        }
        entry.set("multiValue", all)?;
    }
    Ok(entry.into_value())
}

/// Whether a field may not be changed at a stage (CloudFront Developer Guide, "Restrictions on all edge functions"). The edge
/// says so in the end; here it tells what a function left out from what it took out.
pub(crate) fn is_read_only(stage: u32, name: &str) -> bool {
    let names: &[&str] = match stage {
        0 => &["cdn-loop", "content-length", "host", "transfer-encoding", "via"],
        1 => &[
            "accept-encoding",
            "cdn-loop",
            "content-length",
            "if-modified-since",
            "if-none-match",
            "if-range",
            "if-unmodified-since",
            "transfer-encoding",
            "via",
        ],
        2 => &["transfer-encoding", "via"],
        _ => &["content-encoding", "content-length", "transfer-encoding", "via", "warning"],
    };
    names.contains(&name)
}

fn before(fields: &[(String, String)], nth: usize) -> impl Iterator<Item = &(String, String)> {
    fields.iter().take(nth)
}

fn line<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Object<'js>> {
    let entry = Object::new(ctx.clone())?;
    entry.set("value", value)?;
    Ok(entry)
}

/// Reads the lines that an entry of a header means, where the last are those that it had.
pub(crate) type Lines = for<'js> fn(&Ctx<'js>, &str, &Value<'js>, &[&str]) -> Result<Vec<String>>;

/// What has to be done to the fields to make them what the object says. `own` is the field that functions see elsewhere.
pub(crate) fn changes<'js>(
    ctx: &Ctx<'js>,
    fields: &Fields,
    object: &Object<'js>,
    lines: Lines,
    mut edit: impl FnMut(HeaderEdit),
) -> Result<()> {
    let mut seen = vec![false; fields.len()];
    for property in object.props::<String, Value<'js>>() {
        let (name, entry) = property?;
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(Exception::throw_type(ctx, &format!("header `{name}`: names have to be lower case")));
        }
        let mut old = Vec::new();
        for (nth, (known, value)) in fields.iter().enumerate() {
            if *known == name {
                old.push(value.as_str());
                if let Some(seen) = seen.get_mut(nth) {
                    *seen = true;
                }
            }
        }
        let new = lines(ctx, &name, &entry, &old)?;
        if new.len() == old.len() && new.iter().zip(&old).all(|(new, old)| new == old) {
            continue;
        }
        if new.is_empty() {
            edit(HeaderEdit::Remove(name.clone()));
        }
        for (nth, value) in new.into_iter().enumerate() {
            let header = Header { name: name.clone(), value: bytes(&name, value) };
            edit(if nth == 0 { HeaderEdit::Set(header) } else { HeaderEdit::Append(header) });
        }
    }
    for (nth, (name, _)) in fields.iter().enumerate() {
        let again = before(fields, nth).any(|(known, _)| known == name);
        if !again && seen.get(nth) == Some(&false) {
            edit(HeaderEdit::Remove(name.clone()));
        }
    }
    Ok(())
}

/// The lines that an entry means.
pub(crate) fn lines<'js>(ctx: &Ctx<'js>, name: &str, entry: &Value<'js>, old: &[&str]) -> Result<Vec<String>> {
    let refuse = |what: &str| Err(Exception::throw_type(ctx, &format!("header `{name}`: {what}")));
    let Some(entry) = entry.as_object() else {
        return refuse("has to be an object with the string `value`");
    };
    let value: Value<'js> = entry.get("value")?;
    let multi: Value<'js> = entry.get("multiValue")?;
    if multi.is_undefined() {
        return match string(&value) {
            Some(value) => Ok(vec![value]),
            None => refuse("`value` has to be a string"),
        };
    }
    let Some(multi) = multi.as_array() else { return refuse("`multiValue` has to be an array") };
    let mut lines = Vec::with_capacity(multi.len());
    for line in multi.iter::<Value<'js>>() {
        let line = line?;
        let value: Option<Value<'js>> = line.as_object().map(|line| line.get("value")).transpose()?;
        match value.as_ref().and_then(string) {
            Some(value) => lines.push(value),
            None => return refuse("each of `multiValue` has to be an object with the string `value`"),
        }
    }
    let is_old = lines.len() == old.len() && lines.iter().zip(old).all(|(new, old)| new == old);
    if is_old && !lines.is_empty() {
        match string(&value) {
            Some(value) => lines[0] = value,
            None if value.is_undefined() => {}
            None => return refuse("`value` has to be a string"),
        }
    }
    Ok(lines)
}

pub(crate) fn string(value: &Value<'_>) -> Option<String> {
    value.as_string().and_then(|text| text.to_string().ok())
}
