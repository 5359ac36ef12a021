//! Redirects paths by a table of thousands of lines and by prefix rules. See README.md for the settings.
//!
//! Every call is a fresh instance, so nothing is parsed ahead: the table stays the JSON text that it came as and is searched
//! (`table`). What a viewer is sent to is put together in `target`, which cannot name another host than the settings do.

use edgeweir_sdk::http::Response;
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Request, Result, validate, viewer_request};

mod settings;
mod table;
mod target;

use settings::{Rules, Settings};

/// Before the edge takes a config. Each line of the table too: a call only looks at the line that it uses.
#[validate]
fn check(rules: &Rules) -> Result<(), Problem> {
    rules.check()?;
    rules.check_table()
}

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let text = request.context().settings_text();
    let settings = Settings::parse(&text)?;
    let path = request.path();
    let Some(found) = settings.find(&path)? else { return Ok(viewer_request::Verdict::next()) };
    let query = if settings.keep_query { request.query() } else { None };
    let response = Response::builder().status(found.status).header("location", found.location(query.as_deref()));
    Ok(viewer_request::Verdict::respond(response.body("")?))
}
