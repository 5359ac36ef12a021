//! A viewer-request hook as many are: reads three headers, sets two, rewrites the URI.

use edgeweir_sdk::{Request, Result, viewer_request};

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let names = ["accept", "user-agent", "accept-language"];
    let size: usize = names.iter().flat_map(|name| request.header_values(name)).map(|value| value.len()).sum();
    let path = request.path();
    Ok(viewer_request::Edits::new()
        .set_header("x-size", size.to_string())?
        .set_header("x-edge", "typical")?
        .path(format!("/v2{path}"))
        .query("from=edge")
        .into())
}
