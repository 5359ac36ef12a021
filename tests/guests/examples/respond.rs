//! Answers by itself.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use edgeweir::hook::types::{GeneratedResponse, Header};
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let headers = vec![Header { name: "content-type".into(), value: b"text/plain".into() }];
        Ok(Verdict::Respond(GeneratedResponse { status: 418, headers, body: b"a teapot".into() }))
    }
}

export!(Hook);
