//! Reads nothing, changes nothing.

use edgeweir_sdk::{Request, Result, viewer_request};

#[viewer_request]
fn handle(_: &Request) -> Result<viewer_request::Verdict> {
    Ok(viewer_request::Edits::new().into())
}
