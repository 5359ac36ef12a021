use edgeweir_sdk::{Request, Result, viewer_response};

#[viewer_response]
fn handle(_: &Request) -> Result<viewer_response::Edits> {
    Ok(viewer_response::Edits::new())
}
