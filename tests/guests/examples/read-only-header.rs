//! Sets a header that is read-only at its stage.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use edgeweir::hook::types::{Header, HeaderEdit};
use exports::edgeweir::hook::viewer_request::{Edit, Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let header = Header { name: "host".into(), value: b"elsewhere.example".into() };
        Ok(Verdict::Next(vec![Edit::Header(HeaderEdit::Set(header))]))
    }
}

export!(Hook);
