//! Logs more than a call may: 100 short lines; with the settings `long` also one of 20,000 bytes before.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use edgeweir::hook::context::settings;
use edgeweir::hook::log::{Level, write};
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        if settings() == "long" {
            write(Level::Warn, &"é".repeat(10_000));
        }
        for line in 0..100 {
            write(Level::Info, &format!("line {line}"));
        }
        Ok(Verdict::Next(Vec::new()))
    }
}

export!(Hook);
