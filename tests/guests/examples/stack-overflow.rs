//! Recurses without end.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use std::hint::black_box;

use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

#[expect(unconditional_recursion, reason = "that is the point")]
fn deeper(depth: u64) -> u64 {
    black_box(deeper(black_box(depth + 1))) + 1
}

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        Err(deeper(0).to_string())
    }
}

export!(Hook);
