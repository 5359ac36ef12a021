//! Events and results of Lambda@Edge.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgeweir_hookhost::{
    Call, CallFacts, GeoView, Hook, OriginChange, OriginFacts, RequestBody, RequestEdit, RequestView,
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::message::{Message, Sent};
use super::{Sample, decided, failure, grants, same};
use crate::support::{Response, call};

/// A telephone, where an event's header says that there is one.
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1";

struct Country(Option<String>);

impl GeoView for Country {
    fn country(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

struct Asked {
    method: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

impl RequestView for Asked {
    fn method(&self) -> &str {
        &self.method
    }
    fn scheme(&self) -> &str {
        "https"
    }
    fn authority(&self) -> &str {
        "www.example.com"
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

pub(super) async fn check(hook: &Arc<Hook>, sample: &Sample, case: &Value) -> Result<(), String> {
    let cf = &case["event"]["Records"][0]["cf"];
    let given = call("{}");
    let mut facts = CallFacts::clone(&given.facts);
    facts.viewer.address = cf["request"]["clientIp"].as_str().unwrap().parse::<IpAddr>().unwrap();
    let before = request(&cf["request"]);
    let said = |name: &str| cf["request"]["headers"][name][0]["value"].as_str();
    facts.viewer.geo = Some(Arc::new(Country(said("cloudfront-viewer-country").map(Into::into))));
    let mut headers = before.fields();
    if said("cloudfront-is-mobile-viewer") == Some("true") {
        headers.insert("user-agent", PHONE.parse().unwrap());
    }
    let method = cf["request"]["method"].as_str().unwrap().to_owned();
    let shown = Asked { method, path: before.path.clone(), query: before.query.clone(), headers };
    let body = cf["request"].get("body").map(|body| RequestBody {
        bytes: STANDARD.decode(body["data"].as_str().unwrap()).unwrap().into(),
        more: body["inputTruncated"].as_bool().unwrap(),
        limit: 1 << 20,
    });
    let origin = cf["request"].get("origin").map(|origin| Arc::new(self::origin(origin)));
    let grants = grants(sample, case);
    let call = Call { request: Box::new(shown), facts: Arc::new(facts), body, origin, grants, ..given };

    let expect = &case["expect"];
    let stage = cf["config"]["eventType"].as_str().unwrap();
    if let Some(shown) = cf.get("response").map(response) {
        let call = Call { response: Some(Box::new(Response(shown.status, shown.fields()))), ..call };
        let done = match stage {
            "origin-response" => hook.origin_response(call).await,
            "viewer-response" => hook.viewer_response(call).await,
            other => panic!("{other}"),
        };
        let mut after = shown;
        match done.verdict {
            Ok(edits) => edits.iter().for_each(|edit| after.edit_response(edit)),
            Err(fault) => return failure(case, &fault),
        }
        return same("response", &after, &response(expect));
    }
    let done = match stage {
        "viewer-request" => hook.viewer_request(call).await,
        "origin-request" => hook.origin_request(call).await,
        other => panic!("{other}"),
    };
    match decided(done, &before) {
        Err(fault) => failure(case, &fault),
        Ok(Sent::Answer(answer)) => {
            let mut wanted = response(expect);
            wanted.body.get_or_insert_default();
            same("answer", &answer, &wanted)
        }
        Ok(Sent::Request(..)) if expect.get("status").is_some() => Err("no answer".into()),
        Ok(Sent::Request(after, others)) => {
            let wanted = (expect.get("origin") != cf["request"].get("origin")).then(|| &expect["origin"]);
            same("origin", &chosen(&others), &wanted.map_or(Value::Null, wanted_origin))?;
            let mut wanted = request(expect);
            wanted.body = replaced(&expect["body"]);
            same("request", &after, &wanted)
        }
    }
}

/// Of a telephone its header is no part of the request.
fn request(request: &Value) -> Message {
    let query = request["querystring"].as_str().filter(|query| !query.is_empty()).map(Into::into);
    let mut message = Message { path: request["uri"].as_str().unwrap().into(), query, ..Message::default() };
    headers(&request["headers"], &mut message);
    message.headers.retain(|name, _| !name.starts_with("cloudfront-"));
    message
}

fn headers(object: &Value, message: &mut Message) {
    for (name, records) in object.as_object().into_iter().flatten() {
        for record in records.as_array().unwrap() {
            message.add(name, record["value"].as_str().unwrap());
        }
    }
}

fn response(response: &Value) -> Message {
    let status = response["status"].as_str().unwrap().parse().unwrap();
    let mut message = Message { status, ..Message::default() };
    headers(&response["headers"], &mut message);
    message.body = response["body"].as_str().map(|text| match response["bodyEncoding"].as_str() {
        Some("base64") => STANDARD.decode(text).unwrap(),
        _ => text.into(),
    });
    message
}

/// A body that takes the place of the viewer's.
fn replaced(body: &Value) -> Option<Vec<u8>> {
    let data = || body["data"].as_str().unwrap();
    match (body["action"].as_str(), body["encoding"].as_str()) {
        (Some("replace"), Some("text")) => Some(data().into()),
        (Some("replace"), _) => Some(STANDARD.decode(data()).unwrap()),
        _ => None,
    }
}

fn origin(origin: &Value) -> OriginFacts {
    let (own, is_bucket) = (origin.get("s3").unwrap_or(&origin["custom"]), origin.get("s3").is_some());
    let text = |name: &str| own[name].as_str().unwrap();
    OriginFacts {
        tls: is_bucket || text("protocol") == "https",
        port: if is_bucket { 443 } else { u16::try_from(own["port"].as_u64().unwrap()).unwrap() },
        path_prefix: text("path").into(),
        region: is_bucket.then(|| text("region").into()),
        ..OriginFacts::named(text("domainName"))
    }
}

fn chosen(edits: &[RequestEdit]) -> Value {
    match edits {
        [] => Value::Null,
        [RequestEdit::ChangeOrigin(OriginChange { host: Some((host, _)), tls, port, path_prefix, headers, .. })] => {
            let headers = headers.iter().flatten();
            let headers: Value =
                headers.map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
            json!([host, tls, port, path_prefix, if headers == json!([]) { json!({}) } else { headers }])
        }
        other => json!(format!("{other:?}")),
    }
}

fn wanted_origin(origin: &Value) -> Value {
    let facts = self::origin(origin);
    let own = origin.get("s3").unwrap_or(&origin["custom"]);
    let headers = own["customHeaders"].as_object().into_iter().flatten();
    let headers: Value = headers.map(|(name, records)| (name.clone(), records[0]["value"].clone())).collect();
    json!([
        facts.host,
        facts.tls,
        facts.port,
        facts.path_prefix,
        if headers == json!([]) { json!({}) } else { headers }
    ])
}
