//! Never returns.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use std::hint::black_box;

use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let mut turns = 0_u64;
        while black_box(turns) != u64::MAX {
            turns = turns.wrapping_add(2);
        }
        Err("odd".into())
    }
}

export!(Hook);
