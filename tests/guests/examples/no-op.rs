//! Reads nothing, changes nothing.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        Ok(Verdict::Next(Vec::new()))
    }
}

export!(Hook);
