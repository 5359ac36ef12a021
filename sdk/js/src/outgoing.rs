//! Requests that a function sends: `fetch`, to origins that the binding grants.
#![expect(clippy::needless_pass_by_value, reason = "the engine hands arguments over by value")]

use edgeweir_sdk::bindings::imports::edgeweir::hook::types::Header;
use edgeweir_sdk::bindings::optional::edgeweir::hook::fetch::{self, Outgoing};
use rquickjs::convert::List;
use rquickjs::{Ctx, Exception, Object, Result, TypedArray, Value};

use crate::native::content;

/// Sends a request and waits for the whole answer. `origin` is scheme and authority of the URL.
pub(crate) fn send<'js>(
    ctx: Ctx<'js>,
    origin: String,
    method: String,
    target: String,
    headers: Vec<List<(String, String)>>,
    body: Value<'js>,
) -> Result<Object<'js>> {
    let headers = headers.into_iter().map(|List((name, value))| Header { name, value: value.into_bytes() });
    let outgoing = Outgoing { origin, method, target, headers: headers.collect(), body: content(&body)? };
    let answer = match fetch::send(&outgoing) {
        Ok(answer) => answer,
        Err(message) => return Err(Exception::throw_type(&ctx, &format!("fetch failed: {message}"))),
    };
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
    };
    let lines: Vec<List<(String, String)>> =
        answer.headers.into_iter().map(|header| List((header.name, text(header.value)))).collect();
    let object = Object::new(ctx.clone())?;
    object.set("status", answer.status)?;
    object.set("headers", lines)?;
    object.set("body", TypedArray::<u8>::new(ctx, answer.body)?)?;
    Ok(object)
}
