//! Splits viewers into weighted variants that stick to a cookie. See README.md for the settings.
//!
//! At viewer-request a variant is found or drawn; at viewer-response a drawn one becomes a cookie, which travels there in
//! the note of the request. Both decisions are made with plain values in `settings` and `note`.

use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Request, Response, Result, random, validate, viewer_request, viewer_response};

mod note;
mod settings;

use settings::Settings;

/// Before the edge takes a config. Viewer-response needs no settings; those that are given have to be good there too.
#[validate]
fn check(settings: &Settings) -> Result<(), Problem> {
    if settings.is_empty() && validate::stage() == "viewer-response" { Ok(()) } else { settings.check() }
}

/// Before the cache: each variant is cached by itself.
#[viewer_request]
fn on_request(request: &Request) -> Result<viewer_request::Edits> {
    let settings = Settings::parse(&request.context().settings_text())?;
    let cookie = request.cookie(&settings.cookie);
    let kept = cookie.as_deref().and_then(|name| settings.variant(name));
    let variant = match kept {
        Some(variant) => variant,
        None => settings.draw(random::u64())?,
    };
    let mut edits = viewer_request::Edits::new()
        .set_header(settings.header.as_str(), variant.name.as_str())?
        .cache_key(format!("ab-test={}={}", settings.cookie, variant.name));
    if let Some(path) = variant.path_prefix.as_deref().and_then(|prefix| settings::prefixed(prefix, &request.path())) {
        edits = edits.path(path);
    }
    if let Some(origin) = &variant.origin {
        edits = edits.origin(origin.as_str());
    }
    if kept.is_none() {
        let cookie = settings.set_cookie(variant, request.scheme() == "https");
        edits = edits.note(note::with(request.context().note().as_deref(), &cookie));
    }
    Ok(edits)
}

/// After the cache: the cookie of one viewer is never stored for others.
#[viewer_response]
fn on_response(request: &Request, _: &Response) -> Result<viewer_response::Edits> {
    let note = request.context().note();
    let cookies = note.as_deref().into_iter().flat_map(note::cookies);
    cookies
        .into_iter()
        .try_fold(viewer_response::Edits::new(), |edits, cookie| edits.append_header("set-cookie", cookie))
}
