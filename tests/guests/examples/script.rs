//! Returns the edits that its settings list, one a line, at any stage. Whatever it is told, allowed or not.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "all", path: "../../sdk/wit" });

use edgeweir::hook::context::settings;
use edgeweir::hook::request;
use edgeweir::hook::types::{GeneratedResponse, Header, HeaderEdit};
use exports::edgeweir::hook::{origin_request, origin_response, viewer_request, viewer_response};

struct Hook;

/// The lines: the settings themselves, or their only member `script`, as a binding in a config has it.
fn script() -> String {
    let settings = settings();
    match settings.strip_prefix("{\"script\":\"").and_then(|rest| rest.strip_suffix("\"}")) {
        Some(json) => json.replace("\\n", "\n").replace("\\\"", "\""),
        None => settings,
    }
}

/// `word rest`; a value `*N` stands for N times the letter x.
fn split(line: &str) -> (&str, String) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match rest.strip_prefix('*').and_then(|count| count.parse().ok()) {
        Some(count) => (word, "x".repeat(count)),
        None => (word, rest.to_owned()),
    }
}

fn field(rest: &str) -> Header {
    let (name, value) = split(rest);
    Header { name: name.into(), value: value.into_bytes() }
}

/// What the hook sees of the request: the line of it, or the values of a field.
fn told(what: &str) -> String {
    if what == "line" {
        let query = request::query().map_or_else(String::new, |query| format!("?{query}"));
        return format!("{} {}{query}", request::method(), request::path());
    }
    let values = request::header_values(what);
    values.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>().join(", ")
}

fn header(word: &str, rest: &str) -> Option<HeaderEdit> {
    match word {
        "set" => Some(HeaderEdit::Set(field(rest))),
        "append" => Some(HeaderEdit::Append(field(rest))),
        "remove" => Some(HeaderEdit::Remove(rest.into())),
        "tell" => Some(HeaderEdit::Set(Header { name: format!("x-told-{rest}"), value: told(rest).into_bytes() })),
        _ => None,
    }
}

/// `respond STATUS BODY`, then a `NAME VALUE` line for each header.
fn respond(script: &str) -> Option<GeneratedResponse> {
    let mut lines = script.lines();
    let (status, body) = split(lines.next()?.strip_prefix("respond ")?);
    let headers = lines.map(field).collect();
    Some(GeneratedResponse { status: status.parse().ok()?, headers, body: body.into_bytes() })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

impl viewer_request::Guest for Hook {
    fn handle() -> Result<viewer_request::Verdict, String> {
        use viewer_request::{Edit, Verdict};
        let script = script();
        if let Some(response) = respond(&script) {
            return Ok(Verdict::Respond(response));
        }
        let mut edits = Vec::new();
        for line in script.lines() {
            let (word, rest) = split(line);
            edits.push(match word {
                "path" => Edit::Path(rest),
                "query" => Edit::Query(Some(rest)),
                "no-query" => Edit::Query(None),
                "note" => Edit::Note(rest),
                "cache-key" => Edit::CacheKey(rest),
                "origin" => Edit::Origin(rest),
                "body" => Edit::Body(rest.into_bytes()),
                "cost" => Edit::Cost(number(&rest)?),
                "api-key" => Edit::ApiKey(rest),
                _ => Edit::Header(header(word, &rest).ok_or_else(|| format!("unknown: {word}"))?),
            });
        }
        Ok(Verdict::Next(edits))
    }
}

/// `https://host:port/prefix host-header`; of an address in brackets only the host.
fn dynamic(url: &str) -> origin_request::DynamicOrigin {
    let (url, header) = url.split_once(' ').map_or((url, None), |(url, header)| (url, Some(header.to_owned())));
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, prefix) = rest.split_at(at);
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !host.contains('[') => (host, port.parse().ok()),
        _ => (host, None),
    };
    origin_request::DynamicOrigin {
        scheme: scheme.into(),
        host: host.into(),
        port,
        path_prefix: prefix.into(),
        host_header: header,
    }
}

impl origin_request::Guest for Hook {
    fn handle() -> Result<origin_request::Verdict, String> {
        use origin_request::{Edit, Verdict};
        let script = script();
        if let Some(response) = respond(&script) {
            return Ok(Verdict::Respond(response));
        }
        let mut edits = Vec::new();
        for line in script.lines() {
            let (word, rest) = split(line);
            edits.push(match word {
                "path" => Edit::Path(rest),
                "query" => Edit::Query(Some(rest)),
                "no-query" => Edit::Query(None),
                "note" => Edit::Note(rest),
                "origin" => Edit::Origin(rest),
                "body" => Edit::Body(rest.into_bytes()),
                "dynamic-origin" => Edit::DynamicOrigin(dynamic(&rest)),
                _ => Edit::Header(header(word, &rest).ok_or_else(|| format!("unknown: {word}"))?),
            });
        }
        Ok(Verdict::Next(edits))
    }
}

impl origin_response::Guest for Hook {
    fn handle() -> Result<Vec<origin_response::Edit>, String> {
        use origin_response::Edit;
        let mut edits = Vec::new();
        for line in script().lines() {
            let (word, rest) = split(line);
            edits.push(match word {
                "status" => Edit::Status(number(&rest)?),
                "ttl" => Edit::Ttl(number(&rest)?),
                "note" => Edit::Note(rest),
                "body" => Edit::Body(rest.into_bytes()),
                "cache-tag" => Edit::CacheTag(rest),
                _ => Edit::Header(header(word, &rest).ok_or_else(|| format!("unknown: {word}"))?),
            });
        }
        Ok(edits)
    }
}

impl viewer_response::Guest for Hook {
    fn handle() -> Result<Vec<viewer_response::Edit>, String> {
        use viewer_response::Edit;
        let mut edits = Vec::new();
        for line in script().lines() {
            let (word, rest) = split(line);
            edits.push(match word {
                "status" => Edit::Status(number(&rest)?),
                "body" => Edit::Body(rest.into_bytes()),
                _ => Edit::Header(header(word, &rest).ok_or_else(|| format!("unknown: {word}"))?),
            });
        }
        Ok(edits)
    }
}

export!(Hook);
