use edgeweir_sdk::{Request, Response, Result, origin_response, viewer_request};

#[origin_response]
fn handle(_: &Request, _: &Response) -> Result<viewer_request::Verdict> {
    Ok(viewer_request::Verdict::next())
}
