//! Answers with a body over the stage's limit.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use edgeweir::hook::types::GeneratedResponse;
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let body = vec![b'x'; 40 * 1024 + 1];
        Ok(Verdict::Respond(GeneratedResponse { status: 200, headers: Vec::new(), body }))
    }
}

export!(Hook);
