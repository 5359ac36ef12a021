//! Lets requests with a known name and password pass (HTTP Basic, RFC 7617). Everybody else gets a 401. See README.md for
//! the settings.
//!
//! Reading credentials and settings is done with plain values; this file reads the request, lets the edge do the hashing
//! and turns the outcome into a verdict.

use edgeweir_sdk::crypto::{self, Digest};
use edgeweir_sdk::http::HeaderValue;
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Request, Result, validate, viewer_request};

mod answer;
mod credentials;
mod settings;

use credentials::Credentials;
use settings::Settings;

/// Before the edge takes a config.
#[validate]
fn check(settings: &Settings) -> Result<(), Problem> {
    settings.check()
}

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let settings = Settings::parse(&request.context().settings_text())?;
    let hash = |data: &[u8]| crypto::hash(Digest::Sha256, data);
    let credentials = Credentials::of(&request.header_values("authorization"));
    let Some(user) = credentials.and_then(|found| settings.admit(&found, hash, crypto::equal)) else {
        return Ok(viewer_request::Verdict::respond(answer::unauthorized(&settings.realm)?));
    };
    let mut edits = viewer_request::Edits::new();
    if settings.strip_authorization {
        edits = edits.remove_header("authorization")?;
    }
    if let Some(name) = &settings.user_header {
        // In place of whatever the viewer sent under this name.
        edits = edits.set_header(name.as_str(), HeaderValue::from_bytes(user.as_bytes())?)?;
        // The origin may answer each user differently.
        edits = edits.cache_key(format!("basic-auth={user}"));
    }
    Ok(edits.into())
}
