//! Requests and responses in the shape of CloudFront Functions: `{value, multiValue}` for header fields and query
//! parameters, cookies apart from the other header fields.

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgeweir_hookhost::GeneratedResponse;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use serde_json::{Map, Value, json};

use super::super::case::field;
use super::{fields, members, object, request_head, response_head, text_of};

pub(super) fn request(request: &Value) -> anyhow::Result<RequestHeader> {
    let mut head = request_head(request, &query(&request["querystring"])?)?;
    for (name, value) in pairs(&request["headers"], "request.headers")? {
        let (name, value) = field(name, value)?;
        head.append_header(name, value)?;
    }
    let cookies = joined(&pairs(&request["cookies"], "request.cookies")?, "; ");
    if !cookies.is_empty() {
        let (name, value) = field("cookie", &cookies)?;
        head.append_header(name, value)?;
    }
    Ok(head)
}

pub(super) fn response(response: &Value) -> anyhow::Result<ResponseHeader> {
    let status = response["statusCode"].as_u64().context("`response.statusCode` must be a number")?;
    let mut head = response_head(status)?;
    for (name, value) in pairs(&response["headers"], "response.headers")? {
        let (name, value) = field(name, value)?;
        head.append_header(name, value)?;
    }
    for (name, cookie) in members(&response["cookies"], "response.cookies")? {
        for one in each(cookie) {
            let value = text_of(&one["value"], "response.cookies.value")?;
            let attributes = one["attributes"].as_str().map(|text| format!("; {text}")).unwrap_or_default();
            let (name, value) = field("set-cookie", &format!("{name}={value}{attributes}"))?;
            head.append_header(name, value)?;
        }
    }
    Ok(head)
}

/// `{request}` with a hook's edits.
pub(super) fn edited_request(request: &Value, head: &RequestHeader) -> anyhow::Result<Value> {
    let mut edited = object(request);
    edited.insert("uri".into(), head.uri.path().into());
    let now = head.uri.query().unwrap_or_default();
    // What the hook left alone keeps the event's spelling.
    if now != query(&request["querystring"])? {
        edited.insert("querystring".into(), split(now.split('&')));
    }
    edited.insert("headers".into(), headers(&head.headers, "cookie")?);
    let cookies: Vec<_> = head.headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok()).collect();
    edited.insert("cookies".into(), split(cookies.iter().flat_map(|line| line.split(';'))));
    Ok(json!({ "request": edited }))
}

/// `{response}` with a hook's edits.
pub(super) fn edited_response(response: &Value, head: &ResponseHeader, made: Option<&[u8]>) -> anyhow::Result<Value> {
    let mut edited = object(response);
    if edited.get("statusCode").and_then(Value::as_u64) != Some(head.status.as_u16().into()) {
        edited.insert("statusCode".into(), head.status.as_u16().into());
        edited.insert("statusDescription".into(), head.status.canonical_reason().unwrap_or_default().into());
    }
    edited.insert("headers".into(), headers(&head.headers, "set-cookie")?);
    edited.insert("cookies".into(), set_cookies(&head.headers));
    if let Some(made) = made {
        edited.insert("body".into(), body(made));
    }
    Ok(json!({ "response": edited }))
}

/// `{response}` that the hook made.
pub(super) fn answer(answer: &GeneratedResponse) -> anyhow::Result<Value> {
    let map: HeaderMap = answer.headers.iter().cloned().collect();
    let mut response = json!({
        "statusCode": answer.status.as_u16(),
        "statusDescription": answer.status.canonical_reason().unwrap_or_default(),
        "headers": headers(&map, "set-cookie")?,
        "cookies": set_cookies(&map),
    });
    if !answer.body.is_empty() {
        response["body"] = body(&answer.body);
    }
    Ok(json!({ "response": response }))
}

fn body(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "encoding": "text", "data": text }),
        Err(_) => json!({ "encoding": "base64", "data": STANDARD.encode(bytes) }),
    }
}

/// The values of a member: those of `multiValue` if it is there, else itself.
fn each(member: &Value) -> &[Value] {
    member["multiValue"].as_array().map_or_else(|| std::slice::from_ref(member), Vec::as_slice)
}

fn pairs<'a>(value: &'a Value, what: &str) -> anyhow::Result<Vec<(&'a str, &'a str)>> {
    let mut all = Vec::new();
    for (name, member) in members(value, what)? {
        for one in each(member) {
            let value = one["value"].as_str().ok_or_else(|| anyhow!("`{what}.{name}` must have a `value`"))?;
            all.push((name.as_str(), value));
        }
    }
    Ok(all)
}

/// The query string: the text itself, or the object's members.
fn query(value: &Value) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        value => Ok(joined(&pairs(value, "request.querystring")?, "&")),
    }
}

fn joined(pairs: &[(&str, &str)], separator: &str) -> String {
    let pair =
        |(name, value): &(&str, &str)| if value.is_empty() { (*name).to_owned() } else { format!("{name}={value}") };
    pairs.iter().map(pair).collect::<Vec<_>>().join(separator)
}

/// `name=value` pairs as an object.
fn split<'a>(pairs: impl Iterator<Item = &'a str>) -> Value {
    let mut all = Map::new();
    for pair in pairs.map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        add(&mut all, name, json!({ "value": value }));
    }
    Value::Object(all)
}

fn headers(headers: &HeaderMap, apart: &str) -> anyhow::Result<Value> {
    let mut all = Map::new();
    for (name, values) in fields(headers)?.into_iter().filter(|(name, _)| *name != apart) {
        for value in values {
            add(&mut all, name, json!({ "value": value }));
        }
    }
    Ok(Value::Object(all))
}

fn set_cookies(headers: &HeaderMap) -> Value {
    let mut all = Map::new();
    for line in headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
        let (pair, attributes) = line.split_once(';').map_or((line, None), |(pair, rest)| (pair, Some(rest.trim())));
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let mut one = json!({ "value": value });
        if let Some(attributes) = attributes {
            one["attributes"] = attributes.into();
        }
        add(&mut all, name.trim(), one);
    }
    Value::Object(all)
}

/// Adds a value; a second one of the name makes a `multiValue` of both.
fn add(all: &mut Map<String, Value>, name: &str, one: Value) {
    match all.get_mut(name) {
        None => drop(all.insert(name.to_owned(), one)),
        Some(member) => {
            let mut values = each(member).to_vec();
            values.push(one);
            member["multiValue"] = Value::Array(values);
        }
    }
}
