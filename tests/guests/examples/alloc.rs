//! Takes memory until there is none.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use std::hint::black_box;

use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let mut hoard = Vec::new();
        loop {
            hoard.push(black_box(vec![1_u8; 64 << 10]));
        }
    }
}

export!(Hook);
