use edgeweir_sdk::{Request, viewer_request};

#[viewer_request]
fn handle(_: &Request) -> String {
    String::new()
}
