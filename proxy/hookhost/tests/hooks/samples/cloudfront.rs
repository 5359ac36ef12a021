//! Events and results of CloudFront Functions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgeweir_hookhost::{Call, CallFacts, GeoView, Hook, OriginChange, RequestEdit};
use serde_json::{Value, json};

use super::message::{Message, Sent};
use super::{Sample, decided, failure, grants, same};
use crate::support::{Request, Response, call};

/// What an event's `cloudfront-…` header fields say: here facts of the edge.
struct Country(Option<String>);

impl GeoView for Country {
    fn country(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

pub(super) async fn check(hook: &Arc<Hook>, sample: &Sample, case: &Value) -> Result<(), String> {
    let event = &case["event"];
    let (request, country) = request(&event["request"], case["rawQueryString"].as_str());
    let response = event.get("response").map(response);
    let given = call("{}");
    let mut facts = CallFacts::clone(&given.facts);
    facts.viewer.address = event["viewer"]["ip"].as_str().unwrap().parse::<IpAddr>().unwrap();
    facts.viewer.geo = Some(Arc::new(Country(country)));
    let shown = Request { path: request.path.clone(), query: request.query.clone(), headers: request.fields() };
    let call = Call { request: Box::new(shown), facts: Arc::new(facts), grants: grants(sample, case), ..given };
    if let Some(before) = response {
        let shown = Response(before.status, before.fields());
        let done = hook.viewer_response(Call { response: Some(Box::new(shown)), ..call }).await;
        let edits = match done.verdict {
            Ok(edits) => edits,
            Err(fault) => return failure(case, &fault),
        };
        let mut after = before;
        edits.iter().for_each(|edit| after.edit_response(edit));
        return compare(after, expected_response(&case["expect"]));
    }
    let sent = match decided(hook.viewer_request(call).await, &request) {
        Ok(sent) => sent,
        Err(fault) => return failure(case, &fault),
    };
    match sent {
        Sent::Answer(answer) => {
            let mut wanted = expected_response(&case["expect"]);
            wanted.body.get_or_insert_default();
            compare(answer, wanted)
        }
        Sent::Request(after, others) => {
            same("origin", &origin(&others), &case.get("calls").cloned().unwrap_or(json!([])))?;
            if case["expect"].get("statusCode").is_some() {
                return Err("no answer".into());
            }
            compare(after, self::request(&case["expect"], None).0)
        }
    }
}

/// Edits that are calls of helpers.
fn origin(edits: &[RequestEdit]) -> Value {
    edits
        .iter()
        .map(|edit| match edit {
            RequestEdit::Origin(name) => json!(["selectRequestOriginById", name]),
            RequestEdit::ChangeOrigin(change) => json!(["updateRequestOrigin", updated(change)]),
            RequestEdit::Group { members, statuses } => json!(["createRequestOriginGroup", {
                "originIds": members,
                "failoverCriteria": { "statusCodes": statuses },
            }]),
            other => json!([format!("{other:?}")]),
        })
        .collect()
}

/// As the function said it.
fn updated(change: &OriginChange) -> Value {
    let headers = change.headers.as_ref().map(|headers| -> Value {
        headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect()
    });
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
    json!({
        "domainName": change.host.as_ref().map(|(host, _)| host),
        "originPath": change.path_prefix,
        "customHeaders": headers,
        "timeouts": {
            "readTimeout": seconds(change.read_timeout),
            "connectionTimeout": seconds(change.connect_timeout),
        },
    })
}

fn compare(mut is: Message, mut wanted: Message) -> Result<(), String> {
    for name in ["cookie", "set-cookie"] {
        same(name, &is.take_pairs(name), &wanted.take_pairs(name))?;
    }
    same("query", &is.parameters(), &wanted.parameters())?;
    wanted.query.clone_from(&is.query);
    same("message", &is, &wanted)
}

/// Each value of an entry.
fn each(entry: &Value) -> Vec<&Value> {
    entry["multiValue"].as_array().map_or_else(|| vec![entry], |lines| lines.iter().collect())
}

/// `name=value` of each value.
fn pairs(object: &Value) -> Vec<String> {
    let members = object.as_object().into_iter().flatten();
    let pairs = members.flat_map(|(name, entry)| {
        each(entry).into_iter().map(move |one| format!("{name}={}", one["value"].as_str().unwrap()))
    });
    pairs.collect()
}

fn headers(object: &Value, message: &mut Message) {
    for (name, entry) in object.as_object().into_iter().flatten() {
        for line in each(entry) {
            message.add(name, line["value"].as_str().unwrap());
        }
    }
}

/// A request and the country of its viewer.
fn request(request: &Value, raw: Option<&str>) -> (Message, Option<String>) {
    let mut message = Message { path: request["uri"].as_str().unwrap().into(), ..Message::default() };
    message.query = match (&request["querystring"], raw) {
        (_, Some(raw)) => Some(raw.to_owned()),
        (Value::String(text), _) => Some(text.clone()),
        (object, _) => Some(pairs(object).join("&")).filter(|text| !text.is_empty()),
    };
    headers(&request["headers"], &mut message);
    let country = message.headers.remove("cloudfront-viewer-country").map(|mut lines| lines.remove(0));
    let cookies = pairs(&request["cookies"]).join("; ");
    if !cookies.is_empty() {
        message.add("cookie", &cookies);
    }
    (message, country)
}

fn response(response: &Value) -> Message {
    let status = u16::try_from(response["statusCode"].as_u64().unwrap()).unwrap();
    let mut message = Message { status, ..Message::default() };
    headers(&response["headers"], &mut message);
    for (name, entry) in response["cookies"].as_object().into_iter().flatten() {
        for line in each(entry) {
            let attributes = line["attributes"].as_str().map(|text| format!("; {text}")).unwrap_or_default();
            message.add("set-cookie", &format!("{name}={}{attributes}", line["value"].as_str().unwrap()));
        }
    }
    message
}

fn expected_response(expected: &Value) -> Message {
    let mut message = response(expected);
    message.body = match &expected["body"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        body if body["encoding"] == "base64" => Some(STANDARD.decode(body["data"].as_str().unwrap()).unwrap()),
        body => Some(body["data"].as_str().unwrap().into()),
    };
    message
}
