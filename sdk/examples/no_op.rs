//! The smallest hook: reads nothing, changes nothing. Useful to measure what a call costs.

use edgeweir_sdk::{Request, Result, viewer_request};

#[viewer_request]
fn handle(_: &Request) -> Result<viewer_request::Verdict> {
    Ok(viewer_request::Verdict::next())
}
