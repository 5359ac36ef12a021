//! Tells of the body that it sees, and replaces or refuses it as its settings say.

use edgeweir_sdk::serde::Deserialize;
use edgeweir_sdk::{Edits, Error, Request, Result, body, http, origin_request, settings, stage, viewer_request};

/// What a binding wants.
#[derive(Deserialize)]
#[serde(crate = "edgeweir_sdk::serde")]
struct Settings {
    /// Make this body.
    make: Option<String>,
    /// Make a body of so many bytes.
    fill: Option<usize>,
    /// Put the body twice.
    twice: Option<bool>,
    /// Answer with what was seen.
    respond: Option<bool>,
}

/// `LENGTH cut|whole SUM`.
fn seen() -> Result<String> {
    let body = body::read()?;
    let sum = body.as_bytes().iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    let length = body.as_bytes().len();
    Ok(format!("{length} {} {sum}", if body.truncated() { "cut" } else { "whole" }))
}

fn edits<S: stage::RequestStage>(name: &str) -> Result<Edits<S>> {
    let settings: Settings = settings()?;
    let mut edits = Edits::new().set_header(name, seen()?)?;
    if let Some(made) = settings.make {
        edits = edits.request_body(made);
    }
    if let Some(bytes) = settings.fill {
        edits = edits.request_body(vec![b'f'; bytes]);
    }
    if settings.twice == Some(true) {
        edits = edits.request_body(body::read()?.into_bytes().repeat(2));
    }
    Ok(edits)
}

#[viewer_request]
fn at_viewer(request: &Request) -> Result<viewer_request::Verdict> {
    let settings: Settings = settings()?;
    if settings.respond == Some(true) {
        return Ok(viewer_request::Verdict::respond(http::Response::builder().status(200).body(seen()?)?));
    }
    if request.path() == "/fail" {
        return Err(Error::new("as asked"));
    }
    Ok(edits("x-at-viewer")?.into())
}

#[origin_request]
fn at_origin(_: &Request) -> Result<origin_request::Verdict> {
    let settings: Settings = settings()?;
    if settings.respond == Some(true) {
        return Ok(origin_request::Verdict::respond(http::Response::builder().status(200).body(seen()?)?));
    }
    Ok(edits("x-at-origin")?.into())
}
