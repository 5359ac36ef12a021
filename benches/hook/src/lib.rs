//! The hook of the side-by-side benchmark: checks a secret, sets two request headers, rewrites the path, sets a response
//! header. Other proxies run the same work in their own languages.

use edgeweir_sdk::{Request, Response, Result, http, viewer_request, viewer_response};

const SECRET: &[u8] = b"Bearer edge-secret-token-0123456789";

#[viewer_request]
fn on_request(request: &Request) -> Result<viewer_request::Verdict> {
    if request.header("authorization").is_none_or(|value| value.as_bytes() != SECRET) {
        return Ok(viewer_request::Verdict::respond(http::Response::builder().status(403).body("forbidden\n")?));
    }
    let mut next = viewer_request::Edits::new().set_header("x-edge-a", "edge-a")?.set_header("x-edge-b", "edge-b")?;
    if let Some(rest) = request.path().strip_prefix("/a/") {
        next = next.path(format!("/b/{rest}"));
    }
    Ok(next.into())
}

#[viewer_response]
fn on_response(_: &Request, _: &Response) -> Result<viewer_response::Edits> {
    viewer_response::Edits::new().set_header("x-edge-resp", "1")
}
