//! What a typical hook does: reads three headers and a fact, sets two headers.

use edgeweir_sdk::{Request, Result, viewer_request};

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let names = ["accept", "user-agent", "accept-language"];
    let size: usize = names.iter().flat_map(|name| request.header_values(name)).map(|value| value.len()).sum();
    let country = request.viewer().country().unwrap_or_default();
    Ok(viewer_request::Edits::new().set_header("x-size", size.to_string())?.set_header("x-country", country)?.into())
}
