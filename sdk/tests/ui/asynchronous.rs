use edgeweir_sdk::{Request, Result, viewer_request};

#[viewer_request]
async fn handle(_: &Request) -> Result<viewer_request::Verdict> {
    Ok(viewer_request::Verdict::next())
}
