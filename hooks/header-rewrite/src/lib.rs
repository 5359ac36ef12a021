//! Sets, appends and removes headers, and rewrites the path, by rules from the settings. See README.md.
//!
//! What the rules make of a request is worked out in `rules`, from facts that it asks for; this file fetches the facts
//! and turns the result into edits.

use edgeweir_sdk::stage::{RequestStage, Stage};
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{
    Edits, Request, Response, Result, origin_request, origin_response, settings, validate, viewer_request,
    viewer_response,
};

mod pattern;
mod rules;
mod template;

use rules::{Change, Rule, Settings};
use template::Variable;

/// Before the edge takes a config.
#[validate]
fn check(settings: &Settings) -> Result<(), Problem> {
    settings.check()
}

#[viewer_request]
fn on_viewer_request(request: &Request) -> Result<viewer_request::Edits> {
    edit_request(request)
}

#[origin_request]
fn on_origin_request(request: &Request) -> Result<origin_request::Edits> {
    edit_request(request)
}

#[origin_response]
fn on_origin_response(request: &Request, _: &Response) -> Result<origin_response::Edits> {
    edit_response(request)
}

#[viewer_response]
fn on_viewer_response(request: &Request, _: &Response) -> Result<viewer_response::Edits> {
    edit_response(request)
}

fn edit_request<S: RequestStage>(request: &Request) -> Result<Edits<S>> {
    let settings = settings::<Settings>()?;
    settings.check()?;
    let path = request.path();
    let Some(captures) = settings.captures(&path) else { return Ok(Edits::new()) };
    let fact = |variable: &Variable| fact(request, variable);
    let edits = edit_headers(Edits::new(), &settings.request, &captures, fact)?;
    Ok(match settings.new_path(&captures, fact)? {
        Some(path) => edits.path(path),
        None => edits,
    })
}

fn edit_response<S: Stage>(request: &Request) -> Result<Edits<S>> {
    let settings = settings::<Settings>()?;
    settings.check()?;
    if settings.response.is_empty() {
        return Ok(Edits::new());
    }
    let path = request.path();
    let Some(captures) = settings.captures(&path) else { return Ok(Edits::new()) };
    edit_headers(Edits::new(), &settings.response, &captures, |variable| fact(request, variable))
}

fn edit_headers<S: Stage>(
    mut edits: Edits<S>,
    rules: &[Rule],
    captures: &[&str],
    fact: impl Fn(&Variable) -> Option<Vec<u8>>,
) -> Result<Edits<S>> {
    for rule in rules {
        let name = rule.name.as_str();
        edits = match rule.change(captures, &fact) {
            Change::Set(value) => edits.set_header(name, value)?,
            Change::Append(value) => edits.append_header(name, value)?,
            Change::Remove => edits.remove_header(name)?,
            Change::Nothing => edits,
        };
    }
    Ok(edits)
}

fn fact(request: &Request, variable: &Variable) -> Option<Vec<u8>> {
    let viewer = request.viewer();
    let text = match variable {
        Variable::Header(name) => return request.header(name).map(|value| value.as_bytes().to_vec()),
        Variable::Cookie(name) => request.cookie(name),
        Variable::Method => Some(request.method().to_string()),
        Variable::Scheme => Some(request.scheme()),
        Variable::Host => Some(request.host()),
        Variable::Path => Some(request.path()),
        Variable::Query => request.query(),
        Variable::Address => Some(viewer.address()),
        Variable::Country => viewer.country(),
        Variable::Continent => viewer.continent(),
        Variable::Region => viewer.region(),
        Variable::City => viewer.city(),
        Variable::Asn => viewer.asn().map(|asn| asn.to_string()),
        Variable::Distribution => Some(request.context().distribution()),
        Variable::RequestId => Some(request.context().request_id()),
        Variable::Capture(_) => None,
    };
    text.map(String::into_bytes)
}
