//! Test events of AWS as input: those of Lambda@Edge and of CloudFront Functions ("Lambda@Edge event structure" and
//! "CloudFront Functions event structure" in the CloudFront Developer Guide). The result comes in the event's own shape.
//! What these shapes have no place for (settings, note, cache key, an origin by name) is not in it.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use edgeweir_hookhost::{CallFacts, Stage, ViewerFacts};
use http::{HeaderMap, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use serde_json::{Map, Value};

use super::case::{self, DEFAULT_LIMITS, DEFAULT_NOW, Viewer, stage_of};
use super::run::{Decision, Input, Outcome};

mod functions;
mod lambda;

/// An event and what it is an event of.
pub(super) struct Event {
    form: Form,
    stage: Stage,
    /// Lambda@Edge: `Records[0].cf`. CloudFront Functions: all of it.
    json: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lambda,
    Functions,
}

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// If it has neither shape.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let mut json: Value = serde_json::from_str(text).context("is no JSON")?;
        let (form, json, config) = if let Some(cf) = json.pointer_mut("/Records/0/cf") {
            (Form::Lambda, cf.take(), "config")
        } else if json.get("version").is_some() && json.get("context").is_some() {
            (Form::Functions, json, "context")
        } else {
            bail!(
                "is no event of AWS: Lambda@Edge events have `Records[0].cf`, those of CloudFront Functions `version` \
                 and `context`"
            );
        };
        let name = text_of(&json[config]["eventType"], &format!("{config}.eventType"))?;
        let stage = stage_of(name).ok_or_else(|| anyhow!("`{name}` is no stage"))?;
        Ok(Self { form, stage, json })
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// The call that the event describes.
    ///
    /// # Errors
    /// If the request or the response is none.
    pub(super) fn input(&self) -> anyhow::Result<Input> {
        let event = &self.json;
        let (request, response, address, about) = match self.form {
            Form::Lambda => {
                let request = lambda::request(&event["request"])?;
                let response = self.stage.has_response().then(|| lambda::response(&event["response"])).transpose()?;
                (request, response, &event["request"]["clientIp"], &event["config"])
            }
            Form::Functions => {
                let request = functions::request(&event["request"])?;
                let response =
                    self.stage.has_response().then(|| functions::response(&event["response"])).transpose()?;
                (request, response, &event["viewer"]["ip"], &event["context"])
            }
        };
        let address: IpAddr = match address.as_str() {
            Some(text) => text.parse().with_context(|| format!("`{text}` is no address of a viewer"))?,
            None => IpAddr::from([127, 0, 0, 1]),
        };
        let origin = match self.stage {
            Stage::OriginRequest | Stage::OriginResponse => lambda::origin(&event["request"]["origin"]),
            _ => None,
        };
        let viewer = ViewerFacts {
            address,
            port: None,
            http_version: Version::HTTP_11,
            tls_version: Some("TLSv1.3"),
            geo: Some(Arc::new(viewer(&request.headers))),
        };
        let or = |value: &Value, default: &str| Arc::from(value.as_str().unwrap_or(default));
        let facts = CallFacts {
            viewer,
            distribution: or(&about["distributionId"], "site"),
            behavior: "*".into(),
            request_id: or(&about["requestId"], ""),
        };
        let body = match self.form {
            Form::Lambda => lambda::body(&event["request"]["body"])?,
            Form::Functions => None,
        };
        Ok(Input {
            body,
            grants: Arc::default(),
            stage: self.stage,
            authority: case::authority(&request),
            request,
            https: true,
            response: response.map(|head| (head, None)),
            facts,
            origin: origin.map(Arc::new),
            settings: "{}".into(),
            note: None,
            caller: None,
            now: DEFAULT_NOW,
            limits: DEFAULT_LIMITS,
        })
    }

    /// What a function of AWS would have returned; null for a fault.
    ///
    /// # Errors
    /// If a header field cannot be written as JSON text.
    pub(super) fn result(&self, outcome: &Outcome) -> anyhow::Result<Value> {
        let event = &self.json;
        Ok(match (&outcome.decision, &outcome.response, self.form) {
            (Decision::Fault { .. } | Decision::Authorized(_), ..) => Value::Null,
            (Decision::Respond(answer), _, Form::Lambda) => lambda::answer(answer)?,
            (Decision::Respond(answer), _, Form::Functions) => functions::answer(answer)?,
            (Decision::Next, Some(head), Form::Lambda) => {
                lambda::edited_response(&event["response"], head, outcome.body.as_deref())?
            }
            (Decision::Next, Some(head), Form::Functions) => {
                functions::edited_response(&event["response"], head, outcome.body.as_deref())?
            }
            (Decision::Next, None, Form::Lambda) => {
                lambda::edited_request(&event["request"], &outcome.request, outcome.body.as_deref())?
            }
            (Decision::Next, None, Form::Functions) => functions::edited_request(&event["request"], &outcome.request)?,
        })
    }
}

/// Facts that CloudFront has in headers ("Add CloudFront request headers") and Edgeweir gives to hooks as such.
fn viewer(headers: &HeaderMap) -> Viewer {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Viewer {
        country: text("cloudfront-viewer-country"),
        region: text("cloudfront-viewer-country-region"),
        city: text("cloudfront-viewer-city"),
        time_zone: text("cloudfront-viewer-time-zone"),
        asn: text("cloudfront-viewer-asn").and_then(|asn| asn.parse().ok()),
        ..Viewer::default()
    }
}

fn text_of<'a>(value: &'a Value, what: &str) -> anyhow::Result<&'a str> {
    value.as_str().ok_or_else(|| anyhow!("`{what}` must be a string"))
}

/// The members of an object; none if it is left out.
fn members<'a>(value: &'a Value, what: &str) -> anyhow::Result<impl Iterator<Item = (&'a String, &'a Value)>> {
    match value {
        Value::Null => Ok(None.into_iter().flatten()),
        Value::Object(members) => Ok(Some(members).into_iter().flatten()),
        _ => bail!("`{what}` must be an object"),
    }
}

/// The head of a request with this target.
fn request_head(request: &Value, query: &str) -> anyhow::Result<RequestHeader> {
    let path = text_of(&request["uri"], "request.uri")?;
    let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    case::request_head(text_of(&request["method"], "request.method")?, &uri)
}

fn response_head(status: u64) -> anyhow::Result<ResponseHeader> {
    let status = u16::try_from(status).with_context(|| format!("`{status}` is no status"))?;
    case::response_head(status)
}

/// Each name of a head once, with all its values as text.
fn fields(headers: &HeaderMap) -> anyhow::Result<Vec<(&str, Vec<&str>)>> {
    let values = |name| -> anyhow::Result<_> {
        let values = headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()));
        values.collect::<Result<Vec<_>, _>>().with_context(|| format!("header `{name}` is no text"))
    };
    headers.keys().map(|name| Ok((name.as_str(), values(name)?))).collect()
}

/// The object, without what it does not say.
fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests;
