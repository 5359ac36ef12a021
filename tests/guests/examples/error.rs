//! Returns an error.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        Err("no luck today".into())
    }
}

export!(Hook);
