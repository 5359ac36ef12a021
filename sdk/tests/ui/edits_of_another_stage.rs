use edgeweir_sdk::{Request, Response, Result, viewer_response};

#[viewer_response]
fn handle(_: &Request, _: &Response) -> Result<viewer_response::Edits> {
    Ok(viewer_response::Edits::new().ttl(60))
}
