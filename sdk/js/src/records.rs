//! Header fields as Lambda@Edge has them: `{ name: [{ key, value }] }`, each line of a field one record.
//!
//! Names are lower case, `key` is the name in any case. HTTP/2 knows one case only, so what the viewer or the origin wrote is not
//! kept: `key` has each part capitalised, as CloudFront does where a function says none. What `key` a function gives counts for
//! nothing: AWS's own samples put records under other names ("Override a response header").

use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Exception, Object, Result, Value};

use crate::headers::string;

/// Puts some header fields into an object.
pub(crate) fn fill<'js>(ctx: &Ctx<'js>, object: &Object<'js>, fields: &[(String, String)]) -> Result<()> {
    for (nth, (name, value)) in fields.iter().enumerate() {
        let name = name.as_str();
        let known = fields.iter().take(nth).any(|(known, _)| known == name);
        let lines = if known { object.get(name)? } else { Array::new(ctx.clone())? };
        lines.set(lines.len(), record(ctx, name, value)?)?;
        if !known {
            // Also where the name is `__proto__`.
            object.prop(name, Property::from(lines).writable().enumerable().configurable())?;
        }
    }
    Ok(())
}

/// The entry of a field with these lines.
pub(crate) fn entry<'js>(ctx: &Ctx<'js>, name: &str, lines: &[(String, String)]) -> Result<Value<'js>> {
    let entry = Array::new(ctx.clone())?;
    for (nth, (_, value)) in lines.iter().enumerate() {
        entry.set(nth, record(ctx, name, value)?)?;
    }
    Ok(entry.into_value())
}

fn record<'js>(ctx: &Ctx<'js>, name: &str, value: &str) -> Result<Object<'js>> {
    let record = Object::new(ctx.clone())?;
    record.set("key", capitalised(name))?;
    record.set("value", value)?;
    Ok(record)
}

fn capitalised(name: &str) -> String {
    let mut first = true;
    let letter = |letter: char| {
        let spelled = if first { letter.to_ascii_uppercase() } else { letter };
        first = letter == '-';
        spelled
    };
    name.chars().map(letter).collect()
}

/// The lines that an entry means; none take the field away.
pub(crate) fn lines<'js>(ctx: &Ctx<'js>, name: &str, entry: &Value<'js>, _old: &[&str]) -> Result<Vec<String>> {
    let refuse = |what: &str| Err(Exception::throw_type(ctx, &format!("header `{name}`: {what}")));
    let Some(records) = entry.as_array() else {
        return refuse("has to be an array of objects with the strings `key` and `value`");
    };
    let mut lines = Vec::with_capacity(records.len());
    for record in records.iter::<Value<'js>>() {
        let record = record?;
        let Some(record) = record.as_object() else {
            return refuse("each record has to be an object with the strings `key` and `value`");
        };
        let value: Value<'js> = record.get("value")?;
        match string(&value) {
            Some(value) => lines.push(value),
            None => return refuse("`value` has to be a string"),
        }
    }
    Ok(lines)
}
