//! Requests and responses in the shape of Lambda@Edge: header fields are lists of `{key, value}` under their lower-case name.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgeweir_hookhost::{GeneratedResponse, OriginFacts, RequestBody};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use serde_json::{Map, Value, json};

use super::super::case::field;
use super::{fields, members, object, request_head, response_head, text_of};

pub(super) fn request(request: &Value) -> anyhow::Result<RequestHeader> {
    let query = request["querystring"].as_str().unwrap_or_default();
    let mut head = request_head(request, query)?;
    for (name, value) in lines(&request["headers"], "request.headers")? {
        head.append_header(name, value)?;
    }
    Ok(head)
}

/// The request's body; none where the event has none, as if the binding did not grant it.
pub(super) fn body(body: &Value) -> anyhow::Result<Option<RequestBody>> {
    let Some(data) = body["data"].as_str() else { return Ok(None) };
    let bytes = STANDARD.decode(data).context("`request.body.data` is not base64")?;
    let more = body["inputTruncated"].as_bool().unwrap_or(false);
    Ok(Some(RequestBody { limit: bytes.len(), bytes: bytes.into(), more }))
}

pub(super) fn response(response: &Value) -> anyhow::Result<ResponseHeader> {
    let status = text_of(&response["status"], "response.status")?;
    let mut head = response_head(status.parse().with_context(|| format!("`{status}` is no status"))?)?;
    for (name, value) in lines(&response["headers"], "response.headers")? {
        head.append_header(name, value)?;
    }
    Ok(head)
}

/// The request with a hook's edits.
pub(super) fn edited_request(request: &Value, head: &RequestHeader, made: Option<&[u8]>) -> anyhow::Result<Value> {
    let mut edited = object(request);
    if let Some(made) = made {
        let mut body = object(&request["body"]);
        let (encoding, data) = written(made);
        body.extend([
            ("action".into(), "replace".into()),
            ("encoding".into(), encoding.into()),
            ("data".into(), data.into()),
        ]);
        edited.insert("body".into(), Value::Object(body));
    }
    edited.insert("uri".into(), head.uri.path().into());
    edited.insert("querystring".into(), head.uri.query().unwrap_or_default().into());
    edited.insert("headers".into(), headers(&request["headers"], &head.headers)?);
    Ok(Value::Object(edited))
}

/// The response with a hook's edits.
pub(super) fn edited_response(response: &Value, head: &ResponseHeader, made: Option<&[u8]>) -> anyhow::Result<Value> {
    let mut edited = object(response);
    if edited.get("status").and_then(Value::as_str) != Some(head.status.as_str()) {
        edited.insert("status".into(), head.status.as_str().into());
        edited.insert("statusDescription".into(), head.status.canonical_reason().unwrap_or_default().into());
    }
    edited.insert("headers".into(), headers(&response["headers"], &head.headers)?);
    let mut edited = Value::Object(edited);
    if let Some(made) = made {
        put_body(&mut edited, made);
    }
    Ok(edited)
}

/// Its encoding, and the body in it.
fn written(body: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(body) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("base64", STANDARD.encode(body)),
    }
}

fn put_body(json: &mut Value, body: &[u8]) {
    let (encoding, body) = written(body);
    json["body"] = body.into();
    json["bodyEncoding"] = encoding.into();
}

/// A response that the hook made.
pub(super) fn answer(answer: &GeneratedResponse) -> anyhow::Result<Value> {
    let map: HeaderMap = answer.headers.iter().cloned().collect();
    let mut json = json!({
        "status": answer.status.as_str(),
        "statusDescription": answer.status.canonical_reason().unwrap_or_default(),
        "headers": headers(&Value::Null, &map)?,
    });
    if !answer.body.is_empty() {
        put_body(&mut json, &answer.body);
    }
    Ok(json)
}

fn lines(headers: &Value, what: &str) -> anyhow::Result<Vec<(HeaderName, HeaderValue)>> {
    let mut all = Vec::new();
    for (name, lines) in members(headers, what)? {
        let lines = lines.as_array().ok_or_else(|| anyhow!("`{what}.{name}` must be a list of `{{key, value}}`"))?;
        for line in lines {
            all.push(field(name, text_of(&line["value"], &format!("{what}.{name}.value"))?)?);
        }
    }
    Ok(all)
}

/// Header fields, their names spelled as in the event; new ones with each part in title case, as CloudFront does.
fn headers(before: &Value, headers: &HeaderMap) -> anyhow::Result<Value> {
    let mut all = Map::new();
    for (name, values) in fields(headers)? {
        let key = before[name][0]["key"].as_str().map_or_else(|| title_case(name), str::to_owned);
        let lines = values.into_iter().map(|value| json!({ "key": key, "value": value })).collect();
        all.insert(name.to_owned(), Value::Array(lines));
    }
    Ok(Value::Object(all))
}

fn title_case(name: &str) -> String {
    let mut first = true;
    let letter = |letter: char| {
        let spelled = if first { letter.to_ascii_uppercase() } else { letter };
        first = letter == '-';
        spelled
    };
    name.chars().map(letter).collect()
}

/// The origin of a request; none if the event has none. What it does not say is as CloudFront has it by default.
pub(super) fn origin(origin: &Value) -> Option<OriginFacts> {
    let (kind, is_bucket) = match (&origin["custom"], &origin["s3"]) {
        (custom @ Value::Object(_), _) => (custom, false),
        (_, s3) => (s3, true),
    };
    let mut facts = OriginFacts::named(kind["domainName"].as_str()?);
    if is_bucket {
        facts.region = Some(kind["region"].as_str().unwrap_or("us-east-1").into());
    } else {
        facts.tls = kind["protocol"].as_str() != Some("http");
        let port = kind["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        facts.port = port.unwrap_or(if facts.tls { 443 } else { 80 });
    }
    facts.path_prefix = kind["path"].as_str().unwrap_or_default().into();
    let seconds = |name: &str, default| kind[name].as_u64().map_or(default, Duration::from_secs);
    facts.read_timeout = seconds("readTimeout", facts.read_timeout);
    facts.keepalive = seconds("keepaliveTimeout", facts.keepalive);
    Some(facts)
}
