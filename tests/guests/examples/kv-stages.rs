//! Tells at two stages what the store `flags` has under `state`.

use edgeweir_sdk::{Request, Response, Result, kv, viewer_request, viewer_response};

fn state() -> Result<String> {
    Ok(kv::store("flags").text("state")?.unwrap_or_default())
}

#[viewer_request]
fn on_request(_: &Request) -> Result<viewer_request::Edits> {
    viewer_request::Edits::new().set_header("x-state", state()?)
}

#[viewer_response]
fn on_response(_: &Request, _: &Response) -> Result<viewer_response::Edits> {
    viewer_response::Edits::new().set_header("x-state", state()?)
}
