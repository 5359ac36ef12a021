use edgeweir_sdk::{Request, Result, viewer_request};

struct Hook;

impl Hook {
    #[viewer_request]
    fn handle(&self, _: &Request) -> Result<viewer_request::Verdict> {
        Ok(viewer_request::Verdict::next())
    }
}
