use edgeweir_sdk::{Request, Result, origin_request};

#[origin_request]
fn handle(_: Request) -> Result<origin_request::Verdict> {
    Ok(origin_request::Verdict::next())
}
